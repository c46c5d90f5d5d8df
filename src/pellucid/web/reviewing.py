"""The review of one person: what is on the desk, what was decided, and how to undo it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from nicegui import ui
from nicegui.events import GenericEventArguments, KeyEventArguments

from pellucid.flow.asking import choices
from pellucid.flow.feedback import Said
from pellucid.flow.gallery import Near
from pellucid.flow.review import Doubt, Taken, take
from pellucid.flow.take_back import take_back
from pellucid.store.reservations import give_back
from pellucid.store.votes import find_votes
from pellucid.types import Right, Role
from pellucid.web.answer_card import show_near, told_of
from pellucid.web.class_picker import class_picker
from pellucid.web.elements import Acts
from pellucid.web.formats import share
from pellucid.web.parts import Words, heading, meter, picture
from pellucid.web.view import View, told

_NEAREST = 3
_BIG = 768  # pixels of the picture that is decided on
_ACTS = (
    ("accept", "A", "Accept"), ("keep", "K", "Keep"), ("other", "O", "Other"),
    ("unsure", "U", "Unsure"), ("undo", "Z", "Undo"),
)  # fmt: skip

Beside = tuple[tuple[Near, ...], tuple[Near, ...]]  # learnt pictures of the given and of the suggested class


@dataclass(frozen=True, slots=True)
class Decision:
    """What was done with a doubt."""

    doubt: Doubt
    vote: int | None  # its number; None where the person was unsure


class Desktop:
    """What is seen of a review."""

    def __init__(self, *, may: bool, name: str) -> None:
        with ui.element("div").classes("review") as self.box, ui.element("section").classes("card"):
            self.done = Words("", "note number")
            self.bar = ui.element("div")
            self.look = ui.element("div").classes("look")
            self.acts = Acts()
            with self.acts:
                for act, key, words in _ACTS:
                    button = ui.element("button").classes("decision").props(f'type="button" data-act="{act}"')
                    button.props["disabled"] = not may
                    with button:
                        Words(key, tag="kbd")
                        Words(words, tag="span")
            self.said = Words("", "outcome").props('role="status"')
            if not may:
                Words(f"The token {name!r} may not review; wanted is the role feedback.", "note")

    def show(self, doubt: Doubt | None, beside: Beside | None, preload: tuple[str, ...]) -> None:
        """Puts a doubt on the desk."""
        self.look.clear()
        self.acts.show(doubt.sample if doubt else "", preload)
        with self.look:
            if doubt is None:
                Words("All done: nothing is left in the queue. What is said from now on is looked at within a minute.")
                return
            picture(doubt.sample, "the picture to decide on", _BIG).props("loading=eager fetchpriority=high")
            with ui.element("div").classes("stack"):
                if doubt.conflict:
                    said = ", ".join(f"{voter}: {label}" for voter, label in doubt.words)
                    Words(f"Conflict: {said}", "badge bad", "span")
                by = ", ".join(dict.fromkeys(voter for voter, label in doubt.words if label == doubt.given))
                given, suggested = beside or ((), ())
                _side(doubt.given, f"Given by {by}; right with a probability of {share(doubt.trust)}.", given, "Given")
                _side(doubt.suggested, "What the picture looks like without that label.", suggested, "Suggested")

    def count(self, decided: int, left: int, minutes: float) -> None:
        """Shows how far it is."""
        pace = f", {decided / minutes:.0f} a minute" if decided >= 5 and minutes > 0 else ""
        self.done.text = f"{decided} decided{pace} · {left} left"
        self.bar.clear()
        with self.bar:
            meter(decided / max(1, decided + left), f"{decided} of {decided + left} decided")


class Reviewer:
    """Takes doubts from the queue, hears what is decided of them, and undoes it."""

    def __init__(self, view: View, desktop: Desktop, holder: str, *, most: int, lasts: timedelta) -> None:
        self.current: Doubt | None = None
        self.decided = 0
        self.changed: Callable[[], Awaitable[None]] = self.refill
        self._view, self._desktop, self._holder, self._most, self._lasts = view, desktop, holder, most, lasts
        self._next: tuple[Doubt, ...] = ()
        self._history: list[Decision] = []
        self._beside: dict[str, Beside] = {}
        self._lock = asyncio.Lock()
        self._began = time.monotonic()
        self._upto = 0  # the newest vote that the queue knew of

    async def refill(self) -> None:
        """Takes what comes next, and shows it unless something is on the desk already."""
        desk, voter = self._view.desk, self._view.viewer.caller.name
        queue = await desk.review()
        self._upto = queue.upto
        if self._view.may(Right.FEEDBACK):
            skip = frozenset(desk.unsure.get(voter, ()))
            taken = await desk.read(
                take, desk.workspace, queue, voter, self._holder, self._most, self._lasts, skip=skip
            )
        else:
            taken = Taken(queue.doubts[:1], len(queue.doubts))
        shown, waiting = self.current, list(taken.doubts)
        if shown is None and waiting:
            self.current = waiting[0]
        self._next = tuple(item for item in waiting if self.current is None or item.sample != self.current.sample)
        self._desktop.count(self.decided, taken.left, (time.monotonic() - self._began) / 60)
        if self.current is not shown or shown is None:
            await self._show()

    async def act(self, event: GenericEventArguments) -> None:
        """What a key or a button asks for; of a picture that is no longer on the screen, nothing."""
        act, sample = str(event.args.get("act")), str(event.args.get("sample"))
        async with self._lock:
            doubt = self.current
            if act == "undo":
                await self._undo()
            elif doubt is None or doubt.sample != sample:
                return
            elif act == "accept":
                await self._decide(doubt, doubt.suggested)
            elif act == "keep":
                await self._decide(doubt, doubt.given)
            elif act == "unsure":
                await self._set_aside(doubt)
            elif act == "other":
                await self._choose(doubt)

    async def _decide(self, doubt: Doubt, label: str, *, new_class: bool = False) -> None:
        """A vote of an annotator. Where it cannot be heard, the picture stays on the desk."""
        desk, live = self._view.desk, self._view.desk.doors.service.live
        known = await desk.read(choices, live)
        new = new_class or (label in known and label not in live.known())
        meanwhile = await desk.read(self._others, doubt)
        said = Said(doubt.sample, label, "", Role.ANNOTATOR, note="review", new_class=new)
        heard = await desk.hear(self._view.viewer, said)
        self._desktop.said.text = f"{label.strip()}: {told_of(heard)}{meanwhile}"
        await self._move_on(Decision(doubt, heard.vote))

    def _others(self, doubt: Doubt) -> str:
        """What others have said of the picture since it was queued."""
        with self._view.desk.workspace.database.read() as connection:
            votes = find_votes(connection, self._view.desk.dataset, sample=doubt.sample)
        mine = self._view.viewer.caller.name
        new = [vote for number, vote in votes.items() if number > self._upto and vote.voter != mine]
        words = ", ".join(f"{vote.voter} said {vote.label}" for vote in new)
        return f" Meanwhile {words}; all words count." if words else ""

    async def _set_aside(self, doubt: Doubt) -> None:
        desk, name = self._view.desk, self._view.viewer.caller.name
        (await desk.viewers.check(self._view.viewer)).caller.need(Right.FEEDBACK)
        desk.unsure.setdefault(name, set()).add(doubt.sample)
        await desk.read(self._give_back, doubt.sample)
        self._desktop.said.text = "Left to others; you are not asked again about that picture."
        await self._move_on(Decision(doubt, None))

    def _give_back(self, sample: str) -> None:
        with self._view.desk.workspace.database.write() as connection:
            give_back(connection, self._view.desk.dataset, self._holder, [sample])

    async def _move_on(self, decision: Decision) -> None:
        self._history.append(decision)
        self.decided += 1
        self.current = None
        await self.changed()

    async def _undo(self) -> None:
        if not self._history:
            self._desktop.said.text = "There is nothing to undo."
            return
        desk, viewer, last = self._view.desk, self._view.viewer, self._history[-1]
        live, sample = desk.doors.service.live, last.doubt.sample
        if last.vote is None:
            desk.unsure.get(viewer.caller.name, set()).discard(sample)
            self._desktop.said.text = "Back again."
        else:
            vote = last.vote
            done = await desk.act(
                viewer, Right.FEEDBACK, "take back", f"{live.model.name}:{sample[:12]}",
                lambda: take_back(live, sample, vote, viewer.caller.name), vote=vote,
            )  # fmt: skip
            self._desktop.said.text = f"Taken back: {done.label} counts no longer."
        self._history.pop()
        self.decided -= 1
        self.current = last.doubt
        await self._show()
        await self.changed()

    async def _choose(self, doubt: Doubt) -> None:
        """A dialog of the classes; the digits choose too."""
        known = await self._view.desk.read(choices, self._view.desk.doors.service.live)
        rest = [name for name in known if name not in (doubt.given, doubt.suggested)]
        order = [*rest, doubt.suggested, doubt.given]
        with self._desktop.box, ui.dialog() as dialog, ui.card():
            heading(2, "What does it show?")

            async def chosen(label: str, *, new_class: bool = False) -> None:
                dialog.close()
                async with self._lock:
                    if self.current is doubt:
                        await self._decide(doubt, label, new_class=new_class)

            async def founded(label: str) -> None:
                await chosen(label, new_class=True)

            @told
            async def pressed(event: KeyEventArguments) -> None:
                digit = event.key.number
                if event.action.keydown and digit and digit <= len(order):
                    await chosen(order[digit - 1])

            class_picker(order, chosen, founded, numbered=True)
            ui.keyboard(on_key=pressed, repeating=False, ignore=["input", "select", "textarea"])

        def closed() -> None:
            self._desktop.acts.be_quiet(False)
            dialog.delete()

        self._desktop.acts.be_quiet(True)
        dialog.on("hide", closed)
        dialog.open()

    async def _show(self) -> None:
        """Puts the current doubt on the desk, and looks up what the next one needs."""
        doubt = self.current
        beside = await self._look_up(doubt) if doubt is not None else None
        following = self._next[:2]
        preload = [f"/ui/pictures/{item.sample}?side={_BIG}" for item in following]
        self._desktop.show(doubt, beside, tuple(preload))
        self._beside = {name: found for name, found in self._beside.items() if doubt and name == doubt.sample}
        for item in following[:1]:
            near = await self._look_up(item)
            preload += [f"/ui/pictures/{other.sample}?side=96" for side in near for other in side]
        if doubt is not None and doubt is self.current:
            self._desktop.acts.show(doubt.sample, tuple(preload))

    async def _look_up(self, doubt: Doubt) -> Beside:
        if doubt.sample not in self._beside:
            desk = self._view.desk
            gallery = await desk.gallery()
            given, suggested = await desk.read(gallery.nearest_to, doubt.sample, _NEAREST, doubt.given, doubt.suggested)
            self._beside[doubt.sample] = (given, suggested)
        return self._beside[doubt.sample]


def _side(label: str, note: str, near: tuple[Near, ...], kind: str) -> None:
    with ui.element("div").classes(f"claim {kind.lower()}"):
        Words(kind, "note")
        heading(2, label)
        Words(note)
        show_near(f"Learnt as {label}, and most like it", near, labelled=False)
