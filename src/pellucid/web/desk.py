"""The desk: what every page has at hand, and how an act of a viewer is carried out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pellucid.flow.workspace import Workspace
from pellucid.serve.app import Doors
from pellucid.store.acts import add_act
from pellucid.types import Right
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
    thinkers: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "pellucid-think"))
    memo: Memo = field(default_factory=Memo)

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

    async def think(self, work: Callable[..., T], *words: Any, **options: Any) -> T:
        """The same for work that takes seconds: one after the other, so that requests and other pages do not wait."""
        return await asyncio.get_running_loop().run_in_executor(self.thinkers, lambda: work(*words, **options))

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

    def _note(self, actor: str, verb: str, subject: str, detail: Mapping[str, Any]) -> None:
        with self.workspace.database.write() as connection:
            add_act(connection, actor, verb, subject, detail)
