"""Images that come one by one: looked at, answered by one state, and kept with the answer or not at all."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from pellucid import Project
from pellucid.errors import ImageError, NotFoundError, StorageError
from pellucid.features.decode import decode
from pellucid.flow.online.answer import Asked, Seen, answer, give_answers, look_at, store_images
from pellucid.flow.online.live import LiveModel
from pellucid.store.live_vectors import vectors_of
from pellucid.store.predictions import answer_of
from pellucid.store.schema import live_vector, prediction, sample
from pellucid.types import Answer, Role

from ..conftest import Pets

Picture = Callable[..., bytes]

pytestmark = pytest.mark.usefixtures("no_reports")


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as made:
        yield made


def ask(pets: Pets, *images: bytes, **options: Any) -> list[Any]:
    return answer(pets.project.workspace, pets.live.answerer, [Asked(data) for data in images], **options)


def count(pets: Pets, table: sa.Table) -> int:
    with pets.project.workspace.database.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def test_an_answer_says_what_the_model_says_and_is_kept(pets: Pets, picture: Picture) -> None:
    data, before = picture("cat", 500), datetime.now(UTC)
    asked = Asked(data, actor="line-3", name="a\nb.png", uid="mine")
    (found,) = answer(pets.project.workspace, pets.live.answerer, [asked])
    assert isinstance(found, Answer)
    assert (found.uid, found.actor, found.name, found.model, found.ledger) == (
        "mine",
        "line-3",
        "a\nb.png",
        "pets@1",
        0,
    )
    assert found.sample == hashlib.sha256(data).hexdigest()
    assert before <= found.at <= datetime.now(UTC)
    vector = pets.live.predictor.extractor.embed([decode(data).image])
    (shares,) = pets.live.predictor.predict_vectors(vector)
    assert list(found.probabilities) == ["cat", "dog"]
    assert list(found.probabilities.values()) == pytest.approx(shares.tolist(), abs=1e-6)
    assert found.label == max(found.probabilities, key=lambda name: found.probabilities[name])
    assert found.confidence == found.probabilities[found.label]
    assert found.entropy == pytest.approx(-sum(p * math.log(p) for p in found.probabilities.values() if p > 0))
    assert found.novelty is not None
    assert 0 <= found.novelty <= 1
    assert set(found.likely) <= {"cat", "dog"}
    with pets.project.workspace.database.read() as connection:
        kept = answer_of(connection, "mine")
        vectors = vectors_of(connection, pets.live.model.fingerprint, [found.sample])
    assert (kept.label, kept.probabilities, kept.likely, kept.at) == (
        found.label,
        found.probabilities,
        found.likely,
        found.at,
    )
    np.testing.assert_array_equal(vectors[found.sample], vector[0])
    assert pets.project.workspace.images.get(found.sample) == data


def test_one_that_cannot_be_used_has_its_error_in_its_place(pets: Pets, picture: Picture) -> None:
    cat, cut = picture("cat", 500), picture("dog", 501)[:200]
    found = ask(pets, b"", cat, b"no image", cut)
    assert [type(item) for item in found] == [ImageError, Answer, ImageError, ImageError]
    assert found[1].label == "cat"
    assert (count(pets, prediction), count(pets, live_vector)) == (1, 1)
    with pytest.raises(NotFoundError):
        pets.project.workspace.images.get(hashlib.sha256(cut).hexdigest())
    assert isinstance(ask(pets, b"nothing good at all")[0], ImageError)
    assert ask(pets) == []
    assert count(pets, prediction) == 1


def test_the_project_s_limits_hold(make_project: Callable[..., Project], live_folder: Path, picture: Picture) -> None:
    project = make_project(of=live_folder, max_image_pixels=24 * 24)
    live = LiveModel(project.workspace, project.model("pets"))
    found = answer(project.workspace, live.answerer, [Asked(picture("cat", 1)), Asked(picture("cat", 2, size=25))])
    assert isinstance(found[0], Answer)
    assert isinstance(found[1], ImageError)
    assert found[1].reason == "too many pixels"


def test_the_same_image_is_stored_once_and_answered_as_often_as_it_is_asked(pets: Pets, picture: Picture) -> None:
    samples = count(pets, sample)
    twice = ask(pets, picture("cat", 500), picture("cat", 500))
    again = ask(pets, picture("cat", 500))
    assert len({item.uid for item in (*twice, *again)}) == 3
    assert len({item.sample for item in (*twice, *again)}) == 1
    assert all(item.probabilities == pytest.approx(again[0].probabilities) for item in twice)
    assert (count(pets, prediction), count(pets, live_vector), count(pets, sample)) == (3, 1, samples + 1)
    known = next(iter(pets.live.rows))
    ask(pets, pets.project.workspace.images.get(known))
    assert count(pets, sample) == samples + 1


def test_threads_change_nothing_but_the_time(pets: Pets, picture: Picture, pool: ThreadPoolExecutor) -> None:
    images = [picture(label, 600 + number) for label in ("cat", "dog") for number in range(5)]
    images.insert(3, b"no image")
    with ThreadPoolExecutor(1) as keeper:
        found = ask(pets, *images, pool=pool, keeper=keeper)
    plain = ask(pets, *images)
    assert [type(item) for item in found] == [type(item) for item in plain]
    for one, two in zip(found, plain, strict=True):
        if isinstance(one, Answer):
            assert (one.sample, one.label) == (two.sample, two.label)
            assert one.probabilities == pytest.approx(two.probabilities, abs=1e-6)


def test_a_state_answers_as_it_is_whatever_is_learnt_since(pets: Pets, picture: Picture) -> None:
    state, data = pets.live.answerer, picture("eel", 500)
    (first,) = ask(pets, data)
    pets.say(first.sample, "eel", role=Role.GROUND_TRUTH, new_class=True)
    (old,) = answer(pets.project.workspace, state, [Asked(data)])
    (new,) = ask(pets, data)
    assert isinstance(old, Answer)
    assert (old.probabilities, old.ledger) == (first.probabilities, 0)
    assert (new.label, list(new.probabilities)) == ("eel", ["cat", "dog", "eel"])
    assert new.ledger > 0


@pytest.mark.parametrize("threads", [False, True])
def test_what_cannot_be_kept_is_not_answered(
    pets: Pets, picture: Picture, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch, threads: bool
) -> None:
    def full(*words: Any, **options: Any) -> str:
        raise StorageError("the disk is full")

    monkeypatch.setattr(type(pets.project.workspace.blobs), "put", full)
    with pytest.raises(StorageError, match="the disk is full"):
        ask(pets, picture("cat", 500), keeper=pool if threads else None)
    assert (count(pets, prediction), count(pets, live_vector)) == (0, 0)


def test_an_id_that_was_given_before_keeps_nothing_of_the_batch(pets: Pets, picture: Picture) -> None:
    state, workspace = pets.live.answerer, pets.project.workspace
    answer(workspace, state, [Asked(picture("cat", 1), uid="one")])
    samples = count(pets, sample)
    with pytest.raises(sa.exc.IntegrityError):
        answer(workspace, state, [Asked(picture("cat", 2), uid="two"), Asked(picture("cat", 3), uid="one")])
    assert (count(pets, prediction), count(pets, sample)) == (1, samples)


def test_looking_and_answering_keep_nothing_by_themselves(pets: Pets, picture: Picture) -> None:
    workspace, extractor, data = pets.project.workspace, pets.live.predictor.extractor, picture("cat", 500)
    samples = count(pets, sample)
    good, bad = look_at(workspace, extractor, [data, b"?"])
    assert isinstance(good, Seen)
    assert isinstance(bad, ImageError)
    assert (good.sample.width, good.sample.height, good.sample.size) == (24, 24, len(data))
    assert (good.sample.media_type, len(good.sample.sketch)) == ("image/png", 32 * 32)
    (found,) = give_answers(pets.live.answerer, [(Asked(data), good)])
    assert found.label == "cat"
    assert give_answers(pets.live.answerer, []) == []
    assert (count(pets, prediction), count(pets, sample)) == (0, samples)
    assert set(store_images(workspace, [good])) == {good.sample.id}
    ask(pets, data)
    assert store_images(workspace, [good]) == {}, "the project has it"


def test_images_that_several_threads_look_at_keep_their_order_and_their_errors(pets: Pets, picture: Picture) -> None:
    workspace, extractor = pets.project.workspace, pets.live.predictor.extractor
    workspace = replace(workspace, settings=replace(workspace.settings, threads=3))
    images = [b"?" if number % 4 == 1 else picture("cat", number) for number in range(11)]
    with ThreadPoolExecutor(3) as pool:
        together = look_at(workspace, extractor, images, pool=pool)
        assert look_at(workspace, extractor, [], pool=pool) == []
    assert [isinstance(found, ImageError) for found in together] == [data == b"?" for data in images]
    for data, found in zip(images, together, strict=True):
        (alone,) = look_at(workspace, extractor, [data])
        assert type(found) is type(alone)
        if isinstance(found, Seen) and isinstance(alone, Seen):
            assert (found.sample, found.data) == (alone.sample, data)
            assert np.array_equal(found.vector, alone.vector)


def test_a_head_that_learns_no_single_rows_names_one_class_and_no_novelty(
    make_project: Callable[..., Project], trained_folder: Path, picture: Picture
) -> None:
    project = make_project(of=trained_folder)
    project.train("pets", models="logistic")
    live = LiveModel(project.workspace, project.model("pets@2"))
    (found,) = answer(project.workspace, live.answerer, [Asked(picture("dog", 500))])
    assert isinstance(found, Answer)
    assert (found.novelty, found.likely, found.model) == (None, (found.label,), "pets@2")
