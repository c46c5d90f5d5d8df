"""``retrain``: freeze what was said, audit, train candidates and judge the best of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pellucid.cli.context import MORE, JsonOption, open_project, say
from pellucid.cli.output import one_line, plain, print_json, put

if TYPE_CHECKING:
    from pellucid.flow.production.retrain import Outlook


def add_commands(app: typer.Typer) -> None:
    """Adds the commands of this file."""
    app.command(rich_help_panel=MORE)(retrain)


def retrain(
    context: typer.Context,
    dataset: Annotated[str, typer.Argument(help="The dataset; its newest version and what was said since are taken.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Say what would happen; change nothing.")] = False,
    json: JsonOption = False,
) -> None:
    """Retrain now: freeze the new votes, audit the labels, train candidates, and let the gate judge the best.

    The [retrain] table of pellucid.toml says what to train and whether to promote; `pellucid worker --watch` does the
    same by itself when its conditions come true. Where nothing new was said, nothing is trained.
    """
    with open_project(context) as project:
        if dry_run:
            _foretell(project.outlook(dataset), json=json)
            return
        outcome = project.retrain(dataset)
    if json:
        print_json(outcome)
        return
    put(one_line(outcome.message))
    if outcome.candidate is None:
        return
    put(f"  trained     {', '.join(outcome.models)} on {outcome.version}")
    if outcome.promoted:
        say(context, f"next: pellucid predict --model {dataset} PATH...")
    else:
        say(context, f"next: pellucid models promote {outcome.candidate}")


def _foretell(found: Outlook, *, json: bool) -> None:
    if json:
        print_json({**plain(found), "dry_run": True})
        return
    plan = found.plan
    if found.nothing:
        put(f"nothing would be trained: {found.newest} is learnt already and nobody has said anything since")
        return
    put(f"would freeze {found.new_votes} new votes on top of {found.newest}" + ", and audit it" * plan.clean)
    if found.taken_back:
        put(f"would label {found.taken_back} images anew, on which votes were taken back since")
    replay = f", each once more with {plan.replay:.0%} of the old images" if plan.replay else ""
    put(f"would train {', '.join(plan.models)}{replay}")
    ends = "becomes champion where it passes the gate" if plan.promote == "gate" else "stays a candidate"
    put(f"the best of them {ends}")
