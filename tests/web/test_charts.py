"""Charts: what ECharts is given, and what can be taken away; the browser's part is tested with the pages."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

import pytest

from pellucid.web.charts import Axis, Mark, Series, csv_of, options_of, percent

IMAGES, ACCURACY = Axis("images", kind="log"), Axis("accuracy", "%")
CURVE = percent(Series("trash@1", (16, 32), (0.5, 0.75), (0.4, 0.6), (0.6, 0.9)))


def test_a_line_with_its_interval_is_a_line_and_a_band() -> None:
    options = options_of(IMAGES, ACCURACY, [CURVE])
    line, band = options["series"]
    assert (line["type"], line["data"]) == ("line", [[16, 50.0, 40.0, 60.0], [32, 75.0, 60.0, 90.0]])
    assert (band["type"], band[":renderItem"], band["encode"]["y"]) == ("custom", "pellucidBand", [2, 3])
    assert line["itemStyle"] == band["itemStyle"]
    assert (options["xAxis"]["type"], options["yAxis"]["name"]) == ("log", "accuracy (%)")


def test_bars_have_whiskers_that_know_their_place() -> None:
    bars = [Series(name, (0, 1), (1.0, 2.0), (0.5, 1.5), (1.5, 2.5), "bar") for name in ("a", "b")]
    axis = Axis("class", kind="names", names=("cat", "dog"))
    options = options_of(axis, Axis("images"), bars)
    assert [item.get(":renderItem") for item in options["series"]] == [
        None, "pellucidWhisker(2, 0)", None, "pellucidWhisker(2, 1)",
    ]  # fmt: skip
    assert options["xAxis"]["data"] == ["cat", "dog"]


def test_times_and_marks() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    options = options_of(
        Axis("time", kind="time"), Axis("answers", "/s"), [Series("x", (at,), (1.0,))], [Mark(at, "v2")]
    )
    (line,) = options["series"]
    assert line["data"][0][0] == at.timestamp() * 1000
    assert line["markLine"]["data"] == [{"name": "v2", "xAxis": at.timestamp() * 1000}]


def test_tips_are_drawn_as_text_so_that_no_name_is_markup() -> None:
    tip = options_of(IMAGES, Axis("y", '"); alert("'), [CURVE])["tooltip"]
    assert tip["renderMode"] == "richText"
    assert tip[":formatter"] == r'pellucidTip(" \"); alert(\"", 3, pellucidAt.number(""))'


def test_a_table_of_series_over_different_places() -> None:
    other = Series("=cmd", (32, 64), (1.0, None))
    rows = list(csv.reader(io.StringIO(csv_of(IMAGES, ACCURACY, [CURVE, other]))))
    assert rows == [
        ["images", "accuracy (%), trash@1", "from", "to", "accuracy (%), =cmd"],
        ["16", "50.0", "40.0", "60.0", ""],
        ["32", "75.0", "60.0", "90.0", "1.0"],
        ["64", "", "", "", ""],
    ]
    named = Axis("class", kind="names", names=("=1+1",))
    assert csv_of(named, Axis("n"), [Series("a", (0,), (1.0,))]).splitlines()[1] == "'=1+1,1.0"


def test_rows_of_one_length_are_wanted() -> None:
    with pytest.raises(ValueError, match="different lengths"):
        Series("a", (1, 2), (1.0,))
