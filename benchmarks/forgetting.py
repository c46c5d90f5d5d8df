"""What arriving class by class costs learners that learn bit by bit, against the same rows shuffled.

    python benchmarks/forgetting.py            trashnet and sugarcane, 4 splits
    python benchmarks/forgetting.py --quick    trashnet, 1 split

Features of MobileNetV2; three quarters are learnt in forty batches, once, near-duplicates kept on one side; all classes
are named in the first call, as `MLPClassifier` and `HedgeClassifier` need it. The figure of each learner is its mean
test accuracy at the end.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import SGDClassifier
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from bench import Figure, program, say
from material import Rows, embedded
from pellucid import RidgeClassifier
from pellucid.heads.hedge import HedgeClassifier
from pellucid.heads.slda import StreamingLDA

BATCHES = 40
LEARNERS: dict[str, Callable[[int], Any]] = {
    "ridge": lambda seed: RidgeClassifier(0.1),
    "StreamingLDA": lambda seed: StreamingLDA(),
    "Hedge backpropagation": lambda seed: HedgeClassifier(seed=seed),
    "partial_fit MLP": lambda seed: MLPClassifier(random_state=seed),
    "partial_fit linear SGD": lambda seed: SGDClassifier("log_loss", random_state=seed),
}


def measure(quick: bool) -> list[Figure]:
    """Both orders for every learner."""
    figures: list[Figure] = []
    for name in ("trashnet",) if quick else ("trashnet", "sugarcane"):
        rows = embedded(name)
        seeds = range(1 if quick else 4)
        for learner, build in LEARNERS.items():
            accuracies = np.mean([both(build, rows, seed) for seed in seeds], axis=0)
            say(f"{name}, {learner}: {accuracies.round(3)}")
            shuffled, by_class = accuracies.tolist()
            figures += [
                Figure(f"{name}, {learner}: shuffled", shuffled, remark=f"accuracy, {len(seeds)} splits"),
                Figure("... class by class", by_class),
                Figure(
                    "... points of 100 lost",
                    round(100 * (shuffled - by_class), 6),
                    at_most=0.1 if learner == "ridge" else None,
                ),
            ]
    return figures


def both(build: Callable[[int], Any], rows: Rows, seed: int) -> tuple[float, float]:
    """Test accuracy after the shuffled order, and after class by class."""
    rng = np.random.default_rng(seed)
    held = rng.permutation(rows.groups.max() + 1)[: (rows.groups.max() + 1) // 4]
    test = np.isin(rows.groups, held)
    learnt = rng.permutation(np.flatnonzero(~test))
    by_class = learnt[np.argsort(rows.y[learnt], kind="stable")]
    return arrive(build(seed), rows, learnt, test), arrive(build(seed), rows, by_class, test)


def arrive(head: Any, rows: Rows, order: NDArray[np.intp], test: NDArray[np.bool_]) -> float:
    """Learn the rows in this order, in batches; test accuracy."""
    classes = np.unique(rows.y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for batch in np.array_split(order, BATCHES):
            head.partial_fit(rows.X[batch], rows.y[batch], classes=classes)
    return float(np.mean(head.predict(rows.X[test]) == rows.y[test]))


if __name__ == "__main__":
    with threadpool_limits(1):  # threads in each other's way cost more than they bring
        program(__doc__, measure)
