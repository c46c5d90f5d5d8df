from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from pellucid.errors import DataError
from pellucid.evaluate.metrics import evaluate
from pellucid.evaluate.report import Failure, Report, render_report

VOID = {"meta", "img", "br", "source"}


@pytest.fixture
def bare() -> Report:
    return Report(
        title="t",
        model="m@1",
        dataset="d@1",
        extractor="classical",
        head="ridge",
        settings={},
        created_at=datetime(2026, 1, 2, tzinfo=UTC),
        evaluation=evaluate([0, 1], np.eye(2), ["a", "b"]),
        n_train=2,
    )


class Page(HTMLParser):
    """What a browser would see, with a check that the elements nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_whole_and_shows_every_part(html: str) -> None:
    page = Page(html)
    for expected in (
        "Sorting <i>trash</i>",
        "trash@2",
        "Of 120 test images",
        "What is taken for what",
        "card <b>board</b>",
        "Gläser & 猫",
        "Can its confidence be trusted?",
        'a"b/<img src=x>.png',
        "similarity 0.91",
        "Łódź",
        "file (120 distinct values",
        "How it learns",
        "logistic",
        "no paired test",
        "7 images are <near> copies.",
        "set aside: near-duplicate",
        "2 January 2026, 03:04 UTC",
    ):
        assert expected in page.text, expected


def test_nothing_is_loaded_from_anywhere_and_nothing_runs(html: str) -> None:
    page = Page(html)
    names = {tag for tag, _ in page.tags}
    assert not names & {"script", "link", "iframe", "object", "embed", "base", "form"}
    for _, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "srcset", "href"):
            value = attributes.get(name)
            assert value is None or value.startswith("data:image/")
    assert not re.search(r"https?://|url\(|@import", html)


def test_what_is_written_in_names_stays_text(html: str) -> None:
    page = Page(html)
    tags = [tag for tag, _ in page.tags]
    assert "i" not in tags
    assert all((attributes.get("src") or "").startswith("data:") for tag, attributes in page.tags if tag == "img")


def test_the_page_is_accessible(html: str) -> None:
    page = Page(html)
    for tag, attributes in page.tags:
        if tag == "html":
            assert attributes["lang"] == "en"
        if tag == "img":
            assert attributes["alt"]
        if tag == "th":
            assert attributes["scope"] in {"row", "col"}
        if attributes.get("role") == "img":
            assert attributes["aria-label"]
    assert [tag for tag, _ in page.tags].count("h1") == 1


def test_every_figure_has_a_dark_twin(html: str) -> None:
    assert html.count("<picture>") == html.count('<source media="(prefers-color-scheme: dark)"') == 5


def test_a_bare_report_leaves_out_what_it_does_not_have(bare: Report) -> None:
    page = Page(render_report(bare))
    for absent in ("How it learns", "Against other models", "Where it works"):
        assert absent not in page.text
    assert page.text.count("None: every test image was named rightly.") == 2
    assert "The test set has 2 images only" in page.text


@pytest.mark.parametrize("K", [2, 100])
def test_few_and_many_classes(bare: Report, outcomes: Callable[..., Any], K: int) -> None:
    y, proba = outcomes(5 * K, K, skill=0.5)
    classes = [f"class {index}" for index in range(K)]
    page = Page(render_report(replace(bare, evaluation=evaluate(y, proba, classes, resamples=20))))
    assert f"class {K - 1}" in page.text
    assert "None were kept for this report." in page.text
    scrolls = any("scroll" in (attributes.get("class") or "") for _, attributes in page.tags)
    assert scrolls == (K == 100)


@pytest.mark.parametrize("predicted", [0, 1], ids=["right", "wrong"])
def test_a_single_test_image(bare: Report, predicted: int) -> None:
    evaluation = evaluate([0], np.eye(3)[[predicted]], ["a", "b", "c"])
    page = Page(render_report(replace(bare, evaluation=evaluation)))
    assert "Of 1 test image," in page.text
    assert "no test images" in page.text


def test_images_that_no_browser_shows_are_refused(bare: Report) -> None:
    failure = Failure(b"GIF89a...", "a", "b", 0.9, "a.gif")
    with pytest.raises(DataError, match="wanted PNG or JPEG"):
        render_report(replace(bare, failures=(failure,)))
    jpeg = replace(failure, image=b"\xff\xd8\xff\xe0")
    assert "data:image/jpeg;base64,/9j/4A==" in render_report(replace(bare, failures=(jpeg,)))
