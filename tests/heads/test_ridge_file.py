from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pellucid.errors import IntegrityError, UsageError, VersionError
from pellucid.heads.head import load_head
from pellucid.heads.ridge import RidgeClassifier

Content = tuple[dict[str, Any], dict[str, Any]]


@pytest.fixture
def ridge_content() -> Content:
    rng = np.random.default_rng(0)
    return RidgeClassifier(1.0).fit(rng.normal(size=(30, 4)), np.arange(30) % 3).to_arrays(state=True)


def test_a_loaded_head_learns_on(ridge_content: Content) -> None:
    head = RidgeClassifier.from_arrays(*ridge_content)
    X = np.random.default_rng(0).normal(size=(30, 4))
    head.partial_fit([[1.0, 2.0, 3.0, 4.0]], [5])
    head.forget(X[:3], [0, 1, 2])
    expected = RidgeClassifier(1.0).fit(np.vstack([X[3:], [[1.0, 2.0, 3.0, 4.0]]]), [*(np.arange(3, 30) % 3), 5])
    np.testing.assert_allclose(head.coef_, expected.coef_, atol=1e-10)


def test_the_state_comes_back_bit_by_bit(ridge_content: Content) -> None:
    arrays, meta = RidgeClassifier.from_arrays(*ridge_content).to_arrays(state=True)
    assert meta == ridge_content[1]
    for name, array in ridge_content[0].items():
        np.testing.assert_array_equal(arrays[name], array)
    assert arrays["upper"].shape == (15,)


def test_models_are_small_unless_asked() -> None:
    head = RidgeClassifier(1.0).fit(np.eye(60)[:40], np.arange(40) % 2)
    assert set(head.to_arrays()[0]) == {"weights", "thresholds"}
    again = RidgeClassifier.from_arrays(*head.to_arrays())
    np.testing.assert_array_equal(again.predict_set(np.eye(60)), head.predict_set(np.eye(60)))
    assert again.sets_ is not None
    assert head.sets_ is not None
    assert again.sets_.coverage == head.sets_.coverage
    for ask in (again.leverage, lambda X: again.partial_fit(X, np.zeros(60)), lambda X: again.to_arrays(state=True)):
        with pytest.raises(UsageError, match="stored without its statistic"):
            ask(np.eye(60))


def test_a_head_of_one_class_without_sets_comes_back() -> None:
    head = RidgeClassifier().partial_fit([[1.0, 2.0]], ["only"])
    again = RidgeClassifier.from_arrays(*head.to_arrays(state=True))
    assert again.partial_fit([[2.0, 1.0]], ["other"]).classes_.tolist() == ["only", "other"]


def test_version_1_is_read() -> None:
    """Written by Pellucid 0.1: fit([[3.0], [-5.0]], ["left", "right"]) at lambda 2."""
    folder = Path(__file__).parent / "protocols" / "ridge_1"
    digests = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}
    head: Any = load_head(folder, digests)
    np.testing.assert_allclose(head.class_scores([[1.0], [-1.0]]), [[0.5, 0], [0, 0.5]], atol=1e-15)
    np.testing.assert_allclose(head.predict_proba([[1.0]]), [[0.500125, 0.499875]], atol=1e-9)
    assert (head.n_learnt_, head.lambda_, head.noise_rate_, head.sets_) == (2, 2.0, 0.0, None)
    with pytest.raises(UsageError, match="recalibrate"):
        head.predict_set([[1.0]])
    with pytest.raises(UsageError, match="statistic"):
        head.recalibrate([[1.0]], ["left"])
    assert head.recalibrate([[1.0]], ["left"], learnt=False).predict_set([[1.0]]).tolist() == [[True, True]]
    again = RidgeClassifier.from_arrays(*head.to_arrays())
    np.testing.assert_array_equal(again.predict_proba([[1.0]]), head.predict_proba([[1.0]]))


def test_a_newer_version() -> None:
    arrays, meta = RidgeClassifier(1.0).fit([[0.0], [1.0]], [0, 1]).to_arrays()
    with pytest.raises(VersionError, match="upgrade"):
        RidgeClassifier.from_arrays(arrays, {**meta, "version": 3, "new": 1})


def changed(name: str, change: Callable[[Any], Any]) -> Callable[[Content], Content]:
    def apply(content: Content) -> Content:
        arrays, meta = dict(content[0]), dict(content[1])
        target = arrays if name in arrays else meta
        target[name] = change(target[name])
        return arrays, meta

    return apply


def without(*names: str) -> Callable[[Content], Content]:
    return lambda content: ({k: v for k, v in content[0].items() if k not in names}, content[1])


@pytest.mark.parametrize(
    "change",
    [
        changed("version", lambda value: 1),
        changed("version", lambda value: "2"),
        changed("version", lambda value: True),
        changed("noise_rate", lambda value: 1.5),
        changed("class_count", lambda value: None),
        changed("class_count", lambda value: [10, 10]),
        changed("class_count", lambda value: [10, 10, 11]),
        changed("class_count", lambda value: [31, 10, -11]),
        changed("class_count", lambda value: [10.0, 10, 10]),
        changed("n_learnt", lambda value: 31),
        changed("sets", lambda value: None),
        changed("sets", lambda value: []),
        changed("sets", lambda value: {**value, "more": 1}),
        changed("sets", lambda value: {**value, "approximate": 1}),
        changed("sets", lambda value: {**value, "noise_rate": -1}),
        changed("sets", lambda value: {**value, "coverage": [0.5]}),
        changed("sets", lambda value: {**value, "coverage": [2.0] * 4}),
        changed("sets", lambda value: {**value, "sizes": ["1"] * 4}),
        changed("thresholds", lambda value: value[:-1]),
        changed("thresholds", lambda value: value[::-1]),
        changed("thresholds", lambda value: value + 1),
        changed("upper", lambda value: value[:-1]),
        changed("upper", lambda value: value * np.nan),
        changed("upper", lambda value: -value),
        changed("upper", lambda value: value + 1e4 * (np.arange(15) == 1)),  # an entry beside the diagonal
        changed("upper", lambda value: value * 1.01),
        changed("targets", lambda value: value * 1.01),
        changed("targets", lambda value: value[:, :-1]),
        changed("weights", lambda value: value * 1.01),
        without("targets"),
        without("upper"),
        without("thresholds"),
        without("weights"),
    ],
)
def test_unsound_content(ridge_content: Content, change: Callable[[Content], Content]) -> None:
    with pytest.raises(IntegrityError):
        RidgeClassifier.from_arrays(*change(ridge_content))
