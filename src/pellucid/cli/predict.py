"""``predict``: images to answers."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from pellucid.cli.context import JsonOption, open_project, print_json, print_table, say
from pellucid.errors import UsageError

if TYPE_CHECKING:
    from pellucid.types import Prediction


def add_commands(app: typer.Typer) -> None:
    """Adds the commands of this file."""
    app.command()(predict)


def predict(
    context: typer.Context,
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH...", help="Files or folders; '-' reads a list from stdin.")
    ],
    model: Annotated[str | None, typer.Option("--model", "-m", help="NAME, NAME@champion or NAME@VERSION.")] = None,
    record: Annotated[bool, typer.Option(help="Keep the answers for lineage.")] = True,
    json: JsonOption = False,
    csv_: Annotated[bool, typer.Option("--csv", help="Print CSV, one probability column a class.")] = False,
) -> None:
    """Say what images show: label, calibrated confidence, probabilities and the model that answered."""
    if json and csv_:
        raise UsageError("--json and --csv exclude each other; give one")
    with open_project(context) as project:
        counted = _Counted(project.predict_each(_named(paths), model=model, record=record))
        if json:
            for answer in counted:
                print_json(answer)
        elif csv_:
            _print_csv(counted, project.choose_model(model).classes)
        else:
            _print_answers(counted)
    if counted.failed:
        say(context, f"{counted.failed} of {counted.total} images could not be used")


class _Counted:
    """The answers, counted as they pass."""

    def __init__(self, answers: Iterable[Prediction]) -> None:
        self._answers = answers
        self.total = 0
        self.failed = 0

    def __iter__(self) -> Iterator[Prediction]:
        for answer in self._answers:
            self.total += 1
            self.failed += answer.label is None
            yield answer


def _named(paths: list[str]) -> Iterator[str]:
    for path in paths:
        if path == "-":
            yield from (line.rstrip("\n") for line in sys.stdin if line.strip())
        else:
            yield path


def _print_csv(answers: Iterable[Prediction], classes: Sequence[str]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["path", "label", "confidence", "model", *(f"p({name})" for name in classes), "error"])
    for answer in answers:
        shares = [f"{answer.probabilities[name]:.6f}" if answer.label else "" for name in classes]
        confidence = "" if answer.confidence is None else f"{answer.confidence:.6f}"
        writer.writerow([answer.path, answer.label or "", confidence, answer.model, *shares, answer.error or ""])


def _print_answers(answers: Iterable[Prediction]) -> None:
    rows = []
    for answer in answers:
        others = sorted(answer.probabilities.items(), key=lambda item: -item[1])[1:3]
        rest = answer.error or ", ".join(f"{name} {share:.3f}" for name, share in others)
        rows.append((answer.path, answer.label, answer.confidence, rest, answer.model))
    print_table(("image", "label", "confidence", "then", "model"), rows)
