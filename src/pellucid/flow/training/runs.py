"""Runs beside each other: what they were trained with, how good they are, what differs, and where each fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pellucid.evaluate.compare import Comparison, compare
from pellucid.evaluate.curve import EpochPoint, SizePoint
from pellucid.evaluate.evaluation import Estimate, Evaluation
from pellucid.evaluate.failures import most_confident_failures, nearest
from pellucid.flow.training.evaluate import Judgement, judge, read_details
from pellucid.flow.workspace import Workspace
from pellucid.heads.head import head_settings
from pellucid.store.ingests import sightings_of
from pellucid.store.models import get_model
from pellucid.types import ModelVersion

MISTAKES = 12  # that are shown unless more are asked for
NEIGHBOURS = 3  # training images beside each


@dataclass(frozen=True, slots=True)
class Run:
    """A training and what came of it, as it is stored with the model."""

    model: ModelVersion
    evaluation: Evaluation  # on the test images of its own dataset version
    sizes: tuple[SizePoint, ...]  # accuracy over training images
    epochs: tuple[EpochPoint, ...]  # accuracy over epochs; empty for a head that does not iterate
    n_train: int  # images learnt from


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that two runs do not share."""

    what: str  # "data", "setting lambda"
    first: str
    second: str


@dataclass(frozen=True, slots=True)
class Pair:
    """Two runs, and the paired test of their models on the first one's test images."""

    first: Run
    second: Run
    comparison: Comparison  # the first as a, the second as b
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Near:
    """A training image that lies near to a mistake."""

    sample: str
    label: str
    similarity: float  # cosine, -1..1


@dataclass(frozen=True, slots=True)
class Mistake:
    """A test image that a model got wrong."""

    sample: str
    given: str  # the label that it has
    predicted: str
    confidence: float  # 0..1
    path: str  # the file that held it; the beginning of its id where none is known
    nearest: tuple[Near, ...]  # most similar first


def read_run(workspace: Workspace, ref: str) -> Run:
    """A model's run, as it was judged when it was trained.

    Raises:
        NotFoundError, IntegrityError: there is no such model, or what is stored with it is damaged.
    """
    with workspace.database.read() as connection:
        model = get_model(connection, ref)
    details = read_details(workspace, model)
    return Run(
        model=model,
        evaluation=Evaluation.from_dict(details["evaluation"]),
        sizes=tuple(SizePoint(point["n"], Estimate(**point["accuracy"])) for point in details["sizes"]),
        epochs=tuple(EpochPoint(**point) for point in details["epochs"]),
        n_train=int(details["n_train"]),
    )


def compare_runs(workspace: Workspace, first: str, second: str) -> Pair:
    """Two runs beside each other, tested on the first one's test images.

    Raises:
        NotFoundError, IntegrityError: a model is not there, or damaged.
        DataError: the second knows no class of the first one's dataset.
    """
    a, b = read_run(workspace, first), read_run(workspace, second)
    left = judge(workspace, a.model)
    right = judge(workspace, b.model, left.material.version.ref)
    test, names = left.material.test, (f"model {a.model.ref}", f"model {b.model.ref}")
    found = compare(test.y, left.probabilities, right.probabilities, names=names, groups=test.groups)
    return Pair(a, b, found, differences(a, b))


def differences(first: Run, second: Run) -> tuple[Difference, ...]:
    """What was not the same in the two trainings; a setting that was left alone counts with its default."""
    a, b = _facts(first), _facts(second)
    return tuple(
        Difference(what, a.get(what, "–"), b.get(what, "–"))
        for what in dict.fromkeys([*a, *b])
        if a.get(what) != b.get(what)
    )


def worst_mistakes(workspace: Workspace, ref: str, most: int = MISTAKES) -> tuple[Mistake, ...]:
    """The mistakes that a model makes with most confidence, beside the training images that lie nearest.

    Raises:
        NotFoundError, IntegrityError: there is no such model, or it is damaged.
    """
    with workspace.database.read() as connection:
        model = get_model(connection, ref)
    return mistakes_of(workspace, judge(workspace, model), most)


def mistakes_of(workspace: Workspace, judged: Judgement, most: int) -> tuple[Mistake, ...]:
    """The same for a model that has been asked already."""
    material, classes = judged.material, judged.material.version.classes
    train, test = material.train, material.test
    wrong = most_confident_failures(test.y, judged.probabilities, most)
    if not len(wrong):
        return ()
    rows, similarity = nearest(test.X[wrong], train.X, NEIGHBOURS)
    with workspace.database.read() as connection:
        seen = sightings_of(connection, material.version.dataset, [test.rows[i].sample for i in wrong])
    found = []
    for place, index in enumerate(wrong.tolist()):
        sample, answer = test.rows[index].sample, judged.probabilities[index]
        found.append(
            Mistake(
                sample=sample,
                given=classes[int(test.y[index])],
                predicted=classes[int(answer.argmax())],
                confidence=float(answer.max()),
                path=seen[sample][-1].path if sample in seen else sample[:12],
                nearest=tuple(
                    Near(train.rows[row].sample, classes[int(train.y[row])], float(alike))
                    for row, alike in zip(rows[place].tolist(), similarity[place].tolist(), strict=True)
                ),
            )
        )
    return tuple(found)


def _facts(run: Run) -> Mapping[str, str]:
    model = run.model
    settings: dict[str, Any] = {**head_settings(model.head), **model.settings}
    return {
        "data": f"data {model.dataset}",
        "head": model.head,
        "extractor": model.extractor,
        **{f"setting {name}": str(value) for name, value in settings.items()},
        "training images": f"{run.n_train:,}",
        "classes": ", ".join(model.classes),
    }
