"""Belief: from the posterior of an audit to one label and one weight."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from pellucid.errors import UsageError
from pellucid.noise import Audit, audit, inject_labels
from pellucid.noise.belief import ACTIONS, believe

POSTERIOR = np.array([[0.9, 0.1, 0.0], [0.1, 0.3, 0.6], [0.2, 0.35, 0.45], [0.45, 0.3, 0.25]])


@pytest.fixture
def found() -> Audit:
    """Four cats and dogs, of which the second and the third are suspected, and the last one is doubtful."""
    classes = np.array(["cat", "dog", "eel"])
    given = np.array(["cat", "dog", "dog", "cat"])
    trust = np.array([0.9, 0.3, 0.35, 0.45])
    suspect = np.array([False, True, True, False])
    suggested = np.array(["cat", "eel", "eel", "cat"])
    return Audit(
        given, trust, trust, POSTERIOR, suspect, suggested, 0.4, np.eye(3), classes, "argmax", "by hand", np.ones(4)
    )


def test_relabelling_gives_each_row_the_probability_of_its_label(found: Audit) -> None:
    belief = believe(found, action="relabel")
    assert belief.labels.tolist() == ["cat", "eel", "eel", "cat"]
    assert belief.weight.tolist() == [0.9, 0.6, 0.45, 0.45]
    assert belief.fate.tolist() == ["kept", "relabelled", "relabelled", "kept"]


def test_weighing_keeps_every_label(found: Audit) -> None:
    belief = believe(found, action="weigh")
    assert belief.labels.tolist() == found.given.tolist()
    assert belief.weight.tolist() == found.trust.tolist()
    assert set(belief.fate) == {"kept"}


def test_dropping_weighs_all_or_nothing(found: Audit) -> None:
    belief = believe(found, action="drop")
    assert belief.weight.tolist() == [1, 0, 0, 1]
    assert belief.fate.tolist() == ["kept", "dropped", "dropped", "kept"]


def test_a_suspect_whose_label_is_likeliest_after_all_keeps_it(found: Audit) -> None:
    posterior = POSTERIOR.copy()
    posterior[2] = [0.3, 0.4, 0.3]
    object.__setattr__(found, "posterior", posterior)
    belief = believe(found, action="relabel")
    assert (belief.labels[2], belief.weight[2], belief.fate[2]) == ("dog", 0.35, "kept")


def test_half_a_credence_goes_half_the_way_from_the_given_labels(found: Audit) -> None:
    object.__setattr__(found, "credence", np.full(4, 0.5))
    weighed, relabelled = (believe(found, action=action) for action in ("weigh", "relabel"))
    np.testing.assert_allclose(weighed.weight, [0.95, 0.65, 0.675, 0.725])
    assert relabelled.labels.tolist() == found.given.tolist()
    np.testing.assert_allclose(relabelled.weight, weighed.weight)
    object.__setattr__(found, "credence", np.full(4, 0.9))
    belief = believe(found, action="relabel")  # the second: 0.54 of an eel against 0.37 of a dog
    assert belief.labels.tolist() == ["cat", "eel", "dog", "cat"]
    np.testing.assert_allclose(belief.weight, [0.91, 0.54, 0.415, 0.505])


def test_without_credence_nothing_changes(found: Audit) -> None:
    object.__setattr__(found, "credence", np.zeros(4))
    for action in ("weigh", "relabel"):
        belief = believe(found, action=action)
        assert belief.labels.tolist() == found.given.tolist()
        assert belief.weight.tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize(("rate", "low", "high"), [(0.0, 0.0, 0.3), (0.3, 1.0, 1.0)])
def test_where_nothing_is_wrong_hardly_anything_changes(rate: float, low: float, high: float) -> None:
    X, y = load_digits(return_X_y=True)
    noisy = inject_labels(y[:600], "symmetric", rate, 0)
    given, wrong = noisy.labels, noisy.changed
    found = audit(X[:600], given)
    assert low <= found.credence.min() <= found.credence.max() <= high
    belief = believe(found)
    if rate == 0:
        assert belief.labels.tolist() == given.tolist()
        assert belief.weight.mean() > 0.995
    else:
        assert np.mean(belief.labels[wrong] == y[:600][wrong]) > 0.9


def test_a_rule_that_only_counts_is_taken_at_its_word() -> None:
    X, y = load_digits(return_X_y=True)
    assert audit(X[:300], y[:300], rule="percentile").credence.min() == 1.0
    assert audit(X[:300], y[:300], rule="transition").credence.max() < 1.0


def test_a_long_tail_of_classes_that_nobody_knows_holds_nothing_back() -> None:
    X, y = load_digits(return_X_y=True)
    given = inject_labels(y[:600], "symmetric", 0.1, 0).labels
    few = audit(X[:600], given)
    many = audit(X[:700], np.concatenate([given, 100 + np.arange(100)]))
    assert few.credence.min() == many.credence.min() == 1


def test_a_bad_voter_is_doubted_in_full_among_good_ones() -> None:
    X, y = load_digits(return_X_y=True)
    X = X[:800] + np.random.default_rng(0).normal(0, 6, (800, 64))  # so that the learner errs
    given, voter = y[:800].copy(), np.arange(800) % 5
    given[:30], voter[:30] = (given[:30] + 3) % 10, 5
    found = audit(X, given, voter=voter)
    assert found.credence[0] == 1
    assert found.credence[voter < 5].max() < 0.5
    assert believe(found, action="weigh").weight[:30].mean() < 0.3


def test_an_unknown_action_is_named_with_those_there_are(found: Audit) -> None:
    with pytest.raises(UsageError, match="'burn'; the actions are relabel, weigh, drop"):
        believe(found, action="burn")
    assert set(ACTIONS) == {"relabel", "weigh", "drop"}
