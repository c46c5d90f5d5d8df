"""Judging anew, beside a live model that answers and learns meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from pellucid.flow.online import reaudit as module
from pellucid.flow.online.judging import Judged, weigh
from pellucid.flow.online.reaudit import reaudit
from pellucid.store.retractions import retract
from pellucid.store.votes import find_votes
from pellucid.types import Role, Split

from ..conftest import Pets, refit

pytestmark = pytest.mark.usefixtures("no_reports")
Meanwhile = Callable[[Callable[[], object]], None]


@pytest.fixture
def lies(pets: Pets) -> list[str]:
    """Cats that were learnt as dogs, by the word of four who are known for liars since."""
    samples, checked = pets.show("cat", *range(6)), pets.rows(Split.TRUSTED)[:12]
    for liar in ("eve", "kim", "lee", "moe"):
        for sample in samples:
            pets.say(sample, "dog", voter=liar, role=Role.ANNOTATOR)
    for liar in ("eve", "kim", "lee", "moe"):
        for row in checked:
            pets.say(row.sample, "dog" if row.label == "cat" else "cat", voter=liar, role=Role.ANNOTATOR)
    assert all(pets.live.label_at(pets.live.stands(name)) == "dog" for name in samples)
    return samples


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    """What somebody else does, in another thread, once all is judged and before anything moves."""

    def patch(work: Callable[[], object]) -> None:
        def weigh_slowly(*words: Any, **more: Any) -> Judged:
            judged = weigh(*words, **more)
            with ThreadPoolExecutor(1) as pool:
                pool.submit(work).result(timeout=60)
            return judged

        monkeypatch.setattr(module, "weigh", weigh_slowly)

    return patch


def test_the_live_model_hears_and_learns_while_all_is_judged(pets: Pets, lies: list[str], meanwhile: Meanwhile) -> None:
    meanwhile(lambda: pets.say(lies[0], "dog", voter="keeper of the dogs", role=Role.GROUND_TRUTH))
    report = reaudit(pets.live)
    places = [pets.live.stands(name) for name in lies]
    assert (pets.live.label_at(places[0]), places[0].weight) == ("dog", 1), "what was said since is not judged yet"
    assert sum(place.credit for place in places[1:]) < 0.5, "the others are"
    assert report.unlearnt + report.relabelled + report.reweighed >= 5
    np.testing.assert_allclose(pets.weights(), refit(pets.live), atol=3e-8)
    assert dict(pets.again().learnt()) == dict(pets.live.learnt())


def test_a_vote_that_is_taken_back_meanwhile_leaves_its_sample_to_the_next_time(
    pets: Pets, lies: list[str], meanwhile: Meanwhile
) -> None:
    before = pets.live.stands(lies[0])

    def take_back() -> None:
        with pets.project.workspace.database.write() as connection:
            (number,) = find_votes(connection, "pets", voter="eve", sample=lies[0])
            retract(connection, "pets", [number], actor="ann", reason="a slip")

    meanwhile(take_back)
    reaudit(pets.live)
    assert pets.live.stands(lies[0]) == before
    assert pets.live.stands(lies[1]) != before
