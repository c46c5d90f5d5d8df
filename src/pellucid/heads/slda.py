"""Streaming linear discriminant analysis: class means and one shared covariance, kept up row by row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from pellucid.errors import UsageError
from pellucid.heads import stored
from pellucid.heads.inputs import (
    HeadInputError,
    class_index,
    is_positive_number,
    join_classes,
    labelled_rows,
    learning_set,
    moderate,
    query_rows,
)

_ROUNDING = 1e-13  # a spread below this share of the means is none


class StreamingLDA(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Linear discriminants from running moments; the order of the rows does not matter, new classes may come.

    T. Hayes, C. Kanan (2020), "Lifelong machine learning with deep streaming linear discriminant analysis", CVPR
    workshops. The covariance is the exact one within classes, by the update of Chan et al. (1979), where the paper
    takes one that depends on it; classes are as frequent as they came, not equally.

    Parameters
    ----------
    shrinkage
        Share of the identity, times the mean variance, in the covariance that is inverted; above 0, at most 1. The
        paper has 1e-4, for very many rows; with fewer rows than features it takes a thousand times that.

    Attributes
    ----------
    classes_ : (K,) the classes that were learnt, sorted
    weight_, means_ : (K,) total weight and (K, d) mean of each class
    scatter_ : (d, d) sum of w (x - mean)(x - mean)' within classes

    >>> head = StreamingLDA().partial_fit([[0.0], [0.2]], [3, 3]).partial_fit([[0.9], [1.1]], [7, 7])
    >>> head.predict([[0.1], [1.0]])
    array([3, 7])
    """

    def __init__(self, shrinkage: float = 0.1) -> None:
        self.shrinkage = shrinkage

    def check_settings(self) -> None:
        """Raise UsageError for a setting that cannot be."""
        if not is_positive_number(self.shrinkage) or self.shrinkage > 1:
            raise UsageError(f"slda has shrinkage {self.shrinkage!r}; give a share above 0, at most 1")

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Learn features X (n, d) under labels y (n,) with weights of 0 or more, and nothing else.

        Raises DataError (also a ValueError) for what cannot be learnt.
        """
        self.check_settings()
        data = learning_set(self, X, y, sample_weight)
        counts = data.weight > 0
        X = moderate(data.X[counts])
        self._begin(data.classes, X.shape[1])
        self._learn(X, data.y[counts], data.weight[counts])
        self._variance()
        return self

    def partial_fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None, classes: ArrayLike | None = None
    ) -> Self:
        """Learn more rows, one or many: what `fit` on all of them would give, but for rounding.

        ``classes`` is there for scikit-learn's sake; classes may come with any call.
        """
        first = not hasattr(self, "classes_")
        if first:
            self.check_settings()
        rows = labelled_rows(self, X, y, sample_weight, first=first)
        moderate(rows.X)
        new = np.unique(rows.labels)
        if first:
            self._begin(new, rows.X.shape[1])
        else:
            self._widen(join_classes(self.classes_, new))
        self._learn(rows.X, class_index(self.classes_, rows.labels), rows.weight)
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Probabilities (n, K) in the order of ``classes_``; rows sum to 1.

        Raises DataError where no two rows that differ have been learnt of any class.
        """
        check_is_fitted(self)
        rows = query_rows(self, X)
        centre = self.weight_ @ self.means_ / self.weight_.sum()  # far from it, the large parts of both terms cancel
        W, b = self._discriminants(self.means_ - centre)
        return np.asarray(softmax((rows - centre) @ W + b, axis=1))

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The class of the highest probability, (n,)."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])

    def to_arrays(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """The moments, so that a loaded head can go on learning."""
        check_is_fitted(self)
        arrays = {"weight": self.weight_, "means": self.means_, "scatter": self.scatter_}
        meta = {"classes": stored.pack_classes(self.classes_), "shrinkage": stored.plain(self.shrinkage)}
        return {name: array.copy() for name, array in arrays.items()}, meta

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> Self:
        """The fitted head again. Raises IntegrityError where names, types, shapes or ranges are off."""
        stored.expect_names(meta, {"classes", "shrinkage"})
        stored.expect_names(arrays, {"weight", "means", "scatter"})
        classes = stored.take_classes(meta, at_least=1)
        means = stored.take_array(arrays, "means", (len(classes), None))
        d = means.shape[1]
        weight = stored.take_array(arrays, "weight", (len(classes),))
        scatter = stored.take_array(arrays, "scatter", (d, d))
        shrinkage = stored.take_number(meta, "shrinkage", above=0)
        stored.expect_within("shrinkage", shrinkage, 0, 1)
        stored.expect_within("weight", weight, np.finfo(np.float64).tiny, np.inf)
        stored.expect_within("scatter's diagonal", np.diag(scatter), 0, np.inf)
        head = cls(shrinkage)
        head.classes_, head.n_features_in_ = classes, d
        head.weight_, head.means_, head.scatter_ = weight.copy(), means.copy(), scatter.copy()
        return head

    def _begin(self, classes: NDArray[Any], d: int) -> None:
        self.classes_: NDArray[Any] = classes
        self.weight_: NDArray[np.float64] = np.zeros(len(classes))
        self.means_: NDArray[np.float64] = np.zeros((len(classes), d))
        self.scatter_: NDArray[np.float64] = np.zeros((d, d))

    def _widen(self, classes: NDArray[Any]) -> None:
        places = class_index(classes, self.classes_)
        weight, means = np.zeros(len(classes)), np.zeros((len(classes), self.means_.shape[1]))
        weight[places], means[places] = self.weight_, self.means_
        self.classes_, self.weight_, self.means_ = classes, weight, means

    def _learn(self, X: NDArray[np.floating], y: NDArray[np.intp], weight: NDArray[np.float64]) -> None:
        for k in np.unique(y):
            rows, w = np.asarray(X[y == k], np.float64), weight[y == k]
            total, old = w.sum(), self.weight_[k]
            mean = w @ rows / total
            centred = np.sqrt(w)[:, None] * (rows - mean)
            apart = mean - self.means_[k]
            self.scatter_ += centred.T @ centred + (total * old / (total + old)) * np.outer(apart, apart)
            self.means_[k] += (total / (total + old)) * apart
            self.weight_[k] = total + old

    def _variance(self) -> float:
        """Mean variance of a feature within classes, times the total weight; HeadInputError where nothing varies."""
        variance = float(np.trace(self.scatter_)) / len(self.scatter_)
        least = self.weight_.sum() * (_ROUNDING * np.abs(self.means_).max(initial=0.0)) ** 2
        if variance <= least:
            raise HeadInputError("slda has learnt no two rows that differ within a class; teach it more")
        return variance

    def _discriminants(self, means: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Weights (d, K) and biases (K,) of classes with these means (K, d)."""
        ridge = self.shrinkage * self._variance() * np.eye(len(self.scatter_))
        covariance = (1 - self.shrinkage) * self.scatter_ + ridge
        W = cho_solve(cho_factor(covariance / self.weight_.sum()), means.T)
        return W, np.log(self.weight_ / self.weight_.sum()) - 0.5 * np.einsum("kd,dk->k", means, W)
