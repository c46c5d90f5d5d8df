"""The picture is a PNG with a panel for each noise."""

from __future__ import annotations

import io

from PIL import Image

from pellucid.protocol.plot import draw_table
from pellucid.protocol.table import Outcome, summarise


def lines(n_noises: int) -> bytes:
    found = [
        Outcome("pair", rate / 10, seed, method, "all", False, {"mean": value})
        for rate in range(n_noises)
        for seed in (0, 1)
        for method, value in (("pellucid", 0.8 + seed / 50), ("$x_1$", 0.7), ("none", None))
    ]
    return draw_table(summarise(found), "pets")


def test_a_png_that_grows_with_the_noises() -> None:
    one, four = (Image.open(io.BytesIO(lines(number))) for number in (1, 4))
    assert one.format == "PNG"
    assert four.width > 2 * one.width
    assert four.height > 1.5 * one.height
