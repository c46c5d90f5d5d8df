"""Meanwhile: what happened since somebody looked last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from pellucid.flow.production.timeline import Happening, Kind, tell
from pellucid.flow.workspace import Workspace
from pellucid.store.traffic import answers_since, votes_since

_TOLD = 3  # happenings that are named
_KINDS = tuple(kind for kind in Kind if kind not in (Kind.TRAINING, Kind.REVIEW))  # those are sums of a whole day
_LONGEST = timedelta(days=7)  # before which nobody looks


@dataclass(frozen=True, slots=True)
class Meanwhile:
    """What the project did without the one who asks."""

    answers: int  # given, by whatever model; those that were pruned since are counted too
    votes: int  # of people, said directly
    happenings: tuple[Happening, ...]  # newest first, at most three
    more: bool  # whether there were further ones

    @property
    def lines(self) -> list[str]:
        """In words, a line each; none where nothing happened."""
        counts = [
            f"{count:,} {name}{'' if count == 1 else 's'}"
            for count, name in ((self.answers, "answer"), (self.votes, "vote"))
            if count
        ]
        lines = [f"Meanwhile: {' and '.join(counts)}."] if counts else []
        lines += [f"{item.what}." for item in self.happenings]
        return lines + ["The overview's timeline has more."] * self.more


def meanwhile(workspace: Workspace, dataset: str | None, since: datetime, now: datetime) -> Meanwhile:
    """What happened from that time on, a week back at most."""
    since = max(since, now - _LONGEST)
    with workspace.database.read() as connection:
        answers = answers_since(connection, since)
        votes = votes_since(connection, dataset, since)[0] if dataset is not None else 0
    found = [item for item in tell(workspace, kinds=_KINDS, most=_TOLD + 1).happenings if item.at >= since]
    return Meanwhile(answers, votes, tuple(found[:_TOLD]), len(found) > _TOLD)
