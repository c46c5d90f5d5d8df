"""The automatic rule of `audit_probabilities` against the best threshold, argmax and cleanlab's `find_label_issues`.

    python benchmarks/auto_rule.py            digits, trashnet and sugarcane, several models, 2 seeds
    python benchmarks/auto_rule.py --quick    digits, one model, 1 seed, two rates

Each model learns the given labels and says of each row what five folds without it say. Half of a data set's cells are
balanced; in the others classes keep from all to a fiftieth of their rows, falling geometrically. The best threshold is
that on the margin whose F1 is highest by the truth, in each cell and seed: nobody can have it. Where the model's
accuracy on the truth is at least STRONG, the rule is to come within WITHIN of it, elsewhere to be above argmax and
cleanlab. F1 is of finding wrong labels; with none wrong there is only what is suspected in vain. Instance noise flips
to the runner-up of a nearest-neighbour model's held-out votes. A line is the mean over the seeds of the rates with
wrong labels; `worst` is that of the cell and rate where the rule stands worst.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from bench import Figure, program, say
from material import embedded
from pellucid import audit, audit_probabilities, inject_labels
from pellucid.heads.kernel import KernelClassifier

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

RATES = (0.0, 0.05, 0.09, 0.2, 0.4)
KINDS = ("symmetric", "pair", "instance")
STRONG, WITHIN = 0.95, 0.02
RAREST = 1 / 50
FEWEST = 8  # rows of a class


def models(name: str) -> dict[str, Any]:
    """What is asked; all of scikit-learn but Pellucid's own kernel head."""
    unit = Normalizer()
    logistic = make_pipeline(unit, LogisticRegression(C=3.0, max_iter=300))
    found = {"logistic": logistic, "kernel": KernelClassifier(landmarks=500)}
    if name == "digits":
        found["SVM"] = SVC(C=10.0, probability=True, random_state=0)
        found["naive Bayes"] = GaussianNB(var_smoothing=1e-2)
    found["15 neighbours"] = make_pipeline(unit, KNeighborsClassifier(15))
    return found


def measure(quick: bool) -> list[Figure]:
    """One block of figures for each data set and model, then what clean labels suffer."""
    figures: list[Figure] = []
    for name in ("digits",) if quick else ("digits", "trashnet", "sugarcane"):
        X, y = material(name)
        for model, learner in list(models(name).items())[: 1 if quick else None]:
            for rare in (False, True):
                rows = imbalanced(y) if rare else np.arange(len(y))
                title = f"{name}{', 1:50' if rare else ''}, {model}"
                figures += block(title, list(cells(learner, X[rows], y[rows], quick)))
        suspected = float(audit(X, y).suspect.mean())
        bound = 0.01 if name == "digits" else None
        figures.append(Figure(f"{name}, no label wrong: audit suspects", suspected, at_most=bound))
    return figures


def cells(learner: Any, X: Floats, y: Ints, quick: bool) -> Iterator[tuple[str, float, float, list[float]]]:
    """Kind, rate, the model's accuracy on the truth, and F1 of auto, the best threshold, argmax and cleanlab.

    Where no label is wrong, the shares suspected instead, of the best threshold 0.
    """
    doubts = held_out(KNeighborsClassifier(15), X, y, 0)
    for kind in KINDS[:1] if quick else KINDS:
        for rate in RATES[:4:3] if quick else RATES:
            if rate == 0 and kind != "symmetric":
                continue  # the same as before
            for seed in range(1 if quick else 2):
                noise = inject_labels(y, kind, rate, seed, pred_probs=doubts if kind == "instance" else None)
                p = held_out(learner, X, noise.labels, seed)
                yield kind, rate, float((p.argmax(axis=1) == y).mean()), scores(p, noise.labels, noise.changed)


def scores(p: Floats, given: Ints, wrong: NDArray[np.bool_]) -> list[float]:
    """F1, or where nothing is wrong the share suspected, of auto, the best threshold, argmax and cleanlab."""
    from cleanlab.filter import find_label_issues

    auto, argmax = (audit_probabilities(given, p, rule=rule) for rule in ("auto", "argmax"))
    found = [auto.suspect, argmax.suspect, np.asarray(find_label_issues(given, p, n_jobs=1), dtype=bool)]
    if not wrong.any():
        shares = [float(suspect.mean()) for suspect in found]
        return [shares[0], 0.0, *shares[1:]]
    order = np.argsort(argmax.margin, kind="stable")
    counts = np.arange(1, len(given) + 1)
    best = float((2 * np.cumsum(wrong[order]) / (counts + wrong.sum())).max())
    own = [float(2 * (suspect & wrong).sum() / (suspect.sum() + wrong.sum())) for suspect in found]
    return [own[0], best, *own[1:]]


