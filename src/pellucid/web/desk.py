"""The desk: what every page has at hand, and how an act of a viewer is carried out."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from pellucid.errors import PellucidError, StorageError
from pellucid.flow.data.shelf import Shelf
from pellucid.flow.online.feedback import Heard, Said
from pellucid.flow.online.gallery import Gallery
from pellucid.flow.online.live import LiveModel
from pellucid.flow.online.review import Queue, Taken, glance, renew_queue
from pellucid.flow.online.take_back import TakenBack, take_back
from pellucid.flow.online.voters import Voter, list_voters
from pellucid.flow.workspace import Workspace
from pellucid.serve.app import Doors
from pellucid.serve.manners import Manners
from pellucid.store.acts import begin_act, drop_act, end_act
from pellucid.types import Right
from pellucid.web.cache import Cache
from pellucid.web.viewers import Viewer, Viewers

T = TypeVar("T")

_REVIEW_SECONDS = 30.0  # at least, between two looks at whether there is something else to review
_GLANCE_SECONDS = 120.0  # the same where nobody reviews, and it is counted only
_SHARE = 0.005  # of the time that each thing that the pages look up again and again may take
_POLITE = 0.02  # of a core that what takes minutes may take where requests take all the time there is
_MANNERLY = 0.3  # the same of work with manners, most of whose time is rest


@dataclass(frozen=True, slots=True)
class Desk:
    """What every page has at hand."""

    doors: Doors
    viewers: Viewers
    # Of their own, so that pages neither wait for requests nor take their threads.
    readers: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(2, "pellucid-page"))
    manners: Manners = field(init=False)  # of what takes long: between its pieces it lets requests go first
    unsure: dict[str, set[str]] = field(default_factory=dict)  # what is not shown again, by who was unsure of it
    shelf: Shelf = field(default_factory=Shelf)  # the dataset versions that are looked at
    # What takes long and is not waited for, so that no page has to wait behind it.
    slow: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "pellucid-page-slow"))
    # What may take minutes, with manners: neither reading nor slow work waits behind it.
    makers: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(3, "pellucid-page-make"))
    galleries: Cache = field(default_factory=lambda: Cache(most=1))  # by live model, as the next one
    reviews: Cache = field(default_factory=lambda: Cache(most=1, share=_MANNERLY))
    ballots: Cache = field(default_factory=lambda: Cache(most=20, share=_MANNERLY))  # what voters are worth, by dataset
    # What the pages show, by the work that finds it and its words.
    cache: Cache = field(default_factory=lambda: Cache(share=_SHARE))
    began: datetime = field(default_factory=lambda: datetime.now(UTC))  # when the server started

    def __post_init__(self) -> None:
        object.__setattr__(self, "manners", Manners(lambda: self.doors.service.stats.seconds, _POLITE))

    @property
    def workspace(self) -> Workspace:
        """The project."""
        return self.doors.service.workspace

    @property
    def dataset(self) -> str:
        """The name of the dataset whose champion answers. Raises NotReadyError where there is no champion."""
        return self.doors.service.live.model.name

    async def read(self, work: Callable[..., T], *words: Any, **options: Any) -> T:
        """The result of work that only looks, done beside the event loop."""
        return await _run(self.readers, work, *words, **options)

    async def think(self, work: Callable[..., T], *words: Any, **options: Any) -> T:
        """The same for work that takes seconds: one after the other, so that requests and other pages do not wait."""
        return await _run(self.slow, work, *words, **options)

    async def cached(
        self, work: Callable[..., T], *words: Hashable, seconds: float = float("inf"), slow: bool = False
    ) -> T:
        """What work that only looks finds in the workspace, once for all who ask.

        Args:
            work: called with the workspace and the words.
            seconds: how old the answer may be; any age where it can never change.
            slow: for work that takes seconds, as `think`.
        """
        return await self.cache.get((work, words), self._look(work, words, slow=slow), seconds=seconds)

    async def glimpse(self, work: Callable[..., T], *words: Hashable, seconds: float, slow: bool = False) -> T | None:
        """The same for a page that looks again and again: what is older than that is shown while it is looked up anew.

        None where nobody has seen it yet and it takes longer than a moment; whoever asks later gets it.
        """
        return await self.cache.glimpse((work, words), self._look(work, words, slow=slow), seconds=seconds)

    def forget(self, work: Callable[..., object], *words: Hashable) -> None:
        """What the work has found with these words is no longer true."""
        self.cache.forget((work, words))

    async def voters(self, dataset: str, *, seconds: float) -> list[Voter] | None:
        """All who have said something of the dataset; None while they are weighed for the first time.

        Args:
            seconds: how old it may be, before it is looked up anew beside the viewers.
        """
        weigh = functools.partial(_run, self.makers, list_voters, self.workspace, dataset, self.manners)
        return await self.ballots.glimpse(dataset, weigh, seconds=seconds)

    async def gallery(self) -> Gallery:
        """What the live model has learnt, to be shown beside an image; made once for each model."""
        live = self.doors.service.live
        return await self.galleries.get(live, functools.partial(_run, self.makers, Gallery, live))

    async def review(self) -> Queue:
        """The doubtful labels, made anew beside the viewers where model or votes have changed."""
        live, renew = self._renewed()
        return await self.reviews.get(live, renew, seconds=_REVIEW_SECONDS, stale=True)

    async def to_review(self, viewer: Viewer) -> Taken | None:
        """How much the page Review would show to a viewer; None while that is not known yet."""
        live, renew = self._renewed()
        queue = await self.reviews.glimpse(live, renew, seconds=_GLANCE_SECONDS)
        if queue is None:
            return None
        name = viewer.caller.name
        return await self.read(glance, self.workspace, queue, name, skip=frozenset(self.unsure.get(name, ())))

    def _renewed(self) -> tuple[LiveModel, Callable[[], Awaitable[Queue]]]:
        """The live model, and what brings its doubtful labels up to date."""
        live = self.doors.service.live
        old: Queue | None = self.reviews.peek(live)
        return live, functools.partial(_run, self.makers, renew_queue, live, old, self.manners)

    async def act(
        self, viewer: Viewer, right: Right, verb: str, subject: str, work: Callable[[], T], **detail: Any
    ) -> T:
        """The result of work that changes something, by a viewer who may do so still; it stands in the audit trail.

        The line is written first, so that no act is without one, whenever the server dies; what was refused has none.

        Raises:
            AccessError: his session is over.
            RightError: he may not do this.
        """
        caller = (await self.viewers.check(viewer)).caller
        caller.need(right)
        return await asyncio.to_thread(self._carry_out, caller.name, verb, subject, work, detail)

    async def hear(self, viewer: Viewer, said: Said) -> Heard:
        """What became of what a viewer says of an image, in their own name whatever ``said`` has; votes are the record.

        Raises:
            AccessError: the session is over; nothing was said.
            RightError: the viewer may not do this.
        """
        caller = (await self.viewers.check(viewer)).caller
        caller.need(Right.FEEDBACK)
        heard = await self.doors.service.hear(replace(said, voter=caller.name), f"page:{caller.name}")
        self.doors.metrics.note_heard(heard)
        return heard

    async def take_back(self, viewer: Viewer, sample: str, vote: int) -> TakenBack:
        """What a viewer said counts no longer; errors are those of `act` and ``flow.online.take_back``."""
        live, name = self.doors.service.live, viewer.caller.name
        return await self.act(
            viewer, Right.FEEDBACK, "take back", f"{live.model.name}:{sample[:12]}",
            lambda: take_back(live, sample, vote, name), vote=vote,
        )  # fmt: skip

    def close(self) -> None:
        """The server is to end: what is being computed for pages does not rest any more."""
        self.manners.close()

    def _carry_out(self, actor: str, verb: str, subject: str, work: Callable[[], T], detail: Mapping[str, Any]) -> T:
        database = self.workspace.database
        with database.write() as connection:
            number = begin_act(connection, actor, verb, subject, detail)
        try:
            found = work()
        except PellucidError as error:
            if not isinstance(error, StorageError):  # over which nobody knows what was done
                with suppress(StorageError), database.write() as connection:
                    drop_act(connection, number)
            raise
        with suppress(StorageError), database.write() as connection:  # the act is done, and its line stands
            end_act(connection, number, detail)
        return found

    def _look(self, work: Callable[..., T], words: tuple[Hashable, ...], *, slow: bool) -> Callable[[], Awaitable[T]]:
        return functools.partial(_run, self.slow if slow else self.readers, work, self.workspace, *words)


async def _run(pool: ThreadPoolExecutor, work: Callable[..., T], *words: Any, **options: Any) -> T:
    return await asyncio.get_running_loop().run_in_executor(pool, functools.partial(work, *words, **options))
