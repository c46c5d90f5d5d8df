"""Data: every picture of a dataset version, its story, and how the versions came about."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from nicegui import ui

from pellucid.errors import NotReadyError
from pellucid.flow.data.browse import Facets, Filter, facets
from pellucid.flow.workspace import Workspace
from pellucid.store.datasets import list_versions
from pellucid.types import DatasetVersion
from pellucid.web.facets import Filters
from pellucid.web.findings import show_findings
from pellucid.web.grids import ROWS, Grid, address
from pellucid.web.parts import Words, empty
from pellucid.web.story import StoryDialog
from pellucid.web.versions import show_history
from pellucid.web.view import View, told

_PATH = "/data"
_SIDES = {104: "Small pictures", 148: "Medium pictures", 220: "Large pictures"}  # pixels
_SIDE = 148


async def build(view: View) -> None:
    """The page's content."""
    versions = await view.desk.read(_versions, view.desk.workspace)
    if not versions:
        empty(
            "photo_library", "There are no pictures yet",
            "Ingest a folder with one folder of pictures for each class; the pictures then stand here.",
            "pellucid ingest FOLDER --dataset NAME",
        )  # fmt: skip
        return
    chosen = _chosen(view, versions)
    show = view.query.get("show", "pictures")
    with ui.element("div").classes("row data-top"):
        _choice(chosen, versions, show)
        _tabs(chosen, show)
    await _TABS.get(show, _TABS["pictures"]).build(view, chosen)


async def _pictures(view: View, chosen: DatasetVersion) -> None:
    desk = view.desk
    wanted = Filter.of(view.query.multi_items())

    async def count(now: Filter) -> Facets:
        return await desk.read(facets, desk.shelf, desk.workspace, chosen.ref, now)

    async def show(now: Filter) -> Facets:
        grid.show(chosen.ref, now)
        save.props["href"] = address(f"{ROWS}.csv", chosen.ref, now)
        ui.run_javascript(f"history.replaceState(null, '', {json.dumps(_place(chosen.ref, now))})")
        return await count(now)

    async def fill() -> None:
        everything = await count(Filter())
        with box:
            Filters(wanted, everything if wanted == Filter() else await count(wanted), everything, show)
        if sample := view.query.get("sample"):
            await dialog.open(sample)

    with ui.element("div").classes("album"):
        box = ui.element("section").classes("card facets").props('aria-label="Filters"')
        with ui.element("section").classes("card wall-card").props('aria-label="Pictures"'):
            with ui.element("div").classes("row wall-top"):
                more = ui.button("Filters", icon="tune").props('flat dense aria-expanded="false"').classes("only-small")
                side = ui.select(_SIDES, value=_SIDE).props('outlined dense aria-label="Size"').classes("wall-side")
                with ui.element("a").classes("quiet-link").props("download") as save:
                    Words("Save as CSV", tag="span")
            grid = Grid(chosen.ref, wanted, lambda sample: dialog.open(sample))
    dialog = StoryDialog(view, chosen.ref, step=grid.step, closed=grid.come_back)
    save.props["href"] = address(f"{ROWS}.csv", chosen.ref, wanted)

    def turn() -> None:
        is_open = "open" not in box.classes
        box.classes(toggle="open")
        more.props["aria-expanded"] = "true" if is_open else "false"

    more.on_click(turn)
    side.on_value_change(lambda event: grid.props.update({"side": event.value}))
    ui.timer(0, told(fill), once=True)  # after the page is there: what was never looked at takes a moment to count


@dataclass(frozen=True, slots=True)
class _Tab:
    title: str
    build: Callable[[View, DatasetVersion], Awaitable[None]]


_TABS: Mapping[str, _Tab] = {
    "pictures": _Tab("Pictures", _pictures),
    "versions": _Tab("Versions", show_history),
    "findings": _Tab("Findings", show_findings),
}


def _versions(workspace: Workspace) -> list[DatasetVersion]:
    """All, newest first within each dataset."""
    with workspace.database.read() as connection:
        return sorted(list_versions(connection), key=lambda item: (item.dataset, -item.number))


def _chosen(view: View, versions: list[DatasetVersion]) -> DatasetVersion:
    """The version that the address names, else the newest of the champion's dataset."""
    named = view.query.get("version", "")
    try:
        served = view.desk.dataset
    except NotReadyError:
        served = versions[0].dataset
    fits = [item for item in versions if item.ref == named]
    newest = [item for item in versions if item.dataset == (named.partition("@")[0] or served)]
    return next(iter([*fits, *newest, *versions]))


def _choice(chosen: DatasetVersion, versions: list[DatasetVersion], show: str) -> None:
    newest = {item.dataset: item.ref for item in reversed(versions)}
    names = {item.ref: f"{item.ref}: {item.counts['images']:,} pictures" for item in versions}
    names |= {ref: names[ref].replace(":", ", newest:", 1) for ref in newest.values()}
    found = ui.select(names, value=chosen.ref, label="Version").props("outlined dense").classes("data-version")
    found.on_value_change(lambda event: ui.navigate.to(_place(event.value, Filter(), show)))


def _tabs(chosen: DatasetVersion, show: str) -> None:
    with ui.element("nav").classes("tabs").props('aria-label="Of this version"'):
        for name, tab in _TABS.items():
            with ui.element("a") as link:
                link.props["href"] = _place(chosen.ref, Filter(), name)
                if name == show:
                    link.props["aria-current"] = "page"
                Words(tab.title, tag="span")


def _place(ref: str, wanted: Filter, show: str = "pictures") -> str:
    """The page's address that shows this."""
    return f"{_PATH}?{urlencode([('version', ref), *([('show', show)] if show != 'pictures' else []), *wanted.words])}"