def block(title: str, found: list[tuple[str, float, float, list[float]]]) -> list[Figure]:
    """Lines for the rates with strong models, for the others, and for no wrong label."""
    figures: list[Figure] = []
    means: dict[tuple[str, float], tuple[float, Floats]] = {}
    for kind, rate in dict.fromkeys((kind, rate) for kind, rate, *_ in found):
        own = [(accuracy, values) for k, r, accuracy, values in found if (k, r) == (kind, rate)]
        means[kind, rate] = float(np.mean([a for a, _ in own])), np.mean([v for _, v in own], axis=0)
    wrong = {cell: value for cell, value in means.items() if cell[1] > 0}
    strong = {cell: values for cell, (accuracy, values) in wrong.items() if accuracy >= STRONG}
    weak = {cell: values for cell, (accuracy, values) in wrong.items() if accuracy < STRONG}
    if strong:
        lost = {cell: float(values[1] - values[0]) for cell, values in strong.items()}
        figures += [
            Figure(f"{title}, strong: F1", mean_of(strong, 0), remark=remark(strong)),
            Figure("... below the best threshold, mean", float(np.mean(list(lost.values())))),
            worst("... worst", lost, at_most=WITHIN),
        ]
    if weak:
        lead = {cell: float(values[0] - max(values[2], values[3])) for cell, values in weak.items()}
        figures += [
            Figure(f"{title}, weak: F1", mean_of(weak, 0), remark=remark(weak)),
            Figure("... its lead over the better of both, mean", float(np.mean(list(lead.values())))),
            worst("... worst", lead, at_least=0.0),
        ]
    clean = means["symmetric", 0.0][1]
    told = f"argmax {clean[2]:.3f}, cleanlab {clean[3]:.3f}"
    figures.append(Figure(f"{title}, no label wrong: suspects", float(clean[0]), remark=told))
    say(f"{title}: " + ", ".join(f"{figure.name} {figure.value:.3f}" for figure in figures))
    return figures


def worst(
    name: str, values: dict[tuple[str, float], float], at_most: float | None = None, at_least: float | None = None
) -> Figure:
    """The cell that stands worst, and how many of all keep to the bound."""
    pick = max(values, key=lambda cell: values[cell]) if at_most is not None else min(values, key=lambda c: values[c])
    bound = at_most if at_most is not None else at_least or 0.0
    kept = sum(v <= bound if at_most is not None else v >= bound for v in values.values())
    told = f"{pick[0]} {pick[1]:.0%}; {kept} of {len(values)} keep to it".replace("%", " %")
    return Figure(name, values[pick], at_most=at_most, at_least=at_least, remark=told)


def mean_of(values: dict[tuple[str, float], Floats], column: int) -> float:
    """The mean of one column over the cells."""
    return float(np.mean([row[column] for row in values.values()]))


def remark(values: dict[tuple[str, float], Floats]) -> str:
    """The others' mean F1."""
    best, argmax, peer = (mean_of(values, column) for column in (1, 2, 3))
    return f"best threshold {best:.3f}, argmax {argmax:.3f}, cleanlab {peer:.3f}; {len(values)} noises"


def held_out(learner: Any, X: Floats, y: Ints, seed: int) -> Floats:
    """Probabilities (n, K) of five folds."""
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes that are rarer than there are folds
        return np.asarray(cross_val_predict(learner, X, y, cv=folds, method="predict_proba"), dtype=np.float64)


def imbalanced(y: Ints) -> Ints:
    """Rows in which the classes' sizes fall geometrically to a fiftieth of the first, and none below FEWEST."""
    K = int(y.max()) + 1
    kept = []
    for label in range(K):
        rows = np.random.default_rng(label).permutation(np.flatnonzero(y == label))
        kept.append(rows[: max(FEWEST, round(len(rows) * RAREST ** (label / (K - 1))))])
    return np.sort(np.concatenate(kept))


def material(name: str) -> tuple[Floats, Ints]:
    """Features and true labels."""
    if name == "digits":
        X, y = load_digits(return_X_y=True)
        return X / 16, y.astype(np.intp)
    rows = embedded(name)
    return rows.X.astype(np.float64), rows.y


if __name__ == "__main__":
    with threadpool_limits(1):
        program(__doc__, measure)
