from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pellucid import Project
from pellucid.errors import ConcurrencyError, ConfigError, NotFoundError, TrainingError
from pellucid.flow.data.said import COPY, Spoken
from pellucid.flow.online import spoken
from pellucid.flow.online.answer import Seen, look_at, record_looks, store_images
from pellucid.flow.production import retrain as module
from pellucid.flow.production.retrain import Retrainings, retrain
from pellucid.flow.production.triggers import due, plan_of
from pellucid.flow.training.predict import open_predictor
from pellucid.flow.training.worker import work
from pellucid.store.firings import FiringState, firings_of
from pellucid.store.votes import add_votes
from pellucid.types import Role, Split, Status, Vote

pytestmark = pytest.mark.usefixtures("no_reports")

TABLE = {"dataset": "pets", "models": ["ridge"], "clean": False}
MONDAY = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def voted_folder(tmp_path_factory: pytest.TempPathFactory, class_folders: Callable[..., Path]) -> Path:
    """60 cats and 60 dogs, half of them trusted; pets@1, a ridge, is the champion."""
    root = tmp_path_factory.mktemp("voted")
    with Project.init(root / "project") as made:
        source = class_folders(root / "source", {"cat": 60, "dog": 60})
        made.ingest(source, "pets", test_fraction=0.1, trusted_fraction=0.5)
        made.train("pets", models="ridge")
        made.promote("pets@1")
    return root / "project"


MakePets = Callable[..., Project]


@pytest.fixture
def pets(make_project: Callable[..., Project], voted_folder: Path) -> MakePets:
    def make(**table: Any) -> Project:
        own = make_project(of=voted_folder, retrain={**TABLE, **table}, gate={"margin": 0.2})
        assert not due(own.workspace, MONDAY, worker="setting up")
        return own

    return make


def say(project: Project, places: Sequence[int], label: str | None = None, **more: Any) -> list[str]:
    """Votes of users on training images, by place; the label that stands where None."""
    rows = [row for row in project.inspect("pets").rows if row.split is Split.TRAIN]
    chosen = [rows[place] for place in places]
    now = datetime.now(UTC)
    votes = [Vote("pets", row.sample, label or str(row.label), Role.USER, f"u{now}", now, **more) for row in chosen]
    with project.workspace.database.write() as connection:
        add_votes(connection, votes)
    return [row.sample for row in chosen]


def firings(project: Project) -> list[tuple[str, str]]:
    with project.workspace.database.read() as connection:
        return [(item.trigger, str(item.state)) for item in firings_of(connection, "pets")]


def test_votes_become_a_version_a_candidate_and_a_verdict(pets: MakePets) -> None:
    project = pets(votes=3)
    assert due(project.workspace, worker="a") == []
    changed = say(project, [0, 1, 2], "eel")
    (firing,) = due(project.workspace, worker="a")
    assert (firing.trigger, firing.detail["why"]) == ("votes", "3 new votes")
    outcome = retrain(project.workspace, firing)
    assert outcome.version == "pets@2"
    version = project.datasets("pets")[-1]
    assert (version.recipe["verb"], version.classes) == ("retrain", ("cat", "dog"))
    rows = {row.sample: row for row in project.inspect("pets").rows}
    assert {rows[name].status for name in changed} == {"ok"}  # the model knows which of two words to believe
    assert all(rows[name].label != "eel" and 500 < rows[name].trust < 1000 for name in changed)
    assert all(" against eel (" in rows[name].reason for name in changed)
    assert (outcome.candidate, outcome.promoted, outcome.firing.state) == ("pets@2", False, FiringState.DONE)
    assert outcome.verdict is not None
    assert outcome.verdict.judged
    assert project.model("pets@2").aliases == ("candidate",)
    assert project.model("pets").ref == "pets@1"
    assert due(project.workspace, worker="a") == []
    say(project, [3, 4])
    assert due(project.workspace, worker="a") == []
    say(project, [5])
    assert len(due(project.workspace, worker="b")) == 1


