"""What attackers and erring users do to the live model, against naive online learning.

    python benchmarks/poisoning.py            trashnet, kernel and ridge, nine attacks of 400 labels and more
    python benchmarks/poisoning.py --quick    ridge, two attacks of 100

Half of trashnet is ingested, a fifth of it trusted, and a champion is trained; the labels come, through the flow that
the server uses, for images of the other half, of which the rest is the test. As the server does, all labels are judged
anew after so many. Naive learning takes every label at full weight. Attackers always give a wrong label, plausible
liars the one that the champion finds likeliest of the wrong ones; honest users are right seven times in ten. Those who
contradict what is known give every image that the champion was trained on a wrong label: one voter, or twenty of whom
three agree on each. Then a retraining freezes what was said, audits it and trains, as the worker does, and its
candidate is judged too; what the audit alone does to the champion's training labels stands before all attacks. At the
end all who voted are forgotten. Accuracy is in points of 100.
"""

from __future__ import annotations

import io
import random
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from threadpoolctl import threadpool_limits

from bench import Figure, program, say
from material import backbone, extract
from pellucid.flow.online.answer import Asked, answer
from pellucid.flow.online.answerer import Views
from pellucid.flow.online.feedback import Said, hear
from pellucid.flow.online.forget import forget
from pellucid.flow.online.live import LiveModel
from pellucid.flow.online.reaudit import reaudit
from pellucid.flow.training.predict import open_predictor
from pellucid.project import Project
from pellucid.serve.service import REAUDIT_AFTER
from pellucid.store.ledger import Entry
from pellucid.types import ModelVersion

