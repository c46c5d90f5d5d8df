"""Hedge backpropagation: a network of which every layer answers, and the layers that answer well are believed more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from pellucid.errors import TrainingError, UsageError
from pellucid.heads import stored
from pellucid.heads.inputs import (
    HeadInputError,
    class_index,
    is_positive_integer,
    is_positive_number,
    is_seed,
    join_classes,
    labelled_rows,
    learning_set,
    moderate,
    query_rows,
    scale_of,
)

Floats = NDArray[np.float64]

_COUNTS = ("depth", "hidden", "epochs", "batch")
_SHARES = ("discount", "smoothing")


class HedgeClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Online deep learning by hedge backpropagation; it forgets what it is not shown again.

    D. Sahoo, Q. Pham, J. Lu, S. Hoi (2018), "Online deep learning: learning deep neural networks on the fly", IJCAI.
    The input and each of the ``depth`` hidden layers have a softmax of their own; the answer is their sum, weighted
    by alpha. A step moves each softmax and all below it by alpha times its gradient, and multiplies alpha by
    ``discount`` to the power of the layer's loss. Rows are standardised by the moments of all rows so far.

    Parameters
    ----------
    depth, hidden
        Hidden layers, and ReLUs in each.
    rate
        Of the gradient steps, above 0.
    discount, smoothing
        beta and s of the paper, 0..1: how fast bad layers lose weight, and how much no layer loses.
    epochs, batch
        Passes of `fit` over the rows, in an order drawn by ``seed``, and rows a step; the paper has 1 and 1.
    seed
        Of the weights it begins with, and of that order.

    Attributes
    ----------
    classes_ : (K,) the classes, sorted; fixed by the first call
    alpha_ : (depth + 1,) how far each layer is believed; sums to 1
    layers_ : hidden layers' weights (in, hidden) and bias (hidden,)
    answers_ : weights (in, K) and bias (K,) of every layer's softmax, the input's first
    """

    def __init__(
        self,
        depth: int = 2,
        hidden: int = 100,
        rate: float = 0.1,
        discount: float = 0.99,
        smoothing: float = 0.2,
        epochs: int = 10,
        batch: int = 1,
        seed: int = 0,
    ) -> None:
        self.depth = depth
        self.hidden = hidden
        self.rate = rate
        self.discount = discount
        self.smoothing = smoothing
        self.epochs = epochs
        self.batch = batch
        self.seed = seed

    def check_settings(self) -> None:
        """Raise UsageError for a setting that cannot be."""
        for name in _COUNTS:
            if not is_positive_integer(getattr(self, name)):
                raise UsageError(f"hedge has {name} {getattr(self, name)!r}; give a whole number of at least 1")
        for name in _SHARES:
            if not is_positive_number(getattr(self, name)) or getattr(self, name) >= 1:
                raise UsageError(f"hedge has {name} {getattr(self, name)!r}; give a share above 0 and below 1")
        if not is_positive_number(self.rate):
            raise UsageError(f"hedge has rate {self.rate!r}; give a number above 0")
        if not is_seed(self.seed):
            raise UsageError(f"hedge has seed {self.seed!r}; give a whole number of 0 or more")

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Learn features X (n, d) under labels y (n,) with weights of 0 or more, from the beginning.

        Raises DataError (also a ValueError) for what cannot be learnt, TrainingError where the steps were too large.
        """
        self.check_settings()
        data = learning_set(self, X, y, sample_weight)
        counts = np.flatnonzero(data.weight > 0)
        rows = moderate(data.X[counts])
        self._begin(data.classes, data.X.shape[1])
        self._see(np.asarray(rows, np.float64))
        rng = np.random.default_rng([self.seed, 1])
        for _ in range(self.epochs):
            self._pass(data.X, data.y, data.weight, rng.permutation(counts))
        return self

    def partial_fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None, classes: ArrayLike | None = None
    ) -> Self:
        """Learn rows once, in their order; the first call has to name or show at least two classes.

        Raises DataError (also a ValueError) for a class that the first call did not know, and changes nothing;
        TrainingError where the steps were too large, and the head is lost.
        """
        first = not hasattr(self, "classes_")
        if first:
            self.check_settings()
        rows = labelled_rows(self, X, y, sample_weight, first=first)
        moderate(rows.X)
        if first:
            known = join_classes(np.unique(rows.labels), np.empty(0) if classes is None else np.unique(classes))
            if len(known) < 2:
                raise HeadInputError("hedge needs at least 2 classes to begin; name them all as classes")
            self._begin(known, rows.X.shape[1])
        index = class_index(self.classes_, rows.labels)
        if (index < 0).any():
            new = rows.labels[index < 0].tolist()[0]
            raise HeadInputError(f"hedge knows no class {new!r}; name all classes in the first call, or fit anew")
        if len(index):
            self._see(np.asarray(rows.X, np.float64))
            self._pass(rows.X, index, rows.weight, np.arange(len(index)))
        return self

    def predict_proba(self, X: ArrayLike) -> Floats:
        """Probabilities (n, K) in the order of ``classes_``; rows sum to 1."""
        check_is_fitted(self)
        outputs = self._outputs(self._hidden(self._scaled(query_rows(self, X))))
        return np.asarray(np.tensordot(self.alpha_, np.stack(outputs), axes=1))

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The class of the highest probability, (n,)."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])

    def to_arrays(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """The layers, the moments and the settings, so that a loaded head can go on learning."""
        check_is_fitted(self)
        arrays = {"alpha": self.alpha_, "mean": self.mean_, "moment": self.moment_, "seen": np.array([self.seen_])}
        for kind, layers in (("layer", self.layers_), ("answer", self.answers_)):
            for number, (W, b) in enumerate(layers):
                arrays |= {f"{kind}.{number}.weights": W, f"{kind}.{number}.bias": b}
        arrays = {name: array.copy() for name, array in arrays.items()}
        settings = {name: stored.plain(getattr(self, name)) for name in (*_COUNTS, *_SHARES, "rate", "seed")}
        return arrays, {"classes": stored.pack_classes(self.classes_), **settings}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> Self:
        """The fitted head again. Raises IntegrityError where names, types, shapes or ranges are off."""
        stored.expect_names(meta, {"classes", "rate", "seed", *_COUNTS, *_SHARES})
        depth, hidden, epochs, batch = (stored.take_count(meta, name, at_least=1) for name in _COUNTS)
        discount, smoothing = (stored.take_share(meta, name) for name in _SHARES)
        head = cls(
            depth=depth,
            hidden=hidden,
            epochs=epochs,
            batch=batch,
            discount=discount,
            smoothing=smoothing,
            rate=stored.take_number(meta, "rate", above=0),
            seed=stored.take_count(meta, "seed", at_least=0),
        )
        K = len(classes := stored.take_classes(meta))
        names = [f"layer.{n}" for n in range(head.depth)] + [f"answer.{n}" for n in range(head.depth + 1)]
        parts = {f"{name}.{part}" for name in names for part in ("weights", "bias")}
        stored.expect_names(arrays, {"alpha", "mean", "moment", "seen", *parts})
        mean = stored.take_array(arrays, "mean", (None,))
        widths = [len(mean), *[head.hidden] * head.depth]

        def take(kind: str, number: int, wide: int, narrow: int) -> tuple[Floats, Floats]:
            W = stored.take_array(arrays, f"{kind}.{number}.weights", (wide, narrow))
            return W.copy(), stored.take_array(arrays, f"{kind}.{number}.bias", (narrow,)).copy()

        head.layers_ = [take("layer", n, widths[n], head.hidden) for n in range(head.depth)]
        head.answers_ = [take("answer", n, wide, K) for n, wide in enumerate(widths)]
        head.classes_, head.mean_, head.n_features_in_ = classes, mean, len(mean)
        head.alpha_ = stored.take_array(arrays, "alpha", (head.depth + 1,))
        head.moment_ = stored.take_array(arrays, "moment", (len(mean),))
        head.seen_ = float(stored.take_array(arrays, "seen", (1,))[0])
        stored.expect_within("alpha", head.alpha_, 0, 1)
        stored.expect_within("alpha's sum", head.alpha_.sum(), 1 - 1e-6, 1 + 1e-6)
        stored.expect_within("moment", head.moment_, 0, np.inf)
        stored.expect_within("seen", head.seen_, 0, np.inf)
        return head

    def _begin(self, classes: NDArray[Any], d: int) -> None:
        rng = np.random.default_rng([self.seed, 0])
        widths = [d, *[self.hidden] * self.depth]
        self.classes_ = classes
        self.layers_ = [
            (rng.normal(scale=np.sqrt(2 / wide), size=(wide, self.hidden)), np.zeros(self.hidden))  # He et al. (2015)
            for wide in widths[:-1]
        ]
        self.answers_ = [(np.zeros((wide, len(classes))), np.zeros(len(classes))) for wide in widths]
        self.alpha_ = np.full(len(widths), 1 / len(widths))
        self.seen_, self.mean_, self.moment_ = 0.0, np.zeros(d), np.zeros(d)

    def _see(self, X: Floats) -> None:
        """Moments of all rows so far, by the update of Chan et al. (1979)."""
        n, mean = len(X), X.mean(axis=0)
        apart, total = mean - self.mean_, self.seen_ + n
        self.moment_ = self.moment_ + ((X - mean) ** 2).sum(axis=0) + apart**2 * (self.seen_ * n / total)
        self.mean_ = self.mean_ + apart * (n / total)
        self.seen_ = total

    def _scaled(self, X: NDArray[np.floating]) -> Floats:
        scale = scale_of(np.sqrt(self.moment_ / max(self.seen_, 1.0)), self.mean_, self.seen_)
        # unit length on average, so that one rate suits any number of features
        return np.asarray((X - self.mean_) / scale / np.sqrt(len(scale)))

    def _hidden(self, x: Floats) -> list[Floats]:
        found = [x]
        for W, b in self.layers_:
            found.append(np.maximum(found[-1] @ W + b, 0))
        return found

    def _outputs(self, hidden: list[Floats]) -> list[Floats]:
        return [softmax(h @ W + b, axis=1) for h, (W, b) in zip(hidden, self.answers_, strict=True)]

    def _pass(self, X: NDArray[np.floating], y: NDArray[np.intp], w: Floats, order: NDArray[np.intp]) -> None:
        for start in range(0, len(order), self.batch):
            rows = order[start : start + self.batch]
            with np.errstate(over="ignore", invalid="ignore"):  # told below, once
                self._step(self._scaled(X[rows]), y[rows], w[rows])
        if not all(np.isfinite(part).all() for layer in (*self.layers_, *self.answers_) for part in layer):
            raise TrainingError(
                f"hedge ran away at the rate {self.rate:g} with weights of up to {w.max():g}; give smaller ones"
            )

    def _step(self, x: Floats, y: NDArray[np.intp], w: Floats) -> None:
        hidden = self._hidden(x)
        outputs = self._outputs(hidden)
        own = np.arange(len(y))
        losses = np.array([-(w * np.log(np.maximum(p[own, y], 1e-12))).mean() for p in outputs])
        below = np.zeros_like(hidden[-1])  # of the sum of alpha times loss, by this layer's outputs
        for number in reversed(range(len(hidden))):
            h, (V, c) = hidden[number], self.answers_[number]
            slope = outputs[number].copy()
            slope[own, y] -= 1
            slope *= (self.alpha_[number] * w / len(y))[:, None]
            below = below + slope @ V.T
            V -= self.rate * h.T @ slope
            c -= self.rate * slope.sum(axis=0)
            if number:
                W, b = self.layers_[number - 1]
                inner = below * (h > 0)
                below = inner @ W.T
                W -= self.rate * hidden[number - 1].T @ inner
                b -= self.rate * inner.sum(axis=0)
        alpha = np.maximum(self.alpha_ * self.discount**losses, self.smoothing / len(self.alpha_))
        self.alpha_ = alpha / alpha.sum()
