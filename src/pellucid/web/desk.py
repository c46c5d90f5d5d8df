"""The desk: what every page has at hand, and how an act of a viewer is carried out."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from pellucid.flow.feedback import Heard, Said
from pellucid.flow.gallery import Gallery
from pellucid.flow.review import Queue, make_queue, state_of
from pellucid.flow.shelf import Shelf
from pellucid.flow.workspace import Workspace
from pellucid.serve.app import Doors
from pellucid.store.acts import add_act
from pellucid.types import Right
from pellucid.web.fresh import Fresh
from pellucid.web.made import Made
from pellucid.web.manners import Manners
from pellucid.web.memo import Memo
from pellucid.web.viewers import Viewer, Viewers

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Desk:
    """What every page has at hand."""

    doors: Doors
    viewers: Viewers
    # Of their own, so that pages neither wait for requests nor take their threads.
    readers: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(2, "pellucid-page"))
    gallery: Made[Gallery] = field(default_factory=lambda: Made(Gallery))
    reviews: Made[Queue] = field(init=False)
    manners: Manners = field(init=False)  # of what takes long: between its pieces it lets requests go first
    unsure: dict[str, set[str]] = field(default_factory=dict)  # what is not shown again, by who was unsure of it
    shelf: Shelf = field(default_factory=Shelf)  # the dataset versions that are looked at
    # What takes long and is not waited for, so that no page has to wait behind it.
    slow: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "pellucid-page-slow"))
    fresh: Fresh = field(default_factory=Fresh)  # what all open pages show again and again
    began: datetime = field(default_factory=lambda: datetime.now(UTC))  # when the server started
    memo: Memo = field(default_factory=Memo)

    def __post_init__(self) -> None:
        manners = Manners(lambda: self.doors.service.stats.items)
        object.__setattr__(self, "manners", manners)
        object.__setattr__(self, "reviews", Made(functools.partial(make_queue, rest=manners), state=state_of))

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
        return await asyncio.get_running_loop().run_in_executor(self.readers, lambda: work(*words, **options))

    async def seen(
        self, key: Hashable, seconds: float, work: Callable[..., T], *words: Any, slow: bool = False
    ) -> T | None:
        """What `read` gives, computed once for all who look, at most once in so many seconds.

        None where nobody has seen it yet and it takes longer than a moment; whoever asks later gets it.

        Args:
            key: of the value, beside the work's name.
            slow: for work of seconds, which is done one at a time beside all other reading.
        """
        pool = self.slow if slow else self.readers

        async def compute() -> T:
            return await asyncio.get_running_loop().run_in_executor(pool, lambda: work(*words))

        return await self.fresh.glimpse((work.__name__, key), compute, seconds)

    async def think(self, work: Callable[..., T], *words: Any, **options: Any) -> T:
        """The same for work that takes seconds: one after the other, so that requests and other pages do not wait."""
        return await asyncio.get_running_loop().run_in_executor(self.slow, lambda: work(*words, **options))

    async def act(
        self, viewer: Viewer, right: Right, verb: str, subject: str, work: Callable[[], T], **detail: Any
    ) -> T:
        """The result of work that changes something, by a viewer who may do so still; it stands in the audit trail.

        Raises:
            AccessError: his session is over.
            RightError: he may not do this.
        """
        caller = (await self.viewers.check(viewer)).caller
        caller.need(right)
        found = await asyncio.to_thread(work)
        await asyncio.to_thread(self._note, caller.name, verb, subject, detail)
        return found

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

    def _note(self, actor: str, verb: str, subject: str, detail: Mapping[str, Any]) -> None:
        with self.workspace.database.write() as connection:
            add_act(connection, actor, verb, subject, detail)
