"""MLflow loads what Pellucid registered, and answers as Pellucid does."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pellucid import Project
from pellucid.errors import IntegrityError, UsageError
from pellucid.flow.training.portable import WEIGHTS_FILE
from pellucid.flow.training.pyfunc import load_folder

pytestmark = pytest.mark.filterwarnings("ignore:::mlflow")


@pytest.fixture(scope="module")
def mlflow() -> Any:
    """MLflow, which warns while it is imported unless pellucid.flow.training.pyfunc has done that."""
    import mlflow

    return mlflow


@pytest.fixture(scope="module")
def portable(trained_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exported model, far from its project."""
    target = tmp_path_factory.mktemp("portable") / "model"
    with Project(trained_folder) as project:
        project.export_model("pets@1", target)
    return target


@pytest.fixture(scope="module")
def served(portable: Path, mlflow: Any) -> Any:
    return mlflow.pyfunc.load_model(str(portable))


@pytest.fixture
def files(picture: Callable[..., bytes], tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "a cat.png", tmp_path / "dog.png"]
    for path, label in zip(paths, ("cat", "dog"), strict=True):
        path.write_bytes(picture(label, 300))
    return paths


def test_answers_are_pellucids_own(
    served: Any, files: list[Path], make_project: Callable[..., Project], trained_folder: Path
) -> None:
    table = served.predict([str(path) for path in files])
    own = make_project(of=trained_folder).predict(*files, model="pets@1")
    assert list(table.columns) == ["label", "confidence", "p(cat)", "p(dog)", "error"]
    assert list(table["label"]) == [answer.label for answer in own] == ["cat", "dog"]
    assert np.allclose(table["confidence"], [answer.confidence or 0.0 for answer in own])
    assert np.allclose(table["p(cat)"], [answer.probabilities["cat"] for answer in own])


@pytest.mark.parametrize(
    "form",
    [
        lambda paths: [path.read_bytes() for path in paths],
        lambda paths: np.array([str(path) for path in paths]),
        lambda paths: np.array([path.read_bytes() for path in paths], dtype=object),
        lambda paths: pd.Series([str(path) for path in paths]),
        lambda paths: pd.DataFrame({"image": [path.read_bytes() for path in paths]}),
        lambda paths: [base64.b64encode(path.read_bytes()).decode() for path in paths],
    ],
)
def test_every_form_of_input(served: Any, files: list[Path], form: Callable[[list[Path]], Any]) -> None:
    table = served.predict(form(files))
    assert list(table["label"]) == ["cat", "dog"]
    assert table["error"].isna().all()


def test_a_single_one(served: Any, files: list[Path]) -> None:
    assert list(served.predict(str(files[0]))["label"]) == ["cat"]
    assert list(served.predict(files[1].read_bytes())["label"]) == ["dog"]


@pytest.mark.parametrize("bad", [b"no image", "nowhere.png", "", "x" * 5000, "a" * 300, "ab\0c"])
def test_what_cannot_be_used_gets_an_error_and_stops_nothing(served: Any, files: list[Path], bad: str | bytes) -> None:
    good = str(files[0]) if isinstance(bad, str) else files[0].read_bytes()
    table = served.predict([bad, good])
    assert list(table["label"].isna()) == [True, False]
    assert isinstance(table["error"][0], str)


def test_the_folder_can_be_moved_and_holds_no_pickle(
    portable: Path, mlflow: Any, files: list[Path], tmp_path: Path
) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(portable, moved)
    assert list(mlflow.pyfunc.load_model(str(moved)).predict([str(files[0])])["label"]) == ["cat"]
    assert not [path for path in moved.rglob("*") if path.suffix in {".pkl", ".pickle", ".joblib"}]


def test_an_edited_folder_is_refused(portable: Path, tmp_path: Path) -> None:
    shutil.copytree(portable, tmp_path / "edited")
    head = next((tmp_path / "edited").rglob("head.safetensors"))
    head.write_bytes(head.read_bytes()[:-1] + b"x")
    with pytest.raises(IntegrityError):
        load_folder(head.parent)
    (head.parent / WEIGHTS_FILE).write_text("[")
    with pytest.raises(IntegrityError, match="register the model again"):
        load_folder(head.parent)


def test_the_registry_and_its_aliases(
    make_project: Callable[..., Project],
    trained_folder: Path,
    mlflow: Any,
    files: list[Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    project = make_project(of=trained_folder)
    project.promote("pets@1")
    url = project.workspace.tracking._url
    monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
    previous = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    mlflow.set_tracking_uri(url)
    mlflow.set_registry_uri(url)
    try:
        champion = mlflow.pyfunc.load_model("models:/pets@champion")
        assert list(champion.predict([str(path) for path in files])["label"]) == ["cat", "dog"]
        client = mlflow.MlflowClient()
        version = client.get_model_version_by_alias("pets", "champion")
        run = client.get_run(version.run_id)
        assert run.data.params["head"] == "kernel"
        assert run.data.metrics["accuracy"] == project.model("pets@1").metrics["accuracy"]
        assert {item.path for item in client.list_artifacts(version.run_id)} == {"model", "report"}
    finally:
        mlflow.set_tracking_uri(previous[0])
        mlflow.set_registry_uri(previous[1])


def test_weights_travel_with_an_export_and_are_named_in_the_registry(portable: Path, tmp_path: Path) -> None:
    places = json.loads(next(portable.rglob(WEIGHTS_FILE)).read_text())
    assert set(places) == {"model"}  # its id; the classical extractor has no weights


def test_an_edited_model_json_is_refused(portable: Path, tmp_path: Path) -> None:
    shutil.copytree(portable, tmp_path / "edited")
    facts = next((tmp_path / "edited").rglob("model.json"))
    content = json.loads(facts.read_text())
    facts.write_text(json.dumps({**content, "classes": content["classes"][::-1]}))
    with pytest.raises(IntegrityError, match="damaged or edited"):
        load_folder(facts.parent)


def test_export_needs_a_place_of_its_own(
    make_project: Callable[..., Project], trained_folder: Path, tmp_path: Path
) -> None:
    project = make_project(of=trained_folder)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="is there already"):
        project.export_model("pets@1", tmp_path / "full")
    assert (tmp_path / "full" / "thesis.txt").exists()
    (tmp_path / "empty").mkdir()
    assert project.export_model("pets@1", tmp_path / "empty").ref == "pets@1"
    assert (tmp_path / "empty" / "MLmodel").exists()
