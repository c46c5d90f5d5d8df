"""Overview: is all well, what has changed, and what waits for a person."""

from __future__ import annotations

from nicegui import ui

from pellucid.web.parts import tile
from pellucid.web.view import View


async def build(view: View) -> None:
    """The page's content."""
    found = view.desk.doors.service.readiness
    with ui.element("div").classes("tiles"):
        tile("Champion", found.model or "none", "ready" if found.ready else "; ".join(found.reasons))
