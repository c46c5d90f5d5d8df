"""One HTML page that shows a model: self-contained, offline, light and dark, on screen and on paper."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from pellucid.errors import DataError
from pellucid.evaluate import figures, reading
from pellucid.evaluate.compare import Comparison
from pellucid.evaluate.curve import EpochPoint, SizePoint
from pellucid.evaluate.evaluation import Estimate, Evaluation

MEDIA_TYPES: Mapping[bytes, str] = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
}  # by the first bytes; what any browser shows
METRIC_NOTES: Mapping[str, tuple[str, str]] = {
    "balanced_accuracy": ("Balanced accuracy", "mean over classes; higher is better"),
    "macro_f1": ("Macro F1", "mean over classes; higher is better"),
    "log_loss": ("Log loss", "nats; lower is better"),
    "calibration_error": ("Calibration error", "of the confidence; lower is better"),
}
TOP_CONFUSIONS = 6
WIDE = 700  # CSS pixels; a wider figure stands alone, and scrolls rather than shrinks, to stay readable


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A training image near a failure."""

    image: bytes = field(repr=False)  # a small PNG or JPEG
    label: str
    similarity: float  # cosine, -1..1


@dataclass(frozen=True, slots=True)
class Failure:
    """A test image that was confidently misjudged."""

    image: bytes = field(repr=False)  # a small PNG or JPEG
    given: str  # the label it has
    predicted: str
    confidence: float  # 0..1
    path: str  # or id: how its owner finds it
    nearest: tuple[Neighbour, ...] = ()  # most similar first, three are enough


@dataclass(frozen=True, slots=True)
class Rival:
    """Another model on the same test images."""

    name: str
    metrics: Mapping[str, Estimate]  # of its Evaluation; accuracy at least
    comparison: Comparison | None = None  # this report's model as a, the rival as b


@dataclass(frozen=True, slots=True)
class Report:
    """All that the page shows."""

    title: str
    model: str  # "trash@2"
    dataset: str  # "trash@3"
    extractor: str  # what makes the vectors, for people
    head: str
    settings: Mapping[str, Any]
    created_at: datetime  # UTC
    evaluation: Evaluation
    n_train: int  # images learnt from
    set_aside: Mapping[str, int] = field(default_factory=dict)  # reason -> images not learnt from
    size_curve: tuple[SizePoint, ...] = ()
    epoch_curve: tuple[EpochPoint, ...] = ()
    failures: tuple[Failure, ...] = ()  # most confident first
    rivals: tuple[Rival, ...] = ()
    warnings: tuple[str, ...] = ()  # beside the cautions that the evaluation itself gives cause for
    environment: Mapping[str, str] = field(default_factory=dict)  # "python" -> "3.11.9"


@dataclass(frozen=True, slots=True)
class Drawn:
    """A figure as PNG, for light pages and for dark ones."""

    light: bytes = field(repr=False)
    dark: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure in both themes."""

    light: str  # data URI
    dark: str  # data URI
    width: int  # CSS pixels
    height: int  # CSS pixels


def render_report(report: Report, drawn: Mapping[str, Drawn] | None = None) -> str:
    """Render a report as one HTML page that needs no other file, no network and no script.

    Every text is escaped, so class names and paths may hold anything.

    Args:
        drawn: the report's figures where :func:`draw_figures` has drawn them already.

    Raises:
        DataError: an image of the gallery is neither PNG nor JPEG.
    """
    evaluation = report.evaluation
    pairs = reading.confusions(evaluation)
    return (
        page_environment()
        .get_template("report.html")
        .render(
            report=report,
            evaluation=evaluation,
            metric_notes=METRIC_NOTES,
            headline=reading.headline(evaluation),
            strengths=reading.strengths(evaluation),
            calibration=reading.calibration(evaluation),
            progress=reading.progress(report.size_curve),
            warnings=(*report.warnings, *reading.cautions(evaluation)),
            confusions=pairs[:TOP_CONFUSIONS],
            taken_for={pair.true: pair for pair in reversed(pairs)},
            slice_keys=sorted({part.key for part in evaluation.slices}),
            pictures={name: _picture(figure) for name, figure in (drawn or draw_figures(report)).items()},
            wide=WIDE,
        )
    )


def page_environment() -> Environment:
    """Templates of pages, with every text escaped."""
    environment = Environment(
        loader=PackageLoader("pellucid.evaluate"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=reading.percent, between=reading.between, data_uri=_data_uri)
    return environment


def draw_figures(report: Report) -> dict[str, Drawn]:
    """Draw the report's figures by name: confusion, reliability, and what else there is data for."""
    evaluation = report.evaluation
    plots: dict[str, Callable[[figures.Theme], bytes]] = {
        "confusion": lambda theme: figures.confusion_matrix(evaluation.confusion, evaluation.classes, theme=theme),
        "reliability": lambda theme: figures.reliability(evaluation.reliability, theme=theme),
    }
    if len(report.size_curve) > 1:
        plots["size_curve"] = lambda theme: figures.size_curve(report.size_curve, theme=theme)
    if len(report.epoch_curve) > 1:
        plots["epoch_curve"] = lambda theme: figures.epoch_curve(report.epoch_curve, theme=theme)
    if report.rivals:
        models = [(report.model, evaluation.metrics["accuracy"])]
        models += [(rival.name, rival.metrics["accuracy"]) for rival in report.rivals]
        plots["models"] = lambda theme: figures.model_comparison(models, theme=theme)
    return {name: Drawn(plot(figures.LIGHT), plot(figures.DARK)) for name, plot in plots.items()}


def _picture(drawn: Drawn) -> Picture:
    # a PNG's size stands at bytes 16..23; figures are drawn at twice their size in CSS pixels
    width, height = (int.from_bytes(drawn.light[start : start + 4], "big") // 2 for start in (16, 20))
    return Picture(_data_uri(drawn.light), _data_uri(drawn.dark), width, height)


def _data_uri(image: bytes) -> str:
    for start, media_type in MEDIA_TYPES.items():
        if image.startswith(start):
            return f"data:{media_type};base64,{base64.b64encode(image).decode('ascii')}"
    raise DataError(f"an image of the report starts with {image[:8]!r}; wanted PNG or JPEG bytes")
