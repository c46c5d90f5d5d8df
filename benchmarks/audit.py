"""How long an audit takes against cleanlab's recommended way, how it grows, and what arriving class by class costs.

    python benchmarks/audit.py            50,000 x 768; 10,000, 30,000 and 100,000 rows
    python benchmarks/audit.py --quick    2,000 x 768; 1,000 and 3,000 rows

cleanlab's recommended way is a five-fold cross-validated logistic regression (scikit-learn's), then
``find_label_issues``; one fold is timed, times five. Features are non-negative and of falling variance, as those of a
backbone are; ten classes, a fifth of the labels wrong.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from bench import Figure, program, say
from pellucid import RidgeClassifier, audit, inject_labels

T = TypeVar("T")

CLASSES = 10
WRONG = 0.2


def measure(quick: bool) -> list[Figure]:
    """Speed, growth and forgetting."""
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
    figures = [
        Figure("audit", ours, "s", remark=f"{n:,} x 768, rule {found.rule_used}"),
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
    return figures + forgetting(quick)


def forgetting(quick: bool) -> list[Figure]:
    """Ridge on rows that arrive class by class, and shuffled."""
    X, _, y = material(1_000 if quick else 4_000, 384)
    test = np.arange(len(X)) % 4 == 0
    rows = np.flatnonzero(~test)
    accuracies = []
    for order in (rows[np.argsort(y[rows], kind="stable")], np.random.default_rng(0).permutation(rows)):
        head = RidgeClassifier(1.0)
        for batch in np.array_split(order, 40):
            head.partial_fit(X[batch], y[batch], classes=np.arange(CLASSES))
        accuracies.append(float(head.score(X[test], y[test])))
    by_class, shuffled = accuracies
    return [
        Figure("ridge, rows shuffled: accuracy", shuffled),
        Figure("ridge, class by class: accuracy", by_class),
        Figure("... points of 100 lost", 100 * (shuffled - by_class), at_most=0.1),
    ]


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
    """Seconds, and the result."""
    start = time.perf_counter()
    result = act()
    return time.perf_counter() - start, result


if __name__ == "__main__":
    program(__doc__, measure)
