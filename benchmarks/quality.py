"""How good the models and the findings are on real data whose defects are known.

    python benchmarks/quality.py            5 splits of trashnet; near-duplicates of four data sets: some minutes
    python benchmarks/quality.py --quick    1 split

Test accuracy is the mean over splits that differ in their seed, near-duplicates kept on one side; every head learns
from the same vectors of MobileNetV2. The truth about defects comes from the manifests: files with equal sha256 and
different labels are conflicts, images with the same ``dup_group`` show the same thing. That column was made by
somebody's own method: pairs on which it and Pellucid differ were looked at, see SAME and DIFFERENT. Of malaria cells
and handwritten digits no two images are the same, so each one that is joined with another is joined wrongly.
"""

from __future__ import annotations

import csv
import statistics
import tempfile
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bench import Figure, program, say
from material import backbone, extract, find, write_pngs
from pellucid.features.similar import MAX_DISTANCE, perceptual_hash
from pellucid.flow.data.ingest import IngestReport
from pellucid.flow.training.learn import gather
from pellucid.heads.head import build_head
from pellucid.project import Project
from pellucid.store.samples import sketches_of

Pair = tuple[str, str]
Portions = tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.float32], NDArray[np.intp]]

ACCURACY = 0.84  # of ridge on trashnet, the project's bar

# Pairs on which Pellucid and the manifests differ, looked at on 2026-11-21: the same object in the same place, a moment
# later or otherwise lit ...
SAME: dict[str, set[Pair]] = {
    "trashnet": {
        ("cardboard/cardboard15.jpg", "cardboard/cardboard361.jpg"),
        ("paper/paper123.jpg", "paper/paper547.jpg"),
        ("paper/paper136.jpg", "paper/paper148.jpg"),
        ("paper/paper39.jpg", "paper/paper467.jpg"),
        ("paper/paper457.jpg", "paper/paper553.jpg"),
        ("paper/paper459.jpg", "paper/paper466.jpg"),
        ("paper/paper522.jpg", "paper/paper534.jpg"),
    },
    "sugarcane": {
        ("RedRot/redrot_144_.jpg", "RedRot/redrot_204_.jpg"),
        *combinations([f"Healthy/healthy_{number}_.jpg" for number in (402, 503, 504, 505, 506, 507)], 2),
    },
}
# ... or not: a plain sheet, the inside of a box, and a box.
DIFFERENT: dict[str, set[Pair]] = {
    "trashnet": {
        ("cardboard/cardboard208.jpg", "cardboard/cardboard221.jpg"),
        ("cardboard/cardboard208.jpg", "cardboard/cardboard83.jpg"),
        ("cardboard/cardboard221.jpg", "cardboard/cardboard83.jpg"),
    },
    "sugarcane": set(),
}


def manifest(folder: Path) -> list[dict[str, str]]:
    """The rows of a data set's manifest.csv."""
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def pairs_of(groups: Iterable[Iterable[str]]) -> set[Pair]:
    """All pairs within the groups, the smaller name first."""
    return {pair for group in groups for pair in combinations(sorted(set(group)), 2)}


def heads(seed: int) -> dict[str, Callable[[], Any]]:
    """What is compared: Pellucid's heads with their defaults, and scikit-learn's logistic regression."""
    return {
        "ridge": lambda: build_head("ridge", {}, seed=seed),
        "logistic": lambda: build_head("logistic", {}, seed=seed),
        "scikit-learn LogisticRegression": lambda: LogisticRegression(max_iter=2000),
        "... on standardised vectors": lambda: make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)),
    }


def portions(project: Project, dataset: str) -> Portions:
    """Training and test images of a version as arrays."""
    extractor = project.workspace.extractor(f"onnx:{backbone()}")
    material = gather(project.workspace, project.inspect(dataset).version, extractor)
    return material.train.X, material.train.y, material.test.X, material.test.y


def accuracies(project: Project, source: Path, seeds: Sequence[int]) -> dict[str, list[float]]:
    """Test accuracy of each head on each split."""
    found: dict[str, list[float]] = defaultdict(list)
    for seed in seeds:
        project.ingest(source, f"trashnet-{seed}", seed=seed)
        X, y, X_test, y_test = portions(project, f"trashnet-{seed}")
        for name, build in heads(seed).items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                head = build().fit(X, y)
            answers = np.asarray(head.classes_)[head.predict_proba(X_test).argmax(axis=1)]
            found[name].append(float(np.mean(answers == y_test)))
        say(f"seed {seed}: " + ", ".join(f"{name} {values[-1]:.4f}" for name, values in found.items()))
    return found


def conflict_figures(project: Project, dataset: str, rows: Sequence[Mapping[str, str]]) -> list[Figure]:
    """Images whose bytes occur under two labels: how many there are, and how many of them were found."""
    labels: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        labels[row["sha256"]].add(row["label"])
    truth = {name for name, said in labels.items() if len(said) > 1}
    findings = project.inspect(dataset).findings
    found = {name for item in findings if item.kind == "conflict" for name in item.samples}
    alike = sum(item.kind == "near_conflict" for item in findings)
    return [
        Figure("trashnet: images under two labels", len(truth), remark="byte-identical, by the manifest"),
        Figure("... found", len(found & truth), at_least=len(truth)),
        Figure("... reported beside them", len(found - truth), at_most=0),
        Figure("... near-identical under two labels", alike, remark="groups, reported apart"),
    ]