def test_a_candidate_that_passes_becomes_champion_where_asked(pets: MakePets) -> None:
    project = pets(votes=1, promote="gate", settings={"lambda": 3.0})
    say(project, [0], "eel")
    (firing,) = due(project.workspace, worker="a")
    outcome = retrain(project.workspace, firing)
    assert outcome.verdict is not None
    assert (outcome.verdict.passed, outcome.promoted) == (True, True)
    assert project.model("pets").ref == outcome.candidate == "pets@2"
    assert project.history()[-1].reason == "retrained: 1 new votes"
    assert len(project.verdicts()) == 1


def test_a_worse_candidate_is_left_a_candidate(pets: MakePets) -> None:
    project = pets(promote="gate")
    project.corrupt("pets", labels="pair", rate=1.0)
    outcome = project.retrain("pets")
    assert (outcome.promoted, project.model("pets").ref) == (False, "pets@1")
    assert "was refused by the gate: -" in outcome.message
    assert not project.verdicts()[-1].passed
    rows = project.inspect("pets").rows
    assert sum(row.label is not None for row in rows) == 120  # what corrupt keeps as truth is nobody's vote


def test_nothing_is_trained_on_nothing(pets: MakePets) -> None:
    project = pets(votes=2, clean=True)
    say(project, [0, 1])
    (firing,) = due(project.workspace, worker="a")
    first = retrain(project.workspace, firing)
    assert first.firing.state in (FiringState.DONE, FiringState.NOTHING)
    before = len(project.jobs()), len(project.datasets("pets"))
    outcome = project.retrain("pets")
    assert (outcome.firing.state, outcome.candidate, outcome.models) == (FiringState.NOTHING, None, ())
    assert "nothing new to learn" in outcome.message
    assert (len(project.jobs()), len(project.datasets("pets"))) == before
    assert firings(project)[-1] == ("hand", "nothing")


def test_the_schedule_fires_once_a_time_whatever_the_clock_does(pets: MakePets) -> None:
    project = pets(schedule="0 3 * * *")  # first seen on Monday at two
    look = [due(project.workspace, MONDAY + timedelta(hours=hours), worker="a") for hours in (0.5, 1, 1.1, 0.9, 1.1)]
    assert [len(found) for found in look] == [0, 1, 0, 0, 0]
    assert look[1][0].key == "2026-03-02T03:00:00+00:00"
    assert due(project.workspace, MONDAY - timedelta(days=2), worker="a") == []  # times before it was first seen
    late = due(project.workspace, MONDAY + timedelta(days=3, hours=5), worker="b")
    assert [item.key for item in late] == ["2026-03-05T03:00:00+00:00"]  # caught up on once
    assert due(project.workspace, MONDAY + timedelta(days=3, hours=5), worker="a") == []
    back = due(project.workspace, MONDAY + timedelta(hours=2), worker="a")
    assert back == []


def test_a_schedule_that_was_changed_starts_anew(pets: MakePets, make_project: Callable[..., Project]) -> None:
    pets(schedule="0 3 * * *")
    project = make_project(retrain={**TABLE, "schedule": "0 1 * * *"})
    assert due(project.workspace, MONDAY, worker="a") == []  # one o'clock had passed when it was first seen
    assert len(due(project.workspace, MONDAY + timedelta(days=1), worker="a")) == 1


def test_a_fall_in_accuracy_fires_once_a_reign(pets: MakePets, monkeypatch: pytest.MonkeyPatch) -> None:
    from pellucid.flow.production import triggers

    project = pets(accuracy_fall=20)
    said: list[bool] = [True] * 29
    monkeypatch.setattr(triggers, "agreements", lambda *args: said)
    assert due(project.workspace, worker="a") == []
    said[:] = [True] * 25 + [False] * 5
    assert due(project.workspace, worker="a") == []  # 83 %: up to 93 %
    said[:] = [True] * 15 + [False] * 15
    (firing,) = due(project.workspace, worker="a")
    assert firing.key == "pets@1 as champion 1"
    assert "50.0% of 30 recent answers of pets@1 were confirmed" in firing.detail["why"]
    assert due(project.workspace, worker="b") == []


