"""Review: doubtful labels decided by keys, by several people, undone, and by somebody whose session has ended."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect

from pellucid import Project
from pellucid.store.schema import session as session_table
from pellucid.store.votes import add_vote, find_votes, samples_said
from pellucid.types import Role, Vote

from ..conftest import PATIENCE, picture_bytes
from .conftest import Person, Site, serious

Come = Callable[..., Person]
expect.set_options(timeout=PATIENCE * 1000)
WRONG = 45  # labels that somebody has said wrongly


@pytest.fixture(scope="module", autouse=True)
def doubts(site: Site) -> list[str]:
    """Cats that somebody calls dogs, before anybody looks at the queue."""
    samples = []
    for number in range(WRONG):
        files = {"image": ("a.png", picture_bytes("cat", 700 + number), "image/png")}
        answer = site.ask("POST", "/samples", token="admin", files=files, data={"label": "dog"})
        assert answer.status_code == 200, answer.text
        samples.append(str(answer.json()["prediction"]["sample"]))
    return samples


def decided(site: Site, voter: str) -> list[Vote]:
    """What a reviewer's votes say, oldest first; those that count."""
    with Project(site.folder) as project, project.workspace.database.read() as connection:
        votes = find_votes(connection, "pets", voter=voter).values()
        return [vote for vote in votes if vote.role is Role.ANNOTATOR]


def shown(page: Page) -> str:
    """The sample that is on the screen."""
    source = page.locator(".look > img").get_attribute("src")
    assert source is not None
    return source.split("/")[3][:64]


def come_to(page: Page, count: int) -> None:
    """Waits until so many are decided, and the next picture is there."""
    expect(page.locator(".review .note").first).to_have_text(re.compile(f"^{count} decided"))
    expect(page.locator(".look > img")).to_be_visible()


def press(page: Page, key: str, count: int) -> None:
    page.keyboard.press(key)
    come_to(page, count)


def test_twenty_labels_by_keys_alone(site: Site, person: Come, axe: str) -> None:
    page = person("ann").open("/review")
    come_to(page, 0)
    expect(page.locator(".decision kbd")).to_have_text(["A", "K", "O", "U", "Z"])
    expect(page.locator(".look")).to_contain_text("Given by admin")
    expect(page.locator(".nearest").first.locator("img")).to_have_count(3)
    expect(page.locator(".decision span")).to_have_text(["Accept: cat", "Keep: dog", "Other", "Unsure", "Undo"])
    assert serious(page, axe) == []
    before = len(decided(site, "ann"))
    for number in range(17):
        press(page, "a", number + 1)
    press(page, "k", 18)
    page.keyboard.press("o")
    expect(page.get_by_role("dialog")).to_contain_text("What does it show?")
    expect(page.get_by_role("dialog").locator("img").first).to_be_visible()
    press(page, "1", 19)
    press(page, "u", 20)
    votes = decided(site, "ann")[before:]
    assert [vote.label for vote in votes[:18]] == ["cat"] * 17 + ["dog"]
    assert len({vote.sample for vote in votes}) == 19  # who is unsure says nothing


def test_undo_takes_the_vote_back(site: Site, person: Come) -> None:
    page = person("ann").open("/review")
    come_to(page, 0)
    sample, before = shown(page), len(decided(site, "ann"))
    press(page, "a", 1)
    assert (len(decided(site, "ann")), shown(page) != sample) == (before + 1, True)
    press(page, "z", 0)
    expect(page.locator(".review .outcome")).to_contain_text("Taken back: cat counts no longer")
    assert (len(decided(site, "ann")), shown(page)) == (before, sample)
    press(page, "u", 1)
    press(page, "z", 0)
    assert shown(page) == sample
    page.keyboard.press("z")
    expect(page.locator(".review .outcome")).to_have_text("There is nothing to undo.")


def test_on_a_phone_both_labels_are_seen_without_scrolling(site: Site, person: Come) -> None:
    page = person("ann", viewport={"width": 390, "height": 844}).open("/review")
    come_to(page, 0)
    expect(page.locator(".decisions")).to_contain_text("Accept: cat")
    bar = page.locator(".decisions").bounding_box()
    for name in (page.locator(".claim.given h2"), page.locator(".claim.suggested h2")):
        box = name.bounding_box()
        assert box is not None
        assert bar is not None
        assert box["y"] + box["height"] <= bar["y"]
    page.locator(".decision[data-act=other]").click()
    expect(page.get_by_role("dialog").locator("img").first).to_be_in_viewport(ratio=0.99)
    expect(page.get_by_role("dialog").get_by_role("button", name="Cancel")).to_be_in_viewport()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_two_people_never_get_the_same_picture(site: Site, person: Come) -> None:
    ann, bob = person("ann").open("/review"), person("bob").open("/review")
    seen: dict[str, list[str]] = {"ann": [], "bob": []}
    for count in range(3):
        for name, page in (("ann", ann), ("bob", bob)):
            come_to(page, count)
            seen[name].append(shown(page))
            page.keyboard.press("a")
    assert len({*seen["ann"], *seen["bob"]}) == 6


