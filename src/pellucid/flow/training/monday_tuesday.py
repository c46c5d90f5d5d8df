"""Monday/Tuesday: the benchmark of learners on a second day of corrupted images and wrong labels, on any dataset."""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import DataError, PellucidError, UsageError
from pellucid.features.decode import Limits, decode
from pellucid.features.extractor import Extractor
from pellucid.flow.cells import Record, Results, run_cells
from pellucid.flow.data.embed import embed_samples, fill_cache
from pellucid.flow.data.look import look_widely, wide_parts, widen
from pellucid.flow.workspace import Progress, Workspace, no_progress
from pellucid.noise.corrupt import corrupt_image
from pellucid.protocol.days import Days, draw_days
from pellucid.protocol.desk import held_out
from pellucid.protocol.method import Method
from pellucid.protocol.problem import NOISES, Key, Problem, set_problem
from pellucid.protocol.score import METRICS, score
from pellucid.protocol.solve import Solver
from pellucid.protocol.table import Line, Outcome, summarise, to_csv, to_markdown
from pellucid.store.blobs import write_whole
from pellucid.store.datasets import get_version
from pellucid.store.manifests import read_manifest
from pellucid.store.vectors import VectorCache
from pellucid.types import DatasetVersion, Status
from pellucid.version import VERSION

PROTOCOL = 2  # count it up whenever the same plan would give other figures
CORRUPTION = "mixed 1"  # of Tuesday's images; the number goes up whenever `corrupt_image` gives other pixels
INSTANCE_L2 = (
    0.03  # of the logistic regression that makes instance-dependent noise; the default, which suits clean labels
)

