"""Hedge backpropagation: a step by hand, gradients against finite differences and PyTorch's, and bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pellucid.errors import DataError, IntegrityError, TrainingError, UsageError
from pellucid.heads.head import load_head, save_head
from pellucid.heads.hedge import HedgeClassifier

Data = tuple[NDArray[np.float64], NDArray[Any]]


@pytest.fixture
def data() -> Data:
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 30)
    return rng.normal(size=(90, 6)) + 2 * np.eye(6)[y], y


def test_the_first_step_by_hand() -> None:
    """Answers begin at zero, so both classes have one half and the loss of every layer is log 2.

    The row is the mean of all rows so far, thus zero after standardising: biases alone move, by rate alpha (1 - 1/2).
    """
    head = HedgeClassifier(depth=1, hidden=3, rate=0.5, discount=0.5, smoothing=0.2)
    head.partial_fit([[5.0, 7.0]], ["b"], classes=["a", "b"])
    for _, bias in head.answers_:
        np.testing.assert_allclose(bias, [-0.125, 0.125])
    np.testing.assert_allclose(head.alpha_, [0.5, 0.5])
    p = 1 / (1 + np.exp(-0.25))
    np.testing.assert_allclose(head.predict_proba([[5.0, 7.0]]), [[1 - p, p]])


def test_a_layer_that_errs_is_believed_less() -> None:
    """alpha becomes alpha times discount to the power of the loss, at least smoothing / layers; then sums to 1."""
    head = HedgeClassifier(depth=1, hidden=2, rate=1e-9, discount=0.5, smoothing=0.4)
    head.partial_fit([[0.0], [1.0]], [0, 1])
    head.answers_[1][1][:] = [0.0, np.log(3)]  # the hidden layer gives class 0 a quarter, the input one half
    head.layers_[0][0][:] = 0
    head.alpha_ = np.array([0.6, 0.4])
    head.answers_[0][0][:], head.answers_[0][1][:] = 0, 0
    head._step(np.zeros((1, 1)), np.array([0]), np.ones(1))
    moved = np.maximum([0.6 * 0.5 ** np.log(2), 0.4 * 0.5 ** np.log(4)], 0.2)
    np.testing.assert_allclose(head.alpha_, moved / moved.sum(), rtol=1e-6)


@pytest.mark.parametrize(("depth", "rows"), [(1, 1), (3, 7)])
def test_a_step_goes_along_the_gradient_that_torch_finds(depth: int, rows: int) -> None:
    """Of the sum over layers of alpha times the weighted mean loss, which is what the paper's updates add up to."""
    rng = np.random.default_rng(depth)
    X, y, w = rng.normal(size=(rows, 4)), rng.integers(0, 3, rows), rng.random(rows) + 0.1
    head = HedgeClassifier(depth=depth, hidden=5, rate=0.25, batch=rows)
    head.partial_fit(rng.normal(size=(20, 4)), np.arange(20) % 3)
    head.answers_ = [(rng.normal(size=W.shape), rng.normal(size=b.shape)) for W, b in head.answers_]
    head.alpha_ = rng.dirichlet(np.ones(depth + 1))
    layers = [[torch.tensor(part, requires_grad=True) for part in pair] for pair in head.layers_]
    answers = [[torch.tensor(part, requires_grad=True) for part in pair] for pair in head.answers_]
    h, total = torch.tensor(X), torch.zeros(())
    for number, (V, c) in enumerate(answers):
        log_p = (h @ V + c).log_softmax(1)
        total = total - head.alpha_[number] * (torch.tensor(w) * log_p[torch.arange(rows), torch.tensor(y)]).mean()
        if number < depth:
            W, b = layers[number]
            h = (h @ W + b).relu()
    total.backward()
    head._step(X, y, w)
    for ours, theirs in zip([*head.layers_, *head.answers_], [*layers, *answers], strict=True):
        for part, variable in zip(ours, theirs, strict=True):
            assert variable.grad is not None
            np.testing.assert_allclose(part, (variable - 0.25 * variable.grad).detach().numpy(), atol=1e-12)


def test_it_learns_what_no_line_can_part() -> None:
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (400, 2))
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    head = HedgeClassifier(hidden=50, rate=0.3, epochs=40).fit(X[:300], y[:300])
    assert head.score(X[300:], y[300:]) > 0.9
    assert head.alpha_[1:].sum() > head.alpha_[0]
    assert head.alpha_.sum() == pytest.approx(1)


