"""The Data page: a wall of pictures, filters, stories, versions and findings."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from pellucid import Project
from pellucid.store.votes import find_votes
from pellucid.types import Split

from ..conftest import PATIENCE, picture_bytes
from ..serve.conftest import Ready
from .conftest import Person, Site, end_site, serious, start_site

expect.set_options(timeout=PATIENCE * 1000)

Come = Callable[..., Person]
HOSTILE = "<img src=x onerror=alert(1)>"
FILE = "<b>bold<img src=x>.png"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, ready: Ready, child_environ: dict[str, str]) -> Iterator[Site]:
    """Beside the champion's ``pets``: ``many`` with 600 pictures, sites and a hostile class, in two versions."""
    root = tmp_path_factory.mktemp("album")
    folder = root / "project"
    shutil.copytree(ready.folder, folder)
    (root / "in").mkdir()
    lines = ["path,label,split,site"]
    for number in range(600):
        label = ("cat", "dog", "eel")[number % 3]
        (root / "in" / f"{number}.png").write_bytes(picture_bytes(label, number, size=16))
        lines.append(f"{number}.png,{label},{('train', 'test')[number % 4 == 0]},{'AB'[number % 2]}")
    (root / "in" / FILE).write_bytes(picture_bytes("cat", 9000))
    lines.append(f"{FILE},{HOSTILE},train,=1+1")
    (root / "in" / "list.csv").write_text("\n".join(lines))
    with Project(folder) as project:
        project.ingest(root / "in" / "list.csv", "many")
        rows = project.inspect("many").rows
        project.settle("many", [next(row.sample for row in rows if row.label == "cat")], HOSTILE, voter=HOSTILE)
    made = start_site(folder, dict(ready.tokens), {**child_environ, "PELLUCID_POLL_SECONDS": "0.02"})
    yield made
    end_site(made)


def note(page: Page) -> str:
    return page.locator(".wall-note").inner_text()


def shown(page: Page) -> set[int]:
    """The numbers of the pictures that are there and painted."""
    script = "cells => cells.filter(c => !c.hidden && c.querySelector('img.there')).map(c => +c.ariaPosInSet)"
    return set(page.locator("[role=option]").evaluate_all(script))


def test_the_champions_dataset_comes_first_and_another_can_be_chosen(person: Come) -> None:
    page = person("predict").open("/data")
    expect(page.locator(".wall-note")).to_contain_text("24 pictures")
    page.get_by_role("combobox", name="Version").click()
    page.get_by_role("option", name="many@2").click()
    expect(page.locator(".wall-note")).to_contain_text("601 pictures")


def test_only_what_is_in_sight_is_there(person: Come) -> None:
    page = person().open("/data?version=many@2")
    page.wait_for_selector("img.there")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.locator(".wall-box").evaluate("box => { box.scrollTop = box.scrollHeight }")
    page.wait_for_function("[...document.querySelectorAll('[aria-posinset=\"601\"] img.there')].length === 1")
    assert min(shown(page)) > 500
    assert page.locator("[role=option]").count() < 150
    assert len([url for url in asked if "/ui/pictures/" in url]) < 150  # nothing of what lay between


def test_by_keyboard_only(person: Come) -> None:
    page = person().open("/data?version=many@2")
    page.wait_for_selector("img.there")
    wall = page.get_by_role("listbox", name="Pictures")
    wall.focus()
    page.keyboard.press("End")
    expect(wall).to_have_attribute("aria-activedescendant", "picture-600")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    expect(wall).to_have_attribute("aria-activedescendant", "picture-1")
    last = page.locator("#picture-1")
    assert (last.get_attribute("aria-posinset"), last.get_attribute("aria-setsize")) == ("2", "601")
    page.keyboard.press("Enter")
    story = page.get_by_role("dialog")
    expect(story.get_by_role("heading", name="What people said")).to_be_visible()
    page.wait_for_function("document.activeElement.closest('[role=dialog]')")
    first = story.locator(".mono").inner_text()
    page.keyboard.press("ArrowRight")
    expect(story.locator(".mono")).not_to_have_text(first)
    page.keyboard.press("Escape")
    expect(story).to_be_hidden()
    expect(wall).to_be_focused()
    expect(wall).to_have_attribute("aria-activedescendant", "picture-2")


