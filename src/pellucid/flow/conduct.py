"""Conduct: what in somebody's votes looks like bad faith, carelessness, or a program."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pellucid.evaluate.evaluation import Estimate
from pellucid.evaluate.intervals import wilson
from pellucid.noise.abuse import Target, aim_of, fastest, wavers
from pellucid.types import TRUST_SCALE, Row, Status, Vote

LEAST = 10  # votes of a kind below which nobody is suspected of anything
BURST = 120  # votes within a minute from which on it is hardly a person who looks at pictures
_WAVERING = 0.2  # share of the images on which somebody contradicts himself, from which on it is told
_DOUBTED = 0.2  # share of somebody's votes that others doubt, from which on it is asked what they aim at
_CHANCE = 1e-3  # how rarely chance alone may aim so, to be called a target


@dataclass(frozen=True, slots=True)
class Conduct:
    """What stands out in the votes of one voter that count."""

    wavers: int  # images that they have given more than one label
    burst: int  # the most votes within any minute, of those said directly
    believed: float | None  # 0..1: of their words that the newest version could weigh, the share that it believes
    judged: int  # how many words those are
    doubted: int  # votes whose label others gave less than one half when it was said
    supported: int  # votes that others could weigh at all
    target: Target | None  # the label that the doubted ones aim at most
    suspicions: tuple[str, ...]  # in words, what a person should look at; empty for most


def conduct_of(
    said: Sequence[Vote],
    words: Sequence[Vote],
    *,
    rows: Mapping[str, Row],
    made_at: datetime,
    usual: Mapping[str, float],
    reliability: Estimate | None,
) -> Conduct:
    """Looks at one voter.

    - *wavering*: he gave at least ten images a label twice or more, and one in five of his images two labels.
    - *a burst*: 120 votes or more within a minute, said directly; an ingest brings thousands at once.
    - *rather wrong than right*: the whole interval of his reliability lies below one half.
    - *not believed*: Wilson's interval of the share of his words that the newest version believes lies below one half.
      A version believes a word where its row has that label, with a trust of one half or more; words that came after
      the version was made are not asked about.
    - *a target*: of at least ten votes that others doubt, one in five of all that could be weighed, half or more give
      one label, and chance alone would do that less than once in a thousand (`pellucid.noise.abuse.aim_of`).

    Args:
        said: all votes of the voter that count.
        words: of them, those that stand: the last one on each image.
        rows: the newest version's, by sample.
        made_at: when that version was made, UTC.
        usual: by label, its share among all votes on the dataset.
        reliability: what is known of the voter; None for ground truth and models.
    """
    by_image: dict[str, list[str]] = defaultdict(list)
    for vote in said:
        by_image[vote.sample].append(vote.label)
    repeated = sum(len(labels) > 1 for labels in by_image.values())
    wavering = wavers(by_image.values())
    burst = fastest([vote.at.timestamp() for vote in said if vote.import_id is None])
    judged = [_is_believed(rows[vote.sample], vote) for vote in words if vote.sample in rows and vote.at <= made_at]
    weighed = [vote for vote in words if vote.support is not None]
    doubted = [vote.label for vote in weighed if vote.support is not None and vote.support < 0.5]
    target = aim_of(doubted, usual)
    suspicions = []
    if reliability is not None and len(weighed) >= LEAST and reliability.high < 0.5:
        suspicions.append(f"is rather wrong than right: at most {reliability.high:.0%} of the labels")
    if len(judged) >= LEAST and (share := wilson(sum(judged), len(judged))).high < 0.5:
        suspicions.append(f"is not believed: {share.value:.0%} of {len(judged)} labels stand in the newest version")
    if repeated >= LEAST and wavering >= _WAVERING * len(by_image):
        suspicions.append(f"gives two labels to {wavering} of {len(by_image)} images")
    if burst >= BURST:
        suspicions.append(f"said {burst} labels within one minute, faster than anybody looks at pictures")
    aims = target is not None and target.share >= 0.5 and target.p_value < _CHANCE
    if target is not None and aims and target.of >= max(LEAST, _DOUBTED * len(weighed)):
        suspicions.append(f"aims at {target.label!r}: {target.count} of the {target.of} labels that others doubt")
    return Conduct(
        wavers=wavering,
        burst=burst,
        believed=sum(judged) / len(judged) if judged else None,
        judged=len(judged),
        doubted=len(doubted),
        supported=len(weighed),
        target=target,
        suspicions=tuple(suspicions),
    )


def usual_shares(votes: Sequence[Vote]) -> dict[str, float]:
    """By label, the share that it has among the votes, 0..1."""
    counts = Counter(vote.label for vote in votes)
    return {label: count / len(votes) for label, count in counts.items()}


def _is_believed(row: Row, vote: Vote) -> bool:
    return row.label == vote.label and row.status is Status.OK and 2 * row.trust >= TRUST_SCALE
