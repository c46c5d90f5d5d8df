"""One HTML page that shows an audit of labels: self-contained, offline, in the manner of a model's report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pellucid.evaluate.report import Neighbour, page_environment

WIDEST = 20  # classes; of more, the largest mistakes are listed instead of the matrix
SHOWN = 12  # findings of a kind
MISTAKES = 15
_STRONGEST = 70  # percent of colour for a whole row


@dataclass(frozen=True, slots=True)
class Case:
    """A suspected label."""

    image: bytes = field(repr=False)  # a small PNG or JPEG
    path: str  # or id: how its owner finds it
    given: str
    suggested: str
    trust: float  # 0..1, P(the given label is right)
    fate: str  # what became of it
    nearest: tuple[Neighbour, ...] = ()  # most similar first, three are enough


@dataclass(frozen=True, slots=True)
class Odd:
    """An image unlike the others."""

    image: bytes = field(repr=False)
    path: str
    label: str
    reason: str


@dataclass(frozen=True, slots=True)
class AuditPage:
    """All that the page shows."""

    dataset: str  # "trash@2", that was audited
    made: str | None  # "trash@3"; None where nothing was changed
    extractor: str  # what makes the vectors, for people
    rule_used: str
    why: str
    what_was_done: str  # a sentence
    created_at: datetime  # UTC
    n_images: int
    n_suspects: int
    noise_rate: float  # 0..1
    classes: tuple[str, ...]
    noise_matrix: Sequence[Sequence[float]]  # (K, K) P(given = column | true = row)
    cases: tuple[Case, ...]  # least credible first
    findings: tuple[tuple[str, tuple[str, ...]], ...]  # what kind, and each of that kind
    bad_images: tuple[Odd, ...] = ()
    truth: str = ""  # how well it did, where that is known


def render_audit(page: AuditPage) -> str:
    """Render an audit as one HTML page that needs no other file, no network and no script.

    Every text is escaped, so class names and paths may hold anything.

    Raises:
        DataError: an image is neither PNG nor JPEG.
    """
    matrix = [
        (name, [(f"{100 * share:.1f}", round(_STRONGEST * share), row == column) for column, share in enumerate(line)])
        for row, (name, line) in enumerate(zip(page.classes, page.noise_matrix, strict=True))
    ]
    mistakes = sorted(
        (
            (share, true, label)
            for row, (true, line) in enumerate(zip(page.classes, page.noise_matrix, strict=True))
            for column, (label, share) in enumerate(zip(page.classes, line, strict=True))
            if row != column and share >= 0.005
        ),
        reverse=True,
    )
    return (
        page_environment()
        .get_template("audit.html")
        .render(
            page=page,
            matrix=matrix,
            mistakes=[(true, label, f"{share:.1%}") for share, true, label in mistakes[:MISTAKES]],
            widest=WIDEST,
            shown=SHOWN,
        )
    )
