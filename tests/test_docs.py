"""The documents are true: every command is in the README, and every example runs."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pellucid import Project, errors
from pellucid.cli import ending
from pellucid.errors import PellucidError
from pellucid.types import Prediction

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


def blocks(document: str) -> list[str]:
    return BLOCK.findall((ROOT / document).read_text(encoding="utf-8"))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes of coloured noise that anything can tell apart, and a few pictures to ask about."""
    random = np.random.default_rng(0)
    for place in ("photos/red", "photos/blue", "new-photos"):
        for index in range(12):
            pixels = random.integers(0, 120, (24, 24, 3))
            pixels[..., 0 if place.endswith("red") else 2] += 120
            (tmp_path / place).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.astype("uint8")).save(tmp_path / place / f"{index}.png")
    return tmp_path


def test_the_readme_names_every_command() -> None:
    from pellucid.cli.app import app

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = [command.name or command.callback.__name__ for command in app.registered_commands if command.callback]
    assert len(commands) > 5
    for group in app.registered_groups:
        assert group.name, "a group has a name"
        assert group.typer_instance
        for command in group.typer_instance.registered_commands:
            assert command.callback
            name = command.name or command.callback.__name__
            assert re.search(rf"`{group.name} (\w+`, `)*{name}`|{group.name} \w+`.*`{name}`", text), (group.name, name)
    for name in commands:
        assert f"`{name}`" in text, name


def test_the_python_example_of_the_readme_runs(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(photos)
    source = next(block for block in blocks("README.md") if "Project.init" in block)
    names: dict[str, object] = {}
    exec(compile(source, "README.md", "exec"), names)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 12
    assert all(" blue " in line for line in lines)
    project = names["project"]
    assert isinstance(project, Project)
    project.close()


def test_the_example_head_of_the_contributing_guide_trains_and_predicts(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = next(block for block in blocks("CONTRIBUTING.md") if "class NearestMean" in block)
    (photos / "nearest_mean_of_the_guide.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(str(photos))
    with Project.init(photos / "project") as project:
        project.ingest(photos / "photos", "colours")
        [model] = project.train(
            "colours", models=["nearest_mean_of_the_guide:NearestMean"], settings={"sharpness": [5.0]}
        )
        project.promote(model.ref)
        answers: list[Prediction] = project.predict(photos / "new-photos")
    assert {answer.label for answer in answers} == {"blue"}
    assert "nearest_mean_of_the_guide" in sys.modules


def test_links_between_the_documents_lead_somewhere() -> None:
    for document in ROOT.glob("*.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_the_tour_makes_the_tokens_that_it_uses() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for name, use in (("TOKEN", "Bearer $TOKEN"), ("PELLUCID_TOKEN", "pellucid stream simulate trash --to http")):
        assert f"export {name}=$(pellucid tokens create" in text.partition(use)[0], name


def test_every_exit_code_is_told() -> None:
    lines = [line.split("|")[1:3] for line in (ROOT / "docs/exit-codes.md").read_text(encoding="utf-8").splitlines()
             if line.startswith("| ") and line[2].isdigit()]  # fmt: skip
    told = {int(code): name.strip(" `") for code, name in lines}
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, PellucidError)]
    known = {kind.exit_code: kind.__name__ for kind in kinds if kind is not PellucidError}
    assert told == {0: "", **known, ending.INTERNAL: "", ending.INTERRUPTED: ""}
