"""The files that browsers are given as they are."""

from __future__ import annotations

import re
from pathlib import Path

import pellucid.web.app


def test_every_brace_of_the_styles_is_closed() -> None:
    text = (Path(pellucid.web.app.__file__).parent / "static" / "pellucid.css").read_text("utf-8")
    depth = 0
    for number, line in enumerate(re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL).splitlines(), 1):
        depth += line.count("{") - line.count("}")
        assert 0 <= depth <= 2, f"line {number} without comments: {line}"
    assert depth == 0
