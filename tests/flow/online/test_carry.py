"""A new champion learns what was said before it answered, and holds nobody up over it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from pellucid.flow.online import ahead
from pellucid.flow.online import carry as module
from pellucid.flow.online.carry import carry_over
from pellucid.flow.online.judging import Judged, judge
from pellucid.flow.online.live import LiveModel
from pellucid.store.ledger import entries_after
from pellucid.store.retractions import retract
from pellucid.store.votes import find_votes
from pellucid.types import Role

from ..conftest import Pets, refit

pytestmark = pytest.mark.usefixtures("no_reports")


def test_another_champion_learns_what_was_said_meanwhile_once(pets: Pets) -> None:
    one, two, three = pets.show("cat", 0, 1, 2)
    for sample in (one, two):
        pets.say(sample, "cat")
    pets.project.train("pets", models="ridge", settings={"lambda": 0.5})
    pets.project.promote("pets@2", force=True)
    champions = [LiveModel(pets.project.workspace, pets.project.model("pets")) for _ in range(2)]
    assert [carry_over(live) for live in (*champions, *champions)] == [2, 0, 0, 0]
    for live in champions:
        with live.workspace.database.read() as connection:
            live.follow(connection)
        assert live.stands(one).weight > 0.9
        np.testing.assert_allclose(live.newest().snapshot.weights, refit(live), atol=1e-8)  # type: ignore[union-attr]
    with pets.project.workspace.database.read() as connection:
        assert [item.action for item in entries_after(connection, champions[0].model, 0)] == ["carry", "carry"]
    pets.say(three, "cat")  # a server that still has the old champion
    assert [carry_over(live) for live in champions] == [1, 0]
    pets.project.forget("pets", voter="ann")
    assert carry_over(pets.live) == 3  # the old champion, when it comes back, unlearns what was taken back meanwhile
    assert dict(pets.live.learnt()) == {name: pets.live.trained(name) for name in pets.live.learnt()}
    assert carry_over(pets.live) == 0


def test_who_speaks_while_all_is_judged_is_not_held_up_and_is_believed(
    pets: Pets, seen_otherwise: Callable[[], LiveModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a sample that was judged already, of one that was not known yet, and by taking back."""
    same, other, gone, late = pets.show("cat", *range(4))
    for sample in (same, other, gone):
        pets.say(sample, "dog", role=Role.GROUND_TRUTH)
    asked: list[list[str]] = []

    def speak() -> None:
        pets.say(other, "cat", role=Role.GROUND_TRUTH)
        pets.say(late, "cat", role=Role.GROUND_TRUTH)
        with pets.project.workspace.database.write() as connection:
            (number,) = find_votes(connection, "pets", voter="ann", sample=gone)
            retract(connection, "pets", [number], actor="ann", reason="a slip")

    def judge_slowly(live: LiveModel, connection: Any, names: list[str], *words: Any, **more: Any) -> Judged:
        judged = judge(live, connection, names, *words, **more)
        if not asked:
            with ThreadPoolExecutor(1) as pool:  # with the transaction of a judge who writes it would wait for ever
                pool.submit(speak).result(timeout=60)
        asked.append(sorted(names))
        return judged

    for place in (ahead, module):
        monkeypatch.setattr(place, "judge", judge_slowly)
    live = seen_otherwise()
    assert carry_over(live) == 3
    assert asked == [sorted((same, other, gone)), sorted((other, gone, late))]
    stands = {name: live.label_at(live.stands(name)) for name in (same, other, gone, late)}
    assert stands == {same: "dog", other: "cat", gone: None, late: "cat"}
    np.testing.assert_allclose(live.newest().snapshot.weights, refit(live), atol=1e-8)  # type: ignore[union-attr]
    again = seen_otherwise()
    with again.workspace.database.read() as connection:
        again.follow(connection)
    assert dict(again.learnt()) == dict(live.learnt())
    assert carry_over(seen_otherwise()) == 0


def test_what_is_tested_on_meanwhile_is_not_learnt(
    pets: Pets, seen_otherwise: Callable[[], LiveModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    (sample,) = pets.show("cat", 0)
    pets.say(sample, "cat", role=Role.GROUND_TRUTH)
    live = seen_otherwise()
    held: list[str] = []
    monkeypatch.setattr(live, "may_learn", lambda name: name not in held)

    def judge_slowly(*words: Any, **more: Any) -> Judged:
        judged = judge(*words, **more)
        held.append(sample)
        return judged

    for place in (ahead, module):
        monkeypatch.setattr(place, "judge", judge_slowly)
    assert carry_over(live) == 0
    assert live.stands(sample).weight == 0
