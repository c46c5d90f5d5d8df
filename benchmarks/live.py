"""A Tuesday of erring users through the server's own API: how accurate each way of learning is as the day goes on.

    python benchmarks/live.py            trashnet, eight seeds: a quarter of an hour on two cores
    python benchmarks/live.py --quick    one seed, sixty labels

Monday's pictures, with true labels, are ingested (a tenth of them trusted) and a champion is trained, promoted and
served. Tuesday's pictures are corrupted; each is asked about, and one of ten users says what it shows, right seven
times in ten. A fifth of each day's pictures is kept to test on, through `POST /predict`. Beside it, on the same
vectors and labels: the same champion left alone, the same head learning every label in full or every true label, and,
four times a day, the published way: Bayesian cut-off and closest pairs of a fifth of Monday.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from bench import Figure, program, say
from material import backbone, extract
from pellucid.evaluate.figures import LIGHT
from pellucid.flow.online.answerer import Views
from pellucid.flow.online.live import LiveModel
from pellucid.flow.production.pictures import source_pictures
from pellucid.flow.production.simulate import MONDAY, TUESDAY, Play, Traffic, Visit, draw_traffic
from pellucid.flow.training.learn import gather
from pellucid.project import Project
from pellucid.protocol.methods import find_method
from pellucid.protocol.problem import Part, Problem
from pellucid.protocol.solve import Solver
from pellucid.store.blobs import digest_of
from pellucid.store.datasets import get_version
from pellucid.store.ledger import Entry
from pellucid.store.sources import open_source
from pellucid.stream.http_sender import HttpSender
from pellucid.stream.simulation import play
from serving import NAME, Served, server

SEEDS, BLOCKS = tuple(range(8)), 8
OURS, FROZEN, NAIVE, PUBLISHED, TRUTH = "pellucid", "frozen", "naive", "published", "true labels"
NAMES = {
    OURS: "Pellucid, live",
    FROZEN: "Monday's model, left alone",
    NAIVE: "naive online learning",
    PUBLISHED: "cut-off and closest pairs, in batches",
    TRUTH: "the ceiling: every label true",
}
PICTURE = Path(__file__).resolve().parent.parent / "docs" / "images" / "live.png"


@dataclass(frozen=True, slots=True, eq=False)
class Exam:
    """Pictures of both days that nobody learns from."""

    monday: tuple[Visit, ...]
    tuesday: tuple[Visit, ...]

    def score(self, right: Callable[[Sequence[Visit]], float]) -> float:
        """Mean of the days' accuracies, 0..1."""
        return (right(self.monday) + right(self.tuesday)) / 2


@dataclass(frozen=True, slots=True, eq=False)
class Day:
    """What came of one Tuesday."""

    curves: dict[str, NDArray[np.float64]]  # accuracy before the first block and after each; NaN where not measured
    labels: int
    weights: tuple[float, float]  # mean weight of right and of wrong labels
    asked: tuple[float, float]  # share of Tuesday's answers that were right when they were given: live, left alone


def measure(quick: bool) -> list[Figure]:
    """The day's end, the mean of the seeds."""
    days = []
    with tempfile.TemporaryDirectory(prefix="pellucid-live-") as scratch, threadpool_limits(1):
        source = extract("trashnet", Path(scratch) / "source")
        for seed in SEEDS[:1] if quick else SEEDS:
            days.append(spend(source, Path(scratch) / str(seed), seed, 60 if quick else None))
            say(f"seed {seed}: " + ", ".join(f"{name} {curve[-1]:.3f}" for name, curve in days[-1].curves.items()))
    if not quick:
        draw({name: np.mean([day.curves[name] for day in days], axis=0) for name in NAMES}, days[0].labels)
    return list(figures(days))


