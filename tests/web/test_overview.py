"""The overview: how all is, what happened, and a server that goes away and comes back."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from pellucid import Project

from ..conftest import PATIENCE
from ..serve.conftest import Ready
from .conftest import Person, Site, end_site, start_site

Come = Callable[..., Person]
_MS = PATIENCE * 1000


def tile(page: Page, name: str) -> str:
    found = page.locator(".tile").filter(has=page.get_by_text(name, exact=True)).locator(".value")
    return found.inner_text()


def test_it_tells_how_all_is(site: Site, person: Come, picture: Callable[..., bytes]) -> None:
    for number in range(3):
        answer = site.predict(picture("cat", 900 + number))
        said = {"prediction": answer["id"], "label": "cat", "voter": f"v{number}"}
        assert site.ask("POST", "/feedback", json=said).status_code == 200
    page = person("predict").open("/")
    expect(page.locator(".health li").filter(has_text="Server")).to_contain_text("pets@1 answers", timeout=_MS)
    expect(page.locator(".health li").filter(has_text="Database")).to_contain_text("SQLite answers within", timeout=_MS)
    expect(page.locator(".summary")).to_contain_text("All is well: model pets@1 answers", timeout=_MS)
    votes = page.locator(".tile").filter(has_text="Votes today")
    expect(votes).to_contain_text("by 3 voters", timeout=_MS)
    assert tile(page, "Champion") == "pets@1"
    assert tile(page, "Live accuracy") == "unknown"
    expect(page.locator(".basis")).to_contain_text("3 of 3 votes by 3 voters confirm its answers")


def test_a_promotion_appears_by_itself_and_kinds_can_be_chosen(site: Site, person: Come) -> None:
    page = person("predict").open("/")
    timeline = page.locator(".happenings")
    expect(timeline).to_contain_text("pets@1 is champion")
    with Project(site.folder) as project:
        project.promote("pets@2", reason="<b>better</b>", actor="the <i>boss</i>")
    first = timeline.locator("li").filter(has_text="pets@2 is champion, after pets@1")
    expect(first).to_contain_text("<b>better</b>", timeout=_MS)
    expect(first).to_contain_text("the <i>boss</i>")
    page.get_by_role("button", name="Rollbacks").click()
    expect(timeline).to_contain_text("Nothing of this kind has happened yet")
    expect(page.get_by_role("button", name="Rollbacks")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Promotions").click()
    expect(timeline.locator("li")).to_have_count(2)


@pytest.fixture
def fragile(
    tmp_path: Path, ready: Ready, child_environ: dict[str, str]
) -> Iterator[tuple[Site, Callable[[], None], Callable[[], None]]]:
    """A server at a port of its own, what kills it, and what starts it again there."""
    folder = tmp_path / "project"
    shutil.copytree(ready.folder, folder)
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = str(found.getsockname()[1])
    sites = [start_site(folder, dict(ready.tokens), child_environ, "--port", port)]

    def kill() -> None:
        sites[-1].process.kill()
        sites[-1].process.wait(PATIENCE)

    def start() -> None:
        sites.append(start_site(folder, dict(ready.tokens), child_environ, "--port", port))

    yield sites[0], kill, start
    for site in sites:
        if site.process.poll() is None:
            end_site(site)
        else:
            site.process.communicate()


def test_a_server_that_goes_away_and_comes_back(
    fragile: tuple[Site, Callable[[], None], Callable[[], None]], browser: Browser
) -> None:
    site, kill, start = fragile
    somebody = Person(site, browser.new_context(), forgiven=("WebSocket", "ERR_CONNECTION_REFUSED", "ERR_EMPTY"))
    page = somebody.log_in("predict").open("/")
    expect(page.locator(".happenings")).to_contain_text("pets@1 is champion", timeout=_MS)
    kill()
    bar = page.get_by_role("status", name="Connection")
    expect(bar).to_contain_text("The server has been away since", timeout=_MS)
    expect(bar).to_contain_text("Nothing that was saved is lost")
    with Project(site.folder) as project:
        project.promote("pets@2", reason="meanwhile")
    start()
    expect(bar).to_contain_text("The server is back", timeout=_MS)
    expect(page.locator(".tile").first).to_contain_text("pets@2", timeout=_MS)
    for lost_again in (True, False):
        expect(bar).to_contain_text("It was started again at", timeout=_MS)
        expect(bar).to_contain_text("pets@2 is champion, after pets@1.")
        if lost_again:  # at once, as on a busy machine: still the same absence
            page.evaluate("window.socket.io.engine.close()")
            expect(bar).to_contain_text("The server has been away since", timeout=_MS)
    bar.get_by_role("button", name="Close", exact=True).click()
    expect(bar).to_have_count(0)
    assert somebody.unforgiven == []
    somebody.context.close()
