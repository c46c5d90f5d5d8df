"""How quickly the pages are there, how smoothly 20,000 pictures scroll, and what open pages cost `/predict`.

    python benchmarks/pages.py            MobileNetV2, trashnet, 20,000 small pictures: some minutes on two cores
    python benchmarks/pages.py --quick    2,000 pictures, short turns

In headless Chromium, which paints with the processor and so shares it with the server. Frames are compared with those
of a bare page as long, of nothing but stripes, scrolled in the same way in the next turn: what a busy machine drops it
drops in both. The database holds as many answers and votes as that of a server that has been at work for long.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, sync_playwright

from archive import fill
from bench import Figure, program, say
from material import backbone, photographs
from pellucid.project import Project
from pellucid.web.pages import PAGES
from serving import MANY, NAME, Load, Served, server

WALL, SIDE = "wall", 96  # the dataset of many pictures, and their pixels
FRAME = 1000 / 60  # ms
CALM, FAST = 1_200, 30_000  # pixels a second: reading, and looking for something
LOADS, JUMPS = 5, 12  # of each page, and to places of the wall
VIEW: ViewportSize = {"width": 1280, "height": 860}
OPTIONS = ["--no-sandbox", "--disable-background-networking", "--disable-gpu"]
STRIPES = """<style>body{margin:0}#box{height:560px;overflow-y:auto}
#box>div{height:600000px;background:repeating-linear-gradient(#ddd 0 100px,#bbb 100px 200px)}</style>
<div id="box"><div></div></div>"""
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
SCROLL = """async ([selector, speed, seconds]) => {
  const box = document.querySelector(selector), stamps = [];
  box.scrollTop = 0;
  await new Promise((done) => setTimeout(done, 300));
  return await new Promise((done) => {
    let first = null;
    const step = (now) => {
      first ??= now; stamps.push(now);
      box.scrollTop = speed * (now - first) / 1000;
      if (now - first < 1000 * seconds) requestAnimationFrame(step); else done(stamps);
    };
    requestAnimationFrame(step);
  });
}"""
ALL_SHOWN = """() => {
  const box = document.querySelector('.wall-box').getBoundingClientRect();
  const cells = [...document.querySelectorAll('[role=option]')].filter((cell) => {
    const place = cell.getBoundingClientRect();
    return !cell.hidden && place.bottom > box.top && place.top < box.bottom;
  });
  return cells.length > 0 && cells.every((cell) => cell.querySelector('img.there'));
}"""
JUMP = f"""async (share) => {{
  const shown = {ALL_SHOWN}, box = document.querySelector('.wall-box'), began = performance.now();
  box.scrollTop = share * (box.scrollHeight - box.clientHeight);
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  while (!shown()) await new Promise((done) => setTimeout(done, 4));
  return performance.now() - began;
}}"""


def write_wall(folder: Path, number: int) -> Path:
    """So many small pictures of coloured clouds in ten classes; no two are alike."""
    rng = np.random.default_rng(0)
    for at in range(number):
        place = folder / f"class-{at % 10}"
        place.mkdir(parents=True, exist_ok=True)
        clouds = Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8)).resize(
            (SIDE, SIDE), Image.Resampling.BICUBIC
        )
        buffer = io.BytesIO()
        clouds.save(buffer, "JPEG", quality=80)
        (place / f"{at:06}.jpg").write_bytes(buffer.getvalue())
    return folder


@contextlib.contextmanager
def chromium(scratch: Path, *, core: int | None = None) -> Iterator[Browser]:
    """A browser without a window, on that core only where one is named."""
    found = next((path for name in ("chromium", "chromium-browser") if (path := shutil.which(name))), None)
    if found is None:
        raise SystemExit("there is no Chromium here; install Debian's: apt-get install chromium")
    if core is not None and shutil.which("taskset"):
        wrapper = scratch / "chromium"
        wrapper.write_text(f'#!/bin/sh\nexec taskset -c {core} {found} "$@"\n', encoding="ascii")
        wrapper.chmod(0o755)
        found = str(wrapper)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=OPTIONS)
        yield browser
        browser.close()


@dataclass(frozen=True, slots=True)
class House:
    """A server, a browser, and the key to both."""

    served: Served
    browser: Browser
    state: Any  # Playwright's of a context that has logged in: once, because more often a minute is refused

    @classmethod
    def of(cls, served: Served, browser: Browser) -> House:
        """Logs in."""
        context = browser.new_context()
        answer = context.request.post(f"{served.url}/login", form={"token": served.token})
        if not answer.ok:
            raise SystemExit(f"{served.url}/login answered {answer.status}")
        state = context.storage_state()
        context.close()
        return cls(served, browser, state)

    def visitor(self) -> BrowserContext:
        """Somebody with an empty cache who has logged in."""
        context = self.browser.new_context(viewport=VIEW, storage_state=self.state)
        context.set_default_timeout(120_000)
        return context


def paints(house: House) -> Iterator[Figure]:
    """Until each page shows something, each time to somebody who has never been there."""
    for page in PAGES:
        times = []
        for _ in range(LOADS):
            context = house.visitor()
            shown = context.new_page()
            shown.goto(house.served.url + page.path)
            shown.wait_for_function(f"{PAINT} !== undefined")
            times.append(shown.evaluate(PAINT) / 1000)
            context.close()
        say(f"{page.title}: " + ", ".join(f"{item:.2f}" for item in times))
        told = f"{LOADS} visitors with empty caches; slowest {max(times):.2f}"
        yield Figure(f"first paint, {page.title}", statistics.median(times), "s", at_most=1.5, remark=told)


def frames(page: Page, selector: str, speed: int, seconds: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Milliseconds between frames while the box is scrolled."""
    return np.diff(np.array(page.evaluate(SCROLL, [selector, speed, seconds]), np.float64))