NAME = "trash"
SYBILS, COPIED = 20, 10  # voters that one attacker has; images that are sent again and again, a little changed
AGREEING = 3  # sybils who say the same of an image that is known
Label = tuple[str, str, str]  # a sample, the label that is said, and by whom


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A champion, the images that labels come for, and those that it is judged by."""

    samples: tuple[str, ...]  # that labels come for
    truth: tuple[str, ...]  # of each of them
    copies: tuple[str, ...]  # near-copies of the first of them, in turn
    known: tuple[tuple[str, str], ...]  # what the champion was trained on, and its label
    lures: tuple[str, ...]  # the likeliest wrong class of each of the samples, as the champion has it
    test: Views
    y: NDArray[np.intp]  # (n_test,)


Plan = Callable[[Scene, random.Random], list[Label]]


@dataclass(frozen=True, slots=True)
class Course:
    """What an attack did, in points of accuracy lost since it began; below 0 where some were won."""

    worst: float  # at any time, looked at whenever all labels had been judged anew
    end: float
    retrained: float  # by the candidate of a retraining on all that was said
    forgotten: float  # by the live model, after all who voted are forgotten
    naive: float  # at the end, by naive online learning
    undone: int  # steps that the guard undid


def measure(quick: bool) -> list[Figure]:
    """One block of figures for each head."""
    figures: list[Figure] = []
    many = 100 if quick else 400
    with tempfile.TemporaryDirectory(prefix="pellucid-poison-") as scratch, threadpool_limits(1):
        folder = Path(scratch)
        known, new = halves(extract("trashnet", folder / "source"), folder)
        for head in ("ridge",) if quick else ("kernel", "ridge"):
            settings = {"extractor": f"onnx:{backbone()}"}
            Project.init(folder / head).close()
            with Project(folder / head, settings=settings) as project:
                project.ingest(known, NAME, trusted_fraction=0.2)
                (model,) = project.train(NAME, models=head)
                project.promote(model.ref, force=True)
                scene = set_scene(project, new, LiveModel(project.workspace, model), many)
            with Project(shutil.copytree(folder / head, folder / f"{head} audited"), settings=settings) as project:
                live = LiveModel(project.workspace, model)
                lost = 100 * (accuracy(live, scene) - _audited(project, scene, head, live.classes))
                figures.append(Figure(f"{head}, nobody says anything: points lost by an audit", lost))
            for number, (attack, plan) in enumerate(list(ATTACKS.items())[: 2 if quick else None]):
                place = shutil.copytree(folder / head, folder / f"{head} {number}")
                with Project(place, settings=settings) as project:
                    live, naive = (LiveModel(project.workspace, model) for _ in range(2))
                    before = 100 * accuracy(live, scene)
                    course = play(project, scene, live, naive, plan(scene, random.Random(0)))
                    say(f"{head}, {attack}: {before:.1f}, {course}")
                    figures += [
                        Figure(
                            f"{head}, {attack}: points lost",
                            course.end,
                            at_most=1.0 if attack != HONEST else None,
                            remark=f"of {before:.1f}; {course.undone} steps undone by the guard",
                        ),
                        Figure("... at worst meanwhile", course.worst),
                        Figure("... by a retraining", course.retrained, at_most=1.0 if attack != HONEST else None),
                        Figure("... after the voters are forgotten", course.forgotten),
                        Figure("... by naive online learning", course.naive),
                    ]
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
    images = [file.read_bytes() for file in files]
    copies = [near_copy(images[place % COPIED], place) for place in reversed(range(many))]
    found = answer(project.workspace, live.answerer, [Asked(data, "bench") for data in (*images, *copies)])
    samples = [item.sample for item in found if not isinstance(item, Exception)]
    with project.workspace.database.read() as connection:
        test = live.look_up(connection, samples[many : len(files)])
    truth = tuple(file.parent.name for file in files)
    y = np.array([live.classes.index(name) for name in truth[many:]], np.intp)
    said = [item.probabilities for item in found if not isinstance(item, Exception)][:many]
    lures = (max(set(p) - {right}, key=p.__getitem__) for p, right in zip(said, truth, strict=False))
    known = tuple((name, live.label_at(place) or "") for name, place in sorted(live.learnt().items()))
    return Scene(
        tuple(samples[:many]), truth[:many], tuple(reversed(samples[len(files) :])), known, tuple(lures), test, y
    )


def near_copy(data: bytes, number: int) -> bytes:
    """The same picture, cut a little and stored anew: other bytes, and nothing that an eye would notice."""
    rng, buffer = random.Random(number), io.BytesIO()
    with Image.open(io.BytesIO(data)) as image:
        left, upper, right, lower = (rng.randrange(4) for _ in range(4))
        image.crop((left, upper, image.width - right, image.height - lower)).save(
            buffer, "JPEG", quality=rng.randrange(80, 96)
        )
    return buffer.getvalue()


def play(project: Project, scene: Scene, live: LiveModel, naive: LiveModel, labels: Sequence[Label]) -> Course:
    """Says all labels to both models, and forgets who said them."""
    before, worst, undone = accuracy(live, scene), 0.0, 0
    for number, (sample, label, voter) in enumerate(labels, 1):
        undone += hear(live, Said(sample, label, voter)).action == "undone"
        if number % REAUDIT_AFTER == 0:
            undone += reaudit(live).undone
            worst = max(worst, before - accuracy(live, scene))
        with project.workspace.database.read() as connection:
            view = naive.look_up(connection, [sample])
        naive.apply([Entry(sample, label, 1.0, "learn", "")], view)
    end = before - accuracy(live, scene)
    retrained = before - _retrained(project, scene, live.classes)
    for voter in sorted({voter for _, _, voter in labels}):
        forget(project.workspace, NAME, voter=voter, live=live)
    return Course(
        worst=100 * max(worst, end),
        end=100 * end,
        retrained=100 * retrained,
        forgotten=100 * (before - accuracy(live, scene)),
        naive=100 * (before - accuracy(naive, scene)),
        undone=undone,
    )


def _retrained(project: Project, scene: Scene, classes: Sequence[str]) -> float:
    """The accuracy of the candidate that a retraining makes of all that was said, 0..1."""
    candidate = project.retrain(NAME).candidate
    assert candidate is not None, "something was said"
    return _judged(project, scene, project.model(candidate), classes)


def _audited(project: Project, scene: Scene, head: str, classes: Sequence[str]) -> float:
    """The accuracy of a model of the same images, of which an audit has judged the labels, 0..1."""
    project.clean(NAME)
    (model,) = project.train(NAME, models=head)
    return _judged(project, scene, model, classes)


def _judged(project: Project, scene: Scene, model: ModelVersion, classes: Sequence[str]) -> float:
    predictor = open_predictor(project.workspace, model)
    columns = [predictor.classes.index(name) for name in classes]
    return float((predictor.predict_vectors(scene.test.X)[:, columns].argmax(axis=1) == scene.y).mean())


def accuracy(live: LiveModel, scene: Scene) -> float:
    """On the test images, 0..1."""
    return float((live.newest().probabilities_of(scene.test).argmax(axis=1) == scene.y).mean())


def _other(truth: Sequence[str], label: str, rng: random.Random) -> str:
    return rng.choice([name for name in sorted(set(truth)) if name != label])


def _flood(scene: Scene, rng: random.Random) -> list[Label]:
    return [(name, label, "eve") for name, label in _lies(scene, rng)]


def _sybils(scene: Scene, rng: random.Random) -> list[Label]:
    return [(name, label, f"sybil {at % SYBILS}") for at, (name, label) in enumerate(_lies(scene, rng))]


def _plausible(scene: Scene, rng: random.Random) -> list[Label]:
    said = zip(scene.samples, scene.lures, strict=True)
    return [(name, label, f"sybil {at % SYBILS}") for at, (name, label) in enumerate(said)]


def _pair(scene: Scene, rng: random.Random) -> list[Label]:
    swapped = {"glass": "plastic", "plastic": "glass"}
    said = [(name, swapped[label]) for name, label in zip(scene.samples, scene.truth, strict=True) if label in swapped]
    return [(name, label, f"sybil {at % SYBILS}") for at, (name, label) in enumerate(said)]


def _spam(scene: Scene, rng: random.Random) -> list[Label]:
    wrong = [_other(scene.truth, label, rng) for label in scene.truth[:COPIED]]
    return [(name, wrong[at % COPIED], f"sybil {at % SYBILS}") for at, name in enumerate(scene.copies)]


def _turncoats(scene: Scene, rng: random.Random) -> list[Label]:
    honest = len(scene.truth) // 4  # labels that are right, to earn a record
    said = enumerate(zip(scene.samples, scene.truth, strict=True))
    return [
        (name, label if at < honest else _other(scene.truth, label, rng), f"turncoat {at % 3}")
        for at, (name, label) in said
    ]


def _contradicts(scene: Scene, rng: random.Random) -> list[Label]:
    return [(name, _other(scene.truth, label, rng), "eve") for name, label in scene.known]


def _outvote(scene: Scene, rng: random.Random) -> list[Label]:
    said = [(name, _other(scene.truth, label, rng)) for name, label in scene.known]
    return [
        (name, label, f"sybil {(at + voice) % SYBILS}")
        for at, (name, label) in enumerate(said)
        for voice in range(AGREEING)
    ]


def _honest(scene: Scene, rng: random.Random) -> list[Label]:
    return [
        (name, label if rng.random() < 0.7 else _other(scene.truth, label, rng), f"user {at % 10}")
        for at, (name, label) in enumerate(zip(scene.samples, scene.truth, strict=True))
    ]


def _lies(scene: Scene, rng: random.Random) -> list[tuple[str, str]]:
    return [(name, _other(scene.truth, label, rng)) for name, label in zip(scene.samples, scene.truth, strict=True)]


HONEST = "ten users right at 70 %"
ATTACKS: dict[str, Plan] = {
    "one voter floods": _flood,
    f"{SYBILS} sybils": _sybils,
    f"{SYBILS} sybils swap two classes": _pair,
    f"{SYBILS} sybils lie plausibly": _plausible,
    "near-copies of ten images": _spam,
    "three earn trust and then turn": _turncoats,
    "one voter contradicts all that is known": _contradicts,
    f"{SYBILS} sybils outvote all that is known": _outvote,
    HONEST: _honest,
}


if __name__ == "__main__":
    program(__doc__, measure)
