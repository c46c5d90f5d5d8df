"""Try it: pictures are answered on the spot, with the reason, and a person says whether the answer is right."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from nicegui import ui
from nicegui.events import GenericEventArguments

from pellucid.flow.online.asking import answers_of
from pellucid.store.predictions import answer_of
from pellucid.types import Answer, Right
from pellucid.web.answer_card import AnswerCard
from pellucid.web.elements import Tries
from pellucid.web.parts import Words
from pellucid.web.view import View, told

MOST_FILES = 100  # that are taken at a time
MOST_SHOWN = 30  # answers on the page; older ones give way
_EARLIER = 6  # answers of before that a page begins with; the others come when they are asked for
_NAME, _WHY = 120, 500  # characters of what a browser says of a file


async def build(view: View) -> None:
    """The page's content."""
    desk = view.desk
    live = desk.doors.service.live
    may = view.may(Right.PREDICT)
    limits = desk.doors.uploads.limits
    with ui.element("section").classes("card"):
        tries = Tries(most=MOST_FILES, largest=min(limits.image.max_bytes, limits.body), disabled=not may)
    refused = ui.element("ul").classes("refusals").props('role="alert" aria-label="Not answered"')
    results = ui.element("div").classes("stack results")
    results.props('role="region" aria-label="Answers"')
    cards: list[AnswerCard] = []

    async def show(answer: Answer, name: str, votes: Mapping[int, Any] | None = None, *, below: bool = False) -> None:
        with results:
            card = AnswerCard(view, answer, name)
        cards.insert(len(cards) if below else 0, card)
        if not below:
            card.box.move(target_index=0)
        while len(cards) > MOST_SHOWN:
            cards.pop().box.delete()
        await card.explain()
        for number, vote in (votes or {}).items():
            card.said_before(number, vote.label)

    @told
    async def tried(event: GenericEventArguments) -> None:
        uid, name = (str(event.args.get(key, ""))[:_NAME] for key in ("id", "name"))
        if re.fullmatch("[0-9a-f]{32}", uid):
            await show(await desk.read(_answer, view, uid), name)

    def not_tried(event: GenericEventArguments) -> None:
        name, why = str(event.args.get("name", ""))[:_NAME], str(event.args.get("why", ""))[:_WHY]
        with refused:
            with ui.element("li") as item:
                Words(name, tag="strong")
                Words(f": {why}", tag="span")
            item.move(target_index=0)
        while len(refused.default_slot.children) > MOST_SHOWN:
            refused.default_slot.children[-1].delete()

    tries.on("begun", refused.clear)  # what is told of one batch goes with the next
    tries.on("tried", tried)
    tries.on("refused", not_tried)
    earlier = await desk.read(answers_of, live, view.viewer.caller.name, _EARLIER + 1)
    for answer, votes in earlier[:_EARLIER]:  # whoever comes back finds what they had
        await show(answer, "", votes, below=True)

    @told
    async def show_older() -> None:
        older.delete()
        there = {card.answer.uid for card in cards}
        found = await desk.read(answers_of, live, view.viewer.caller.name, MOST_SHOWN)
        for answer, votes in [item for item in found if item[0].uid not in there][: MOST_SHOWN - len(cards)]:
            await show(answer, "", votes, below=True)

    older = ui.button("Show older answers", on_click=show_older, color=None).props("outline no-caps")
    older.visible = len(earlier) > _EARLIER


def _answer(view: View, uid: str) -> Answer:
    with view.desk.workspace.database.read() as connection:
        return answer_of(connection, uid)
