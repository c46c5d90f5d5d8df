"""A second run over a folder that is known already: how long it takes, and whether an image is decoded.

    python benchmarks/rerun.py            2,000 JPEGs of 224 px, MobileNetV2
    python benchmarks/rerun.py --quick    200 of them

A run is a new Python process that opens the project, ingests the folder and embeds the dataset; its time is that of
the whole process. Decoding is counted where every decoder begins, at ``PIL.Image.open`` and ``PIL.Image.frombytes``;
that the first run counts each image twice (to validate it, and for its vector) shows that the counter works.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

from bench import Figure, in_child, program, say
from material import backbone, photographs


def child(place: str, folder: str, spec: str) -> None:
    """One run; prints what it did."""
    from PIL import Image

    from pellucid.project import Project

    opened = patch.object(Image, "open", side_effect=Image.open)
    decoded = patch.object(Image, "frombytes", side_effect=Image.frombytes)
    with opened as some, decoded as others, Project(place) as project:
        start = time.perf_counter()
        report = project.ingest(folder, "photographs")
        between = time.perf_counter()
        vectors = project.embed("photographs", spec)
        seconds = {"ingest": between - start, "embed": time.perf_counter() - between}
    print(json.dumps({"decoded": some.call_count + others.call_count, "new": report.new, "vectors": vectors} | seconds))


def measure(quick: bool) -> list[Figure]:
    """One first run and three second ones."""
    from pellucid.project import Project

    number = 200 if quick else 2000
    with photographs(number) as folder, tempfile.TemporaryDirectory(prefix="pellucid-bench-") as scratch:
        place = Path(scratch) / "project"
        Project.init(place).close()

        def run() -> dict[str, Any]:
            start = time.perf_counter()
            result = in_child(__file__, place, folder, f"onnx:{backbone()}")
            result["seconds"] = time.perf_counter() - start
            say(f"{result['seconds']:.2f} s, {result['decoded']} decoded")
            return result

        first, again = run(), [run() for _ in range(3)]
    return [
        Figure("first run", first["seconds"], "s", remark=f"{number:,} files, {first['new']:,} distinct images"),
        Figure(
            "images decoded by the first run",
            first["decoded"],
            at_least=2 * first["new"],
            remark=f"{first['vectors']:,} vectors computed",
        ),
        Figure("second run", statistics.median(run["seconds"] for run in again), "s", at_most=2.0),
        Figure("... of it ingest", statistics.median(run["ingest"] for run in again), "s"),
        Figure("... of it embedding", statistics.median(run["embed"] for run in again), "s"),
        Figure("images decoded by a second run", max(run["decoded"] for run in again), at_most=0),
    ]


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        program(__doc__, measure)
