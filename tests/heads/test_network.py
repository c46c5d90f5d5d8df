"""The network: its losses by hand, what it learns, its samples, its file."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from pellucid.errors import DataError, IntegrityError, MissingExtraError, TrainingError, UsageError
from pellucid.heads.losses import ANL_ALPHA, ANL_BETA, ANL_LEAST, GCE_Q, LOSSES
from pellucid.heads.network import NetworkClassifier


@pytest.fixture(scope="module")
def digits() -> tuple[NDArray[Any], NDArray[Any]]:
    X, y = load_digits(return_X_y=True)
    return X[:600], y[:600]


def test_losses_by_hand() -> None:
    p = np.array([0.7, 0.2, 0.1])
    log_p, y = torch.tensor(np.log(p))[None], torch.tensor([1])
    largest = -np.log(ANL_LEAST)
    normalised = np.log(0.2) / np.log(p).sum()
    negative = 1 - (largest + np.log(0.2)) / (largest + np.log(p)).sum()
    expected = {
        "ce": -np.log(0.2),
        "gce": (1 - 0.2**GCE_Q) / GCE_Q,
        "anl-ce": ANL_ALPHA * normalised + ANL_BETA * negative,
    }
    assert {name: float(loss(log_p, y)[0]) for name, loss in LOSSES.items()} == pytest.approx(expected, rel=1e-6)


def test_the_active_part_pulls_however_improbable_the_label_is() -> None:
    """NCE is not bounded as published, only the negative loss is: below 1e-7 that one has no gradient left."""
    scores = torch.tensor([[0.0, -25.0, -3.0]], dtype=torch.float64, requires_grad=True)
    log_p = scores.log_softmax(1)
    loss = LOSSES["anl-ce"](log_p, torch.tensor([1])).sum()
    loss.backward()
    by_hand = log_p.detach().numpy()[0]
    largest, least = -np.log(ANL_LEAST), np.log(ANL_LEAST)
    negative = 1 - (largest + least) / (largest + np.maximum(by_hand, least)).sum()
    assert float(loss.detach()) == pytest.approx(ANL_ALPHA * by_hand[1] / by_hand.sum() + ANL_BETA * negative)
    assert scores.grad is not None
    assert float(scores.grad[0, 1]) < 0


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_are_lowest_where_the_label_is_certain(loss: str) -> None:
    log_p = torch.tensor([[0.98, 0.01, 0.01], [0.5, 0.25, 0.25], [0.01, 0.98, 0.01]]).log()
    values = LOSSES[loss](log_p, torch.tensor([0, 0, 0])).tolist()
    assert values == sorted(values)


@pytest.mark.parametrize("settings", [{}, {"hidden": 32}, {"loss": "gce"}, {"loss": "anl-ce"}])
def test_it_learns_digits(settings: dict[str, Any], digits: tuple[NDArray[Any], NDArray[Any]]) -> None:
    X, y = digits
    assert NetworkClassifier(**settings).fit(X[:400], y[:400]).score(X[400:], y[400:]) > 0.7  # chance is 0.1


def test_bounded_losses_give_way_to_wrong_labels_less(digits: tuple[NDArray[Any], NDArray[Any]]) -> None:
    X, y = digits
    rng = np.random.default_rng(0)
    noisy = np.where(rng.random(400) < 0.4, (y[:400] + rng.integers(1, 10, 400)) % 10, y[:400])
    plain, bounded = (
        NetworkClassifier(loss, epochs=60).fit(X[:400], noisy).score(X[400:], y[400:]) for loss in ("ce", "gce")
    )
    assert bounded > plain + 0.05


def test_samples_vary_with_dropout_and_only_then(digits: tuple[NDArray[Any], NDArray[Any]]) -> None:
    X, y = digits
    head = NetworkClassifier(hidden=16, dropout=0.4, epochs=5).fit(X, y)
    samples = head.predict_samples(X[:20], 400, seed=1)
    assert samples.shape == (400, 20, 10)
    assert (samples.std(axis=0) > 0).all()
    np.testing.assert_array_equal(samples[:3], head.predict_samples(X[:20], 3, seed=1))
    still = NetworkClassifier(dropout=0.0, epochs=5).fit(X, y).predict_samples(X[:5], 2, seed=0)
    np.testing.assert_array_equal(still[0], still[1])


def test_epochs_are_told_and_the_seed_decides(digits: tuple[NDArray[Any], NDArray[Any]]) -> None:
    X, y = digits
    told: list[int] = []
    one = NetworkClassifier(epochs=3, seed=1).fit(X, y, on_epoch=lambda epoch, head: told.append(epoch))
    same, other = NetworkClassifier(epochs=3, seed=1).fit(X, y), NetworkClassifier(epochs=3, seed=2).fit(X, y)
    assert told == [1, 2, 3]
    np.testing.assert_array_equal(one.predict_proba(X), same.predict_proba(X))
    assert not np.array_equal(one.predict_proba(X), other.predict_proba(X))


@pytest.mark.parametrize(
    "settings",
    [{"loss": "mse"}, {"epochs": 0}, {"hidden": -1}, {"batch": 2.5}, {"rate": 0}, {"dropout": 1}, {"dropout": -0.1}],
)
def test_bad_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="network has"):
        NetworkClassifier(**settings).check_settings()


def test_without_pytorch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == "torch":
            raise ImportError("no torch here")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"pip install 'pellucid\[torch\]'"):
        NetworkClassifier().fit(np.eye(4), [0, 1, 0, 1])


@pytest.mark.parametrize(
    "edit",
    [
        lambda arrays, meta: meta.pop("loss"),
        lambda arrays, meta: meta.update(loss="mse"),
        lambda arrays, meta: meta.update(hidden=8),
        lambda arrays, meta: arrays.pop("bias.0"),
        lambda arrays, meta: arrays.update({"weights.0": arrays["weights.0"][:, :1]}),
        lambda arrays, meta: arrays["scale"].fill(np.nan),
    ],
)
def test_an_edited_file_is_refused(edit: Any) -> None:
    head = NetworkClassifier(epochs=1).fit(np.random.default_rng(0).normal(size=(12, 4)), np.arange(12) % 3)
    arrays, meta = head.to_arrays()
    edit(arrays, meta)
    with pytest.raises(IntegrityError):
        NetworkClassifier.from_arrays(arrays, meta)


def test_features_of_any_size_are_standardised_before_they_become_single(
    digits: tuple[NDArray[Any], NDArray[Any]],
) -> None:
    X, y = digits
    plain = NetworkClassifier(epochs=2).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(NetworkClassifier(epochs=2).fit(X * 2.0**200, y).predict_proba(X * 2.0**200), plain)
    with pytest.raises(DataError, match="as large as"):
        NetworkClassifier().fit(X * 1e200, y)


def test_what_ran_away_is_no_head(digits: tuple[NDArray[Any], NDArray[Any]]) -> None:
    with pytest.raises(TrainingError, match="rate 1e\\+30"):
        NetworkClassifier(rate=1e30).fit(*digits)


def test_samples_that_cannot_be_drawn(digits: tuple[NDArray[Any], NDArray[Any]]) -> None:
    head = NetworkClassifier(epochs=1).fit(*digits)
    for n_samples, seed in ((0, 0), (2, -1)):
        with pytest.raises(UsageError, match="whole numbers"):
            head.predict_samples(digits[0], n_samples, seed)
    with pytest.raises(UsageError, match="seed"):
        NetworkClassifier(seed=-1).fit(*digits)
