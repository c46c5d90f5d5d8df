"""Asking for a retraining: a person says that it is time, and the next worker that watches does it, once."""

from __future__ import annotations

from dataclasses import dataclass

from pellucid.errors import UsageError
from pellucid.flow.environment import current_user
from pellucid.flow.production.retrain import Outlook, outlook
from pellucid.flow.workspace import Workspace
from pellucid.store.firings import Firing, FiringState, ask, firings_of, lock_dataset, open_firings
from pellucid.store.votes import newest_vote

_ENDED = (FiringState.DONE, FiringState.NOTHING, FiringState.FAILED)


@dataclass(frozen=True, slots=True)
class Standing:
    """What there is to retrain, and what is being done about it."""

    outlook: Outlook
    open: Firing | None  # asked for, or being done
    last: Firing | None  # the newest that has ended


def see_standing(workspace: Workspace, dataset: str) -> Standing:
    """How it stands with retraining the dataset.

    Raises:
        NotFoundError: there is no such dataset.
        ConfigError: [retrain] cannot be used.
    """
    ahead = outlook(workspace, dataset)
    with workspace.database.read() as connection:
        current = next(iter(open_firings(connection, dataset)), None)
        ended = [item for item in firings_of(connection, dataset) if item.state in _ENDED]
    return Standing(ahead, current, ended[-1] if ended else None)


def ask_to_retrain(workspace: Workspace, dataset: str, *, actor: str | None = None) -> Firing:
    """Leaves a retraining to the next worker that watches; errors are those of ``see_standing``.

    Raises:
        UsageError: there is nothing new to learn.
        ConcurrencyError: somebody has asked already, or the dataset is being retrained.
    """
    found = see_standing(workspace, dataset)
    if found.outlook.nothing and found.open is None:
        newest = found.outlook.newest
        raise UsageError(f"nothing new to learn: {newest} is learnt already and nobody has said anything since")
    with workspace.database.write() as connection:
        lock_dataset(connection, dataset)
        detail = {
            "why": "asked for by hand",
            "actor": actor or current_user(),
            "upto": newest_vote(connection, dataset),
        }
        return ask(workspace.database, connection, dataset, detail)
