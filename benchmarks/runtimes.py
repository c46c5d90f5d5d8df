"""What a backbone costs by each runtime, and what a head makes of its vectors.

    python benchmarks/runtimes.py            trashnet and sugarcane, some minutes on two cores
    python benchmarks/runtimes.py --quick    400 pictures of trashnet

onnxruntime, OpenVINO in float32 and OpenVINO in bfloat16 where the processor has it. Speeds are of pictures that have
been decoded, one thread, turn by turn. Accuracies are those of the ridge head, cross-validated in five parts which tear
no group of near-duplicates, the same for all.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.model_selection import GroupKFold, cross_val_predict

from bench import Figure, alternate, program, say
from material import Rows, backbone, embedded, photographs
from pellucid import RidgeClassifier
from pellucid.errors import PellucidError
from pellucid.features.extractor import open_extractor

RUNTIMES = {"onnxruntime": "onnx:{}", "OpenVINO, f32": "openvino:{}", "OpenVINO, bf16": "openvino:{}?precision=bf16"}


def specs() -> Iterator[tuple[str, str]]:
    """Those that this machine has, onnxruntime first."""
    for name, form in RUNTIMES.items():
        spec = form.format(backbone())
        try:
            open_extractor(spec)
        except PellucidError as error:
            say(f"{name} is not measured: {error}")
        else:
            yield name, spec


def speeds(number: int, rounds: int) -> Iterator[Figure]:
    """Each runtime in turn."""
    with photographs(number) as folder:
        images = []
        for file in sorted(folder.rglob("*.jpg")):
            with Image.open(file) as image:
                images.append(image.convert("RGB"))
    opened = {name: open_extractor(spec) for name, spec in specs()}
    turns = alternate({name: partial(item.embed, images) for name, item in opened.items()}, rounds)
    first = next(iter(opened))
    for name in opened:
        yield Figure(name, len(images) / min(turns.seconds[name]), "images/s", remark="one thread, fastest round")
        if name != first:
            yield Figure(f"... / {first}", turns.speed(name, first), remark=turns.spread(name, first))


def right(rows: Rows) -> NDArray[np.bool_]:
    """Which images the head gets right that has not seen their part, (n,)."""
    found = cross_val_predict(RidgeClassifier(), rows.X, rows.y, groups=rows.groups, cv=GroupKFold(5))
    correct: NDArray[np.bool_] = found == rows.y
    return correct


def accuracies(name: str) -> Iterator[Figure]:
    """Of one data set, by each runtime."""
    base: tuple[Rows, NDArray[np.bool_]] | None = None
    for runtime, spec in specs():
        rows = embedded(name, spec)
        hit = right(rows)
        say(f"{name}, {runtime}: {hit.mean():.4f}")
        yield Figure(f"{name}, {runtime}: accuracy", float(hit.mean()), remark=f"{len(hit):,} images")
        if base is None:
            base = rows, hit
            continue
        change = 100 * (hit.astype(float) - base[1])
        half = 1.96 * change.std() / np.sqrt(len(change))
        yield Figure("... points more than by onnxruntime", change.mean(), remark=f"95 % interval ±{half:.2f}, paired")
        lengths = np.linalg.norm(rows.X, axis=1) * np.linalg.norm(base[0].X, axis=1)
        yield Figure("... cosine of the vectors", float(np.mean((rows.X * base[0].X).sum(axis=1) / lengths)))


def measure(quick: bool) -> list[Figure]:
    """Speeds, then accuracies."""
    figures = list(speeds(100 if quick else 400, 1 if quick else 5))
    for name in ("trashnet",) if quick else ("trashnet", "sugarcane"):
        figures += accuracies(name)
    return figures


if __name__ == "__main__":
    program(__doc__, measure)
