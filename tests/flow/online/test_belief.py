"""What votes say together: Bayes' rule by hand, the record of each voter, and what nobody is believed for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from pellucid import Project
from pellucid.flow.online.answer import Asked, answer
from pellucid.flow.online.belief import PRIORS, Belief, believe_all, believe_votes, on_record, voter_rate
from pellucid.flow.online.live import LiveModel
from pellucid.noise.reliability import FLOOR
from pellucid.store.blobs import digest_of
from pellucid.store.votes import add_votes
from pellucid.types import KEEPER, Role, Vote

from ..conftest import Pets

pytestmark = pytest.mark.usefixtures("no_reports")

_MOMENTS = count()


def vote(sample: str, label: str, voter: str = "ann", role: Role = Role.USER, **more: Any) -> Vote:
    """Each later than the one before."""
    at = datetime(2026, 2, 3, tzinfo=UTC) + timedelta(seconds=next(_MOMENTS))
    return Vote("pets", sample, label, role, voter, at, **more)


def believe(live: LiveModel, sample: str, *votes: Vote) -> Belief:
    with live.workspace.database.read() as connection:
        return believe_votes(live, connection, sample, live.look_up(connection, [sample]), votes)


def model_says(live: LiveModel, sample: str) -> dict[str, float]:
    """The probabilities of an image that is not learnt."""
    with live.workspace.database.read() as connection:
        (shares,) = live.answerer.probabilities_of(live.look_up(connection, [sample]))
    return dict(zip(live.answerer.classes, map(float, shares), strict=True))


def posterior(p: dict[str, float], said: list[tuple[str, float]]) -> dict[str, float]:
    """Bayes' rule, class by class: an independent reference. ``said`` has each vote's label and its voter's rate.

    A wrong vote may be of any class that the model was trained on, of which there are two here.
    """
    found = {}
    for label, share in p.items():
        found[label] = (1 - FLOOR) * share + FLOOR / len(p)
        for other, rate in said:
            found[label] *= rate if other == label else (1 - rate)
    return {label: share / sum(found.values()) for label, share in found.items()}


@pytest.fixture
def cat(pets: Pets) -> str:
    """An image that looks like a cat."""
    (sample,) = pets.show("cat", 0)
    return sample


def test_where_nobody_has_spoken_nothing_is_believed(pets: Pets, cat: str) -> None:
    unheard = [vote(cat, "dog", role=Role.MODEL), vote(cat, "dog", KEEPER, Role.GROUND_TRUTH)]
    for votes in ([], unheard):
        told = believe(pets.live, cat, *votes)
        assert (told.label, told.trust, told.support) == (None, 0.0, {})
    with pets.project.workspace.database.read() as connection:
        assert believe_all(pets.live, {}, [pets.live.look_up(connection, [])]) == {}


def test_ground_truth_is_believed_outright_and_one_that_contradicts_itself_not_at_all(pets: Pets, cat: str) -> None:
    truth = vote(cat, "dog", "judge", Role.GROUND_TRUTH)
    found = believe(pets.live, cat, *(vote(cat, "cat", name) for name in ("ann", "bob", "eve")), truth)
    assert (found.label, found.trust) == ("dog", 1.0)
    found = believe(pets.live, cat, truth, vote(cat, "cat", "jury", Role.GROUND_TRUTH))
    assert (found.label, found.trust) == (None, 0.0)
    again = vote(cat, "cat", "judge", Role.GROUND_TRUTH)
    assert believe(pets.live, cat, truth, again).label == "cat", "whose last word counts"


def test_a_new_user_among_two_classes_is_a_coin_and_an_annotator_is_not(pets: Pets, cat: str) -> None:
    """Priors 2:2 and 18:2 are rates of 1/2 and 9/10; only the second moves what the model says."""
    p = model_says(pets.live, cat)
    coin = believe(pets.live, cat, vote(cat, "dog"))
    assert coin.label == "dog"
    assert coin.trust == pytest.approx((1 - FLOOR) * p["dog"] + FLOOR / 2)
    assert coin.support == {"ann": pytest.approx(coin.trust)}, "what model and others give it, which here is the model"
    prior = (1 - FLOOR) * p["dog"] + FLOOR / 2
    paid = believe(pets.live, cat, vote(cat, "dog", role=Role.ANNOTATOR))
    assert paid.trust == pytest.approx(0.9 * prior / (0.9 * prior + 0.1 * (1 - prior)))
    assert paid.support == {"ann": pytest.approx(prior)}


def test_several_votes_by_bayes(pets: Pets, cat: str) -> None:
    p = model_says(pets.live, cat)
    said = [("ann", "dog", Role.ANNOTATOR, 0.9), ("bob", "dog", Role.ANNOTATOR, 0.9), ("eve", "cat", Role.USER, 0.5)]
    found = believe(pets.live, cat, *(vote(cat, label, name, role) for name, label, role, _ in said))
    wanted = posterior(p, [(label, rate) for _, label, _, rate in said])
    assert found.label == max(wanted, key=lambda label: wanted[label])
    assert found.trust == pytest.approx(wanted[found.label])
    for place, (name, label, _, _) in enumerate(said):
        others = posterior(p, [(item[1], item[3]) for item in said[:place] + said[place + 1 :]])
        assert found.support[name] == pytest.approx(others[label])


def test_the_last_word_of_a_voter_counts_and_counts_once(pets: Pets, cat: str) -> None:
    once = believe(pets.live, cat, vote(cat, "cat", role=Role.ANNOTATOR))
    changed = [vote(cat, label, role=Role.ANNOTATOR) for label in ("dog", "dog", "cat")]
    found = believe(pets.live, cat, *changed)
    assert (found.label, found.trust, found.support) == (once.label, once.trust, once.support)


def test_a_voter_s_record_speaks_for_or_against_him(pets: Pets, cat: str) -> None:
    """One earlier vote that was surely right: (2 + 1) / (2 + 2 + 1); one that was surely wrong: 2 / 5."""
    others = pets.show("dog", 1, 2)
    with pets.project.workspace.database.write() as connection:
        add_votes(connection, [vote(others[0], "dog", "good", support=1.0), vote(others[0], "cat", "bad", support=0.0)])
        rates = {name: voter_rate(connection, "pets", name, Role.USER, 2) for name in ("good", "bad", "new")}
    assert rates == {"good": pytest.approx(0.6, abs=1e-6), "bad": pytest.approx(0.4, abs=1e-6), "new": 0.5}
    p = model_says(pets.live, cat)
    for name, rate in rates.items():
        assert believe(pets.live, cat, vote(cat, "dog", name)).trust == pytest.approx(
            posterior(p, [("dog", rate)])["dog"]
        )


def test_a_class_that_the_model_has_never_seen_can_be_believed_but_supports_nobody(pets: Pets, cat: str) -> None:
    found = believe(pets.live, cat, vote(cat, "eel"), vote(cat, "cat", "bob"))
    wanted = posterior({**model_says(pets.live, cat), "eel": 0.0}, [("eel", 0.5), ("cat", 0.5)])
    assert found.label == "cat"
    assert found.trust == pytest.approx(wanted["cat"])
    assert set(found.support) == {"bob"}
    alone = believe(pets.live, cat, vote(cat, "eel"))
    assert alone.label == "eel", "of the labels that were said, the likeliest"
    assert alone.trust < 0.1


def test_what_is_learnt_does_not_confirm_itself(pets: Pets, cat: str) -> None:
    said = vote(cat, "dog", "bob")
    before = believe(pets.live, cat, said)
    pets.say(cat, "dog", "judge", role=Role.GROUND_TRUTH)
    assert pets.live.stands(cat).weight == 1.0
    assert model_says(pets.live, cat)["dog"] > before.trust, "it knows it by heart"
    assert believe(pets.live, cat, said).trust == pytest.approx(before.trust, abs=1e-6)


def test_many_at_once_are_each_as_alone(pets: Pets) -> None:
    samples = [*pets.show("cat", 0, 1), *pets.show("dog", 0, 1)]
    votes = {
        samples[0]: [vote(samples[0], "dog")],
        samples[1]: [],
        samples[2]: [vote(samples[2], "cat", "bob", Role.ANNOTATOR), vote(samples[2], "dog")],
        samples[3]: [vote(samples[3], "cat", "judge", Role.GROUND_TRUTH), vote(samples[3], "dog")],
    }
    with pets.project.workspace.database.read() as connection:
        together = believe_all(
            pets.live, votes, [pets.live.look_up(connection, samples)], rate=on_record(pets.live, connection)
        )
    for name in samples:
        alone = believe(pets.live, name, *votes[name])
        assert together[name].label == alone.label
        assert together[name].trust == pytest.approx(alone.trust)
        assert together[name].support == pytest.approx(alone.support)


def test_judged_together_who_errs_where_the_truth_is_known_is_believed_less(pets: Pets) -> None:
    known, (open_, unsaid) = pets.show("cat", *range(10)), pets.show("dog", 0, 1)
    votes = {name: [vote(name, "cat", "good"), vote(name, "dog", "bad")] for name in known}
    settled = dict.fromkeys(known, "cat")

    def trust(voter: str, **more: Any) -> float:
        asked = votes | {open_: [vote(open_, "cat", voter)], unsaid: []}
        with pets.project.workspace.database.read() as connection:
            views = pets.live.look_up(connection, list(asked))
            found = believe_all(pets.live, asked, [views], **more)
        assert found[open_].label == "cat"
        assert found[unsaid].label is None
        return found[open_].trust

    assert trust("good", settled=settled) > trust("new", settled=settled) > trust("bad", settled=settled)
    p = model_says(pets.live, open_)
    assert trust("new") == pytest.approx(trust("new", settled=settled), abs=0.05)
    # ten right of ten, and the last one itself: between (2 + 10) / (4 + 11) and (2 + 11) / (4 + 11)
    low, high = (posterior(p, [("cat", rate / 15)])["cat"] for rate in (12, 13))
    assert low <= trust("good", settled=settled) <= high


def test_beside_a_head_that_learns_no_single_rows(
    make_project: Callable[..., Project], trained_folder: Path, picture: Callable[..., bytes]
) -> None:
    project = make_project(of=trained_folder)
    project.train("pets", models="logistic")
    live = LiveModel(project.workspace, project.model("pets@2"))
    assert not live.learns
    answer(project.workspace, live.answerer, [Asked(picture("dog", 700))])
    sample = digest_of(picture("dog", 700))
    found = believe(live, sample, vote(sample, "cat", role=Role.ANNOTATOR))
    a, b = PRIORS[Role.ANNOTATOR]
    wanted = posterior(model_says(live, sample), [("cat", a / (a + b))])
    assert found.label == "cat"
    assert found.trust == pytest.approx(wanted["cat"])
