"""The doors over HTTP: the API, its live predictor, and who may use it."""
