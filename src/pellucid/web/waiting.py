"""What waits for a person, in lines that lead to where it is seen to."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from pellucid.drift.watching import DriftReport
from pellucid.flow.online.review import Taken
from pellucid.flow.production.pending import Labels
from pellucid.web.formats import many
from pellucid.web.vitals import Vitals


@dataclass(frozen=True, slots=True)
class Part:
    """One line of the health card, or of what waits."""

    icon: str
    name: str
    words: str
    state: str = ""  # "good" or "bad"; empty where there is no such question
    link: str = ""  # where to see to it


def waiting(vitals: Vitals, review: Taken | None) -> list[Part]:
    """Only what there is any of.

    Args:
        review: what the page Review would show to the viewer; None while that is not known.
    """
    found = []
    labels, health = vitals.labels, vitals.health
    if review is not None and review.left:
        torn = f"; on {review.conflicts:,} of them people contradict each other" if review.conflicts else ""
        words = f"the model and the people do not agree{torn}"
        found.append(Part("help", many(review.left, "doubtful label"), words, "bad", "/review"))
    if labels is not None:
        found += _set_aside(labels)
    if vitals.refused:
        said = f"{', '.join(vitals.refused[:3])}: the gate let none of them pass; is it right?"
        found.append(Part("gavel", many(len(vitals.refused), "refused candidate"), said, "bad", "/models"))
    if isinstance(vitals.drift, DriftReport) and vitals.drift.drifted:
        moved = ", ".join(vitals.drift.drifted)
        words = f"in {moved}: what is asked now is unlike the test images; is the model still fit for it?"
        found.append(Part("moving", "Drift", words, "bad", "/monitor"))
    if health is not None and health.queue.failed:
        found.append(Part("error", many(health.queue.failed, "failed training"), "within a week", "bad", "/training"))
    if vitals.stream is not None and vitals.stream[1]:
        early = many(vitals.stream[1], "early vote")
        found.append(Part("hourglass_top", early, "that came before their images; they wait for them"))
    return found


def _set_aside(labels: Labels) -> list[Part]:
    """Images of the newest version that nobody trains on, each kind where its pictures are shown."""
    kinds = (
        (labels.conflicts, "call_split", "conflict", "images on which votes do not agree", {"show": "findings"}),
        (labels.suspects, "report", "suspect", "labels that are rather wrong", {"status": "suspect"}),
    )
    return [
        Part(
            icon, many(count, noun), f"{words}; nobody trains on them", "bad",
            f"/data?{urlencode({'version': labels.version, **place})}",
        )
        for count, icon, noun, words, place in kinds if count
    ]  # fmt: skip
