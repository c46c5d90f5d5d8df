"""How fast a folder of photographs becomes vectors, against the best bare loop that also reads and decodes.

    python benchmarks/embedding.py            2,000 JPEGs of 224 px, MobileNetV2: some minutes on two cores
    python benchmarks/embedding.py --quick    200 of them

A bare loop reads files, decodes them with Pillow, resizes, normalises and runs onnxruntime: no limits, no headers
checked, no cache, no digests. Which number of sessions, threads and pictures a batch is best differs between
machines, so all are tried on a part of the files first and the fastest is what Pellucid is measured against.
``embed_stream`` reads the same files, in short turns; ``Project.embed`` reads stored images of an ingested dataset,
checks each digest and writes the vectors to the cache, model and database opened anew in every round.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench import Figure, Turns, alternate, program, usable_cores
from material import backbone, photographs
from pellucid.features.extractor import open_extractor
from pellucid.features.pipeline import embed_stream
from pellucid.project import Project

Files = Sequence[Path]
Loop = Callable[[Files], NDArray[np.float32]]

PART = 200  # files of a short turn
SCALE = (1 / (255 * np.array([0.229, 0.224, 0.225]))).astype(np.float32)[:, None, None]
SHIFT = (-np.array([0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]).astype(np.float32)[:, None, None]


def session(threads: int) -> Any:
    """An onnxruntime session of the backbone that runs on so many threads."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(backbone()), options, providers=["CPUExecutionProvider"])


def pixels(file: Path) -> NDArray[np.float32]:
    """Read, decode, resize, normalise: (3, 224, 224). Of five ways to write the last step the fastest."""
    with Image.open(file) as image:
        small = image.convert("RGB").resize((224, 224), Image.Resampling.BICUBIC)
    out = np.empty((3, 224, 224), np.float32)
    np.multiply(np.asarray(small).transpose(2, 0, 1), SCALE, out=out)
    out += SHIFT
    return out


