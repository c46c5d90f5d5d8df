"""Conduct: what in somebody's votes looks like bad faith, carelessness, or a program."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from pellucid.evaluate.evaluation import Estimate
from pellucid.evaluate.intervals import wilson
from pellucid.labels.ballots import Ballots
from pellucid.noise.abuse import Target, aim_of, fastest
from pellucid.types import TRUST_SCALE, Row, Status

LEAST = 10  # votes of a kind below which nobody is suspected of anything
BURST = 120  # votes within a minute from which on it is hardly a person who looks at pictures
_WAVERING = 0.2  # share of the images on which somebody contradicts himself, from which on it is told
_DOUBTED = 0.2  # share of somebody's votes that others doubt, from which on it is asked what they aim at
_ABSENT, _NOTHING = -2, -1  # what a version believes of a sample that it does not have, or has no label for
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
    said: Ballots,
    words: Ballots,
    *,
    believed: NDArray[np.intp],
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
        believed: what the newest version believes of each sample, see `believed_labels`.
        made_at: when that version was made, UTC.
        usual: by label, its share among all votes on the dataset.
        reliability: what is known of the voter; None for ground truth and models.
    """
    images, times = np.unique(said.sample, return_counts=True)
    repeated = int((times > 1).sum())
    L = max(1, len(said.labels))
    given = np.unique(np.unique(said.sample * L + said.label) // L, return_counts=True)[1]
    wavering = int((given > 1).sum())
    burst = fastest(said.at[said.imported < 0])
    asked = (believed[words.sample] != _ABSENT) & (words.at <= made_at.timestamp())
    judged = (believed[words.sample] == words.label)[asked].tolist()
    weighed = words.only(~np.isnan(words.support))
    doubted = [words.labels[number] for number in weighed.label[weighed.support < 0.5].tolist()]
    target = aim_of(doubted, usual)
    suspicions = []
    if reliability is not None and len(weighed) >= LEAST and reliability.high < 0.5:
        suspicions.append(f"is rather wrong than right: at most {reliability.high:.0%} of the labels")
    if len(judged) >= LEAST and (share := wilson(sum(judged), len(judged))).high < 0.5:
        suspicions.append(f"is not believed: {share.value:.0%} of {len(judged)} labels stand in the newest version")
    if repeated >= LEAST and wavering >= _WAVERING * len(images):
        suspicions.append(f"gives two labels to {wavering} of {len(images)} images")
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


def usual_shares(votes: Ballots) -> dict[str, float]:
    """By label, the share that it has among the votes, 0..1."""
    counts = np.bincount(votes.label, minlength=len(votes.labels)) / max(1, len(votes))
    return {name: share for name, share in zip(votes.labels, counts.tolist(), strict=True) if share}


def believed_labels(votes: Ballots, rows: Iterable[Row]) -> NDArray[np.intp]:
    """Which label a version believes each sample of the votes to have, (samples,), by number; below 0 for none."""
    samples = {name: number for number, name in enumerate(votes.samples)}
    labels = {name: number for number, name in enumerate(votes.labels)}
    found = np.full(len(samples), _ABSENT)
    for row in rows:
        if (place := samples.get(row.sample)) is not None:
            sure = row.status is Status.OK and 2 * row.trust >= TRUST_SCALE and row.label is not None
            found[place] = labels.get(row.label, _NOTHING) if sure and row.label is not None else _NOTHING
    return found
