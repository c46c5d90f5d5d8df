"""Draft: what the live model learns in a transaction that may still fail."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import sqlalchemy as sa

from pellucid.flow.online.answerer import Views
from pellucid.flow.online.live import LiveModel, Undo
from pellucid.store.ledger import Entry, add_entries, hold


class Draft:
    """Steps of the live model that nobody sees yet; the last ones can be undone. Made by `drafting`."""

    def __init__(self, live: LiveModel) -> None:
        self.live = live
        self.ledger = live.ledger  # the newest entry of the model's ledger, those of the draft included
        self._held = False
        self._steps: list[Undo] = []

    @property
    def steps(self) -> int:
        """How many steps the draft has by now."""
        return len(self._steps)

    def hold(self, connection: sa.Connection) -> None:
        """Takes in what others have learnt, and keeps them from learning until the transaction ends.

        Once a draft: from then on the ledger's new entries are its own.
        """
        if not self._held:
            hold(connection, self.live.model)
            self.live.follow(connection)
            self.live.refresh(connection)
            self.ledger = self.live.ledger
            self._held = True

    def learn(self, entries: Sequence[Entry], views: Views) -> None:
        """Puts samples where the entries say, without a word in the ledger."""
        if entries:
            self._steps.append(self.live.apply(entries, views))

    def record(self, connection: sa.Connection, entries: Sequence[Entry]) -> None:
        """Adds the entries to the ledger."""
        if entries:
            self.ledger = add_entries(connection, self.live.model, entries)

    def undo(self, steps: int = 0) -> None:
        """The model stands as it did after the first so many steps of the draft."""
        while self.steps > steps:
            self.live.restore(self._steps.pop())

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """What is learnt in the block is undone where it raises; what was learnt before it stays."""
        steps, ledger = self.steps, self.ledger
        try:
            yield
        except BaseException:
            self.undo(steps)
            self.ledger = ledger
            raise


@contextmanager
def drafting(live: LiveModel) -> Iterator[Draft]:
    """What is learnt in the block answers from its end on, or is undone where it raises.

    The transaction is to begin and end within the block, so that nobody sees what is not committed. Others wait.
    """
    with live.lock:
        draft = Draft(live)
        with draft.savepoint():
            yield draft
        if draft.ledger != live.ledger:
            live.publish(draft.ledger)
