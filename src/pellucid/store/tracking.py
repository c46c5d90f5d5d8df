"""The mirror in MLflow: runs with metrics and artifacts, registered versions, aliases.

Pellucid's own database decides; this only repeats it where MLflow's users look. Every act can be repeated: it finds
what an earlier, killed attempt left and completes it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pellucid.config import hide_secrets
from pellucid.errors import StorageError
from pellucid.store.database import parse_url, probe
from pellucid.store.samples import chunked
from pellucid.types import ModelVersion

TAG = "pellucid.model"  # a run's and a version's tag: "NAME@VERSION" of the model that it mirrors
_DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # MLflow's own 7 take minutes, while the registry stands anyway
}
_SERVERS = ("http://", "https://", "databricks")
_BATCH = 100  # of params or metrics; MLflow takes 100 and 1,000


class Tracking:
    """One MLflow tracking store and registry.

    Args:
        url: a database URL, or an MLflow server's.
        artifacts: where the files of runs go, a folder or a bucket's prefix.

    Raises:
        ConfigError: the URL is neither.
    """

    def __init__(self, url: str, artifacts: str) -> None:
        server = url.startswith(_SERVERS)
        self._database = None if server else parse_url(url, "mlflow_url", or_else=", or http://SERVER")
        self._url = self._database.render_as_string(hide_password=False) if self._database else url
        self._artifacts = artifacts.rstrip("/") if "://" in artifacts else Path(artifacts).absolute().as_uri()

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

        Raises:
            StorageError: MLflow, or the place of its artifacts, does not take it.
        """
        with _quiet_mlflow(), self._client() as client:
            from mlflow.entities import Dataset, DatasetInput, Metric, Param

            made = int(model.created_at.timestamp() * 1000)
            run = self._run_of(client, model)
            points = [Metric(name, value, made, step) for name, steps in metrics.items() for step, value in steps]
            for batch in chunked(points, _BATCH):
                client.log_batch(run.info.run_id, metrics=batch)
            for params in chunked(_params(model).items(), _BATCH):
                client.log_batch(run.info.run_id, params=[Param(key, value) for key, value in params])
            learnt = Dataset(
                model.name, model.dataset, source_type="pellucid", source=json.dumps({"ref": model.dataset})
            )
            client.log_inputs(run.info.run_id, [DatasetInput(learnt)])
            client.log_artifacts(run.info.run_id, str(pyfunc), "model")
            client.log_artifacts(run.info.run_id, str(report), "report")
            version = self._version_of(client, model, run)
            client.set_terminated(run.info.run_id, "FINISHED", made)
            return version

    def set_alias(self, name: str, alias: str, version: str) -> None:
        """Points MLflow's alias at the version, as the registry decided.

        Raises:
            StorageError: MLflow does not take it.
        """
        with _quiet_mlflow(), self._client() as client:
            client.set_registered_model_alias(name, alias, version)

    @contextlib.contextmanager
    def _client(self) -> Iterator[Any]:
        from mlflow import MlflowClient

        try:
            if self._database is not None:
                probe(self._database)
            yield MlflowClient(tracking_uri=self._url, registry_uri=self._url)
        except Exception as error:  # its stores raise what their drivers do: MLflow's, SQLAlchemy's, botocore's, ...
            text = hide_secrets(next(iter(str(error).splitlines()), "") or type(error).__name__)
            raise StorageError(
                f"MLflow did not take the model: {text}; the registry itself has it, and `pellucid models mirror` "
                "tries again"
            ) from error

    def _run_of(self, client: Any, model: ModelVersion) -> Any:
        experiment = self._experiment_of(client, model.name)
        # By content too: another project may have a model of the same name on the same server.
        mine = f"tags.`{TAG}` = '{model.ref}' AND tags.`{TAG}_id` = '{model.id}'"
        runs = client.search_runs([experiment], mine, max_results=1)
        if runs:
            return runs[0]
        tags = {TAG: model.ref, f"{TAG}_id": model.id, "pellucid.dataset": model.dataset}
        start = int(model.created_at.timestamp() * 1000)
        return client.create_run(experiment, start, tags=tags, run_name=f"{model.ref} {model.head}")

    def _experiment_of(self, client: Any, name: str) -> str:
        found = client.get_experiment_by_name(name)
        if found is None:
            with _unless_there():
                client.create_experiment(name, artifact_location=f"{self._artifacts}/mlflow/{name}")
            found = client.get_experiment_by_name(name)
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    def _version_of(self, client: Any, model: ModelVersion, run: Any) -> str:
        with _unless_there():
            client.create_registered_model(model.name, description="Kept by Pellucid, which decides its aliases.")
        for known in client.search_model_versions(f"name = '{model.name}' and run_id = '{run.info.run_id}'"):
            return str(known.version)
        made = client.create_model_version(
            model.name,
            source=f"{run.info.artifact_uri}/model",
            run_id=run.info.run_id,
            tags={TAG: model.ref, f"{TAG}_id": model.id},
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
def _unless_there() -> Iterator[None]:
    """Making something that another process made a moment ago is no error."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


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
