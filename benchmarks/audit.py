"""How long an audit takes against cleanlab's recommended way, how it grows, and what closest pairs take.

    python benchmarks/audit.py            50,000 x 768; 10,000, 30,000 and 100,000 rows; pairs of 20,000 x 1,280
    python benchmarks/audit.py --quick    2,000 x 768; 1,000 and 3,000 rows

cleanlab's recommended way is a five-fold cross-validated logistic regression (scikit-learn's), then
``find_label_issues``; one fold is timed, times five. Features are non-negative and of falling variance, as those of a
backbone are; ten classes, a fifth of the labels wrong. Seconds
are those of the processor, on one core each, which a busy machine hardly changes.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from bench import MEGABYTE, Figure, in_child, peak_mb, program, say
from pellucid import audit, inject_labels
from pellucid.replay.closest import distance_across

T = TypeVar("T")

CLASSES = 10
WRONG = 0.2


def measure(quick: bool) -> list[Figure]:
    """Speed, growth, and the closest pairs."""
    from cleanlab.filter import find_label_issues

    n, sizes = (2_000, (1_000, 3_000)) if quick else (50_000, (10_000, 30_000, 100_000))
    X, y, _ = material(n, 768)
    ours, found = timed(lambda: audit(X, y))
    say(f"audit {ours:.1f} s")
    fold = np.arange(n) % 5 == 0
    model = LogisticRegression(max_iter=1000)
    fit, _ = timed(lambda: model.fit(X[~fold], y[~fold]))
    p = model.predict_proba(X)
    sort, _ = timed(lambda: find_label_issues(y, p, n_jobs=1))
    theirs = 5 * fit + sort
    say(f"cleanlab {theirs:.1f} s")
    again, _ = timed(lambda: audit(X, y))
    ours = (ours + again) / 2
    figures = [
        Figure("audit", ours, "s", remark=f"{n:,} x 768, rule {found.rule_used}; one core"),
        Figure("cross-validation and find_label_issues", theirs, "s", remark="1 of 5 folds timed, times 5"),
        Figure("cleanlab's way / audit", theirs / ours, at_least=20.0),
    ]
    costs = []
    for size in sizes:
        rows, labels, _ = material(size, 384)
        seconds, _ = timed(lambda rows=rows, labels=labels: audit(rows, labels))  # type: ignore[misc]
        costs.append(1000 * seconds / size)
        say(f"{size:,} rows: {seconds:.1f} s")
    figures += [Figure(f"audit of {size:,} x 384", cost, "ms/row") for size, cost in zip(sizes, costs, strict=True)]
    figures.append(Figure("... the largest / the smallest, a row", costs[-1] / costs[0], at_most=1.5))
    return figures + closest(quick)


def closest(quick: bool) -> list[Figure]:
    """Exact closest pairs of rows of different labels, in a process of its own so that the peak memory is theirs."""
    n, d = (2_000, 64) if quick else (20_000, 1_280)
    found = in_child(__file__, n, d)
    return [
        Figure("closest pairs, cosine", found["seconds"], "s", remark=f"each of {n:,} x {d:,} against all others"),
        Figure("... memory above the features'", found["after"] - found["before"], "MB", remark="peak"),
        Figure("... of an n x n matrix", n**2 * 8 / MEGABYTE, "MB", remark="which is never there"),
    ]


def child(n: int, d: int) -> None:
    """Prints as JSON the seconds that closest pairs took, and the peak memory before and after."""
    X, y, _ = material(n, d)
    few = slice(0, 100)
    distance_across(X[few], y[few], X[few], y[few], "cosine")  # what starting up takes is not the method's
    before = peak_mb()
    seconds, _ = timed(lambda: distance_across(X, y, X, y, "cosine"))
    print(json.dumps({"seconds": seconds, "before": before, "after": peak_mb()}))


def material(n: int, d: int) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Features (n, d), labels of which a fifth is wrong, and the true ones."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, CLASSES, n)
    scale = (1 + np.arange(d)) ** -0.5  # variances fall as those of a backbone's features do
    mixing = np.linalg.qr(rng.normal(size=(d, d)))[0] * (scale * 0.3 * np.sqrt(d))[:, None]
    centres, spread = rng.normal(size=(CLASSES, d)), 1.5
    X = np.empty((n, d), np.float32)
    for start in range(0, n, 4096):
        rows = slice(start, start + 4096)
        latent = centres[truth[rows]] + spread * rng.normal(size=(len(truth[rows]), d))
        X[rows] = np.maximum(latent @ mixing + 0.1, 0)
    return X, inject_labels(truth, "symmetric", WRONG, 0).labels, truth


def timed(act: Callable[[], T]) -> tuple[float, T]:
    """Seconds of the processor, and the result."""
    start = time.process_time()
    result = act()
    return time.process_time() - start, result


if __name__ == "__main__":
    with threadpool_limits(1):
        if sys.argv[1:2] == ["--child"]:
            child(*map(int, sys.argv[2:]))
        else:
            program(__doc__, measure)