def duplicate_figures(project: Project, name: str, rows: Sequence[Mapping[str, str]]) -> list[Figure]:
    """Pairs of files that show the same thing: Pellucid's against the manifest's, and against the looked-at truth."""
    label, shown = {row["file"]: row["sha256"] for row in rows}, defaultdict(list)
    for row in rows:
        shown[row["dup_group"]].append(row["file"])
    said = pairs_of(shown.values())
    group = {sample: samples[0] for samples in near_groups(project, name) for sample in samples}
    joined = defaultdict(list)
    for file, sample in label.items():
        joined[group.get(sample, sample)].append(file)
    found = pairs_of(joined.values())
    known = said - DIFFERENT[name]
    truth = known | SAME[name]
    unseen = (said ^ found) - SAME[name] - DIFFERENT[name] - (said & truth)
    twins = {(a, b) for a, b in truth if label[a] == label[b]}
    return [
        Figure(f"{name}: pairs of files found alike", len(found), remark=f"{len(said)} by the manifest"),
        Figure("... precision by the manifest", share(said & found, found)),
        Figure("... recall by the manifest", share(said & found, said)),
        Figure("... recall without what was seen to differ", share(known & found, known), at_least=0.95),
        Figure(
            "... precision by eye",
            share(truth & found, found),
            at_least=0.99,
            remark=f"{len(unseen)} differences from the manifest not looked at",
        ),
        Figure("... recall by eye", share(truth & found, truth), remark=f"{len(truth)} pairs"),
        Figure(
            "... recall by eye, not byte-identical",
            share((truth - twins) & found, truth - twins),
            remark=f"{len(truth - twins)} pairs",
        ),
    ]


def share(part: set[Pair], whole: set[Pair]) -> float:
    """How much of the whole the part is; 1 where there is nothing."""
    return len(part) / len(whole) if whole else 1.0


def near_groups(project: Project, dataset: str) -> list[tuple[str, ...]]:
    """The groups of near-duplicates that were found."""
    return [item.samples for item in project.inspect(dataset).findings if item.kind == "near_duplicate"]


def joined_figures(project: Project, name: str) -> list[Figure]:
    """Images that were joined with another, and how many a hash alone would have joined."""
    ids = sorted(row.sample for row in project.inspect(name).rows)
    with project.workspace.database.read() as connection:
        sketches = sketches_of(connection, ids)
    hashes = np.array([perceptual_hash(sketch.tobytes()) for sketch in sketches], np.uint64)
    near = np.zeros(len(hashes), np.bool_)
    for index, own in enumerate(hashes):
        distance = np.bitwise_count(hashes ^ own)
        distance[index] = 64
        near[index] = distance.min() <= MAX_DISTANCE
    joined = sum(len(group) for group in near_groups(project, name))
    return [
        Figure(f"{name}: images wrongly joined", joined, remark=f"of {len(ids):,}"),
        Figure("... by the hash alone", int(near.sum()), remark=f"have another one within {MAX_DISTANCE} bits"),
    ]


def told(report: IngestReport) -> None:
    """One line on what an ingest found."""
    say(f"{report.version.ref}: {report.version.counts['images']} images, {dict(report.findings)}")


def measure(quick: bool) -> list[Figure]:
    """One project with all the data sets."""
    seeds = range(1 if quick else 5)
    figures: list[Figure] = []
    with (
        tempfile.TemporaryDirectory(prefix="pellucid-bench-") as place,
        Project.init(Path(place) / "project") as project,
    ):
        scratch = Path(place)
        results = accuracies(project, find("data/trashnet.tar"), seeds)
        for name, values in results.items():
            remark = f"{min(values):.3f} to {max(values):.3f} over {len(values)} splits"
            bar = ACCURACY if name == "ridge" else None
            title = f"trashnet, {name}" if name[0].isalpha() else name
            figures.append(Figure(title, statistics.mean(values), at_least=bar, remark=remark))
        rows = {name: manifest(extract(name, scratch)) for name in ("trashnet", "sugarcane")}
        figures += conflict_figures(project, "trashnet-0", rows["trashnet"])
        for name in ("trashnet", "sugarcane", "malaria"):
            told(project.ingest(find(f"data/{name}.tar"), name))
        digits = load_digits()
        pictures = (digits.images * (255 / 16)).round().astype(np.uint8)
        told(project.ingest(write_pngs(pictures, digits.target.astype(np.int64), scratch / "digits"), "digits"))
        for name in ("trashnet", "sugarcane"):
            figures += duplicate_figures(project, name, rows[name])
        for name in ("malaria", "digits"):
            figures += joined_figures(project, name)
    return figures


if __name__ == "__main__":
    program(__doc__, measure)
