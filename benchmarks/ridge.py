"""How long ridge takes with its choice of lambda, against others, and to learn or forget one more row, against a refit.

    python benchmarks/ridge.py            50,000 x 1,280 features, 10 classes: about four minutes on two cores
    python benchmarks/ridge.py --quick    5,000 x 320 of the same kind: half a minute

All choose from as many settings, in one run on the same data and cores, so that the ratios count. Cross-validating
logistic regression fits one model for each fold and setting: on the full data one fold is timed for every
setting and the time multiplied by the number of folds, as the output says; --quick runs it as it stands.

One row is learnt and forgotten on one core, as a median over many rows; the refit is ours too, at the lambda that
was chosen, on one core. The first row after a fit also makes the statistic ready, which is reported on its own.
"""

from __future__ import annotations

import statistics
import warnings
from functools import partial

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.preprocessing import normalize
from threadpoolctl import threadpool_limits

from bench import MEGABYTE, Figure, peak_mb, program, say, timed
from pellucid.heads.ridge import LAMBDAS, RidgeClassifier

FOLDS = 5
MOST_ITERATIONS = 100  # scikit-learn's default
SINGLE_ROWS = 100  # learnt and forgotten one by one
MOST_MS = 5.0  # for one of them


def features(n: int, d: int, n_classes: int) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Rows as a backbone gives them: not negative, many zeros, strongly correlated, classes that overlap."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, n_classes, n)
    mixing = rng.standard_normal((64, d), dtype=np.float32) / 8
    centres = 0.6 * rng.standard_normal((n_classes, 64), dtype=np.float32)
    X = np.empty((n, d), dtype=np.float32)
    for start in range(0, n, 1000):  # in parts, so that making them is not the peak of memory
        labels = y[start : start + 1000]
        hidden = centres[labels] + rng.standard_normal((len(labels), 64), dtype=np.float32)
        noise = 0.3 * rng.standard_normal((len(labels), d), dtype=np.float32)
        X[start : start + 1000] = np.maximum(hidden @ mixing + noise, 0)
    return X, y


def logistic_seconds(X: NDArray[np.float32], y: NDArray[np.intp], *, whole: bool) -> float:
    """Cross-validation over as many settings as ridge has; from one fold of it unless ``whole``."""
    grid = {"C": [1 / l2 for l2 in LAMBDAS]}
    folds = list(StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(X, y))
    search = GridSearchCV(
        LogisticRegression(max_iter=MOST_ITERATIONS), grid, cv=folds if whole else folds[:1], refit=False
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # stopping early is in the peer's favour
        seconds = timed(lambda: search.fit(X, y))
    return seconds if whole else seconds * FOLDS


def one_by_one(head: RidgeClassifier, X: NDArray[np.float32], y: NDArray[np.intp]) -> list[Figure]:
    """What it takes to learn and to forget one row, and that the weights are those of a batch afterwards."""
    rng = np.random.default_rng(1)
    more = X[rng.integers(0, len(X), SINGLE_ROWS)] + 0.1 * rng.random((SINGLE_ROWS, X.shape[1]), dtype=np.float32)
    labels = rng.integers(0, 10, SINGLE_ROWS)
    before = head.coef_.copy()
    with threadpool_limits(1):
        ready = timed(lambda: head.partial_fit(more[:1], labels[:1])) * 1000
        head.forget(more[:1], labels[:1])
        learn = [timed(partial(head.partial_fit, more[[i]], labels[[i]])) * 1000 for i in range(SINGLE_ROWS)]
        forget = [timed(partial(head.forget, more[[i]], labels[[i]])) * 1000 for i in range(SINGLE_ROWS)]
        refit = timed(lambda: RidgeClassifier(head.lambda_).fit(X, y)) * 1000
    away = float(np.abs(head.coef_ - before).max())
    one, gone = statistics.median(learn), statistics.median(forget)
    return [
        Figure("one row learnt, one core", one, "ms", at_most=MOST_MS, remark=f"slowest {max(learn):.1f}"),
        Figure("one row forgotten, one core", gone, "ms", at_most=MOST_MS, remark=f"slowest {max(forget):.1f}"),
        Figure("... the first after a fit", ready, "ms"),
        Figure("refit / one row learnt", refit / one, at_least=100.0, remark=f"refit at this lambda {refit:.0f} ms"),
        Figure("all forgotten again, weights differ by", away * 1e8, "e-8", at_most=1.0),
    ]


def measure(quick: bool) -> list[Figure]:
    """Ours first, so that its peak memory is its own."""
    n, d = (5_000, 320) if quick else (50_000, 1_280)
    X, y = features(n, d, 10)
    before = peak_mb()
    head = RidgeClassifier()
    ours = timed(lambda: head.fit(X, y))
    peak = peak_mb()
    say(f"pellucid {ours:.1f} s")
    unit = normalize(X)  # what ours does inside; given to the peers for nothing
    peer = RidgeClassifierCV(alphas=LAMBDAS)
    ridge = timed(lambda: peer.fit(unit, y))
    peer_peak = peak_mb()
    same = (peer.predict(unit) == head.predict(X)).mean()
    say(f"RidgeClassifierCV {ridge:.1f} s")
    logistic = logistic_seconds(unit, y, whole=quick)
    how = f"{FOLDS} folds" if quick else f"1 of {FOLDS} folds timed, times {FOLDS}"
    data = f"{n:,} x {d:,}, {len(LAMBDAS)} settings; chose {head.lambda_:g}"
    memory = f"{before:.0f} MB before, {X.nbytes / MEGABYTE:.0f} of them the features"
    return [
        Figure("pellucid RidgeClassifier", ours, "s", remark=data),
        Figure("... peak memory", peak, "MB", remark=memory),
        Figure(
            "scikit-learn RidgeClassifierCV", ridge, "s", remark=f"chose {peer.alpha_:g}; same class for {same:.1%}"
        ),
        Figure("... peak memory", peer_peak, "MB"),
        Figure("LogisticRegression, GridSearchCV", logistic, "s", remark=how),
        Figure("RidgeClassifierCV / pellucid", ridge / ours, at_least=1.0),
        Figure("LogisticRegression / pellucid", logistic / ours, at_least=10.0),
        *one_by_one(head, X, y),
    ]


if __name__ == "__main__":
    program(__doc__, measure)
