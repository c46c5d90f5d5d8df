"""What stands around every page: name, menu, who is logged in, light or dark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from nicegui import ui

from pellucid.web.parts import Words, heading
from pellucid.web.view import Page, View

_THEME = "pellucid_theme"  # the cookie of whoever wants light or dark whatever his system says
_ICONS = {None: "contrast", True: "dark_mode", False: "light_mode"}
_NAMES = {None: "auto", True: "dark", False: "light"}


@contextmanager
def frame(view: View, page: Page, pages: Sequence[Page], theme: str | None) -> Iterator[None]:
    """The page's surroundings; its content is put in the middle."""
    with ui.element("a").classes("skip").props('href="#main"'):
        Words("Skip to the content", tag="span")
    with ui.element("header").classes("top"):
        with ui.element("a").classes("brand").props('href="/"'):
            Words("Pellucid", tag="span")
        with ui.element("nav").props('aria-label="Pages"'):
            for item in pages:
                with ui.element("a").props(f'href="{item.path}"') as link:
                    if item is page:
                        link.props('aria-current="page"')
                    ui.icon(item.icon).props('aria-hidden="true"')
                    Words(item.title, tag="span")
        with ui.element("div").classes("who"):
            _theme_button(theme)
            if view.viewer.cookie is None:
                Words("open server", "badge", "span")
            else:
                Words(view.viewer.caller.name, "badge", "span")
                with ui.element("form").props('method="post" action="/logout"'), ui.element("button") as out:
                    out.props('type="submit"').classes("quiet")
                    Words("Log out", tag="span")
    with ui.element("div").classes("content").props('id="main"'):  # Quasar's own page is the <main>
        heading(1, page.title)
        yield


def theme_in(cookies: dict[str, str]) -> str | None:
    """``light`` or ``dark`` where the viewer has chosen; None where his system is to say."""
    chosen = cookies.get(_THEME)
    return chosen if chosen in {"light", "dark"} else None


def _theme_button(theme: str | None) -> None:
    value = {"light": False, "dark": True}.get(theme or "")
    dark = ui.dark_mode(value)
    order: list[bool | None] = [None, True, False]

    def turn() -> None:
        dark.value = order[(order.index(dark.value) + 1) % 3]
        button.props(f"icon={_ICONS[dark.value]}")
        button.props["aria-label"] = f"Light or dark: {_NAMES[dark.value]}"
        ui.run_javascript(f"document.cookie='{_THEME}={_NAMES[dark.value]};path=/;max-age=31536000;samesite=strict'")

    button = ui.button(icon=_ICONS[value], on_click=turn).props("flat round dense")
    button.props["aria-label"] = f"Light or dark: {_NAMES[value]}"
