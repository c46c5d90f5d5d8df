from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from pellucid import Project
from pellucid.errors import NotFoundError
from pellucid.types import Split


@pytest.fixture
def pets(make_project: Callable[..., Project], trained_folder: Path) -> Project:
    return make_project(of=trained_folder)


def test_ancestors_with_what_was_made_of_them(
    pets: Project, class_folders: Callable[..., Path], tmp_path: Path
) -> None:
    pets.ingest(class_folders(tmp_path / "more", {"eel": 2}, start=60), "pets")
    pets.settle("pets", [pets.inspect("pets").rows[0].sample], "newt")
    steps = pets.lineage("pets")
    assert [step.version.ref for step in steps] == ["pets@3", "pets@2", "pets@1"]
    assert [step.version.recipe["verb"] for step in steps] == ["settle", "ingest", "ingest"]
    assert [[model.ref for model in step.models] for step in steps] == [[], [], ["pets@1"]]
    assert [step.version.ref for step in pets.lineage("pets@1")] == ["pets@1"]


def test_what_a_sample_has_touched(pets: Project, tmp_path: Path) -> None:
    row = next(row for row in pets.inspect("pets").rows if row.split is Split.TRAIN)
    held_out = next(row for row in pets.inspect("pets").rows if row.split is Split.TEST)
    pets.promote("pets@1")
    image = tmp_path / "again.png"
    image.write_bytes(pets.workspace.images.get(row.sample))
    pets.predict(image)
    touched = pets.impact(row.sample[:10])
    assert touched.sample == row.sample
    assert [item.path.partition("/")[0] for item in touched.files["pets"]] == [row.label]
    assert [(vote.label, vote.voter) for vote in touched.votes] == [(row.label, "source")]
    assert [(ref, found.label) for ref, found in touched.versions] == [("pets@1", row.label)]
    assert (touched.learnt_by, touched.judged) == (("pets@1",), ())
    assert [answer["path"] for answer in touched.predictions] == [str(image)]
    assert dict(touched.answers_given) == {"pets@1": 1}
    other = pets.impact(held_out.sample)
    assert (other.learnt_by, other.judged, other.predictions) == ((), ("pets@1",), ())
    with pytest.raises(NotFoundError):
        pets.impact("zz")


def test_an_image_that_was_only_predicted_has_an_impact_too(pets: Project, tmp_path: Path) -> None:
    pets.promote("pets@1")
    image = tmp_path / "stranger.png"
    Image.new("RGB", (40, 30), "orange").save(image)
    (answer,) = pets.predict(image)
    assert answer.sample is not None
    touched = pets.impact(answer.sample[:12])
    assert (touched.files, touched.votes, touched.versions, touched.learnt_by) == ({}, (), (), ())
    assert [(item["path"], item["label"]) for item in touched.predictions] == [(str(image), answer.label)]


def test_differences_and_why(pets: Project, class_folders: Callable[..., Path], tmp_path: Path) -> None:
    row = pets.inspect("pets").rows[0]
    pets.settle("pets", [row.sample], "eel", voter="ann")
    pets.ingest(class_folders(tmp_path / "more", {"newt": 1}, start=60), "pets")
    found = pets.diff("pets@1", "pets@3")
    assert (found.before.ref, found.after.ref, found.new_classes) == ("pets@1", "pets@3", ("eel", "newt"))
    why = {difference.sample: difference.why for difference in found.differences}
    assert why.pop(row.sample) == "label changed by settle, ingest: ann (ground_truth) said eel"
    assert list(why.values()) == ["added by settle, ingest"]
    back = pets.diff("pets@3", "pets@1")
    assert sorted(item.why for item in back.differences) == ["label changed", "removed"]
    assert pets.diff("pets@1", "pets@1").differences == ()
