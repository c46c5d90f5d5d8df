"""Asking a person: what they may choose from, and what the model makes of a picture by now."""

from __future__ import annotations

from collections.abc import Mapping

from pellucid.errors import UsageError
from pellucid.flow.online.live import LiveModel
from pellucid.store.datasets import get_version
from pellucid.store.predictions import newest_answers
from pellucid.store.votes import find_votes
from pellucid.types import Answer, Vote

_AMONG = 300  # newest answers that somebody's own are looked for in


def choices(live: LiveModel) -> tuple[str, ...]:
    """The classes that a person may choose without founding one: the model's, those learnt since, the dataset's."""
    with live.workspace.database.read() as connection:
        newest = get_version(connection, live.model.name)
    return tuple(dict.fromkeys((*live.known(), *newest.classes)))


def founds(live: LiveModel, label: str, *, founding: bool = False) -> bool:
    """Whether the model has to take in a class for what a person has chosen, be it said to be new or only new to it.

    Args:
        founding: the person says that nobody has used it yet.

    Raises:
        UsageError: it was a class when it was chosen from, and is none any more; nothing was said.
    """
    known = choices(live)
    if not founding and label not in known:
        raise UsageError(
            f"{label!r} is no class any more: it was renamed or taken back while this page was open. Nothing was said; "
            f"choose again, from {', '.join(known)}"
        )
    return founding or label not in live.known()


def shares_now(live: LiveModel, sample: str) -> Mapping[str, float]:
    """The probability of every class that the live model gives a stored picture at this moment, the highest first."""
    with live.workspace.database.read() as connection:
        view = live.look_up(connection, [sample])
    answerer = live.answerer
    found = answerer.probabilities_of(view)[0]
    shares = {name: float(found[number]) for number, name in answerer.known.items()}
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def answers_of(live: LiveModel, actor: str, most: int) -> list[tuple[Answer, Mapping[int, Vote]]]:
    """What the model has answered somebody of late, newest first, with what they have said of each picture."""
    with live.workspace.database.read() as connection:
        mine = [item for item in newest_answers(connection, live.model, _AMONG) if item.actor == actor]
        answers = list({item.sample: item for item in reversed(mine)}.values())[::-1][:most]
        return [
            (item, find_votes(connection, live.model.name, voter=actor, sample=item.sample, since=item.at))
            for item in answers
        ]
