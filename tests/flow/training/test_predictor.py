"""A model's folder: whatever was edited is found before anything is constructed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pellucid import Project
from pellucid.errors import IntegrityError, UsageError, VersionError
from pellucid.features.extractor import open_extractor
from pellucid.flow.training import predictor as module
from pellucid.flow.training.predictor import PROTOCOL, Predictor, load_predictor, read_text, write_model


@pytest.fixture
def folder(make_project: Callable[..., Project], trained_folder: Path) -> Path:
    return Path(
        make_project(of=trained_folder).workspace.artifacts.fetch_folder("models", model_id(trained_folder), Path())
    )


def model_id(trained_folder: Path) -> str:
    with Project(trained_folder) as project:
        return project.model("pets@1").id


def no_weights(digest: str) -> Path:
    raise AssertionError(digest)


@pytest.fixture
def constructed(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What was constructed."""
    made: list[object] = []

    def note(*args: object, **options: object) -> None:
        made.append(args)

    monkeypatch.setattr(module, "restore_extractor", note)
    return made


def edit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_loads_what_was_written(folder: Path, trained_folder: Path) -> None:
    predictor = load_predictor(folder, model_id(trained_folder), no_weights)
    assert predictor.classes == ("cat", "dog")
    X = np.zeros((3, predictor.extractor.dim), np.float32)
    assert np.allclose(predictor.predict_vectors(X).sum(axis=1), 1)
    assert predictor.predict_vectors(X[:0]).shape == (0, 2)


@pytest.mark.parametrize("name", ["model.json", "head.safetensors", "head.json"])
@pytest.mark.parametrize("act", [edit, Path.unlink])
def test_an_edited_or_missing_file_is_refused(
    folder: Path, trained_folder: Path, name: str, act: Callable[[Path], None], constructed: list[object]
) -> None:
    act(folder / name)
    with pytest.raises(IntegrityError):
        load_predictor(folder, model_id(trained_folder), no_weights)
    assert not constructed


@pytest.mark.parametrize("name", ["evaluation.json", "README.md"])
@pytest.mark.parametrize("act", [edit, Path.unlink])
def test_so_are_the_card_and_the_evaluation(
    folder: Path, trained_folder: Path, name: str, act: Callable[[Path], None]
) -> None:
    assert read_text(folder, model_id(trained_folder), name)
    act(folder / name)
    with pytest.raises(IntegrityError):
        read_text(folder, model_id(trained_folder), name)


def rewritten(folder: Path, **changes: object) -> str:
    """Edits model.json as somebody would who also knows the digests; returns the new id."""
    path = folder / "model.json"
    data = json.dumps(json.loads(path.read_bytes()) | changes).encode()
    path.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def test_a_newer_protocol_asks_for_an_upgrade(folder: Path) -> None:
    with pytest.raises(VersionError, match="upgrade"):
        load_predictor(folder, rewritten(folder, protocol=PROTOCOL + 1, unheard_of=[1]), no_weights)


@pytest.mark.parametrize(
    "changes",
    [
        {"classes": "cat"},
        {"classes": [1, 2]},
        {"classes": ["cat"]},
        {"fingerprint": "0" * 64},
        {"protocol": "1"},
        {"files": {"head.json": 1}},
        {"further": 1},
    ],
)
def test_forged_content_is_refused(folder: Path, changes: dict[str, object]) -> None:
    with pytest.raises(IntegrityError):
        load_predictor(folder, rewritten(folder, **changes), no_weights)


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '"x"'])
def test_what_is_no_model_at_all_is_refused(folder: Path, text: str) -> None:
    (folder / "model.json").write_text(text)
    with pytest.raises(IntegrityError):
        load_predictor(folder, None, no_weights)


def test_a_class_that_was_never_learnt_gets_nothing(folder: Path, trained_folder: Path) -> None:
    known = load_predictor(folder, model_id(trained_folder), no_weights)
    wider = Predictor(known.extractor, known.head, ("cat", "dog", "eel"))
    found = wider.predict_vectors(np.ones((2, known.extractor.dim), np.float32))
    assert np.array_equal(found[:, 2], [0, 0])
    assert np.allclose(found.sum(axis=1), 1)


def test_a_users_own_extractor_is_imported_for_the_projects_own_models_only(
    folder: Path, plugins: str, tmp_path: Path
) -> None:
    known = load_predictor(folder, None, no_weights)
    own = open_extractor(f"{plugins}:Brightness")
    X = np.random.default_rng(0).random((20, own.dim))
    known.head.fit(X, np.arange(20) % 2)
    names = ("dataset", "content_id", "head", "settings", "seed", "metrics", "environment")
    facts = {name: known.facts[name] for name in names}
    made = write_model(tmp_path / "own", Predictor(own, known.head, ("cat", "dog")), facts, {})
    assert load_predictor(tmp_path / "own", made, no_weights, trusted=True).extractor.dim == own.dim
    with pytest.raises(UsageError, match="not registered"):
        load_predictor(tmp_path / "own", made, no_weights)
