"""``models``: the registry, promotion, rollback and the production history."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pellucid.cli.context import JsonOption, open_project, say
from pellucid.cli.output import plain, print_json, print_table, put
from pellucid.features.spec import short_spec

if TYPE_CHECKING:
    from pellucid.store.aliases import Change

app = typer.Typer(help="List, show, promote and roll back models.", no_args_is_help=True)

DryRunOption = Annotated[bool, typer.Option("--dry-run", "-n", help="Say what would happen and change nothing.")]
ReasonOption = Annotated[str, typer.Option("--reason", "-r", help="Why; kept in the history.")]
ModelArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help="NAME@VERSION, NAME@champion, or NAME (its champion).")
]


@app.command("list")
def list_(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Of one dataset only.")] = None,
    json: JsonOption = False,
) -> None:
    """List the registered models, newest first."""
    with open_project(context) as project:
        found = project.models(name)
    if json:
        print_json([{"ref": item.ref, **plain(item)} for item in found])
        return
    rows = [
        (
            m.ref,
            " ".join(m.aliases),
            m.metrics["accuracy"],
            m.dataset,
            m.head,
            m.settings,
            short_spec(m.extractor),
            m.created_at,
        )
        for m in found
    ]
    columns = ("model", "alias", "accuracy", "dataset", "head", "settings", "extractor", "made")
    empty = "no model yet; next: pellucid train --dataset NAME"
    print_table(columns, rows, optional=("settings", "head", "made", "extractor"), empty=empty)
    if any(len({m.dataset for m in found if m.name == of}) > 1 for of in {m.name for m in found}):
        told = "each accuracy is on the test images of its own dataset version; "
        say(context, told + "`pellucid models compare A B` asks both the same images")


@app.command()
def show(context: typer.Context, model: ModelArgument, json: JsonOption = False) -> None:
    """Show a model's card: what it is, what it was made of, how good it is and where it fails."""
    with open_project(context) as project:
        found = project.model(model)
        card = project.card(model)
        report = project.report_path(found)
    if json:
        print_json({"ref": found.ref, **plain(found), "card": card, "report": report})
        return
    put(card)
    say(
        context,
        f"alias    {' '.join(found.aliases) or '-'}\nid       {found.id}\nfiles    {found.uri}\nreport   {report}",
    )


@app.command()
def promote(
    context: typer.Context,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="NAME@VERSION.")],
    to: Annotated[str, typer.Option(help="champion or candidate.")] = "champion",
    reason: ReasonOption = "",
    force: Annotated[bool, typer.Option("--force", help="Overrule the gate; the history tells.")] = False,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Make a model the champion (or the candidate) of its name; recorded with who, when and why.

    Where there is a champion already and the dataset has trusted images, the model has to pass the gate.
    """
    with open_project(context) as project:
        change = project.promote(model, alias=to, reason=reason, force=force, dry_run=dry_run)
    _tell(change, dry_run=dry_run, json=json)
    if not dry_run and to == "champion":
        say(context, f"next: pellucid predict --model {change.name} PATH...")


@app.command()
def rollback(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The model's name.")],
    to: Annotated[
        int | None, typer.Option(help="A version; the champion before the present one where not given.")
    ] = None,
    reason: ReasonOption = "",
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Make the champion before the present one champion again."""
    with open_project(context) as project:
        change = project.rollback(name, to=to, reason=reason, dry_run=dry_run)
    _tell(change, dry_run=dry_run, json=json)


@app.command()
def history(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Of one name only.")] = None,
    json: JsonOption = False,
) -> None:
    """Show who was champion, since when, by whom and why."""
    with open_project(context) as project:
        changes = project.history(name)
    if json:
        print_json(changes)
        return
    rows = [
        (c.at, c.action, c.alias, f"{c.name}@{c.version}", c.previous and f"{c.name}@{c.previous}", c.actor, c.reason)
        for c in changes
    ]
    columns = ("when", "what", "alias", "now", "before", "by", "why")
    empty = "no model has been promoted yet; next: pellucid models promote NAME@VERSION"
    print_table(columns, rows, optional=("by", "before"), empty=empty)


@app.command()
def verdicts(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Of one name only.")] = None,
    json: JsonOption = False,
) -> None:
    """Show what the promotion gate said of candidates, with its figures."""
    with open_project(context) as project:
        found = project.verdicts(name)
    if json:
        print_json(found)
        return
    rows = [
        (
            v.at,
            f"{v.name}@{v.candidate}",
            v.champion and f"{v.name}@{v.champion}",
            "passed" if v.passed else "refused" if v.judged else "not judged",
            v.line,
            v.actor,
        )
        for v in found
    ]
    columns = ("when", "candidate", "champion", "verdict", "figures", "by")
    empty = "the gate has judged nothing yet; it does when a model would take a champion's place"
    print_table(columns, rows, optional=("by", "when"), empty=empty)


@app.command()
def compare(
    context: typer.Context,
    first: Annotated[str, typer.Argument(metavar="A", help="A model.")],
    second: Annotated[str, typer.Argument(metavar="B", help="Another model.")],
    dataset: Annotated[
        str | None, typer.Option("--dataset", "-d", help="Whose test images; those of A's where not given.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Compare two models by a paired test on the same test images."""
    with open_project(context) as project:
        found = project.compare(first, second, dataset)
    if json:
        print_json(found)
        return
    put(found.verdict)
    low, high = found.difference.low, found.difference.high
    put(f"accuracy of A less that of B  {found.difference.value:+.3f}  (95 % interval {low:+.3f} to {high:+.3f})")
    put(f"only A is right on            {found.only_a} of {found.n} images")
    put(f"only B is right on            {found.only_b} of {found.n} images")


@app.command()
def mirror(
    context: typer.Context,
    every: Annotated[bool, typer.Option("--all", help="Repeat every model, as after mlflow_url was changed.")] = False,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Complete what MLflow misses: models registered while it was away, and aliases."""
    with open_project(context) as project:
        count = project.mirror(every=every, dry_run=dry_run)
    if json:
        print_json({"completed": count, "dry_run": dry_run})
    elif dry_run:
        put(f"{_models(count)} would be completed, and every alias set as the registry has it")
    else:
        put(f"{_models(count)} completed; every alias is as the registry has it")


@app.command()
def export(
    context: typer.Context,
    model: ModelArgument,
    target: Annotated[Path, typer.Argument(help="A new or empty folder.")],
    json: JsonOption = False,
) -> None:
    """Write a model with its weights to a folder that mlflow.pyfunc.load_model loads anywhere."""
    with open_project(context) as project:
        found = project.export_model(model, target)
    if json:
        print_json({"ref": found.ref, "folder": target})
    else:
        put(f"{found.ref} is in {target}")


def _models(count: int) -> str:
    return "1 model" if count == 1 else f"{count} models"


def _tell(change: Change, *, dry_run: bool, json: bool) -> None:
    if json:
        print_json({**plain(change), "dry_run": dry_run})
        return
    before = f"model {change.name}@{change.previous}" if change.previous else "none"
    now = "would be" if dry_run else "is now"
    put(f"model {change.name}@{change.version} {now} the {change.alias} of {change.name}; before: {before}")
