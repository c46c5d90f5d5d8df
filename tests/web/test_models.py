"""Models: promoted and rolled back with the evidence in view, by those who may, and nobody overruled unseen."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from pellucid import Project
from pellucid.flow.tokens import create_token
from pellucid.store.acts import newest_acts
from pellucid.types import Right

from ..conftest import PATIENCE, WriteFolders, picture_bytes
from .conftest import Person, Site, end_site, serious, start_site

Come = Callable[..., Person]
expect.set_options(timeout=PATIENCE * 1000)
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, class_folders: WriteFolders, child_environ: dict[str, str]
) -> Iterator[Site]:
    """``pets@1`` is champion; the gate lets ``pets@2`` pass, and refuses ``pets@3``, which knows one name."""
    root = tmp_path_factory.mktemp("models")
    source = class_folders(root / "source", {"cat": 40, "dog": 40})
    (source / "dog").rename(source / HOSTILE)
    with Project.init(root / "project") as made:
        config = root / "project" / "pellucid.toml"
        config.write_text(f"{config.read_text('utf-8')}\n[gate]\nmargin = 0.4\n", "utf-8")
    with Project(root / "project", environ={}) as made:
        made.ingest(source, "pets", test_fraction=0.2, trusted_fraction=0.5)
        made.train("pets", models="kernel")
        made.promote("pets@1", actor="ann", reason="the first")
        made.train("pets", models="ridge")
        made.train("pets", models="sklearn:sklearn.dummy.DummyClassifier")
        made.train("pets", models="slda")
        tokens = {right.value: create_token(made.workspace, right.value, [right]).secret for right in Right}
    found = start_site(root / "project", tokens, {**child_environ, "PELLUCID_POLL_SECONDS": "0.02"})
    yield found
    end_site(found)


@pytest.fixture(autouse=True)
def _champion(site: Site) -> None:
    """Each test begins with the same champion."""
    with Project(site.folder) as project:
        if project.model("pets").ref != "pets@1":
            project.rollback("pets", to=1, actor="ann", reason="back to the beginning")


def champion(site: Site) -> str:
    with Project(site.folder) as project:
        return project.model("pets").ref


def ask(page: Page, button: str) -> None:
    """Presses it, and waits for the question."""
    page.get_by_role("button", name=button, exact=True).click()
    expect(page.get_by_role("dialog").get_by_role("heading")).to_contain_text("?")


def test_promote_and_roll_back_with_the_evidence_in_view(site: Site, person: Come) -> None:
    page = person().open("/models")
    ask(page, "Promote pets@2")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("pets@2 answers in place of pets@1")
    expect(dialog).to_contain_text("The gate: passed")
    expect(dialog).to_contain_text("95 % interval")
    expect(dialog.get_by_role("row").filter(has_text="cat")).to_contain_text("100.0")
    assert champion(site) == "pets@1"
    dialog.get_by_label("Reason").fill("simpler")
    dialog.get_by_role("button", name="Promote pets@2").click()
    timeline = page.get_by_role("list").filter(has_text="became champion")
    expect(timeline.get_by_role("listitem").first).to_contain_text("pets@2 became champion in place of pets@1")
    expect(timeline.get_by_role("listitem").first).to_contain_text("simpler")
    assert champion(site) == "pets@2"
    ask(page, "Roll back to pets@1")
    expect(dialog).to_contain_text("has been champion before")
    dialog.get_by_role("button", name="Roll back to pets@1").click()
    expect(timeline.get_by_role("listitem").first).to_contain_text("pets@1 came back as champion")
    assert champion(site) == "pets@1"
    with Project(site.folder) as project, project.workspace.database.read() as connection:
        done = [(act.actor, act.verb, act.subject) for act in newest_acts(connection, 2)]
    assert done == [("admin", "rollback", "pets@1"), ("admin", "promote", "pets@2")]


def test_the_gate_is_overruled_only_with_a_reason(site: Site, person: Come) -> None:
    page = person().open("/models")
    ask(page, "Promote pets@3")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("The gate: refused")
    expect(dialog).to_contain_text("less accurate than the champion: the whole interval")
    yes = dialog.get_by_role("button", name="Promote pets@3")
    expect(yes).to_be_disabled()
    dialog.get_by_role("checkbox").click()
    expect(yes).to_be_disabled()
    dialog.get_by_label("Reason").fill("a drill")
    yes.click()
    expect(page.get_by_role("listitem").filter(has_text="a drill [forced against the gate").first).to_be_visible()
    assert champion(site) == "pets@3"
    verdict = page.get_by_role("button", name="refused: the gate on pets@3")
    verdict.click()
    expect(page.get_by_role("dialog")).to_contain_text("recall falls from")


def test_of_two_who_decide_at_once_the_second_is_told(site: Site, person: Come) -> None:
    first, second = person().open("/models"), person().open("/models")
    ask(first, "Promote pets@2")
    ask(second, "Promote pets@4")
    first.get_by_role("dialog").get_by_role("button", name="Promote pets@2").click()
    expect(first.get_by_role("dialog")).to_have_count(0)
    second.get_by_role("dialog").get_by_role("button", name="Promote pets@4").click()
    told = "the champion of pets was changed meanwhile: admin made pets@2 the champion; nothing was changed"
    expect(second.get_by_text(told)).to_be_visible()
    expect(second.get_by_role("dialog")).to_have_count(0)
    expect(second.get_by_role("button", name="Promote pets@2", exact=True)).to_have_count(0)
    assert champion(site) == "pets@2"


def test_whoever_is_no_admin_changes_nothing(site: Site, person: Come) -> None:
    page = person("predict").open("/models")
    expect(page.get_by_text("want the role admin")).to_be_visible()
    for name in ("Promote pets@2", "Promote pets@3"):
        expect(page.get_by_role("button", name=name, exact=True)).to_be_disabled()
    expect(page.get_by_role("button", name="Begin")).to_be_disabled()


def test_what_others_decide_is_seen_without_asking(site: Site, person: Come) -> None:
    page = person().open("/models")
    with Project(site.folder) as project:
        project.promote("pets@2", actor="bob", reason="from the command line")
    expect(page.get_by_text("bob made pets@2 the champion")).to_be_visible()
    expect(page.get_by_text("from the command line").first).to_be_visible()


def test_a_candidate_beside_the_champion(site: Site, person: Come) -> None:
    page = person().open("/models")
    page.get_by_role("button", name="Begin").click()
    expect(page.get_by_text("No image has come yet that both have answered")).to_be_visible()
    site.predict(picture_bytes("cat", 900))
    page.get_by_role("button", name="End it").click()
    expect(page.get_by_role("button", name="Begin")).to_be_visible()


def test_the_card_is_text(person: Come) -> None:
    page = person().open("/models")
    page.get_by_role("button", name="Card of pets@1").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", name="kernel, trained on dataset version pets@1")).to_be_visible()
    expect(dialog.get_by_role("row").filter(has_text=HOSTILE)).to_be_visible()
    assert page.locator("img[src=x]").count() == 0


def test_the_gallery_of_mistakes_beside_what_lies_nearest(person: Come) -> None:
    page = person().open("/training?view=mistakes&model=pets@3")
    cards = page.locator(".mistakes .card")
    expect(cards.first).to_contain_text("taken for")
    expect(cards.first.get_by_role("img")).to_have_count(4)
    assert cards.first.get_by_role("img").first.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    assert page.get_by_text(HOSTILE).count() > 0
    assert page.locator("img[src=x]").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_its_parts_can_be_used_by_everybody(person: Come, axe: str, scheme: str) -> None:
    somebody = person(color_scheme=scheme)
    page = somebody.open("/models")
    ask(page, "Promote pets@3")
    page.wait_for_timeout(400)  # a dialog that still fades in has no contrast
    assert serious(page, axe) == []
    page = somebody.open("/training?view=mistakes&model=pets@3")
    expect(page.locator(".mistakes .card").first).to_be_visible()
    assert serious(page, axe) == []


def test_a_project_that_knows_no_such_name_says_so(person: Come) -> None:
    page = person().open("/models?name=cats")
    expect(page.get_by_text("no model is named 'cats'; there are pets")).to_be_visible()
