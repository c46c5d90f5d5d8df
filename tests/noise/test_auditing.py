from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from pellucid.errors import DataError, UsageError
from pellucid.noise import Audit, audit, audit_probabilities, inject_labels
from pellucid.noise.rules import RULES


def blobs(n: int = 240, K: int = 3, d: int = 300, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Classes that ridge tells apart, in more features than are lifted."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % K
    return rng.normal(size=(K, d))[y] * 0.5 + rng.normal(size=(n, d)), y


def same(one: Audit, other: Audit, order: NDArray[np.intp]) -> None:
    np.testing.assert_allclose(other.trust, one.trust[order], atol=1e-3)
    np.testing.assert_allclose(other.margin, one.margin[order], atol=1e-3)
    np.testing.assert_allclose(other.noise_matrix, one.noise_matrix, atol=1e-3)
    assert other.rule_used == one.rule_used
    assert (other.suspect == one.suspect[order]).all()
    assert (other.suggested == one.suggested[order]).all()


@pytest.fixture(scope="module")
def digits() -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    X, y = load_digits(return_X_y=True)
    return X[:700] / 16, y[:700]


def test_at_most_one_in_a_hundred_clean_digits_is_suspected(digits: Any) -> None:
    found = audit(*digits)
    assert found.suspect.mean() <= 0.01
    assert found.noise_rate <= 0.01


@pytest.mark.parametrize(("kind", "least"), [("symmetric", 0.96), ("pair", 0.96)])
def test_a_third_of_the_digits_broken_is_found_and_mended(
    digits: Any, f1: Callable[..., float], kind: str, least: float
) -> None:
    X, y = digits
    noise = inject_labels(y, kind, 1 / 3, 0)
    found = audit(X, noise.labels)
    assert f1(found.suspect, noise.changed) > least
    assert (found.suggested == y).mean() > least
    assert found.noise_rate == pytest.approx(noise.changed.mean(), abs=0.03)
    assert np.abs(found.noise_matrix - noise.matrix).max() < 0.15


@pytest.mark.parametrize("kind", ["symmetric", "pair"])
def test_it_judges_by_the_look_that_tells_the_labels_best_and_says_which(f1: Callable[..., float], kind: str) -> None:
    X, y = blobs()
    noise = inject_labels(y, kind, 0.3, 0)
    blind = np.random.default_rng(1).normal(size=X.shape)
    found, alone = audit(blind, noise.labels, looks=[X]), audit(X, noise.labels)
    assert (found.look, alone.look, audit(X, noise.labels, looks=[blind]).look) == (1, 0, 0)
    np.testing.assert_array_equal(found.trust, alone.trust)
    assert f1(found.suspect, noise.changed) > 0.9 > f1(audit(blind, noise.labels).suspect, noise.changed)


@pytest.mark.parametrize("kind", ["symmetric", "pair"])
def test_learning_the_corrected_labels_finds_more(
    monkeypatch: pytest.MonkeyPatch, f1: Callable[..., float], kind: str
) -> None:
    rng = np.random.default_rng(0)
    y = np.arange(400) % 5
    X = rng.normal(size=(5, 300))[y] * 0.3 + rng.normal(size=(400, 300))
    noise = inject_labels(y, kind, 0.4, 0)
    several = audit(X, noise.labels)
    monkeypatch.setattr("pellucid.noise.auditing._PASSES", 0)
    once = audit(X, noise.labels)
    assert f1(several.suspect, noise.changed) > f1(once.suspect, noise.changed) + 0.03


def test_what_an_audit_holds() -> None:
    X, y = blobs()
    names = np.array(["cat", "dog", "eel"])[y]
    names[0] = "eel"
    found = audit(X, names)
    assert np.flatnonzero(found.suspect).tolist() == [0]
    assert found.suggested.tolist() == np.array(["cat", "dog", "eel"])[y].tolist()
    assert found.given.tolist() == names.tolist()
    assert found.classes.tolist() == ["cat", "dog", "eel"]
    assert found.margin.argmin() == found.trust.argmin() == 0
    assert ((found.trust >= 0) & (found.trust <= 1)).all()
    np.testing.assert_allclose(found.noise_matrix.sum(axis=1), 1)
    frame = found.to_frame()
    assert list(frame.columns) == ["given", "suggested", "suspect", "trust", "margin"]
    assert frame["suggested"].tolist() == found.suggested.tolist()
    assert frame["suspect"].sum() == 1
    with pytest.raises(AttributeError):
        found.trust = found.margin  # type: ignore[misc]  # it is frozen


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule != "auto"])
def test_every_rule_can_be_asked_for(rule: str) -> None:
    X, y = blobs()
    given = inject_labels(y, "symmetric", 0.2, 0).labels
    p = np.random.default_rng(1).dirichlet([1, 1, 1], len(y)) * 0.3 + np.eye(3)[y] * 0.7
    for found in (audit(X, given, rule=rule), audit_probabilities(given, p, rule=rule)):
        assert found.rule_used == rule
        assert found.suspect[given != y].mean() > found.suspect[given == y].mean()
        assert (found.suggested[~found.suspect] == given[~found.suspect]).all()
        assert (found.suggested[found.suspect] != given[found.suspect]).all()