def run(model: Any, batch: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vectors (n, 1280)."""
    result: NDArray[np.float32] = model.run(None, {"pixels": batch})[0]
    return result


def plain_loop(threads: int) -> Loop:
    """One picture after the other; only the model uses several threads."""
    model = session(threads)
    return lambda files: np.concatenate([run(model, pixels(file)[None]) for file in files])


def batched(size: int, threads: int) -> Loop:
    """Batches into one session of many threads, while a thread decodes the next ones."""
    model = session(threads)

    def loop(files: Files) -> NDArray[np.float32]:
        with ThreadPoolExecutor(1) as pool:
            parts: Iterator[Files] = iter([files[start : start + size] for start in range(0, len(files), size)])
            ahead = [pool.submit(lambda part: np.stack([pixels(file) for file in part]), next(parts))]
            out = []
            while ahead:
                batch = ahead.pop().result()
                ahead.extend(
                    pool.submit(lambda part: np.stack([pixels(file) for file in part]), part)
                    for part in islice(parts, 1)
                )
                out.append(run(model, batch))
            return np.concatenate(out)

    return loop


def workers(pool: Executor, number: int, work: Callable[[Files], NDArray[np.float32]]) -> Loop:
    """Each worker takes shares of the files from bytes to vectors."""

    def loop(files: Files) -> NDArray[np.float32]:
        share = 16  # files at a time, so that no worker waits long for the last
        return np.concatenate(list(pool.map(work, [files[at : at + share] for at in range(0, len(files), share)])))

    return loop


def threads_loop(number: int, size: int, *, shared: bool) -> Loop:
    """Threads, each with its own one-thread session or all with the same one."""
    own = threading.local()
    common = session(1) if shared else None

    def work(files: Files) -> NDArray[np.float32]:
        if not hasattr(own, "model"):
            own.model = common or session(1)
        return np.concatenate(
            [
                run(own.model, np.stack([pixels(file) for file in files[at : at + size]]))
                for at in range(0, len(files), size)
            ]
        )

    return workers(ThreadPoolExecutor(number), number, work)


_PROCESS: dict[str, Any] = {}  # of a worker process: its session, opened by `_open`


def _open() -> None:
    _PROCESS["model"] = session(1)


def _work(files: Files) -> NDArray[np.float32]:
    return np.concatenate([run(_PROCESS["model"], pixels(file)[None]) for file in files])


def bare_loops(pool: ProcessPoolExecutor) -> dict[str, Loop]:
    """The candidates by name."""
    cores = usable_cores()
    return {
        f"1 session of {cores} threads, batch 1": plain_loop(cores),
        f"1 session of {cores} threads, batch 16, decoding ahead": batched(16, cores),
        f"{cores} threads sharing 1 session, batch 1": threads_loop(cores, 1, shared=True),
        f"{cores} threads, a session each, batch 1": threads_loop(cores, 1, shared=False),
        f"{cores} threads, a session each, batch 16": threads_loop(cores, 16, shared=False),
        f"{2 * cores} threads, a session each, batch 1": threads_loop(2 * cores, 1, shared=False),
        f"{cores} processes, a session each, batch 1": workers(pool, cores, _work),
    }


def measure(quick: bool) -> list[Figure]:
    """Find the best bare loop, then run it and both of Pellucid's ways in turn."""
    number, sample, rounds = (200, 64, 1) if quick else (2000, 160, 5)
    with (
        photographs(number) as folder,
        ProcessPoolExecutor(usable_cores(), initializer=_open) as pool,
        tempfile.TemporaryDirectory(prefix="pellucid-bench-") as scratch,
    ):
        files = sorted(folder.glob("*/*.jpg"))
        loops = bare_loops(pool)
        some = files[:: len(files) // sample][:sample]
        for loop in loops.values():
            loop(some[:32])  # opens sessions, warms up
        tried = alternate({name: partial(loop, some) for name, loop in loops.items()}, 1 if quick else 5)
        best = min(loops, key=tried.median)

        spec = f"onnx:{backbone()}"
        extractor = open_extractor(spec)
        found: dict[str, NDArray[np.float32]] = {}
        wanted: dict[str, NDArray[np.float32]] = {}

        def stream(part: Files) -> None:
            results = embed_stream(extractor, [(str(file), file.read_bytes) for file in part])
            found.update((name, vector) for name, vector in results if isinstance(vector, np.ndarray))

        def bare(part: Files) -> None:
            wanted.update(zip(map(str, part), loops[best](part), strict=True))

        mine, theirs = parts(files, PART), parts(files, PART)
        short = alternate({"bare": lambda: bare(next(theirs)), "ours": lambda: stream(next(mine))}, 4 * rounds)
        with Project.init(Path(scratch) / "project") as project:
            project.ingest(folder, "photographs")

            def embed() -> None:
                shutil.rmtree(project.workspace.cache, ignore_errors=True)
                project.embed("photographs", spec)

            whole = alternate({"bare": lambda: bare(files), "ours": embed}, rounds)
        worst = max(float(np.abs(found[name] - wanted[name]).max()) for name in found)
    return [
        *(Figure(f"bare: {name}", sample / tried.median(name), "images/s", remark=f"{sample} files") for name in loops),
        *_pair("embed_stream", short, min(PART, number), best),
        *_pair("Project.embed", whole, number, best),
        Figure("largest difference of a feature", worst, remark="between embed_stream and the bare loop"),
    ]


def parts(files: Files, size: int) -> Iterator[Files]:
    """Endlessly the next so many files: short turns, because a busy machine is not equally busy for long."""
    while True:
        yield from (files[start : start + size] for start in range(0, len(files), size))


def _pair(name: str, turns: Turns, number: int, best: str) -> Iterator[Figure]:
    yield Figure("best bare loop", number / turns.median("bare"), "images/s", remark=f"{number:,} files a turn")
    yield Figure(name, number / turns.median("ours"), "images/s")
    share = turns.speed("ours", "bare")
    remark = f"{turns.spread('ours', 'bare', cpu='processes' not in best)}; bare: {best}"
    yield Figure(f"{name} / best bare loop", share, at_least=0.9, remark=remark)


if __name__ == "__main__":
    program(__doc__, measure)
