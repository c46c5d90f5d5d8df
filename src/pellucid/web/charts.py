"""Charts: frozen series in, a chart on the page out, in the page's colours, with PNG and CSV to take away.

    Axis(name, unit="", kind="number" | "log" | "time" | "names", names=(), low=None, high=None)
    Series(name, x, y, low=(), high=(), kind="line" | "steps" | "points" | "bar")
    chart(title, x: Axis, y: Axis, series, *, note="", height=260, marks=()) -> Chart
    Chart.show(series, marks=())      the same chart with other values, as a live page needs it
    csv_of(x: Axis, y: Axis, series) -> str

For shares give the y axis the unit "%" and values of 0 to 100. ``low`` and ``high`` are drawn as a band around lines
and as whiskers on points and bars. On an axis of kind "names" the x values are places in ``names``; on one of kind
"time" they are datetimes. A mark is a vertical line with a word: ``Mark(x, "trash@2")``.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from nicegui import ui

from pellucid.web.parts import Words, heading

# Middle tones, 3:1 and more against white and against the dark theme's boxes alike; told apart by the colour-blind.
TONES = ("#2f82c9", "#d2691e", "#2f9160", "#a05fc0", "#b0821a", "#5f7f96", "#c9527f", "#4a9aa5")
_CROWDED = 60  # letters on an axis of names from which on they stand aslant
_ALL_NAMED = 40  # names of which none is left out
_ROUGH = 60  # points from which on a line shows no dots

Place = float | datetime


@dataclass(frozen=True, slots=True)
class Axis:
    """What is measured along one side."""

    name: str  # "training images"
    unit: str = ""  # "%", "s"
    kind: Literal["number", "log", "time", "names"] = "number"
    names: tuple[str, ...] = ()  # of the kind "names": the places in order
    low: float | None = None  # where the axis begins; by the values where None
    high: float | None = None

    @property
    def title(self) -> str:
        """Name and unit."""
        return f"{self.name} ({self.unit})" if self.unit else self.name


@dataclass(frozen=True, slots=True)
class Series:
    """One row of values with its name."""

    name: str
    x: tuple[Place, ...]
    y: tuple[float | None, ...]  # None where there is no value
    low: tuple[float | None, ...] = ()  # of the confidence interval; empty where there is none
    high: tuple[float | None, ...] = ()
    kind: Literal["line", "steps", "points", "bar"] = "line"

    def __post_init__(self) -> None:
        if {len(self.y), len(self.low) or len(self.x), len(self.high) or len(self.x)} != {len(self.x)}:
            raise ValueError(f"the series {self.name!r} has rows of different lengths")


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at a place on the x axis."""

    x: Place
    word: str


class Chart:
    """A chart on the page."""

    def __init__(
        self, title: str, x: Axis, y: Axis, series: Sequence[Series], marks: Sequence[Mark], note: str
    ) -> None:
        self._title, self._x, self._y, self._series = title, x, y, tuple(series)
        with ui.element("figure").classes("chart"):
            with ui.element("figcaption").classes("row"):
                heading(3, title)
                with ui.element("span").classes("takeaway"):
                    _button("PNG", f"save the chart {title} as a picture", self._save_png)
                    _button("CSV", f"save the values of {title} as a table", self._save_csv)
            if note:
                Words(note, "note")
            self.element = ui.echart(options_of(x, y, series, marks))
            self.element.props["role"] = "img"
            self._describe()

    def show(self, series: Sequence[Series], marks: Sequence[Mark] = (), *, x: Axis | None = None) -> None:
        """Other values, and another x axis where the names on it have changed."""
        if (tuple(series), x or self._x) == (self._series, self._x) and not marks:
            return
        self._series, self._x = tuple(series), x or self._x
        options = self.element.options
        options.clear()
        options.update(options_of(self._x, self._y, series, marks))
        self._describe()
        self.element.update()

    def _describe(self) -> None:
        names = ", ".join(series.name for series in self._series)
        self.element.props["aria-label"] = (
            f"{self._title}: {self._y.title} over {self._x.title}; {names or 'no values'}"
        )

    def _save_csv(self) -> None:
        ui.download.content(csv_of(self._x, self._y, self._series), f"{_file(self._title)}.csv", "text/csv")

    def _save_png(self) -> None:
        ui.run_javascript(f"pellucidSavePng({self.element.id}, {json.dumps(_file(self._title) + '.png')})")


