"""Ranking labels so that the wrong ones come first: the audit, cleanlab on logistic regression, votes of neighbours.

    python benchmarks/wrong_labels.py            trashnet and sugarcane, 4 seeds
    python benchmarks/wrong_labels.py --quick    trashnet, 1 seed, two noises

Features of MobileNetV2; three pictures of ten have a wrong label. In a burst of m each wrong label stands on m
near-copies of one picture, as a camera takes them, so that of m = 4 they outnumber the right ones. Everybody is told
which rows show the same thing: the audit and the neighbours leave the group out, the folds of the logistic regression
tear none. That one learns unit rows, which serve it better than standardised ones, with the C of the least log loss on
one fold among C_GRID, chosen anew for every cell; its margin is cleanlab's `normalized_margin`. The audit ranks by
trust. The neighbours, by cosine, are as many of NEIGHBOURS as say most of the given labels.
Instance noise flips to the runner-up of a logistic regression on the `classical` features.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, normalize
from threadpoolctl import threadpool_limits

from bench import Figure, program, say
from material import Rows, embedded
from pellucid import audit, inject_labels

Floats = NDArray[np.float64]
CELLS = (("symmetric", 1), ("pair", 1), ("instance", 1), ("symmetric", 2), ("symmetric", 4), ("pair", 2), ("pair", 4))
RATE = 0.3
C_GRID = (0.3, 1.0, 3.0, 10.0)
NEIGHBOURS = (5, 10, 20, 40)
JITTER = 0.05  # of a copy's features, in their standard deviations


def measure(quick: bool) -> list[Figure]:
    """Four figures for each noise and measure."""
    figures: list[Figure] = []
    for name in ("trashnet",) if quick else ("trashnet", "sugarcane"):
        rows, doubts = embedded(name), None
        for kind, burst in (CELLS[0], CELLS[4]) if quick else CELLS:
            if kind == "instance" and doubts is None:
                doubts = doubt(embedded(name, "classical"))
            scores = []
            for seed in range(1 if quick else 4):
                pred_probs = doubts if kind == "instance" else None
                noise = inject_labels(rows.y, kind, RATE, seed, pred_probs=pred_probs)
                X, y, groups, wrong = in_bursts(rows, noise.labels, noise.changed, burst, seed)
                ranks = [audit(X, y, groups=groups).trust, logistic(X, y, groups, seed), votes(X, y, groups)]
                scores.append([measure_of(rank, wrong) for rank in ranks])
            title = f"{name}, {kind} {RATE:.0%}".replace("%", " %") + (f", bursts of {burst}" if burst > 1 else "")
            say(f"{title}: {np.mean(scores, axis=0).round(3).tolist()}")
            figures += block(title, np.array(scores))
    return figures


def block(title: str, scores: Floats) -> list[Figure]:
    """Figures of one cell from scores (seeds, rankings, measures)."""
    figures = []
    for number, measured in enumerate(("AUROC", "average precision")):
        ours, theirs, neighbours = scores[:, :, number].mean(axis=0).tolist()
        remark = f"{len(scores)} seeds; cleanlab {theirs:.3f}, neighbours {neighbours:.3f}"
        figures.append(Figure(f"{title}: {measured}" if not number else f"... {measured}", ours, remark=remark))
        for rival, index in (("cleanlab", 1), ("neighbours", 2)):
            leads = scores[:, 0, number] - scores[:, index, number]
            told = f"{leads.min():+.3f} to {leads.max():+.3f}"
            figures.append(Figure(f"... its lead over {rival}", float(leads.mean()), at_least=0.0, remark=told))
    return figures


def measure_of(rank: Floats, wrong: NDArray[np.bool_]) -> tuple[float, float]:
    """AUROC and average precision of finding what is wrong where the rank is low."""
    return float(roc_auc_score(wrong, -rank)), float(average_precision_score(wrong, -rank))


def in_bursts(
    rows: Rows, labels: NDArray[np.intp], changed: NDArray[np.bool_], burst: int, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
    """Features, labels, groups and what is wrong, with every wrong label on so many near-copies."""
    index = np.concatenate([np.arange(len(labels)), *[np.flatnonzero(changed)] * (burst - 1)])
    X = rows.X[index]
    rng = np.random.default_rng([seed, burst])
    copies = X[len(labels) :]
    X[len(labels) :] = np.maximum(copies + JITTER * rows.X.std(axis=0) * rng.standard_normal(copies.shape), 0)
    return X, labels[index], rows.groups[index], changed[index]


def logistic(X: NDArray[np.float32], y: NDArray[np.intp], groups: NDArray[np.intp], seed: int) -> Floats:
    """cleanlab's margin, by a tuned logistic regression that has not seen the row's group."""
    from cleanlab.rank import get_label_quality_scores

    unit = normalize(X)
    folds = list(StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(X, y, groups))
    learnt, held = folds[0]
    losses = []
    for C in C_GRID:
        p = LogisticRegression(C=C, max_iter=500).fit(unit[learnt], y[learnt]).predict_proba(unit[held])
        losses.append(float(log_loss(y[held], p, labels=np.unique(y))))
    model = LogisticRegression(C=C_GRID[int(np.argmin(losses))], max_iter=500)
    best = cross_val_predict(model, unit, y, cv=folds, method="predict_proba")
    return np.asarray(get_label_quality_scores(y, best, method="normalized_margin"))


def votes(X: NDArray[np.float32], y: NDArray[np.intp], groups: NDArray[np.intp]) -> Floats:
    """The share of the nearest rows of other groups that has the label, less that of the commonest other label."""
    unit = normalize(X)
    likeness = unit @ unit.T
    likeness[groups[:, None] == groups] = -np.inf
    nearest = np.argsort(-likeness, axis=1)[:, : max(NEIGHBOURS)]
    classes, own = np.eye(y.max() + 1), np.arange(len(y))
    tried = [classes[y[nearest[:, :k]]].mean(axis=1) for k in NEIGHBOURS]
    best = max(tried, key=lambda share: float((share.argmax(axis=1) == y).mean()))
    given = best[own, y].copy()
    best[own, y] = -1
    return np.asarray(given - best.max(axis=1))


def doubt(classical: Rows) -> Floats:
    """Held-out probabilities of a logistic regression on the classical features, for instance noise."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
    folds: Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]] = list(
        StratifiedGroupKFold(5, shuffle=True, random_state=0).split(classical.X, classical.y, classical.groups)
    )
    return np.asarray(cross_val_predict(model, classical.X, classical.y, cv=folds, method="predict_proba"))


if __name__ == "__main__":
    with threadpool_limits(1):  # threads in each other's way cost more than they bring
        program(__doc__, measure)
