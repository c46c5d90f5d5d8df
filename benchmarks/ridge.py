"""How long ridge takes with its choice of lambda, against RidgeClassifierCV and logistic regression.

    python benchmarks/ridge.py            50,000 x 1,280 features, 10 classes: about four minutes on two cores
    python benchmarks/ridge.py --quick    5,000 x 320 of the same kind: half a minute

All choose from as many settings, in one run on the same data and cores, so that the ratios count. Cross-validating
logistic regression fits one model for each fold and setting: on the full data one fold is timed for every
setting and the time multiplied by the number of folds, as the output says; --quick runs it as it stands.
"""

from __future__ import annotations

import warnings

import numpy as np
from bench import MEGABYTE, Figure, peak_mb, program, say, timed
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.preprocessing import normalize

from pellucid.heads.ridge import LAMBDAS, RidgeClassifier

FOLDS = 5
MOST_ITERATIONS = 100  # scikit-learn's default


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
        Figure("scikit-learn RidgeClassifierCV", ridge, "s", remark=f"chose {peer.alpha_:g}; same class for {same:.1%}"),
        Figure("... peak memory", peer_peak, "MB"),
        Figure("LogisticRegression, GridSearchCV", logistic, "s", remark=how),
        Figure("RidgeClassifierCV / pellucid", ridge / ours, at_least=1.0),
        Figure("LogisticRegression / pellucid", logistic / ours, at_least=10.0),
    ]


if __name__ == "__main__":
    program(__doc__, measure)
