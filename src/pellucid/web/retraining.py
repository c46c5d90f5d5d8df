"""The card "Retrain": new votes go into a model without a terminal, by the next worker that watches."""

from __future__ import annotations

from nicegui import ui

from pellucid.flow.production.asking import Standing, ask_to_retrain, see_standing
from pellucid.flow.training.queue import see_queue
from pellucid.store.firings import Firing, FiringState
from pellucid.types import Right
from pellucid.web.formats import many, moment
from pellucid.web.parts import Words, card
from pellucid.web.redrawn import Redrawn
from pellucid.web.steps import step_in_words
from pellucid.web.view import View, notify, told
from pellucid.web.worker_call import call_for_worker

REFRESH = 3.0  # seconds between two looks; all viewers share one
_ABOUT = (
    "Freezes what people have said since the last time into a new version of the data, checks its labels, trains "
    "candidates on it and lets the gate judge the best."
)


async def retrain_card(view: View) -> None:
    """The card for the dataset whose champion answers; nothing where there is none, since a grid comes first."""
    if view.desk.doors.service.readiness.model is None:
        return
    await _Card(view, view.desk.dataset).refresh()


class _Card:
    """How it stands with retraining, on somebody's screen."""

    def __init__(self, view: View, dataset: str) -> None:
        self._view, self._dataset = view, dataset
        with card("Retrain", _ABOUT, "retrain"):
            self._call = Redrawn[bool](self._draw_call)
            with ui.element("div").classes("row"):
                self._words = Words("…", "", "p").props('role="status" aria-live="polite"')
                self._button = ui.button("Retrain", on_click=told(self._ask)).props("no-caps unelevated")
            self._last = Words("", "note")
            if not view.may(Right.ADMIN):
                Words("Retraining wants the role admin.", "note")
        self._button.disable()
        ui.timer(REFRESH, told(self.refresh), immediate=False)  # at once, a click could meet the drawing

    async def refresh(self) -> None:
        """Looks again."""
        desk = self._view.desk
        found = await desk.glimpse(see_standing, self._dataset, seconds=REFRESH - 0.5)
        if found is None:
            return  # it comes with the next look
        workers = (await desk.cached(see_queue, seconds=REFRESH - 0.5)).workers
        self._words.text = in_words(found)
        self._button.text = label_of(found)
        self._last.text = "" if found.last is None else _ended(found.last)
        self._button.set_enabled(found.open is None and not found.outlook.nothing and self._view.may(Right.ADMIN))
        waits = found.open is not None and found.open.state is FiringState.ASKED
        self._call.show(not workers and (waits or (found.open is None and not found.outlook.nothing)))

    def _draw_call(self, alone: bool) -> None:  # noqa: FBT001 - what the element follows
        if alone:
            call_for_worker(self._view, "No worker is alive: a retraining waits until there is one.")

    async def _ask(self) -> None:
        desk, actor = self._view.desk, self._view.viewer.caller.name
        self._button.disable()
        try:
            await desk.act(
                self._view.viewer, Right.ADMIN, "retrain", self._dataset,
                lambda: ask_to_retrain(desk.workspace, self._dataset, actor=actor),
            )  # fmt: skip
            notify("Asked for; the next worker that is free begins")
        finally:
            desk.forget(see_standing, self._dataset)
            await self.refresh()


def label_of(found: Standing) -> str:
    """What stands on the button."""
    count = found.outlook.new_votes
    return f"Retrain with the {count:,} new vote{'' if count == 1 else 's'}" if count else "Retrain"


def in_words(found: Standing) -> str:
    """What retraining would do, what is being done, or why there is nothing to do."""
    ahead, now = found.outlook, found.open
    if now is not None and now.state is FiringState.ASKED:
        return f"Asked for by {now.detail.get('actor', 'somebody')}, {moment(now.at)}; it waits for a worker."
    if now is not None:
        step = step_in_words(now.message)
        return f"It is being retrained since {moment(now.at)}. {step}."
    if ahead.nothing:
        return f"Nothing new to learn: data {ahead.newest} is learnt already, and nobody has said anything since."
    parts = []
    if ahead.new_votes:
        parts.append(f"{many(ahead.new_votes, 'vote')} since the last training")
    if ahead.taken_back:
        parts.append(f"votes on {many(ahead.taken_back, 'image')} taken back")
    if not ahead.learnt:
        parts.append(f"no model has learnt data {ahead.newest} yet")
    then = "the best becomes champion where it passes the gate" if ahead.plan.promote == "gate" else ""
    ends = then or "the best stays a candidate until somebody promotes it"
    return f"{'; '.join(parts)}. Would train {', '.join(ahead.plan.models)}; {ends}."


def _ended(last: Firing) -> str:
    word = {FiringState.DONE: "done", FiringState.NOTHING: "nothing to do", FiringState.FAILED: "failed"}[last.state]
    return f"The last retraining, {moment(last.at)}: {word}. {last.message}"
