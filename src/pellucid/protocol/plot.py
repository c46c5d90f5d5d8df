"""The table as a picture: every method's accuracy, and how far from the reference it can be told apart."""

from __future__ import annotations

import io
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from pellucid.evaluate.figures import DPI, FONT, LIGHT, Theme
from pellucid.protocol.table import REFERENCE, Line

_PANELS = 3  # beside each other
_WORDS = {"mean": "mean accuracy of the two days", "monday": "accuracy on Monday", "tuesday": "accuracy on Tuesday"}


def draw_table(lines: Sequence[Line], title: str, *, by: str = "mean", theme: Theme = LIGHT) -> bytes:
    """Draw the lines of `summarise` as a PNG: a panel for each noise and rate, the best method at the top.

    The bar of a method is the 95 % interval of its paired difference to the reference, laid around its own mean:
    where it does not reach the reference's line, the two can be told apart. Methods that see the truth are hollow.
    """
    cells = list(dict.fromkeys((line.noise, line.rate) for line in lines))
    panels = [[line for line in lines if (line.noise, line.rate) == cell] for cell in cells]
    columns = min(len(panels), _PANELS)
    rows = -(-len(panels) // columns)
    height = 0.23 * max(map(len, panels)) + 0.9  # inches of a panel
    figure = Figure(figsize=(5.6 * columns, height * rows + 0.4), dpi=DPI, facecolor=theme.background)
    figure.set_layout_engine("constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, own in zip(grid.flat, panels, strict=False):
        _panel(axes, own, by, theme)
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_visible(False)
    figure.suptitle(title, color=theme.ink, fontsize=12, family=FONT)
    drawn = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(drawn, format="png", dpi=DPI)
    return drawn.getvalue()


def _panel(axes: Axes, lines: Sequence[Line], by: str, theme: Theme) -> None:
    axes.set_facecolor(theme.background)
    axes.set_axisbelow(True)
    axes.grid(visible=True, color=theme.line, linewidth=0.8)
    axes.spines[:].set_visible(False)
    axes.tick_params(colors=theme.muted, labelcolor=theme.ink, length=0, labelsize=8, labelfontfamily=FONT)
    names = []
    for row, line in enumerate(lines):
        names.append(
            f"{line.method}  ({line.monday})" if line.monday != "all" and "@" not in line.method else line.method
        )
        value = line.means.get(by)
        if value is None:
            continue
        reference = line.method == REFERENCE
        color = theme.accent if reference else theme.muted
        if reference:
            axes.axvline(value, color=theme.accent, linewidth=1, linestyle=(0, (4, 4)))
        if line.lead is not None and line.low is not None and line.high is not None:
            ends = [value - (line.high - line.lead), value + (line.lead - line.low)]
            axes.plot(ends, [row, row], color=color, linewidth=1.8, solid_capstyle="round")
        fill = theme.background if line.sees_truth else color
        axes.plot([value], [row], marker="o", markersize=5.5, color=color, markerfacecolor=fill)
    values = [value for line in lines if (value := line.means.get(by)) is not None]
    if values:  # of few seeds the intervals are so wide that no dot could be told from its neighbour
        room = 0.12 * (max(values) - min(values)) + 0.005
        axes.set_xlim(min(values) - room, max(values) + room)
    axes.set_yticks(range(len(lines)), names)
    for text in axes.get_yticklabels():
        text.set_parse_math(False)
    axes.set_ylim(len(lines) - 0.5, -0.5)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel(_WORDS.get(by, by.replace("_", " ")), color=theme.muted, fontsize=8, family=FONT)
    first = lines[0]
    axes.set_title(
        f"{first.noise} noise, {first.rate:.0%} wrong".replace("%", " %"), color=theme.ink, fontsize=9.5, family=FONT
    )