def test_weights_scale_steps_and_zero_is_none(data: Data) -> None:
    X, y = data
    one = HedgeClassifier(epochs=1).fit(X, y)
    same = HedgeClassifier(epochs=1).fit(np.vstack([X, X[:3] + 99]), [*y, 0, 1, 2], [1.0] * 90 + [0.0] * 3)
    np.testing.assert_allclose(one.mean_, same.mean_)
    slower = HedgeClassifier(epochs=1, rate=0.05, discount=1 - 1e-12).fit(X, y)
    lighter = HedgeClassifier(epochs=1, rate=0.1, discount=1 - 1e-12).fit(X, y, np.full(90, 0.5))
    np.testing.assert_allclose(lighter.predict_proba(X), slower.predict_proba(X), atol=1e-9)


def test_a_constant_feature_stays_without_a_say(data: Data) -> None:
    """0.1 has no exact mean: divided by its own rounding it would be as large as any other feature."""
    X, y = data
    constant = np.hstack([X, np.full((90, 1), 0.1)])
    head = HedgeClassifier(epochs=2).fit(constant, y)
    moved = constant + np.array([0, 0, 0, 0, 0, 0, 1e-3])
    np.testing.assert_allclose(head.predict_proba(moved), head.predict_proba(constant), atol=1e-2)


def test_a_loaded_head_goes_on_and_leaves_its_source_alone(data: Data, tmp_path: Any) -> None:
    X, y = data
    head = HedgeClassifier(epochs=1).fit(X, y)
    before = head.predict_proba(X)
    loaded = load_head(tmp_path, save_head(head, tmp_path))
    assert isinstance(loaded, HedgeClassifier)
    twin = HedgeClassifier.from_arrays(*head.to_arrays())
    for other in (loaded, twin):
        other.partial_fit(X[:10], y[:10])
    np.testing.assert_array_equal(head.predict_proba(X), before)
    head.partial_fit(X[:10], y[:10])
    np.testing.assert_array_equal(loaded.predict_proba(X), head.predict_proba(X))
    np.testing.assert_array_equal(twin.predict_proba(X), head.predict_proba(X))


def test_classes_are_fixed_by_the_first_call(data: Data) -> None:
    X, y = data
    with pytest.raises(DataError, match="at least 2 classes"):
        HedgeClassifier().partial_fit(X[:5], y[:5])
    with pytest.raises(DataError, match="another type"):
        HedgeClassifier().partial_fit(X[:5], y[:5], classes=["cat", "dog"])
    head = HedgeClassifier().partial_fit(X[:5], y[:5], classes=[0, 1])
    before = head.predict_proba(X)
    with pytest.raises(DataError, match="knows no class 2"):
        head.partial_fit(X[55:65], y[55:65])
    np.testing.assert_array_equal(head.predict_proba(X), before)
    assert head.partial_fit(X[:2], y[:2], [0.0, 0.0]).seen_ == 5  # rows of weight 0 are not even seen


def test_steps_too_large_are_said_and_not_returned_as_nothing(data: Data) -> None:
    X, y = data
    with pytest.raises(TrainingError, match="rate 1000"):
        HedgeClassifier(rate=1e3).fit(X, y)
    with pytest.raises(TrainingError, match="weights of up to 1e\\+200"):
        HedgeClassifier().partial_fit(X, y, np.full(90, 1e200))
    with pytest.raises(DataError, match="as large as"):
        HedgeClassifier().fit(X * 1e200, y)


@pytest.mark.parametrize(
    "setting",
    [{"depth": 0}, {"hidden": 2.5}, {"epochs": True}, {"batch": -1}, {"rate": 0}, {"discount": 1}, {"smoothing": 0},
     {"seed": -1}],
)  # fmt: skip
def test_a_setting_that_cannot_be(setting: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(setting))):
        HedgeClassifier(**setting).fit([[0.0], [1.0]], [0, 1])


@pytest.mark.parametrize(
    "change",
    [
        {"alpha": np.array([2.0, -1.0])},
        {"alpha": np.array([0.1, 0.1])},
        {"moment": -np.ones(6)},
        {"seen": -np.ones(1)},
        {"discount": 1.5},
    ],
)
def test_content_that_cannot_be_is_refused(data: Data, change: dict[str, Any]) -> None:
    numbers: dict[str, Any] = {"depth": np.int64(1), "rate": np.float32(0.5)}
    arrays, meta = HedgeClassifier(hidden=4, epochs=1, **numbers).fit(*data).to_arrays()
    assert (meta["depth"], meta["rate"]) == (1, 0.5)
    with pytest.raises(IntegrityError, match="stored"):
        HedgeClassifier.from_arrays(
            {name: change.get(name, array) for name, array in arrays.items()},
            {name: change.get(name, value) for name, value in meta.items()},
        )
