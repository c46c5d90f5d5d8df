"""The queue of trainings: what runs and how far it is, what waits, what has ended; cancel and try again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nicegui import ui

from pellucid.flow.training.queue import MOST, Queue, cancel_job, retry_job, see_log, see_queue
from pellucid.types import Job, JobState, Right
from pellucid.web import tables
from pellucid.web.dialogs import close_button, dialog
from pellucid.web.formats import clock, moment, settings_in_words
from pellucid.web.parts import Words, card, empty, meter, tile
from pellucid.web.steps import machine_of, share_done, step_in_words
from pellucid.web.view import View, notify, told
from pellucid.web.worker_call import call_for_worker

REFRESH = 3.0  # seconds between two looks; all viewers share one
_ENDED = 20  # jobs that are shown of those that have ended
_BADGES = {JobState.RUNNING: "good", JobState.FAILED: "bad"}
_STOPPED = (JobState.FAILED, JobState.CANCELLED)
_HELP = "Trainings are done by workers, on this machine or on others, and not by this server."


async def build(view: View) -> None:
    """The content of this part of the page."""
    board = _Board(view, await _look(view, seconds=0.5))
    ui.timer(REFRESH, told(board.refresh), immediate=False)  # at once, a click could meet the drawing


async def _look(view: View, *, seconds: float = REFRESH - 0.5) -> Queue:
    return await view.desk.cached(see_queue, seconds=seconds)


class _Board:
    """The queue on somebody's screen; what has not changed stays as it is, so that nobody loses his place."""

    def __init__(self, view: View, queue: Queue) -> None:
        self._view = view
        self._shape: Any = None
        self._stuck = False
        self._running: dict[int, tuple[Words, ui.element]] = {}
        with ui.element("div").classes("tiles"):
            self._tiles = [tile(name, "") for name in ("Running", "Waiting", "Done", "Failed", "Workers")]
        self._box = ui.element("div")
        self._show(queue)

    async def refresh(self) -> None:
        """Looks again."""
        self._show(await _look(self._view))

    def _show(self, queue: Queue) -> None:
        counts = queue.counts
        running, waiting, done, failed, workers = self._tiles
        for (value, _), state in (
            (running, JobState.RUNNING), (waiting, JobState.QUEUED), (done, JobState.DONE), (failed, JobState.FAILED)
        ):  # fmt: skip
            value.text = f"{counts[state]:,}"
        workers[0].text = str(len(queue.workers)) if queue.workers else "none"
        workers[1].text = ", ".join(sorted({machine_of(item.name) for item in queue.workers}))
        ended = queue.ended[:_ENDED]
        shape = [(job.id, job.state, job.priority) for job in (*queue.open, *ended)], queue.stuck
        if shape != self._shape:
            self._shape, self._stuck = shape, queue.stuck
            self._running.clear()
            self._box.clear()
            with self._box:
                self._draw(queue, ended)
        for job in queue.open:
            if job.id in self._running:
                self._tell(job)

    def _draw(self, queue: Queue, ended: tuple[Job, ...]) -> None:
        if not queue.open and not ended:
            empty(
                "model_training", "No model has been trained here yet",
                f"Start a grid on the next tab, or on the command line. {_HELP}",
                "pellucid up", "pellucid worker --watch",
            )  # fmt: skip
            return
        if queue.stuck:
            call_for_worker(self._view, "Jobs wait, and no worker is alive to take them.")
        if not self._view.may(Right.ADMIN):
            Words("Who may not cancel or retry sees how it goes; both want the role admin.", "note")
        with card("Runs and waits", "In the order of work: newer versions, higher priority, then age."):
            if queue.open:
                self._table(queue.open, "Jobs that run or wait", "Progress")
                left = queue.counts[JobState.RUNNING] + queue.counts[JobState.QUEUED] - len(queue.open)
                if left > 0:
                    Words(f"and {left:,} more; {MOST} are shown", "note")
            else:
                Words("Nothing waits.", "note")
        if ended:
            with card("Ended", "The last first."):
                self._table(ended, "Jobs that have ended", "Result")

    def _table(self, jobs: tuple[Job, ...], label: str, last: str) -> None:
        columns = ("Job", "State", "Trained on", "Model", "Settings", "Priority", last, "")
        with tables.table(label, columns, numbers=("Priority",), classes="queue"):
            for job in jobs:
                with tables.row():
                    tables.head(str(job.id))
                    with tables.cell():
                        Words(job.state.value, f"badge {_BADGES.get(job.state, '')}", "span")
                    tables.text(f"data {job.dataset}")
                    tables.text(job.model)
                    tables.text(settings_in_words(job.settings), "note")
                    tables.number(str(job.priority))
                    with tables.cell("progress"):
                        self._outcome(job)
                    with tables.cell(), ui.element("div").classes("row acts"):
                        self._buttons(job)

    def _outcome(self, job: Job) -> None:
        if job.state is JobState.RUNNING:
            words = Words("", "note", "div")
            self._running[job.id] = (words, ui.element("div"))
        elif job.result:
            ui.link(f"model {job.result}", f"/training?view=compare&a={job.result}")
        else:
            waits = "waits for a worker" if self._stuck else "waits for its turn"
            Words(job.message or (waits if job.finished_at is None else "cancelled"), "note", "div")
        if job.finished_at is not None:
            Words(moment(job.finished_at), "note", "div")

    def _tell(self, job: Job) -> None:
        words, box = self._running[job.id]
        said = f"{step_in_words(job.message)} · on {machine_of(job.worker)}"
        if words.text == said:
            return
        words.text = said
        words.props["title"] = f"worker {job.worker}"
        box.clear()
        with box:
            meter(share_done(job.message), f"job {job.id}: the share of its steps that is done")

    def _buttons(self, job: Job) -> None:
        log = ui.button("Log", on_click=told(lambda: show_log(self._view, job.id)), color=None)
        log.props("flat dense no-caps").classes("act").props["aria-label"] = f"Log of job {job.id}"
        if job.finished_at is None:
            self._button("Cancel", "cancel", job, cancel_job, "cancelled")
        elif job.state in _STOPPED:
            self._button("Try again", "retry", job, retry_job, "put back into the queue")

    def _button(self, name: str, verb: str, job: Job, change: Callable[..., Job], done: str) -> None:
        async def act() -> None:
            view, desk, actor = self._view, self._view.desk, self._view.viewer.caller.name
            await desk.act(
                view.viewer, Right.ADMIN, f"{verb} job", job.dataset,
                lambda: change(desk.workspace, job.id, actor=actor), job=job.id, model=job.model,
            )  # fmt: skip
            desk.forget(see_queue)
            notify(f"job {job.id} is {done}")
            await self.refresh()

        button = ui.button(name, on_click=told(act), color=None).props("flat dense no-caps").classes("act")
        button.props["aria-label"] = f"{name}: job {job.id}"
        if not self._view.may(Right.ADMIN):
            button.props["title"] = "wants the role admin"
            button.disable()


async def show_log(view: View, job_id: int) -> None:
    """A job's log in a dialog, which goes on while the job does."""
    with dialog(f"Job {job_id}", wide=True) as (made, title):
        facts = Words("", "note")
        lines = ui.element("ol").classes("log").props('tabindex="0" aria-label="Log" role="log"')
        close_button(made)
    shown = 0

    async def refresh() -> None:
        nonlocal shown
        job, said = await view.desk.read(see_log, view.desk.workspace, job_id)
        title.text = f"Job {job_id}: {job.state}"
        facts.text = (
            f"{job.model} on data {job.dataset}, {settings_in_words(job.settings)}; seed {job.seed}; {job.extractor}"
        )
        with lines:
            for line in said[shown:]:
                with ui.element("li"):
                    Words(clock(line.at), "note mono", "span")
                    Words(line.text, "mono", "span")
            if not said:
                lines.clear()
                Words("Nothing has been said of it yet: no worker has begun.", "note", "li")
        shown = len(said)
        if job.finished_at is not None:
            timer.cancel()

    with made:
        timer = ui.timer(REFRESH, told(refresh), immediate=False)
    await refresh()
