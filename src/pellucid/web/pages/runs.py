"""Curves of a run, and two runs beside each other: figures with intervals, a paired test, what was not the same."""

from __future__ import annotations

import json
from collections.abc import Callable

from nicegui import ui

from pellucid.evaluate import reading
from pellucid.evaluate.evaluation import HIGHER_IS_BETTER
from pellucid.flow.production.steer import Registry, see_registry
from pellucid.flow.training.runs import Pair, Run, compare_runs, read_run
from pellucid.web import tables
from pellucid.web.charts import Axis, Series, chart, percent
from pellucid.web.formats import interval, many, metric, points, settings_in_words, share
from pellucid.web.glossary import glossary
from pellucid.web.parts import Words, card, empty
from pellucid.web.view import View, told

_MOST_CLASSES = 40  # that a chart of classes has room for


async def build(view: View) -> None:
    """The content of this part of the page."""
    registry = await registry_for(view, "a")
    if registry is None:
        empty("show_chart", "No run to look at yet", "Train a model first, on the tab before this one.")
        return
    refs = [model.ref for model in registry.models]
    first = view.query.get("a", refs[0])
    second = view.query.get("b", "")
    if view.query.get("a") is None:  # so that the address names what is shown
        ui.run_javascript(f"history.replaceState(null, '', {json.dumps(f'/training?view=compare&a={first}')})")
    with ui.element("div").classes("row pickers"):
        choose("Run", registry, first, lambda ref: f"/training?view=compare&a={ref}&b={second}")
        choose("beside", registry, second, lambda ref: f"/training?view=compare&a={first}&b={ref}", none="no other run")
    a = await view.desk.cached(read_run, first)
    if not second or second == first:
        _figures([a])
        _curves([a])
        return
    box = ui.element("div")
    with box:
        ui.skeleton(height="180px").props("animation=none").classes("card")
        Words("Both models answer the same test images …", "note").props('role="status"')

    async def fill() -> None:
        try:
            pair = await view.desk.cached(compare_runs, first, second, slow=True)
        finally:
            box.clear()
        with box:
            _test(pair)
            _figures([pair.first, pair.second])
            _curves([pair.first, pair.second])

    ui.timer(0.01, told(fill), once=True)


async def registry_for(view: View, key: str) -> Registry | None:
    """The registry of the model that the address names, or of the first champion."""
    name = view.query.get(key, "").partition("@")[0] or view.query.get("name") or None
    return await view.desk.read(see_registry, view.desk.workspace, name)


def choose(label: str, registry: Registry, chosen: str, address: Callable[[str], str], *, none: str = "") -> None:
    """A list of the models that leads to another address."""
    names = {"": none} if none else {}
    names |= {
        item.ref: f"model {item.ref} · {item.head}, {settings_in_words(item.settings)}"
        + f" · {share(item.metrics['accuracy'], 1)}"
        + (" · champion" if "champion" in item.aliases else "")
        for item in registry.models
    }
    if chosen not in names:
        names[chosen] = f"model {chosen}"
    field = ui.select(names, value=chosen, label=label, on_change=lambda event: ui.navigate.to(address(event.value)))
    field.props("outlined dense options-dense").classes("picker")


def _test(pair: Pair) -> None:
    found = pair.comparison
    a, b = f"model {pair.first.model.ref}", f"model {pair.second.model.ref}"
    with card("Paired test", f"On the {found.n:,} test images of data {pair.first.model.dataset}, image by image."):
        glossary("Paired test", "95 % interval", "p value")
        Words(found.verdict[:1].upper() + found.verdict[1:], "said")
        with tables.table("The paired test", ("What", "Value"), numbers=("Value",)):
            for name, value in (
                (f"accuracy of {a} less that of {b}, with 95 % interval", points(found.difference)),
                (f"only {a} is right on", many(found.only_a, "image")),
                (f"only {b} is right on", many(found.only_b, "image")),
                ("p value (exact McNemar test)", f"{found.p_value:.2g}"),
            ):
                with tables.row():
                    tables.head(name)
                    tables.number(value)
    with card("What was not the same"):
        if not pair.differences:
            Words("Nothing: data, head, settings and extractor are the same; only the seed may differ.", "note")
            return
        with tables.table("What was not the same", ("What", a, b)):
            for item in pair.differences:
                with tables.row():
                    tables.head(item.what)
                    tables.text(item.first)
                    tables.text(item.second)


def _figures(runs: list[Run]) -> None:
    with card("Figures", "On each run's own test images, with 95 % intervals."):
        glossary("Accuracy", "95 % interval", "Balanced accuracy", "Macro F1", "Log loss", "Calibration error")
        columns = ("Metric", *(f"model {run.model.ref}" for run in runs))
        with tables.table("Metrics of the runs", columns):
            for name, higher in HIGHER_IS_BETTER.items():
                with tables.row():
                    with tables.cell():
                        Words(name.replace("_", " ").replace("f1", "F1"), tag="div")
                        Words("higher is better" if higher else "lower is better", "note", "div")
                    for run in runs:
                        estimate = run.evaluation.metrics[name]
                        with tables.cell("number"):
                            Words(metric(name, estimate.value), "strong", "div")
                            Words(interval(name, estimate), "note", "div")


def _curves(runs: list[Run]) -> None:
    with ui.element("div").classes("columns"):
        with card():
            lines = [percent(_sizes(run)) for run in runs]
            note = (
                reading.progress(runs[0].sizes) if len(runs) == 1 else "Accuracy on test images, with 95 % intervals."
            )
            chart("Learning curve", Axis("training images", kind="log"), Axis("accuracy", "%"), lines, note=note)
        with card():
            _classes(runs)
        if any(run.epochs for run in runs):
            with card():
                epochs = [percent(line) for run in runs for line in _epochs(run)]
                chart(
                    "Epochs",
                    Axis("epoch"),
                    Axis("accuracy", "%"),
                    epochs,
                    note="Where train and test part, it overfits.",
                )


def _classes(runs: list[Run]) -> None:
    names = tuple(dict.fromkeys(name for run in runs for name in run.evaluation.classes))[:_MOST_CLASSES]
    place = {name: index for index, name in enumerate(names)}
    bars = []
    for run in runs:
        found = [
            (place[item.name], item.recall) for item in run.evaluation.per_class if item.recall and item.name in place
        ]
        value, low, high = (tuple(getattr(recall, part) for _, recall in found) for part in ("value", "low", "high"))
        bars.append(percent(Series(f"model {run.model.ref}", tuple(at for at, _ in found), value, low, high, "bar")))
    chart(
        "Recall by class", Axis("class", kind="names", names=names), Axis("recall", "%", low=0, high=100), bars,
        note="The share of each class's test images that is found.",
    )  # fmt: skip


def _sizes(run: Run) -> Series:
    value, low, high = (
        tuple(getattr(point.accuracy, part) for point in run.sizes) for part in ("value", "low", "high")
    )
    return Series(f"model {run.model.ref}", tuple(point.n for point in run.sizes), value, low, high)


def _epochs(run: Run) -> list[Series]:
    x = tuple(point.epoch for point in run.epochs)
    return [
        Series(f"model {run.model.ref}, {part}", x, tuple(getattr(point, part) for point in run.epochs))
        for part in ("train", "test")
        if run.epochs
    ]
