"""The figures of a report, as PNG bytes in one calm design, in a light and a dark theme.

Drawn with matplotlib's objects only: no pyplot, no global style, so threads and a user's own plots are safe.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import ArrayLike
from PIL import Image

from pellucid.evaluate.curve import EpochPoint, SizePoint
from pellucid.evaluate.evaluation import ClassScore, Estimate, ReliabilityBin

DPI = 200  # twice the 100 that a figure's size is counted in, for sharp screens
FONT = "DejaVu Sans"  # comes with matplotlib, so that a figure looks the same everywhere
PALETTE = 128  # colours
MAX_LABEL = 24  # characters of a class name in a figure
MAX_MODEL = 40  # characters of a model name
MAX_NUMBERED = 20  # classes up to which each cell of a confusion matrix shows its count


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of a figure."""

    background: str
    ink: str
    muted: str
    line: str  # of grids and frames
    accent: str  # what is right, and data as such
    warm: str  # what is wrong


LIGHT = Theme("#ffffff", "#1b2430", "#5d6878", "#dfe4ea", "#1f6fb2", "#c8511b")
DARK = Theme("#171c24", "#e8ecf1", "#9aa6b5", "#333c49", "#6db3f2", "#f0894f")


def confusion_matrix(confusion: ArrayLike, classes: Sequence[str], *, theme: Theme = LIGHT) -> bytes:
    """Draw a confusion matrix: rows are true classes, shaded by their share of the row.

    Args:
        confusion: (K, K) images, row = true class, column = predicted class.
        classes: the K names.
        theme: the colours.
    """
    counts = np.asarray(confusion)
    K = len(classes)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    background, right, wrong = (np.array(to_rgb(c)) for c in (theme.background, theme.accent, theme.warm))
    full = np.where(np.eye(K, dtype=bool)[..., None], right, wrong)
    shade = (share**0.7)[..., None]  # below 1, so that a few mistakes among many images can still be seen
    labels = [_plain(name) for name in classes]
    longest = max(map(len, labels))
    side = max(3.0, min(0.74 * K, 4.6), min(0.5 * K, 8.2))  # inches; roomy for few classes, dense for many
    size = float(np.clip(60 * side / K, 4.5, 9.0))  # points
    label = 0.008 * size * longest  # inches that the longest label takes
    crowded = label > side / K
    figure, axes = _canvas(side + 0.4 + label, side + 0.4 + (label if crowded else 0.25), theme)
    axes.imshow(background + shade * (full - background), aspect="equal", interpolation="nearest")
    axes.set_xticks(np.arange(K), labels, rotation=90 if crowded else 0)
    axes.set_yticks(np.arange(K), labels)
    _literal([*axes.get_xticklabels(), *axes.get_yticklabels()], size)
    axes.grid(visible=False)
    axes.set_xticks(np.arange(K + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(K + 1) - 0.5, minor=True)
    axes.grid(which="minor", color=theme.line, linewidth=1.0 if K <= MAX_NUMBERED else 0.3)
    axes.tick_params(which="minor", length=0)
    if K <= MAX_NUMBERED:
        for row, column in np.argwhere(counts).tolist():
            color = theme.background if shade[row, column, 0] > 0.55 else theme.ink
            count = f"{counts[row, column]}"
            axes.text(column, row, count, ha="center", va="center", color=color, fontsize=size, family=FONT)
    _name(axes, "predicted class", "true class", theme)
    return _png(figure)


def reliability(bins: Sequence[ReliabilityBin], *, theme: Theme = LIGHT) -> bytes:
    """Draw confidence against accuracy, with intervals, above the number of images in each bin."""
    figure = Figure(figsize=(5.2, 4.9), dpi=DPI, facecolor=theme.background, layout="constrained")
    axes, below = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [4, 1]})
    for part in (axes, below):
        _style(part, theme)
    axes.plot([0, 1], [0, 1], color=theme.muted, linewidth=1, linestyle=(0, (4, 4)))
    confidence = [part.confidence for part in bins]
    _intervals(axes, confidence, [part.accuracy for part in bins], theme, joined=True)
    axes.set_ylim(-0.03, 1.03)
    axes.set_yticks(np.linspace(0, 1, 6))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    _name(axes, "", "right", theme)
    below.bar(
        [part.low + 0.05 for part in bins],
        [part.count for part in bins],
        width=0.086,
        color=theme.accent,
        alpha=0.55,
    )
    below.grid(visible=False)
    below.set_yticks([])
    below.set_ylim(0, 1.45 * max(part.count for part in bins))
    for part in bins:
        below.text(
            part.low + 0.05, part.count, f"{part.count:,}", ha="center", va="bottom",
            fontsize=7, color=theme.muted, family=FONT,
        )  # fmt: skip
    below.set_xlim(-0.03, 1.03)
    below.set_xticks(np.linspace(0, 1, 6))
    below.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    _name(below, "confidence", "images", theme)
    return _png(figure)


def size_curve(points: Sequence[SizePoint], *, theme: Theme = LIGHT) -> bytes:
    """Draw test accuracy, with intervals, over the number of training images (logarithmic)."""
    figure, axes = _canvas(5.6, 3.5, theme)
    sizes = [point.n for point in points]
    _intervals(axes, sizes, [point.accuracy for point in points], theme, joined=True)
    axes.set_xscale("log")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    _name(axes, "training images", "test accuracy", theme)
    return _png(figure)


