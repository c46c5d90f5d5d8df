"""``clean`` and ``corrupt``: find wrong labels and believe them less; break some on purpose to see what is found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pellucid.cli.context import MAIN_JOB, MORE, JsonOption, open_project, say
from pellucid.cli.output import plain, print_json, print_table, put
from pellucid.errors import SourceError
from pellucid.types import Split

if TYPE_CHECKING:
    from pellucid.flow.data.clean import CleanReport

_SHOWN = 10  # suspects printed; the page and --export have more

DatasetArgument = Annotated[str, typer.Argument(help="The dataset; its newest version is taken.")]
ExtractorOption = Annotated[str | None, typer.Option("--extractor", "-x", help="onnx:PATH, timm:NAME or classical.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", "-n", help="Say what would happen; change nothing.")]


def add_commands(app: typer.Typer) -> None:
    """Adds the commands of this file."""
    app.command(rich_help_panel=MAIN_JOB)(clean)
    app.command(rich_help_panel=MORE)(corrupt)


def clean(
    context: typer.Context,
    dataset: DatasetArgument,
    extractor: ExtractorOption = None,
    look: Annotated[
        str,
        typer.Option(
            help="wide: see pictures turned, and by hand-made features too, where that tells labels better; four times "
            "the work the first time. plain: by the extractor alone."
        ),
    ] = "wide",
    action: Annotated[
        str,
        typer.Option(help="What becomes of suspects: relabel, weigh or drop. Others count by their trust."),
    ] = "relabel",
    rule: Annotated[
        str, typer.Option(help="auto, mixture, argmax, transition, instance, compound or percentile.")
    ] = "auto",
    include_test: Annotated[
        bool,
        typer.Option("--include-test", help="Clean test labels too; what is measured on them then flatters the audit."),
    ] = False,
    export: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write all suspects: .csv, or .json for Label Studio.")
    ] = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Find wrong labels by what all other images say, and commit a version that believes them less.

    Votes are never changed, test and trusted images are left alone, and `pellucid datasets revert` takes it back.
    """
    if export is not None:
        from pellucid.flow.data.suspects import check_target

        check_target(export)  # before a version is made, not after
    with open_project(context) as project:
        report = project.clean(
            dataset,
            extractor=extractor,
            look=look,
            action=action,
            rule=rule,
            include_test=include_test,
            dry_run=dry_run,
        )
        if not json:  # said before the page is drawn: whatever becomes of that, the version is made
            _print_report(report)
        page = project.audit_page(report)
        if export is not None:
            count = project.export_suspects(report, export)
            say(context, f"{count} suspects are in {export}")
    if json:
        print_json({"ref": report.version.ref, "page": page, **plain(report)})
        return
    say(context, f"pictures: {page}")
    if report.created:
        say(context, f"next: pellucid train --dataset {report.version.dataset}")


def _print_report(report: CleanReport) -> None:
    changed = any(report.fates.values())
    if report.dry_run:
        made = f"would change {report.audited}" if changed else f"would change nothing in {report.audited}"
    elif report.created:
        made = f"made {report.version.ref} from {report.audited}"
    else:
        made = f"{report.audited} is cleaned already" if changed else f"nothing to change in {report.audited}"
    put(f"{made}: {len(report.suspects)} of {report.images} labels are suspected")
    put(f"  wrong       about {report.noise_rate:.1%} of the labels")
    put(f"  seen by     {report.extractor}{' and a wide look' if report.look == 'wide' else ''}")
    put(f"  rule        {report.rule_used}: {report.why}")
    fates = ", ".join(f"{count} {fate}" for fate, count in report.fates.items() if count)
    put(f"  changes     {fates or 'none'}")
    truth = report.truth
    if truth is not None and truth.wrong == 0:
        put("  the truth   no label is broken on purpose any more")
    elif truth is not None:
        put(
            f"  the truth   {truth.found} of {truth.wrong} broken labels found, {truth.restored} restored; "
            f"{truth.found} of the {truth.suspected} suspects were broken"
        )
    if report.suspects:
        put("")
        rows = [
            (item.sample[:12], item.given, item.suggested, round(item.trust, 3), item.fate)
            for item in report.suspects[:_SHOWN]
        ]
        print_table(("sample", "label", "suggested", "trust", "now"), rows)


def corrupt(
    context: typer.Context,
    dataset: DatasetArgument,
    labels: Annotated[
        str | None, typer.Option(metavar="KIND", help="Break labels: symmetric, pair, matrix, instance or annotator.")
    ] = None,
    rate: Annotated[float, typer.Option(help="Share of labels to break, 0 to 1.")] = 0.3,
    matrix: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="For the kind matrix: a CSV of K rows and K columns, no heading."),
    ] = None,
    images: Annotated[
        str | None,
        typer.Option(metavar="KIND", help="Break images: boxes, mosaic, line, mixed, blur, exposure, jpeg or noise."),
    ] = None,
    share: Annotated[float, typer.Option(help="Share of images to break, 0 to 1.")] = 1.0,
    split: Annotated[Split, typer.Option(help="Of which split.")] = Split.TRAIN,
    seed: Annotated[int, typer.Option(help="The same seed breaks the same.")] = 0,
    extractor: ExtractorOption = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Break labels or images on purpose, with the truth kept, to see what `clean` finds."""
    table = None if matrix is None else _read_matrix(matrix)
    with open_project(context) as project:
        report = project.corrupt(
            dataset,
            labels=labels,
            rate=rate,
            matrix=table,
            images=images,
            share=share,
            split=split,
            seed=seed,
            extractor=extractor,
            dry_run=dry_run,
        )
    if json:
        print_json({"ref": report.version.ref, "dry_run": dry_run, **plain(report)})
        return
    done = [f"{report.labels} labels"] * (labels is not None)
    done += [f"{count} images ({kind})" for kind, count in report.images.items()]
    verb = "would break" if dry_run else "broke"
    put(f"{verb} {', '.join(done)} of {report.eligible} {split} images; {report.version.ref}")
    if report.created:
        say(context, f"next: pellucid clean {report.version.dataset}")


def _read_matrix(file: Path) -> list[list[float]]:
    import csv

    try:
        with file.open(newline="", encoding="utf-8") as stream:
            return [[float(cell) for cell in line] for line in csv.reader(stream) if line]
    except OSError as error:
        raise SourceError(f"{file} cannot be read: {error.strerror}; name a CSV of numbers") from error
    except ValueError as error:
        raise SourceError(
            f"{file} holds something else than numbers ({error}); wanted are K rows of K of them"
        ) from error
