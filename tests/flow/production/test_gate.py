from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pellucid import Project
from pellucid.errors import ConfigError, GateError, StorageError
from pellucid.flow.data.embed import embed_samples
from pellucid.flow.production import gate as module
from pellucid.labels.halves import halve
from pellucid.store.ledger import Entry, add_entries
from pellucid.store.votes import add_votes
from pellucid.types import Role, Split, Vote

pytestmark = pytest.mark.usefixtures("no_reports")


@pytest.fixture(scope="module")
def gated_folder(tmp_path_factory: pytest.TempPathFactory, class_folders: Callable[..., Path]) -> Path:
    """60 cats and 60 dogs, about half of them trusted; pets@1 is champion, pets@2 takes cats for dogs."""
    root = tmp_path_factory.mktemp("gated")
    with Project.init(root / "project") as made:
        source = class_folders(root / "source", {"cat": 60, "dog": 60})
        made.ingest(source, "pets", test_fraction=0.1, trusted_fraction=0.6)
        made.train("pets", models="ridge")
        made.corrupt("pets", labels="pair", rate=1.0)
        made.train("pets", models="ridge")
        made.revert("pets@1")
        made.promote("pets@1")
    return root / "project"


@pytest.fixture
def gated(make_project: Callable[..., Project], gated_folder: Path) -> Project:
    return make_project(of=gated_folder, gate={"margin": 0.15})


def test_a_worse_candidate_is_refused_and_the_refusal_recorded(gated: Project) -> None:
    with pytest.raises(GateError, match=r"refuses pets@2 against pets@1: -100.0 points of accuracy on .*--force"):
        gated.promote("pets@2", actor="ann")
    assert gated.model("pets").ref == "pets@1"
    (verdict,) = gated.verdicts("pets")
    assert (verdict.candidate, verdict.champion, verdict.passed, verdict.judged) == (2, 1, False, True)
    assert verdict.actor == "ann"
    assert verdict.figures["trusted"]["comparison"]["difference"]["value"] == -1
    assert len(gated.history()) == 1


def test_force_overrules_and_the_history_tells(gated: Project) -> None:
    change = gated.promote("pets@2", reason="an experiment", force=True)
    assert change.reason.startswith("an experiment [forced against the gate: -100.0 points of accuracy")
    assert gated.model("pets").ref == "pets@2"


def test_the_better_one_passes_and_the_way_back_is_open(gated: Project) -> None:
    gated.promote("pets@2", force=True)
    assert gated.promote("pets@1", reason="better").reason == "better"
    assert [verdict.passed for verdict in gated.verdicts()] == [False, True]
    assert gated.rollback("pets", to=2).version == 2  # it was champion before: nobody asks


def test_a_rollback_to_what_was_never_champion_is_a_promotion(gated: Project) -> None:
    with pytest.raises(GateError):
        gated.rollback("pets", to=2)
    assert gated.model("pets").ref == "pets@1"


def test_a_dry_run_refuses_and_records_nothing(gated: Project) -> None:
    with pytest.raises(GateError):
        gated.promote("pets@2", dry_run=True)
    assert gated.verdicts() == []


def test_the_gate_judges_on_its_own_half(gated: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row for row in gated.inspect("pets").rows if row.split is Split.TRUSTED]
    guard, mine = halve([row.sample for row in rows], [row.group for row in rows])
    assert guard
    seen: list[str] = []

    def watched(workspace: object, extractor: object, ids: list[str], **options: object) -> object:
        seen.extend(ids)
        return embed_samples(workspace, extractor, ids, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "embed_samples", watched)
    verdict = gated.gate("pets@2", record=False)
    assert set(seen) == set(mine)
    assert verdict.figures["trusted"]["n"] == len(mine)
    assert gated.verdicts() == []


def test_the_champion_is_judged_as_it_answers_now(gated: Project) -> None:
    """pets@2 takes every cat for a dog; a champion that has learnt to do so is no better."""
    champion = gated.model("pets@1")
    other = {"cat": "dog", "dog": "cat"}
    rows = [row for row in gated.inspect("pets@1").rows if row.split is Split.TRAIN]
    entries = [Entry(row.sample, other[str(row.label)], 1.0, "learn", "a test") for row in rows]
    with gated.workspace.database.write() as connection:
        newest = add_entries(connection, champion, entries)
    verdict = gated.gate("pets@2")
    assert verdict.figures["trusted"]["comparison"]["difference"]["value"] == 0
    assert verdict.figures["learnt"] == newest


def test_a_champion_whose_images_are_gone_is_judged_as_it_was_trained(
    gated: Project, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def gone(*_: object) -> None:
        raise StorageError("3 images of its training are gone")

    monkeypatch.setattr(module, "caught_up", gone)
    verdict = gated.gate("pets@2")
    assert verdict.figures["trusted"]["comparison"]["difference"]["value"] == -1
    assert verdict.figures["learnt"] is None
    assert "as it was trained" in caplog.text


def test_recent_votes_are_reported_beside_where_neither_model_has_learnt_the_image(gated: Project) -> None:
    assert gated.gate("pets@2").figures["votes"] is None
    rows = gated.inspect("pets").rows
    votes = [
        Vote("pets", row.sample, str(row.label), Role.USER, "ann", datetime.now(UTC))
        for row in rows
        if row.split is not Split.TRUSTED
    ]
    with gated.workspace.database.write() as connection:
        add_votes(connection, votes)
    verdict = gated.gate("pets@2")
    assert verdict.figures["votes"]["n"] == sum(row.split is Split.TEST for row in rows)
    assert verdict.figures["votes"]["passed"] is False
    assert verdict.figures["dataset"] == "pets@3"


def test_without_trusted_images_a_promotion_is_not_judged_and_says_so(
    make_project: Callable[..., Project], trained_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    project = make_project(of=trained_folder)
    project.train("pets", settings={"lambda": 0.7})
    project.promote("pets@1")
    assert (project.verdicts(), caplog.text) == ([], "")  # a first champion needs no gate
    project.promote("pets@2", alias="candidate")
    assert project.verdicts() == []
    project.promote("pets@2", reason="newer")
    assert project.model("pets").ref == "pets@2"
    assert "the promotion of pets@2 was not judged: pets has no trusted image" in caplog.text
    (verdict,) = project.verdicts()
    assert (verdict.passed, verdict.judged) == (False, False)
    assert project.history()[-1].reason == "newer"


def test_nobody_to_be_measured_against(make_project: Callable[..., Project], trained_folder: Path) -> None:
    verdict = make_project(of=trained_folder).gate("pets@1")
    assert (verdict.passed, verdict.judged, verdict.champion) == (True, False, None)


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"margn": 0.1}, "unknown key 'margn'; known are: margin, fall, floors"),
        ({"margin": 5}, "margin is 5; wanted is a share from 0 to 1"),
        ({"floors": 0.5}, "floors is 0.5; wanted is a table of shares"),
        ({"floors": {"cat": True}}, "wanted is a table of shares"),
    ],
)
def test_a_wrong_table_is_named(
    make_project: Callable[..., Project], gated_folder: Path, table: dict[str, object], says: str
) -> None:
    project = make_project(of=gated_folder, gate=table)
    with pytest.raises(ConfigError, match=says):
        project.promote("pets@2")