_RESULTS = "results.jsonl"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be measured."""

    dataset: str  # reference, "trash" or "trash@2"; its labels count as true
    methods: tuple[Method, ...]
    noises: tuple[tuple[str, float], ...] = (("symmetric", 0.3),)  # kind and rate, 0..1
    seeds: tuple[int, ...] = tuple(range(20))
    extractor: str | None = None  # specification; the project's own where None
    monday: int | None = None  # at most so many of Monday's images to learn from
    tuesday: int | None = None  # the same of Tuesday's
    by: str = "mean"  # what the table is sorted and compared by: "mean", "monday" or "tuesday"


@dataclass(frozen=True, slots=True)
class Benchmark:
    """What came out."""

    version: DatasetVersion
    lines: tuple[Line, ...]
    folder: Path  # with results.jsonl, table.md, table.csv and plot.png
    computed: int  # cells that this run added
    kept: int  # cells that were there already
    failed: Mapping[str, str]  # method -> why it could not be done, of the first such cell


@dataclass(frozen=True, slots=True)
class _Material:
    """A dataset version as arrays."""

    version: DatasetVersion
    ids: tuple[str, ...]
    y: NDArray[np.intp]  # (n,) true classes
    groups: NDArray[np.intp]  # (n,)


def run_benchmark(
    workspace: Workspace,
    plan: Plan,
    folder: Path,
    *,
    jobs: int = 1,
    again: bool = False,
    progress: Progress = no_progress,
) -> Benchmark:
    """Measures what the folder has no result for yet, and writes table and plot over all that the plan names.

    A cell is one method on one seed, kind and rate of noise. Each is kept as it ends, so a run that was stopped goes
    on where it was.

    Args:
        folder: where results, tables and plot are; made where it is missing.
        jobs: processes; with 1 everything runs in this one. A program that asks for more needs the usual
            ``if __name__ == "__main__":``.
        again: measures all cells anew.

    Raises:
        UsageError: an unknown kind of noise, or a rate outside 0..1.
        NotFoundError, DataError: there is no such dataset, or it is too small.
        StorageError: the folder does not take the results.
        TrainingError: a process died.
    """
    check_plan(plan)
    material = _gather(workspace, plan.dataset)
    extractor = workspace.extractor(plan.extractor)
    days = {seed: _days(material, plan, seed) for seed in plan.seeds}
    results = Results(folder / _RESULTS)
    seen = [part.fingerprint for part in wide_parts(workspace, extractor)]
    wanted = {
        _key(material, extractor, seen, plan, noise, rate, seed, method): (noise, rate, seed, method)
        for seed in plan.seeds
        for noise, rate in plan.noises
        for method in plan.methods
    }
    done = {} if again else {key: record for key, record in results.read().items() if key in wanted}
    kept, failed = len(done), dict[str, str]()
    missing: dict[tuple[str, float, int], dict[str, Method]] = {}
    for key, (noise, rate, seed, method) in wanted.items():
        if key not in done:
            missing.setdefault((noise, rate, seed), {})[key] = method
    tasks = _tasks(workspace, extractor, material, days, missing, progress)
    total = len(wanted) - kept
    common = {"dataset": material.version.ref, "extractor": extractor.spec, "pellucid": VERSION}
    records = run_cells(_solve, tasks, jobs)
    for number, record in enumerate(records, 1):
        if "error" in record:
            failed.setdefault(record["method"], record["error"])
        else:
            done[record["key"]] = complete = {**record, **common}
            results.add(complete)
        progress("measuring", number, total)
    outcomes = [_outcome(done[key]) for key in wanted if key in done]
    lines = tuple(summarise(outcomes, by=plan.by))
    _write(folder, material.version, lines, plan.by)
    return Benchmark(material.version, lines, folder, len(done) - kept, kept, failed)


def check_plan(plan: Plan) -> None:
    """Raises UsageError for what no protocol can be: an unknown noise, a rate outside 0..1, no seed, no method."""
    for noise, rate in plan.noises:
        if noise not in NOISES:
            raise UsageError(f"there is no label noise {noise!r} in this benchmark; there are {', '.join(NOISES)}")
        if not 0 <= rate <= 1:
            raise UsageError(f"the rate of {noise} noise is {rate:g}; wanted is a share of Tuesday's labels, 0 to 1")
    if plan.by not in METRICS:
        raise UsageError(f"there is no metric {plan.by!r}; there are {', '.join(METRICS)}")
    if not plan.noises or not plan.seeds or not plan.methods:
        raise UsageError("the benchmark has nothing to do; name at least one noise, one seed and one method")


def corrupted_vectors(
    workspace: Workspace, extractor: Extractor, ids: Sequence[str], seed: int, *, progress: Progress = no_progress
) -> NDArray[np.float32]:
    """Vectors (len(ids), dim) of stored images after the protocol's corruption; cached, and computed once for all time.

    What becomes of an image depends on the seed and the image's content alone.

    Raises:
        DataError: an image cannot be corrupted.
    """
    cache = VectorCache(workspace.cache / "corrupted", extractor.fingerprint, extractor.dim)
    names = {corrupted_id(name, seed): name for name in ids}
    missing = cache.missing(list(names))
    readers = workspace.images.readers([names[name] for name in missing])
    sources = {
        name: partial(_corrupt, readers[names[name]], corruption_seed(name), workspace.limits, extractor.input_size)
        for name in missing
    }
    failed = fill_cache(workspace, extractor, cache, sources, progress=progress)
    for name, error in failed.items():
        raise DataError(f"the image {names[name][:12]}... cannot be used after corruption ({error}); set it aside")
    return cache.gather(list(names))


def corrupted_id(sample: str, seed: int) -> str:
    """What a sample is called once the protocol of that seed has corrupted it, 64 hexadecimal digits."""
    return hashlib.sha256(f"{CORRUPTION} {seed} {sample}".encode()).hexdigest()


def corruption_seed(name: str) -> int:
    """The seed of the corruption that makes the image of that `corrupted_id`."""
    return int(name[:15], 16)


def _corrupt(read: Callable[[], bytes], seed: int, limits: Limits, at_least: int) -> bytes:
    """The corrupted picture as BMP: lossless, and quicker than any other format."""
    image = decode(read(), limits, at_least=at_least).image
    if (factor := min(image.size) // (2 * at_least)) > 1:
        image = image.reduce(factor)  # a photograph of 20 million pixels as BMP would be beyond the limit of bytes
    buffer = io.BytesIO()
    corrupt_image(image, "mixed", seed).image.save(buffer, "BMP")
    return buffer.getvalue()


def _gather(workspace: Workspace, ref: str) -> _Material:
    with workspace.database.read() as connection:
        version = get_version(connection, ref)
    rows = read_manifest(workspace.blobs, version.content_id)
    usable = [row for row in rows if row.status is Status.OK and row.label is not None]
    if not usable:
        raise DataError(f"{version.ref} has no image with a settled label; see `pellucid datasets show {version.ref}`")
    y = np.unique([row.label for row in usable if row.label is not None], return_inverse=True)[1]
    groups = np.unique([row.group for row in usable], return_inverse=True)[1]
    return _Material(version, tuple(row.sample for row in usable), y.astype(np.intp), groups.astype(np.intp))


def _days(material: _Material, plan: Plan, seed: int) -> Days:
    try:
        return draw_days(material.y, material.groups, seed, monday=plan.monday, tuesday=plan.tuesday)
    except DataError as error:
        raise DataError(f"{material.version.ref}, seed {seed}: {error}") from None


def _key(
    material: _Material,
    extractor: Extractor,
    seen: Sequence[str],
    plan: Plan,
    noise: str,
    rate: float,
    seed: int,
    method: Method,
) -> str:
    decides: dict[str, Any] = {
        "protocol": PROTOCOL,
        "pellucid": VERSION,
        "content": material.version.content_id,
        "fingerprint": extractor.fingerprint,
        "corruption": CORRUPTION,
        "sizes": [plan.monday, plan.tuesday],
        "noise": [noise, float(rate)],
        "seed": seed,
        "method": {name: value for name, value in asdict(method).items() if name != "about"},
    }
    if method.sees_wide:
        decides["seen"] = seen
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()


def _tasks(
    workspace: Workspace,
    extractor: Extractor,
    material: _Material,
    days: Mapping[int, Days],
    missing: Mapping[tuple[str, float, int], Mapping[str, Method]],
    progress: Progress,
) -> Iterator[tuple[Any, ...]]:
    """Arguments of `_solve`, made when they are needed: one problem with all methods that it lacks."""
    if not missing:
        return
    clean = embed_samples(workspace, extractor, material.ids, progress=progress)
    parts, wide = wide_parts(workspace, extractor), None
    if any(map(_any_sees_wide, missing.values())):
        wide = look_widely(workspace, extractor, material.ids, clean, progress=progress)
    beliefs = None
    if any(noise == "instance" for noise, _, _ in missing):
        progress("preparing instance-dependent noise", 0, None)
        classical = embed_samples(workspace, workspace.extractor("classical"), material.ids, progress=progress)
        K = int(material.y.max()) + 1
        beliefs = held_out(classical, material.y, material.groups, K, INSTANCE_L2).probabilities
    vectors: dict[int, tuple[NDArray[np.float32], NDArray[np.float32] | None]] = {}
    for (noise, rate, seed), methods in missing.items():
        if seed not in vectors:
            vectors.clear()  # the cells of a seed follow one another
            ids = [material.ids[row] for row in days[seed].tuesday]
            corrupted = partial(corrupted_vectors, workspace, ids=ids, seed=seed, progress=progress)
            seen = None if wide is None else widen(parts, len(ids), corrupted)
            vectors[seed] = corrupted(extractor), seen
        plain, seen = vectors[seed]
        problem, key = set_problem(
            clean, plain, material.y, material.groups, days[seed],
            noise=noise, rate=rate, seed=seed, pred_probs=beliefs if noise == "instance" else None,
            wide=None if wide is None or seen is None or not _any_sees_wide(methods) else (wide, seen),
        )  # fmt: skip
        yield problem, key, dict(methods), {"noise": noise, "rate": rate, "seed": seed}


def _any_sees_wide(methods: Mapping[str, Method]) -> bool:
    return any(method.sees_wide for method in methods.values())


def _solve(problem: Problem, key: Key, methods: Mapping[str, Method], cell: Mapping[str, Any]) -> Iterator[Record]:
    """One record for each method; one that fails says why, and the others go on."""
    solver = Solver(problem, key.truth)
    for name, method in methods.items():
        start = time.perf_counter()
        record = {"key": name, **cell, "method": method.name, "monday": method.monday, "sees_truth": method.sees_truth}
        try:
            found = asdict(score(solver.solve(method), problem, key))
        except (PellucidError, ImportError) as error:
            yield {**record, "error": " ".join(str(error).split())}
            continue
        yield {**record, "scores": found, "seconds": round(time.perf_counter() - start, 3)}


def _outcome(record: Record) -> Outcome:
    names = ("noise", "rate", "seed", "method", "monday", "sees_truth", "scores")
    return Outcome(**{name: record[name] for name in names})


def _write(folder: Path, version: DatasetVersion, lines: Sequence[Line], by: str) -> None:
    from pellucid.protocol.plot import draw_table

    folder.mkdir(parents=True, exist_ok=True)
    title = f"## Monday/Tuesday on {version.ref}\n\n"
    write_whole(folder / "table.md", (title + to_markdown(lines)).encode())
    write_whole(folder / "table.csv", to_csv(lines).encode())
    if lines:
        write_whole(folder / "plot.png", draw_table(lines, f"Monday/Tuesday on {version.ref}", by=by))
