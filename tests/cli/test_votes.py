"""``forget`` and ``voters`` as they are typed."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pellucid import Project
from pellucid.cli.votes import _answers
from pellucid.flow.online.forget import Forgotten
from pellucid.store.votes import add_votes
from pellucid.types import Role, Vote

from .conftest import Cli


@pytest.fixture(scope="module")
def spoken_folder(tmp_path_factory: pytest.TempPathFactory, trained_folder: Path) -> Path:
    folder = tmp_path_factory.mktemp("spoken") / "project"
    shutil.copytree(trained_folder, folder)
    with Project(folder) as project:
        project.train("pets", models="ridge")
        project.promote("pets@2")
        rows = [row for row in project.inspect("pets").rows if row.split == "train"]
        cats, dogs = ([row.sample for row in rows if row.label == label] for label in ("cat", "dog"))
        said = [(name, "dog", "bob") for name in cats[:3]] + [(dogs[0], "cat", "ann")]
        with project.workspace.database.write() as connection:
            add_votes(
                connection, [Vote("pets", name, label, Role.USER, who, datetime.now(UTC)) for name, label, who in said]
            )
    return folder


@pytest.fixture
def spoken(tmp_path: Path, spoken_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``pets@2``, a ridge, is champion; bob has said dog of three cats, ann cat of one dog."""
    shutil.copytree(spoken_folder, tmp_path / "spoken")
    monkeypatch.chdir(tmp_path / "spoken")
    return tmp_path / "spoken"


@pytest.mark.usefixtures("spoken")
def test_a_voter_is_taken_back_once(cli: Cli) -> None:
    before = cli("voters", "pets", "--json").json
    foretold = cli("forget", "pets", "--voter", "bob", "-n")
    lines = foretold.out.splitlines()
    assert lines[0] == "3 votes of bob on 3 images would be taken back"
    assert lines[1].startswith("  pets@2    would be unlearnt ")
    assert foretold.err == "nothing was changed; the same command without --dry-run does it\n"
    assert cli("forget", "pets", "--voter", "bob", "-n", "--json").json["retraction"] is None
    assert cli("voters", "pets", "--json").json == before
    done = cli("forget", "pets", "--voter", "bob", "-r", "he lied", "--json").json
    assert (done["votes"], done["voters"], done["dry_run"]) == (3, ["bob"], False)
    assert done["retraction"] >= 1
    bob = next(item for item in cli("voters", "pets", "--json").json if item["name"] == "bob")
    assert (bob["votes"], bob["retracted"], bob["weight"]) == (0, 3, None)
    again = cli("forget", "pets", "--voter", "bob")
    assert (again.code, "no vote that counts and fits" in again.error) == (4, True)


@pytest.mark.usefixtures("spoken")
def test_options_combine_and_times_are_said_as_people_do(cli: Cli) -> None:
    sample = cli("forget", "pets", "--voter", "ann", "--since", "1h", "--json").json
    assert (sample["votes"], sample["samples"]) == (1, 1)
    assert "no vote" in cli("forget", "pets", "--voter", "bob", "--since", "2999-01-01").error
    lines = cli("forget", "pets", "--since", "7d", "--voter", "bob").out.splitlines()
    assert lines[0] == "3 votes of bob on 3 images taken back"


@pytest.mark.parametrize(
    ("answers", "changed", "dry_run", "says"),
    [
        (301, 0, False, "the newest 301 answers are the same when given again"),
        (301, 0, True, "the newest 301 answers would be the same when given again"),
        (301, 2, False, "2 of the newest 301 answers are another label when given again"),
        (1, 0, False, "the newest answer is the same when given again"),
    ],
)
def test_what_becomes_of_answers_is_plain(answers: int, changed: int, dry_run: bool, says: str) -> None:
    found = Forgotten(
        "pets", 1, 3, ("bob",), 3, 0, 3, "pets@1", "", None, None, answers, changed, ledger=3, dry_run=dry_run
    )
    assert _answers(found) == says


@pytest.mark.usefixtures("spoken")
def test_voters_are_listed_for_people(cli: Cli) -> None:
    lines = cli("voters", "pets").out.splitlines()
    assert lines[0].split() == ["voter", "votes", "retracted", "reliability", "weight", "agrees", "as"]
    rows = {line.split()[0]: line.split()[1:3] for line in lines[1:] if line}
    assert (rows["bob"], rows["ann"]) == (["3", "0"], ["1", "0"])


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["forget", "birds", "--voter", "bob"], 4, "birds"),
        (["forget", "pets", "--voter", "nobody"], 4, "no vote that counts and fits"),
        (["forget", "pets", "--voter", "bob", "--since", "soon"], 2, "'soon' is no time"),
        (["forget", "pets"], 2, "name whose votes to take back"),
        (["voters", "birds"], 4, "birds"),
    ],
)
def test_what_cannot_be_is_one_line(cli: Cli, words: list[str], code: int, says: str) -> None:
    ended = cli(*words)
    assert says in ended.error
    assert ended.code == code
