from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from pellucid.flow.data.shelf import Shelf
from pellucid.flow.online.forget import forget
from pellucid.flow.production.story import NEAREST, Story, story
from pellucid.types import Split

from ..conftest import Pets


def tell(pets: Pets, sample: str, *, ref: str = "pets@1", near: bool = False) -> Story:
    by = pets.live.predictor.extractor if near else None
    return story(Shelf(), pets.project.workspace, ref, sample, by=by)


def test_everything_that_was_said_and_learnt_of_a_picture(pets: Pets) -> None:
    (sample,) = pets.show("cat", 1)
    pets.say(sample, "cat", "ann", note="sure")
    pets.say(sample, "dog", "bob")
    found = tell(pets, sample[:12])
    assert found.sample == sample
    assert [(item.vote.voter, item.vote.label, item.vote.note) for item in found.words] == [
        ("bob", "dog", None),
        ("ann", "cat", "sure"),
    ]
    assert (found.asked, [item.model for item in found.answers]) == (1, ["pets@1"])
    assert found.lines[-1].model == "pets@1"
    assert (found.lines[-1].entry.action, found.lines[-1].entry.label) == ("learn", "cat")
    assert all(item.at <= datetime.now(UTC) for item in found.lines)
    assert [row for _, row in found.versions] == [None]  # it came after the version was made
    assert found.facts == ("image/png", 24, 24)


def test_what_was_taken_back_is_told_too(pets: Pets) -> None:
    (sample,) = pets.show("cat", 1)
    pets.say(sample, "dog", "liar")
    forget(pets.project.workspace, "pets", voter="liar", actor="chief", reason="was drunk", live=pets.live)
    (word,) = tell(pets, sample).words
    assert word.retracted is not None
    assert (word.vote.voter, word.retracted.actor, word.retracted.reason) == ("liar", "chief", "was drunk")


def test_its_row_in_each_version_newest_first(pets: Pets) -> None:
    row = pets.rows(Split.TRAIN)[0]
    pets.project.settle("pets", [row.sample], "eel")
    found = tell(pets, row.sample, ref="pets")
    assert [(ref, item and item.label) for ref, item in found.versions] == [("pets@2", "eel"), ("pets@1", row.label)]
    assert found.versions[1][1] == row
    assert [(name, item.path.partition("/")[0]) for name, item in found.files] == [("pets", row.label)]
    assert (found.learnt_by, found.judged) == (("pets@1",), ())


def test_neighbours_are_the_nearest_by_cosine(pets: Pets) -> None:
    row = pets.rows(Split.TRAIN)[0]
    found = tell(pets, row.sample, near=True).neighbours
    with pets.project.workspace.database.read() as connection:
        known = [item for item in pets.rows(Split.TRAIN) + pets.rows(Split.TEST) if item.sample != row.sample]
        X = pets.live.look_up(connection, [row.sample, *(item.sample for item in known)]).X.astype(float)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    cosine = dict(zip([item.sample for item in known], X[1:] @ X[0], strict=True))
    assert len(found) == NEAREST
    assert [item.similarity for item in found] == sorted((item.similarity for item in found), reverse=True)
    assert min(item.similarity for item in found) >= sorted(cosine.values())[-NEAREST] - 1e-6
    for item in found:
        assert abs(item.similarity - cosine.get(item.row.sample, item.similarity)) < 1e-5
    assert tell(pets, row.sample).neighbours == ()


def test_a_picture_that_came_alone_has_neighbours(pets: Pets) -> None:
    (sample,) = pets.show("dog", 7)
    assert {item.row.label for item in tell(pets, sample, near=True).neighbours[:3]} == {"dog"}


def test_what_looks_alike_and_what_was_found(
    pets: Pets, burst: Callable[[int, int], list[bytes]], tmp_path: Path
) -> None:
    for label, data in zip(("cat", "dog"), burst(3, 2), strict=True):
        (tmp_path / "in" / label).mkdir(parents=True)
        (tmp_path / "in" / label / "shot.png").write_bytes(data)
    pets.project.ingest(tmp_path / "in", "bursts", test_fraction=0.0)
    one, other = pets.project.inspect("bursts").rows
    found = tell(pets, one.sample, ref="bursts")
    assert [row.sample for row in found.group] == [other.sample]
    assert {item.kind for item in found.findings} == {"near_duplicate", "near_conflict"}


def test_a_picture_whose_image_is_damaged_still_has_a_story(pets: Pets) -> None:
    row = pets.rows(Split.TRAIN)[0]
    packs = pets.project.workspace.root / ".pellucid" / "blobs" / "packs"
    for pack in packs.rglob("*.pack"):
        pack.write_bytes(bytes(pack.stat().st_size))
    assert tell(pets, row.sample).versions[0][1] == row
