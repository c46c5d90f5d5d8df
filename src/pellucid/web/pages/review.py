"""Review: doubtful labels one after the other, decided by key, by several people at once."""

from __future__ import annotations

import uuid
from datetime import timedelta

from nicegui import ui

from pellucid.store.reservations import give_back
from pellucid.types import Right
from pellucid.web.parts import Words, empty
from pellucid.web.reviewing import Desktop, Reviewer
from pellucid.web.view import View, told

BATCH = 4  # pictures that one page holds: the one that is shown, and those that are fetched meanwhile
LASTS = timedelta(minutes=5)  # that they are held without a word from the page
_RENEW_SECONDS = 60.0


async def build(view: View) -> None:
    """The page's content; the queue is waited for once the page is there."""
    desk = view.desk
    dataset = desk.dataset  # says where there is no model
    holder = f"{view.viewer.caller.name}/{uuid.uuid4().hex}"
    may = view.may(Right.FEEDBACK)
    with ui.element("div") as waiting:
        Words("Looking for doubtful labels...", "note").props('role="status"')
    with ui.element("div") as nothing:
        empty(
            "task_alt", "No label is in doubt",
            "Every label of the training pictures fits what the model makes of them without it, or was decided. "
            "Labels that people say on the page Try it, or over the API, come here as soon as one is doubtful.",
        )  # fmt: skip
    desktop = Desktop(may=may, name=view.viewer.caller.name)
    reviewer = Reviewer(view, desktop, holder, most=BATCH, lasts=LASTS)
    desktop.box.set_visibility(False)
    nothing.set_visibility(False)

    @told
    async def look() -> None:
        await reviewer.refill()
        waiting.set_visibility(False)
        nothing.set_visibility(reviewer.current is None)
        desktop.box.set_visibility(reviewer.current is not None or reviewer.decided > 0)

    def leave() -> None:
        with desk.workspace.database.write() as connection:
            give_back(connection, dataset, holder)

    reviewer.changed = look
    desktop.acts.on("act", told(reviewer.act))
    ui.timer(0.01, look, once=True)
    ui.timer(_RENEW_SECONDS, look, immediate=False)
    if may:
        ui.context.client.on_delete(lambda: desk.readers.submit(leave))
