"""Who learns best from a Tuesday of corrupted images and wrong labels: the Monday/Tuesday protocol.

    python benchmarks/monday_tuesday.py            trashnet and sugarcane, six noises, every method: an hour
    python benchmarks/monday_tuesday.py --quick    trashnet, one noise, two seeds

It is `pellucid bench monday-tuesday` on both data sets. What was measured is kept in FOLDER below, with the whole
tables and plots, so that a run that was stopped goes on; remove the folder to measure anew. Leads are differences of
the mean accuracy of the two days, paired by seed. Pellucid's audit looks at the pictures turned as well, and by
hand-made features (`pellucid-plain` does not, and `cleanlab-wide` does too); what is learnt and judged is the
backbone's vector of the picture as it is, for all. Rivals are the methods that have all of Monday and do not see the
truth, as Pellucid does.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench import Figure, program, say, usable_cores
from material import backbone, find
from pellucid.flow.training.monday_tuesday import Plan, run_benchmark
from pellucid.project import Project
from pellucid.protocol.methods import METHODS, choose_methods, missing_library
from pellucid.protocol.table import REFERENCE, Line

FOLDER = Path(tempfile.gettempdir()) / "pellucid-monday-tuesday"
SEEDS = 20
NOISES = (*(("symmetric", rate) for rate in (0.0, 0.1, 0.3, 0.5)), ("pair", 0.3), ("instance", 0.3))
TO_TRUTH = {("symmetric", 0.3): 0.01, ("symmetric", 0.5): 0.02}  # at most so far below the true labels
PUBLISHED_PART = ("bayesian@cosine", "network@cosine", "anl-ce@random")  # with a fifth of Monday
# Measured at one noise only: they take as long as all others together.
ONCE = ("cleanlab-wide", "small-loss", "mlp", "hedge", "slda")
ONCE_AT = ("symmetric", 0.3)
PUBLISHED = "bayesian@cosine"  # cut-off by MC dropout and closest pairs, as published
OVER_PUBLISHED = 0.05  # at least so far above it


def measure(quick: bool) -> list[Figure]:
    """One block of figures for each data set and noise."""
    figures: list[Figure] = []
    for name in ("trashnet",) if quick else ("trashnet", "sugarcane"):
        named = [method for method in METHODS if method not in ONCE]
        plan = Plan(
            dataset=name,
            methods=tuple(
                method for method in choose_methods([*named, *PUBLISHED_PART], ratio=0.2) if not missing_library(method)
            ),
            noises=NOISES[2:3] if quick else NOISES,
            seeds=tuple(range(2 if quick else SEEDS)),
            extractor=f"onnx:{backbone()}",
        )
        with _project(name) as project:
            told = [0]

            def tell(what: str, done: int, total: int | None, name: str = name, told: list[int] = told) -> None:
                if total and what == "measuring" and done * 20 // total > told[0]:
                    told[0] = done * 20 // total
                    say(f"{name}: {done} of {total} cells")

            found = run_benchmark(project.workspace, plan, FOLDER / name / "bench", jobs=usable_cores(), progress=tell)
            more = replace(plan, methods=choose_methods(ONCE, ratio=0.2), noises=(ONCE_AT,))
            once = run_benchmark(project.workspace, more, FOLDER / name / "once", jobs=usable_cores())
        for method, why in found.failed.items():
            say(f"{name}: {method} failed: {why}")
        for noise, rate in plan.noises:
            own = [line for line in found.lines if (line.noise, line.rate) == (noise, rate)]
            if (noise, rate) == ONCE_AT:
                own += [line for line in once.lines if line.method in ONCE]
            figures += block(f"{name}, {noise} {rate:.0%}".replace("%", " %"), own)
    return figures


def block(title: str, lines: Sequence[Line]) -> list[Figure]:
    """The figures of one table."""
    by_name = {line.method: line for line in lines}
    ours = by_name[REFERENCE]
    cell = (ours.noise, ours.rate)
    others = [line for line in lines if not line.method.startswith(REFERENCE)]
    rivals = [line for line in others if line.monday == "all" and not line.sees_truth]
    best = max(rivals, key=lambda line: line.means["mean"] or 0.0)
    figures = [
        Figure(f"{title}: pellucid", ours.means["mean"] or 0.0, remark=f"{ours.n_seeds} seeds"),
        Figure("... its lead over the best rival", _lead(best), at_least=0.0, remark=_told(best)),
    ]
    for name, at_least in (
        ("cleanlab", None),
        ("cleanlab-ridge", None),
        ("noisy", None),
        ("pellucid-plain", None),
        *((name, None) for name in ONCE),
        (PUBLISHED, OVER_PUBLISHED),
        ("oracle-filter", None),
    ):
        if name in by_name:
            line = by_name[name]
            bound = 0.0 if name == "noisy" and ours.rate == 0 else at_least
            figures.append(Figure(f"... its lead over {name}", _lead(line), at_least=bound, remark=_told(line)))
    if "cleanlab" in by_name and ours.rate >= 0.3:
        low = by_name["cleanlab"].low
        figures.append(Figure("... over cleanlab, low end of 95 %", low if low is not None else -1.0, at_least=0.0))
    for name in ("truth", "truth-ridge"):
        if name in by_name:
            told = _told(by_name[name])
            bound = TO_TRUTH.get(cell) if name == "truth" else None
            figures.append(Figure(f"... the lead of {name} over it", -_lead(by_name[name]), at_most=bound, remark=told))
    return figures


def _lead(line: Line) -> float:
    """Pellucid's lead over the method; what is zero but for rounding is zero."""
    return round(line.lead or 0.0, 9)


def _told(line: Line) -> str:
    value = f"{line.method}: {line.means['mean']:.3f}"
    return value if line.low is None else f"{value}, lead {line.low:+.4f} to {line.high:+.4f}"


def _project(name: str) -> Project:
    """The project with the data set, made where it is not there yet."""
    folder = FOLDER / name / "project"
    if (folder / "pellucid.toml").exists():
        return Project(folder)
    project = Project.init(folder)
    project.ingest(find(f"data/{name}.tar"), name)
    return project


if __name__ == "__main__":
    program(__doc__, measure)
