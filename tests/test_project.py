from __future__ import annotations

import dataclasses
import inspect
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from pellucid import PellucidError, Project
from pellucid.cli.app import app
from pellucid.errors import NotFoundError, TrainingError, UsageError
from pellucid.flow.training.grid import Grid
from pellucid.types import JobState

Folders = Callable[..., Path]


@pytest.fixture
def trained(tmp_path: Path, trained_folder: Path) -> Path:
    """A copy of the project with ``pets@1`` and its model ``pets@1``."""
    shutil.copytree(trained_folder, tmp_path / "trained")
    return tmp_path / "trained"


def test_the_main_job_from_python(tmp_path: Path, class_folders: Folders, picture: Callable[..., bytes]) -> None:
    source = class_folders(tmp_path / "source", {"cat": 12, "dog": 12})
    told: list[str] = []
    with Project.init(tmp_path / "here"):
        pass
    with Project(tmp_path / "here", progress=lambda what, done, total: told.append(what)) as project:
        report = project.ingest(source, "pets", role="user", test_fraction=0.25)
        assert report.version.ref == "pets@1"
        assert project.datasets() == project.datasets("pets") == project.datasets("pets@1") == [report.version]
        assert project.embed("pets") == 24

        first, second = sorted(
            project.train("pets", models="ridge", settings={"lambda": [0.5, 2]}), key=lambda found: found.version
        )
        assert project.models() == [second, first]
        assert project.model(first.ref) == first
        assert project.report_path(first).is_file()
        assert project.report(first.ref) == project.report_path(first).parent
        assert "trained on dataset version pets@1" in project.card(first.ref).splitlines()[0]
        assert project.train("pets", models="ridge", settings={"lambda": 0.5}) == [
            found for found in (first, second) if found.settings == {"lambda": 0.5}
        ]

        change = project.promote(first.ref, reason="first")
        assert project.promote(second.ref, dry_run=True).version == second.version
        assert project.history() == project.history("pets") == [change]
        assert project.choose_model().ref == first.ref
        assert project.model("pets").aliases == ("champion",)
        project.promote(second.ref)
        assert project.rollback("pets").version == first.version

        (tmp_path / "new.png").write_bytes(picture("dog", 3))
        (answer,) = project.predict(tmp_path / "new.png")
        assert (answer.label, answer.model) == ("dog", first.ref)
        assert next(iter(project.predict_each([tmp_path / "new.png"], record=False))) == answer
        assert answer.sample is not None
        assert len(project.impact(answer.sample).predictions) == 1

        assert project.evaluate(first.ref).metrics["accuracy"].value == first.metrics["accuracy"]
        assert project.compare(first.ref, second.ref).n == 6
        assert project.mirror(dry_run=True) == project.mirror() == 0
        assert project.export("pets", tmp_path / "out").images == 24
        assert project.export_model(first.ref, tmp_path / "model").ref == first.ref

        sample = project.inspect("pets").rows[0].sample
        assert project.settle("pets", sample[:16], "eel").ref == "pets@2"
        assert project.diff("pets@1", "pets@2").new_classes == ("eel",)
        assert [step.version.ref for step in project.lineage("pets")] == ["pets@2", "pets@1"]
    assert {"reading", "embedding"} <= set(told)


def test_the_queue_from_python(trained: Path) -> None:
    with Project(trained, settings={"poll_seconds": 0.02}) as project:
        jobs = project.submit(Grid(("pets",), settings={"lambda": [3, 4]}))
        assert [job.state for job in jobs] == [JobState.QUEUED] * 2
        assert project.cancel(jobs[0].id).state is JobState.CANCELLED
        seen: list[str] = []
        assert project.work(report=lambda job: seen.append(job.state)) == 1
        assert seen == ["running", "done"]
        assert project.retry(jobs[0].id).state is JobState.QUEUED
        assert project.work(only=[jobs[0].id]) == 1
        assert [job.state for job in project.jobs([job.id for job in jobs])] == [JobState.DONE] * 2


