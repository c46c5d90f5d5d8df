from __future__ import annotations

import csv
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pellucid.flow.data.edit import commit_rows, newest_of
from pellucid.project import Project
from pellucid.types import Split, Status

from .conftest import Cli


@pytest.fixture
def two_versions(here: Path, cli: Cli, class_folders: Callable[..., Path]) -> Path:
    """pets@1 has 5 cats and 5 dogs, pets@2 an eel more."""
    cli("ingest", class_folders(here / "one", {"cat": 5, "dog": 5}), "-d", "pets")
    cli("ingest", class_folders(here / "two", {"eel": 1}), "-d", "pets")
    return here


def test_list_has_a_line_for_every_version(cli: Cli, two_versions: Path) -> None:
    lines = [line.split()[:6] for line in cli("datasets", "list").out.splitlines()]
    assert lines == [
        ["version", "images", "classes", "train", "test", "trusted"],
        ["pets@1", "10", "2", "8", "2", "0"],
        ["pets@2", "11", "3", "9", "2", "0"],
    ]
    assert [row["ref"] for row in cli("datasets", "list", "--json").json] == ["pets@1", "pets@2"]
    assert [row["ref"] for row in cli("datasets", "list", "pets@1", "--json").json] == ["pets@1", "pets@2"]


def test_show_puts_the_splits_in_their_usual_order(cli: Cli, two_versions: Path) -> None:
    ended = cli("datasets", "show", "pets")
    assert ended.out.startswith("pets@2: 11 images, from pets@1, content ")
    assert ["class", "train", "test"] in [line.split() for line in ended.out.splitlines()]
    assert "rows" not in cli("datasets", "show", "pets", "--json").json
    assert len(cli("datasets", "show", "pets", "--rows", "--json").json["rows"]) == 11
    assert len(cli("datasets", "show", "pets@1", "--rows").out.splitlines()) == 1 + 10


def test_show_cuts_long_lists_short_and_says_so(cli: Cli, here: Path, class_folders: Callable[..., Path]) -> None:
    source = class_folders(here / "source", {"cat": 2, "dog": 2})
    for number in range(25):
        (source / "cat" / f"broken {number}.png").write_bytes(b"")
    cli("ingest", source, "-d", "pets")
    short, whole = cli("datasets", "show", "pets"), cli("datasets", "show", "pets", "--all")
    assert short.out.count("broken") == 20
    assert "... and 5 more; --all prints them" in short.err
    assert whole.out.count("broken") == 25
    assert "--all" not in whole.err
    assert len(cli("datasets", "show", "pets", "--json").json["rejected"]) == 25


def test_diff_tells_what_changed_label_by_label(cli: Cli, two_versions: Path) -> None:
    ended = cli("datasets", "diff", "pets@1", "pets@2")
    heading, line = ended.out.splitlines()
    assert heading.split() == ["sample", "pets@1", "pets@2", "split", "why"]
    assert line.split()[1:3] == ["-", "eel"]
    assert "new classes: eel" in ended.err
    assert "1 sample differs" in ended.err
    assert len(cli("datasets", "diff", "pets@2", "pets@1", "--json").json["differences"]) == 1
    same = cli("datasets", "diff", "pets@1", "pets@1")
    assert (same.out, same.err) == ("", "no difference\n")
    assert "1 to 2" in cli("datasets", "diff", "pets@1", "pets@3").error


def test_diff_tells_trust_and_status(cli: Cli, trained: Path) -> None:
    with Project(trained) as project:
        version, rows = newest_of(project.workspace, "pets")
        cats = [row for row in rows if row.label == "cat" and row.split is Split.TRAIN][:2]
        doubted, dropped = replace(cats[0], trust=250), replace(cats[1], trust=31, status=Status.SUSPECT)
        after = {row.sample: row for row in (*rows, doubted, dropped)}
        made, _ = commit_rows(project.workspace, version, list(after.values()), recipe={"verb": "clean"})
    said = {line.split()[0]: line for line in cli("datasets", "diff", version.ref, made.ref).out.splitlines()[1:]}
    assert re.search(r" cat +cat 0\.250 ", said[doubted.sample[:12]])
    assert re.search(r" cat +cat 0\.031, suspect ", said[dropped.sample[:12]])


def test_lineage_goes_back_to_the_beginning_and_on_to_the_models(cli: Cli, trained: Path) -> None:
    lines = cli("datasets", "lineage", "pets").out.splitlines()
    assert lines[0].startswith("pets@1  ")
    assert "ingest" in lines[0]
    assert lines[1].split()[:3] == ["pets@1", "kernel", "accuracy"]
    assert cli("datasets", "lineage", "pets@1", "--json").json[0]["ref"] == "pets@1"


def test_lineage_of_a_sample_reaches_the_predictions(cli: Cli, trained: Path, picture: Callable[..., bytes]) -> None:
    Path("again.png").write_bytes(picture("cat", 3))
    answer = cli("predict", "again.png", "-m", "pets@1", "--json").lines[0]
    told = cli("datasets", "lineage", "--impact", answer["sample"][:8]).out
    assert "seen in     pets: cat/3.png" in told
    assert f"predicted   '{answer['label']}' by pets@1" in told
    assert cli("datasets", "lineage", "--impact", answer["sample"], "--json").json["versions"]


def test_export_writes_what_ingest_reads(cli: Cli, two_versions: Path) -> None:
    ended = cli("datasets", "export", "pets@1", "out")
    assert ended.out == "10 images of pets@1 are in out\n"
    with Path("out/metadata.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 10
    assert cli("datasets", "export", "pets@1", "out", "--json").json["images"] == 10
    assert "other files" in cli("datasets", "export", "pets@2", "out").error
    assert cli("ingest", "out", "-d", "copy", "--json").json["version"]["counts"]["images"] == 10
