from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from pellucid.evaluate import figures
from pellucid.evaluate.curve import EpochPoint, SizePoint
from pellucid.evaluate.evaluation import Estimate
from pellucid.evaluate.figures import DARK, LIGHT, Theme
from pellucid.evaluate.intervals import wilson
from pellucid.evaluate.metrics import evaluate

ODD = ["$\\frac$", "a\nb", "猫 <b>", "x" * 200, "Ünïcode"]


def pixels(png: bytes) -> np.ndarray[Any, Any]:
    with Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def distance(image: np.ndarray[Any, Any], color: str) -> np.ndarray[Any, Any]:
    gap: np.ndarray[Any, Any] = np.abs(image / 255 - np.array(to_rgb(color))).max(axis=-1)
    return gap


@pytest.mark.parametrize("K", [2, 5, 30, 100])
def test_a_confusion_matrix_is_drawn_for_few_and_many_classes(outcomes: Callable[..., Any], K: int) -> None:
    y, proba = outcomes(3 * K, K)
    classes = [*ODD[:K], *(f"class {index}" for index in range(K - 5))]
    image = pixels(figures.confusion_matrix(evaluate(y, proba, classes, resamples=2).confusion, classes))
    assert 500 < image.shape[0] < 3000
    assert 500 < image.shape[1] < 3000


def test_right_is_accent_and_wrong_is_warm() -> None:
    right = pixels(figures.confusion_matrix(np.eye(2, dtype=int) * 9, ["a", "b"]))
    wrong = pixels(figures.confusion_matrix(np.eye(2, dtype=int)[::-1] * 9, ["a", "b"]))
    for image, here, gone in ((right, LIGHT.accent, LIGHT.warm), (wrong, LIGHT.warm, LIGHT.accent)):
        assert (distance(image, here) < 0.02).mean() > 0.2
        assert not (distance(image, gone) < 0.02).any()


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_every_figure_keeps_the_background_of_its_theme(outcomes: Callable[..., Any], theme: Theme) -> None:
    y, proba = outcomes(60, 5)
    evaluation = evaluate(y % 4, proba, ODD, resamples=20)  # the last class has no test images
    pictures = [
        figures.confusion_matrix(evaluation.confusion, ODD, theme=theme),
        figures.reliability(evaluation.reliability, theme=theme),
        figures.class_bars(evaluation.per_class, theme=theme),
        figures.size_curve([SizePoint(10, wilson(5, 10)), SizePoint(80, wilson(9, 10))], theme=theme),
        figures.epoch_curve([EpochPoint(1, 0.5, 0.4), EpochPoint(2, 0.6, 0.5)], theme=theme),
        figures.model_comparison([(name, Estimate(0.5, 0.4, 0.6)) for name in ODD], theme=theme),
    ]
    for png in pictures:
        image = pixels(png)
        corners = image[[1, 1, -2, -2], [1, -2, 1, -2]]
        assert (distance(corners, theme.background) == 0).all()
        assert (distance(image, theme.background) > 0.3).any()


def test_a_figure_is_the_same_each_time_and_leaves_the_global_style_alone() -> None:
    before = dict(mpl.rcParams)
    first, second = (figures.confusion_matrix([[3, 1], [0, 2]], ["a", "b"]) for _ in range(2))
    assert first == second
    assert dict(mpl.rcParams) == before


def test_pyplot_is_never_imported() -> None:
    code = "import sys, pellucid.evaluate.figures; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env={**os.environ}, check=False).returncode == 0
