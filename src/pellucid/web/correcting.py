"""Correcting one picture's label from its story: the same word as one said on the page Review."""

from __future__ import annotations

from nicegui import ui

from pellucid.flow.online.asking import choices, founds
from pellucid.flow.online.feedback import Heard, Said
from pellucid.types import Right, Role
from pellucid.web.answer_card import told_of
from pellucid.web.class_picker import class_picker
from pellucid.web.parts import Words
from pellucid.web.view import View, told

_KEEP_ARROWS = "(event) => { if (event.key.startsWith('Arrow')) event.stopPropagation(); }"


class Correction:
    """A button below a picture, what it may show, and what became of the word.

    Args:
        label: that it has now; None where it has none.
    """

    def __init__(self, view: View, sample: str, label: str | None) -> None:
        self._view, self._sample, self._label = view, sample, label
        self._box = ui.element("div").classes("stack correction").props('role="status"')
        self._box.on("keydown", js_handler=_KEEP_ARROWS)  # within what is typed they lead to no other picture
        self._offer()

    def _offer(self) -> None:
        self._box.clear()
        with self._box:
            words = "Say what it shows" if self._label is None else "This label is wrong"
            button = ui.button(words, on_click=self._ask).props("outline no-caps").classes("start")
            if not self._view.may(Right.FEEDBACK):
                button.disable()
                button.props["title"] = "wants the role feedback"

    @told
    async def _ask(self) -> None:
        known = await self._view.desk.read(choices, self._view.desk.doors.service.live)
        self._box.clear()
        with self._box:
            Words("What does it show?", "strong")
            class_picker([name for name in known if name != self._label], self._say, self._found)
            ui.button("Never mind", on_click=self._offer).props("flat dense no-caps").classes("start")

    async def _found(self, label: str) -> None:
        await self._say(label, new_class=True)

    async def _say(self, label: str, *, new_class: bool = False) -> None:
        desk, name = self._view.desk, label.strip()
        new = await desk.read(founds, desk.doors.service.live, label, founding=new_class)
        heard = await desk.hear(
            self._view.viewer, Said(self._sample, name, "", Role.ANNOTATOR, note="story", new_class=new)
        )
        self._tell(heard, name)

    def _tell(self, heard: Heard, name: str) -> None:
        @told
        async def back() -> None:
            await self._view.desk.take_back(self._view.viewer, self._sample, heard.vote)
            self._offer()

        self._box.clear()
        with self._box:
            Words(f"You said {name}. {told_of(heard, name)}")
            Words("The label here follows with the next version of the dataset.", "note")
            ui.button("Take it back", icon="undo", on_click=back).props("flat dense no-caps").classes("start")
