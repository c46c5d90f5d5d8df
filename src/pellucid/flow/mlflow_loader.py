"""The file that MLflow copies into every model it registers, and runs to load it: models-from-code, no pickle."""

from mlflow.models import set_model

from pellucid.flow.pyfunc import PellucidModel

set_model(PellucidModel())
