"""Answer: images that come one by one are looked at, answered by one state of the model, and kept with the answer."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from pellucid.errors import ImageError, PellucidError
from pellucid.features.decode import decode
from pellucid.features.extractor import Extractor
from pellucid.features.similar import SKETCH_FROM, sketch
from pellucid.flow.live import Answerer
from pellucid.flow.workspace import Workspace
from pellucid.store.blobs import digest_of
from pellucid.store.live_vectors import keep_vectors
from pellucid.store.predictions import add_answers
from pellucid.store.samples import add_samples, stored_ids
from pellucid.types import Answer, Sample


@dataclass(frozen=True, slots=True)
class Asked:
    """An image that somebody wants to know about."""

    data: bytes  # as it came, not decoded yet
    actor: str | None = None  # who asks
    name: str = ""  # what the caller calls it; only ever shown


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """An image that was looked at."""

    sample: Sample
    data: bytes
    vector: NDArray[np.float32]  # (d,)


def look(workspace: Workspace, extractor: Extractor, data: bytes) -> Seen:
    """Decodes an image, within the project's limits, and computes its vector. Raises ImageError."""
    picture = decode(data, workspace.limits, at_least=max(SKETCH_FROM, extractor.input_size))
    facts = (picture.media_type, picture.width, picture.height, len(data), sketch(picture.image))
    return Seen(Sample(digest_of(data), *facts), data, extractor.embed([picture.image])[0])


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

    def try_to_look(item: Asked) -> Seen | PellucidError:
        try:
            return look(workspace, answerer.predictor.extractor, item.data)
        except ImageError as error:
            return error

    run: Callable[..., Any] = map if pool is None or len(asked) == 1 else pool.map
    seen: list[Seen | PellucidError] = list(run(try_to_look, asked))
    good = [(item, found) for item, found in zip(asked, seen, strict=True) if isinstance(found, Seen)]
    if not good:
        return [item for item in seen if isinstance(item, PellucidError)]
    keeping = keeper.submit(_keep_images, workspace, good) if keeper is not None else None
    answers = _answers(answerer, good)
    samples = keeping.result() if keeping is not None else _keep_images(workspace, good)
    vectors = {found.sample.id: found.vector for _, found in good}
    with workspace.database.write() as connection:
        add_samples(workspace.database, connection, samples)
        keep_vectors(workspace.database, connection, answerer.model.fingerprint, vectors)
        add_answers(connection, answerer.model, answers)
    rest = iter(answers)
    return [next(rest) if isinstance(found, Seen) else found for found in seen]


def _answers(answerer: Answerer, good: Sequence[tuple[Asked, Seen]]) -> list[Answer]:
    X = np.stack([found.vector for _, found in good])
    shares, novelty = answerer.reply(X)
    held = answerer.sets(shares)
    entropy = -xlogy(shares, shares).sum(axis=1)
    now = datetime.now(UTC)
    return [
        Answer(
            uid=uuid.uuid4().hex,
            sample=found.sample.id,
            label=answerer.classes[int(shares[row].argmax())],
            confidence=float(shares[row].max()),
            probabilities=dict(zip(answerer.classes, map(float, shares[row]), strict=True)),
            likely=tuple(name for name, holds in zip(answerer.classes, held[row], strict=True) if holds),
            entropy=max(0.0, float(entropy[row])),
            novelty=None if novelty is None else float(novelty[row]),
            model=answerer.model.ref,
            ledger=answerer.ledger,
            at=now,
            actor=item.actor,
            name=item.name,
        )
        for row, (item, found) in enumerate(good)
    ]


def _keep_images(workspace: Workspace, good: Sequence[tuple[Asked, Seen]]) -> list[tuple[Sample, str, int]]:
    """Stores the images that the project does not have; gives their samples, packs and offsets."""
    found = {item.sample.id: item for _, item in good}
    with workspace.database.read() as connection:
        stored = stored_ids(connection, list(found))
    fresh = {name: item for name, item in found.items() if name not in stored}
    places = workspace.images.keep({name: item.data for name, item in fresh.items()})
    return [(item.sample, places[name].pack, places[name].offset) for name, item in fresh.items()]
