"""Clean: suspects are found, votes stay, and everything can be taken back."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image

from pellucid import Project
from pellucid.errors import ConcurrencyError, DataError, UsageError
from pellucid.flow.data.corrupt import kept_truth
from pellucid.flow.data.edit import commit_rows, newest_of
from pellucid.flow.data.said import USERS
from pellucid.labels.halves import halve
from pellucid.store import schema
from pellucid.store.votes import votes_of
from pellucid.types import KEEPER, Role, Row, Split, Status

MakeProject = Callable[..., Project]
WriteFolders = Callable[..., Path]

COUNTS = {"cat": 24, "dog": 24, "eel": 24}


@pytest.fixture(scope="module")
def broken_folder(tmp_path_factory: pytest.TempPathFactory, class_folders: WriteFolders) -> Path:
    """A project whose ``pets@2`` has a fifth of the training labels of ``pets@1`` broken."""
    root = tmp_path_factory.mktemp("broken")
    with Project.init(root / "project") as made:
        made.ingest(class_folders(root / "source", COUNTS), "pets", test_fraction=0.25, trusted_fraction=0.1)
        made.corrupt("pets", labels="symmetric", rate=0.2, seed=2)
    return root / "project"


@pytest.fixture
def broken(make_project: MakeProject, broken_folder: Path) -> Project:
    return make_project(of=broken_folder)


def rows_of(project: Project, ref: str) -> dict[str, Row]:
    return {row.sample: row for row in project.inspect(ref).rows}


def wrong(project: Project, ref: str) -> set[str]:
    """The samples whose label is not the one that pets@1 has."""
    truth = rows_of(project, "pets@1")
    return {name for name, row in rows_of(project, ref).items() if row.label != truth[name].label}


def test_what_was_broken_is_found_and_mended(broken: Project) -> None:
    report = broken.clean("pets")
    bad = wrong(broken, "pets@2")
    assert len(bad) > 4
    assert {item.sample for item in report.suspects} == bad
    assert report.truth is not None
    assert (report.truth.wrong, report.truth.found, report.truth.restored) == (len(bad), len(bad), len(bad))
    assert (report.audited, report.version.ref, report.created) == ("pets@2", "pets@3", True)
    assert report.fates["relabelled"] == len(bad)
    assert not wrong(broken, "pets@3")
    given = rows_of(broken, "pets@2")
    for item in report.suspects:
        row = rows_of(broken, "pets@3")[item.sample]
        assert (item.given, item.suggested) == (given[item.sample].label, row.label)
        assert row.reason.startswith(f"audit: was {item.given}, ")
        assert item.trust < 0.5
    assert abs(report.noise_rate - len(bad) / 48) < 0.1
    assert [item.trust for item in report.suspects] == sorted(item.trust for item in report.suspects)


def test_what_was_settled_out_of_users_words_stands(broken: Project) -> None:
    version, rows = newest_of(broken.workspace, "pets")
    bad = wrong(broken, "pets@2")
    spoken = min(bad)
    said = [
        replace(row, trust=700, reason=f"{USERS}70.0% likely right") if row.sample == spoken else row for row in rows
    ]
    commit_rows(broken.workspace, version, said, recipe={"verb": "retrain"})
    report = broken.clean("pets")
    assert {item.sample for item in report.suspects} == bad - {spoken}
    assert rows_of(broken, report.version.ref)[spoken] == rows_of(broken, "pets@3")[spoken]


@pytest.mark.parametrize(("action", "status"), [("weigh", Status.OK), ("drop", Status.SUSPECT)])
def test_suspects_are_weighed_or_set_aside_instead(broken: Project, action: str, status: Status) -> None:
    report = broken.clean("pets", action=action)
    before, after = rows_of(broken, "pets@2"), rows_of(broken, "pets@3")
    for item in report.suspects:
        row = after[item.sample]
        assert (row.label, row.status) == (before[item.sample].label, status)
        assert row.trust < 500
        assert item.suggested in row.reason
    believed = [row for name, row in after.items() if name not in {item.sample for item in report.suspects}]
    assert all(row.status is Status.OK for row in believed)
    broken.train("pets@3")  # what is set aside is not learnt, and nothing stumbles over it


def test_what_the_gate_judges_by_chooses_no_label(
    make_project: MakeProject, class_folders: WriteFolders, tmp_path: Path
) -> None:
    with Project.init(tmp_path / "of") as made:
        made.ingest(class_folders(tmp_path / "source", COUNTS), "pets", test_fraction=0.1, trusted_fraction=0.4)
        made.corrupt("pets", labels="symmetric", rate=0.3, seed=2)
    cleaned = []
    for half in (None, 0, 1):
        project = make_project(f"half {half}", of=tmp_path / "of")
        trusted = [row for row in rows_of(project, "pets").values() if row.split is Split.TRUSTED]
        if half is not None:
            chosen = halve([row.sample for row in trusted], [row.group for row in trusted])[half]
            for name in chosen:  # somebody says that all that is known was wrong
                label = next(row.label for row in trusted if row.sample == name)
                project.settle("pets", [name], "cat" if label == "dog" else "dog", voter="eve")
        report = project.clean("pets")
        rows = rows_of(project, report.version.ref)
        judged = {name: (row.label, row.trust) for name, row in rows.items() if row.split is Split.TRAIN}
        cleaned.append((judged, report.noise_matrix))
    untouched, guards, gates = cleaned
    assert gates == untouched
    assert guards != untouched, "the guard's half anchors the rest"


def test_votes_tests_and_trusted_samples_stay(broken: Project) -> None:
    ids = list(rows_of(broken, "pets"))

    def votes() -> object:
        with broken.workspace.database.read() as connection:
            return votes_of(connection, "pets", ids)

    before = votes()
    report = broken.clean("pets")
    assert votes() == before
    old = rows_of(broken, "pets@2")
    held = [row for row in rows_of(broken, "pets@3").values() if row.split is not Split.TRAIN]
    assert len(held) > 10
    assert all(row == old[row.sample] for row in held)
    assert report.images == sum(row.split is Split.TRAIN and row.status is Status.OK for row in old.values())


def test_test_labels_are_cleaned_only_where_that_is_said(broken: Project) -> None:
    broken.corrupt("pets", labels="symmetric", rate=0.3, split=Split.TEST, seed=3)
    bad = {name for name in wrong(broken, "pets@3") if rows_of(broken, "pets@3")[name].split is Split.TEST}
    assert bad
    assert bad.isdisjoint(item.sample for item in broken.clean("pets", dry_run=True).suspects)
    assert bad <= {item.sample for item in broken.clean("pets", include_test=True).suspects}


def test_it_looks_through_what_the_champion_looks_through_and_says_so(broken: Project, plugins: str) -> None:
    assert broken.clean("pets", dry_run=True).extractor == "classical"
    (model,) = broken.train("pets", models="ridge", extractors=f"{plugins}:Brightness")
    broken.promote(model.ref, force=True)
    assert broken.clean("pets", dry_run=True).extractor == f"{plugins}:Brightness"
    report = broken.clean("pets", extractor="classical")
    assert report.extractor == "classical"
    tried = broken.clean("pets", dry_run=True)
    pages = {broken.audit_page(report).parent.name, broken.audit_page(tried).parent.name}
    assert pages == {f"audit-{report.audited.replace('@', '-')}", f"audit-{tried.audited.replace('@', '-')}-dry-run"}


def test_a_dry_run_commits_nothing(broken: Project) -> None:
    report = broken.clean("pets", dry_run=True)
    assert (report.created, report.version.ref) == (False, "pets@2")
    assert report.suspects
    assert len(broken.datasets("pets")) == 2


def test_a_second_cleaning_audits_what_was_given_and_not_what_the_first_made_of_it(broken: Project) -> None:
    first = broken.clean("pets", action="drop")
    again = broken.clean("pets", action="drop")
    assert (again.created, again.version.ref) == (False, "pets@3")
    assert again.suspects == first.suspects
    other = broken.clean("pets", action="relabel")
    assert other.version.ref == "pets@4"
    assert not wrong(broken, "pets@4")


def test_an_ingest_of_the_same_images_does_not_undo_it(
    broken: Project, broken_folder: Path, class_folders: WriteFolders, tmp_path: Path
) -> None:
    broken.clean("pets")
    cleaned = rows_of(broken, "pets@3")
    assert not broken.ingest(broken_folder.parent / "source", "pets").created
    more = class_folders(tmp_path / "source", COUNTS)
    class_folders(tmp_path / "source", {"cat": 2}, start=90)
    assert broken.ingest(more, "pets", annotator="source").version.ref == "pets@4"
    after = rows_of(broken, "pets@4")
    assert len(after) == len(cleaned) + 2
    assert {name: after[name] for name in cleaned} == cleaned


def test_what_somebody_says_anew_is_theirs_again(broken: Project) -> None:
    suspect = broken.clean("pets", action="drop").suspects[0]
    broken.settle("pets", [suspect.sample], suspect.suggested, voter="ann")
    row = rows_of(broken, "pets")[suspect.sample]
    assert (row.label, row.trust, row.status) == (suspect.suggested, 1000, Status.OK)
    assert suspect.sample not in {item.sample for item in broken.clean("pets").suspects}


def test_ground_truth_that_a_person_said_is_never_suspected(
    project: Project, class_folders: WriteFolders, tmp_path: Path
) -> None:
    project.ingest(class_folders(tmp_path / "source", COUNTS), "pets", test_fraction=0.25)
    cat = next(row for row in rows_of(project, "pets").values() if (row.label, row.split) == ("cat", Split.TRAIN))
    project.settle("pets", [cat.sample], "dog", voter="ann")
    assert project.clean("pets", dry_run=True).suspects == ()


def test_reverting_brings_the_given_labels_back(broken: Project) -> None:
    broken.clean("pets")
    version = broken.revert("pets@2")
    assert (version.ref, version.recipe["verb"], version.recipe["to"]) == ("pets@4", "revert", "pets@2")
    assert rows_of(broken, "pets@4") == rows_of(broken, "pets@2")
    assert broken.revert("pets@4").ref == "pets@4"  # nothing to do
    assert len(broken.datasets("pets")) == 4
    assert broken.clean("pets").version.ref == "pets@5"


def test_what_a_revert_left_behind_is_not_audited(broken: Project) -> None:
    """The true labels are what the cleaning made of the broken ones, and yet nothing that it has to take back."""
    broken.clean("pets")
    broken.revert("pets@1")
    report = broken.clean("pets", action="drop")
    assert report.suspects == ()
    assert report.truth is not None
    assert report.truth.wrong == 0
    labels = {name: row.label for name, row in rows_of(broken, "pets").items()}
    assert labels == {name: row.label for name, row in rows_of(broken, "pets@1").items()}


def test_a_revert_to_what_was_cleaned_is_cleaned_anew_from_what_was_given(broken: Project) -> None:
    first = broken.clean("pets", action="drop")
    broken.revert("pets@2")
    broken.revert("pets@3")
    again = broken.clean("pets", action="drop")
    assert (again.created, again.suspects) == (False, first.suspects)


def test_a_revert_brings_back_what_had_been_found(
    project: Project, class_folders: WriteFolders, tmp_path: Path
) -> None:
    source = class_folders(tmp_path / "source", {"cat": 6, "dog": 6})
    (source / "dog" / "same.png").write_bytes(next((source / "cat").iterdir()).read_bytes())
    project.ingest(source, "pets")
    found = project.inspect("pets@1").findings
    assert [item.kind for item in found] == ["conflict"]
    project.settle("pets", list(found[0].samples), "cat", voter="ann")
    assert project.inspect("pets@2").findings == ()
    project.revert("pets@1")
    assert project.inspect("pets@3").findings == found


def test_clean_labels_are_left_alone(make_project: MakeProject, broken_folder: Path) -> None:
    project = make_project(of=broken_folder)
    project.revert("pets@1")
    report = project.clean("pets")
    assert report.suspects == ()
    assert report.noise_rate < 0.02


def test_a_better_model_learns_from_what_was_cleaned(broken: Project) -> None:
    broken.clean("pets")
    noisy, clean = (broken.train(ref)[0].metrics["log_loss"] for ref in ("pets@2", "pets@3"))
    assert clean < noisy


@pytest.mark.parametrize(
    ("ref", "options", "error", "says"),
    [
        ("pets@1", {}, ConcurrencyError, "pets@1 is not the newest version, pets@2 is"),
        ("pets", {"rule": "best"}, UsageError, "there is no rule 'best'"),
        ("pets", {"action": "burn"}, UsageError, "there is no action 'burn'"),
    ],
)
def test_what_cannot_be_is_refused(
    broken: Project, ref: str, options: dict[str, str], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        broken.clean(ref, **options)
    assert len(broken.datasets("pets")) == 2


def test_one_class_alone_cannot_be_audited(project: Project, class_folders: WriteFolders, tmp_path: Path) -> None:
    project.ingest(class_folders(tmp_path / "source", {"cat": 5}), "pets")
    with pytest.raises(DataError, match="fewer than two classes"):
        project.clean("pets")


def test_corrupting_keeps_the_truth_and_touches_one_split_only(broken: Project) -> None:
    before, after = rows_of(broken, "pets@1"), rows_of(broken, "pets@2")
    assert {before[name].split for name in wrong(broken, "pets@2")} == {Split.TRAIN}
    trained = [name for name, row in after.items() if row.split is Split.TRAIN]
    with broken.workspace.database.read() as connection:
        votes = votes_of(connection, "pets", list(after))
    kept = {
        vote.sample: vote.label
        for said in votes.values()
        for vote in said
        if vote.role is Role.GROUND_TRUTH and vote.voter == KEEPER
    }
    assert kept == {name: before[name].label for name in trained}


@pytest.mark.parametrize("kind", ["pair", "instance", "annotator", "matrix"])
def test_every_kind_of_wrong_label_can_be_had(broken: Project, kind: str) -> None:
    broken.revert("pets@1")
    matrix = [[0.5, 0.5, 0], [0, 0.5, 0.5], [0.5, 0, 0.5]] if kind == "matrix" else None
    report = broken.corrupt("pets", labels=kind, rate=0.4, matrix=matrix, dry_run=True)
    assert (report.created, report.eligible) == (
        False,
        sum(row.split is Split.TRAIN for row in rows_of(broken, "pets").values()),
    )
    assert 0.15 * report.eligible < report.labels < 0.65 * report.eligible
    assert len(broken.datasets("pets")) == 3


def test_broken_images_are_new_samples_that_say_what_was_done(broken: Project) -> None:
    old = rows_of(broken, "pets@2")
    report = broken.corrupt("pets", images="mixed", share=0.5, seed=1)
    new = rows_of(broken, "pets@3")
    fresh = {name: row for name, row in new.items() if name not in old}
    gone = {name: row for name, row in old.items() if name not in new}
    assert len(fresh) == len(gone) == sum(report.images.values())
    assert set(report.images) <= {"boxes", "mosaic", "line"}
    from pellucid.store.ingests import metadata_of

    with broken.workspace.database.read() as connection:
        metadata = metadata_of(connection, "pets", list(fresh))
    for name, row in fresh.items():
        was = old[metadata[name]["corrupted_from"]]
        assert row == replace(was, sample=name, group=name)
        assert metadata[name]["corruption"] in report.images
    broken.train("pets@3")


def test_what_is_broken_twice_has_its_first_label_for_truth(broken: Project) -> None:
    broken.corrupt("pets", labels="symmetric", rate=0.3, seed=7)
    truth = broken.clean("pets", dry_run=True).truth
    assert truth is not None
    assert truth.wrong == len(wrong(broken, "pets@3"))


def test_a_label_that_somebody_gave_since_is_the_truth_of_what_is_broken_next(broken: Project) -> None:
    name = min(wrong(broken, "pets@2"))
    other = ({"cat", "dog", "eel"} - {rows_of(broken, ref)[name].label for ref in ("pets@1", "pets@2")}).pop()
    broken.settle("pets", [name], other, voter="ann")
    assert rows_of(broken, "pets")[name].label == other  # and not in conflict with the label that was kept
    assert broken.corrupt("pets", labels="symmetric", rate=1.0).labels > 40
    with broken.workspace.database.read() as connection:
        votes = votes_of(connection, "pets", [name])[name]
    assert kept_truth(rows_of(broken, "pets")[name], votes) == other


def test_images_of_which_none_is_broken_leave_no_ingest_behind(broken: Project) -> None:
    report = broken.corrupt("pets", images="boxes", share=0.0)
    assert (report.created, report.version.ref) == (False, "pets@2")
    with broken.workspace.database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).where(schema.ingest.c.finished_at.is_(None))) == 0


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"images": "coffee"}, "no corruption 'coffee'"),
        ({"images": "boxes", "seed": -1}, "seed is -1"),
        ({"labels": "pair", "matrix": [[1.0]]}, "takes no matrix"),
        ({"images": "boxes", "matrix": [[1.0]]}, "takes no matrix"),
        ({"images": "boxes", "share": float("nan")}, "share of images"),
    ],
)
def test_what_cannot_be_broken_is_said_before_anything_is_done(
    broken: Project, options: dict[str, Any], says: str, dry_run: bool
) -> None:
    with pytest.raises(UsageError, match=says):
        broken.corrupt("pets", dry_run=dry_run, **options)
    assert len(broken.datasets("pets")) == 2


def test_breaking_nothing_is_refused(broken: Project) -> None:
    with pytest.raises(UsageError, match="nothing to break"):
        broken.corrupt("pets")
    with pytest.raises(UsageError, match="share of images is 2"):
        broken.corrupt("pets", images="boxes", share=2)


def test_the_page_and_the_exports_name_every_suspect(broken: Project, tmp_path: Path) -> None:
    report = broken.clean("pets")
    page = broken.audit_page(report)
    assert page == broken.workspace.reports / "audit-pets-2" / "audit.html"
    text = page.read_text(encoding="utf-8")
    assert text.count('class="case"') == len(report.suspects)
    assert f"{len(report.suspects)} of" in text
    assert "that were broken on purpose are found" in text
    assert 'src="http' not in text
    assert broken.export_suspects(report, tmp_path / "s.csv") == len(report.suspects)
    with (tmp_path / "s.csv").open(newline="", encoding="utf-8") as table:
        lines = list(csv.DictReader(table))
    assert [line["sample"] for line in lines] == [item.sample for item in report.suspects]
    assert all(line["path"].endswith(".png") and float(line["trust"]) < 0.5 for line in lines)
    broken.export_suspects(report, tmp_path / "s.json")
    tasks = json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))
    assert [task["data"]["sample"] for task in tasks] == [item.sample for item in report.suspects]
    for task, item in zip(tasks, report.suspects, strict=True):
        assert task["data"]["image"].startswith("data:image/png;base64,")
        (result,) = task["predictions"][0]["result"]
        assert result["value"] == {"choices": [item.suggested]}
        assert (result["type"], result["from_name"], result["to_name"]) == ("choices", "label", "image")
    with pytest.raises(UsageError, match=r"neither in \.csv"):
        broken.export_suspects(report, tmp_path / "s.xlsx")


def test_the_page_shows_the_odd_one_out(project: Project, class_folders: WriteFolders, tmp_path: Path) -> None:
    source = class_folders(tmp_path / "source", COUNTS)
    stripes = np.zeros((24, 24, 3), np.uint8)
    stripes[::2] = 255
    Image.fromarray(stripes).save(source / "cat" / "stripes.png")
    project.ingest(source, "pets", test_fraction=0.0, trusted_fraction=0.25)
    page = project.audit_page(project.clean("pets", dry_run=True)).read_text(encoding="utf-8")
    assert "Odd images" in page
    assert page.index("Odd images") < page.index("cat/stripes.png")
    assert "unlike anything in the reference" in page


def test_a_page_without_suspects_says_so(make_project: MakeProject, broken_folder: Path) -> None:
    project = make_project(of=broken_folder)
    project.revert("pets@1")
    report = project.clean("pets")
    assert "every label agrees" in project.audit_page(report).read_text(encoding="utf-8")


def test_a_spreadsheet_computes_nothing_that_a_path_or_class_says(
    project: Project, class_folders: WriteFolders, tmp_path: Path
) -> None:
    source = class_folders(tmp_path / "source", {"=cat": 24, "@dog": 24, "eel": 24})
    project.ingest(source, "pets", test_fraction=0.25)
    project.corrupt("pets", labels="pair", rate=0.3)
    report = project.clean("pets", dry_run=True)
    project.export_suspects(report, tmp_path / "suspects.csv")
    with (tmp_path / "suspects.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["given"] for row in rows} | {row["suggested"] for row in rows} == {"'=cat", "'@dog", "eel"}
    assert all(row["path"].startswith(("'=cat/", "'@dog/", "eel/")) for row in rows)
    assert all(float(row["margin"]) < 1 for row in rows)  # numbers stay numbers
    project.export_suspects(report, tmp_path / "suspects.json")
    tasks = json.loads((tmp_path / "suspects.json").read_text(encoding="utf-8"))
    assert {task["data"]["given"] for task in tasks} <= {"=cat", "@dog", "eel"}


def test_the_page_escapes_what_it_is_given(project: Project, class_folders: WriteFolders, tmp_path: Path) -> None:
    evil = "<img src=x onerror=alert(1)>\"'"
    source = class_folders(tmp_path / "source", {"cat": 24, "dog": 24})
    (source / "dog").rename(source / evil)
    project.ingest(source, "pets", test_fraction=0.25)
    project.corrupt("pets", labels="pair", rate=0.2)
    page = project.audit_page(project.clean("pets", dry_run=True)).read_text(encoding="utf-8")
    assert "<img src=x" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;&#34;&#39;" in page
