"""Starting a grid: every chosen version with every chosen model, its settings and extractor; how many jobs, first."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from nicegui import ui

from pellucid.errors import PellucidError
from pellucid.flow.training.grid import Grid, submit
from pellucid.flow.training.offer import MAX_SEED, Forecast, Offer, forecast, form_grid, offer
from pellucid.flow.training.queue import see_queue
from pellucid.types import Right
from pellucid.web.formats import many
from pellucid.web.pages.grid_words import about_extractor, about_model, about_settings
from pellucid.web.parts import Words, card, empty
from pellucid.web.view import View, notify, said_of, told
from pellucid.web.worker_call import call_for_worker

_VERSIONS = 30  # that are shown; older ones on the command line
_FRESH = 3.0  # seconds for which it is taken as known whether a worker is there
_WAIT = 0.4  # seconds after the last change until the forecast is made


async def build(view: View) -> None:
    """The content of this part of the page."""
    offered = await view.desk.cached(offer, seconds=30.0, slow=True)
    if not offered.versions:
        empty(
            "folder_open", "There is nothing to train on yet", "Ingest a folder with one folder for each class.",
            "pellucid ingest FOLDER --dataset NAME",
        )  # fmt: skip
        return
    _Form(view, offered)


class _Form:
    """What is chosen, and what it comes to."""

    def __init__(self, view: View, offered: Offer) -> None:
        self._view = view
        self._offer = offered
        self._settings: dict[tuple[str, str], ui.input] = {}
        self._grid: Grid | None = None
        self._changes = 0
        self._alone = False
        begin = offered.chosen
        newest = {version.dataset: version.ref for version in reversed(offered.versions)}
        wanted = {newest.get(ref, ref) for ref in begin.datasets}
        extractors = begin.extractors or offered.extractors[:1]
        with ui.element("div").classes("columns"):
            with card("Trained on", "Versions of the data, newest first."):
                shown = offered.versions[:_VERSIONS]
                names = {item.ref: f"data {item.ref} · {item.counts.get('train', 0):,} images" for item in shown}
                self._versions = self._boxes(names, wanted)
            with card("Seen through", "The extractor: what turns an image into the numbers that a model learns from."):
                self._extractors = self._boxes({spec: about_extractor(spec) for spec in offered.extractors}, extractors)
        with card(
            "Models", "Values of a setting are separated by commas: each is tried. An empty field keeps the default."
        ):
            self._models = {}
            with ui.element("div").classes("choices"):
                for model, settings in offered.models.items():
                    self._models[model] = self._model(model, settings, begin)
        with (
            card("Order", "Higher priority is trained first. The seed decides every random choice."),
            ui.element("div").classes("row"),
        ):
            self._priority = self._number("Priority", 0, low=-1000, high=1000)
            self._seed = self._number("Seed", begin.seed, low=0, high=MAX_SEED)
        self._call = ui.element("div")
        with card(classes="verdict"):
            self._words = Words("", "", "p").props('role="status" aria-live="polite"')
            self._start = ui.button("Start", on_click=told(self.start)).props("no-caps unelevated")
            if not view.may(Right.ADMIN):
                Words("Starting a grid wants the role admin.", "note")
        self._start.disable()
        ui.timer(0.01, told(self.look), once=True)
        ui.timer(_FRESH, told(self.watch))

    def _boxes(self, names: Mapping[str, str], chosen: Any) -> dict[str, ui.checkbox]:
        with ui.element("div").classes("boxes"):
            return {
                value: ui.checkbox(name, value=value in chosen, on_change=told(self.changed)).props("dense")
                for value, name in names.items()
            }

    def _number(self, name: str, value: int, *, low: int, high: int) -> ui.number:
        field = ui.number(name, value=value, precision=0, min=low, max=high, on_change=told(self.changed))
        return field.props("dense outlined")

    def _model(self, model: str, settings: Mapping[str, Any], begin: Grid) -> ui.checkbox:
        with ui.element("div").classes("choice"):
            box = ui.checkbox(model, value=model in begin.models, on_change=told(self.changed)).props("dense")
            unable = self._offer.lacking.get(model, "")
            Words(f"Cannot be trained here: it {unable}" if unable else about_model(model), "note")
            if unable:
                box.value = False
                box.disable()
            with ui.element("div").classes("row fields") as fields:
                for name, default in settings.items():
                    values = begin.settings.get(f"{model}.{name}", begin.settings.get(name, ()))
                    field = ui.input(name, value=", ".join(map(str, values)), placeholder=str(default))
                    field.props("dense outlined stack-label").on_value_change(told(self.changed))
                    field.props["aria-label"] = f"{model}: {name}"
                    self._settings[model, name] = field
                if words := about_settings(settings):
                    Words(words, "note")
            fields.bind_visibility_from(box, "value")
        return box

    async def changed(self) -> None:
        """The forecast waits until the typing rests."""
        self._grid = None
        self._start.disable()
        self._changes += 1
        mine = self._changes
        await asyncio.sleep(_WAIT)
        if mine == self._changes:
            await self.look()

    def _read(self) -> Grid:
        return form_grid(
            self._offer, _ticked(self._versions), _ticked(self._models),
            {key: field.value or "" for key, field in self._settings.items()}, _ticked(self._extractors),
            priority=int(self._priority.value or 0), seed=int(self._seed.value or 0),
        )  # fmt: skip

    async def look(self) -> None:
        """Says what the grid comes to."""
        try:
            grid = self._read()
            found = await self._view.desk.think(forecast, self._view.desk.workspace, grid)
        except PellucidError as error:
            self._words.text = said_of(error)
            return
        self._words.text = in_words(found)
        self._start.text = f"Start {many(found.starts, 'job')}" if found.starts else "Nothing to start"
        if found.starts and self._view.may(Right.ADMIN):
            self._grid = grid
            self._start.enable()

    async def watch(self) -> None:
        """Says beforehand where nobody is there to train."""
        alone = not (await self._view.desk.cached(see_queue, seconds=_FRESH)).workers
        if alone == self._alone:
            return
        self._alone = alone
        self._call.clear()
        if alone:
            with self._call:
                call_for_worker(self._view, "No worker is alive: what is started here waits until there is one.")

    async def start(self) -> None:
        """Puts the jobs into the queue, as they were foretold."""
        grid, desk = self._grid, self._view.desk
        if grid is None:
            return
        self._start.disable()
        jobs = await desk.act(
            self._view.viewer, Right.ADMIN, "start grid", ", ".join(grid.datasets),
            lambda: submit(desk.workspace, grid), models=list(grid.models), extractors=list(grid.extractors),
            settings={name: list(values) for name, values in grid.settings.items()}, seed=grid.seed,
        )  # fmt: skip
        desk.forget(see_queue)
        notify(f"{many(len(jobs), 'job')} in the queue")
        ui.navigate.to("/training?view=queue")


def in_words(found: Forecast) -> str:
    """What starting comes to.

    >>> in_words(Forecast(jobs=6, new=3, again=1, open=0, done=2, specs=()))
    '6 jobs in all: 3 are new, 1 is tried again, 2 are done already and are not done again.'
    """
    parts = [
        (found.new, "new"),
        (found.again, "tried again"),
        (found.open, "in the queue already"),
        (found.done, "done already and {} not done again"),
    ]
    said = [f"{count} {_are(count)} {what.format(_are(count))}" for count, what in parts if count]
    return f"{many(found.jobs, 'job')} in all: {', '.join(said)}."


def _ticked(boxes: Mapping[str, ui.checkbox]) -> Sequence[str]:
    return [name for name, box in boxes.items() if box.value]


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