def test_a_wrong_label_is_corrected_from_the_story(site: Site, person: Come) -> None:
    with Project(site.folder) as project:
        row = next(row for row in project.inspect("pets").rows if row.split is Split.TRAIN and row.label == "cat")

    def said() -> list[str]:
        with Project(site.folder) as project, project.workspace.database.read() as connection:
            return [vote.label for vote in find_votes(connection, "pets", voter="admin", sample=row.sample).values()]

    page = person("admin").open(f"/data?version=pets@1&sample={row.sample}")
    story = page.get_by_role("dialog")
    story.get_by_role("button", name="This label is wrong").click()
    expect(story.get_by_role("group", name="Classes").get_by_role("button")).to_have_text(["dog"])
    story.get_by_label("A class that nobody has used yet").press("ArrowRight")
    expect(story.locator(".mono")).to_have_text(row.sample)  # no other picture's story
    story.get_by_role("button", name="dog", exact=True).click()
    expect(story.locator(".correction")).to_contain_text("You said dog.")
    assert said() == ["dog"]
    story.get_by_role("button", name="Take it back").click()
    expect(story.get_by_role("button", name="This label is wrong")).to_be_visible()
    assert said() == []
    expect(story.locator(".shots").last).to_contain_text("alike")
    story.get_by_role("link", name="pets@1", exact=True).first.click()
    expect(page.get_by_role("dialog", name="Card of model pets@1")).to_be_visible()


def test_filters_narrow_and_the_address_keeps_them(person: Come) -> None:
    page = person().open("/data?version=many@2")
    page.get_by_role("button", name="dog 200").click()
    expect(page.locator(".wall-note")).to_contain_text("200 of 601")
    page.get_by_role("group", name="site").get_by_role("button", name="A 100").click()
    expect(page.locator(".wall-note")).to_contain_text("100 of 601")
    page.wait_for_function("location.search.includes('meta.site=A')")
    page.reload()
    expect(page.locator(".wall-note")).to_contain_text("100 of 601")
    expect(page.get_by_role("button", name="dog 100")).to_have_attribute("aria-pressed", "true")
    page.get_by_label("File or id").fill("no such file")
    expect(page.locator(".wall-note")).to_contain_text("No picture fits")
    page.get_by_role("button", name="Take all filters away").click()
    expect(page.locator(".wall-note")).to_contain_text("601 pictures")


def test_a_class_renamed_meanwhile_leaves_the_version_as_it_is_and_its_old_name_finds_nothing_in_the_next(
    site: Site, person: Come, tmp_path: Path, class_folders: Callable[..., Path]
) -> None:
    with Project(site.folder) as project:
        project.ingest(class_folders(tmp_path, {"cat": 4, "eel": 6}), "few")
        page = person().open("/data?version=few@1&label=eel")
        expect(page.locator(".wall-note")).to_contain_text("6 of 10")
        rows = [row.sample for row in project.inspect("few@1").rows if row.label == "eel"]
        assert project.settle("few", rows, "conger", voter="ann").ref == "few@2"
    page.reload()
    expect(page.locator(".wall-note")).to_contain_text("6 of 10")
    page.get_by_role("combobox", name="Version").click()
    page.get_by_role("option", name="few@2").click()
    expect(page.locator(".wall-note")).to_contain_text("10 pictures")
    expect(page.get_by_role("button", name="conger 6")).to_be_visible()
    page.goto(f"{site.url}/data?version=few@2&label=eel")  # as from a bookmark
    expect(page.locator(".wall-note")).to_contain_text("No picture fits")
    page.get_by_role("button", name="Take all filters away").click()
    expect(page.locator(".wall-note")).to_contain_text("10 pictures")


