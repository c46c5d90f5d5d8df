"""Plain pages."""

from __future__ import annotations

from pellucid.web.plain import plain_page


def test_a_plain_page_runs_nothing_and_escapes_its_title() -> None:
    page = plain_page("<b>Lost</b>", "<h1>Lost</h1>", 404)
    text = bytes(page.body).decode()
    assert page.status_code == 404
    assert "<title>&lt;b&gt;Lost&lt;/b&gt; · Pellucid</title>" in text
    assert '<main class="login"><h1>Lost</h1></main>' in text
    assert "<script" not in text
