"""How long ridge takes with its choice of lambda, against RidgeClassifierCV and logistic regression.

    python benchmarks/ridge.py            50,000 x 1,280 features, 10 classes: about four minutes on two cores
    python benchmarks/ridge.py --quick    5,000 x 320 of the same kind: half a minute

All choose from as many settings, in one run on the same data and cores, so that the ratios count. Cross-validating
logistic regression fits one model for each fold and setting: on the full data one fold is timed for every
setting and the time multiplied by the number of folds, as the output says; --quick runs it as it stands.
"""

from __future__ import annotations

import argparse
import resource
import time
import warnings
from collections.abc import Callable

import numpy as np
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


def peak_mb() -> float:
    """The most memory this process has held so far, in MB (kilobytes on Linux)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def timed(fit: Callable[[], object]) -> float:
    """Seconds of wall time."""
    start = time.perf_counter()
    fit()
    return time.perf_counter() - start


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


def main() -> None:
    """Print one line a method: seconds, how many times as long as ours, and the peak memory up to there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    n, d = (5_000, 320) if quick else (50_000, 1_280)
    X, y = features(n, d, 10)
    print(f"{n:,} x {d:,} features ({X.nbytes / 2**20:,.0f} MB), 10 classes, {len(LAMBDAS)} settings")
    print(f"{'before':34}{'':21} peak {peak_mb():6,.0f} MB")

    head = RidgeClassifier()
    ours = timed(lambda: head.fit(X, y))

    def show(name: str, seconds: float, remark: str) -> None:
        cost = f"{seconds:10.1f} s {seconds / ours:7.1f} x  peak {peak_mb():6,.0f} MB"
        print(f"{name:34}{cost}  {remark}", flush=True)

    show("pellucid RidgeClassifier", ours, f"lambda {head.lambda_:g}")
    unit = normalize(X)  # what ours does inside; given to the peers for nothing
    peer = RidgeClassifierCV(alphas=LAMBDAS)
    seconds = timed(lambda: peer.fit(unit, y))
    same = (peer.predict(unit) == head.predict(X)).mean()
    show("scikit-learn RidgeClassifierCV", seconds, f"lambda {peer.alpha_:g}, same class for {same:.1%}")
    how = f"{FOLDS} folds" if quick else f"1 of {FOLDS} folds timed, times {FOLDS}"
    show("LogisticRegression, GridSearchCV", logistic_seconds(unit, y, whole=quick), how)


if __name__ == "__main__":
    main()