def test_an_alarm_of_drift_fires_once(pets: MakePets) -> None:
    project = pets(drift=True)
    alarms = iter([None, "2026-03-02 mmd", "2026-03-02 mmd", "2026-03-09 mmd"])
    found = [len(due(project.workspace, worker="a", drift=lambda workspace, name: next(alarms))) for _ in range(4)]
    assert found == [0, 1, 0, 1]
    assert due(pets_without_drift(project), worker="a", drift=lambda workspace, name: "x") == []


def pets_without_drift(project: Project) -> Any:
    from dataclasses import replace

    settings = replace(project.workspace.settings, retrain=TABLE)
    return replace(project.workspace, settings=settings)


def test_a_dead_retraining_is_taken_over_and_goes_on_where_it_stood(
    pets: MakePets, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = pets(votes=1)
    say(project, [0], "eel")
    (firing,) = due(project.workspace, worker="dead")

    class Killed(BaseException):
        pass

    def kill(*args: Any, **options: Any) -> int:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(module, "work", kill)
        with pytest.raises(Killed):
            retrain(project.workspace, firing)
    assert due(project.workspace, worker="b") == []  # the lease holds still
    _expire(project)
    (taken,) = due(project.workspace, worker="b")
    assert (taken.id, taken.detail["attempt"], taken.detail["version"]) == (firing.id, 2, "pets@2")
    with pytest.raises(ConcurrencyError, match="taken over"):
        retrain(project.workspace, firing)
    outcome = retrain(project.workspace, taken)
    assert (outcome.firing.state, outcome.candidate) == (FiringState.DONE, "pets@2")
    assert len(project.datasets("pets")) == 2
    assert due(project.workspace, worker="c") == []


def _expire(project: Project) -> None:
    import sqlalchemy as sa

    from pellucid.store.schema import firing as table

    with project.workspace.database.write() as connection:
        for row in connection.execute(sa.select(table).where(table.c.state == "claimed")).all():
            past = {**row.detail, "lease_until": "2020-01-01T00:00:00+00:00"}
            connection.execute(sa.update(table).where(table.c.id == row.id).values(detail=past))


def test_ctrl_c_gives_the_retraining_back(pets: MakePets, monkeypatch: pytest.MonkeyPatch) -> None:
    project = pets(votes=1)
    say(project, [0], "eel")
    (firing,) = due(project.workspace, worker="a")

    def stop(*args: Any, **options: Any) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "work", stop)
        with pytest.raises(KeyboardInterrupt):
            retrain(project.workspace, firing)
    (again,) = due(project.workspace, worker="b")
    assert again.detail["attempt"] == 1


def test_what_cannot_be_trained_fails_with_its_reason(pets: MakePets, plugins: str) -> None:
    project = pets(models=[f"{plugins}:Raising"])
    say(project, [0], "eel")
    with pytest.raises(TrainingError, match=r"no candidate could be trained.*no luck today"):
        project.retrain("pets")
    assert firings(project)[-1] == ("hand", "failed")


def test_the_replaying_candidate_keeps_a_share_of_the_old(pets: MakePets) -> None:
    project = pets(replay=0.25)
    say(project, list(range(6)), "eel")
    outcome = project.retrain("pets")
    settings = [project.model(ref).settings for ref in outcome.models]
    assert sorted("replay" in item for item in settings) == [False, True]
    memory = next(item["replay"] for item in settings if "replay" in item)
    assert memory == {"share": 0.25, "since": "pets@1"}


