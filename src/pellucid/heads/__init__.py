"""Vector to class: the contract and its registry, ridge (the default), logistic regression, scikit-learn."""
