"""Votes by people who lie, on handwritten digits: what a live model loses beside one that believes everybody."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits

from pellucid import Project
from pellucid.flow.online.answer import Asked, answer
from pellucid.flow.online.feedback import Said, hear
from pellucid.flow.online.live import LiveModel
from pellucid.flow.online.reaudit import reaudit
from pellucid.heads.ridge import RidgeClassifier
from pellucid.types import Answer, Split

TRAIN, SHOWN = 500, 240

pytestmark = pytest.mark.usefixtures("no_reports")


def written(pixels: NDArray[np.float64]) -> bytes:
    import io

    buffer = io.BytesIO()
    image = Image.fromarray(np.clip(pixels * 16, 0, 255).astype(np.uint8)).resize((32, 32), Image.Resampling.BICUBIC)
    image.convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def digits() -> Any:
    return load_digits()


@pytest.fixture(scope="module")
def digits_folder(tmp_path_factory: pytest.TempPathFactory, digits: Any) -> Path:
    """500 digits, 150 for testing and 50 of the others trusted, with a ridge as champion."""
    root = tmp_path_factory.mktemp("digits")
    for place in range(TRAIN):
        folder = root / "source" / str(digits.target[place])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{place}.png").write_bytes(written(digits.images[place]))
    with pytest.MonkeyPatch.context() as patch, Project.init(root / "project") as made:
        patch.setattr("pellucid.flow.training.job._try_to_complete", lambda workspace, model: False)
        made.ingest(root / "source", "digits", test_fraction=0.3, trusted_fraction=0.1)
        made.train("digits", models="ridge")
        made.promote("digits@1")
    return root / "project"


def honest(truth: int, place: int) -> tuple[str, str]:
    return str(truth), f"u{place % 20}"


def flood(truth: int, place: int) -> tuple[str, str]:
    return str((truth + 1 + place % 9) % 10), "eve"


def sybils(truth: int, place: int) -> tuple[str, str]:
    return str((truth + 1 + place % 9) % 10), f"eve{place % 20}"


def pair(truth: int, place: int) -> tuple[str, str]:
    swapped = {3: 8, 8: 3}.get(truth, truth)  # right but for two classes, each of which is said to be the other
    return str(swapped), f"eve{place % 20}"


@pytest.mark.parametrize("attack", [flood, sybils, pair])
def test_lies_cost_a_fraction_of_what_they_cost_who_believes_everybody(
    make_project: Callable[..., Project],
    digits_folder: Path,
    digits: Any,
    attack: Callable[[int, int], tuple[str, str]],
) -> None:
    project = make_project(of=digits_folder)
    live = LiveModel(project.workspace, project.model("digits"))
    places = range(TRAIN, TRAIN + SHOWN)
    found = answer(project.workspace, live.answerer, [Asked(written(digits.images[place])) for place in places])
    samples = [item.sample for item in found if isinstance(item, Answer)]
    said = [attack(int(digits.target[place]), place) for place in places]

    rows = [row for row in project.inspect("digits").rows if row.split is Split.TEST]
    with project.workspace.database.read() as connection:
        test = live.look_up(connection, [row.sample for row in rows])
        shown = live.look_up(connection, samples)
        train = live.look_up(connection, list(live.learnt()))
    y = np.array([live.classes.index(str(row.label)) for row in rows])

    def accuracy(shares: NDArray[np.float64]) -> float:
        return float((shares.argmax(axis=1) == y).mean())

    labels = [place.number for place in live.learnt().values()] + [live.classes.index(label) for label, _ in said]
    naive = RidgeClassifier(live.online._running.l2).fit(np.concatenate([train.X, shown.X]), np.array(labels))
    start, believed = accuracy(live.answerer.probabilities_of(test)), accuracy(naive.predict_proba(test.X))
    for sample, (label, voter) in zip(samples, said, strict=True):
        hear(live, Said(sample, label, voter))
    heard = accuracy(live.answerer.probabilities_of(test))
    reaudit(live)
    audited = accuracy(live.answerer.probabilities_of(test))
    assert believed < start - 0.02  # the attack is one
    assert start - heard <= max(0.02, (start - believed) / 2)
    assert start - audited <= max(0.02, (start - believed) / 2)


def test_honest_people_are_believed(make_project: Callable[..., Project], digits_folder: Path, digits: Any) -> None:
    project = make_project(of=digits_folder)
    live = LiveModel(project.workspace, project.model("digits"))
    places = range(TRAIN, TRAIN + 60)
    found = answer(project.workspace, live.answerer, [Asked(written(digits.images[place])) for place in places])
    heard = [
        hear(live, Said(item.sample, *honest(int(digits.target[place]), place)))
        for item, place in zip(found, places, strict=True)
        if isinstance(item, Answer)
    ]
    assert np.mean([item.trust for item in heard]) > 0.7
    assert sum(item.action == "learnt" for item in heard) > 50
