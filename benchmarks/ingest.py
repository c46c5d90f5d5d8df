"""How fast images are ingested, against only reading and decoding the same files.

    python benchmarks/ingest.py            2,000 JPEGs of 224 px
    python benchmarks/ingest.py --quick    200 of them

Ingest validates, hashes, looks for duplicates, keeps a copy of every image, and writes its records to the database;
each round goes to a new project. The bare loop reads and fully decodes the files on a pool of as many threads as
there are cores. Making a new file costs the disk's file system much, ext4 more than usual for minutes after many files
were deleted; so ingest into a project in memory is measured beside it, where there is a place for that.
"""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from PIL import Image

from bench import Figure, alternate, program, usable_cores
from material import photographs
from pellucid.project import Project


def decode_all(files: Sequence[Path], pool: ThreadPoolExecutor) -> None:
    """Reads and decodes, and nothing else."""

    def decode(batch: Sequence[Path]) -> None:
        for file in batch:
            with Image.open(io.BytesIO(file.read_bytes())) as image:
                image.convert("RGB")

    for _ in pool.map(decode, [files[start : start + 16] for start in range(0, len(files), 16)]):
        pass


def places() -> dict[str, str | None]:
    """Where projects are made: the usual temporary folder, and one in memory where Linux has it."""
    memory = Path("/dev/shm")
    return {"on disk": None} | ({"in memory": str(memory)} if os.access(memory, os.W_OK) else {})


def measure(quick: bool) -> list[Figure]:
    """Both in turn, each round into a new project."""
    number, rounds = (200, 2) if quick else (2000, 7)
    with photographs(number) as folder, contextlib.ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(usable_cores()))
        files = sorted(folder.glob("*/*.jpg"))
        contenders: dict[str, Callable[[], object]] = {"bare": lambda: decode_all(files, pool)}
        decode_all(files, pool)
        for where, parent in places().items():
            scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="pellucid-bench-", dir=parent))
            projects = [stack.enter_context(Project.init(Path(scratch) / str(index))) for index in range(rounds + 1)]
            projects.pop().ingest(folder, "photographs")  # imports are no part of the work
            contenders[where] = partial(ingest, iter(projects), folder)
        turns = alternate(contenders, rounds)
    figures = [
        Figure("only reading and decoding", number / turns.median("bare"), "images/s", remark=f"{number:,} files")
    ]
    for where in list(contenders)[1:]:
        share = turns.speed(where, "bare")
        figures += [
            Figure(f"ingest, project {where}", number / turns.median(where), "images/s"),
            Figure("... / only reading and decoding", share, at_least=0.7, remark=turns.spread(where, "bare")),
        ]
    return figures


def ingest(projects: Iterator[Project], folder: Path) -> None:
    """Into the next project."""
    next(projects).ingest(folder, "photographs")


if __name__ == "__main__":
    program(__doc__, measure)
