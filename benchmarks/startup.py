"""How long ``pellucid --help`` takes, against a bare Typer and Rich program with as many commands.

    python benchmarks/startup.py            25 starts of each
    python benchmarks/startup.py --quick    5 starts of each

The bare program is written on the spot: the same groups and commands by name, each with one argument, one option and
one line of help, and bodies that do nothing. Both are started as their console scripts would start them. ``python``
alone is shown too, because nothing can be faster.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer.main

from bench import Figure, alternate, program
from pellucid.cli.app import app

BARE = '''"""A bare program."""
from typing import Annotated
import rich, typer
app = typer.Typer(name="bare", help="A bare program.", no_args_is_help=True, rich_markup_mode="markdown")
'''
GROUP = """
group_{group} = typer.Typer(help="The group {group}.")
app.add_typer(group_{group}, name="{group}")
"""
COMMAND = """
@{owner}.command("{name}")
def {owner}_{function}(
    path: Annotated[str, typer.Argument(help="What to work on.")] = ".",
    option: Annotated[str, typer.Option("--option", "-o", help="How to do it.")] = "",
) -> None:
    \"\"\"Does {name}.\"\"\"
"""


def bare_program(commands: dict[str, Any]) -> tuple[str, int]:
    """Source of the program, and how many commands it has."""
    source, number = BARE, 0
    for name, command in commands.items():
        inner = getattr(command, "commands", None)
        if inner is not None:
            source += GROUP.format(group=name)
        for own in inner if inner is not None else [name]:
            owner = "app" if inner is None else f"group_{name}"
            source += COMMAND.format(owner=owner, name=own, function=own.replace("-", "_"))
            number += 1
    return source, number


def modules(code: str, environment: dict[str, str]) -> int:
    """How many modules are loaded at the end of the code."""
    text = f"import atexit, sys; atexit.register(lambda: print(len(sys.modules), file=sys.stderr)); {code}"
    done = subprocess.run([sys.executable, "-c", text], env=environment, capture_output=True, text=True, check=False)
    return int(done.stderr.split()[-1])


def start(command: Sequence[str], environment: dict[str, str]) -> None:
    """Runs it to its end; raises CalledProcessError where it fails."""
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)


def measure(quick: bool) -> list[Figure]:
    """Start all in turn."""
    source, number = bare_program(getattr(typer.main.get_command(app), "commands", {}))
    ours = "from pellucid.cli.app import main; main(['--help'])"
    bare = "from bare import app; app(['--help'])"
    with tempfile.TemporaryDirectory(prefix="pellucid-bench-") as scratch:
        (Path(scratch) / "bare.py").write_text(source, encoding="utf-8")
        path = os.pathsep.join([scratch, *(part for part in sys.path[1:] if part)])
        environment = {**os.environ, "PYTHONPATH": path, "COLUMNS": "100"}
        codes = {"python": "pass", "bare": bare, "pellucid": ours}
        commands = {name: [sys.executable, "-c", code] for name, code in codes.items()}
        for command in commands.values():
            start(command, environment)  # compiles what is to be compiled, fills the disk cache
        turns = alternate(
            {name: lambda command=command: start(command, environment) for name, command in commands.items()},  # type: ignore[misc]
            5 if quick else 25,
        )
        loaded = {name: modules(code, environment) for name, code in codes.items()}
    names = {"python": "python alone", "bare": "bare Typer + Rich program", "pellucid": "pellucid --help"}
    remarks = {name: f"{loaded[name]} modules" for name in names} | {
        "bare": f"{loaded['bare']} modules, {number} commands"
    }
    return [
        *(Figure(title, turns.median(name), "s", remark=remarks[name]) for name, title in names.items()),
        Figure(
            "pellucid --help / bare program",
            turns.ratio("pellucid", "bare"),
            at_most=2.0,
            remark=turns.spread("bare", "pellucid", cpu=False),
        ),
    ]


if __name__ == "__main__":
    program(__doc__, measure)
