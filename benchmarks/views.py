"""What mirrored and turned copies of pictures are worth: averaged (`views:`), or trained on.

    python benchmarks/views.py            trashnet, sugarcane and malaria, a quarter of an hour on two cores
    python benchmarks/views.py --quick    trashnet, mirrored only

Accuracies of the ridge head on pictures as they are, cross-validated in five parts which tear no group of
near-duplicates, and of malaria no patient, the same for all. *Averaged* is what ``views:NAME:SPEC`` gives, one vector
of a picture and its copies, in training and in serving. *Trained on* is augmentation as usual: the head learns the
copies as pictures of their own, and is asked about pictures as they are. *Lying anyhow* asks about a copy drawn by
chance.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from bench import Figure, program, say
from material import Rows, embedded
from pellucid import RidgeClassifier
from pellucid.features.views import VIEWS

Hits = NDArray[np.bool_]  # (n,) which images are told right


def averaged(rows: Rows, views: list[int]) -> Hits:
    """One vector a picture, the mean of its views; ``[0]`` is the picture as it is."""
    mean = replace(rows, X=rows.X[:, views].mean(axis=1, keepdims=True))
    return trained_on(mean, [0], np.zeros(len(rows.X), np.intp))


def trained_on(rows: Rows, views: list[int], asked: NDArray[np.intp]) -> Hits:
    """Every view a row; ``asked`` (n,) is the view that is to be told."""
    found = np.empty(len(rows.X), np.intp)
    for train, test in GroupKFold(5).split(rows.X, rows.y, rows.groups):
        X = rows.X[train][:, views].reshape(-1, rows.X.shape[2])
        y, groups = (np.repeat(values[train], len(views)) for values in (rows.y, rows.groups))
        found[test] = RidgeClassifier().fit(X, y, groups=groups).predict(rows.X[test, asked[test]])
    return np.equal(found, rows.y)


def compared(name: str, names: Mapping[str, list[int]]) -> Iterator[Figure]:
    """One data set: plain, and each set of views averaged and trained on."""
    rows = embedded(name, copies=VIEWS["all"])
    as_is = np.zeros(len(rows.X), np.intp)
    anyhow = np.random.default_rng(0).integers(0, rows.X.shape[1], len(rows.X))
    plain = averaged(rows, [0])
    yield Figure(f"{name}, as it is: accuracy", float(plain.mean()), remark=f"{len(plain):,} images")
    for views, places in names.items():
        for way, hits in (("averaged", averaged(rows, places)), ("trained on", trained_on(rows, places, as_is))):
            say(f"{name}, {views}, {way}: {hits.mean():.4f}")
            change = 100 * (hits.astype(float) - plain)
            half = 1.96 * change.std() / np.sqrt(len(change))
            remark = f"of {hits.mean():.4f}; 95 % interval ±{half:.2f}, paired"
            yield Figure(f"... {views} {way}: points more", float(change.mean()), remark=remark)
    hits = trained_on(rows, [0], anyhow)
    yield Figure("... lying anyhow, as it is: points less", float(100 * (plain.mean() - hits.mean())))
    hits = trained_on(rows, names.get("all", [0, 1]), anyhow)
    yield Figure("... lying anyhow, all trained on: points less", float(100 * (plain.mean() - hits.mean())))


def measure(quick: bool) -> list[Figure]:
    """Each data set."""
    names = {name: [0, *(1 + VIEWS["all"].index(way) for way in ways)] for name, ways in VIEWS.items()}
    figures: list[Figure] = []
    for name in ("trashnet",) if quick else ("trashnet", "sugarcane", "malaria"):
        figures += compared(name, {"mirror": names["mirror"]} if quick else names)
    return figures


if __name__ == "__main__":
    program(__doc__, measure)