def chart(
    title: str,
    x: Axis,
    y: Axis,
    series: Sequence[Series],
    *,
    note: str = "",
    height: int = 260,
    marks: Sequence[Mark] = (),
) -> Chart:
    """Puts a chart on the page.

    Args:
        title: names the chart and the files that are saved of it.
        note: a line below the title, for what must be known to read it.
        height: CSS pixels.
    """
    made = Chart(title, x, y, series, marks, note)
    made.element.style(f"height:{height}px")
    return made


def options_of(x: Axis, y: Axis, series: Sequence[Series], marks: Sequence[Mark] = ()) -> dict[str, Any]:
    """The chart as ECharts' options; its colours come from the page, by static/charts.js."""
    bars = sum(item.kind == "bar" for item in series)
    drawn = []
    for place, item in enumerate(series):
        tone = {"itemStyle": {"color": TONES[place % len(TONES)]}}
        data = _data(item)
        drawn.append({"name": item.name, "data": data, **tone, **_form(item), **_encoding(1)})
        if item.low:
            bar = sum(other.kind == "bar" for other in series[:place])
            flat = item.kind in {"line", "steps"}
            render = "pellucidBand" if flat else f"pellucidWhisker({bars if item.kind == 'bar' else 0}, {bar})"
            shape: dict[str, Any] = {"type": "custom", ":renderItem": render, "silent": True, "z": 1 if flat else 3}
            drawn.append({"name": item.name, "data": data, **tone, **shape, **_encoding(2, 3), "clip": True})
    if marks and drawn:
        drawn[0]["markLine"] = {
            "silent": True,
            "symbol": "none",
            "label": {"formatter": "{b}", "color": TONES[5], "position": "insideEndTop"},
            "lineStyle": {"color": TONES[5], "type": "dashed"},
            "data": [{"name": mark.word, "xAxis": _number(mark.x)} for mark in marks],
        }
    digits = 1 if y.unit == "%" else 3
    where = (
        f"pellucidAt.number({json.dumps(_after(x.unit))})" if x.kind in {"number", "log"} else f"pellucidAt.{x.kind}"
    )
    return {
        ":darkMode": "pellucidDark()",
        "animation": False,
        "grid": {"left": 8, "right": 20, "top": 34, "bottom": 28 if len(series) < 2 else 54, "containLabel": True},
        "legend": {"show": len(series) > 1, "bottom": 0, "type": "scroll", "icon": "roundRect", "itemHeight": 8},
        "tooltip": {
            "trigger": "axis",
            "renderMode": "richText",
            "confine": True,
            ":formatter": f"pellucidTip({json.dumps(_after(y.unit))}, {digits}, {where})",
        },
        "xAxis": _axis(x, upright=False),
        "yAxis": _axis(y, upright=True),
        "series": drawn,
    }


def csv_of(x: Axis, y: Axis, series: Sequence[Series]) -> str:
    """The values as a table: the x axis, then each series with its interval.

    >>> line = Series("trash@1", (16, 32), (50.0, 75.0), (40.0, 60.0), (60.0, 90.0))
    >>> print(csv_of(Axis("images"), Axis("accuracy", "%"), [line]).replace("\\r", ""))
    images,"accuracy (%), trash@1",from,to
    16,50.0,40.0,60.0
    32,75.0,60.0,90.0
    """
    rows: dict[Any, dict[int, list[Any]]] = {}
    heads: list[str] = [x.title]
    for place, item in enumerate(series):
        heads += [f"{y.title}, {item.name}", *(["from", "to"] if item.low else [])]
        blank: tuple[float | None, ...] = (None,) * len(item.x)
        for at, *values in zip(item.x, item.y, item.low or blank, item.high or blank, strict=True):
            rows.setdefault(at, {})[place] = values if item.low else values[:1]
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(map(_cell, heads))
    for at in sorted(rows):
        cells: list[Any] = [_shown(x, at)]
        for place, item in enumerate(series):
            cells += rows[at].get(place, [None] * (3 if item.low else 1))
        writer.writerow(cells)
    return text.getvalue()


