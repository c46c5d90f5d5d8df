"""The timeline on a page: what happened, newest first; other kinds and older ones on demand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from nicegui import ui

from pellucid.flow.production.timeline import Chapter, Happening, Kind, tell
from pellucid.flow.workspace import Workspace
from pellucid.web.formats import ago
from pellucid.web.parts import Words, card
from pellucid.web.redrawn import Redrawn
from pellucid.web.toggle import Toggle
from pellucid.web.view import View, told

_ALL = "All"
_SECONDS = 5.0  # for which the newest chapter is shown to all
_LOOKS = {
    Kind.PROMOTION: ("trending_up", "Promotions"),
    Kind.ROLLBACK: ("undo", "Rollbacks"),
    Kind.RETRAINING: ("model_training", "Retrainings"),
    Kind.DRIFT: ("waves", "Drift"),
    Kind.GATE: ("gavel", "The gate"),
    Kind.FORGOTTEN: ("person_remove", "Forgotten votes"),
    Kind.TRAINING: ("school", "Trainings"),
    Kind.REVIEW: ("fact_check", "Reviews"),
    Kind.ACT: ("touch_app", "Other acts"),
}


class Timeline:
    """A card with the timeline; `refresh` looks for what is new."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._kinds = tuple(Kind)
        self._shown: dict[str, Happening] = {}
        self._older: Chapter | None = None  # the last one that was read
        with card("Production timeline", "Who changed what, and why; the newest first.", "timeline"):
            icons = {name: icon for icon, name in _LOOKS.values()}
            Toggle("Kinds of events", [_ALL, *icons], self._choose, icons)
            self._list = Redrawn(_draw, "happenings", "ol")
            self._more = ui.button("Show older ones", on_click=told(self._read_on), color=None).props("outline")
            self._more.visible = False

    async def refresh(self) -> None:
        """Takes in what has happened since."""
        newest = await self._view.desk.glimpse(_newest, self._kinds, seconds=_SECONDS)
        if newest is None:
            return
        if self._older is None:
            self._older = newest
        fresh = {item.key: item for item in newest.happenings}
        if not newest.more or not self._shown or set(fresh) & set(self._shown):
            self._shown = {**self._shown, **fresh}
        else:  # so much is new that there would be a gap
            self._shown, self._older = fresh, newest
        self._draw()

    def _draw(self) -> None:
        now = datetime.now(UTC)
        items = sorted(self._shown.values(), key=lambda item: item.at, reverse=True)
        self._list.show(tuple((item, ago(item.at, now)) for item in items))
        self._more.visible = self._older is not None and self._older.more

    async def _read_on(self) -> None:
        if self._older is None:
            return
        older = dict(self._older.older)
        self._older = await self._view.desk.read(tell, self._view.desk.workspace, kinds=self._kinds, older=older)
        self._shown |= {item.key: item for item in self._older.happenings}
        self._draw()

    async def _choose(self, name: str) -> None:
        self._kinds = tuple(kind for kind in Kind if name in (_ALL, _LOOKS[kind][1]))
        self._shown, self._older = {}, None
        await self.refresh()


def _newest(workspace: Workspace, kinds: Sequence[Kind]) -> Chapter:
    return tell(workspace, kinds=kinds)


def _draw(items: tuple[tuple[Happening, str], ...]) -> None:
    for item, when in items:
        state = {True: "good", False: "bad", None: ""}[item.good]
        with ui.element("li").classes(f"happening {state}"):
            ui.icon(_LOOKS[item.kind][0]).props('aria-hidden="true"')
            with ui.element("div"):
                Words(item.what, "what")
                if item.why:
                    Words(item.why, "note")
            with ui.element("div").classes("by"):
                if item.who:
                    Words(item.who, "badge", "span")
                time = Words(when, "note", "time")
                time.props["datetime"] = item.at.isoformat()
                time.props["title"] = f"{item.at:%Y-%m-%d %H:%M:%S} UTC"
    if not items:
        with ui.element("li"):
            Words(
                "Nothing of this kind has happened yet. Promotions, retrainings, what the gate said and what was "
                "forgotten stand here once there are any.",
                "note",
            )
