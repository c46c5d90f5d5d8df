"""A real server with pages, and people in front of a real browser."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Response, sync_playwright

from pellucid import Project
from pellucid.flow.tokens import create_token
from pellucid.store.schema import sample
from pellucid.types import Right

from ..conftest import PATIENCE, until
from ..serve.conftest import Ready, ready

__all__ = ["ready"]
CHROMIUM = next((path for name in ("chromium", "chromium-browser") if (path := shutil.which(name))), None)
_OPTIONS = ["--no-sandbox", "--disable-background-networking", "--disable-gpu"]
_AT_REST = """() => Promise.race([
    new Promise(done => setTimeout(done, 5000)),
    Promise.all(document.getAnimations().filter(it => it.effect.getComputedTiming().iterations !== Infinity)
        .map(it => it.finished.catch(() => null))),
]).then(() => null)"""


@dataclass(frozen=True)
class Site:
    """A server of its own, `pellucid serve`, on a copy of `ready`: champion ``pets@1``, another model ``pets@2``."""

    url: str
    folder: Path
    tokens: dict[
        str, str
    ]  # by their names: their rights, predict, feedback, admin; ann and bob may predict and feedback
    process: subprocess.Popen[str]

    def samples(self) -> list[str]:
        """The ids of all stored images."""
        with Project(self.folder) as project, project.workspace.database.read() as connection:
            return list(connection.execute(sa.select(sample.c.id).order_by(sample.c.id)).scalars())

    def ask(self, method: str, path: str, *, token: str = "admin", **options: Any) -> httpx.Response:
        """An answer of the API."""
        headers = {"Authorization": f"Bearer {self.tokens[token]}", **options.pop("headers", {})}
        return httpx.request(method, self.url + path, headers=headers, timeout=PATIENCE, **options)

    def predict(self, data: bytes) -> dict[str, Any]:
        """The one answer for the image."""
        answer = self.ask("POST", "/predict", content=data, headers={"Content-Type": "image/png"})
        assert answer.status_code == 200, answer.text
        return dict(answer.json()["predictions"][0])


def start_site(folder: Path, tokens: dict[str, str], environ: dict[str, str], *words: str) -> Site:
    """Starts the server in the folder; `end_site` ends it."""
    command = [sys.executable, "-m", "pellucid", "serve", "--port", "0", *words]
    process = subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    assert url.startswith("http"), url
    site = Site(url, folder, tokens, process)
    until(lambda: _is_up(url), process)
    return site


def end_site(site: Site) -> None:
    """Ends the server."""
    site.process.send_signal(signal.SIGINT)
    try:
        site.process.wait(PATIENCE)
    finally:
        site.process.kill()
        site.process.communicate()


def _is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/live", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, ready: Ready, child_environ: dict[str, str]) -> Iterator[Site]:
    """A server that the tests of one module share."""
    folder = tmp_path_factory.mktemp("site") / "project"
    shutil.copytree(ready.folder, folder)
    tokens = dict(ready.tokens)
    with Project(folder) as project:
        for name in ("ann", "bob"):
            tokens[name] = create_token(project.workspace, name, [Right.PREDICT, Right.FEEDBACK]).secret
    made = start_site(folder, tokens, {**child_environ, "PELLUCID_POLL_SECONDS": "0.02"})
    yield made
    end_site(made)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium without a window; as long as it is there, asyncio takes its loop for this thread's."""
    if CHROMIUM is None:
        pytest.skip("needs Debian's chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=_OPTIONS)
        yield found
        found.close()


@dataclass
class Person:
    """Somebody in front of a browser. What their pages complain of, or load from elsewhere, fails the test."""

    site: Site
    context: BrowserContext
    complaints: list[str] = field(default_factory=list)
    forgiven: tuple[str, ...] = ()  # pieces of complaints that a test expects

    def open(self, path: str = "/") -> Page:
        """A page, once its heading and its connection are there."""
        page = self.context.new_page()
        page.set_default_timeout(PATIENCE * 1000)
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(f"page error: {error}"))
        page.on("request", self._watch)
        page.on("response", self._judge)
        page.goto(self.site.url + path)
        page.wait_for_selector("h1")
        page.wait_for_function("window.socket === undefined || window.socket.connected")
        return page

    def log_in(self, role: str = "admin") -> Person:
        """By the form."""
        page = self.open("/login")
        page.fill("#token", self.site.tokens[role])
        page.click("button[type=submit]")
        page.wait_for_selector("nav")
        page.close()
        return self

    @property
    def unforgiven(self) -> list[str]:
        """What no test expects."""
        return [item for item in self.complaints if not any(piece in item for piece in self.forgiven)]

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"console {message.type}: {message.text}")

    def _watch(self, request: Request) -> None:
        here = (self.site.url, self.site.url.replace("http", "ws", 1), "data:", "blob:")
        if not request.url.startswith(here):
            self.complaints.append(f"another host: {request.url}")

    def _judge(self, response: Response) -> None:
        if response.status >= 400:
            self.complaints.append(f"status {response.status}: {response.url}")


@pytest.fixture
def person(browser: Browser, site: Site) -> Iterator[Callable[..., Person]]:
    """person(role="admin", **options of the browser's context): somebody who has logged in."""
    people: list[Person] = []

    def come(role: str | None = "admin", **options: Any) -> Person:
        found = Person(site, browser.new_context(**options))
        people.append(found)
        return found if role is None else found.log_in(role)

    yield come
    for item in people:
        item.context.close()
    assert [item.unforgiven for item in people if item.unforgiven] == []


@pytest.fixture(scope="session")
def axe() -> str:
    """The script of axe-core."""
    import axe_core_python

    (script,) = Path(str(axe_core_python.__file__)).parent.rglob("axe.min.js")
    return script.read_text("utf-8")


def serious(page: Page, axe: str) -> list[str]:
    """What axe-core finds that is serious or critical: rule, and the first place."""
    page.evaluate(_AT_REST)  # what fades in has less contrast than it will have
    page.evaluate(axe)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{item['id']}: {item['nodes'][0]['html'][:200]}"
        for item in found["violations"]
        if item["impact"] in {"serious", "critical"}
    ]