def figures(days: Sequence[Day]) -> Iterator[Figure]:
    """Accuracies at the end of the day, and leads in points of 100."""
    ends = {name: np.array([day.curves[name][-1] for day in days]) for name in NAMES}
    told = f"{len(days)} seeds, {days[0].labels} labels a day"
    for name, title in NAMES.items():
        yield Figure(f"{title}: at the day's end", float(ends[name].mean()), remark=told)
    for name in (FROZEN, NAIVE, PUBLISHED):
        lead = 100 * (ends[OURS] - ends[name])
        told = f"points; seeds {', '.join(f'{item:+.1f}' for item in lead)}"
        yield Figure(f"Pellucid's lead over {NAMES[name]}", float(lead.mean()), at_least=0.0, remark=told)
    yield Figure("the ceiling's lead over it", float(100 * (ends[TRUTH] - ends[OURS]).mean()), remark="points")
    live, alone = np.mean([day.asked for day in days], axis=0)
    yield Figure("answers that were right when given", float(live), remark=f"Monday's model left alone: {alone:.3f}")
    right, wrong = np.mean([day.weights for day in days], axis=0)
    yield Figure("mean weight of a right label", float(right), remark=f"of a wrong one: {wrong:.3f}")


def spend(source: Path, folder: Path, seed: int, most: int | None) -> Day:
    """One Monday and one Tuesday."""
    with open_source(source) as opened:
        traffic = draw_traffic(source_pictures(opened), Play(seed=seed))
        monday = [visit for visit in traffic.visits if visit.day == MONDAY]
        tuesday = [visit for visit in traffic.visits if visit.day == TUESDAY]
        learn, said = len(monday) * 4 // 5, len(tuesday) * 4 // 5
        exam = Exam(tuple(monday[learn:]), tuple(tuesday[said:]))
        for visit in monday[:learn]:
            place = folder / "monday" / visit.picture.truth
            place.mkdir(parents=True, exist_ok=True)
            (place / Path(visit.picture.name).name).write_bytes(visit.picture.read())
        Project.init(folder / "project").close()
        with Project(folder / "project", settings={"extractor": f"onnx:{backbone()}"}) as project:
            project.ingest(folder / "monday", NAME, test_fraction=0.0, trusted_fraction=0.1)
            (model,) = project.train(NAME, models="kernel")
            project.promote(model.ref)
            with server(folder / "project") as served:
                return follow(project, traffic, tuesday[: min(said, most or said)], exam, served)


def follow(project: Project, traffic: Traffic, visits: Sequence[Visit], exam: Exam, served: Served) -> Day:
    """Plays the day block by block, and examines everybody after each."""
    model = project.model(NAME)
    monday = learnt_of(project)
    rivals = {name: LiveModel(project.workspace, model) for name in (FROZEN, NAIVE, TRUTH)}
    names = {visit.id: digest_of(traffic.show(visit).data) for visit in (*visits, *exam.monday, *exam.tuesday)}
    curves: dict[str, list[float]] = {name: [] for name in NAMES}
    right, alone, weights = [], [], []

    def views(live: LiveModel, chosen: Sequence[Visit]) -> Views:
        with project.workspace.database.read() as connection:
            return live.look_up(connection, [names[visit.id] for visit in chosen])

    def judge(live: LiveModel, chosen: Sequence[Visit]) -> float:
        y = [live.classes.index(visit.picture.truth) for visit in chosen]
        return float((live.newest().probabilities_of(views(live, chosen)).argmax(axis=1) == y).mean())

    def examine(done: Sequence[Visit], *, batch: bool) -> None:
        curves[OURS].append(exam.score(lambda chosen: ask(served, traffic, chosen)))
        for name, live in rivals.items():
            curves[name].append(exam.score(lambda chosen, live=live: judge(live, chosen)))  # type: ignore[misc]
        frozen = rivals[FROZEN]
        if batch and done:
            learnt = published(monday, list(frozen.classes), views(frozen, done).X, done, traffic.play.seed)
            classes = list(frozen.classes)

            def predicted(chosen: Sequence[Visit]) -> float:
                y = [classes.index(visit.picture.truth) for visit in chosen]
                return float((learnt(views(frozen, chosen).X).argmax(axis=1) == y).mean())

            curves[PUBLISHED].append(exam.score(predicted))
        else:
            curves[PUBLISHED].append(curves[FROZEN][-1] if not done else float("nan"))

    examine((), batch=False)
    sender = HttpSender(served.url, served.token)
    edges = np.linspace(0, len(visits), BLOCKS + 1).astype(int)
    for number, (first, last) in enumerate(pairwise(edges), 1):
        block = visits[first:last]
        outcomes = play(replace(traffic, visits=tuple(block)), sender).outcomes
        failed = [item.reply.error for item in outcomes if item.reply.error]
        if failed or len(outcomes) < len(block):
            raise SystemExit(f"{len(failed)} visits failed: {failed[:1]}")
        for item in outcomes:
            right.append(item.reply.prediction == item.visit.picture.truth)
            if item.reply.label == item.visit.said:
                weights.append((item.visit.right, float(item.reply.weight or 0.0)))
        alone += [judge(rivals[FROZEN], block)] * len(block)
        for name in (NAIVE, TRUTH):
            live = rivals[name]
            labels = [visit.said if name == NAIVE else visit.picture.truth for visit in block]
            entries = [Entry(names[v.id], label, 1.0, "learn", "") for v, label in zip(block, labels, strict=True)]
            live.apply(entries, views(live, block))
        examine(visits[:last], batch=number % 2 == 0)
        say(f"{last} of {len(visits)}: " + ", ".join(f"{name} {curve[-1]:.3f}" for name, curve in curves.items()))
    sender.close()
    means = [np.mean([weight for good, weight in weights if good is which] or [np.nan]) for which in (True, False)]
    found = {name: np.array(curve) for name, curve in curves.items()}
    return Day(found, len(visits), (float(means[0]), float(means[1])), (float(np.mean(right)), float(np.mean(alone))))