def dropped(intervals: Sequence[float]) -> float:
    """The share of frames that did not come in their time, 0..1."""
    late = sum(max(0, round(item / FRAME) - 1) for item in intervals)
    return late / (late + len(intervals))


def scrolling(house: House, seconds: float, rounds: int) -> Iterator[Figure]:
    """The wall and the bare page in turn, at two speeds; then jumps to places never seen, and back to them."""
    context = house.visitor()
    wall, bare = context.new_page(), house.browser.new_page(viewport=VIEW)
    wall.goto(f"{house.served.url}/data?version={WALL}@1")
    wall.wait_for_function(ALL_SHOWN)
    bare.set_content(STRIPES)
    pages = {"wall": (wall, ".wall-box"), "bare": (bare, "#box")}
    for name, speed in (("reading", CALM), ("searching", FAST)):
        found: dict[str, list[float]] = {"wall": [], "bare": []}
        lost: dict[str, list[float]] = {"wall": [], "bare": []}
        for turn in range(rounds):
            for who in list(pages)[:: 1 if turn % 2 else -1]:
                page, selector = pages[who]
                page.bring_to_front()
                intervals = frames(page, selector, speed, seconds).tolist()
                found[who] += intervals
                lost[who].append(dropped(intervals))
        (p50, p95), (bare50, bare95) = (np.percentile(found[who], [50, 95]).tolist() for who in ("wall", "bare"))
        say(f"{name}: wall {p50:.1f} and {p95:.1f} ms, bare {bare50:.1f} and {bare95:.1f} ms")
        yield Figure(
            f"scrolling, {name}: frame, p50", p50, "ms", at_most=1.5 * FRAME, remark=f"{speed:,} pixels a second"
        )
        yield Figure("... p95", p95, "ms", remark=f"bare page: p50 {bare50:.1f}, p95 {bare95:.1f}")
        more = statistics.median(a - b for a, b in zip(lost["wall"], lost["bare"], strict=True))
        told = f"wall {np.mean(lost['wall']):.3f}, bare page {np.mean(lost['bare']):.3f}"
        yield Figure("... frames dropped beyond the bare page's", more, at_most=0.05, remark=told)
    wall.bring_to_front()
    for name in ("made for the first time", "made before"):
        places = np.random.default_rng(1).random(JUMPS).tolist()
        times = [wall.evaluate(JUMP, share) for share in places]
        told = f"{JUMPS} jumps, slowest {max(times):.0f}"
        yield Figure(f"all in sight after a jump, {name}", statistics.median(times), "ms", at_most=1000, remark=told)
        context.close()
        context = house.visitor()  # with an empty cache again
        wall = context.new_page()
        wall.goto(f"{house.served.url}/data?version={WALL}@1")
        wall.wait_for_function(ALL_SHOWN)
    context.close()
    bare.close()


