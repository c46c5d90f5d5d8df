"""The dialog before production changes: what will happen, what the gate says, and who has decided meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from nicegui import ui

from pellucid.errors import ConcurrencyError
from pellucid.flow.production.promote import promote, rollback
from pellucid.flow.production.steer import Proposal
from pellucid.store.verdicts import Verdict
from pellucid.types import Right
from pellucid.web import tables
from pellucid.web.dialogs import close_button, dialog
from pellucid.web.formats import share
from pellucid.web.parts import Words
from pellucid.web.view import View, notify, told

_NAMES = {"promote": "Promote", "rollback": "Roll back to"}


async def steer(view: View, propose: Callable[[], Proposal], done: Callable[[], Awaitable[None]]) -> None:
    """Shows what would happen, and does it where the viewer says so.

    Args:
        propose: finds out what would happen; it may take seconds.
        done: told once production has changed, or turned out to have changed meanwhile.
    """
    with dialog("What would happen", asks=True) as (made, title):
        box = ui.element("div").classes("stack full")
        with box:
            Words("The gate judges the model on trusted images …", "note").props('role="status"')
            ui.spinner(size="28px").props('aria-hidden="true"')
            close_button(made, "Cancel")
    try:
        found = await view.desk.think(propose)
    except BaseException:
        made.close()
        raise
    if made.is_deleted:
        return
    title.text = f"{_NAMES[found.action]} {found.model.ref}?"
    box.clear()
    with box:
        _Question(view, found, made, done)


class _Question:
    """The proposal, and the way to say yes."""

    def __init__(self, view: View, found: Proposal, made: ui.dialog, done: Callable[[], Awaitable[None]]) -> None:
        self._view, self._found, self._dialog, self._done = view, found, made, done
        with ui.element("ul").classes("consequences"):
            for words in found.consequences:
                Words(words, tag="li")
        self._force: ui.checkbox | None = None
        self._evidence()
        self._reason = ui.input("Reason, kept in the history", on_change=self._look).props(
            "outlined dense maxlength=500"
        )
        self._reason.classes("full")
        if found.refused:
            self._force = ui.checkbox("Overrule the gate; the history tells it", on_change=self._look)
        with ui.element("div").classes("row end"):
            ui.button("Cancel", on_click=made.close, color=None).props("outline no-caps")
            self._yes = ui.button(f"{_NAMES[found.action]} {found.model.ref}", on_click=told(self._act))
            self._yes.props("no-caps unelevated")
        self._look()

    def _evidence(self) -> None:
        found = self._found
        if found.verdict is not None:
            show_verdict(found.verdict)
        elif found.champion is None:
            Words("There is no champion to be measured against: the gate is not asked.", "note")
        else:
            Words(
                f"{found.model.ref} has been champion before: the gate is not asked, so that the way back is open.",
                "note",
            )

    def _look(self) -> None:
        """A refused model wants force, and force wants a reason."""
        forced = self._force is not None and bool(self._force.value) and bool(self._reason.value.strip())
        self._yes.set_enabled(not self._found.refused or forced)

    async def _act(self) -> None:
        found, desk, actor = self._found, self._view.desk, self._view.viewer.caller.name
        options: dict[str, Any] = {"reason": self._reason.value.strip(), "actor": actor, "seen": found.revision}
        self._yes.disable()

        def work() -> None:
            if found.action == "promote":
                promote(desk.workspace, found.model.ref, force=self._force is not None, **options)
            else:
                rollback(desk.workspace, found.model.name, to=found.model.version, **options)

        try:
            await desk.act(
                self._view.viewer, Right.ADMIN, found.action, found.model.ref, work, reason=options["reason"],
                before=found.champion and found.champion.ref, forced=self._force is not None,
            )  # fmt: skip
        except ConcurrencyError:
            self._dialog.close()
            await self._done()
            raise
        except BaseException:
            self._look()
            raise
        self._dialog.close()
        notify(f"model {found.model.ref} is the champion of {found.model.name}")
        await self._done()
        if not self._dialog.is_deleted:
            self._dialog.delete()  # a browser that is short of time may not have hidden it yet


def show_verdict(verdict: Verdict) -> None:
    """What the gate found, class by class."""
    badge, kind = badge_of(verdict)
    with ui.element("div").classes("row"):
        Words(f"The gate: {badge}", f"badge {kind}", "span")
        if verdict.judged:
            Words(str(verdict.figures.get("summary", "")), "strong", "span")
    for reason in verdict.figures.get("reasons", ()):
        Words(str(reason), "wrong")
    if not verdict.judged:
        Words(
            "The promotion goes through, and the history shows that nobody judged it. To have models judged, ingest "
            "images whose labels are certain with the option --trusted.",
            "note",
        )
    report = verdict.figures.get("trusted") or {}
    classes = [item for item in report.get("classes", ()) if item["n"]]
    if classes:
        columns = (
            "Class",
            "Images",
            f"Recall of {verdict.name}@{verdict.champion}",
            f"of {verdict.name}@{verdict.candidate}",
        )
        with tables.table("Recall by class on trusted images", columns, numbers=columns[1:]):
            for item in classes:
                with tables.row():
                    tables.head(str(item["name"]))
                    tables.number(f"{item['n']:,}")
                    tables.number(share(item["champion"], 1))
                    tables.number(share(item["candidate"], 1)).classes("wrong" if item["fallen"] else "")
    votes = verdict.figures.get("votes")
    if votes:
        Words(f"On what people have labelled since, not weighed: {votes['summary']}", "note")


def badge_of(verdict: Verdict | None) -> tuple[str, str]:
    """What the gate said, in a word, and how it is coloured."""
    if verdict is None:
        return "not asked", ""
    if verdict.passed:
        return "passed", "good"
    return ("refused", "bad") if verdict.judged else ("could not judge", "")
