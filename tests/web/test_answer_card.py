"""What an answer says in words."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pellucid.flow.online.feedback import Heard
from pellucid.types import Answer
from pellucid.web.answer_card import ruled_out, told_of


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


@pytest.mark.parametrize(
    ("action", "believed", "words"),
    [
        ("learnt", "cat", "Learnt at once with weight 0.25: cat is believed with 55\xa0%."),
        (
            "learnt",
            "dog",
            "Not learnt as cat: the model and all others rather believe dog (55\xa0%). The picture is learnt as dog, "
            "with weight 0.25. Your word is kept.",
        ),
        (
            "unlearnt",
            "cat",
            "Not learnt as cat: others doubt it. What the model had learnt of this picture before, it has unlearnt "
            "too; for now it learns nothing from it. Your word is kept.",
        ),
    ],
)
def test_what_is_told_of_a_word_is_about_the_label_that_was_said(action: str, believed: str, words: str) -> None:
    heard = Heard(1, "1" * 64, believed, 0.55, 0.25, action, "others doubt it", "pets@1", 1, 0.1, 0.2)
    assert told_of(heard, "cat") == words