def cost(scratch: Path, served: Served, images: Path, seconds: float, rounds: int) -> Iterator[Figure]:
    """Load on /predict with no page open, and with every page open in one browser, in turn."""
    loads: dict[str, list[Load]] = {"none": [], "all": []}
    with chromium(scratch, core=1) as browser:
        house = House.of(served, browser)
        for turn in range(rounds):
            for who in list(loads)[:: 1 if turn % 2 else -1]:
                context = house.visitor()
                for page in PAGES if who == "all" else ():
                    context.new_page().goto(served.url + page.path, wait_until="networkidle")
                served.press(1.0, images)  # what opening a page sets going is not what an open page costs
                loads[who].append(served.press(seconds, images))
                context.close()
            say(f"round {turn + 1}: " + ", ".join(f"{who} {items[-1].speed:.0f}" for who, items in loads.items()))
    ratios = [b.speed / a.speed for a, b in zip(loads["none"], loads["all"], strict=True)]
    spent = [a.cpu / b.cpu for a, b in zip(loads["none"], loads["all"], strict=True)]
    for who, name in (("none", "no page open"), ("all", f"{len(PAGES)} pages open")):
        best = max(loads[who], key=lambda item: item.speed)
        told = f"p50 {best.p50:.0f} ms; processor {best.cpu:.2f} ms each"
        yield Figure(f"/predict, {name}", best.speed, "images/s", remark=told)
    told = f"{rounds} rounds, {min(ratios):.3f} to {max(ratios):.3f}; browser and load share a core"
    yield Figure("... as fast as without", statistics.median(ratios), at_least=0.95, remark=told)
    told = f"{rounds} rounds, {min(spent):.3f} to {max(spent):.3f}"
    yield Figure("... by processor time", statistics.median(spent), at_least=0.95, remark=told)
    yield Figure("... failed requests", sum(item.failed for items in loads.values() for item in items), at_most=0)


def measure(quick: bool) -> list[Figure]:
    """One project, one server after the other."""
    number, many = (2_000, (20_000, 4_000)) if quick else (20_000, MANY)
    seconds, rounds = (1.0, 1) if quick else (4.0, 5)
    with (
        tempfile.TemporaryDirectory(prefix="pellucid-bench-") as scratch,
        photographs(400 if quick else 2_000) as images,
    ):
        project_folder = Path(scratch) / "project"
        with Project.init(project_folder) as project:
            project.ingest(images, NAME)
            project.promote(project.train(NAME, extractors=f"onnx:{backbone()}")[0].ref, force=True)
            project.ingest(write_wall(Path(scratch) / "wall", number), WALL)
        fill(project_folder, NAME, *many)
        say(f"{number:,} pictures, {many[0]:,} predictions, {many[1]:,} votes")
        with server(project_folder) as served, chromium(Path(scratch)) as browser:
            house = House.of(served, browser)
            figures = [*paints(house), *scrolling(house, seconds, rounds)]
        with server(project_folder) as served:
            figures += cost(Path(scratch), served, images, 2 * seconds, rounds)
        return figures


if __name__ == "__main__":
    program(__doc__, measure)