def percent(series: Series) -> Series:
    """A series of shares, 0 to 1, in per cent.

    >>> percent(Series("a", (1,), (0.5,))).y
    (50.0,)
    """

    def scaled(values: tuple[float | None, ...]) -> tuple[float | None, ...]:
        return tuple(None if value is None else 100 * value for value in values)

    return replace(series, y=scaled(series.y), low=scaled(series.low), high=scaled(series.high))


def _button(word: str, what: str, act: Any) -> None:
    button = ui.button(word, on_click=act, color=None).props("flat dense no-caps size=sm")
    button.props["aria-label"] = f"{word}: {what}"


def _axis(axis: Axis, *, upright: bool) -> Mapping[str, Any]:
    kinds = {"number": "value", "log": "log", "time": "time", "names": "category"}
    found: dict[str, Any] = {"type": kinds[axis.kind], "name": axis.title, "axisLabel": {"hideOverlap": True}}
    if upright:
        return {
            **found,
            "nameTextStyle": {"align": "left"},
            "min": axis.low,
            "max": axis.high,
            "scale": axis.low is None,
        }
    found |= {"nameLocation": "middle", "nameGap": 28, "splitLine": {"show": False}, "min": axis.low, "max": axis.high}
    if axis.kind == "names":
        crowded = sum(map(len, axis.names)) > _CROWDED
        label = {"interval": 0 if len(axis.names) <= _ALL_NAMED else "auto", "rotate": 35 if crowded else 0}
        label |= {"width": 110, "overflow": "truncate"}
        gap = 60 if crowded else 28
        return {**found, "data": list(axis.names), "min": None, "max": None, "axisLabel": label, "nameGap": gap}
    if axis.kind == "log":
        found |= {"logBase": 2, "min": axis.low or "dataMin", "max": axis.high or "dataMax"}
    return {**found, "scale": True}


def _form(series: Series) -> Mapping[str, Any]:
    if series.kind == "bar":
        return {"type": "bar", "barMaxWidth": 34, "barGap": "20%", "z": 2}
    if series.kind == "points":
        return {"type": "scatter", "symbolSize": 9, "z": 4}
    dots = len(series.x) < _ROUGH
    shape = {"type": "line", "showSymbol": dots, "symbol": "circle", "symbolSize": 6, "sampling": "lttb", "z": 3}
    return {**shape, "lineStyle": {"width": 2}, "step": "end" if series.kind == "steps" else False}


def _encoding(*y: int) -> Mapping[str, Any]:
    return {"encode": {"x": 0, "y": list(y)}, "dimensions": ["x", "y", "low", "high"]}


def _data(series: Series) -> list[list[Any]]:
    blank: tuple[float | None, ...] = (None,) * len(series.x)
    rows = zip(series.x, series.y, series.low or blank, series.high or blank, strict=True)
    return [[_number(at), *values] for at, *values in rows]


def _number(at: Any) -> Any:
    return at.timestamp() * 1000 if isinstance(at, datetime) else at


def _shown(axis: Axis, at: Any) -> Any:
    if isinstance(at, datetime):
        return at.isoformat()
    return _cell(axis.names[int(at)]) if axis.kind == "names" else at


def _cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _after(unit: str) -> str:
    return f" {unit}" if unit else ""


def _file(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "chart"
