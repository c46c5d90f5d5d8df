"""Run the benchmarks and write what they print into docs/benchmarks.md.

    python benchmarks/run.py                    all, about a quarter of an hour on two cores
    python benchmarks/run.py embedding ridge    these only; the others' figures stay as they are
    python benchmarks/run.py --quick            all on little data, nothing is written

Leaves with 1 where a target is missed or a program fails.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench import plain, table

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
# What deletes many files is last.
NAMES = (
    "startup",
    "ingest",
    "rerun",
    "embedding",
    "runtimes",
    "quality",
    "views",
    "ridge",
    "audit",
    "wrong_labels",
    "auto_rule",
    "forgetting",
    "bad_images",
    "monday_tuesday",
    "poisoning",
    "live",
    "serving",
    "pages",
    "scaling",
)


def run(name: str, *, quick: bool) -> dict[str, Any] | None:
    """The program's result; None where it gave none, its reason being on stderr already."""
    command = [sys.executable, str(HERE / f"{name}.py"), "--json", *(["--quick"] if quick else [])]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if not done.stdout:
        return None
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def markdown(result: Mapping[str, Any]) -> str:
    """Command, date and machine, and the table."""
    place = result["surroundings"]
    packages = ", ".join(f"{name} {number}" for name, number in place["packages"].items())
    lines = [
        f"`{result['command']}` on {place['date']}; {place['cores']} cores, {place['cpu']}, {place['system']}, "
        f"load {place['load']}; Python {place['python']}, {packages}.",
        "",
        "| what | figure | target | verdict | remark |",
        "|---|---:|---|---|---|",
    ]
    for item in result["figures"]:
        figure = f"{plain(item['value'])} {item['unit']}".rstrip()
        cells = (item["name"], figure, item["target"], item["verdict"], item["remark"])
        lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join(lines)


def insert(page: str, name: str, text: str) -> str:
    """The page with the text between the benchmark's markers; raises SystemExit where they are missing.

    >>> insert("<!-- ridge -->old<!-- end ridge -->", "ridge", "new").split()
    ['<!--', 'ridge', '-->', 'new', '<!--', 'end', 'ridge', '-->']
    """
    start, end = f"<!-- {name} -->", f"<!-- end {name} -->"
    found = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.DOTALL)
    if not found.search(page):
        raise SystemExit(f"{PAGE} has no {start} ... {end}; put them where the figures are to stand")
    return found.sub(lambda match: f"{start}\n{text}\n{end}", page)


def main() -> None:
    """One after the other; each result is shown and written as soon as it is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(NAMES)}; all where none is named")
    parser.add_argument("--quick", action="store_true", help="little data, nothing is written")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(NAMES))
    if unknown:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are: {', '.join(NAMES)}")
    missed = False
    for name in options.names or NAMES:
        print(f"\n{name}", flush=True)
        result = run(name, quick=options.quick)
        if result is None:
            print("no result")
            missed = True
            continue
        print(table(result["figures"]), flush=True)
        missed |= any(item["verdict"] == "MISSED" for item in result["figures"]) and not options.quick
        if not options.quick:
            PAGE.write_text(insert(PAGE.read_text(encoding="utf-8"), name, markdown(result)), encoding="utf-8")
    raise SystemExit(int(missed))


if __name__ == "__main__":
    main()
