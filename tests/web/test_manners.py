"""Work for pages rests where requests are answered meanwhile, and only there."""

from __future__ import annotations

import pytest

from pellucid.web.manners import Manners


def test_it_rests_only_while_others_are_answered() -> None:
    answered, spent = [0], [0.0]
    slept: list[float] = []
    rest = Manners(lambda: answered[0], spent=lambda: spent[0], sleep=slept.append)
    for requests, seconds in ((0, 0.01), (0, 0.01), (3, 0.02), (0, 0.01), (1, 60.0)):
        rest()
        answered[0] += requests
        spent[0] += seconds
    rest()
    short, long = slept
    assert 0.02 / (0.02 + short) == pytest.approx(0.04)
    assert long == 2.0