def test_a_watching_worker_retrains_between_jobs(pets: MakePets) -> None:
    import threading

    project = pets(votes=1)
    say(project, [0], "eel")
    stop = threading.Event()
    seen: list[str] = []

    def told(outcome: module.Retraining) -> None:
        seen.append(str(outcome.candidate))
        stop.set()

    look = Retrainings(project.workspace, report=told).look
    work(project.workspace, watch=True, stop=stop, between=look)
    assert seen == ["pets@2"]
    assert [state for trigger, state in firings(project) if trigger == "votes"] == ["done"]


def test_a_failure_is_told_and_the_worker_lives_on(
    pets: MakePets, plugins: str, caplog: pytest.LogCaptureFixture
) -> None:
    project = pets(votes=1, models=[f"{plugins}:Raising"])
    say(project, [0], "eel")
    Retrainings(project.workspace).look()
    assert "the retraining of pets failed: no candidate could be trained" in caplog.text
    Retrainings(project.workspace).look()
    assert [state for trigger, state in firings(project) if trigger == "votes"] == ["failed"]


def test_without_trusted_images_it_says_once_that_nobody_can_judge(
    make_project: Callable[..., Project], tmp_path: Path, class_folders: Callable[..., Path]
) -> None:
    project = make_project(retrain={"models": ["ridge"], "clean": False})
    project.ingest(class_folders(tmp_path / "some", {"cat": 20, "dog": 20}), "pets", trusted_fraction=0.0)
    project.promote(project.train("pets", models="ridge")[0].ref)
    say(project, [0], "eel")
    outcome = project.retrain("pets")
    assert outcome.message == "pets@2 is the candidate and was not judged: there is no trusted image to judge on"


def test_new_is_what_the_newest_version_that_was_learnt_does_not_hold(pets: MakePets) -> None:
    project = pets()
    project.corrupt("pets", labels="pair", rate=0.2)  # the truth is kept as votes
    project.train("pets@2", models="ridge")
    project.train("pets@1", models="logistic")  # the newest model has learnt an older version
    assert project.outlook("pets").new_votes == 0
    say(project, [0, 1])
    assert project.outlook("pets").new_votes == 2


