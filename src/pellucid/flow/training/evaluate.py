"""Evaluate: how good a registered model is, alone and beside another."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import DataError, IntegrityError
from pellucid.evaluate.compare import Comparison, compare
from pellucid.evaluate.evaluation import Evaluation
from pellucid.evaluate.metrics import evaluate
from pellucid.flow.training.learn import Material, gather
from pellucid.flow.training.predict import open_predictor
from pellucid.flow.training.predictor import Predictor, read_text
from pellucid.flow.workspace import Progress, Workspace, no_progress
from pellucid.store.datasets import get_version
from pellucid.store.models import get_model
from pellucid.types import DatasetVersion, ModelVersion

Answers = NDArray[np.float64]  # probabilities, (n, K)


@dataclass(frozen=True, slots=True)
class Judgement:
    """A model's answers to a dataset version's test images."""

    model: ModelVersion
    material: Material
    predictor: Predictor
    probabilities: Answers  # (n_test, K), in the order of the dataset version's classes


def judge(
    workspace: Workspace, model: ModelVersion, dataset: str | None = None, *, progress: Progress = no_progress
) -> Judgement:
    """Lets the model answer the test images of a dataset version, its own where None.

    Raises:
        DataError: the model does not know a single class of that dataset.
    """
    predictor = open_predictor(workspace, model)
    with workspace.database.read() as connection:
        version = get_version(connection, dataset or model.dataset)
    material = gather(workspace, version, predictor.extractor, progress=progress)
    return Judgement(
        model,
        material,
        predictor,
        aligned(model, predictor.classes, predictor.predict_vectors(material.test.X), version),
    )


def compare_models(
    workspace: Workspace,
    first: str,
    second: str,
    dataset: str | None = None,
    *,
    progress: Progress = no_progress,
) -> Comparison:
    """A paired test of two models on the same test images: those of ``dataset``, or of the first model's own.

    Raises:
        NotFoundError: a model or dataset does not exist.
    """
    with workspace.database.read() as connection:
        a, b = get_model(connection, first), get_model(connection, second)
    left = judge(workspace, a, dataset, progress=progress)
    right = judge(workspace, b, left.material.version.ref, progress=progress)
    test = left.material.test
    return compare(test.y, left.probabilities, right.probabilities, names=(a.ref, b.ref), groups=test.groups)


def evaluate_model(
    workspace: Workspace, ref: str, dataset: str | None = None, *, progress: Progress = no_progress
) -> Evaluation:
    """The model's metrics on the test images of ``dataset``, or of the version that it was trained on."""
    with workspace.database.read() as connection:
        model = get_model(connection, ref)
    judged = judge(workspace, model, dataset, progress=progress)
    test, version = judged.material.test, judged.material.version
    return evaluate(test.y, judged.probabilities, version.classes, slices=judged.material.slices, groups=test.groups)


def read_details(workspace: Workspace, model: ModelVersion) -> dict[str, Any]:
    """The evaluation that is stored with the model.

    Raises:
        IntegrityError: it is damaged.
    """
    text = _stored(workspace, model, "evaluation.json")
    try:
        details = json.loads(text)
        Evaluation.from_dict(details["evaluation"])
    except (ValueError, KeyError, TypeError, DataError) as error:
        raise IntegrityError(f"the evaluation of {model.ref} cannot be read ({error}); train the model again") from None
    return dict(details)


def read_card(workspace: Workspace, model: ModelVersion) -> str:
    """The model card that is stored with the model, Markdown.

    Raises:
        IntegrityError: it was damaged, edited or removed.
    """
    return _stored(workspace, model, "README.md")


def _stored(workspace: Workspace, model: ModelVersion, name: str) -> str:
    return read_text(workspace.artifacts.fetch_folder("models", model.id, workspace.cache / "models"), model.id, name)


def aligned(model: ModelVersion, classes: Sequence[str], answers: Answers, version: DatasetVersion) -> Answers:
    """The model's probabilities, (n, K) in the order of the dataset version's classes.

    Args:
        classes: that the model tells apart.
        answers: its probabilities, (n, C) in their order.

    Raises:
        DataError: the model does not know a single class of that dataset.
    """
    wanted = version.class_to_idx
    if tuple(classes) == version.classes:
        return answers
    found = np.zeros((len(answers), len(wanted)))
    for column, name in enumerate(classes):
        if name in wanted:
            found[:, wanted[name]] = answers[:, column]
    total = found.sum(axis=1, keepdims=True)
    if len(total) and not total.any():
        raise DataError(f"{model.ref} knows no class of {version.ref}; compare models of one task")
    # What the model gave to classes that this dataset does not have is spread evenly: it is no answer to the question.
    return np.where(total > 0, found / np.where(total > 0, total, 1.0), 1.0 / len(wanted))
