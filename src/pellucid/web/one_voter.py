"""One voter on a page: figures, the newest votes as pictures, and forgetting, which shows its effect first."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from nicegui import ui

from pellucid.errors import PellucidError
from pellucid.flow.online.effect import Shift
from pellucid.flow.online.forget import Forgotten, forget
from pellucid.flow.online.voters import Voter
from pellucid.flow.online.votes import CastVote, newest_votes
from pellucid.types import Right
from pellucid.web.formats import ago, between, many, share
from pellucid.web.parts import Words, card, heading, picture, tile
from pellucid.web.view import View, complain, notify, told

_VOTES = 24  # votes that are shown at once
_TICK = 0.3  # seconds between two looks at how far it is
_POINT = 0.01  # accuracy lost from which on the effect is called large
_OTHERWISE = 0.05  # share of the newest answers that come out otherwise from which on it is
_FOR_GOOD = (
    "There is no button that undoes this. The votes stay on record, and they count again only when they are said "
    "again: a person by labelling anew, a folder or file by being ingested again, which the next training learns from."
)
_NEEDS = "Forgetting a voter needs the role admin, which your token does not have."


class OneVoter:
    """The page of one voter."""

    def __init__(self, view: View, name: str) -> None:
        self._view = view
        self._name = name
        self._desk = view.desk
        self._dataset = view.desk.dataset
        self._last: int | None = None  # the oldest vote that is shown
        self._doing = ""
        self._is_over = False  # whether this voter was forgotten here
        with ui.element("div").classes("row back"), ui.element("a").props('href="/voters"'):
            Words("← All voters", tag="span")
        heading(2, name, "voter-name")
        self._figures = ui.element("div")
        with card("Newest votes", classes="words"):
            self._votes = ui.element("div").classes("words-grid")
            self._more = ui.button("Show older votes", on_click=told(self._read_on), color=None).props("outline")
            self._more.visible = False
        with card("Forget this voter", classes="forget") as self._forget:
            self._offer()

    async def refresh(self) -> None:
        """Shows figures and votes."""
        await self._read_on()
        await self._show_figures()

    async def _show_figures(self) -> None:
        try:
            found = await self._desk.voters(self._dataset, seconds=10.0)
        except PellucidError as error:
            complain(error)
            return
        self._figures.clear()
        with self._figures:
            if found is None:
                Words("Weighing what everybody has said…", "note").props('role="status"')
                ui.timer(1.0, self._show_figures, once=True)
                return
            voter = next((item for item in found if item.name == self._name), None)
            self._forget.visible = self._is_over or (voter is not None and voter.votes > 0)
            if voter is None:
                Words(f"Nobody called {self._name!r} has said anything of {self._dataset}.", "note")
            else:
                _draw_figures(voter)

    async def _read_on(self) -> None:
        votes = await self._desk.read(
            newest_votes, self._desk.workspace, self._dataset, self._name, most=_VOTES, before=self._last
        )
        if votes:
            self._last = votes[-1].number
        with self._votes:
            if self._last is None:
                Words("There is no vote of this voter.", "note")
            for vote in votes:
                _draw_vote(vote)
        self._more.visible = len(votes) == _VOTES

    def _offer(self) -> None:
        """The first step: what would change."""
        self._forget.clear()
        may = self._view.may(Right.ADMIN)
        with self._forget:
            heading(2, "Forget this voter")
            Words(
                "All that this voter has said is taken back: it stays on record and counts no longer. A champion "
                "that learns at once unlearns it exactly, as if it had never been said; others do without it from "
                "the next training on. What that changes is computed first.",
                "note",
            )
            button = ui.button("Compute the effect", on_click=told(self._compute)).props("no-caps outline")
            button.set_enabled(may)
            if not may:
                Words(_NEEDS, "note")

    async def _compute(self) -> None:
        viewer = await self._desk.viewers.check(self._view.viewer)
        viewer.caller.need(Right.ADMIN)
        found = await self._work("Computing the effect", dry_run=True)
        if found is not None:
            self._confirm(found)

    async def _work(self, what: str, *, dry_run: bool, reason: str = "") -> Forgotten | None:
        """Forgets, or computes what that would change, and shows how far it is; None where it failed, which is told."""
        desk, live = self._desk, self._desk.doors.service.live
        self._doing = what
        self._forget.clear()
        with self._forget:
            heading(2, what)
            with ui.element("div").classes("row").props('role="status"'):
                ui.spinner(size="22px").props('aria-hidden="true"')
                line = Words(f"{what}…", "note", "span")
            Words("You may leave this page; what was begun is ended all the same.", "note")

            def show() -> None:
                line.text = f"{self._doing}…"

            ui.timer(_TICK, show)

        def tell(doing: str, done: int, total: int | None) -> None:
            self._doing = f"{doing} {done} of {total}" if total else doing

        def work() -> Forgotten:
            return forget(
                desk.workspace, self._dataset, voter=self._name, reason=reason, actor=self._view.viewer.caller.name,
                dry_run=dry_run, live=live, progress=tell,
            )  # fmt: skip

        try:
            if dry_run:
                return await asyncio.to_thread(work)
            return await desk.act(self._view.viewer, Right.ADMIN, "forget", self._name, work, reason=reason)
        except PellucidError as error:
            self._offer()
            complain(error)
            return None

    def _confirm(self, found: Forgotten) -> None:
        """The second step: the effect, and the question."""
        self._forget.clear()
        with self._forget:
            heading(2, "What forgetting would change")
            _draw_effect(found)
            Words(_FOR_GOOD, "note")
            reason = ui.input("Why (kept with the record)").props("outlined dense maxlength=500").classes("reason")

            async def go() -> None:
                done = await self._work("Forgetting", dry_run=False, reason=reason.value or "")
                if done is not None:
                    await self._done(done)

            async def leave() -> None:
                self._offer()

            typed = None
            if weight := weighs(found):
                Words(f"Look twice: {weight}.", "warning")
                typed = ui.input(f"Type “{self._name}” to go on").props("outlined dense").classes("reason")
            with ui.element("div").classes("row"):
                plural = many(found.votes, "vote")
                do = ui.button(f"Forget: take back {plural}", on_click=told(go), color="negative").props("no-caps")
                if typed is not None:
                    do.bind_enabled_from(typed, "value", lambda value: (value or "").strip() == self._name.strip())
                ui.button("Keep them", on_click=told(leave), color=None).props("no-caps flat")

    async def _done(self, done: Forgotten) -> None:
        self._is_over = True
        self._desk.ballots.forget(self._dataset)
        self._forget.clear()
        with self._forget:
            heading(2, "Forgotten")
            _draw_effect(done)
            with ui.element("a").props('href="/"'):
                Words("It stands in the production timeline", tag="span")
        notify(f"{many(done.votes, 'vote')} of {self._name} taken back")
        self._votes.clear()
        self._figures.clear()  # they are of before; what holds now takes a moment
        with self._figures:
            Words("Weighing what everybody has said…", "note").props('role="status"')
        self._last = None
        await self.refresh()


def _draw_figures(voter: Voter) -> None:
    conduct, found = voter.conduct, voter.reliability
    for reason in conduct.suspicions:
        Words(f"Suspected: {reason}.", "warning")
    with ui.element("div").classes("tiles"):
        if found is not None:
            tile("Reliability", share(found.value), f"{between(found)}, 19 times in 20")
        more = f"; {voter.retracted:,} taken back" if voter.retracted else ""
        more += f"; {many(conduct.wavers, 'image')} given two labels" if conduct.wavers else ""
        tile("Votes", f"{voter.votes:,}", f"on {many(voter.images, 'image')}{more}")
        tile(
            "Agrees",
            share(voter.agreement),
            f"with most others, of {many(voter.compared, 'image')} that others labelled too",
        )
        tile(
            "Believed",
            share(conduct.believed),
            f"of {many(conduct.judged, 'label')} that the newest version could weigh",
        )
        tile("Weight", share(voter.weight), "with which the champion has learnt a label, on average")
        aim = conduct.target
        note = (
            f"{aim.count:,} of the {aim.of:,} labels that model and others thought wrong" if aim else "none is doubted"
        )
        tile("Most often doubted", f"“{aim.label}”" if aim is not None else "nothing", note)


def _draw_vote(vote: CastVote) -> None:
    state = {True: "good", False: "bad", None: ""}[vote.agrees] if vote.counts else "gone"
    with ui.element("figure").classes(f"word {state}"):
        picture(vote.sample, f"picture that was called {vote.label}")
        with ui.element("figcaption"):
            Words(vote.label, "said")
            if not vote.counts:
                Words("taken back", "badge", "span")
            elif vote.agrees is False:
                Words(f"stands as {vote.believed}", "badge bad", "span")
            if vote.support is not None:
                Words(f"{share(vote.support)} likely, said model and others", "note")
            Words(ago(vote.at, datetime.now(UTC)), "note")


def _draw_effect(found: Forgotten) -> None:
    with ui.element("ul").classes("effect"):
        done = "were" if not found.dry_run else "would be"
        _line(f"{many(found.votes, 'vote')} on {many(found.samples, 'image')} {done} taken back.")
        if found.note:
            _line(f"{found.note[:1].upper()}{found.note[1:]}.")
        else:
            learns = f"{many(found.unlearnt, 'image')} unlearnt, {found.changed:,} learnt otherwise"
            _line(f"{found.model}: {learns}.")
        for shift, what in ((found.guard, "trusted images"), (found.test, "test images")):
            if shift is not None:
                _line(_told_shift(shift, what))
        if found.answers:
            _line(_told_answers(found))


def weighs(found: Forgotten) -> str:
    """Why forgetting wants a second confirmation; empty where it needs none."""
    why = []
    if found.imported:
        why.append(f"{many(found.imported, 'vote')} came with an imported folder or file, which models are trained on")
    if found.truths:
        why.append(f"{many(found.truths, 'vote')} {'was' if found.truths == 1 else 'were'} said as ground truth")
    for shift, what in ((found.guard, "trusted images"), (found.test, "test images")):
        if shift is not None and shift.before - shift.after >= _POINT:
            why.append(f"{share(shift.before - shift.after, 1)} of the {what} would no longer be answered rightly")
    if found.answers_changed >= max(1.0, _OTHERWISE * found.answers):
        why.append(f"{share(found.answers_changed / found.answers)} of the newest answers would come out otherwise")
    return "; ".join(why)


def _told_answers(found: Forgotten) -> str:
    newest, would = many(found.answers, "newest answer"), "would come" if found.dry_run else "come"
    if not found.answers_changed:
        return f"Of its {newest}, none {would} out otherwise."
    return f"Of its {newest}, {found.answers_changed:,} {would} out otherwise."


def _line(words: str) -> None:
    Words(words, tag="li")


def _told_shift(shift: Shift, what: str) -> str:
    by = shift.comparison.difference
    return (
        f"Accuracy on {shift.n:,} {what}: {share(shift.before, 1)} before, {share(shift.after, 1)} after "
        f"({100 * (shift.after - shift.before):+.1f} points, {100 * by.low:+.1f} to {100 * by.high:+.1f})."
    )
