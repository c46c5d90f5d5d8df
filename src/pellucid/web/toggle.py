"""The toggle: a row of buttons of which one is pressed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from nicegui import ui

from pellucid.web.parts import Words
from pellucid.web.view import told


class Toggle:
    """Buttons of which the first is pressed to begin with.

    Args:
        about: what is chosen, for those who cannot see the row.
        names: of the buttons, each once.
        choose: told the name of the button that was pressed.
        icons: by name, of Material Icons.
    """

    def __init__(
        self,
        about: str,
        names: Sequence[str],
        choose: Callable[[str], Awaitable[None]],
        icons: Mapping[str, str] | None = None,
    ) -> None:
        self._choose = choose
        with ui.element("div").classes("row picks") as row:
            row.props["role"] = "group"
            row.props["aria-label"] = about
            self._buttons = {name: self._button(name, (icons or {}).get(name)) for name in names}
        self._press(names[0])

    def _button(self, name: str, icon: str | None) -> ui.element:
        async def press() -> None:
            self._press(name)
            await self._choose(name)

        with ui.element("button").classes("pick").on("click", told(press)) as button:
            button.props["type"] = "button"
            if icon is not None:
                ui.icon(icon).props('aria-hidden="true"')
            Words(name, tag="span")
        return button

    def _press(self, name: str) -> None:
        for other, button in self._buttons.items():
            button.props["aria-pressed"] = "true" if other == name else "false"
            button.update()
