"""Versions: how a dataset came to be what it is, what was made of it, and what changed from one to another."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from nicegui import ui

from pellucid.flow.data.lineage import Diff, Difference, Step, diff, lineage
from pellucid.types import DatasetVersion, ModelVersion, Row
from pellucid.web.formats import moment
from pellucid.web.listing import Listing
from pellucid.web.parts import Words, card, heading, picture
from pellucid.web.story import StoryDialog
from pellucid.web.view import View, told

_STEPS = 60  # versions that the graph shows, the newest
_AT_ONCE = 50  # differences
_MOVES = 12  # kinds of change that are counted by name
_SIDE = 96  # pixels


async def show_history(view: View, chosen: DatasetVersion) -> None:
    """The graph of the dataset's versions and models, and the difference of two."""
    desk = view.desk
    steps = await desk.read(lineage, desk.workspace, chosen.dataset)
    refs = [step.version.ref for step in steps]
    before, after = view.query.get("before", ""), view.query.get("after", "")
    with ui.element("div").classes("columns"):
        with card("Where it comes from", "Versions from the newest down; beside each the models that learnt from it."):
            _graph(steps, chosen)
        with card("What changed", "Every picture whose label, trust, split or status differs between two versions."):
            _two(refs, before, after, chosen)
            if before in refs and after in refs:
                found = await desk.read(diff, desk.workspace, before, after)
                _changes(found, StoryDialog(view, after))


def _graph(steps: Sequence[Step], chosen: DatasetVersion) -> None:
    """A line of versions, and at each the models, which branch off."""
    with ui.element("ol").classes("descent"):
        for step in steps[:_STEPS]:
            version = step.version
            with ui.element("li").classes("here" if version.ref == chosen.ref else ""):
                with ui.element("div").classes("row"):
                    _link(version.ref, [("version", version.ref)])
                    Words(_made_by(version.recipe), "badge", "span")
                    if version.parents:
                        pair = [("version", chosen.ref), ("show", "versions")]
                        pair += [("before", version.parents[0]), ("after", version.ref)]
                        _link("what changed", pair)
                Words(
                    f"{_counts(version.counts)} · {len(version.classes)} classes · {moment(version.created_at)}", "note"
                )
                if step.models:
                    with ui.element("ul").classes("made"):
                        for model in step.models:
                            _model(model)
        if len(steps) > _STEPS:
            with ui.element("li"):
                Words(f"and {len(steps) - _STEPS:,} older versions", "note")
        with ui.element("li").classes("root"):
            Words(f"The dataset {chosen.dataset}")


def _model(model: ModelVersion) -> None:
    is_champion = "champion" in model.aliases
    with ui.element("li"), ui.element("span").classes("badge good" if is_champion else "badge"):
        Words(f"model {model.ref}, {model.head}{', champion' if is_champion else ''}", tag="span")


def _two(refs: Sequence[str], before: str, after: str, chosen: DatasetVersion) -> None:
    """The choice of two versions."""
    place = refs.index(chosen.ref)
    before = before if before in refs else refs[min(place + 1, len(refs) - 1)]
    after = after if after in refs else chosen.ref
    with ui.element("div").classes("row pickers"):
        one = ui.select(list(refs), value=before, label="From").props("outlined dense")
        two = ui.select(list(refs), value=after, label="To").props("outlined dense")

        def compare() -> None:
            words = {"version": chosen.ref, "show": "versions", "before": one.value, "after": two.value}
            ui.navigate.to(f"/data?{urlencode(words)}")

        button = ui.button("Compare", on_click=compare).props("no-caps unelevated")
        if len(refs) < 2:
            button.disable()
            Words("There is one version only; the next ingest, settled label or retraining makes another.", "note")


def _changes(found: Diff, dialog: StoryDialog) -> None:
    number = len(found.differences)
    differ = "picture differs" if number == 1 else "pictures differ"
    heading(3, f"{found.before.ref} to {found.after.ref}: {number:,} {differ}")
    if found.new_classes:
        Words(f"New classes: {', '.join(found.new_classes)}")
    moves = Counter(move(item.before, item.after) for item in found.differences)
    with ui.element("div").classes("row"):
        for words, count in moves.most_common(_MOVES):
            Words(f"{words}: {count:,}", "badge", "span")
        if len(moves) > _MOVES:
            Words(f"and {len(moves) - _MOVES:,} other kinds of change", "note", "span")
    Listing(found.differences, functools.partial(_draw, dialog=dialog), "differences", at_once=_AT_ONCE)


def _draw(item: Difference, dialog: StoryDialog) -> None:
    with ui.element("button").classes("shot").props('type="button"') as button:
        picture(item.sample, f"Open the picture, {_label(item.after)}", _SIDE)
    button.on("click", told(lambda: dialog.open(item.sample)))
    with ui.element("div"):
        Words(move(item.before, item.after), "change")
        Words(item.why, "note")


def move(before: Row | None, after: Row | None) -> str:
    """What became of a row, in a few words; where the label stayed, what else is another."""
    old, new = _label(before), _label(after)
    if old != new or before is None or after is None:
        return f"{old} → {new}"
    if before.split != after.split:
        return f"{new}, {before.split} → {after.split}"
    if before.status != after.status:
        return f"{new}, now {after.status.replace('_', ' ')}"
    if before.trust != after.trust:
        return f"{new}, believed {'less' if after.trust < before.trust else 'more'}"
    return f"{new}, another reason"


def _link(words: str, query: Sequence[tuple[str, str]]) -> None:
    with ui.element("a") as found:
        found.props["href"] = f"/data?{urlencode(query)}"
        Words(words, tag="span")


def _label(row: Row | None) -> str:
    return "not there" if row is None else row.label or row.status.replace("_", " ")


def _made_by(recipe: Mapping[str, Any]) -> str:
    verb = str(recipe.get("verb", "edit"))
    return f"{verb} to {recipe['to']}" if "to" in recipe else verb


def _counts(counts: Mapping[str, int]) -> str:
    parts = [f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items() if name != "images" and count]
    return f"{counts['images']:,} pictures ({', '.join(parts)})"
