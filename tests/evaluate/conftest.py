"""Outcomes of classifiers to evaluate, and a complete report."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pellucid.evaluate.compare import compare
from pellucid.evaluate.curve import EpochPoint, SizePoint
from pellucid.evaluate.intervals import wilson
from pellucid.evaluate.metrics import evaluate
from pellucid.evaluate.report import Failure, Neighbour, Report, Rival, render_report

Outcomes = Callable[..., tuple[NDArray[np.int64], NDArray[np.float64]]]


@pytest.fixture(scope="session")
def outcomes() -> Outcomes:
    def draw(n: int, K: int, *, skill: float = 2.0, seed: int = 0) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        random = np.random.default_rng(seed)
        y = random.integers(K, size=n)
        scores = random.normal(size=(n, K))
        scores[np.arange(n), y] += skill
        proba = np.exp(scores)
        return y.astype(np.int64), proba / proba.sum(axis=1, keepdims=True)

    return draw


@pytest.fixture(scope="session")
def picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "teal").save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="session")
def report(outcomes: Outcomes, picture: bytes) -> Report:
    y, proba = outcomes(120, 3)
    classes = ["card <b>board</b>", "Gläser & 猫", "x" * 120]
    other = np.roll(proba, 1, axis=0)
    evaluation = evaluate(y, proba, classes, slices={"site": ["Graz", "Łódź"] * 60, "file": list(map(str, range(120)))})
    rival = evaluate(y, other, classes)
    neighbour = Neighbour(picture, classes[1], 0.91)
    return Report(
        title="Sorting <i>trash</i>",
        model="trash@2",
        dataset="trash@1",
        extractor="onnx:mobilenet.onnx",
        head="ridge",
        settings={"lambda": 0.1},
        created_at=datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
        evaluation=evaluation,
        n_train=480,
        set_aside={"near-duplicate": 7},
        size_curve=(SizePoint(60, wilson(50, 100)), SizePoint(480, wilson(80, 100))),
        epoch_curve=(EpochPoint(1, 0.5, 0.4), EpochPoint(2, 0.9, 0.6)),
        failures=(Failure(picture, classes[0], classes[1], 0.97, 'a"b/<img src=x>.png', (neighbour,)),),
        rivals=(
            Rival("logistic", rival.metrics, compare(y, proba, other, names=("ridge", "logistic"))),
            Rival("old", replace(rival).metrics),
        ),
        warnings=("7 images are <near> copies.",),
        environment={"python": "3.11"},
    )


@pytest.fixture(scope="session")
def html(report: Report) -> str:
    return render_report(report)
