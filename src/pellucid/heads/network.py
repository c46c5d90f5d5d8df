"""A small network with dropout, trained by Adam: the published systems' head, and a peer to measure against."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from pellucid.errors import MissingExtraError, TrainingError, UsageError
from pellucid.heads import stored
from pellucid.heads.inputs import (
    is_positive_integer,
    is_positive_number,
    is_seed,
    learning_set,
    moderate,
    query_rows,
    scale_of,
)

if TYPE_CHECKING:
    from torch import Tensor

_LOSSES = ("ce", "gce", "anl-ce")
_DECAY = 1e-4  # of Adam's weights, uncoupled
_NUMBERS = ("epochs", "batch", "hidden")


class NetworkClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Standardised features, dropout, an optional hidden layer of ReLUs, and a linear layer; needs the extra ``torch``.

    It forgets what it is not shown again, which is why it is here: as the head of the published systems. Deterministic
    for a seed on one machine.

    Parameters
    ----------
    loss
        ``ce``, ``gce`` or ``anl-ce``, see `pellucid.heads.losses`.
    hidden
        Units of the hidden layer; 0 for none.
    dropout
        Share of inputs to each linear layer that are left out while it learns, 0 up to, not including, 1.
    epochs, batch, rate
        Passes over the rows, rows a step, and Adam's learning rate.
    seed
        Of the weights it begins with, of batches and of dropout.

    Attributes
    ----------
    classes_ : (K,) the classes of the rows of positive weight, sorted
    layers_ : weights (in, out) and bias (out,) of each linear layer
    mean_, scale_ : (d,) of the rows that were learnt
    """

    needs: ClassVar[str] = "torch"

    def __init__(
        self,
        loss: str = "ce",
        hidden: int = 0,
        dropout: float = 0.1,
        epochs: int = 30,
        batch: int = 128,
        rate: float = 1e-2,
        seed: int = 0,
    ) -> None:
        self.loss = loss
        self.hidden = hidden
        self.dropout = dropout
        self.epochs = epochs
        self.batch = batch
        self.rate = rate
        self.seed = seed

    def check_settings(self) -> None:
        """Raise UsageError for a setting that cannot be."""
        if self.loss not in _LOSSES:
            raise UsageError(f"network has loss {self.loss!r}; there are {', '.join(_LOSSES)}")
        for name in _NUMBERS:
            value = getattr(self, name)
            if name == "hidden" and value == 0:
                continue
            if not is_positive_integer(value):
                raise UsageError(f"network has {name} {value!r}; give a whole number of at least 1")
        if not is_positive_number(self.rate):
            raise UsageError(f"network has rate {self.rate!r}; give a number above 0")
        if self.dropout != 0 and not (is_positive_number(self.dropout) and self.dropout < 1):
            raise UsageError(f"network has dropout {self.dropout!r}; give a share from 0 up to, not including, 1")
        if not is_seed(self.seed):
            raise UsageError(f"network has seed {self.seed!r}; give a whole number of 0 or more")

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        on_epoch: Callable[[int, Any], None] | None = None,
    ) -> Self:
        """Learn features X (n, d) under labels y (n,) with weights of 0 or more.

        ``on_epoch(epoch, head)`` is called after every epoch, counted from 1, with the head as it then is.

        Raises DataError (also a ValueError) for what cannot be learnt, TrainingError where the steps were too large,
        MissingExtraError without PyTorch.
        """
        self.check_settings()
        torch = _torch()
        from pellucid.heads.losses import LOSSES

        data = learning_set(self, X, y, sample_weight)
        learnt = data.weight > 0
        rows = moderate(data.X[learnt])
        self.classes_ = data.classes
        self.mean_ = rows.mean(axis=0, dtype=np.float64)
        self.scale_ = scale_of(rows.std(axis=0, dtype=np.float64), self.mean_, len(rows))
        inputs = torch.from_numpy(((rows - self.mean_) / self.scale_).astype(np.float32))
        labels, weight = torch.from_numpy(data.y[learnt]), torch.from_numpy(data.weight[learnt].astype(np.float32))
        rng = np.random.default_rng(self.seed)
        noise = torch.Generator().manual_seed(int(rng.integers(2**31)))
        layers = [
            (torch.from_numpy(W.astype(np.float32)).requires_grad_(), torch.zeros(W.shape[1], requires_grad=True))
            for W in self._start(rng, rows.shape[1])
        ]
        adam = torch.optim.AdamW([part for layer in layers for part in layer], self.rate, weight_decay=_DECAY)
        for epoch in range(1, self.epochs + 1):
            order = torch.from_numpy(rng.permutation(len(rows)))
            for index in order.split(self.batch):
                log_p = self._outputs(inputs[index], layers, noise).log_softmax(1)
                loss = (weight[index] * LOSSES[self.loss](log_p, labels[index])).sum() / weight[index].sum()
                adam.zero_grad()
                loss.backward()
                adam.step()
            self.layers_ = [tuple(part.detach().numpy().astype(np.float64) for part in layer) for layer in layers]
            if not all(np.isfinite(part).all() for layer in self.layers_ for part in layer):
                raise TrainingError(f"network ran away at the rate {self.rate:g}; give a smaller one")
            if on_epoch is not None:
                on_epoch(epoch, self)
        return self

    def predict_samples(self, X: ArrayLike, n_samples: int, seed: int) -> NDArray[np.float64]:
        """Outputs before the softmax with dropout left on, (n_samples, n, K): what the network may believe.

        Raises UsageError unless ``n_samples`` is a whole number of at least 1 and the seed one of at least 0.
        """
        check_is_fitted(self)
        if not is_positive_integer(n_samples) or not is_seed(seed):
            raise UsageError(f"{n_samples!r} samples by the seed {seed!r}; give whole numbers of at least 1 and 0")
        rows = (query_rows(self, X) - self.mean_) / self.scale_
        rng = np.random.default_rng(seed)
        return np.stack([_forward(rows, self.layers_, self.dropout, rng) for _ in range(n_samples)])

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Probabilities (n, K) in the order of ``classes_``; rows sum to 1."""
        check_is_fitted(self)
        rows = (query_rows(self, X) - self.mean_) / self.scale_
        return np.asarray(softmax(_forward(rows, self.layers_, 0.0, None), axis=1))

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The class of the highest probability, (n,)."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])

    def to_arrays(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """The layers and the settings that made them."""
        check_is_fitted(self)
        arrays = {"mean": self.mean_, "scale": self.scale_}
        for number, (W, b) in enumerate(self.layers_):
            arrays |= {f"weights.{number}": W, f"bias.{number}": b}
        settings = {name: stored.plain(getattr(self, name)) for name in ("loss", *_NUMBERS, "dropout", "rate", "seed")}
        return arrays, {"classes": stored.pack_classes(self.classes_), **settings}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> Self:
        """The fitted head again. Raises IntegrityError where names, types, shapes or ranges are off."""
        stored.expect_names(meta, {"classes", "loss", *_NUMBERS, "dropout", "rate", "seed"})
        classes = stored.take_classes(meta)
        hidden = stored.take_count(meta, "hidden", at_least=0)
        depth = 2 if hidden else 1
        names = {f"{part}.{number}" for number in range(depth) for part in ("weights", "bias")}
        stored.expect_names(arrays, {"mean", "scale", *names})
        mean = stored.take_array(arrays, "mean", (None,))
        scale = stored.take_array(arrays, "scale", (len(mean),))
        widths = [len(mean), *([hidden] if hidden else []), len(classes)]
        layers = [
            (
                stored.take_array(arrays, f"weights.{number}", (widths[number], widths[number + 1])),
                stored.take_array(arrays, f"bias.{number}", (widths[number + 1],)),
            )
            for number in range(depth)
        ]
        dropout = stored.take_share(meta, "dropout")
        stored.expect_within("dropout", dropout, 0, np.nextafter(1, 0))
        stored.expect_within("scale", scale, np.finfo(np.float64).tiny, np.inf)
        head = cls(
            loss=stored.take_name(meta, "loss", _LOSSES),
            hidden=hidden,
            dropout=dropout,
            epochs=stored.take_count(meta, "epochs", at_least=1),
            batch=stored.take_count(meta, "batch", at_least=1),
            rate=stored.take_number(meta, "rate", above=0),
            seed=stored.take_count(meta, "seed", at_least=0),
        )
        head.classes_, head.mean_, head.scale_, head.layers_ = classes, mean, scale, layers
        head.n_features_in_ = len(mean)
        return head

    def _start(self, rng: np.random.Generator, d: int) -> list[NDArray[np.float64]]:
        """Weights to begin with: He et al. (2015) for the hidden layer, small for the last."""
        widths = [d, *([self.hidden] if self.hidden else []), len(self.classes_)]
        sizes = [np.sqrt(2 / d), 0.01] if self.hidden else [0.01]
        pairs = zip(widths[:-1], widths[1:], sizes, strict=True)
        return [rng.normal(scale=size, size=(wide, narrow)) for wide, narrow, size in pairs]

    def _outputs(self, x: Tensor, layers: list[tuple[Tensor, Tensor]], noise: Any) -> Tensor:
        torch = _torch()
        for number, (W, b) in enumerate(layers):
            kept = torch.rand(x.shape, generator=noise) >= self.dropout
            x = (x * kept / (1 - self.dropout)) @ W + b
            if number + 1 < len(layers):
                x = x.relu()
        return x


def _forward(
    x: NDArray[np.float64],
    layers: list[tuple[NDArray[np.float64], NDArray[np.float64]]],
    dropout: float,
    rng: np.random.Generator | None,
) -> NDArray[np.float64]:
    for number, (W, b) in enumerate(layers):
        if rng is not None:
            x = x * (rng.random(x.shape) >= dropout) / (1 - dropout)
        x = x @ W + b
        if number + 1 < len(layers):
            x = np.maximum(x, 0)
    return np.asarray(x, np.float64)


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError(f"network needs the extra 'torch': pip install 'pellucid[torch]' ({error})") from None
    return torch
