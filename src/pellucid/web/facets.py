"""Filters beside the grid: what there is of each kind, how much, and what is wanted of it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from typing import Any

from nicegui import ui

from pellucid.flow.data.browse import Facets, Filter, Order
from pellucid.types import TRUST_SCALE, Split, Status
from pellucid.web.parts import Words
from pellucid.web.view import told

_ORDERS = {Order.MIXED: "Mixed", Order.CLASS: "By class", Order.DOUBTFUL: "Least trusted first"}
_SHOWN = 12  # values of a metadata key
_KEYS = 8  # metadata keys
_PAUSE = 300  # ms without a key pressed, after which what was typed counts
_FIELDS = {"class": "labels", "split": "splits", "status": "statuses", "found": "findings"}

Changed = Callable[[Filter], Coroutine[Any, Any, Facets]]


class Filters:
    """Buttons for every value that there is, each with its count; pressing one is to want it.

    Args:
        wanted: what is wanted at first.
        found: how much there is of it.
        all_found: how much there is of everything: what has buttons.
        on_change: shows what is wanted now, and says how much there is.
    """

    def __init__(self, wanted: Filter, found: Facets, all_found: Facets, on_change: Changed) -> None:
        self.wanted = wanted
        self._on_change = on_change
        self._buttons: dict[tuple[str, str], tuple[ui.element, Words]] = {}
        self._text = self._typed(ui.input("File or id", value=wanted.text).props("clearable"))
        self._order = ui.select(
            {str(key): name for key, name in _ORDERS.items()}, label="Order", value=str(wanted.order)
        )
        self._order.props("outlined dense").on_value_change(told(self._read))
        self._kind("Class", "class", all_found.labels)
        self._kind("Split", "split", all_found.splits)
        self._kind("Status", "status", all_found.statuses)
        with ui.element("fieldset").classes("facet"):
            Words("Trust, per cent", tag="legend")
            with ui.element("div").classes("between"):
                least, most = (share * 100 / TRUST_SCALE for share in wanted.trust)
                self._least = self._typed(ui.number("At least", value=least, min=0, max=100))
                self._most = self._typed(ui.number("At most", value=most, min=0, max=100))
        self._kind("Found", "found", all_found.findings)
        for key in list(all_found.metadata)[:_KEYS]:
            often = sorted(all_found.metadata[key].items(), key=lambda pair: -pair[1])
            self._kind(key, f"meta.{key}", dict(often[:_SHOWN]))
        self._none = ui.button("Take all filters away", on_click=told(self._clear)).props("flat dense no-caps")
        self._mark(found)

    def _typed(self, field: Any) -> Any:
        field.props(f"outlined dense debounce={_PAUSE}").on_value_change(told(self._read))
        return field

    def _kind(self, title: str, kind: str, counts: Mapping[str, int]) -> None:
        there = {name: count for name, count in counts.items() if count}
        if not there or (len(there) == 1 and kind in {"split", "status"}):
            return
        with ui.element("fieldset").classes("facet"):
            Words(title, tag="legend")
            with ui.element("div").classes("picks"):
                for name in there:
                    with ui.element("button").classes("pick").props('type="button"') as button:
                        Words(name.replace("_", " ") if not kind.startswith("meta.") else name, tag="span")
                        count = Words("", "number", "span")
                    button.on("click", told(lambda kind=kind, name=name: self._press(kind, name)))
                    self._buttons[kind, name] = (button, count)

    async def _press(self, kind: str, name: str) -> None:
        if kind in _FIELDS:
            field = _FIELDS[kind]
            now = [str(item) for item in getattr(self.wanted, field)]
            now = [item for item in now if item != name] if name in now else [*now, name]
            member: Any = {"split": Split, "status": Status}.get(kind, str)
            chosen: dict[str, Any] = {field: tuple(member(item) for item in now)}
            wanted = replace(self.wanted, **chosen)
        else:
            pair = (kind.removeprefix("meta."), name)
            others = tuple(item for item in self.wanted.metadata if item != pair)
            wanted = replace(self.wanted, metadata=others if pair in self.wanted.metadata else (*others, pair))
        await self._want(wanted)

    async def _read(self) -> None:
        """What was typed or chosen."""
        least, most = (_share(field.value, other) for field, other in ((self._least, 0), (self._most, TRUST_SCALE)))
        text, order = str(self._text.value or "").strip(), Order(self._order.value)
        await self._want(replace(self.wanted, trust=(least, most), text=text, order=order))

    async def _clear(self) -> None:
        self.wanted = Filter(order=self.wanted.order)
        self._text.value, self._least.value, self._most.value = "", 0, 100
        self._mark(await self._on_change(self.wanted))

    async def _want(self, wanted: Filter) -> None:
        if wanted != self.wanted:
            self.wanted = wanted
            found = await self._on_change(wanted)
            if wanted == self.wanted:  # nobody has pressed on meanwhile
                self._mark(found)

    def _mark(self, found: Facets) -> None:
        counts: dict[str, Mapping[str, int]] = {
            "class": found.labels, "split": found.splits, "status": found.statuses, "found": found.findings,
            **{f"meta.{key}": values for key, values in found.metadata.items()},
        }  # fmt: skip
        for (kind, name), (button, count) in self._buttons.items():
            if kind in _FIELDS:
                pressed = name in getattr(self.wanted, _FIELDS[kind])
            else:
                pressed = (kind.removeprefix("meta."), name) in self.wanted.metadata
            button.props["aria-pressed"] = "true" if pressed else "false"
            count.text = f"{counts.get(kind, {}).get(name, 0):,}"
        self._none.set_visibility(self.wanted != Filter(order=self.wanted.order))


def _share(value: Any, otherwise: int) -> int:
    """Thousandths of a typed percentage; what is not there or out of range is the limit itself."""
    if value is None:
        return otherwise
    return min(TRUST_SCALE, max(0, round(float(value) * TRUST_SCALE / 100)))