def learnt_of(project: Project) -> Part:
    """Monday's training images."""
    with project.workspace.database.read() as connection:
        version = get_version(connection, NAME)
    found = gather(project.workspace, version, project.workspace.extractor())
    return Part(found.train.X, found.train.y, np.arange(len(found.train.y)))


def ask(served: Served, traffic: Traffic, chosen: Sequence[Visit]) -> float:
    """The share of pictures that the server names rightly."""
    right = 0
    for visit in chosen:
        shown = traffic.show(visit)
        (answer,) = served.post("/predict", shown.data, shown.media_type)["predictions"]
        right += answer["label"] == visit.picture.truth
    return right / len(chosen)


def published(
    monday: Part, classes: Sequence[str], X: NDArray[np.float32], visits: Sequence[Visit], seed: int
) -> Callable[[NDArray[np.float32]], NDArray[np.float64]]:
    """What the published system learns of Monday and of Tuesday as far as it has come."""
    given = np.array([classes.index(visit.said) for visit in visits], np.intp)
    truth = np.array([classes.index(visit.picture.truth) for visit in visits], np.intp)
    tuesday = Part(X, given, len(monday.y) + np.arange(len(given)))
    return (
        Solver(Problem(monday, tuesday, len(classes), seed), truth).solve(find_method("bayesian@cosine")).predict_proba
    )


def draw(curves: dict[str, NDArray[np.float64]], labels: int) -> None:
    """Accuracy as the day goes on."""
    figure = Canvas(figsize=(7.2, 4.0), dpi=140, facecolor=LIGHT.background, layout="constrained")
    axes = figure.subplots()
    at = np.linspace(0, labels, BLOCKS + 1)
    styles = {OURS: (LIGHT.accent, "-", 2.6), TRUTH: (LIGHT.muted, ":", 1.6), FROZEN: (LIGHT.ink, "--", 1.4)}
    for name, curve in curves.items():
        color, line, width = styles.get(name, (LIGHT.warm, "-" if name == NAIVE else "-.", 1.6))
        there = ~np.isnan(curve)
        axes.plot(at[there], curve[there], line, color=color, linewidth=width, label=NAMES[name])
    axes.set(xlabel="labels that Tuesday's users have given, three in ten of them wrong", ylabel="accuracy, both days")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.grid(axis="y", color=LIGHT.line)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8.5)
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURE)


if __name__ == "__main__":
    program(__doc__, measure)
