"""Findings: duplicates, conflicts and torn groups of a dataset version, with their pictures."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Collection

from nicegui import ui

from pellucid.store.datasets import Finding
from pellucid.types import DatasetVersion
from pellucid.web.listing import Listing
from pellucid.web.parts import Words, card, empty, picture
from pellucid.web.story import StoryDialog
from pellucid.web.view import View, told

_AT_ONCE = 20  # findings of a kind
_PICTURES = 8  # of one finding
_SIDE = 96  # pixels
_MEANING = {
    "conflict": ("Conflicts", "Votes do not agree, so the picture has no label and nobody trains on it."),
    "near_conflict": ("Alike, labelled differently", "Near-identical pictures that carry different labels."),
    "near_duplicate": ("Near-duplicates", "Pictures that show the same thing; they count as one group."),
    "torn_group": ("Torn groups", "Pictures of one group lie in several splits; training copies are set aside."),
}
_SOUGHT = {
    "conflict": "conflicting votes",
    "near_conflict": "near-identical pictures under different labels",
    "near_duplicate": "near-duplicates",
    "torn_group": "groups torn between splits",
}


async def show_findings(view: View, chosen: DatasetVersion) -> None:
    """What making the version found, kind by kind."""
    table = await view.desk.read(view.desk.shelf.table, view.desk.workspace, chosen.ref)
    if not table.findings:
        empty("task_alt", "Nothing was found", f"Data {chosen.ref}. {_not_found(())}")
        return
    dialog = StoryDialog(view, chosen.ref)
    counts = Counter(item.kind for item in table.findings)
    for kind in sorted(
        counts, key=lambda name: (name not in _MEANING, list(_MEANING).index(name) if name in _MEANING else 0)
    ):
        title, meaning = _MEANING.get(kind, (kind.replace("_", " ").capitalize(), ""))
        with card(f"{title}: {counts[kind]:,}", meaning):
            found = [item for item in table.findings if item.kind == kind]
            Listing(found, functools.partial(_draw, dialog=dialog), "findings", at_once=_AT_ONCE)
    if missing := _not_found(tuple(counts)):
        Words(missing, "note")


def _not_found(found: Collection[str]) -> str:
    """What was looked for in vain.

    >>> _not_found(["conflict", "near_conflict", "torn_group"])
    'Looked for and not found: near-duplicates.'
    """
    names = [name for kind, name in _SOUGHT.items() if kind not in found]
    return f"Looked for and not found: {', '.join(names)}." if names else ""


def _draw(item: Finding, dialog: StoryDialog) -> None:
    Words(item.detail)
    with ui.element("div").classes("shots"):
        for number, name in enumerate(item.samples[:_PICTURES], 1):
            with ui.element("button").classes("shot").props('type="button"') as button:
                picture(name, f"Open picture {number} of {len(item.samples)}", _SIDE)
            button.on("click", told(lambda name=name: dialog.open(name)))
