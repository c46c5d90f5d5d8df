"""A wide look at stored images: it finds what a blind network does not, and does without images that are gone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pellucid import Project
from pellucid.errors import UsageError
from pellucid.features.extractor import Extractor
from pellucid.features.wide import join
from pellucid.flow.data import look as module
from pellucid.flow.data.embed import embed_intact, embed_samples
from pellucid.flow.data.look import look_widely

COUNTS = {"cat": 24, "dog": 24, "eel": 24}


@pytest.fixture
def broken(project: Project, class_folders: Callable[..., Path], tmp_path: Path) -> Project:
    project.ingest(class_folders(tmp_path / "source", COUNTS), "pets")
    project.corrupt("pets", labels="symmetric", rate=0.2, seed=2)
    return project


@pytest.fixture
def blind(make_onnx: Callable[..., Path]) -> str:
    """A network that sees no colours, which is what tells these pets apart."""
    return f"onnx:{make_onnx('blind.onnx', weights=np.zeros((3, 4), np.float32))}"


@pytest.fixture
def looked_at(broken: Project, make_onnx: Callable[..., Path]) -> tuple[Extractor, list[str], NDArray[np.float32]]:
    """A network, some samples, and its vectors of them."""
    extractor = broken.workspace.extractor(f"onnx:{make_onnx()}")
    ids = [row.sample for row in broken.inspect("pets").rows][:4]
    return extractor, ids, embed_samples(broken.workspace, extractor, ids)


def test_what_a_network_is_blind_to_is_found_all_the_same(broken: Project, blind: str) -> None:
    plain = broken.clean("pets", extractor=blind, look="plain", dry_run=True)
    assert plain.truth is not None
    assert (plain.look, plain.truth.found) == ("plain", 0)
    report = broken.clean("pets", extractor=blind)
    assert report.truth is not None
    assert report.truth.found == report.truth.wrong > 5
    assert (report.look, report.extractor, report.version.recipe["look"]) == ("wide", blind, "wide")
    assert broken.audit_page(report).exists()


def test_hand_made_features_are_looked_at_once(broken: Project) -> None:
    report = broken.clean("pets")
    assert (report.extractor, report.look) == ("classical", "plain")


def test_another_look_is_refused(broken: Project) -> None:
    with pytest.raises(UsageError, match="there is no look 'close'; the looks are plain, wide"):
        broken.clean("pets", look="close")


def test_an_image_that_is_gone_is_seen_as_it_was_kept(
    broken: Project, looked_at: tuple[Extractor, list[str], NDArray[np.float32]], monkeypatch: pytest.MonkeyPatch
) -> None:
    extractor, ids, X = looked_at
    whole = look_widely(broken.workspace, extractor, ids, X)
    assert whole is not None

    def without_one(*words: Any, **more: Any) -> Any:
        return {name: x for name, x in embed_intact(*words, **more).items() if name != ids[2]}

    monkeypatch.setattr(module, "embed_intact", without_one)
    found = look_widely(broken.workspace, extractor, ids, X)
    assert found is not None
    rest = [0, 1, 3]
    np.testing.assert_array_equal(found[rest], whole[rest])
    nothing = np.zeros((1, whole.shape[1] - X.shape[1]), np.float32)
    np.testing.assert_array_equal(found[2:3], join([X[2:3], nothing], [X.shape[1], nothing.shape[1]]))


def test_more_images_than_memory_holds_are_looked_at_plainly(
    broken: Project, looked_at: tuple[Extractor, list[str], NDArray[np.float32]], monkeypatch: pytest.MonkeyPatch
) -> None:
    extractor, ids, X = looked_at
    monkeypatch.setattr(module, "_MOST_CELLS", 4 * 2000)
    assert look_widely(broken.workspace, extractor, ids, X) is None
