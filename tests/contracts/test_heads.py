"""The contract of every head: one suite, run for all that the registry finds."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import pellucid.heads
from pellucid.errors import DataError, IntegrityError, UsageError
from pellucid.heads.head import (
    Head,
    available_heads,
    build_head,
    head_settings,
    iterates,
    load_head,
    save_head,
)

# A head whose specification takes an argument is tried with these: probabilities of its own, or scores only.
EXAMPLES = {"sklearn": ["sklearn:sklearn.naive_bayes.GaussianNB", "sklearn:sklearn.svm.LinearSVC"]}
SPECS = [spec for name in available_heads() for spec in EXAMPLES.get(name, [name])]

Data = tuple[NDArray[np.float64], NDArray[Any]]


@pytest.fixture(params=SPECS)
def head(request: pytest.FixtureRequest) -> Head:
    return build_head(request.param, {}, seed=7)


@pytest.fixture
def data() -> Data:
    """Three clusters of 20 rows in 5 dimensions that a line can nearly part; classes 0, 2 and 5."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 2, 5], 20)
    centres = 2.0 * np.eye(5)[[0, 1, 2]]
    return np.repeat(centres, 20, axis=0) + rng.normal(scale=0.5, size=(60, 5)), y


def test_the_suite_tries_every_head() -> None:
    defined = set()
    for module in pkgutil.iter_modules(pellucid.heads.__path__, "pellucid.heads."):
        for name, value in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            own = value.__module__ == module.name and not name.startswith("_")
            if own and hasattr(value, "from_arrays") and value is not Head:
                defined.add(f"{module.name}:{name}")
    assert defined == {path for path in available_heads().values() if path.startswith("pellucid.")}
    assert {spec.partition(":")[0] for spec in SPECS} == set(available_heads())


def test_learns(head: Head, data: Data) -> None:
    X, y = data
    assert head.fit(X, y) is head
    probabilities = head.predict_proba(X)
    assert head.classes_.tolist() == [0, 2, 5]
    assert probabilities.shape == (60, 3)
    assert np.isfinite(probabilities).all()
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-9)
    assert (head.classes_[probabilities.argmax(axis=1)] == y).mean() > 0.9


def test_probabilities_are_calibrated(head: Head) -> None:
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, 3000)
    X = np.column_stack([2.0 * y - 1, np.ones(3000)]) + rng.normal(size=(3000, 2))
    probabilities = head.fit(X[:1500], y[:1500]).predict_proba(X[1500:])
    right = probabilities.argmax(axis=1) == y[1500:]
    assert abs(probabilities.max(axis=1).mean() - right.mean()) < 0.05


@pytest.mark.parametrize("names", [np.array(["blue", "green", "red"]), np.array([-4, 0, 9], dtype=np.int32)])
def test_classes_keep_their_names(head: Head, data: Data, names: NDArray[Any], tmp_path: Path) -> None:
    X, y = data
    head.fit(X, names[np.searchsorted([0, 2, 5], y)])
    again = load_head(tmp_path, save_head(head, tmp_path))
    assert head.classes_.tolist() == names.tolist()
    assert again.classes_.tolist() == names.tolist()
    assert again.classes_.dtype == head.classes_.dtype


def test_float32_and_lists_are_taken(head: Head, data: Data) -> None:
    X, y = data
    expected = head.fit(X, y).predict_proba(X)
    assert np.abs(head.fit(X.astype(np.float32), y).predict_proba(X) - expected).max() < 0.02
    np.testing.assert_array_equal(head.fit(X.tolist(), y.tolist()).predict_proba(X.tolist()), expected)


def test_same_seed_same_head(head: Head, data: Data) -> None:
    X, y = data
    first = head.fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(head.fit(X, y).predict_proba(X), first)


def test_fit_leaves_its_input_alone(head: Head, data: Data) -> None:
    X, y = data
    before = X.copy()
    X.flags.writeable = y.flags.writeable = False
    head.fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(X, before)


def test_weights_decide_between_labels_that_disagree(head: Head, data: Data) -> None:
    X, y = data
    wrong = np.where(y == 0, 2, 0)
    for trusted, labels in ((1.0, y), (0.05, wrong)):
        weight = np.repeat([trusted, 1.05 - trusted], 60)
        head.fit(np.vstack([X, X]), np.concatenate([y, wrong]), weight)
        guess = head.classes_[head.predict_proba(X).argmax(axis=1)]
        assert (guess == labels).mean() > 0.75


