"""How fast images are ingested, against only reading and decoding the same files.

    python benchmarks/ingest.py            2,000 JPEGs of 224 px
    python benchmarks/ingest.py --quick    200 of them

Ingest validates, hashes, looks for duplicates, keeps a copy of every image, and writes its records to the database;
each round goes to a new project. The bare loop reads and fully decodes the files on a pool of as many threads as
there are cores. Making the empty project (tables and folders) is done once in a project's life and shown on its own.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench import Figure, alternate, program, timed, usable_cores
from material import photographs
from PIL import Image

from pellucid.project import Project


def decode_all(files: Sequence[Path], pool: ThreadPoolExecutor) -> None:
    """Reads and decodes, and nothing else."""

    def decode(batch: Sequence[Path]) -> None:
        for file in batch:
            with Image.open(io.BytesIO(file.read_bytes())) as image:
                image.convert("RGB")

    for _ in pool.map(decode, [files[start : start + 16] for start in range(0, len(files), 16)]):
        pass


def measure(quick: bool) -> list[Figure]:
    """Both in turn, each round into a new project."""
    number, rounds = (200, 2) if quick else (2000, 7)
    with (
        photographs(number) as folder,
        tempfile.TemporaryDirectory(prefix="pellucid-bench-") as scratch,
        ThreadPoolExecutor(usable_cores()) as pool,
    ):
        files = sorted(folder.glob("*/*.jpg"))
        with Project.init(Path(scratch) / "warm") as project:  # imports are no part of the work
            project.ingest(folder, "photographs")
        decode_all(files, pool)
        places = [Path(scratch) / f"project-{index}" for index in range(rounds)]
        projects: list[Project] = []
        opening = [timed(lambda place=place: projects.append(Project.init(place))) for place in places]  # type: ignore[misc]
        unused = iter(projects)
        turns = alternate(
            {
                "bare": lambda: decode_all(files, pool),
                "ingest": lambda: next(unused).ingest(folder, "photographs"),
            },
            rounds,
        )
        for project in projects:
            project.close()
    return [
        Figure("only reading and decoding", number / turns.median("bare"), "images/s", remark=f"{number:,} files"),
        Figure("ingest", number / turns.median("ingest"), "images/s"),
        Figure(
            "ingest / only reading and decoding",
            turns.speed("ingest", "bare"),
            at_least=0.7,
            remark=turns.spread("ingest", "bare"),
        ),
        Figure("making an empty project", min(opening), "s", remark="not part of the above"),
    ]


if __name__ == "__main__":
    program(__doc__, measure)
