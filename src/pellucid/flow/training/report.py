"""Report: a registered model's results as JSON, as pictures and as one page that opens offline."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from pellucid.errors import PellucidError
from pellucid.evaluate import figures
from pellucid.evaluate.compare import compare
from pellucid.evaluate.curve import EpochPoint, SizePoint
from pellucid.evaluate.evaluation import Estimate, Evaluation
from pellucid.evaluate.metrics import evaluate
from pellucid.evaluate.report import Failure, Neighbour, Report, Rival, draw_figures, render_report
from pellucid.flow.data.thumbnail import thumbnail
from pellucid.flow.training.evaluate import Judgement, judge, read_details
from pellucid.flow.training.runs import MISTAKES, mistakes_of
from pellucid.flow.workspace import Progress, Workspace, no_progress
from pellucid.store.blobs import write_whole
from pellucid.store.models import get_model, list_models
from pellucid.types import ModelVersion

_RIVALS = 5  # other models of the same dataset version that a report compares with, unless told which


def write_report(
    workspace: Workspace,
    model: ModelVersion,
    *,
    against: Sequence[str] = (),
    progress: Progress = no_progress,
) -> Path:
    """Writes evaluation.json, the figures as PNG, and report.html; returns their folder.

    Args:
        against: models to compare with; the best others of the same dataset version where empty.
    """
    judged = judge(workspace, model, progress=progress)
    details = read_details(workspace, model)
    evaluation = Evaluation.from_dict(details["evaluation"])
    report = Report(
        title=f"{model.name}: {model.head}",
        model=model.ref,
        dataset=model.dataset,
        extractor=judged.predictor.extractor.description,
        head=model.head,
        settings=model.settings,
        created_at=model.created_at,
        evaluation=evaluation,
        n_train=details["n_train"],
        set_aside=details["set_aside"],
        size_curve=tuple(SizePoint(point["n"], Estimate(**point["accuracy"])) for point in details["sizes"]),
        epoch_curve=tuple(EpochPoint(**point) for point in details["epochs"]),
        failures=_gallery(workspace, judged),
        rivals=_rivals(workspace, judged, against),
        environment={**judged.predictor.facts["environment"], "pellucid": judged.predictor.facts["pellucid"]},
    )
    folder = workspace.report_folder(model.name, model.version)
    folder.mkdir(parents=True, exist_ok=True)
    drawn = draw_figures(report)
    for name, figure in drawn.items():
        write_whole(folder / f"{name}.png", figure.light)
    write_whole(folder / "classes.png", figures.class_bars(evaluation.per_class))
    text = json.dumps(details, indent=2, ensure_ascii=False)
    write_whole(folder / "evaluation.json", text.encode())
    write_whole(folder / "report.html", render_report(report, drawn).encode())
    return folder


def _rivals(workspace: Workspace, judged: Judgement, against: Sequence[str]) -> tuple[Rival, ...]:
    own = judged.model
    with workspace.database.read() as connection:
        if against:
            others = [get_model(connection, ref) for ref in against]
        else:
            same = [item for item in list_models(connection, own.name) if item.dataset == own.dataset]
            others = sorted(same, key=lambda item: -item.metrics["accuracy"])
            others = [item for item in others if item.ref != own.ref][:_RIVALS]
    test, rivals = judged.material.test, []
    for other in others:
        try:
            answers = judge(workspace, other, judged.material.version.ref).probabilities
        except PellucidError:
            if against:
                raise
            continue  # another model's damage does not keep this one from its report
        names = (own.ref, other.ref)
        comparison = compare(test.y, judged.probabilities, answers, names=names, groups=test.groups)
        evaluation = evaluate(test.y, answers, judged.material.version.classes, groups=test.groups)
        settings = ", ".join(f"{key}={value}" for key, value in other.settings.items())
        rivals.append(Rival(f"{other.ref} {other.head} {settings}".strip(), evaluation.metrics, comparison))
    return tuple(rivals)


def _gallery(workspace: Workspace, judged: Judgement) -> tuple[Failure, ...]:
    return tuple(
        Failure(
            image=thumbnail(workspace, item.sample),
            given=item.given,
            predicted=item.predicted,
            confidence=item.confidence,
            path=item.path,
            nearest=tuple(
                Neighbour(thumbnail(workspace, near.sample), near.label, near.similarity) for near in item.nearest
            ),
        )
        for item in mistakes_of(workspace, judged, MISTAKES)
    )
