"""The images and weights that the benchmarks measure on, found by ``PELLUCID_DATA``."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench import usable_cores
from pellucid.features.extractor import open_extractor

VARIABLE = "PELLUCID_DATA"


def find(name: str) -> Path:
    """A file of the data folder, ``data/trashnet.tar`` or ``weights/mobilenetv2_100.onnx``.

    Raises SystemExit, which says what is missing, where there is none.
    """
    root = os.environ.get(VARIABLE)
    if not root:
        raise SystemExit(f"{VARIABLE} is not set; set it to the folder that holds {name}")
    path = Path(root).expanduser().resolve() / name
    if not path.is_file():
        raise SystemExit(f"{path} is missing; set {VARIABLE} to the folder that holds {name}")
    return path


def backbone() -> Path:
    """MobileNetV2 in ONNX form: 224 x 224 pixels to 1,280 features."""
    return find("weights/mobilenetv2_100.onnx")


def extract(name: str, target: Path) -> Path:
    """Unpacks ``data/NAME.tar`` and returns its folder, which holds class folders and manifest.csv."""
    with tarfile.open(find(f"data/{name}.tar")) as archive:
        archive.extractall(target, filter="data")
    return target / name


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """A data set as an extractor sees it."""

    X: NDArray[np.float32]  # (n, d), or (n, 1 + copies, d)
    y: NDArray[np.intp]  # (n,) the class, in the order of their names
    groups: NDArray[np.intp]  # (n,) images of the same thing, or of one patient, share a number, by the manifest


def embedded(name: str, spec: str | None = None, copies: Sequence[Image.Transpose] = ()) -> Rows:
    """All images of ``data/NAME.tar`` through an extractor, the backbone by default, in the order of the manifest.

    Args:
        copies: mirrored and turned ones, of which the vectors are wanted too.
    """
    extractor = open_extractor(spec or f"onnx:{backbone()}")
    with tempfile.TemporaryDirectory(prefix="pellucid-bench-") as scratch:
        folder = extract(name, Path(scratch))
        with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
            lines = list(csv.DictReader(file))

        def embed(line: dict[str, str]) -> NDArray[np.float32]:
            with Image.open(folder / line["file"]) as file:
                image = file.convert("RGB")
            found = extractor.embed([image, *(image.transpose(way) for way in copies)])
            return found[None] if copies else found

        with ThreadPoolExecutor(usable_cores()) as pool:
            X = np.concatenate(list(pool.map(embed, lines)))
    y = np.unique([line["label"] for line in lines], return_inverse=True)[1]
    same = next(key for key in ("dup_group", "patient") if key in lines[0])
    groups = np.unique([line[same] for line in lines], return_inverse=True)[1]
    return Rows(X, y.astype(np.intp), groups.astype(np.intp))


@contextlib.contextmanager
def photographs(number: int) -> Iterator[Path]:
    """A temporary folder of class folders with so many JPEGs of trashnet, longer side 224 pixels, and nothing else."""
    with tempfile.TemporaryDirectory(prefix="pellucid-bench-") as scratch:
        folder = extract("trashnet", Path(scratch))
        (folder / "manifest.csv").unlink()
        files = sorted(folder.glob("*/*.jpg"))
        if len(files) < number:
            raise SystemExit(f"trashnet.tar holds {len(files)} JPEGs; wanted are {number}")
        chosen = {files[index * len(files) // number] for index in range(number)}  # from all classes
        for file in set(files) - chosen:
            file.unlink()
        yield folder


def write_pngs(pictures: NDArray[np.uint8], labels: NDArray[np.int64], folder: Path) -> Path:
    """Grey pictures (n, height, width) as PNG class folders."""
    for label in np.unique(labels).tolist():
        (folder / f"class-{label}").mkdir(parents=True, exist_ok=True)
    for index, (picture, label) in enumerate(zip(pictures, labels.tolist(), strict=True)):
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "PNG", compress_level=1)
        (folder / f"class-{label}" / f"{index:06}.png").write_bytes(buffer.getvalue())
    return folder
