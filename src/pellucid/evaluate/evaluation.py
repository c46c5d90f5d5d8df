"""The frozen values an evaluation consists of, and their way to JSON and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pellucid.errors import DataError

HIGHER_IS_BETTER: Mapping[str, bool] = {
    "accuracy": True,
    "balanced_accuracy": True,
    "macro_f1": True,
    "log_loss": False,
    "calibration_error": False,
}  # every metric of an evaluation, in the order people read them


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and its 95 % confidence interval; ``low <= value <= high``."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ClassScore:
    """How well one class is found; every score is 0..1, higher is better."""

    name: str
    precision: float | None  # share of the images called this that are this; None where nothing was
    recall: Estimate | None  # share of this class's images that were found; None where it has no test images
    f1: float | None  # harmonic mean of the two; None where the class was neither there nor predicted
    support: int  # test images of the class
    predicted: int  # test images called this


@dataclass(frozen=True, slots=True)
class Slice:
    """The accuracy on the test images that share one metadata value."""

    key: str
    value: str
    n: int
    accuracy: Estimate


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """The images answered with a confidence in ``(low, high]``: what was promised, and what was kept."""

    low: float
    high: float
    confidence: float  # mean, 0..1
    accuracy: Estimate  # well calibrated where it meets the confidence
    count: int  # images


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A model's results on a test set."""

    n: int  # test images
    n_groups: int | None  # independent groups that the intervals resample; None where every image is its own
    classes: tuple[str, ...]  # in index order
    metrics: Mapping[str, Estimate]  # the keys of HIGHER_IS_BETTER
    confusion: tuple[tuple[int, ...], ...]  # (K, K) images: row = true class, column = predicted class
    per_class: tuple[ClassScore, ...]  # one per class, in index order
    slices: tuple[Slice, ...]  # by key, then by value
    slices_left_out: Mapping[str, str]  # metadata key -> why it has no slices
    reliability: tuple[ReliabilityBin, ...]  # bins of equal width, the empty ones left out, rising

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts, sequences, strings and finite numbers, ready for ``json.dumps``."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Evaluation:
        """Rebuild what :meth:`to_dict` gave, also after a trip through JSON.

        Raises:
            DataError: a key is missing, unknown, or of another kind than an evaluation's.
        """
        try:
            return cls(
                n=int(data["n"]),
                n_groups=None if data["n_groups"] is None else int(data["n_groups"]),
                classes=tuple(data["classes"]),
                metrics={name: Estimate(**value) for name, value in data["metrics"].items()},
                confusion=tuple(tuple(int(cell) for cell in row) for row in data["confusion"]),
                per_class=tuple(
                    ClassScore(**{**row, "recall": row["recall"] and Estimate(**row["recall"])})
                    for row in data["per_class"]
                ),
                slices=tuple(Slice(**{**row, "accuracy": Estimate(**row["accuracy"])}) for row in data["slices"]),
                slices_left_out=dict(data["slices_left_out"]),
                reliability=tuple(
                    ReliabilityBin(**{**row, "accuracy": Estimate(**row["accuracy"])}) for row in data["reliability"]
                ),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                f"this is not an evaluation as Evaluation.to_dict() writes it ({error!r}); evaluate again"
            ) from error
