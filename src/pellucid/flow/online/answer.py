"""Answer: images that come one by one are looked at, answered by one state of the model, and kept with the answer."""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from PIL import Image
from scipy.special import xlogy

from pellucid.errors import ImageError, PellucidError
from pellucid.features.decode import decode
from pellucid.features.extractor import Extractor
from pellucid.features.similar import SKETCH_FROM, sketch
from pellucid.flow.online.answerer import Answerer
from pellucid.flow.workspace import Workspace
from pellucid.store.blobs import digest_of
from pellucid.store.database import Database
from pellucid.store.images import Place
from pellucid.store.live_vectors import keep_vectors
from pellucid.store.predictions import add_answers
from pellucid.store.samples import add_samples, stored_ids
from pellucid.types import Answer, Sample

_SHARE = 4  # images at most that a thread takes at a time: few enough that all threads end together


@dataclass(frozen=True, slots=True)
class Asked:
    """An image that somebody wants to know about."""

    data: bytes  # as it came, not decoded yet
    actor: str | None = None  # who asks
    name: str = ""  # what the caller calls it; only ever shown
    uid: str | None = None  # 1..32 characters that the answer is to be known by, never given before; drawn where None


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """An image that was looked at."""

    sample: Sample
    data: bytes
    vector: NDArray[np.float32]  # (d,)


def answer(
    workspace: Workspace,
    answerer: Answerer,
    asked: Sequence[Asked],
    *,
    pool: Executor | None = None,
    keeper: Executor | None = None,
) -> list[Answer | PellucidError]:
    """Answers in the order of the images; an image that cannot be used gets its error, and the others do not suffer.

    All are answered by the same state of the model, and kept in one transaction: image, vector and answer.

    Args:
        pool: threads that decode and embed side by side; one after the other where None.
        keeper: a thread that waits for the disk while the head is at work; nobody does where None.

    Raises:
        StorageError: the answers cannot be kept.
    """
    seen = look_at(workspace, answerer.predictor.extractor, [item.data for item in asked], pool=pool)
    good = [(item, found) for item, found in zip(asked, seen, strict=True) if isinstance(found, Seen)]
    looks = [found for _, found in good]
    keeping = keeper.submit(store_images, workspace, looks) if keeper is not None and looks else None
    answers = give_answers(answerer, good)
    if looks:
        places = keeping.result() if keeping is not None else store_images(workspace, looks)
        with workspace.database.write() as connection:
            record_looks(workspace.database, connection, answerer.model.fingerprint, looks, places)
            add_answers(connection, answerer.model, answers)
    given = iter(answers)
    return [next(given) if isinstance(found, Seen) else found for found in seen]


def look_at(
    workspace: Workspace, extractor: Extractor, images: Sequence[bytes], *, pool: Executor | None = None
) -> list[Seen | PellucidError]:
    """Decodes each image, within the project's limits, and computes its vector; one that is none gets its error."""
    if pool is None or len(images) < 2:
        return _look(workspace, extractor, images)
    size = min(_SHARE, math.ceil(len(images) / workspace.threads))
    shares = [images[start : start + size] for start in range(0, len(images), size)]
    return [seen for found in pool.map(partial(_look, workspace, extractor), shares) for seen in found]


def _look(workspace: Workspace, extractor: Extractor, images: Sequence[bytes]) -> list[Seen | PellucidError]:
    """On one thread; each picture is decoded as the extractor takes it."""
    samples: list[Sample | PellucidError] = []

    def pictures() -> Iterator[Image.Image]:
        for data in images:
            try:
                picture = decode(data, workspace.limits, at_least=max(SKETCH_FROM, extractor.input_size))
            except ImageError as error:
                samples.append(error)
            else:
                facts = (picture.media_type, picture.width, picture.height, len(data), sketch(picture.image))
                samples.append(Sample(digest_of(data), *facts))
                yield picture.image

    vectors = iter(extractor.embed(pictures()))
    return [
        Seen(sample, data, next(vectors)) if isinstance(sample, Sample) else sample
        for data, sample in zip(images, samples, strict=True)
    ]


def give_answers(answerer: Answerer, asked: Sequence[tuple[Asked, Seen]]) -> list[Answer]:
    """What the model says of images that were looked at; nothing is kept of it."""
    if not asked:
        return []
    X = np.stack([found.vector for _, found in asked])
    shares, novelty = answerer.reply(X)
    held = answerer.sets(shares)
    entropy = -xlogy(shares, shares).sum(axis=1)
    known, now = answerer.known, datetime.now(UTC)
    return [
        Answer(
            uid=item.uid or uuid.uuid4().hex,
            sample=found.sample.id,
            label=answerer.classes[int(shares[row].argmax())],
            confidence=float(shares[row].max()),
            probabilities={name: float(shares[row, number]) for number, name in known.items()},
            likely=tuple(name for number, name in known.items() if held[row, number]),
            entropy=max(0.0, float(entropy[row])),
            novelty=None if novelty is None else float(novelty[row]),
            model=answerer.model.ref,
            ledger=answerer.ledger,
            at=now,
            actor=item.actor,
            name=item.name,
        )
        for row, (item, found) in enumerate(asked)
    ]


def store_images(workspace: Workspace, seen: Sequence[Seen]) -> Mapping[str, Place]:
    """Stores the images that the project does not have yet, and tells where; they count once that is recorded."""
    found = {item.sample.id: item.data for item in seen}
    with workspace.database.read() as connection:
        stored = stored_ids(connection, list(found))
    return workspace.images.keep({name: data for name, data in found.items() if name not in stored})


def record_looks(
    database: Database,
    connection: sa.Connection,
    fingerprint: str,
    seen: Sequence[Seen],
    places: Mapping[str, Place],
) -> None:
    """Records images that were looked at: the samples where they are new, and the vectors by that extractor."""
    found = {item.sample.id: item for item in seen}
    new = [(found[name].sample, place.pack, place.offset) for name, place in places.items() if name in found]
    add_samples(database, connection, new)
    keep_vectors(database, connection, fingerprint, {name: item.vector for name, item in found.items()})
