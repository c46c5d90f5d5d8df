"""Drift: whether what the champion is asked about still looks like what it was tested on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pellucid.drift.watching import DriftReport, Window, watch
from pellucid.errors import DataError, NotFoundError
from pellucid.flow.data.embed import embed_samples
from pellucid.flow.online.drift_stream import follow_stream
from pellucid.flow.training.predict import choose_model, open_predictor
from pellucid.flow.workspace import Workspace
from pellucid.store.aliases import CHAMPION, alias_state
from pellucid.store.datasets import get_version
from pellucid.store.live_vectors import vectors_of
from pellucid.store.manifests import read_manifest
from pellucid.store.predictions import answer_of, count_answers_of, newest_answers
from pellucid.types import Answer, ModelVersion, Row, Split, Status

WINDOW = 500  # images of each window at most: the newest answers, and test images
LEAST = 50  # answers below which nothing is said


def find_drift(workspace: Workspace, name: str | None = None, *, window: int = WINDOW) -> DriftReport:
    """Compares the champion's newest answers with its test images: vectors, confidence, predicted classes.

    Only images that the model has not learnt are compared; else the reference would look surer than it is.

    Args:
        name: of a model; the only one where None.

    Raises:
        NotFoundError: there is no champion.
        DataError: it has no test images, or has answered too few.
    """
    model = choose_model(workspace, name)
    with workspace.database.read() as connection:
        version = get_version(connection, model.dataset)
        answers = _each_once(newest_answers(connection, model, window))
        kept = vectors_of(connection, model.fingerprint, [item.sample for item in answers])
    answers = [item for item in answers if item.sample in kept]
    if len(answers) < LEAST:
        raise DataError(f"{model.ref} has answered about {len(answers)} images; drift is told from {LEAST} on")
    rows = _tested(read_manifest(workspace.blobs, version.content_id), window)
    if not rows:
        raise DataError(f"{version.ref} has no test images to compare with; ingest some with a test split")
    predictor = open_predictor(workspace, model)
    X = embed_samples(workspace, predictor.extractor, [row.sample for row in rows])
    shares = predictor.predict_vectors(X)
    reference = Window(
        features=X,
        confidence=shares.max(axis=1),
        classes=[predictor.classes[place] for place in shares.argmax(axis=1)],
        images=[row.sample[:12] for row in rows],
    )
    current = Window(
        features=np.stack([kept[item.sample] for item in answers]),
        confidence=[item.confidence for item in answers],
        classes=[item.label for item in answers],
        images=[item.uid for item in answers],
    )
    return watch(reference, current)


def moved_answers(workspace: Workspace, uids: Sequence[str]) -> tuple[Answer, ...]:
    """The answers that a report names, in its order; what was pruned meanwhile is left out."""
    found = []
    with workspace.database.read() as connection:
        for uid in uids:
            try:
                found.append(answer_of(connection, uid))
            except NotFoundError:
                continue
    return tuple(found)


class DriftAlarm:
    """Looks for drift now and then, and says what an alarm is about; one that stands keeps its words.

    Args:
        every: answers that must have come since the last look.
    """

    def __init__(self, every: int = LEAST) -> None:
        self._every = every
        self._seen: dict[str, int] = {}
        self._alarm: dict[str, str | None] = {}

    def __call__(self, workspace: Workspace, name: str) -> str | None:
        """The model and what has moved, ``trash@2: features``; None where nothing has, or nobody can tell."""
        with workspace.database.read() as connection:
            if alias_state(connection, name, CHAMPION).version is None:
                return None
            model = choose_model(workspace, name)
            newest = count_answers_of(connection, model)
        if model.ref in self._seen and newest - self._seen[model.ref] < self._every:
            return self._alarm[model.ref]
        self._seen[model.ref] = newest
        self._alarm[model.ref] = self._look(workspace, model)
        return self._alarm[model.ref]

    def _look(self, workspace: Workspace, model: ModelVersion) -> str | None:
        try:
            drifted = find_drift(workspace, model.name).drifted
        except DataError:
            drifted = ()
        stream = follow_stream(workspace, model.name)
        if stream is not None and stream.alarms:
            drifted = (*drifted, f"{stream.detector} on confidence")
        return f"{model.ref}: {', '.join(drifted)}" if drifted else None


def _each_once(answers: Sequence[Answer]) -> list[Answer]:
    return list({item.sample: item for item in answers}.values())


def _tested(rows: Sequence[Row], most: int) -> list[Row]:
    """Test images, evenly spread over the manifest where there are more than enough."""
    found = [row for row in rows if row.split is Split.TEST and row.status is Status.OK]
    step = max(1, -(-len(found) // most))
    return found[::step]