@pytest.mark.parametrize("kind", ["symmetric", "pair"])
def test_the_order_of_rows_does_not_matter(kind: str) -> None:
    X, y = blobs()
    given = inject_labels(y, kind, 0.2, 0).labels
    order = np.random.default_rng(1).permutation(len(y))
    same(audit(X, given), audit(X[order], given[order]), order)


def test_labels_of_any_type_are_judged_alike() -> None:
    X, y = blobs(K=2)
    given = inject_labels(y, "symmetric", 0.1, 0).labels
    whole = audit(X, given)
    for labels in (given.astype(bool), np.array(["a", "b"])[given], given * 7 - 3, given.astype(float).tolist()):
        other = audit(X, labels)
        assert other.suspect.tolist() == whole.suspect.tolist()
        assert (other.suggested == other.given).tolist() == (whole.suggested == whole.given).tolist()


def test_float32_is_judged_like_float64() -> None:
    X, y = blobs()
    given = inject_labels(y, "symmetric", 0.2, 0).labels
    np.testing.assert_allclose(audit(X.astype(np.float32), given).trust, audit(X, given).trust, atol=0.01)


def test_copies_in_a_group_do_not_vouch_for_each_other() -> None:
    X, y = blobs(n=120)
    rng = np.random.default_rng(1)
    X = np.repeat(X, 4, axis=0) + rng.normal(size=(480, 300)) * 0.01
    groups = np.repeat(np.arange(120), 4)
    given = np.repeat(inject_labels(y, "symmetric", 0.2, 0).labels, 4)  # a burst has one label, right or wrong
    wrong = given != np.repeat(y, 4)
    apart, together = audit(X, given), audit(X, given, groups=np.char.add("burst ", groups.astype(str)))
    assert together.suspect[wrong].mean() > 0.95
    assert together.suspect[~wrong].mean() < 0.05
    assert apart.suspect[wrong].mean() < 0.5


def test_trusted_labels_are_never_suspected_and_anchor_the_rest() -> None:
    X, y = blobs()
    noise = inject_labels(y, "pair", 0.2, 0)
    trusted = noise.changed & (np.arange(len(y)) < 60)  # said to be right against all appearance
    for rule in RULES:
        found = audit(X, noise.labels, trusted=trusted, rule=rule)
        assert not found.suspect[trusted].any()
        assert (found.trust[trusted] == 1).all()
    # nearly all wrong: only those who are trusted can tell which way round it is
    swapped = inject_labels(y, "pair", 0.9, 0)
    anchors = np.arange(len(y)) % 3 == 0
    given = np.where(anchors, y, swapped.labels)
    assert audit(X, given, trusted=anchors).margin[anchors].mean() > audit(X, given).margin.min()


