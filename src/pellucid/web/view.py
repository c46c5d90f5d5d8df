"""One page being shown to one viewer, and how he is told of what goes well or wrong."""

from __future__ import annotations

import functools
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal, ParamSpec

from nicegui import context, ui

from pellucid.config import hide_secrets
from pellucid.errors import AccessError, PellucidError, StorageError
from pellucid.types import Right
from pellucid.web.desk import Desk
from pellucid.web.viewers import Viewer

P = ParamSpec("P")
_FAULT = "something went wrong in the server; nothing that was saved is lost, and the server's log says more"
_AWAY = "the server cannot reach its storage; try again in a moment, nothing is lost"
_TO_LOGIN = "setTimeout(() => location.assign('/login?next=' + encodeURIComponent(location.pathname)), 2500)"


@dataclass(frozen=True, slots=True)
class View:
    """A page on somebody's screen."""

    desk: Desk
    viewer: Viewer
    query: Mapping[str, str]  # of the page's address

    def may(self, right: Right) -> bool:
        """Whether the viewer may do this; what he may not do is shown, and says why it cannot be pressed."""
        return self.viewer.caller.may(right)


@dataclass(frozen=True, slots=True)
class Page:
    """A place in the menu."""

    path: str
    title: str
    icon: str  # of Material Icons
    build: Callable[[View], Awaitable[None]]
    right: Right = Right.PREDICT  # without which there is nothing to see


def told(work: Callable[P, Awaitable[None]]) -> Callable[P, Awaitable[None]]:
    """A handler whose errors are told to the viewer in one line, instead of being lost."""

    @functools.wraps(work)
    async def handler(*words: P.args, **options: P.kwargs) -> None:
        client = context.client  # what the handler hangs on may be drawn anew meanwhile
        try:
            await work(*words, **options)
        except PellucidError as error:
            with client:
                complain(error)
        except Exception:
            logging.getLogger(__name__).exception("a page's handler failed")
            with client:
                notify(_FAULT, "negative")

    return handler


def complain(error: PellucidError) -> None:
    """Tells the viewer what is wrong and how to mend it."""
    notify(said_of(error), "negative")
    if isinstance(error, AccessError):
        ui.run_javascript(_TO_LOGIN)


def said_of(error: PellucidError) -> str:
    """An error in one line, without what is none of the viewer's business."""
    said = str(hide_secrets(str(error)))
    if isinstance(error, StorageError):
        logging.getLogger(__name__).error("a page could not reach the storage: %s", said)
        return _AWAY
    return said


def notify(words: str, kind: Literal["positive", "negative", "warning", "info"] = "positive") -> None:
    """A line at the screen's edge; bad news stays longer."""
    ui.notify(words, type=kind, multi_line=True, timeout=9000 if kind == "negative" else 4000, close_button="close")
