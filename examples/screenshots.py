"""The pictures of the pages in README and docs, taken anew: run it after `make demo`, whose folder it shows.

It needs Debian's chromium and the packages of the group ``dev``; a few digits are asked about first, so that there is
something to see. Every picture is of the real pages in a real browser.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import Page, ViewportSize, sync_playwright

FOLDER = Path("demo")
PICTURES = Path(__file__).resolve().parent.parent / "docs" / "images"
WIDE: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 390, "height": 780}
SHOTS: tuple[tuple[str, str, ViewportSize, Literal["light", "dark"]], ...] = (
    ("overview", "/", WIDE, "light"),
    ("try", "/try", WIDE, "light"),
    ("review", "/review", WIDE, "light"),
    ("review-phone", "/review", PHONE, "dark"),
    ("data", "/data", WIDE, "light"),
    ("models", "/models", WIDE, "light"),
    ("voters", "/voters", WIDE, "light"),
    ("monitor", "/monitor", WIDE, "dark"),
)
SETTLE_MS = 3000  # for figures that come a moment after the page, and for what moves to come to rest


def main() -> None:
    """Serves the demo's project and takes the pictures."""
    chromium = shutil.which("chromium")
    if chromium is None or not (FOLDER / "pellucid.toml").exists():
        raise SystemExit("wanted are Debian's chromium (apt-get install chromium) and the folder of `make demo`")
    command = [sys.executable, "-m", "pellucid", "--quiet", "serve", "--open", "--port", "0"]
    with (
        subprocess.Popen(command, cwd=FOLDER, stdout=subprocess.PIPE, text=True) as server,
        sync_playwright() as playwright,
    ):
        try:
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            users = ("--from", "later", "--users", "4", "--days", "tuesday", "--images", "60", "--rate", "20/s")
            simulate = [sys.executable, "-m", "pellucid", "--quiet", "stream", "simulate", "digits", *users]
            subprocess.run([*simulate, "--seed", "1", "--url", url], cwd=FOLDER, check=True, stdout=subprocess.DEVNULL)
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            for name, path, size, scheme in SHOTS:
                page = browser.new_page(viewport=size, color_scheme=scheme)
                page.goto(url + path)
                page.wait_for_selector("h1")
                if name == "try":
                    ask(page)
                page.wait_for_timeout(SETTLE_MS)
                save(page.screenshot(), name)
                page.close()
                print(f"took {name}", flush=True)
            browser.close()
        finally:
            server.terminate()


def save(data: bytes, name: str) -> None:
    """Writes the picture with 256 colours, a third of the bytes."""
    Image.open(io.BytesIO(data)).convert("RGB").quantize(256).save(PICTURES / f"{name}.png", optimize=True)


def ask(page: Page) -> None:
    """Asks about two digits that the model has not learnt."""
    pictures = sorted((FOLDER / "later" / "3").glob("*.png"))[:2]
    page.locator("input[type=file]").first.set_input_files([str(picture) for picture in pictures])
    page.wait_for_function("document.querySelectorAll('main img').length >= 2", timeout=60_000)


if __name__ == "__main__":
    main()
