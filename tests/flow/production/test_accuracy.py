"""The champion's accuracy as votes tell it: whose count, and how much."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from pellucid.evaluate.evaluation import Estimate
from pellucid.flow.online.answer import Asked, answer
from pellucid.flow.production.accuracy import LiveAccuracy, live_accuracy
from pellucid.flow.production.triggers import MIN_ANSWERS
from pellucid.types import Answer, Role

from ...conftest import picture_bytes
from ..conftest import Pets

pytestmark = pytest.mark.usefixtures("no_reports")


def ask(pets: Pets, label: str, count: int) -> list[Answer]:
    asked = [Asked(picture_bytes(label, 5000 + number)) for number in range(count)]
    return [item for item in answer(pets.project.workspace, pets.live.answerer, asked) if isinstance(item, Answer)]


def test_ground_truth_is_believed_and_few_votes_say_nothing(pets: Pets) -> None:
    answers = ask(pets, "cat", MIN_ANSWERS)
    before = live_accuracy(pets.project.workspace, "pets")
    assert before is not None
    assert (before.model, before.estimate, before.words) == ("pets@1", None, 0)
    assert before.rests_on == "nobody has said yet whether its answers are right"
    for item in answers[1:]:
        pets.say(item.sample, item.label, role=Role.GROUND_TRUTH, prediction=item.uid)
    few = live_accuracy(pets.project.workspace, "pets")
    assert few is not None
    assert (few.estimate, few.answers) == (None, MIN_ANSWERS - 1)
    pets.say(answers[0].sample, "dog", role=Role.GROUND_TRUTH, prediction=answers[0].uid)
    found = live_accuracy(pets.project.workspace, "pets")
    assert found is not None
    assert found.estimate is not None
    assert found.estimate.value == pytest.approx(MIN_ANSWERS / (MIN_ANSWERS + 2), abs=0.01)
    assert (found.confirmed, found.words, found.truths, found.voters) == (MIN_ANSWERS - 1, MIN_ANSWERS, MIN_ANSWERS, 1)


def test_a_liar_does_not_make_the_champion_look_bad(pets: Pets) -> None:
    """Half of the votes contradict right answers; by a share it would be one half."""
    for item in ask(pets, "cat", MIN_ANSWERS):
        pets.say(item.sample, "cat", voter="ann", prediction=item.uid)
        pets.say(item.sample, "dog", voter="liar", prediction=item.uid)
    found = live_accuracy(pets.project.workspace, "pets")
    assert found is not None
    assert found.estimate is not None
    assert found.confirmed / found.words == 0.5
    assert found.estimate.low > 0.6


def test_a_model_that_is_rolled_back_to_is_known_as_it_was(pets: Pets) -> None:
    pets.project.train("pets", models="logistic")
    for item in ask(pets, "cat", 2):
        pets.say(item.sample, "cat", voter="ann", prediction=item.uid)
    before = live_accuracy(pets.project.workspace, "pets")
    pets.project.promote("pets@2", reason="a try", force=True)
    other = live_accuracy(pets.project.workspace, "pets")
    pets.project.promote("pets@1", reason="back", force=True)
    after = live_accuracy(pets.project.workspace, "pets")
    assert before is not None
    assert other is not None
    assert after is not None
    assert (other.model, other.words) == ("pets@2", 0)
    assert (after.words, after.confirmed, after.since > before.since) == (2, before.confirmed, True)


def test_the_words_say_how_it_was_reckoned() -> None:
    found = LiveAccuracy("pets@1", datetime.now(UTC), "", "me", 0.997, Estimate(0.93, 0.7, 0.97), 120, 150, 200, 6, 0)
    assert found.rests_on.startswith(
        "150 of the newest 200 votes by 6 voters confirm its answers. The estimate is corr"
    )
    assert replace(found, words=199).rests_on.startswith("150 of 199 votes by")


def test_without_a_champion_there_is_nothing_to_tell(pets: Pets) -> None:
    assert live_accuracy(pets.project.workspace, "nobody") is None
