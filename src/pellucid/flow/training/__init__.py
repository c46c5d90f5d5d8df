"""From a dataset version to registered models: grids, jobs, workers, judgements, and answers for files."""
