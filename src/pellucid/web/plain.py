"""A page of plain HTML, without script: for those who are not in yet, and where there is nothing."""

from __future__ import annotations

from html import escape

from starlette.responses import HTMLResponse


def plain_page(title: str, main: str, status: int = 200) -> HTMLResponse:
    """The page.

    Args:
        title: what the browser's tab says; any text.
        main: HTML, with whatever came from outside escaped already.
        status: the HTTP status.
    """
    return HTMLResponse(
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)} · Pellucid</title>\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="stylesheet" href="/ui/static/pellucid.css"></head>\n'
        f'<body class="plain"><main class="login">{main}</main></body></html>\n',
        status,
    )
