"""Voters: who says what, and forgetting one, which shows its effect first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import quote

import numpy as np
import pytest
import sqlalchemy as sa
from playwright.sync_api import expect

from pellucid import Project
from pellucid.evaluate.compare import compare
from pellucid.flow.online.effect import Shift
from pellucid.flow.online.forget import Forgotten
from pellucid.store.acts import newest_acts
from pellucid.store.schema import retraction
from pellucid.store.votes import add_vote
from pellucid.types import Role, Vote
from pellucid.web.one_voter import weighs

from ..conftest import PATIENCE
from .conftest import Person, Site

Come = Callable[..., Person]
_MS = PATIENCE * 1000
KIM = "kim <b>"
EVE = "admin/<img src=x onerror=alert(1)>"  # as the API names a voter behind the token admin


@pytest.fixture(scope="module", autouse=True)
def votes(site: Site, picture: Callable[..., bytes]) -> None:
    """Two voters: one is right, the other one is hostile in name and deed. The champion learns one by one.

    A third one has spoken as ground truth, once.
    """
    with Project(site.folder) as project:
        project.promote("pets@2")
        with project.workspace.database.write() as connection:
            add_vote(connection, Vote("pets", site.samples()[0], "cat", Role.GROUND_TRUTH, KIM, datetime.now(UTC)))
    for number in range(6):
        answer = site.predict(picture("cat", 700 + number))
        for voter, label in (("ann", "cat"), (EVE.partition("/")[2], "dog")):
            said = {"prediction": answer["id"], "label": label, "voter": voter}
            assert site.ask("POST", "/feedback", json=said).status_code == 200


def test_a_hostile_name_is_text_and_columns_sort(person: Come) -> None:
    page = person("predict").open("/voters")
    table = page.get_by_role("table", name="Voters")
    row = table.locator("tbody tr").filter(has_text=EVE)
    expect(row).to_have_count(1, timeout=_MS)
    assert page.locator("img[src='x']").count() == 0
    names = table.locator("tbody th a")
    page.get_by_role("button", name="Voter", exact=True).click()
    expect(table.locator("th[aria-sort=ascending]")).to_contain_text("Voter", timeout=_MS)
    assert names.all_inner_texts() == sorted(names.all_inner_texts(), key=str.casefold)
    page.get_by_role("button", name="Voter", exact=True).click()
    expect(table.locator("th[aria-sort=descending]")).to_contain_text("Voter", timeout=_MS)
    row.get_by_role("link").click()
    expect(page.get_by_role("heading", name=EVE)).to_be_visible(timeout=_MS)
    expect(page.locator("figure.word")).to_have_count(6, timeout=_MS)
    assert page.locator("img[src='x']").count() == 0


def test_without_the_role_nobody_is_forgotten(person: Come) -> None:
    page = person("predict").open(f"/voters?voter={quote(EVE, safe='')}")
    expect(page.get_by_role("button", name="Compute the effect")).to_be_disabled(timeout=_MS)
    expect(page.locator(".forget")).to_contain_text("needs the role admin")


def test_a_voter_is_forgotten_with_the_effect_shown_first(site: Site, person: Come) -> None:
    somebody = person("admin")
    page = somebody.open(f"/voters?voter={quote(EVE, safe='')}")
    card = page.locator(".forget")
    page.get_by_role("button", name="Compute the effect").click()
    expect(card).to_contain_text("What forgetting would change", timeout=_MS)
    expect(card).to_contain_text("6 votes on 6 images would be taken back.")
    expect(card).to_contain_text("pets@2:")
    expect(card).to_contain_text("test images")
    page.get_by_role("button", name="Keep them").click()
    with Project(site.folder) as project, project.workspace.database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(retraction)).scalar_one() == 0
    page.get_by_role("button", name="Compute the effect").click()
    page.get_by_label("Why (kept with the record)").fill("names herself <script>")
    page.get_by_role("button", name="Forget: take back 6 votes").click()
    expect(card).to_contain_text("6 votes on 6 images were taken back.", timeout=_MS)
    expect(page.locator("figure.word.gone")).to_have_count(6, timeout=_MS)
    with Project(site.folder) as project, project.workspace.database.read() as connection:
        row = connection.execute(sa.select(retraction)).one()
        assert (row.actor, row.reason) == ("admin", "names herself <script>")
        (act,) = newest_acts(connection, 1)
        assert (act.verb, act.subject, act.actor) == ("forget", EVE, "admin")
    page.get_by_role("link", name="It stands in the production timeline").click()
    told = page.locator(".happenings li").filter(has_text=f"6 votes of {EVE} on pets taken back")
    expect(told).to_contain_text("names herself <script>", timeout=_MS)


def test_ground_truth_is_forgotten_only_by_who_types_the_name(person: Come) -> None:
    page = person("admin").open(f"/voters?voter={quote(KIM, safe='')}")
    page.get_by_role("button", name="Compute the effect").click()
    forget = page.get_by_role("button", name="Forget: take back 1 vote")
    expect(forget).to_be_disabled(timeout=_MS)
    expect(page.locator(".forget")).to_contain_text("1 vote was said as ground truth")
    expect(page.locator(".forget")).to_contain_text("There is no button that undoes this.")
    field = page.get_by_label("Type “kim <b>” to go on")
    field.fill("kim")
    expect(forget).to_be_disabled()
    field.fill("kim <b>")
    expect(forget).to_be_enabled(timeout=_MS)
    forget.click()
    expect(page.locator(".forget")).to_contain_text("1 vote on 1 image were taken back.", timeout=_MS)


def test_a_voter_whom_nobody_knows(person: Come) -> None:
    page = person("predict").open("/voters?voter=%3Cb%3Enobody")
    expect(page.get_by_text("Nobody called '<b>nobody' has said anything of pets.")).to_be_visible(timeout=_MS)
    expect(page.locator(".forget")).not_to_be_visible()


def test_what_weighs_much_is_asked_twice() -> None:
    found = Forgotten("pets", 1, 6, ("eve",), 6, 6, 0, "pets@1", "", None, None, 100, 4, 9, dry_run=True)
    assert weighs(found) == ""
    assert weighs(replace(found, imported=1)).startswith("1 vote came with an imported folder")
    assert weighs(replace(found, answers_changed=5)) == "5\xa0% of the newest answers would come out otherwise"
    right, wrong = np.eye(2)[[0, 1] * 50], np.eye(2)[[0, 1] * 49 + [0, 0]]
    shift = Shift(100, 1.0, 0.99, compare(np.array([0, 1] * 50), wrong, right, names=("after", "before")))
    assert weighs(replace(found, test=shift)) == "1.0\xa0% of the test images would no longer be answered rightly"
    assert weighs(replace(found, test=replace(shift, before=0.99, after=1.0))) == ""
