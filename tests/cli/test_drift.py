"""``drift`` as it is typed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa

from pellucid import Project
from pellucid.flow.online.answer import Asked, answer
from pellucid.flow.online.live import LiveModel
from pellucid.store.schema import prediction

from ..conftest import shade_bytes, shade_folders
from .conftest import Cli


@pytest.fixture(scope="module")
def shades_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("shades")
    shade_folders(root / "source", 80)
    with Project.init(root / "project") as made:
        made.ingest(root / "source", "shades", test_fraction=0.5)
        made.train("shades", models="ridge")
        made.promote("shades@1")
    return root / "project"


@pytest.fixture
def shades(tmp_path: Path, shades_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose champion tells red from blue, and the folder that we are in."""
    shutil.copytree(shades_folder, tmp_path / "shades")
    monkeypatch.chdir(tmp_path / "shades")
    return tmp_path / "shades"


def ask(folder: Path, start: int, *, dark: int = 0) -> None:
    images = [shade_bytes(label, start + number, dark=dark) for number in range(40) for label in ("red", "blue")]
    with Project(folder) as project:
        live = LiveModel(project.workspace, project.model("shades"))
        answer(project.workspace, live.answerer, [Asked(data) for data in images])


def test_it_says_what_has_moved_and_what_has_not(cli: Cli, shades: Path) -> None:
    few = cli("drift")
    assert (few.code, "has answered about 0 images; drift is told from 50 on" in few.error) == (7, True)
    ask(shades, 1000)
    found = cli("drift", "--json").json
    assert (found["drifted"], found["n_current"]) == ([], 80)
    ask(shades, 2000, dark=90)
    told = cli("drift", "shades").out.splitlines()
    moved = {line.split()[0]: line.split()[1] for line in told[1:]}
    assert moved["features"] == "moved"
    assert set(moved.values()) <= {"moved", "same"}
    assert "features" in cli("drift", "--json").json["drifted"]


def test_a_detector_follows_the_confidences(cli: Cli, shades: Path) -> None:
    ask(shades, 1000)
    assert cli("drift", "--json").json["stream"] is None
    with (shades / "pellucid.toml").open("a") as file:
        file.write('[drift]\nstream = "page-hinkley"\nsettings = { threshold = 2.0 }\n')
    assert cli("drift").out.splitlines()[-1] == (
        "page-hinkley called no drift in the newest 80 confidences, one by one"
    )
    with Project(shades) as project, project.workspace.database.write() as connection:
        newest = sa.select(sa.func.max(prediction.c.id) - 30).scalar_subquery()
        connection.execute(sa.update(prediction).where(prediction.c.id > newest).values(confidence=0.2))
    found = cli("drift", "--json").json["stream"]
    (alarm,) = found["alarms"]
    assert (found["detector"], found["answers"]) == ("page-hinkley", 80)
    assert 50 < alarm["place"] < 60
    told = cli("drift", "shades").out.splitlines()
    assert told[-2] == "page-hinkley called a drift once in the newest 80 confidences, one by one"
    assert told[-1].startswith(f"  at answer {alarm['place']} ")
    assert told[-1].endswith(alarm["uid"])


@pytest.mark.usefixtures("trained")
def test_without_a_champion_or_a_model_it_is_one_line(cli: Cli) -> None:
    for words in (["drift", "birds"], ["drift", "pets@9"]):
        ended = cli(*words)
        assert ended.error
        assert ended.code == 4
