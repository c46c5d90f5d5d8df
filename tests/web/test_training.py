"""Training: a grid started from the form and watched to its end, cancel and retry, runs beside each other."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from pellucid import Project
from pellucid.flow.training.grid import Grid
from pellucid.store.acts import newest_acts
from pellucid.types import JobState

from ..conftest import PATIENCE
from .conftest import Person, Site, serious

Come = Callable[..., Person]
expect.set_options(timeout=PATIENCE * 1000)


@contextmanager
def worker(site: Site, environ: dict[str, str]) -> Iterator[None]:
    """A worker of its own process, until the block ends."""
    command = [sys.executable, "-m", "pellucid", "--quiet", "worker", "--watch"]
    with subprocess.Popen(command, cwd=site.folder, env={**environ, "PELLUCID_POLL_SECONDS": "0.05"}) as process:
        yield
        process.terminate()


def acts(site: Site) -> list[str]:
    with Project(site.folder) as project, project.workspace.database.read() as connection:
        return [act.verb for act in newest_acts(connection, 50)]


def choose(page: Page, *models: str) -> None:
    """Ticks these models and no others."""
    for box in page.locator(".choice .q-checkbox").all():
        wanted = box.inner_text() in models
        if (box.get_attribute("aria-checked") == "true") != wanted:
            box.click()


def test_a_grid_is_started_and_seen_to_finish(site: Site, person: Come, child_environ: dict[str, str]) -> None:
    page = person().open("/training?view=start")
    told = page.get_by_role("status").filter(has_text="in all")
    expect(told).to_have_text("1 job in all: 1 is done already and is not done again.")
    expect(page.get_by_role("button", name="Nothing to start")).to_be_disabled()
    choose(page, "slda")
    expect(told).to_have_text("1 job in all: 1 is new.")
    page.get_by_label("slda: shrinkage").fill("0.2, 0.4")
    expect(told).to_have_text("2 jobs in all: 2 are new.")
    expect(page.get_by_text("No worker is alive: what is started here waits")).to_be_visible()
    assert "worker --watch" in page.locator("code").filter(has_text=f"--project {site.folder.resolve()}").inner_text()
    page.get_by_role("button", name="Start 2 jobs").click()
    page.wait_for_url("**/training?view=queue")
    expect(page.get_by_text("no worker is alive")).to_be_visible()
    expect(page.get_by_text("waits for a worker")).to_have_count(2)
    with worker(site, child_environ):
        expect(page.get_by_text("no worker is alive")).to_have_count(0)
        ended = page.get_by_role("region", name="Jobs that have ended")
        for ref in ("pets@3", "pets@4"):
            expect(ended.get_by_role("link", name=ref)).to_be_visible()
        health = person().open("/").locator(".health li").filter(has_text="Workers")
        expect(health).to_contain_text("idle; no job waits; 1 worker alive")
    row = ended.get_by_role("row").filter(has_text="pets@3")
    row.get_by_role("button", name="Log").click()
    log = page.get_by_role("log")
    expect(log).to_contain_text("training")
    expect(log).to_contain_text("done: pets@3")
    page.get_by_role("button", name="Close", exact=True).click()
    assert acts(site)[0] == "start grid"


def test_new_votes_are_retrained_with_by_a_button(
    site: Site, person: Come, picture: Callable[..., bytes], child_environ: dict[str, str]
) -> None:
    page = person().open("/training")
    card = page.locator(".retrain")
    button = card.get_by_role("button", name="Retrain")
    expect(card).to_contain_text("Nothing new to learn: data pets@1 is learnt already")
    expect(button).to_be_disabled()
    for number in range(2):
        answer = site.predict(picture("cat", 700 + number))
        said = {"prediction": answer["id"], "label": "cat", "voter": f"v{number}"}
        assert site.ask("POST", "/feedback", json=said).status_code == 200
    expect(button).to_have_text("Retrain with the 2 new votes")
    expect(card).to_contain_text("No worker is alive: a retraining waits until there is one.")
    expect(person("predict").open("/training").locator(".retrain button")).to_be_disabled()
    button.click()
    expect(card).to_contain_text("Asked for by admin")
    expect(button).to_be_disabled()
    assert acts(site)[0] == "retrain"
    with worker(site, child_environ):
        expect(card).to_contain_text("The last retraining")
    expect(card).to_contain_text("Nothing new to learn: data pets@")
    expect(card).not_to_contain_text("failed")
    with Project(site.folder) as project:
        assert len(project.datasets("pets")) > 1


def test_a_value_that_cannot_be_used_is_told_before_anything_starts(person: Come) -> None:
    page = person().open("/training?view=start")
    choose(page, "ridge")
    page.get_by_label("ridge: lambda").fill("minus one")
    expect(page.get_by_role("status").filter(has_text="lambda")).to_be_visible()
    expect(page.locator(".verdict button")).to_be_disabled()
    choose(page)
    expect(page.get_by_role("status").filter(has_text="no model is chosen")).to_be_visible()


def test_a_job_is_cancelled_and_tried_again(site: Site, person: Come) -> None:
    with Project(site.folder) as project:
        (job,) = project.submit(Grid(("pets",), ("logistic",)))
        page = person().open("/training")
        page.get_by_role("button", name=f"Cancel: job {job.id}").click()
        page.get_by_role("button", name=f"Try again: job {job.id}").click()
        expect(page.get_by_role("button", name=f"Cancel: job {job.id}")).to_be_visible()
        page.get_by_role("button", name=f"Log of job {job.id}").click()
        expect(page.get_by_role("log")).to_contain_text("cancelled by admin")
        page.get_by_role("button", name="Close", exact=True).click()
        page.get_by_role("button", name=f"Cancel: job {job.id}").click()
        expect(page.get_by_role("button", name=f"Try again: job {job.id}")).to_be_visible()
        assert project.jobs([job.id])[0].state is JobState.CANCELLED
    assert acts(site)[:3] == ["cancel job", "retry job", "cancel job"]


def test_who_is_late_is_told(site: Site, person: Come) -> None:
    with Project(site.folder) as project:
        (job,) = project.submit(Grid(("pets",), ("logistic",), settings={"epochs": [7]}))
        page = person().open("/training")
        button = page.get_by_role("button", name=f"Cancel: job {job.id}")
        expect(button).to_be_visible()
        project.cancel(job.id)
        button.click()
        expect(page.get_by_text(f"job {job.id} is cancelled; only a job that is queued or running")).to_be_visible()


def test_whoever_is_no_admin_looks_only(site: Site, person: Come) -> None:
    with Project(site.folder) as project:
        (job,) = project.submit(Grid(("pets",), ("logistic",), settings={"epochs": [9]}))
    viewer = person("predict")
    page = viewer.open("/training")
    expect(page.get_by_role("button", name=f"Cancel: job {job.id}")).to_be_disabled()
    expect(page.get_by_text("both want the role admin")).to_be_visible()
    page = viewer.open("/training?view=start")
    choose(page, "slda")
    expect(page.get_by_text("Starting a grid wants the role admin")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="in all")).to_be_visible()
    expect(page.locator(".verdict button")).to_be_disabled()


def test_two_runs_beside_each_other_and_what_can_be_taken_away(person: Come, tmp_path: Path) -> None:
    page = person().open("/training?view=compare&a=pets@1&b=pets@2")
    expect(page.get_by_text("Model pets@1 and model pets@2 are equally accurate on these images")).to_be_visible()
    expect(page.get_by_text("test images of data pets@1, image by image")).to_be_visible()
    page.get_by_text("What the words mean").first.click()
    expect(page.get_by_text("how often chance alone would show as much")).to_be_visible()
    differences = page.get_by_role("region", name="What was not the same")
    expect(differences.get_by_role("row").filter(has_text="head")).to_contain_text("ridge")
    metrics = page.get_by_role("region", name="Metrics of the runs")
    expect(metrics.get_by_role("row").filter(has_text="log loss")).to_contain_text(" to ")
    expect(page.locator("figure.chart canvas")).to_have_count(2)
    with page.expect_download() as table:
        page.get_by_role("button", name="CSV: save the values of Learning curve").click()
    first, second = Path(table.value.path()).read_text("utf-8").splitlines()[:2]
    assert first == 'training images,"accuracy (%), model pets@1",from,to,"accuracy (%), model pets@2",from,to'
    assert second.startswith("4,")
    with page.expect_download() as drawing:
        page.get_by_role("button", name="PNG: save the chart Learning curve").click()
    assert drawing.value.suggested_filename == "learning-curve.png"
    assert Path(drawing.value.path()).read_bytes().startswith(b"\x89PNG")


def test_the_address_names_the_run_that_is_shown(person: Come) -> None:
    page = person().open("/training?view=compare")
    page.wait_for_url("**/training?view=compare&a=pets@*")


def test_a_model_without_mistakes_has_none_to_show(person: Come) -> None:
    page = person().open("/training?view=mistakes&model=pets@1")
    expect(page.get_by_text("No mistake on the test images")).to_be_visible()


def test_a_model_that_is_not_there_is_told(person: Come) -> None:
    page = person().open("/training?view=compare&a=pets@99")
    expect(page.get_by_text("no model pets@99")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_its_parts_can_be_used_by_everybody(person: Come, axe: str, scheme: str) -> None:
    somebody = person(color_scheme=scheme)
    page = somebody.open("/training?view=start")
    expect(page.get_by_role("status").filter(has_text="in all")).to_be_visible()
    assert serious(page, axe) == []
    page = somebody.open("/training?view=compare&a=pets@1&b=pets@2")
    expect(page.locator("figure.chart canvas")).to_have_count(2)
    assert serious(page, axe) == []
