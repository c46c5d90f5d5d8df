"""The mirror in MLflow, read with MLflow's own client: complete, repeatable, and never in the way."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient

from pellucid.errors import ConfigError, StorageError
from pellucid.store.tracking import Tracking, write_pyfunc
from pellucid.types import ModelVersion

# MLflow's own SQL; the client that the tests read with is not silenced as the mirror's is.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning", "ignore::FutureWarning")

MODEL = ModelVersion(
    name="pets",
    version=1,
    id="a" * 64,
    dataset="pets@3",
    head="logistic",
    extractor="classical",
    fingerprint="f" * 64,
    settings={"epochs": 5, "rate": 0.1},
    classes=("cat", "dog"),
    metrics={"accuracy": 0.75},
    created_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    uri="/models/a",
)
METRICS = {"accuracy": [(0, 0.75)], "by_epoch": [(step, step / 1000) for step in range(250)]}
ACTS = (
    "create_experiment",
    "create_run",
    "log_batch",
    "log_artifacts",
    "create_registered_model",
    "create_model_version",
    "set_terminated",
)


@pytest.fixture(scope="session")
def empty_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables; making them takes seconds."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def url(tmp_path: Path, empty_mlflow: Path) -> str:
    return f"sqlite:///{shutil.copy(empty_mlflow, tmp_path / 'mlflow.db')}"


@pytest.fixture
def tracking(url: str, tmp_path: Path) -> Tracking:
    return Tracking(url, str(tmp_path / "arte facts#1"))


@pytest.fixture
def client(url: str) -> MlflowClient:
    return MlflowClient(url, url)


@pytest.fixture
def pyfunc(tmp_path: Path) -> Path:
    folder = tmp_path / "pyfunc"
    (folder / "artifacts").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}\n", encoding="utf-8")
    (folder / "artifacts" / "w.bin").write_bytes(b"w")
    return folder


@pytest.fixture
def report(tmp_path: Path) -> Path:
    folder = tmp_path / "report"
    folder.mkdir()
    (folder / "report.html").write_text("<p>", encoding="utf-8")
    return folder


@pytest.fixture
def mirror(tracking: Tracking, pyfunc: Path, report: Path) -> Callable[..., str]:
    def act(model: ModelVersion = MODEL) -> str:
        return tracking.mirror(model, pyfunc, report, METRICS)

    return act


def artifacts_of(client: MlflowClient, run_id: str, path: str = "") -> set[str]:
    found: set[str] = set()
    for item in client.list_artifacts(run_id, path):
        found |= artifacts_of(client, run_id, item.path) if item.is_dir else {item.path}
    return found


def check(client: MlflowClient, number: str) -> None:
    """All that the mirror promises, and nothing twice."""
    (version,) = client.search_model_versions("name = 'pets'")
    assert version.version == int(number)
    assert version.tags == {"pellucid.model": "pets@1", "pellucid.model_id": "a" * 64}
    experiment = client.get_experiment_by_name("pets")
    (run,) = client.search_runs([experiment.experiment_id])
    assert version.run_id == run.info.run_id
    assert run.info.status == "FINISHED"
    assert run.info.end_time == MODEL.created_at.timestamp() * 1000
    assert run.data.tags["pellucid.dataset"] == "pets@3"
    assert run.data.params == {
        "dataset": "pets@3",
        "head": "logistic",
        "extractor": "classical",
        "set.epochs": "5",
        "set.rate": "0.1",
    }
    (learnt,) = run.inputs.dataset_inputs
    assert (learnt.dataset.name, learnt.dataset.digest) == ("pets", "pets@3")
    assert run.data.metrics == {"accuracy": 0.75, "by_epoch": 0.249}
    history = client.get_metric_history(run.info.run_id, "by_epoch")
    assert sorted((point.step, point.value) for point in history) == METRICS["by_epoch"]
    wanted = {"model/MLmodel", "model/artifacts/w.bin", "report/report.html"}
    assert artifacts_of(client, run.info.run_id) == wanted


def test_mlflows_own_client_reads_the_mirror(client: MlflowClient, mirror: Callable[..., str], tmp_path: Path) -> None:
    check(client, mirror())
    assert (tmp_path / "arte facts#1" / "mlflow" / "pets").is_dir()


def test_a_second_time_changes_nothing(client: MlflowClient, mirror: Callable[..., str]) -> None:
    assert mirror() == mirror()
    check(client, mirror())


def test_versions_of_a_name_are_apart(client: MlflowClient, mirror: Callable[..., str]) -> None:
    numbers = [mirror(), mirror(replace(MODEL, version=2)), mirror(replace(MODEL, id="b" * 64))]
    assert len(set(numbers)) == 3  # the last one is another project's model of the same name
    assert len({item.run_id for item in client.search_model_versions("name = 'pets'")}) == 3


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("act", ACTS)
def test_a_mirror_that_was_killed_between_any_two_steps_is_completed(
    client: MlflowClient, mirror: Callable[..., str], monkeypatch: pytest.MonkeyPatch, act: str, when: str
) -> None:
    real = getattr(MlflowClient, act)

    def killed(self: MlflowClient, *args: Any, **options: Any) -> None:
        if when == "after":
            real(self, *args, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, act, killed)
        with pytest.raises(KeyboardInterrupt):
            mirror()
    check(client, mirror())


@pytest.mark.parametrize("act", ["get_experiment_by_name", "create_registered_model"])
def test_what_another_process_made_a_moment_ago_is_used(
    client: MlflowClient, mirror: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, act: str
) -> None:
    real = getattr(MlflowClient, act)
    calls = []

    def raced(self: MlflowClient, *args: Any, **options: Any) -> Any:
        calls.append(args)
        if act == "get_experiment_by_name" and len(calls) == 1:
            client.create_experiment("pets", artifact_location=(tmp_path / "theirs").as_uri())
            return None
        if len(calls) == 1:
            client._get_registry_client().create_registered_model("pets")
        return real(self, *args, **options)

    monkeypatch.setattr(MlflowClient, act, raced)
    mirror()
    assert len(client.search_model_versions("name = 'pets'")) == 1


def test_an_experiment_that_somebody_deleted_is_brought_back(client: MlflowClient, mirror: Callable[..., str]) -> None:
    mirror()
    client.delete_experiment(client.get_experiment_by_name("pets").experiment_id)
    mirror(replace(MODEL, version=2))
    assert client.get_experiment_by_name("pets").lifecycle_stage == "active"


def test_an_alias_is_set_and_moved(client: MlflowClient, tracking: Tracking, mirror: Callable[..., str]) -> None:
    numbers = [mirror(), mirror(replace(MODEL, version=2))]
    for number in (numbers[0], numbers[1], numbers[1]):
        tracking.set_alias("pets", "champion", number)
        assert client.get_model_version_by_alias("pets", "champion").version == int(number)
    with pytest.raises(StorageError, match="MLflow did not take the model"):
        tracking.set_alias("nobody", "champion", "1")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:hun%40ter2@127.0.0.1:1/mlflow",
        "http://ann:hunter2@127.0.0.1:1",
        "sqlite:////nowhere/at/all/mlflow.db",
    ],
)
def test_an_mlflow_that_cannot_be_reached_is_said(
    url: str, tmp_path: Path, pyfunc: Path, report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    tracking = Tracking(url, str(tmp_path))
    for act in (
        lambda: tracking.mirror(MODEL, pyfunc, report, METRICS),
        lambda: tracking.set_alias("pets", "champion", "1"),
    ):
        with pytest.raises(StorageError, match=r"MLflow did not take the model: .*`pellucid models mirror`") as caught:
            act()
        assert "ter2" not in str(caught.value)


def test_a_full_disk_is_said(mirror: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(MlflowClient, "log_artifacts", full)
    with pytest.raises(StorageError, match="No space left on device"):
        mirror()


@pytest.mark.parametrize("url", ["", "mlruns", "mysql://ann:hunter2@db/x", "file:///mlruns"])
def test_what_is_no_place_for_mlflow_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"mlflow_url is .*or http://SERVER") as caught:
        Tracking(url, "artifacts")
    assert "hunter2" not in str(caught.value)


def test_a_pyfunc_folder_is_code_and_files_without_a_pickle(tmp_path: Path) -> None:
    loader, model = tmp_path / "loader.py", tmp_path / "model"
    loader.write_text(
        "from pathlib import Path\n"
        "from mlflow.models import set_model\n"
        "from mlflow.pyfunc import PythonModel\n"
        "class Reader(PythonModel):\n"
        "    def load_context(self, context):\n"
        "        self.text = (Path(context.artifacts['model']) / 'model.json').read_text()\n"
        "    def predict(self, context, model_input: list[str], params=None):\n"
        "        return [self.text + item for item in model_input]\n"
        "set_model(Reader())\n",
        encoding="utf-8",
    )
    model.mkdir()
    (model / "model.json").write_text("said: ", encoding="utf-8")
    write_pyfunc(tmp_path / "made", loader=loader, model=model)
    assert not [file for file in (tmp_path / "made").rglob("*") if file.suffix in {".pkl", ".pickle", ".joblib"}]
    assert mlflow.pyfunc.load_model(str(tmp_path / "made")).predict(["x"]) == ["said: x"]
