from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pellucid import Project

from .conftest import Cli


@pytest.mark.usefixtures("trained")
def test_where_nothing_was_said_nothing_is_trained(cli: Cli) -> None:
    ended = cli("retrain", "pets", "-n")
    assert ended.out == "nothing would be trained: pets@1 is learnt already and nobody has said anything since\n"
    assert cli("retrain", "pets", "-n", "--json").json["learnt"] is True
    ended = cli("retrain", "pets")
    assert (ended.out, ended.err) == ("nothing new to learn: pets@1 is learnt already\n", "")
    found = cli("retrain", "pets", "--json").json
    assert (found["firing"]["state"], found["candidate"], found["models"]) == ("nothing", None, [])


def test_a_new_image_is_learnt_and_leaves_a_candidate(cli: Cli, trained: Path) -> None:
    with (trained / "pellucid.toml").open("a") as file:
        file.write('[retrain]\nmodels = ["ridge"]\nclean = false\n')
    with Project(trained) as project:
        rows = [row for row in project.inspect("pets").rows if row.split == "train" and row.label == "cat"]
        project.settle("pets", rows[0].sample, "dog")
    ended = cli("retrain", "pets", "-n")
    assert ended.out.splitlines() == [
        "would freeze 1 new votes on top of pets@2",
        "would train ridge",
        "the best of them stays a candidate",
    ]
    ended = cli("retrain", "pets")
    assert ended.out.splitlines() == [
        "pets@2 is the candidate; there is no champion",
        "  trained     pets@2 on pets@2",
    ]
    assert ended.err.endswith("next: pellucid models promote pets@2\n")


def test_votes_that_were_taken_back_are_foretold_and_followed(cli: Cli, trained: Path) -> None:
    with Project(trained) as project:
        row = next(row for row in project.inspect("pets").rows if row.split == "train")
        (voter,) = [found.name for found in project.voters("pets")]
    assert cli("forget", "pets", "--voter", voter, "--sample", row.sample[:12]).code == 0
    lines = cli("retrain", "pets", "-n").out.splitlines()
    assert lines[:2] == [
        "would freeze 0 new votes on top of pets@1, and audit it",
        "would label 1 images anew, on which votes were taken back since",
    ]
    assert cli("retrain", "pets", "-n", "--json").json["taken_back"] == 1
    assert cli("retrain", "pets", "--json").json["version"] in {"pets@2", "pets@3"}
    with Project(trained) as project:
        project.corrupt("pets", labels="pair", rate=1.0)
    ended = cli("datasets", "revert", "pets@1")
    assert ended.err == "1 of the labels are others: votes on them were taken back since\n"
    assert cli("retrain", "pets", "-n", "--json").json["taken_back"] == 0


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize(("words", "code"), [(["birds"], 4), (["pets@1"], 4), (["birds", "-n"], 4)])
def test_what_cannot_be_is_one_line(cli: Cli, words: list[str], code: int) -> None:
    ended = cli("retrain", *words)
    assert ended.error
    assert ended.code == code


def test_the_gate_refuses_in_one_line_and_force_overrules(
    cli: Cli, trained: Path, class_folders: Callable[..., Path]
) -> None:
    with Project(trained) as project:
        source = class_folders(trained / "more", {"cat": 20, "dog": 20}, start=50)
        project.ingest(source, "judged", test_fraction=0.2, trusted_fraction=0.6)
        project.train("judged", models="ridge")
        project.corrupt("judged", labels="pair", rate=1.0)
        project.train("judged", models="ridge")
    assert cli("models", "verdicts").err.startswith("the gate has judged nothing yet")
    assert cli("models", "promote", "judged@1").code == 0
    ended = cli("models", "promote", "judged@2")
    assert ended.code == 19
    assert "the gate refuses judged@2 against judged@1: -" in ended.error
    (verdict,) = cli("models", "verdicts", "judged", "--json").json
    assert (verdict["candidate"], verdict["passed"]) == (2, False)
    assert "refused" in cli("models", "verdicts").out
    assert cli("models", "promote", "judged@2", "--force", "-r", "trial").code == 0
    assert cli("models", "history", "judged", "--json").json[-1]["reason"].startswith("trial [forced against the gate")
