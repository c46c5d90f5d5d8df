"""How time and memory of an ingest grow with the number of images.

    python benchmarks/scaling.py            10,000, 30,000 and 100,000 random images, and fashion-MNIST
    python benchmarks/scaling.py --quick    1,000 and 3,000 random images, and fashion-MNIST's test part

Each ingest runs in a process of its own, whose peak memory and time for each image are told. Random images are 28 x 28
grey PNGs, all different and none like another. The pictures of fashion-MNIST are real, and a few are nearly alike.
Linear means that an image costs no more among many than among few; judged by the processor's time, which other
processes on the machine hardly change.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench import Figure, in_child, peak_mb, program, say
from material import find, write_pngs

CLASSES = 10
SEED = 0
MOST_MEMORY = 1000.0  # MB
MOST_GROWTH = 1.25  # times what an image costs among the fewest; noise of a shared machine, not a slope


def child(place: str, folder: str, warm_up: str) -> None:
    """Ingests a folder into a new project; prints time and peak memory, of the process before it began too.

    Before that it ingests a few images elsewhere: what Python spends on imports is no cost of an image.
    """
    from pellucid.project import Project

    marks: list[tuple[str, float, float]] = []

    def progress(what: str, done: int, total: int | None) -> None:
        if not marks or marks[-1][0] != what:
            marks.append((what, time.perf_counter(), peak_mb()))

    with Project.init(f"{place}-warm-up") as project:
        project.ingest(warm_up, "few")
    Project.init(place).close()
    with Project(place, progress=progress) as project:
        before, start, used = peak_mb(), time.perf_counter(), time.process_time()
        report = project.ingest(folder, "many")
        end, used = time.perf_counter(), time.process_time() - used
    at = {what: (seconds - start, memory) for what, seconds, memory in marks}
    size = sum(file.stat().st_size for file in (Path(place) / ".pellucid").glob("pellucid.db*"))
    print(
        json.dumps(
            {
                "images": report.version.counts["images"],
                "seconds": end - start,
                "cpu": used,
                "listing": at["reading"][0],
                "reading": at["grouping"][0] - at["reading"][0],
                "grouping": end - start - at["grouping"][0],
                "before_mb": before,
                "reading_mb": at["grouping"][1],
                "peak_mb": peak_mb(),
                "database_mb": size / 1e6,
                "near": report.findings.get("near_duplicate", 0),
            }
        )
    )


def random_folder(number: int, folder: Path) -> Path:
    """Pictures of random pixels; drawn in parts, so that making them takes little memory."""
    rng = np.random.default_rng(SEED)
    for start in range(0, number, 10_000):
        count = min(10_000, number - start)
        pictures = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        write_pngs(pictures, rng.integers(0, CLASSES, count), folder / f"part-{start:06}")
    for part in list(folder.iterdir()):  # names must not repeat within a class
        for name in list(part.iterdir()):
            (folder / name.name).mkdir(exist_ok=True)
            for file in list(name.iterdir()):
                file.rename(folder / name.name / f"{part.name}-{file.name}")
            name.rmdir()
        part.rmdir()
    return folder


def fashion_folder(folder: Path, *, quick: bool) -> Path:
    """The pictures of fashion-MNIST under ``train/CLASS`` and ``test/CLASS``."""
    with np.load(find("data/fashion_mnist.npz"), allow_pickle=False) as arrays:
        names = {key: arrays[key] for key in arrays.files}
    for split in ("test",) if quick else ("train", "test"):
        pictures = names[f"x_{split}"].reshape(-1, 28, 28)
        write_pngs(pictures, names[f"y_{split}"].astype(np.int64), folder / split)
    return folder


def ingest(name: str, folder: Path, scratch: Path) -> dict[str, Any]:
    """What a process of its own says about the ingest of the folder."""
    result = in_child(__file__, scratch / f"project-{name}", folder, scratch / "warm-up")
    say(f"{name}: {json.dumps({key: round(value, 2) for key, value in result.items()})}")
    return result


def measure(quick: bool) -> list[Figure]:
    """Smallest first."""
    sizes = (1000, 3000) if quick else (10_000, 30_000, 100_000)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="pellucid-bench-") as place:
        scratch = Path(place)
        random_folder(100, scratch / "warm-up")
        first = 0.0
        for number in sizes:
            result = ingest(str(number), random_folder(number, scratch / f"random-{number}"), scratch)
            cost = result["cpu"] / number
            first = first or cost
            parts = ", ".join(
                f"{part} {result[part] / number * 1e3:.2f}" for part in ("listing", "reading", "grouping")
            )
            figures.append(Figure(f"{number:,} images", result["seconds"] / number * 1e3, "ms/image", remark=parts))
            figures.append(Figure("... processor time", cost * 1e3, "ms/image"))
            if number > sizes[0]:
                title = f"... times that of {sizes[0]:,} images"
                figures.append(Figure(title, cost / first, at_most=MOST_GROWTH))
            memory = f"{result['before_mb']:.0f} before, {result['reading_mb']:.0f} after reading"
            figures.append(Figure("... peak memory", result["peak_mb"], "MB", at_most=MOST_MEMORY, remark=memory))
            figures.append(Figure("... database", result["database_mb"], "MB"))
        result = ingest("fashion", fashion_folder(scratch / "fashion", quick=quick), scratch)
        images = result["images"]
        near = f"{result['near']} groups of near-duplicates"
        figures.append(
            Figure(f"fashion-MNIST, {images:,} images", result["seconds"] / images * 1e3, "ms/image", remark=near)
        )
        figures.append(Figure("... peak memory", result["peak_mb"], "MB", at_most=MOST_MEMORY))
    return figures


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        program(__doc__, measure)
