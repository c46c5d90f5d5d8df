"""How good a model is, how sure that is, and where it fails: arrays in; values, pictures, a page out."""