def test_what_another_one_says_meanwhile_stands_beside(site: Site, person: Come) -> None:
    page = person("ann").open("/review")
    come_to(page, 0)
    sample = shown(page)
    assert site.ask("POST", "/feedback", token="admin", json={"sample": sample, "label": "dog"}).status_code == 200
    press(page, "a", 1)
    expect(page.locator(".review .outcome")).to_contain_text("Meanwhile admin said dog; all words count.")


def test_a_class_that_somebody_adds_is_there_for_the_next_picture(site: Site, person: Come) -> None:
    page = person("ann").open("/review")
    come_to(page, 0)
    page.keyboard.press("o")
    page.get_by_label("A class that nobody has used yet").fill("<b>eel</b>")  # letters are no acts here
    page.get_by_role("button", name="Add this class").click()
    come_to(page, 1)
    assert decided(site, "ann")[-1].label == "<b>eel</b>"
    page.keyboard.press("o")
    expect(page.get_by_role("dialog").get_by_role("button", name="<b>eel</b>")).to_be_visible()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    press(page, "z", 0)


def test_a_class_renamed_meanwhile_is_said_so_and_loses_nothing(site: Site, person: Come) -> None:
    answer = site.predict(picture_bytes("eel", 790))
    said = {"prediction": answer["id"], "label": "newt", "new_class": True}
    assert site.ask("POST", "/feedback", token="bob", json=said).status_code == 200
    somebody = person("ann")
    tried, page = somebody.open("/try"), somebody.open("/review")
    blue: Any = {"name": "blue.png", "mimeType": "image/png", "buffer": picture_bytes("eel", 791)}
    tried.set_input_files("input[type=file]:not([capture])", blue)
    card = tried.locator(".tried", has_text="blue.png")
    card.get_by_role("button", name="Wrong").click()
    expect(card.get_by_role("button", name="newt")).to_be_visible()
    come_to(page, 0)
    before, sample = len(decided(site, "ann")), shown(page)
    page.keyboard.press("o")
    expect(page.get_by_role("dialog").get_by_role("button", name="newt")).to_be_visible()
    assert site.ask("POST", "/feedback", token="bob", json={**said, "label": "salamander"}).status_code == 200
    page.get_by_role("dialog").get_by_role("button", name="newt").click()
    expect(page.get_by_text("'newt' is no class any more")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert (len(decided(site, "ann")), shown(page)) == (before, sample)
    page.keyboard.press("o")
    page.get_by_role("dialog").get_by_role("button", name="salamander").click()
    come_to(page, 1)
    assert decided(site, "ann")[-1].label == "salamander"
    card.get_by_role("button", name="newt").click()
    expect(tried.get_by_text("'newt' is no class any more")).to_be_visible()
    expect(card.get_by_role("button", name="newt")).to_have_count(0)
    card.get_by_role("button", name="salamander").click()
    expect(card).to_contain_text("You said salamander.")


def test_an_expired_session_says_so_and_loses_nothing(site: Site, person: Come) -> None:
    page = person("ann").open("/review")
    come_to(page, 0)
    press(page, "a", 1)
    before = len(decided(site, "ann"))
    with Project(site.folder) as project, project.workspace.database.write() as connection:
        connection.execute(sa.delete(session_table))
    page.keyboard.press("a")
    expect(page.get_by_text("your session is over; log in again")).to_be_visible()
    page.wait_for_url("**/login?next=%2Freview")
    page.fill("#token", site.tokens["ann"])
    page.click("button[type=submit]")
    come_to(page, 0)
    assert len(decided(site, "ann")) == before
    press(page, "a", 1)


def test_who_may_not_review_takes_no_picture_from_others(site: Site, person: Come) -> None:
    page = person("predict").open("/review")
    expect(page.locator(".look > img")).to_be_visible()
    expect(page.locator(".decision").first).to_be_disabled()
    expect(page.locator(".review")).to_contain_text("The token 'predict' may not review; wanted is the role feedback.")
    page.keyboard.press("a")
    expect(page.locator(".review .note").first).to_have_text(re.compile("^0 decided"))
    assert decided(site, "predict") == []


def test_the_last_one_is_with_another_one_and_comes_once_they_leave(
    site: Site, person: Come, doubts: list[str]
) -> None:
    ann = person("ann").open("/review")
    come_to(ann, 0)
    now, last = datetime.now(UTC), shown(ann)  # once: her page may show another one when the queue is made anew
    with Project(site.folder) as project, project.workspace.database.write() as connection:
        for sample in {*doubts, *samples_said(connection, "pets")} - {last}:  # other tests have left doubts of theirs
            add_vote(connection, Vote("pets", sample, "cat", Role.GROUND_TRUTH, "kim", now))
    bob = person("bob").open("/review")
    expect(bob.locator(".empty")).to_contain_text("1 label is being looked at by others")
    ann.close()
    expect(bob.locator(".look > img")).to_be_visible()
    assert shown(bob) == last