def test_by_hand_without_a_table(make_project: Callable[..., Project], voted_folder: Path) -> None:
    project = make_project(of=voted_folder)
    assert due(project.workspace, worker="a") == []
    outlook = project.outlook("pets")
    assert (outlook.newest, outlook.new_votes, outlook.learnt) == ("pets@1", 0, True)
    say(project, [0])
    assert project.outlook("pets").new_votes == 1
    for name in ("birds", "pets@1"):
        with pytest.raises(NotFoundError):
            project.retrain(name)


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"voets": 1}, "unknown key 'voets'; known are: dataset, votes"),
        ({"votes": 0}, "votes is 0; wanted is a whole number of votes"),
        ({"votes": True}, "votes is True; wanted is a int"),
        ({"schedule": "daily"}, "schedule is 'daily'; wanted is five fields of cron"),
        ({"schedule": "0 3 * * * *"}, "wanted is five fields"),
        ({"schedule": "61 3 * * *"}, "wanted is five fields"),
        ({"accuracy_fall": 0}, "above 0 and below 100"),
        ({"replay": 2.0}, "a share from 0 to 1"),
        ({"promote": "always"}, '"gate" or "never"'),
        ({"models": []}, "a list of models"),
        ({"drift": 1}, "drift is 1; wanted is a bool"),
    ],
)
def test_a_wrong_table_is_named(make_project: Callable[..., Project], table: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        plan_of(make_project(retrain={"dataset": "pets", **table}).workspace.settings)
    with pytest.raises(ConfigError, match="names no dataset"):
        plan_of(make_project(retrain={"votes": 3}).workspace.settings)


def test_no_word_of_a_user_touches_what_is_measured_on(pets: MakePets, picture: Callable[..., bytes]) -> None:
    project, now = pets(), datetime.now(UTC)
    before = project.inspect("pets").rows
    measured = {row.sample: (row.label, row.split) for row in before if row.split is not Split.TRAIN}
    shown = fresh(project, picture, "cat", 60)
    with project.workspace.database.write() as connection:
        lies = [Vote("pets", name, "dog" if label == "cat" else "cat", Role.USER, "eve", now)
                for name, (label, _) in measured.items()]  # fmt: skip
        words = [Vote("pets", name, "cat", Role.USER, "ann", now) for name in shown]
        add_votes(connection, [*lies, *words])
    (train, other) = (project.retrain("pets").version, shown[0])
    rows = {row.sample: row for row in project.inspect(train or "").rows}
    assert {name: (rows[name].label, rows[name].split) for name in measured} == measured
    assert {rows[name].split for name in shown} == {Split.TRAIN}, "nobody has vouched for their labels"
    assert project.impact(other).versions[-1][1].split is Split.TRAIN
    person = next(name for name, (label, split) in measured.items() if split is Split.TEST and label == "cat")
    project.settle("pets", [person], "dog", voter="ann")
    assert {row.sample: row for row in project.inspect("pets").rows}[person].label != "cat", "ground truth counts"


@pytest.mark.parametrize("names", [1, 3])
def test_whoever_contradicts_everything_changes_nothing(pets: MakePets, names: int) -> None:
    project = pets()
    before = {row.sample: row.label for row in project.inspect("pets").rows if row.split is Split.TRAIN}
    for label, lie in (("cat", "dog"), ("dog", "cat")):
        places = [place for place, found in enumerate(before.values()) if found == label]
        for _ in range(names):
            say(project, places, lie)  # each time by another name
    version = project.retrain("pets").version
    rows = {row.sample: row for row in project.inspect(version or "").rows}
    assert {name: rows[name].label for name in before} == before, "neither in conflict nor taken for what they are not"
    assert {rows[name].status for name in before} == {Status.OK}


def test_what_people_contradict_each_other_about_waits_for_a_person(pets: MakePets) -> None:
    project, now = pets(), datetime.now(UTC)
    name, label = next((row.sample, row.label) for row in project.inspect("pets").rows if row.split is Split.TRAIN)
    other = "cat" if label == "dog" else "dog"
    with project.workspace.database.write() as connection:
        add_votes(connection, [Vote("pets", name, other, Role.ANNOTATOR, "ann", now)])
    version = project.retrain("pets").version
    assert next(row for row in project.inspect(version or "").rows if row.sample == name).status is Status.CONFLICT


def lie(project: Project, names: int = 3) -> str:
    """A cat that so many users call a dog."""
    name = next(row.sample for row in project.inspect("pets").rows if row.split is Split.TRAIN and row.label == "cat")
    now = datetime.now(UTC)
    with project.workspace.database.write() as connection:
        add_votes(connection, [Vote("pets", name, "dog", Role.USER, f"eve{place}", now) for place in range(names)])
    return name


def label_of(project: Project, name: str, ref: str = "pets") -> tuple[str | None, Status]:
    row = next(row for row in project.inspect(ref).rows if row.sample == name)
    return row.label, row.status


def test_numbers_decide_nothing_after_an_ingest_either(
    pets: MakePets, class_folders: Callable[..., Path], tmp_path: Path
) -> None:
    project = pets()
    name = lie(project)
    project.ingest(class_folders(tmp_path / "before", {"cat": 60}), "pets")
    assert label_of(project, name) == ("cat", Status.OK)
    project.retrain("pets")
    assert label_of(project, name) == ("cat", Status.OK)
    project.ingest(class_folders(tmp_path / "after", {"cat": 60}), "pets")
    assert label_of(project, name) == ("cat", Status.OK)


def test_to_forget_one_of_three_who_lie_makes_the_others_no_majority(pets: MakePets) -> None:
    project = pets()
    name = lie(project)
    frozen = project.retrain("pets").version
    say(project, [7], "eel")
    project.retrain("pets")
    project.forget("pets", voter="eve0")
    project.revert(frozen or "")
    assert label_of(project, name) == ("cat", Status.OK)


@pytest.mark.parametrize("meanwhile", ["truth", "forgotten"])
def test_what_is_said_while_it_is_settled_counts(
    pets: MakePets, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    project = pets()
    name = lie(project, 1)
    settle = module._Run._settle

    def slowly(run: Any) -> Any:
        found = settle(run)
        assert found.settled[name].label.label == "cat"
        if meanwhile == "truth":
            project.settle("pets", [name], "dog", voter="ann")  # a person who has looked
        else:
            project.forget("pets", voter="eve0")
        return found

    monkeypatch.setattr(module._Run, "_settle", slowly)
    project.retrain("pets")
    assert label_of(project, name) == ("dog" if meanwhile == "truth" else "cat", Status.OK)


def test_what_stays_doubtful_waits_for_a_person_whatever_the_numbers(
    pets: MakePets, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = pets()
    name = lie(project)
    monkeypatch.setattr(spoken, "LEAST", 1.1)
    assert label_of(project, name, project.retrain("pets").version or "") == (None, Status.CONFLICT)
    monkeypatch.undo()
    say(project, [9])
    assert label_of(project, name, project.retrain("pets").version or "") == ("cat", Status.OK), "settled later"


def fresh(project: Project, picture: Callable[..., bytes], label: str, count: int) -> list[str]:
    """Pictures of the class's colour that somebody has asked about."""
    return asked(project, [picture(label, 3000 + place) for place in range(count)])


def asked(project: Project, pictures: Sequence[bytes]) -> list[str]:
    """The samples of pictures that somebody has asked about."""
    looks = project.workspace, open_predictor(project.workspace, project.model("pets")).extractor
    with project.workspace.database.write() as connection:
        seen = [found for found in look_at(*looks, pictures) if isinstance(found, Seen)]
        record_looks(project.workspace.database, connection, "f" * 64, seen, store_images(project.workspace, seen))
    return [item.sample.id for item in seen]


def say_of(project: Project, words: Sequence[tuple[str, str, str]]) -> None:
    """A user's vote for each sample, label and voter."""
    now = datetime.now(UTC)
    with project.workspace.database.write() as connection:
        add_votes(connection, [Vote("pets", name, label, Role.USER, voter, now) for name, label, voter in words])


@pytest.mark.parametrize("clean", [False, True])
def test_users_are_believed_as_the_live_model_believes_them(
    pets: MakePets, picture: Callable[..., bytes], clean: bool
) -> None:
    project = pets(clean=clean)
    names = fresh(project, picture, "cat", 6)
    lies, truths = names[:3], names[3:]
    say_of(project, [(name, "dog", f"eve{place}") for place, name in enumerate(lies)])
    say_of(project, [(name, "cat", "ann") for name in truths])
    version = project.retrain("pets").version
    rows = {row.sample: row for row in project.inspect(version or "").rows}
    assert {(rows[name].label, rows[name].status) for name in lies} == {("dog", Status.SUSPECT)}
    assert {(rows[name].label, rows[name].status) for name in truths} == {("cat", Status.OK)}
    assert all(500 < rows[name].trust <= 1000 for name in truths)
    assert all(re.fullmatch(r"users: \d+\.\d% likely right, by \d+\.\d% ahead", rows[name].reason) for name in names)
    assert {rows[name].split for name in names} == {Split.TRAIN}


def test_of_near_copies_that_users_sent_one_is_trained_on(pets: MakePets, picture: Callable[..., bytes]) -> None:
    project = pets()
    every = [picture("cat", 3000, compress_level=level) for level in range(10)]  # other bytes, one picture
    copies, (other, last) = asked(project, list(dict.fromkeys(every))), fresh(project, picture, "cat", 3)[1:]
    say_of(project, [(name, "cat", f"ann{place}") for place, name in enumerate([*copies, other])])
    first = {row.sample: row for row in project.inspect(project.retrain("pets").version or "").rows}
    kept = [name for name in copies if first[name].status is Status.OK]
    aside = [name for name in copies if name not in kept]
    assert (len(copies) >= 4, len(kept), first[other].status) == (True, 1, Status.OK)
    assert {(first[name].status, first[name].reason) for name in aside} == {(Status.SET_ASIDE, COPY)}
    say_of(project, [(last, "cat", "bob")])
    again = {row.sample: row for row in project.inspect(project.retrain("pets").version or "").rows}
    assert [again[name].status for name in copies].count(Status.OK) == 1
    project.forget("pets", voter=f"ann{copies.index(next(name for name in copies if again[name].status is Status.OK))}")
    later = {row.sample: row for row in project.inspect(project.retrain("pets").version or "").rows}
    assert [later[name].status for name in copies].count(Status.OK) == 1  # another one, in its place


def test_a_class_that_nobody_can_judge_takes_no_copy_out_of_training(
    pets: MakePets, picture: Callable[..., bytes]
) -> None:
    project = pets()
    copies = asked(project, [picture("cat", 3000, compress_level=level) for level in (0, 1, 9)])
    say_of(project, [(name, label, f"u{label}") for name, label in zip(copies, ("unicorn", "cat", "cat"), strict=True)])
    rows = {row.sample: row for row in project.inspect(project.retrain("pets").version or "").rows}
    assert [rows[name].label for name in copies if rows[name].status is Status.OK] == ["cat"]


def test_which_of_near_copies_is_trained_on_stays(
    pets: MakePets, picture: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = pets()
    copies = asked(project, [picture("cat", 3000, compress_level=level) for level in (0, 9)])
    (new,) = asked(project, [picture("cat", 3100)])
    say_of(project, [(name, "cat", "ann") for name in copies])
    first = {row.sample: row for row in project.inspect(project.retrain("pets").version or "").rows}
    kept = next(name for name in copies if first[name].status is Status.OK)
    settle = module._Run._settle

    def otherwise(run: Any) -> Spoken:
        found = settle(run)
        label = found.settled[kept].label
        less = replace(found.settled[kept], label=replace(label, trust=600))
        return replace(found, settled={**found.settled, kept: less})

    monkeypatch.setattr(module._Run, "_settle", otherwise)
    say_of(project, [(new, "cat", "bob")])
    again = {row.sample: row for row in project.inspect(project.retrain("pets").version or "").rows}
    assert [name for name in copies if again[name].status is Status.OK] == [kept]


def test_an_ingest_leaves_near_copies_aside(
    pets: MakePets, picture: Callable[..., bytes], class_folders: Callable[..., Path], tmp_path: Path
) -> None:
    project = pets()
    copies = asked(project, [picture("cat", 3000, compress_level=level) for level in (0, 9)])
    say_of(project, [(name, "cat", "ann") for name in copies])
    before = {row.sample: row for row in project.inspect(project.retrain("pets").version or "").rows}
    project.ingest(class_folders(tmp_path / "more", {"cat": 62}), "pets")
    after = {row.sample: row for row in project.inspect("pets").rows}
    assert [after[name].status for name in copies] == [before[name].status for name in copies]
    assert sorted(before[name].status for name in copies) == sorted([Status.OK, Status.SET_ASIDE])


def test_words_are_judged_anew_once_something_is_said_and_only_then(
    pets: MakePets, picture: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = pets()
    first, second = fresh(project, picture, "cat", 2)
    say_of(project, [(first, "cat", "ann")])
    monkeypatch.setattr(spoken, "LEAST", 1.1)
    assert label_of(project, first, project.retrain("pets").version or "") == ("cat", Status.SUSPECT)
    monkeypatch.undo()
    again = project.retrain("pets")
    assert (again.firing.state, len(project.datasets("pets"))) == (FiringState.NOTHING, 2)
    say_of(project, [(second, "cat", "bob")])
    version = project.retrain("pets").version or ""
    assert [label_of(project, name, version) for name in (first, second)] == [("cat", Status.OK)] * 2


def test_what_users_contradict_each_other_about_is_never_measured_on(
    pets: MakePets, picture: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = pets()
    names = fresh(project, picture, "cat", 12)
    say_of(project, [(name, label, label) for name in names for label in ("cat", "dog")])
    monkeypatch.setattr(spoken, "LEAST", 1.1)
    rows = {row.sample: row for row in project.inspect(project.retrain("pets").version or "").rows}
    assert {(rows[name].status, rows[name].split) for name in names} == {(Status.CONFLICT, Split.TRAIN)}


def test_what_an_ingest_took_at_its_word_is_judged_by_the_next_retraining(
    pets: MakePets, picture: Callable[..., bytes], class_folders: Callable[..., Path], tmp_path: Path
) -> None:
    project = pets()
    name, other = fresh(project, picture, "cat", 2)
    say_of(project, [(name, "dog", "eve"), (name, "dog", "mallory")])
    assert label_of(project, name, project.retrain("pets").version or "") == ("dog", Status.SUSPECT)
    project.forget("pets", voter="mallory")
    project.ingest(class_folders(tmp_path / "more", {"cat": 62}), "pets")
    assert label_of(project, name) == ("dog", Status.OK)
    say_of(project, [(other, "cat", "ann")])
    assert label_of(project, name, project.retrain("pets").version or "") == ("dog", Status.SUSPECT)


def test_what_is_said_during_a_retraining_waits_for_the_next(
    pets: MakePets, picture: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = pets()
    early, late = fresh(project, picture, "cat", 2)
    say_of(project, [(early, "cat", "ann")])
    settle = module._Run._settle

    def slowly(run: Any) -> Any:
        found = settle(run)
        say_of(project, [(late, "dog", "eve")])
        return found

    monkeypatch.setattr(module._Run, "_settle", slowly)
    held = {row.sample for row in project.inspect(project.retrain("pets").version or "").rows}
    assert (early in held, late in held) == (True, False)
    monkeypatch.undo()
    assert label_of(project, late, project.retrain("pets").version or "") == ("dog", Status.SUSPECT)


def test_a_model_that_spoke_too_makes_no_test_image_of_it(pets: MakePets, picture: Callable[..., bytes]) -> None:
    project, now = pets(), datetime.now(UTC)
    names = fresh(project, picture, "cat", 20)
    with project.workspace.database.write() as connection:
        add_votes(connection, [Vote("pets", name, "cat", Role.MODEL, "pets@1", now) for name in names])
    say_of(project, [(name, "cat", "ann") for name in names])
    rows = {row.sample: row for row in project.inspect(project.retrain("pets").version or "").rows}
    assert {(rows[name].label, rows[name].split) for name in names} == {("cat", Split.TRAIN)}


def test_an_image_that_is_back_stands_as_it_is_believed(
    pets: MakePets, picture: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = pets()
    name, other, last = fresh(project, picture, "cat", 3)
    say_of(project, [(name, "dog", "eve"), (other, "cat", "ann")])
    monkeypatch.setattr(module, "settle_spoken", lambda *args: Spoken())
    monkeypatch.setattr(module._Run, "_find_lost", lambda *args: frozenset({name}))
    assert label_of(project, name, project.retrain("pets").version or "") == ("dog", Status.SET_ASIDE)
    monkeypatch.undo()
    say_of(project, [(last, "cat", "ann")])
    assert label_of(project, name, project.retrain("pets").version or "") == ("dog", Status.SUSPECT)
