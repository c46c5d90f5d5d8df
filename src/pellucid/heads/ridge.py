"""Ridge regression to one-hot classes, the default head: it trains, learns on, forgets and tells what is new."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from pellucid.errors import IntegrityError, UsageError
from pellucid.heads import ridge_file
from pellucid.heads.batch import hold_out, learn_batch
from pellucid.heads.conformal import ConformalSets, calibrate_sets
from pellucid.heads.inputs import (
    Given,
    HeadInputError,
    LabelledRows,
    LearningSet,
    class_index,
    is_positive_number,
    join_classes,
    labelled_rows,
    learning_set,
    query_rows,
    row_groups,
)
from pellucid.heads.running import NeverLearntError, Running, widened
from pellucid.heads.statistic import Spectrum, predict_scores
from pellucid.heads.temperature import fit_noisy_temperature, fit_temperature, probabilities

# What "loo" chooses from: half decades. With rows of squared length 2, weights of at most 1 and 100 to 4,000
# images of three data sets, clean and with 30 % wrong labels, the best was between 0.003 and 0.3.
LAMBDAS = tuple(10.0 ** (exponent / 2) for exponent in range(-8, 7))  # 0.0001 to 1000
FIRST_LAMBDA = 0.1  # of "loo" where learning begins with too few rows to choose


class RidgeClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """W = (A + l2 I)^-1 B, with A = sum w x x' and B = sum w s x y' over rows x of unit length and a 1.

    Here w is a row's weight and s, 1 unless given, the ``strength`` of its label, which `statistic.strength` makes of
    the probability that it is right: the row counts in full, and its target stands out as far as it is believed.

    A and B are all that is ever learnt, so rows can be added (`partial_fit`), taken out (`forget`), given another
    label (`relabel`) and summed over machines (`merge`) at any time and in any order: at one lambda the result is
    that of `fit` on the rows that remain. One row takes about 1 ms at 1,280 features. Classes may come later.

    Parameters
    ----------
    l2
        The penalty lambda, above 0, on all of W, also on the row of the appended 1; higher is smoother. It
        stands against a *sum* over rows, so more data weigh more. ``"loo"`` takes, of ``LAMBDAS``, the one
        with the least mean squared leave-one-out error, or leave-group-out error where groups are given.
        Measured on features of trashnet, sugarcane and malaria (full, a fifth, a twentieth, 30 % wrong labels;
        8 to 12 splits each) that choice gave a mean test accuracy of 0.8414, the leave-one-out log loss 0.8406
        and the plain error rate 0.8400, which is too coarse on few images.

    Attributes
    ----------
    classes_ : (K,) the classes of the rows of positive weight, sorted; a class stays when its rows are forgotten
    n_learnt_ : rows of positive weight, less those forgotten
    class_count_ : (K,) the same by class; not there in a head of a file of version 1
    coef_ : W (d + 1, K)
    n_features_in_ : d

    Of the last `fit` (or first `partial_fit`); the next three also of `recalibrate`:

    lambda_ : the penalty that is used
    loo_errors_ : mean squared leave-one-out error by lambda; lower is better; gone after loading
    loo_scores_ : (n, K) what all the other rows, or groups, say of each row; near 1 for its class; gone after
        loading
    temperature_ : T of softmax(scores / T), the one that the held-out scores ask for; higher is less confident
    noise_rate_ : the share of wrong labels, in [0, 1], that the held-out scores speak of; 0 for trusted labels.
        Only wrong labels that fall evenly on the other classes are seen. Probabilities are of the true label.
    sets_ : quantiles for `predict_set`, whether they are only approximate, and their coverage; or None

    Scores are linear and uncalibrated; probabilities are calibrated by leave-one-out, so no data are set
    aside.

    References: Allen, D. M. (1974), "The relationship between variable selection and data augmentation and a
    method for prediction", Technometrics 16; Rifkin, R. and Lippert, R. (2007), "Notes on regularized least
    squares", MIT-CSAIL-TR-2007-025.

    >>> X = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]])
    >>> head = RidgeClassifier().fit(X, ["glass", "glass", "paper", "paper"])
    >>> head.predict([[2.0, 0.5]]).tolist(), head.n_learnt_
    (['glass'], 4)
    >>> head.partial_fit([[-1.0, 0.1]], ["metal"]).predict([[-2.0, 0.1]]).tolist()
    ['metal']
    >>> head.forget([[-1.0, 0.1]], ["metal"]).n_learnt_
    4
    """

    sets_: ConformalSets | None

    _grid: ClassVar[tuple[float, ...]] = LAMBDAS

    def __init__(self, l2: float | str = "loo") -> None:
        self.l2 = l2

    def check_settings(self) -> None:
        """Raise UsageError unless ``l2`` is "loo" or a finite number above 0."""
        if self.l2 != "loo" and not is_positive_number(self.l2):
            raise UsageError(f"ridge has lambda {self.l2!r}; give a number above 0, or 'loo' to have it chosen")

    def fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: Given = None, groups: Given = None, strength: Given = None
    ) -> Self:
        """Learn features X (n, d), any finite numbers, under labels y (n,), weights of 0 or more, strengths of 0..1.

        A row of weight 0 counts for nothing, and neither does a class that only such rows have. Leave-one-out
        leaves a row of weight 2 out as a whole, and so its choice of lambda may differ from that of two rows.
        Rows of one of the ``groups`` (n,), text or numbers, are left out together: give them where rows are
        near-copies (a burst, a patient), which else vouch for each other.
        Time n d^2 + d^3 (n^2 d where n < d), memory d^2 + n K. Raises DataError (also a ValueError) for what
        cannot be learnt.
        """
        self.check_settings()
        data = learning_set(self, X, y, sample_weight, strength)
        self._learn_at_once(data, None if groups is None else row_groups(groups, len(data.y)))
        return self

    def partial_fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: Given = None, classes: Given = None, strength: Given = None
    ) -> Self:
        """Learn more rows, one or many; exactly what `fit` on all rows would give at this lambda.

        ``classes`` names classes that are to be there although no row has them yet; new ones may come with any
        call. The first call of a new head chooses lambda and calibrates as `fit` does if two classes have two
        rows or more; else lambda is the number given, or 0.1, and probabilities are uncalibrated until
        `recalibrate`. Raises DataError (also a ValueError) and then changes nothing.
        """
        named = np.empty(0) if classes is None else np.unique(np.asarray(classes))
        if not hasattr(self, "classes_"):
            self.check_settings()
            self._begin(labelled_rows(self, X, y, sample_weight, strength, first=True), named)
            return self
        running = self._running()
        rows = labelled_rows(self, X, y, sample_weight, strength, first=False)
        known = join_classes(join_classes(self.classes_, np.unique(rows.labels)), named)
        if len(rows.labels) or len(known) > len(self.classes_):
            running = running.spread(known)
            if len(rows.labels):
                running.learn(rows.X, class_index(known, rows.labels), rows.weight, rows.strength)
            self._follow(running)
        return self

    def forget(self, X: ArrayLike, y: ArrayLike, sample_weight: Given = None, strength: Given = None) -> Self:
        """Unlearn rows exactly, as if they had never come; give all that was given when they were learnt.

        Raises NeverLearntError (a DataError) and changes nothing where it shows that they were not: a class
        without so many rows or so much weight, or a leverage w x'Rx that no learnt row has. A statistic cannot
        tell more: rows that were never learnt may pass, and then spoil it. Keep a ledger.
        """
        running = self._running()
        rows = labelled_rows(self, X, y, sample_weight, strength, first=False)
        if len(rows.labels):
            running.forget(rows.X, self._known(rows.labels), rows.weight, rows.strength)
            self._follow(running)
        return self

    def relabel(
        self, X: ArrayLike, y_old: ArrayLike, y_new: ArrayLike, sample_weight: Given = None, strength: Given = None
    ) -> Self:
        """Give learnt rows another label: `forget` under ``y_old`` and `partial_fit` under ``y_new`` in one.

        Raises NeverLearntError (a DataError) as `forget` does, and changes nothing.
        """
        running = self._running()
        rows = labelled_rows(self, X, y_old, sample_weight, strength, first=False)
        fresh = labelled_rows(self, X, y_new, sample_weight, strength, first=False)
        if len(rows.labels):
            self._known(rows.labels)
            known = join_classes(self.classes_, np.unique(fresh.labels))
            running = running.spread(known)
            old, new = class_index(known, rows.labels), class_index(known, fresh.labels)
            running.relabel(rows.X, old, new, rows.weight, rows.strength)
            self._follow(running)
        return self

    def merge(self, other: RidgeClassifier) -> Self:
        """Add all that another head has learnt; it must have learnt other rows, on features of the same extractor.

        Exactly the head that learnt the rows of both, at this head's lambda; A and B do not depend on lambda.
        Temperature and sets stay those of this head until `recalibrate`. Raises UsageError where the two do not
        fit each other, and changes nothing.
        """
        if not isinstance(other, RidgeClassifier):
            raise UsageError(f"a ridge head merges with another one, not with {type(other).__name__}")
        if other is self:
            raise UsageError("a head merged with itself would count every row twice; merge heads of different rows")
        running, theirs = self._running(), other._running()
        if self.n_features_in_ != other.n_features_in_:
            raise UsageError(
                f"a head of {self.n_features_in_} features cannot merge one of {other.n_features_in_}; "
                "train both on the same extractor"
            )
        if list(getattr(self, "feature_names_in_", [])) != list(getattr(other, "feature_names_in_", [])):
            raise UsageError("the two heads know their features by different names; train both on the same columns")
        known = join_classes(self.classes_, other.classes_)
        columns = class_index(known, other.classes_)
        running = running.spread(known)
        counts = widened(theirs.counts[None], columns, len(known))[0]
        running.merge(theirs.A, widened(theirs.B, columns, len(known)), counts)
        self._follow(running)
        return self

    def recalibrate(
        self, X: ArrayLike, y: ArrayLike, groups: Given = None, sample_weight: Given = None, strength: Given = None,
        *, learnt: bool = True, trusted: bool = True,
    ) -> Self:  # fmt: skip
        """Set temperature and sets anew from rows X (n, d) under labels y (n,); lambda and W stay.

        ``learnt`` says that the rows are among the learnt: they are then scored by all others, or with ``groups``
        (n,), each a whole group, by all other groups. Rows that were not learnt are scored as they are.
        ``trusted`` says that labels are right; else their share of wrong ones is estimated and the sets are
        called approximate. Raises DataError where a row cannot be among the learnt or has an unknown class.
        """
        if groups is not None and not learnt:
            raise UsageError("groups say which learnt rows are left out together; give none with learnt=False")
        check_is_fitted(self)
        rows = labelled_rows(self, X, y, sample_weight, strength, first=False)
        if not len(rows.labels):
            raise HeadInputError("all sample weights are zero; give rows that count to calibrate on")
        index = self._known(rows.labels)
        if learnt:
            codes = None if groups is None else row_groups(groups, len(np.asarray(y)))[rows.index]
            scores = hold_out(self._running(), rows.X, index, rows.weight, rows.strength, codes)
            self.loo_scores_ = self.class_scores(X)
            self.loo_scores_[rows.index] = scores
        else:
            scores = predict_scores(rows.X, self.coef_)
        self._calibrate(scores, index, _heard(rows), trusted=trusted)
        return self

    def class_scores(self, X: ArrayLike) -> NDArray[np.float64]:
        """x'W of every class, (n, K): near 1 for the class, near 0 for the others."""
        check_is_fitted(self)
        return predict_scores(query_rows(self, X), self.coef_)

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Scores (n, K); of two classes, as scikit-learn has it, how far the second leads the first, (n,)."""
        scores = self.class_scores(X)
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Probabilities (n, K) in the order of ``classes_``; rows sum to 1."""
        return probabilities(self.class_scores(X), self.temperature_)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The class of the highest score, (n,)."""
        scores = self.class_scores(X)
        return np.asarray(self.classes_[scores.argmax(axis=1)])

    def predict_set(self, X: ArrayLike, alpha: float = 0.1) -> NDArray[np.bool_]:
        """Which classes, (n, K) in the order of ``classes_``, hold the true one with probability 1 - alpha.

        Never an empty set; more classes are less certain. `ConformalSets` in ``sets_`` says how it was calibrated
        and what it covered. Raises UsageError where it was not, and for an alpha outside (0, 1).
        """
        shares = self.predict_proba(X)
        if self.sets_ is None:
            raise UsageError("this head was never calibrated, so its sets would be guesses; call recalibrate first")
        return self.sets_.members(shares, alpha)

    def leverage(self, X: ArrayLike) -> NDArray[np.float64]:
        """x'Rx, (n,), in (0, 2 / lambda): how far each row lies from all that was learnt; higher is more novel.

        Of a row that was learnt with weight w it is below 1 / w. Raises UsageError for a head without its
        statistic.
        """
        check_is_fitted(self)
        rows = query_rows(self, X)
        return self._running().leverage(rows)

    def to_arrays(self, *, state: bool = False) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """What prediction needs; the leave-one-out attributes describe the training rows and stay behind.

        With ``state`` also the statistic, about 4 d^2 bytes, so that the loaded head can learn on and forget.
        Raises DataError for a head that has nothing learnt, unless with its state.
        """
        check_is_fitted(self)
        if not state and not self.n_learnt_:
            raise HeadInputError("a head that has learnt nothing has nothing to store; give it rows first")
        running = self._running() if state else None
        content = ridge_file.RidgeContent(
            self.classes_,
            self.coef_,
            l2=self.l2,
            lambda_=self.lambda_,
            temperature=self.temperature_,
            noise_rate=self.noise_rate_,
            n_learnt=self.n_learnt_,
            counts=getattr(self, "class_count_", None),
            sets=self.sets_,
            statistic=None if running is None else (running.A, running.B),
        )
        return ridge_file.pack(content)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> Self:
        """The fitted head again. Raises IntegrityError where names, types, shapes or ranges are off."""
        content = ridge_file.unpack(arrays, meta)
        running = None
        if content.statistic is not None and content.counts is not None:
            try:
                running = Running.start(content.classes, *content.statistic, content.counts, content.lambda_)
            except HeadInputError as error:
                raise IntegrityError(f"the stored statistic of a ridge is no sum of squares: {error}") from error
            if not np.allclose(running.W, content.weights, rtol=1e-4, atol=1e-4 * np.abs(content.weights).max()):
                raise IntegrityError("the stored weights of a ridge are not those of its statistic; train it again")
        head = cls(l2=content.l2)
        head.classes_ = content.classes
        head.coef_ = content.weights
        head.lambda_ = content.lambda_
        head.temperature_ = content.temperature
        head.noise_rate_ = content.noise_rate
        head.n_learnt_ = content.n_learnt
        head.sets_ = content.sets
        if content.counts is not None:
            head.class_count_ = content.counts
        head.n_features_in_ = content.weights.shape[0] - 1
        head._state = running
        return head

    def _learn_at_once(self, data: LearningSet, groups: NDArray[np.intp] | None) -> None:
        lambdas = np.array(self._grid if self.l2 == "loo" else [float(self.l2)])
        batch = learn_batch(data, lambdas, groups)
        self.classes_, self.coef_, self.lambda_ = data.classes, batch.weights, batch.l2
        self.loo_errors_ = dict(zip(lambdas.tolist(), batch.errors.tolist(), strict=True))
        self.loo_scores_ = batch.left_out
        self.class_count_, self.n_learnt_ = batch.counts, int(batch.counts.sum())
        self._state: Running | Spectrum | None = batch.spectrum
        heard = _heard(data)
        rows = heard > 0
        self._calibrate(batch.held_out[rows], data.y[rows], heard[rows], trusted=False)

    def _begin(self, rows: LabelledRows, named: NDArray[Any]) -> None:
        """The first rows of a head that learns bit by bit."""
        present, counts = np.unique(rows.labels, return_counts=True)
        known = join_classes(present, named) if len(named) else present
        if not len(known):
            raise HeadInputError("all sample weights are zero and no classes are named; there is nothing to begin with")
        if (counts >= 2).sum() >= 2:
            self._learn_at_once(
                LearningSet(rows.X, class_index(present, rows.labels), rows.weight, rows.strength, present), None
            )
            self._follow(self._running().spread(known))
            return
        p, K = self.n_features_in_ + 1, len(known)
        l2 = FIRST_LAMBDA if self.l2 == "loo" else float(self.l2)
        running = Running.start(known, np.zeros((p, p)), np.zeros((p, K)), np.zeros(K, dtype=np.intp), l2)
        if len(rows.labels):
            running.learn(rows.X, class_index(known, rows.labels), rows.weight, rows.strength)
        self.lambda_, self.temperature_, self.noise_rate_, self.sets_ = l2, 1.0, 0.0, None
        self._follow(running)

    def _running(self) -> Running:
        """The statistic in the form that changes; made from that of ``fit`` when first asked for."""
        check_is_fitted(self)
        if self._state is None:
            raise UsageError(
                "this head was stored without its statistic, so it can only predict; store it by "
                "to_arrays(state=True), or fit it again"
            )
        if isinstance(self._state, Spectrum):
            self._state = Running.start(self.classes_, *self._state.sums(), self.class_count_, self.lambda_)
        return self._state

    def _follow(self, running: Running) -> None:
        self._state = running
        self.classes_, self.coef_ = running.classes, running.W
        self.class_count_ = running.counts
        self.n_learnt_ = int(running.counts.sum())

    def _known(self, labels: NDArray[Any]) -> NDArray[np.intp]:
        index = class_index(self.classes_, labels)
        if (index < 0).any():
            unknown = np.unique(labels[index < 0])[:3].tolist()
            raise NeverLearntError(f"class {unknown[0]} was never learnt; there are {self.classes_[:9].tolist()}")
        return index

    def _calibrate(
        self, scores: NDArray[np.float64], y: NDArray[np.intp], weight: NDArray[np.float64], *, trusted: bool
    ) -> None:
        if trusted:
            self.temperature_, self.noise_rate_ = fit_temperature(scores, y, weight), 0.0
        else:
            self.temperature_, self.noise_rate_ = fit_noisy_temperature(scores, y, weight)
        shares = probabilities(scores, self.temperature_)
        self.sets_ = calibrate_sets(shares, y, weight, trusted=trusted, noise_rate=self.noise_rate_)


def _heard(rows: LearningSet | LabelledRows) -> NDArray[np.float64]:
    """How much each label counts in calibration, (n,); where none has any strength, as its row does."""
    believed = rows.weight * rows.strength
    return believed if believed.any() else rows.weight