def test_a_careless_voters_record_counts_against_his_next_vote() -> None:
    X, y = blobs(d=260, seed=3)
    voter = np.where(np.arange(len(y)) < 80, "careless", "careful")
    given = np.where(voter == "careless", inject_labels(y, "symmetric", 0.6, 0).labels, y)
    without, record = audit(X, given, rule="transition"), audit(X, given, voter=voter, rule="transition")
    careless = voter == "careless"
    wrong = given != y
    assert record.trust[wrong].mean() <= without.trust[wrong].mean()
    assert record.trust[careless].mean() < without.trust[careless].mean() + 1e-9
    assert record.trust[~careless].mean() >= without.trust[~careless].mean()


def test_rows_of_weight_zero_are_judged_and_teach_nothing() -> None:
    X, y = blobs()
    given = inject_labels(y, "symmetric", 0.2, 0).labels
    weight = np.ones(480)
    weight[240:] = 0
    both = audit(np.concatenate([X, X]), np.concatenate([given, (y + 1) % 3]), sample_weight=weight, rule="transition")
    alone = audit(X, given, rule="transition")
    np.testing.assert_allclose(both.trust[:240], alone.trust, atol=0.02)
    assert both.noise_rate == pytest.approx(alone.noise_rate, abs=0.02)
    assert both.suspect[240:].mean() > 0.9


def test_a_class_of_one_or_two_is_not_swept_out_of_a_clean_set() -> None:
    X, y = blobs(n=400, K=4)
    kept = (y < 2) | (np.arange(400) == 398) | ((y == 3) & (np.arange(400) < 20))  # one of class 2, five of class 3
    found = audit(X[kept], y[kept])
    assert np.bincount(y[kept]).tolist() == [100, 100, 1, 5]
    assert not found.suspect[y[kept] >= 2].any()
    assert found.suspect.mean() < 0.02


@pytest.mark.parametrize(
    ("X", "y"),
    [
        (np.ones((6, 3)), [0, 1] * 3),
        (np.zeros((6, 3)), [0, 1] * 3),
        (np.repeat(np.eye(2), 3, axis=0), [0, 0, 0, 1, 1, 1]),
        (np.eye(5), np.arange(5)),
        (np.eye(2), [0, 1]),
        (np.random.default_rng(0).normal(size=(7, 400)) * 1e150, [0, 1, 2, 0, 1, 2, 2]),
        (np.arange(12).reshape(6, 2), ["a", "b", "c", "d", "e", "f"]),
        (np.random.default_rng(0).normal(size=(500, 2)), np.arange(500) % 2),
    ],
    ids=["constant", "zeros", "duplicates", "singletons", "two rows", "huge", "as many classes as rows", "no signal"],
)
def test_odd_data_give_finite_answers(X: Any, y: Any) -> None:
    found = audit(X, y)
    assert np.isfinite(found.trust).all()
    assert np.isfinite(found.margin).all()
    assert np.isfinite(found.noise_matrix).all()
    assert 0 <= found.noise_rate <= 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"X": [[np.nan], [0.0]]}, "NaN"),
        ({"X": [[np.inf], [0.0]]}, "infinity"),
        ({"X": np.ones(2)}, r"wanted \(n, d\)"),
        ({"X": np.ones((0, 3)), "y": []}, r"wanted \(n, d\)"),
        ({"X": np.ones((2, 0))}, r"wanted \(n, d\)"),
        ({"X": [["a"], ["b"]]}, "numbers"),
        ({"y": [0, 1, 1]}, "3 labels for 2 rows"),
        ({"y": [1, 1]}, "one class"),
        ({"y": [0, None]}, "missing"),
        ({"y": []}, "no labels"),
        ({"sample_weight": [1, -1]}, "negative"),
        ({"sample_weight": [1, np.nan]}, "missing"),
        ({"sample_weight": [0, 0]}, "0 everywhere"),
        ({"sample_weight": [1, 0]}, "one class"),
        ({"sample_weight": [1]}, r"wanted \(2,\)"),
        ({"sample_weight": ["x", "y"]}, "numbers"),
        ({"groups": [1]}, "groups has 1 entries for 2 rows"),
        ({"groups": [1.0, np.nan]}, "groups"),
        ({"voter": ["ann"]}, "voter has 1"),
        ({"trusted": [1, 0]}, "boolean"),
        ({"trusted": [True]}, "boolean"),
        ({"looks": [[[0.0]]]}, "look 1 has 1 rows and X has 2"),
        ({"looks": [[[0.0], [np.nan]]]}, "NaN"),
    ],
)
def test_what_cannot_be_audited(arguments: dict[str, Any], says: str) -> None:
    call: dict[str, Any] = {"X": [[0.0], [1.0]], "y": [0, 1]} | arguments
    with pytest.raises(DataError, match=says) as caught:
        audit(**call)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("y", "p", "says"),
    [
        ([0, 1], [[0.5, 0.5]], "1 rows for 2 labels"),
        ([0, 1], [[0.5, 0.5], [1.0]], "numbers"),
        ([0, 1], [[0.5, 0.4], [0.5, 0.5]], "sums to 0.9"),
        ([0, 1], [[-1, 2], [0.5, 0.5]], "negative"),
        ([0, 1], [[np.nan, 1], [0.5, 0.5]], "missing"),
        ([0, 2], [[0.5, 0.5], [0.5, 0.5]], "0 to K-1 = 1"),
        ([-1, 0], [[0.5, 0.5], [0.5, 0.5]], "0 to K-1 = 1"),
        (["a", "b"], np.full((2, 3), 1 / 3), "2 classes for 3 columns"),
        ([0, 0], [[1.0], [1.0]], "one column"),
        ([], np.ones((0, 2)), "shape"),
        ([], [[0.5, 0.5]], "no labels"),
        ([0, 1], [0.5, 0.5], "0 to K-1|shape"),
    ],
)
def test_probabilities_that_cannot_be_audited(y: Any, p: Any, says: str) -> None:
    with pytest.raises(DataError, match=says):
        audit_probabilities(y, p)


