"""Training: the queue as it moves, a grid to start, two runs beside each other, and what a model gets wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from nicegui import ui

from pellucid.web.pages import grid_form, mistakes, queue, runs
from pellucid.web.parts import Words
from pellucid.web.retraining import retrain_card
from pellucid.web.view import View

_VIEWS: Mapping[str, tuple[str, Callable[[View], Awaitable[None]]]] = {
    "queue": ("Queue", queue.build),
    "start": ("Start a grid", grid_form.build),
    "compare": ("Curves and comparison", runs.build),
    "mistakes": ("Mistakes", mistakes.build),
}


async def build(view: View) -> None:
    """The page's content."""
    chosen = view.query.get("view", "queue")
    chosen = chosen if chosen in _VIEWS else "queue"
    with ui.element("nav").classes("parts").props('aria-label="Parts of this page"'):
        for name, (title, _) in _VIEWS.items():
            with ui.element("a").props(f'href="/training?view={name}"') as link:
                if name == chosen:
                    link.props('aria-current="true"')
                Words(title, tag="span")
    if chosen in ("queue", "start"):
        await retrain_card(view)
    await _VIEWS[chosen][1](view)
