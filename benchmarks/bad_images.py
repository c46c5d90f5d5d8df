"""Telling corrupted pictures from clean ones of the same classes, by features alone and with pixel statistics.

    python benchmarks/bad_images.py            trashnet and sugarcane, 4 seeds, MobileNetV2
    python benchmarks/bad_images.py --quick    trashnet, 1 seed

Half of each data set is the reference. The other half is judged twice: as it is, and corrupted by boxes, mosaics or a
line, each picture by a seed of its own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import roc_auc_score

from bench import Figure, program, say, usable_cores
from material import backbone, extract
from pellucid import corrupt_image, image_quality
from pellucid.features.extractor import Extractor, open_extractor
from pellucid.noise import PixelStatistics, pixel_statistics

TARGETS = {"trashnet": 0.89, "sugarcane": 0.93}


def measure(quick: bool) -> list[Figure]:
    """Ranking of corrupted pictures, and how many of each kind are suspected."""
    extractor = open_extractor(f"onnx:{backbone()}")
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="pellucid-bench-") as scratch, ThreadPoolExecutor(usable_cores()) as pool:
        for name in ("trashnet",) if quick else TARGETS:
            files = sorted(extract(name, Path(scratch)).glob("*/*.jpg"))
            images = [Image.open(file).convert("RGB") for file in files]
            X, stats = embed(extractor, pool, images), [of(image) for image in images]
            rounds = []
            for seed in range(1 if quick else 4):
                order = np.random.default_rng(seed).permutation(len(images))
                judged, rest = order[: len(order) // 2], order[len(order) // 2 :]
                broken = [corrupt_image(images[i], "mixed", seed * 100_000 + int(i)).image for i in judged]
                rows = np.concatenate([embed(extractor, pool, broken), X[judged]])
                own = [*(of(image) for image in broken), *(stats[i] for i in judged)]
                found = image_quality(rows, X[rest], own, [stats[i] for i in rest])
                bad = np.arange(len(rows)) < len(judged)
                auc = [float(roc_auc_score(bad, values)) for values in (found.leverage, found.novelty, found.score)]
                rounds.append([*auc, found.suspect[bad].mean(), found.suspect[~bad].mean()])
                say(f"{name}, seed {seed}: AUROC {auc[-1]:.3f}")
            mean = np.mean(rounds, axis=0).tolist()
            figures += [
                Figure(f"{name}: AUROC of leverage", mean[0], remark=f"{len(rounds)} seeds"),
                Figure("... of the distance to five neighbours", mean[1]),
                Figure("... of image_quality's score", mean[2], at_least=TARGETS[name], remark="with pixel statistics"),
                Figure("... corrupted pictures suspected", mean[3]),
                Figure("... clean pictures suspected", mean[4]),
            ]
    return figures


def embed(extractor: Extractor, pool: ThreadPoolExecutor, images: Sequence[Image.Image]) -> NDArray[np.float32]:
    """Features (n, d)."""
    return np.concatenate(list(pool.map(lambda image: extractor.embed([image]), images)))


def of(image: Image.Image) -> PixelStatistics:
    """A picture's pixel statistics."""
    return pixel_statistics(np.asarray(image.convert("L")))


if __name__ == "__main__":
    program(__doc__, measure)
