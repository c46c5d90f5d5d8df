"""``predict``: images to answers."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from pellucid.cli.context import MAIN_JOB, JsonLinesOption, open_project, say
from pellucid.cli.output import print_json, print_table
from pellucid.errors import ImageError, UsageError

if TYPE_CHECKING:
    from pellucid.types import Prediction


def add_commands(app: typer.Typer) -> None:
    """Adds the commands of this file."""
    app.command(rich_help_panel=MAIN_JOB)(predict)


def predict(
    context: typer.Context,
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            help="Files or folders; '-' reads a list from stdin, a line each or as `find -print0` writes it.",
        ),
    ],
    model: Annotated[str | None, typer.Option("--model", "-m", help="NAME, NAME@champion or NAME@VERSION.")] = None,
    record: Annotated[bool, typer.Option(help="Keep the answers for lineage.")] = True,
    json: JsonLinesOption = False,
    csv_: Annotated[bool, typer.Option("--csv", help="Print CSV, one probability column a class.")] = False,
) -> None:
    """Say what images show: label, calibrated confidence, probabilities and the model that answered, as it was trained.

    An image that cannot be used has an error in place of a label; it is an error of the command where no image could.
    """
    if json and csv_:
        raise UsageError("--json and --csv exclude each other; give one")
    names = _named(paths)
    rows: list[tuple[str, str | None, float | None, str, str]] = []
    total = failed = 0
    with open_project(context) as project:

        def counted() -> Iterator[Prediction]:
            nonlocal total, failed
            for answer in project.predict_each(names, model=model, record=record):
                total += 1
                failed += answer.label is None
                yield answer

        if json:
            for answer in counted():
                print_json(answer)
        elif csv_:
            _print_csv(counted(), project.choose_model(model).classes)
        else:
            rows = [_row(answer) for answer in counted()]
    if not (json or csv_):
        print_table(("image", "label", "confidence", "then", "model"), rows, optional=("model", "then"))
    if failed == total:
        raise ImageError("no answer", f"none of the {total} images could be used; why is told beside each")
    if failed:
        say(context, f"{failed} of {total} images could not be used")


def _named(paths: Sequence[str]) -> list[str]:
    """The paths, '-' replaced by those on stdin; file names hold no NUL, so where one is seen it ends each name."""
    names: list[str] = []
    for path in paths:
        if path != "-":
            names.append(path)
            continue
        stdin = getattr(sys.stdin, "buffer", None)
        data = stdin.read() if stdin else os.fsencode(sys.stdin.read())
        end = b"\0" if b"\0" in data else b"\n"
        found = [os.fsdecode(name if end == b"\0" else name.rstrip(b"\r")) for name in data.split(end)]
        names += [name for name in found if name.strip()]
        if not names:
            raise UsageError("stdin names no image; wanted is the path of a file or folder on every line")
    return names


def _print_csv(answers: Iterable[Prediction], classes: Sequence[str]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["path", "label", "confidence", "model", *(f"p({name})" for name in classes), "error"])
    for answer in answers:
        shares = [f"{answer.probabilities[name]:.6f}" if answer.label is not None else "" for name in classes]
        confidence = "" if answer.confidence is None else f"{answer.confidence:.6f}"
        writer.writerow([answer.path, answer.label or "", confidence, answer.model, *shares, answer.error or ""])


def _row(answer: Prediction) -> tuple[str, str | None, float | None, str, str]:
    others = sorted(answer.probabilities.items(), key=lambda item: -item[1])[1:3]
    rest = answer.error or ", ".join(f"{name} {share:.3f}" for name, share in others)
    return answer.path, answer.label, answer.confidence, rest, answer.model