def test_an_unknown_rule_is_refused_by_both() -> None:
    with pytest.raises(UsageError, match="the rules are auto"):
        audit(np.eye(2), [0, 1], rule="guess")
    with pytest.raises(UsageError, match="the rules are auto"):
        audit_probabilities([0, 1], np.eye(2), rule="guess")


def test_probabilities_with_zeros_ones_and_an_absent_class() -> None:
    y = np.repeat([0, 2], 30)
    p = np.eye(4)[y]
    y[0] = 2
    found = audit_probabilities(y, p)
    assert np.flatnonzero(found.suspect).tolist() == [0]
    assert found.suggested[0] == 0
    assert found.noise_matrix.shape == (4, 4)
    np.testing.assert_allclose(found.noise_matrix.sum(axis=1), 1)
    assert np.isfinite(found.trust).all()


def test_columns_can_be_named_in_any_order() -> None:
    y = np.repeat(["dog", "cat"], 30)
    p = np.where((y == "dog")[:, None], [0.9, 0.1, 0.0], [0.1, 0.9, 0.0])
    y[0] = "cat"
    found = audit_probabilities(y, p, classes=["dog", "cat", "eel"])
    assert np.flatnonzero(found.suspect).tolist() == [0]
    assert found.suggested[0] == "dog"
    assert found.classes.tolist() == ["dog", "cat", "eel"]


def test_a_wrong_label_on_a_burst_counts_once_however_many_copies_there_are(f1: Callable[..., float]) -> None:
    X, y = blobs(n=300, K=4)
    noise = inject_labels(y, "pair", 0.3, 0)
    copied = np.concatenate([np.arange(300), *[np.flatnonzero(noise.changed)] * 3])
    wrong = noise.changed[copied]
    assert wrong.mean() > 0.5
    many = X[copied] + 1e-3 * np.random.default_rng(1).normal(size=(len(copied), X.shape[1]))
    found = audit(many, noise.labels[copied], groups=copied)
    assert f1(found.suspect, wrong) > 0.95
    assert found.noise_rate == pytest.approx(noise.changed.mean(), abs=0.05)
