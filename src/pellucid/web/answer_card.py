"""A picture that was tried: what the model says, why, and what a person's word has changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nicegui import ui

from pellucid.errors import UsageError
from pellucid.flow.online.asking import choices, founds, shares_now
from pellucid.flow.online.feedback import Heard, Said
from pellucid.flow.online.gallery import Near
from pellucid.types import Answer, Right, Role
from pellucid.web.class_picker import class_picker
from pellucid.web.formats import moment, share
from pellucid.web.parts import Words, heading, meter, picture
from pellucid.web.view import View, told

_NEAREST = 4
_POSSIBLE = 0.1  # probability from which on a class is not ruled out
_STRANGE = 0.95  # novelty from which on a picture is called unlike the others


class AnswerCard:
    """One answer on the page."""

    def __init__(self, view: View, answer: Answer, name: str) -> None:
        self._view, self.answer, self._name = view, answer, name
        with ui.element("article").classes("card tried") as self.box:
            self.box.props["aria-label"] = f"Answer: {answer.label}"
            picture(answer.sample, name or "the picture", 384)
            with ui.element("div").classes("stack"):
                self._verdict()
                self._near = ui.element("div").classes("because")
                self._effect = ui.element("div").props('role="status"')
                self._asks = ui.element("div").classes("stack")
        self.ask()

    def _verdict(self) -> None:
        answer = self.answer
        if warning := unlike(answer):  # comes first, and what the model thinks of itself gives way
            Words(warning, "wrong")
            heading(2, answer.label)
            Words(f"The model itself is {share(answer.confidence)} sure, which tells little here.", "note")
        else:
            with ui.element("div").classes("row verdict"):
                heading(2, answer.label)
                with ui.element("div").classes("sure"):
                    Words("sure:", "note", "span")
                    Words(share(answer.confidence), "value number", "span")
            meter(answer.confidence, f"Sure: {share(answer.confidence)}")
            Words(ruled_out(answer))
        Words(" · ".join(part for part in (self._name, answer.model, moment(answer.at)) if part), "note")

    async def explain(self) -> None:
        """Shows what the picture resembles."""
        desk = self._view.desk
        gallery = await desk.gallery()
        (near,) = await desk.read(gallery.nearest_to, self.answer.sample, _NEAREST, None)
        with self._near:
            show_near(resembles(near), near)

    def ask(self) -> None:
        """Right or wrong?"""
        self._asks.clear()
        with self._asks, ui.element("div").classes("row"):
            right = ui.button("Right", icon="check", on_click=self._right).props("unelevated")
            wrong = ui.button("Wrong", icon="close", on_click=self._wrong).props("outline")
            if not self._view.may(Right.FEEDBACK):
                right.disable()
                wrong.disable()
                name = self._view.viewer.caller.name
                Words(f"The token {name!r} may not say what is right; wanted is the role feedback.", "note", "span")

    def said_before(self, vote: int, label: str) -> None:
        """What the viewer has said of it already."""
        self._tell(vote, f"You have said {label}.")

    async def _right(self) -> None:
        await self._say(self.answer.label)

    @told
    async def _open(self) -> None:
        live = self._view.desk.doors.service.live
        shares = await self._view.desk.read(shares_now, live, self.answer.sample)
        known = await self._view.desk.read(choices, live)
        others = sorted((name for name in known if name != self.answer.label), key=lambda name: -shares.get(name, 0.0))
        self._asks.clear()
        with self._asks:
            Words("What does it show?", "lead")
            class_picker(others, self._say, self._found)
            ui.button("Never mind", on_click=self.ask).props("flat dense no-caps").classes("start")

    async def _wrong(self) -> None:
        await self._open()

    async def _found(self, label: str) -> None:
        await self._say(label, new_class=True)

    @told
    async def _say(self, label: str, *, new_class: bool = False) -> None:
        desk, answer = self._view.desk, self.answer
        live = desk.doors.service.live
        try:
            new = await desk.read(founds, live, label, founding=new_class)
        except UsageError:
            await self._open()  # with the classes that there are by now
            raise
        said = Said(
            answer.sample, label, "", Role.ANNOTATOR, prediction=answer.uid, model=answer.model,
            confidence=answer.confidence,
            new_class=new,
        )  # fmt: skip
        heard = await desk.hear(self._view.viewer, said)
        now = await desk.read(shares_now, desk.doors.service.live, answer.sample)
        self._tell(heard.vote, f"You said {label.strip()}. {told_of(heard, label.strip())}", label.strip(), heard, now)

    def _tell(
        self, vote: int, words: str, label: str = "", heard: Heard | None = None, now: Mapping[str, float] | None = None
    ) -> None:
        self._asks.clear()
        self._effect.clear()
        with self._effect, ui.element("div").classes("effect"):
            Words(words, "lead")
            if heard is not None and now:
                best = next(iter(now))
                surer = heard.label == label and now.get(label, 0.0) < heard.before
                Words(
                    f"{label} had {share(heard.before)} on this picture and has {share(now.get(label, 0.0))} by now; "
                    f"asked again, the model answers {best} ({share(now[best])})."
                    + (" It had been surer than the votes on this picture make it." if surer else "")
                )

            @told
            async def back() -> None:
                done = await self._view.desk.take_back(self._view.viewer, self.answer.sample, vote)
                self._effect.clear()
                with self._effect:
                    Words(f"Taken back: {done.label} counts no longer, nor does what the model learnt from it.")
                self.ask()

            ui.button("Take it back", icon="undo", on_click=back).props("flat dense no-caps").classes("start")


def told_of(heard: Heard, said: str) -> str:
    """What became of a vote, in a sentence or two.

    Args:
        said: the label that the person said; what was learnt may be another one.
    """
    if heard.action == "learnt" and heard.label == said:
        return f"Learnt at once with weight {heard.weight:.2f}: {said} is believed with {share(heard.trust)}."
    if heard.action == "learnt":
        rather = f"the model and all others rather believe {heard.label} ({share(heard.trust)})"
        return (
            f"Not learnt as {said}: {rather}. The picture is learnt as {heard.label}, with weight {heard.weight:.2f}. "
            f"Your word is kept."
        )
    if heard.action == "unlearnt":
        return (
            f"Not learnt as {said}: {heard.reason}. What the model had learnt of this picture before, it has unlearnt "
            f"too; for now it learns nothing from it. Your word is kept."
        )
    if heard.action == "undone":
        return f"Kept as your word, and not learnt: {heard.reason}."
    return f"Kept as your word; nothing is learnt from it now: {heard.reason}."


def show_near(words: str, near: tuple[Near, ...], *, labelled: bool = True) -> None:
    """Learnt pictures side by side, each with its similarity, and with its label where they have several."""
    if not near:
        return
    Words(words, "note")
    with ui.element("div").classes("row nearest"):
        for item in near:
            with ui.element("figure"):
                picture(item.sample, f"a learnt picture of {item.label}", 96)
                with ui.element("figcaption"):
                    if labelled:
                        Words(item.label, tag="span")
                    Words(f"{share(item.similarity)} alike", "note number", "span")


def resembles(near: Sequence[Near]) -> str:
    """What the learnt pictures that are most like one have in common.

    >>> resembles([Near("a", "metal", 0.8), Near("b", "metal", 0.7)])
    'Looks most like these, which were learnt as metal:'
    >>> resembles([Near("a", "metal", 0.8), Near("b", "glass", 0.7)])
    'Looks most like these, which were learnt as metal and as glass:'
    """
    labels = dict.fromkeys(item.label for item in near)
    return f"Looks most like these, which were learnt as {' and as '.join(labels)}:"


def unlike(answer: Answer) -> str:
    """A warning where the picture is unlike nearly all training pictures; empty where it is not."""
    if answer.novelty is None or answer.novelty < _STRANGE:
        return ""
    return f"Unlike {share(answer.novelty)} of the training pictures: the answer is hardly more than a guess."


def ruled_out(answer: Answer) -> str:
    """What else it may be: the classes that hold the true one nine times in ten, and any that has a tenth by itself."""
    likely = {*answer.likely, *(name for name, part in answer.probabilities.items() if part >= _POSSIBLE)}
    others = sorted(likely - {answer.label}, key=lambda name: -answer.probabilities.get(name, 0.0))
    return f"Cannot rule out: {', '.join(others)}." if others else "Rules out all other classes."
