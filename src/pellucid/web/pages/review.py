"""Review: doubtful labels one after the other, decided by key, by several people at once."""

from __future__ import annotations

import uuid
from datetime import timedelta

from nicegui import ui

from pellucid.types import Right
from pellucid.web.parts import Words, empty
from pellucid.web.redrawn import Redrawn
from pellucid.web.reviewing import Desktop, Reviewer, why_none
from pellucid.web.view import View, told

BATCH = 4  # pictures that one page holds: the one that is shown, and those that are fetched meanwhile
LASTS = timedelta(minutes=1)  # that they are held without a word from the page, or a sign of somebody before it
_RENEW_SECONDS = 10.0


async def build(view: View) -> None:
    """The page's content; the queue is waited for once the page is there."""
    desk = view.desk
    holder = f"{view.viewer.caller.name}/{uuid.uuid4().hex}"
    may = view.may(Right.FEEDBACK)
    with ui.element("div") as waiting:
        Words("Looking for doubtful labels...", "note").props('role="status"')
    nothing = Redrawn[tuple[str, str] | None](_draw_nothing)
    desktop = Desktop(may=may, name=view.viewer.caller.name)
    reviewer = Reviewer(view, desktop, holder, most=BATCH, lasts=LASTS)
    desktop.box.set_visibility(False)

    @told
    async def look() -> None:
        await reviewer.refill()
        waiting.set_visibility(False)
        nothing.show(why_none(reviewer.taken) if reviewer.current is None else None)
        desktop.box.set_visibility(reviewer.current is not None or reviewer.decided > 0)

    reviewer.changed = look
    desktop.acts.on("act", told(reviewer.act))
    desktop.acts.on("here", reviewer.note_sign, args=[])
    ui.timer(0.01, look, once=True)
    ui.timer(_RENEW_SECONDS, told(reviewer.renew), immediate=False)
    if may:
        ui.context.client.on_delete(lambda: desk.readers.submit(reviewer.leave))


def _draw_nothing(why: tuple[str, str] | None) -> None:
    if why is not None:
        empty("task_alt", *why)