def test_hostile_words_are_text(person: Come) -> None:
    page = person().open("/data?version=many@2&text=bold")
    cell = page.get_by_role("option", name=f"label {HOSTILE}")
    expect(cell).to_have_attribute("aria-label", f"label {HOSTILE}, trust 100 %, train, {FILE}")
    assert cell.locator(".wall-words").inner_text() == HOSTILE
    cell.click()
    story = page.get_by_role("dialog")
    expect(story.get_by_role("heading", name=HOSTILE)).to_be_visible()
    expect(story.get_by_role("cell", name=FILE)).to_be_visible()
    assert page.locator("img[src=x]").count() == 0


def test_what_changed_between_two_versions(person: Come, axe: str) -> None:
    page = person().open("/data?version=many@2&show=versions")
    page.get_by_role("link", name="what changed").click()
    page.wait_for_selector("h3")
    assert page.locator("h3").inner_text() == "many@1 to many@2: 1 picture differs"
    assert page.locator(".change").inner_text() == f"cat → {HOSTILE}"
    assert f"{HOSTILE} (ground_truth) said {HOSTILE}" in page.locator(".differences .note").inner_text()
    page.locator(".differences button").click()
    expect(page.get_by_role("dialog").get_by_role("cell", name="many@1")).to_be_visible()
    page.wait_for_function("document.querySelector('.story-picture').complete")
    assert serious(page, axe) == []


def test_nothing_found_says_so(person: Come) -> None:
    page = person().open("/data?version=pets@1&show=findings")
    expect(page.get_by_role("heading", name="Nothing was found")).to_be_visible()
    expect(
        page.get_by_text(
            "not found: conflicting votes, near-identical pictures under different labels, near-duplicates"
        )
    ).to_be_visible()


def test_bad_words_in_the_address_are_told(person: Come) -> None:
    page = person().open("/data?split=nowhere")
    expect(page.get_by_text("wanted is one of train, test, trusted")).to_be_visible()


def test_rows_and_csv_need_a_session(site: Site, person: Come) -> None:
    for path in ("/ui/data/rows?version=many@2", "/ui/data/rows.csv?version=many@2"):
        assert httpx.get(site.url + path).status_code == 401
    request = person("predict").context.request
    answer = request.get(f"{site.url}/ui/data/rows.csv?version=many@2&label=dog&split=test")
    rows = list(csv.DictReader(io.StringIO(answer.text())))
    assert len(rows) == 50
    assert {(row["label"], row["split"], row["trust"]) for row in rows} == {("dog", "test", "1.0")}
    assert "many-2.csv" in answer.headers["content-disposition"]
    assert request.get(f"{site.url}/ui/data/rows?version=many@7").status == 404
    assert request.get(f"{site.url}/ui/data/rows?version=many@2&least=lots").status == 400
    assert request.get(f"{site.url}/ui/data/rows?version=many@2&limit=501").status == 422


def test_the_server_going_away_and_coming_back(person: Come) -> None:
    somebody = person()
    somebody.forgiven = ("net::ERR_FAILED",)
    page = somebody.open("/data?version=many@2")
    page.wait_for_selector("img.there")
    page.route("**/ui/data/rows*", lambda route: route.abort())
    page.route("**/ui/pictures/*", lambda route: route.abort())
    page.locator(".wall-box").evaluate("box => { box.scrollTop = box.scrollHeight }")
    expect(page.locator(".wall-note")).to_contain_text("does not answer")
    page.unroute("**/ui/data/rows*")
    with page.expect_event("requestfailed", lambda request: "/ui/pictures/" in request.url):
        pass  # pictures do not come yet
    page.unroute("**/ui/pictures/*")
    page.wait_for_function("document.querySelectorAll('[aria-posinset=\"601\"] img.there').length === 1")
    expect(page.locator(".wall-note")).to_contain_text("601 pictures")


def test_no_dataset_yet(tmp_path: Path, child_environ: dict[str, str], person: Come) -> None:
    Project.init(tmp_path / "new").close()
    made = start_site(tmp_path / "new", {}, child_environ, "--open")
    try:
        page = person(None).context.new_page()
        page.goto(made.url + "/data")
        expect(page.get_by_role("heading", name="There are no pictures yet")).to_be_visible()
    finally:
        end_site(made)