def test_a_row_of_weight_zero_counts_for_nothing(head: Head, data: Data) -> None:
    X, y = data
    alone = head.fit(X, y).predict_proba(X)
    noise = np.full((7, 5), 30.0)
    labels = np.array([0, 2, 5, 9, 9, 9, 9])  # nobody else has class 9
    head.fit(np.vstack([X, noise]), np.concatenate([y, labels]), np.repeat([1.0, 0.0], [60, 7]))
    assert head.classes_.tolist() == [0, 2, 5]
    np.testing.assert_allclose(head.predict_proba(X), alone, atol=1e-6)


def test_comes_back_bit_by_bit(head: Head, data: Data, tmp_path: Path) -> None:
    X, y = data
    head.fit(X, y)
    digests = save_head(head, tmp_path / "new")
    again = load_head(tmp_path / "new", digests)
    assert type(again) is type(head)
    np.testing.assert_array_equal(again.predict_proba(X), head.predict_proba(X))
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(digests)
    again_digests = save_head(again, tmp_path / "again")
    assert again_digests["head.json"] == digests["head.json"]


def test_a_tampered_file_is_refused(head: Head, data: Data, tmp_path: Path) -> None:
    digests = save_head(head.fit(*data), tmp_path)
    for name in digests:
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(IntegrityError, match="damaged or edited"):
            load_head(tmp_path, digests)
        (tmp_path / name).unlink()
        with pytest.raises(IntegrityError, match="cannot be read"):
            load_head(tmp_path, digests)
        (tmp_path / name).write_bytes(content)
        with pytest.raises(IntegrityError, match="recorded is none"):
            load_head(tmp_path, {other: digest for other, digest in digests.items() if other != name})


def test_unsound_content_is_refused(head: Head, data: Data) -> None:
    arrays, meta = head.fit(*data).to_arrays()
    two_classes = {**meta, "classes": {"dtype": "<i8", "values": [0, 2]}}
    one_class = {**meta, "classes": {"dtype": "<i8", "values": [0]}}
    for content, other in (
        ({}, meta),
        ({**arrays, "more": np.ones(1)}, meta),
        ({name: array.astype(np.float16) for name, array in arrays.items()}, meta),
        ({name: array[..., :-1] for name, array in arrays.items()}, meta),
        ({name: array[None] for name, array in arrays.items()}, meta),
        (arrays, {}),
        (arrays, {**meta, "more": 1}),
        (arrays, two_classes),
        (arrays, one_class),
        *((arrays, {name: value for name, value in meta.items() if name != left}) for left in meta),
    ):
        with pytest.raises(IntegrityError):
            type(head).from_arrays(content, other)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y: (X, np.zeros(60)), "class"),
        (lambda X, y: (np.where(np.arange(60)[:, None] == 3, np.nan, X), y), "NaN"),
        (lambda X, y: (np.where(np.arange(60)[:, None] == 3, np.inf, X), y), "infinity"),
        (lambda X, y: (X, y[:-1]), "inconsistent"),
        (lambda X, y: (X[:0], y[:0]), "0 sample"),
        (lambda X, y: (X[:, :0], y), "0 feature"),
        (lambda X, y: (X[0], y), "1D array"),
        (lambda X, y: (X, X[:, 0]), "continuous"),
        (lambda X, y: (X, y, np.zeros(60)), "non-zero|class"),
        (lambda X, y: (X, y, np.full(60, -1.0)), "[Nn]egative"),
        (lambda X, y: (X, y, np.full(60, np.nan)), "NaN"),
        (lambda X, y: (X, y, np.ones(59)), "shape"),
    ],
)
def test_what_cannot_be_learnt(head: Head, data: Data, change: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        head.fit(*change(*data))
    assert "\n" not in str(caught.value)


def test_what_cannot_be_asked(head: Head, data: Data) -> None:
    X, y = data
    head.fit(X, y)
    for question in (X[:, :-1], np.full((1, 5), np.nan), X[0], X[:0]):
        with pytest.raises(DataError):
            head.predict_proba(question)


@pytest.mark.parametrize("spec", SPECS)
def test_settings_are_named_and_checked(spec: str) -> None:
    settings = head_settings(spec)
    build_head(spec, settings, seed=0)
    assert not {"seed", "random_state", "l2"} & set(settings)
    with pytest.raises(UsageError, match="it accepts " + ", ".join(sorted(settings))):
        build_head(spec, {"no such setting": 1}, seed=0)
    for name in settings:
        with pytest.raises(UsageError):
            build_head(spec, {name: object()}, seed=0)


def test_epochs_are_told_one_by_one(head: Head, data: Data) -> None:
    X, y = data
    seen: list[int] = []
    fit: Any = head.fit
    if iterates(head):
        fit(X, y, on_epoch=lambda epoch, now: seen.append(epoch * len(now.predict_proba(X)) // 60))
        assert seen == list(range(1, len(seen) + 1))
        assert seen
    else:
        with pytest.raises(TypeError):
            fit(X, y, on_epoch=print)
