"""The file that MLflow copies into every model it registers, and runs to load it: models-from-code, no pickle."""

from pellucid.flow.training.pyfunc import offer

offer()
