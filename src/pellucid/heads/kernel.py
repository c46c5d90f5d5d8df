"""Kernel ridge: ridge on lifted features, which bends where the plain one is straight."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from pellucid.errors import UsageError
from pellucid.heads import stored
from pellucid.heads.inputs import Given, is_positive_integer, is_positive_number, is_seed, learning_set, query_rows
from pellucid.heads.lift import Lift
from pellucid.heads.ridge import LAMBDAS, RidgeClassifier

# Of the lambdas that "loo" chooses among. With less, where every row is its own landmark, a row is believed whatever
# its weight: one wrong label of weight 0.006, learnt at 0.0001, took 9 points of accuracy.
LEAST_LAMBDA = 0.1

VERSION = 1  # of what to_arrays gives; see pellucid.heads.head


class _Lifted(RidgeClassifier):
    """Ridge on lifted rows."""

    _grid: ClassVar[tuple[float, ...]] = tuple(l2 for l2 in LAMBDAS if l2 >= 0.999 * LEAST_LAMBDA)


class KernelClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """`RidgeClassifier` on a `Lift`: kernel ridge regression, exact up to ``landmarks`` rows, Nystroem's beyond.

    One to three points more accurate than ridge on the vectors of a frozen backbone, where there are a few thousand
    images (docs/benchmarks.md), at four times the time. Lambda is chosen, and probabilities are calibrated, by
    leave-one-out, as ridge does it. The landmarks are rows of `fit`, and part of the stored head.

    Parameters
    ----------
    l2
        The penalty, above 0, or ``"loo"``; see `RidgeClassifier`, but nothing below 0.1 is chosen.
    landmarks
        Rows that others are compared with, at most. Time n d m + n m^2 + m^3, memory n m, file 4 m (d + m) bytes.
    seed
        Draws the landmarks where there are more rows.

    Attributes
    ----------
    classes_ : (K,) the classes of the rows of positive weight, sorted
    lift_ : what lifts a row
    ridge_ : the fitted `RidgeClassifier` on lifted rows
    n_features_in_ : d

    >>> angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    >>> X = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    >>> y = np.where(np.abs(X[:, 0]) > np.abs(X[:, 1]), "wide", "high")
    >>> KernelClassifier().fit(X, y).score(X, y) > RidgeClassifier().fit(X, y).score(X, y)
    True
    """

    def __init__(self, l2: float | str = "loo", landmarks: int = 2000, seed: int = 0) -> None:
        self.l2 = l2
        self.landmarks = landmarks
        self.seed = seed

    def check_settings(self) -> None:
        """Raise UsageError for a setting that cannot be."""
        if self.l2 != "loo" and not is_positive_number(self.l2):
            raise UsageError(f"kernel has lambda {self.l2!r}; give a number above 0, or 'loo' to have it chosen")
        if not is_positive_integer(self.landmarks):
            raise UsageError(f"kernel has landmarks {self.landmarks!r}; give a whole number of at least 1")
        if not is_seed(self.seed):
            raise UsageError(f"kernel has seed {self.seed!r}; give a whole number of 0 or more")

    def fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: Given = None, groups: Given = None, strength: Given = None
    ) -> Self:
        """Learn features X (n, d) under labels y (n,) with weights and strengths; see `RidgeClassifier.fit`.

        Raises DataError (also a ValueError) for what cannot be learnt.
        """
        self.check_settings()
        data = learning_set(self, X, y, sample_weight, strength)
        learnt = data.weight > 0
        self.lift_ = Lift.on(data.X[learnt], self.landmarks, self.seed)
        labels = data.classes[np.maximum(data.y, 0)]  # rows of weight 0 may be of a class that nobody has
        self.ridge_ = _Lifted(self.l2).fit(self.lift_(data.X), labels, data.weight, groups, data.strength)
        self.classes_ = data.classes
        return self

    @property
    def loo_scores_(self) -> NDArray[np.float64]:
        """(n, K) what all the other rows, or groups, of the last `fit` say of each row; gone after loading."""
        return self.ridge_.loo_scores_

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Scores (n, K); of two classes, as scikit-learn has it, those of the second less those of the first, (n,)."""
        return self.ridge_.decision_function(self._lifted(X))

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Calibrated probabilities (n, K) in the order of ``classes_``; rows sum to 1."""
        return self.ridge_.predict_proba(self._lifted(X))

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The class of the highest score, (n,)."""
        return self.ridge_.predict(self._lifted(X))

    def to_arrays(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """The lift, and the ridge on it."""
        check_is_fitted(self)
        arrays, ridge = self.ridge_.to_arrays()
        arrays = {f"ridge.{name}": array for name, array in arrays.items()}
        meta = {
            "version": VERSION,
            "classes": stored.pack_classes(self.classes_),
            "l2": self.l2 if isinstance(self.l2, str) else float(self.l2),
            "landmarks": int(self.landmarks),
            "seed": int(self.seed),
            "ridge": ridge,
        }
        return {"landmarks": self.lift_.landmarks, "projection": self.lift_.projection, **arrays}, meta

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> Self:
        """The fitted head again. Raises IntegrityError where names, types, shapes or ranges are off."""
        stored.expect_names(meta, {"version", "classes", "l2", "landmarks", "seed", "ridge"})
        stored.take_count(meta, "version", at_least=VERSION)
        own = {name for name in arrays if not name.startswith("ridge.")}
        stored.expect_names(dict.fromkeys(own), {"landmarks", "projection"})
        landmarks = stored.take_array(arrays, "landmarks", (None, None), np.float32)
        projection = stored.take_array(arrays, "projection", (len(landmarks), None), np.float32)
        inner = {name.removeprefix("ridge."): array for name, array in arrays.items() if name not in own}
        ridge = RidgeClassifier.from_arrays(inner, stored.take_mapping(meta, "ridge"))
        classes = stored.take_classes(meta)
        stored.expect_same(ridge.n_features_in_, projection.shape[1], "lifted features")
        stored.expect_same(len(ridge.classes_), len(classes), "classes")
        l2 = meta["l2"] if meta["l2"] == "loo" else stored.take_number(meta, "l2", above=0)
        count = stored.take_count(meta, "landmarks", at_least=1)
        ridge.classes_ = classes  # of older files it has the numbers 0, 1, 2, ...
        head = cls(l2, count, stored.take_count(meta, "seed", at_least=0))
        head.lift_, head.ridge_, head.classes_ = Lift(landmarks, projection), ridge, classes
        head.n_features_in_ = landmarks.shape[1]
        return head

    def _lifted(self, X: ArrayLike) -> NDArray[np.float64]:
        check_is_fitted(self)
        return self.lift_(query_rows(self, X))
