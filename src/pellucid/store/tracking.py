"""The mirror in MLflow: runs with metrics and artifacts, registered versions, aliases.

Pellucid's own database decides; this only repeats it where MLflow's users look. Every act can be repeated: it finds
what an earlier, killed attempt left and completes it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pellucid.errors import StorageError
from pellucid.types import ModelVersion

TAG = "pellucid.model"  # a run's and a version's tag: "NAME@VERSION" of the model that it mirrors
_DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}


class Tracking:
    """One MLflow tracking store and registry.

    Args:
        url: a database URL, or an MLflow server's.
        artifacts: where the files of runs go, a folder or a bucket's prefix.
    """

    def __init__(self, url: str, artifacts: str) -> None:
        self._url = url
        self._artifacts = artifacts

    def mirror(
        self,
        model: ModelVersion,
        pyfunc: Path,
        report: Path,
        metrics: Mapping[str, Sequence[tuple[int, float]]],
    ) -> str:
        """Logs the model as a run and a registered version; returns MLflow's version number.

        Args:
            pyfunc: the folder that ``write_pyfunc`` made.
            report: a folder of JSON, PNG and HTML files.
            metrics: by name, values with their steps.
        """
        with _quiet_mlflow(), self._client() as client:
            run = self._run_of(client, model)
            from mlflow.entities import Metric, Param

            now = int(model.created_at.timestamp() * 1000)
            client.log_batch(
                run.info.run_id,
                metrics=[Metric(name, value, now, step) for name, steps in metrics.items() for step, value in steps],
                params=[Param(key, value) for key, value in _params(model).items()],
            )
            client.log_artifacts(run.info.run_id, str(pyfunc), "model")
            client.log_artifacts(run.info.run_id, str(report), "report")
            version = self._version_of(client, model, run)
            client.set_terminated(run.info.run_id, "FINISHED", int(model.created_at.timestamp() * 1000))
            return version

    def set_alias(self, name: str, alias: str, version: str) -> None:
        """Points MLflow's alias at the version, as the registry decided."""
        with _quiet_mlflow(), self._client() as client:
            client.set_registered_model_alias(name, alias, version)

    @contextlib.contextmanager
    def _client(self) -> Iterator[Any]:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        try:
            yield MlflowClient(tracking_uri=self._url, registry_uri=self._url)
        except MlflowException as error:
            raise StorageError(
                f"MLflow did not take the model: {str(error).splitlines()[0]}; the registry itself has it, and "
                "`pellucid models mirror` tries again"
            ) from error

    def _run_of(self, client: Any, model: ModelVersion) -> Any:
        experiment = client.get_experiment_by_name(model.name)
        if experiment is None:
            place = f"{self._artifacts.rstrip('/')}/mlflow/{model.name}"
            experiment_id = client.create_experiment(model.name, artifact_location=place)
        else:
            experiment_id = experiment.experiment_id
        runs = client.search_runs([experiment_id], f"tags.`{TAG}` = '{model.ref}'", max_results=1)
        if runs:
            return runs[0]
        tags = {TAG: model.ref, "pellucid.dataset": model.dataset, "pellucid.model_id": model.id}
        start = int(model.created_at.timestamp() * 1000)
        return client.create_run(experiment_id, start, tags=tags, run_name=f"{model.ref} {model.head}")

    def _version_of(self, client: Any, model: ModelVersion, run: Any) -> str:
        from mlflow.exceptions import MlflowException

        try:
            client.create_registered_model(model.name, description="Kept by Pellucid, which decides its aliases.")
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        for known in client.search_model_versions(f"name = '{model.name}' and run_id = '{run.info.run_id}'"):
            return str(known.version)
        made = client.create_model_version(
            model.name,
            source=f"{run.info.artifact_uri}/model",
            run_id=run.info.run_id,
            tags={TAG: model.ref, "pellucid.model_id": model.id},
            description=f"{model.head} on {model.dataset}, {model.extractor}",
        )
        return str(made.version)


def write_pyfunc(target: Path, *, loader: Path, model: Path) -> None:
    """Writes an MLflow model folder around a model's own folder, through models-from-code: nothing is pickled.

    Args:
        target: the folder to make.
        loader: the Python file that loads it, copied into the folder.
        model: the folder with model.json.
    """
    with _quiet_mlflow():
        import mlflow.pyfunc

        from pellucid.version import VERSION

        with tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch) / "pellucid_model.py"
            file.write_bytes(loader.read_bytes())
            mlflow.pyfunc.save_model(
                str(target),
                python_model=str(file),
                artifacts={"model": str(model)},
                pip_requirements=[f"pellucid=={VERSION}"],
            )


def _params(model: ModelVersion) -> dict[str, str]:
    params = {"dataset": model.dataset, "head": model.head, "extractor": model.extractor}
    return params | {f"set.{key}": str(value) for key, value in model.settings.items()}


@contextlib.contextmanager
def _quiet_mlflow() -> Iterator[None]:
    """MLflow without its chatter: no usage reports to its makers, no progress bars, no remarks on stderr."""
    for key, value in _DEFAULTS.items():
        os.environ.setdefault(key, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow

        logger = logging.getLogger(mlflow.__name__)
        level = logger.level
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(level)
