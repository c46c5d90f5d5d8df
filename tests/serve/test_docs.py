"""The page of all routes: whole, of this host alone, without a script, and with every text escaped."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import shlex
from html.parser import HTMLParser
from typing import Any

import pytest

from pellucid.serve.docs import body_of, render

from .conftest import Served, good


class Seen(HTMLParser):
    """What a browser would load or run, and what it would show."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            assert not name.startswith("on"), (tag, name)
            if name in ("href", "src"):
                self.links.append(value or "")
            if name == "id":
                self.anchors.add(value or "")

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def document() -> dict[str, Any]:
    """A small document, with everything in it that could break a page."""
    evil = "</style><script>alert(1)</script>"
    schema = {
        "type": "object",
        "properties": {
            "label": {"type": "string", "maxLength": 9, "description": evil},
            "tags": {"type": "array", "items": {"$ref": "#/components/schemas/Tag"}},
        },
        "required": ["label"],
    }
    return {
        "info": {"title": f"Shop {evil}", "version": evil, "description": f"First `a<b`.\n\nThen {evil}"},
        "paths": {
            "/things/{uid}": {
                "parameters": [],
                "put": {
                    "description": evil,
                    "parameters": [
                        {"name": "uid", "in": "path", "required": True, "schema": {"type": "integer"}},
                        {"name": evil, "in": "query", "schema": {"enum": [1, evil]}, "description": evil},
                    ],
                    "security": [{"bearer": []}],
                    **body_of(schema, {"label": "it's", "tags": ["a"]}),
                },
            },
            "/": {"get": {"summary": "Root", "tags": [evil]}},
        },
        "components": {"schemas": {"Tag": {"type": "string"}}},
    }


def test_every_route_is_on_the_page_and_the_page_is_of_this_host_alone(served: Served) -> None:
    answer = good(served.ask("GET", "/docs"))
    seen = Seen(answer.text)
    operations = [
        (method.upper(), path, found)
        for path, methods in served.get("/openapi.json")["paths"].items()
        for method, found in methods.items()
    ]
    assert len(operations) > 15
    for method, path, found in operations:
        assert f"{method} {path}" in seen.text
        assert html.unescape(found["description"]) in seen.text
        for item in found.get("parameters", ()):
            assert item["name"] in seen.text
    assert not {"script", "img", "iframe", "form", "object"} & set(seen.tags)
    assert {link for link in seen.links if not link.startswith("#")} == {"data:,", "openapi.json"}
    assert {link[1:] for link in seen.links if link.startswith("#")} <= seen.anchors
    assert len([link for link in seen.links if link.startswith("#")]) == len(operations)
    assert "prefers-color-scheme:dark" in answer.text


def test_its_headers_let_nothing_in_but_its_own_style(served: Served) -> None:
    answer = good(served.ask("GET", "/docs"))
    (style,) = re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = answer.headers["content-security-policy"].split("; ")
    assert policy[:2] == ["default-src 'none'", f"style-src 'sha256-{digest}'"]
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    for gone in ("/redoc", "/docs/oauth2-redirect"):
        assert served.ask("GET", gone).status_code == 404


def test_every_example_is_a_request_that_the_server_understands(served: Served, picture: Any) -> None:
    """Each curl line is taken apart as a shell would, and sent; it is refused at most for its values."""
    sent = 0
    for line in re.findall(
        r"<pre tabindex=\"0\"><code>(curl.*?)</code>", good(served.ask("GET", "/docs")).text, re.DOTALL
    ):
        words = shlex.split(html.unescape(line).replace("\\\n", " "))
        place = (
            words[-1].removeprefix("$SERVER").replace("NAME", "pets").replace("VERSION", "1").replace("UID", "0" * 32)
        )
        options: dict[str, Any] = {}
        method = "GET"
        for name, value in zip(words[1:-1:2], words[2:-1:2], strict=True):
            if name == "-F":
                method, (field, _, text) = "POST", value.partition("=")
                what = "files" if text.startswith("@") else "data"
                options.setdefault(what, {})[field] = picture("cat", 1) if what == "files" else text
            elif name == "-d":
                method, options["content"] = "POST", value
            elif not value.startswith("Authorization: Bearer $TOKEN"):
                header, _, text = value.partition(": ")
                options["headers"] = {header: text}
        answer = served.ask(method, place, **options)
        assert answer.status_code in {200, 400, 404, 422}, (line, answer.text)
        if answer.status_code != 200:
            said = answer.json()["error"]
            assert any(word in said for word in ("base64", "no prediction", "prediction is too short")), said
        sent += 1
    assert sent > 15


def test_a_document_s_texts_are_texts(document: dict[str, Any]) -> None:
    page = render(document)
    seen = Seen(page)
    assert "script" not in seen.tags
    assert "<code>a&lt;b</code>" in page
    assert seen.text.count("<script>alert(1)</script>") >= 7
    for words in ("PUT /things/{uid}", "whole number", "text of 0 to 9 characters", "list of text, optional", "Root"):
        assert words in seen.text, words
    (line,) = re.findall(r"curl -X PUT.*?UID\"", seen.text, re.DOTALL)
    typed = shlex.split(line.replace("\\\n", " "))
    assert typed[:3] == ["curl", "-X", "PUT"]
    assert json.loads(typed[typed.index("-d") + 1]) == {"label": "it's", "tags": ["a"]}
    assert typed[-1] == "$SERVER/things/UID"
