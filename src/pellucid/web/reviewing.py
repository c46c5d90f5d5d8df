"""The review of one person: what is on the desk, what was decided, and how to undo it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from nicegui import ui
from nicegui.events import GenericEventArguments

from pellucid.flow.online.asking import choices, founds
from pellucid.flow.online.feedback import Said
from pellucid.flow.online.gallery import Near
from pellucid.flow.online.review import NOTE, Doubt, Taken, glance, reviewed_today, take
from pellucid.store.reservations import give_back
from pellucid.store.votes import find_votes
from pellucid.types import Right, Role
from pellucid.web.answer_card import show_near, told_of
from pellucid.web.class_picker import class_picker
from pellucid.web.dialogs import close_button, dialog
from pellucid.web.elements import Acts
from pellucid.web.formats import many, share
from pellucid.web.parts import Words, heading, meter, picture
from pellucid.web.view import View

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
            self._named: dict[str, Words] = {}
            with self.acts:
                for act, key, words in _ACTS:
                    button = ui.element("button").classes("decision").props(f'type="button" data-act="{act}"')
                    button.props["disabled"] = not may
                    with button:
                        Words(key, tag="kbd")
                        self._named[act] = Words(words, tag="span")
            self.said = Words("", "outcome").props('role="status"')
            if not may:
                Words(f"The token {name!r} may not review; wanted is the role feedback.", "note")

    def show(self, doubt: Doubt | None, beside: Beside | None, preload: tuple[str, ...]) -> None:
        """Puts a doubt on the desk."""
        self.look.clear()
        self.acts.show(doubt.sample if doubt else "", preload)
        self._named["accept"].text = f"Accept: {doubt.suggested}" if doubt else "Accept"
        self._named["keep"].text = f"Keep: {doubt.given}" if doubt else "Keep"
        with self.look:
            if doubt is None:
                return
            picture(doubt.sample, "the picture to decide on", _BIG).props("loading=eager fetchpriority=high")
            with ui.element("div").classes("stack"):
                if doubt.conflict:
                    said = ", ".join(f"{voter}: {label}" for voter, label in doubt.words)
                    Words(f"Conflict: {said}", "badge bad", "span")
                by = ", ".join(dict.fromkeys(voter for voter, label in doubt.words if label == doubt.given))
                given, suggested = beside or ((), ())
                _side(doubt.given, f"Given by {by}; right with a probability of {share(doubt.trust)}.", given, "Given")
                looks = "What the picture looks like to the model without that label."
                _side(doubt.suggested, looks, suggested, "Suggested")

    def count(self, decided: int, earlier: int, left: int, minutes: float) -> None:
        """Shows how far it is."""
        self.done.text = progress(decided, earlier, left, minutes)
        self.bar.clear()
        with self.bar:
            meter(decided / max(1, decided + left), f"{decided} of {decided + left} decided")


def progress(decided: int, earlier: int, left: int, minutes: float) -> str:
    """How far a person is.

    >>> progress(10, 0, 17, 2.0), progress(0, 10, 17, 0.0)
    ('10 decided, 5 a minute · 17 left', '0 decided since you came, 10 today · 17 left')

    Args:
        decided: on this page.
        earlier: on others today.
    """
    pace = f", {decided / minutes:.0f} a minute" if decided >= 5 and minutes > 0 else ""
    today = f" since you came, {earlier + decided} today" if earlier else ""
    return f"{decided} decided{today}{pace} · {left} left"


def why_none(taken: Taken) -> tuple[str, str]:
    """Why nothing is on the desk, as a title and a sentence.

    >>> why_none(Taken((), left=2, conflicts=0, elsewhere=2, aside=0))[0]
    'What is left is with others'
    """
    waits = "it waits" if taken.aside == 1 else "they wait"
    aside = f" You were unsure of {many(taken.aside, 'picture')}; {waits} for others." if taken.aside else ""
    if taken.left:
        held = "1 label is" if taken.left == 1 else f"{taken.left:,} labels are"
        going = "this page goes on by itself as soon as one is free, which takes two minutes at most"
        return "What is left is with others", f"{held} being looked at by others; {going}.{aside}"
    if taken.aside:
        return "Nothing is left for you", f"All other labels fit, or were decided.{aside}"
    return (
        "No label is in doubt",
        "Every label of the training pictures fits what the model makes of them without it, or was decided. Labels "
        "that people say on the page Try it, or over the API, come here as soon as one is doubtful.",
    )


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
        self._earlier: int | None = None  # decisions today, before this page
        self._resting = False  # whether all was given back, as nobody was in front of the page
        self._seen = time.monotonic()  # when there was a sign of somebody in front of the page
        self.taken = Taken((), 0, 0, 0, 0)

    async def refill(self) -> None:
        """Takes what comes next, and shows it unless something is on the desk already."""
        desk, voter = self._view.desk, self._view.viewer.caller.name
        queue = await desk.review()
        self._upto, self._resting = queue.upto, False
        skip = frozenset(desk.unsure.get(voter, ()))
        if self._view.may(Right.FEEDBACK):
            if self._earlier is None:
                self._earlier = await desk.read(reviewed_today, desk.workspace, desk.dataset, voter)
            first = None if self.current is None else self.current.sample
            taken = await desk.read(
                take, desk.workspace, queue, voter, self._holder, self._most, self._lasts, first=first, skip=skip
            )
        else:
            taken = await desk.read(glance, desk.workspace, queue, voter)
        self.taken = taken
        shown, waiting = self.current, list(taken.doubts)
        if shown is None and waiting:
            self.current = waiting[0]
        self._next = tuple(item for item in waiting if self.current is None or item.sample != self.current.sample)
        if self.current is not shown or shown is None:
            await self._show(taken.left)
        else:
            self._count(taken.left)

    def _count(self, left: int) -> None:
        self._desktop.count(self.decided, self._earlier or 0, left, (time.monotonic() - self._began) / 60)

    def note_sign(self) -> None:
        """Somebody is in front of the page."""
        self._seen = time.monotonic()

    async def renew(self) -> None:
        """Holds on to what is on the desk while somebody is there, waits for what comes, or gives all back."""
        if self.current is None or time.monotonic() - self._seen < self._lasts.total_seconds():
            await self.changed()
        elif not self._resting:
            self._resting = True
            await self._view.desk.read(self.leave)

    def leave(self) -> None:
        """Gives back all that is held. What is on the screen can be decided on still."""
        with self._view.desk.workspace.database.write() as connection:
            give_back(connection, self._view.desk.dataset, self._holder)

    async def act(self, event: GenericEventArguments) -> None:
        """What a key or a button asks for; of a picture that is no longer on the screen, nothing."""
        act, sample = str(event.args.get("act")), str(event.args.get("sample"))
        self.note_sign()
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
        new = await desk.read(founds, live, label, founding=new_class)
        meanwhile = await desk.read(self._others, doubt)
        said = Said(doubt.sample, label, "", Role.ANNOTATOR, note=NOTE, new_class=new)
        heard = await desk.hear(self._view.viewer, said)
        self._desktop.said.text = f"You said {label.strip()}. {told_of(heard, label.strip())}{meanwhile}"
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
        sample = last.doubt.sample
        if last.vote is None:
            desk.unsure.get(viewer.caller.name, set()).discard(sample)
            self._desktop.said.text = "Back again."
        else:
            done = await desk.take_back(viewer, sample, last.vote)
            self._desktop.said.text = f"Taken back: {done.label} counts no longer."
        self._history.pop()
        self.decided -= 1
        self.current = last.doubt
        await self._show()
        await self.changed()

    async def _choose(self, doubt: Doubt) -> None:
        """A dialog of the classes, beside the picture; keys choose too."""
        known = await self._view.desk.read(choices, self._view.desk.doors.service.live)
        rest = [name for name in known if name not in (doubt.given, doubt.suggested)]
        with dialog("What does it show?", wide=True) as (made, _):

            async def chosen(label: str, *, new_class: bool = False) -> None:
                made.delete()  # at once: closing slowly, it would be told of while the next one is open
                self._desktop.acts.be_quiet(False)
                async with self._lock:
                    if self.current is doubt:
                        await self._decide(doubt, label, new_class=new_class)

            async def founded(label: str) -> None:
                await chosen(label, new_class=True)

            with ui.element("div").classes("choosing"):
                picture(doubt.sample, "the picture to decide on", _BIG).props("loading=eager")
                with ui.element("div").classes("stack"):
                    class_picker([*rest, doubt.suggested, doubt.given], chosen, founded, keyed=True)
            close_button(made, "Cancel")
            made.on("hide", lambda: self._desktop.acts.be_quiet(False))  # before it is gone, and all its handlers
        self._desktop.acts.be_quiet(True)

    async def _show(self, left: int | None = None) -> None:
        """Puts the current doubt on the desk, with how many are left, and looks up what the next one needs."""
        doubt = self.current
        beside = await self._look_up(doubt) if doubt is not None else None
        following = self._next[:2]
        preload = [f"/ui/pictures/{item.sample}?side={_BIG}" for item in following]
        self._desktop.show(doubt, beside, tuple(preload))
        if left is not None:
            self._count(left)
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
        Words(f"{kind}: {'Keep leaves it' if kind == 'Given' else 'Accept takes it'}", "note")
        heading(2, label)
        Words(note)
        show_near(f"Learnt as {label}, and most like it", near, labelled=False)
