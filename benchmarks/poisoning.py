"""What attackers and erring users do to the live model, against naive online learning.

    python benchmarks/poisoning.py            trashnet, kernel and ridge, five attacks of 400 labels
    python benchmarks/poisoning.py --quick    ridge, two attacks of 100

Half of trashnet is ingested, a fifth of it trusted, and a champion is trained; the labels come, through the flow that
the server uses, for images of the other half, of which the rest is the test. Naive learning takes every label at full
weight. Attackers always give a wrong label; honest users are right seven times in ten. Accuracy is in points of 100.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from bench import Figure, program, say
from material import backbone, extract
from pellucid.flow.answer import Asked, answer
from pellucid.flow.answerer import Views
from pellucid.flow.feedback import Said, hear
from pellucid.flow.live import LiveModel
from pellucid.project import Project
from pellucid.store.ledger import Entry
from pellucid.store.schema import ledger, vote

NAME = "trash"
SYBILS = 20
Label = tuple[int, str, str]  # an image's place, the label that is said, and by whom
Plan = Callable[[Sequence[str], random.Random], list[Label]]


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A champion, the images that labels come for, and those that it is judged by."""

    project: Project
    samples: tuple[str, ...]
    truth: tuple[str, ...]
    test: Views
    y: NDArray[np.intp]  # (n_test,)


def measure(quick: bool) -> list[Figure]:
    """One block of figures for each head."""
    figures: list[Figure] = []
    many = 100 if quick else 400
    with tempfile.TemporaryDirectory(prefix="pellucid-poison-") as scratch, threadpool_limits(1):
        folder = Path(scratch)
        known, new = halves(extract("trashnet", folder / "source"), folder)
        for head in ("ridge",) if quick else ("kernel", "ridge"):
            project = Project.init(folder / head)
            project.close()
            with Project(folder / head, settings={"extractor": f"onnx:{backbone()}"}) as project:
                project.ingest(known, NAME, trusted_fraction=0.2)
                (model,) = project.train(NAME, models=head)
                scene = set_scene(project, new, LiveModel(project.workspace, model), many)
                for attack, plan in list(ATTACKS.items())[: 2 if quick else None]:
                    live, naive = (LiveModel(project.workspace, model) for _ in range(2))
                    before = accuracy(live, scene)
                    undone = play(scene, live, naive, plan(scene.truth[:many], random.Random(0)))
                    falls = [100 * (before - accuracy(found, scene)) for found in (live, naive)]
                    say(f"{head}, {attack}: {before:.3f}, falls {falls}")
                    figures += [
                        Figure(
                            f"{head}, {attack}: points lost",
                            falls[0],
                            at_most=1.0 if attack != HONEST else None,
                            remark=f"of {100 * before:.1f}; {undone} steps undone by the guard",
                        ),
                        Figure("... by naive online learning", falls[1]),
                    ]
                    forget_all(project)
    return figures


def halves(source: Path, target: Path) -> tuple[Path, Path]:
    """Two folders by class, half of the images each."""
    rng = random.Random(0)
    for file in sorted(source.rglob("*.jpg")):
        place = target / ("known" if rng.random() < 0.5 else "new") / file.parent.name
        place.mkdir(parents=True, exist_ok=True)
        file.rename(place / file.name)
    return target / "known", target / "new"


def set_scene(project: Project, folder: Path, live: LiveModel, many: int) -> Scene:
    """Every new image is asked about once, as users do before they say what is right."""
    files = sorted(folder.rglob("*.jpg"))
    random.Random(1).shuffle(files)
    asked = [Asked(file.read_bytes(), "bench") for file in files]
    found = answer(project.workspace, live.answerer, asked)
    samples = [item.sample for item in found if not isinstance(item, Exception)]
    with project.workspace.database.read() as connection:
        test = live.look_up(connection, samples[many:])
    y = np.array([live.classes.index(file.parent.name) for file in files[many:]], np.intp)
    return Scene(project, tuple(samples), tuple(file.parent.name for file in files), test, y)


def play(scene: Scene, live: LiveModel, naive: LiveModel, labels: Sequence[Label]) -> int:
    """Says all labels to both models; returns how many steps the guard undid."""
    undone = 0
    for place, label, voter in labels:
        undone += hear(live, Said(scene.samples[place], label, voter)).action == "undone"
        with scene.project.workspace.database.read() as connection:
            view = naive.look_up(connection, [scene.samples[place]])
        naive.apply([Entry(scene.samples[place], label, 1.0, "learn", "")], view)
    return undone


def accuracy(live: LiveModel, scene: Scene) -> float:
    """On the test images, 0..1."""
    return float((live.newest().probabilities_of(scene.test).argmax(axis=1) == scene.y).mean())


def forget_all(project: Project) -> None:
    """The next attack begins where this one did."""
    with project.workspace.database.write() as connection:
        connection.execute(sa.delete(ledger))
        connection.execute(sa.delete(vote).where(vote.c.ingest_id.is_(None)))


def _other(truth: Sequence[str], label: str, rng: random.Random) -> str:
    return rng.choice([name for name in sorted(set(truth)) if name != label])


def _flood(truth: Sequence[str], rng: random.Random) -> list[Label]:
    return [(place, _other(truth, label, rng), "eve") for place, label in enumerate(truth)]


def _sybils(truth: Sequence[str], rng: random.Random) -> list[Label]:
    return [(place, _other(truth, label, rng), f"sybil {place % SYBILS}") for place, label in enumerate(truth)]


def _pair(truth: Sequence[str], rng: random.Random) -> list[Label]:
    swapped = {"glass": "plastic", "plastic": "glass"}
    places = [place for place, label in enumerate(truth) if label in swapped]
    return [(place, swapped[truth[place]], f"sybil {at % SYBILS}") for at, place in enumerate(places)]


def _turncoats(truth: Sequence[str], rng: random.Random) -> list[Label]:
    trusted = len(truth) // 4  # labels that are right, to earn a record
    return [
        (place, label if place < trusted else _other(truth, label, rng), f"turncoat {place % 3}")
        for place, label in enumerate(truth)
    ]


def _honest(truth: Sequence[str], rng: random.Random) -> list[Label]:
    return [
        (place, label if rng.random() < 0.7 else _other(truth, label, rng), f"user {place % 10}")
        for place, label in enumerate(truth)
    ]


HONEST = "ten users right at 70 %"
ATTACKS: dict[str, Plan] = {
    "one voter floods": _flood,
    f"{SYBILS} sybils": _sybils,
    f"{SYBILS} sybils swap two classes": _pair,
    "three earn trust and then turn": _turncoats,
    HONEST: _honest,
}


if __name__ == "__main__":
    program(__doc__, measure)