def test_a_training_that_fails_is_an_error_after_the_others_are_done(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "failing_head.py").write_text(
        "from pellucid.heads.ridge import RidgeClassifier\n\n\n"
        "class Failing(RidgeClassifier):\n"
        "    def fit(self, *words, **options):\n"
        "        raise RuntimeError('lamp broken')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with Project(trained) as project:
        with pytest.raises(TrainingError, match=r"1 of 2 trainings did not succeed: job .* failed: .*lamp broken"):
            project.train("pets", models=["failing_head:Failing", "logistic"])
        assert [model.head for model in project.models()] == ["logistic", "kernel"]


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda project: project.datasets("nope"), NotFoundError),
        (lambda project: project.models("nope"), NotFoundError),
        (lambda project: project.history("nope"), NotFoundError),
        (lambda project: project.rollback("nope"), NotFoundError),
        (lambda project: project.inspect("pets@9"), NotFoundError),
        (lambda project: project.choose_model("nope"), NotFoundError),
        (lambda project: project.train(), UsageError),
        (lambda project: project.train("pets", models="rigde"), UsageError),
        (lambda project: project.ingest(".", "pets", role="boss"), UsageError),
        (lambda project: project.settle("pets", ["0000000000000000"], "cat"), NotFoundError),
        (lambda project: project.predict("/nowhere.png", model="pets@1"), NotFoundError),
    ],
)
def test_what_is_refused_is_refused_with_one_line(
    trained: Path, call: Callable[[Project], Any], error: type[PellucidError]
) -> None:
    with Project(trained) as project, pytest.raises(error) as refused:
        call(project)
    assert "\n" not in str(refused.value)


def test_a_project_is_found_from_below_and_not_elsewhere(trained: Path, tmp_path: Path) -> None:
    (trained / "a" / "b").mkdir(parents=True)
    with Project(trained / "a" / "b") as project:
        assert project.workspace.root == trained.resolve()
    with pytest.raises(NotFoundError, match="pellucid init"):
        Project(tmp_path)
    with pytest.raises(UsageError, match="is a project already"):
        Project.init(trained)


def test_settings_come_from_the_call_before_the_environment(trained: Path) -> None:
    with Project(trained, environ={"PELLUCID_SEED": "3"}) as project:
        assert project.workspace.settings.seed == 3
    with Project(trained, environ={"PELLUCID_SEED": "3"}, settings={"seed": 4}) as project:
        assert project.workspace.settings.seed == 4


def test_every_command_has_its_method() -> None:
    """The command line only asks for what Python can ask for too."""
    root: Any = typer.main.get_command(app)
    names = {name for name, command in root.commands.items() if not hasattr(command, "commands")}
    for group in root.commands.values():
        names |= set(getattr(group, "commands", ()))
    names -= {"serve", "up", "consume", "publish", "bridge", "simulate"}  # doors, which are processes
    same = {"list": "datasets", "show": "inspect", "label": "settle", "worker": "work", "config": "workspace"}
    same |= {"create": "create_token", "revoke": "revoke_token", "shadow": "shadow_report"}
    have = {name for name, _ in inspect.getmembers(Project)} | {"workspace"}
    assert {same.get(name, name.replace("-", "_")) for name in names} <= have


def test_what_methods_return_is_frozen(trained: Path) -> None:
    with Project(trained) as project:
        values: list[Any] = [
            *(*project.datasets(), *project.models(), *project.jobs()),
            *(project.inspect("pets"), project.diff("pets@1", "pets@1"), *project.lineage("pets")),
            *(project.evaluate("pets@1"), project.promote("pets@1", dry_run=True)),
        ]
    for value in values:
        assert dataclasses.is_dataclass(value)
        field = dataclasses.fields(value)[0].name
        with pytest.raises((dataclasses.FrozenInstanceError, AttributeError)):
            setattr(value, field, None)
