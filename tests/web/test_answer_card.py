"""What an answer says in words."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pellucid.types import Answer
from pellucid.web.answer_card import ruled_out


@pytest.mark.parametrize(
    ("likely", "shares", "words"),
    [
        (("cat",), {"cat": 0.97, "dog": 0.02, "eel": 0.01}, "Rules out all other classes."),
        (("cat",), {"cat": 0.5, "dog": 0.1, "eel": 0.4}, "Cannot rule out: eel, dog."),  # though it is a small set
        (("cat", "dog"), {"cat": 0.94, "dog": 0.05, "eel": 0.01}, "Cannot rule out: dog."),
    ],
)
def test_nothing_is_ruled_out_that_is_possible(likely: tuple[str, ...], shares: dict[str, float], words: str) -> None:
    answer = Answer("0" * 32, "1" * 64, "cat", shares["cat"], shares, likely, 0.5, None, "pets@1", 0, datetime.now(UTC))
    assert ruled_out(answer) == words