def epoch_curve(points: Sequence[EpochPoint], *, theme: Theme = LIGHT) -> bytes:
    """Draw the accuracy on training and on test images over epochs."""
    figure, axes = _canvas(5.6, 3.5, theme)
    epochs = [point.epoch for point in points]
    train, test = [point.train for point in points], [point.test for point in points]
    for values, color, style, name in (
        (train, theme.muted, "--", "training"),
        (test, theme.accent, "-", "test"),
    ):
        axes.plot(epochs, values, color=color, linestyle=style, linewidth=2, label=name)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(
        facecolor=theme.background, edgecolor=theme.background, framealpha=1, labelcolor=theme.ink,
        prop={"family": FONT, "size": 9}, loc="lower right",
    )  # fmt: skip
    _name(axes, "epoch", "accuracy", theme)
    return _png(figure)


def class_bars(scores: Sequence[ClassScore], *, theme: Theme = LIGHT) -> bytes:
    """Draw the recall of each class with its interval; classes without test images stay empty."""
    figure, axes = _canvas(6.4, float(np.clip(0.34 * len(scores), 1.2, 18)) + 0.8, theme)
    rows = np.arange(len(scores))
    known = [(row, score.recall) for row, score in enumerate(scores) if score.recall is not None]
    axes.barh([row for row, _ in known], [r.value for _, r in known], height=0.62, color=theme.accent, alpha=0.5)
    for row, recall in known:
        axes.plot([recall.low, recall.high], [row, row], color=theme.ink, linewidth=1.4, solid_capstyle="butt")
    axes.set_yticks(rows, [_plain(score.name) for score in scores])
    _literal(axes.get_yticklabels(), 9.0 if len(scores) <= 50 else 5.5)
    axes.set_ylim(len(scores) - 0.5, -0.5)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.grid(visible=False, axis="y")
    _name(axes, "recall: share of the class's images that are found", "", theme)
    return _png(figure)


def model_comparison(models: Sequence[tuple[str, Estimate]], *, theme: Theme = LIGHT) -> bytes:
    """Draw the accuracy of several models, (name, accuracy), as dots with intervals, the first in colour."""
    figure, axes = _canvas(6.4, 0.42 * len(models) + 0.9, theme)
    for row, estimate in enumerate(estimate for _, estimate in models):
        color = theme.muted if row else theme.accent
        axes.plot([estimate.low, estimate.high], [row, row], color=color, linewidth=2.4, solid_capstyle="round")
        axes.plot([estimate.value], [row], marker="o", markersize=7, color=color)
    axes.set_yticks(np.arange(len(models)), [_plain(name, MAX_MODEL) for name, _ in models])
    _literal(axes.get_yticklabels(), 9.0)
    axes.set_ylim(len(models) - 0.5, -0.5)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.grid(visible=False, axis="y")
    _name(axes, "accuracy on the test images", "", theme)
    return _png(figure)


def _canvas(width: float, height: float, theme: Theme) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor=theme.background, layout="constrained")
    axes = figure.subplots()
    _style(axes, theme)
    return figure, axes


def _style(axes: Axes, theme: Theme) -> None:
    axes.set_facecolor(theme.background)
    axes.set_axisbelow(True)
    axes.grid(visible=True, color=theme.line, linewidth=0.8)
    axes.spines[:].set_visible(False)
    axes.tick_params(colors=theme.muted, labelcolor=theme.ink, length=0, labelsize=9, labelfontfamily=FONT)


def _name(axes: Axes, x: str, y: str, theme: Theme) -> None:
    axes.set_xlabel(x, color=theme.muted, fontsize=9, family=FONT)
    axes.set_ylabel(y, color=theme.muted, fontsize=9, family=FONT)


def _intervals(axes: Axes, x: Sequence[float], estimates: Sequence[Estimate], theme: Theme, *, joined: bool) -> None:
    for position, estimate in zip(x, estimates, strict=True):
        axes.plot([position] * 2, [estimate.low, estimate.high], color=theme.accent, linewidth=2, alpha=0.45)
    values = [estimate.value for estimate in estimates]
    axes.plot(x, values, "o", color=theme.accent, markersize=6, linestyle="-" if joined else "", linewidth=1.6)


def _plain(name: str, most: int = MAX_LABEL) -> str:
    """Shorten a name, and put a box for what the font cannot draw."""
    known = font_manager.get_font(font_manager.findfont(FONT)).get_charmap()
    drawn = "".join(c if c.isprintable() and ord(c) in known else "\N{WHITE SQUARE}" for c in name)
    return drawn if len(drawn) <= most else drawn[: most - 1] + "…"


def _literal(texts: Sequence[Text], size: float) -> None:
    """Write names as they are: dollars in them are no mathematics."""
    for text in texts:
        text.set_parse_math(False)
        text.set_fontsize(size)
        text.set_fontfamily(FONT)


def _png(figure: Figure) -> bytes:
    canvas: Any = FigureCanvasAgg(figure)  # its methods have no types
    canvas.draw()  # once; `print_figure` would lay out and draw twice, and pack into a PNG that is unpacked again
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    palette = io.BytesIO()
    image.quantize(PALETTE).save(palette, "PNG")  # half the bytes, looks the same
    return palette.getvalue()
