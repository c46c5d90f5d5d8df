"""Overview: is all well, what has changed, and what waits for a person."""

from __future__ import annotations

from datetime import timedelta

from nicegui import ui

from pellucid.drift.watching import DriftReport
from pellucid.errors import PellucidError
from pellucid.flow.online.drift_stream import StreamDrift
from pellucid.flow.online.review import Taken
from pellucid.web.formats import between, lasted, many, share, took
from pellucid.web.parts import Words, card, empty, tile
from pellucid.web.redrawn import Redrawn, refresh_often
from pellucid.web.summary import sum_up, summary_card
from pellucid.web.timeline import Timeline
from pellucid.web.view import View
from pellucid.web.vitals import Vitals, behind_in_words, look_for_alarms, take_vitals
from pellucid.web.waiting import Part, waiting

_NO_LABEL = "no model answers yet"


async def build(view: View) -> None:
    """The page's content."""
    await refresh_often(_Overview(view).refresh)


class _Overview:
    def __init__(self, view: View) -> None:
        self._view = view
        self._warning = Redrawn[tuple[str, ...]](_draw_warning)
        self._summary = summary_card()
        self._first = Redrawn[str | None](_draw_first_steps)
        with ui.element("div").classes("tiles"):
            names = ("Champion", "Live accuracy", "Requests", "Votes today", "Label trust", "Drift")
            self._tiles = {name: tile(name, "…") for name in names}
        self._basis = Words("", "note basis")
        with ui.element("div").classes("columns"):
            with card("Health", classes="health"):
                self._health = Redrawn(_draw_parts, "lines", "ul")
            with card("Waiting for a person", classes="waiting"):
                self._waiting = Redrawn(_draw_parts, "lines", "ul")
        self._timeline = Timeline(view)

    async def refresh(self) -> None:
        """Shows how things stand now."""
        vitals = await take_vitals(self._view.desk)
        review = await self._review() if vitals.name is not None else None
        self._warning.show(vitals.readiness.reasons if vitals.name is not None else ())
        self._summary.show(sum_up(vitals, await self._alarms()))
        self._first.show(vitals.name)
        for name, (value, note) in _figures(vitals).items():
            shown, below = self._tiles[name]
            shown.text, below.text = value, note
        accuracy = vitals.accuracy
        self._basis.text = "" if accuracy is None else f"Live accuracy: {accuracy.rests_on}."
        self._health.show(tuple(_health(vitals)))
        self._waiting.show(tuple(waiting(vitals, review)))
        try:
            await self._timeline.refresh()
        except PellucidError:
            return  # the health card says that the database is away

    async def _alarms(self) -> StreamDrift | str | None:
        try:
            return await look_for_alarms(self._view.desk)
        except PellucidError:
            return None  # the same

    async def _review(self) -> Taken | None:
        try:
            return await self._view.desk.to_review(self._view.viewer)
        except PellucidError:
            return None  # the same


def _figures(vitals: Vitals) -> dict[str, tuple[str, str]]:
    """By tile, its value and the line below."""
    accuracy, beat, labels = vitals.accuracy, vitals.beat, vitals.labels
    found = {"Champion": (vitals.readiness.model or "none", _NO_LABEL)}
    found["Live accuracy"] = ("unknown", _NO_LABEL)
    if accuracy is not None:
        reign = f"for {lasted(vitals.at - accuracy.since)}, by {accuracy.actor}"
        found["Champion"] = (accuracy.model, reign + (f": {accuracy.reason}" if accuracy.reason else ""))
        value = "unknown" if accuracy.estimate is None else share(accuracy.estimate.value)
        within = "too few votes"
        if accuracy.estimate is not None:
            within = f"{between(accuracy.estimate)}, 19 times in 20, by {many(accuracy.words, 'vote')}"
        found["Live accuracy"] = (value, f"{within}; {share(accuracy.tested)} on test images")
    if beat is None or not beat.requests:
        found["Requests"] = ("none", f"within the last {_window(vitals)}")
    else:
        speed = f"half within {took(beat.p50)}, 95 % within {took(beat.p95)}"
        failed = f"; {share(beat.error_share, 1)} failed" if beat.errors else "; none failed"
        found["Requests"] = (f"{60 * beat.per_second:,.0f} / min", f"{speed}{failed}; last {_window(vitals)}")
    said, voters = vitals.votes
    found["Votes today"] = (
        f"{said:,}",
        f"by {many(voters, 'voter')}, since midnight UTC" if said else "since midnight UTC",
    )
    found["Label trust"] = ("unknown", _NO_LABEL)
    if labels is not None:
        doubt = f"{many(labels.doubted, 'label')} below one half" if labels.doubted else "none below one half"
        found["Label trust"] = (
            share(labels.trust),
            f"how far the {many(labels.labels, 'label')} of data {labels.version} are believed, on average; {doubt}",
        )
    found["Drift"] = _drift(vitals)
    return found


def _drift(vitals: Vitals) -> tuple[str, str]:
    drift = vitals.drift
    if drift is None:
        return ("…", "being looked for") if vitals.name else ("unknown", _NO_LABEL)
    if isinstance(drift, DriftReport):
        windows = f"the newest {drift.n_current:,} answers against {drift.n_reference:,} test images"
        said = "what is asked now is unlike what the model was tested on"
        return ("found", f"in {', '.join(drift.drifted)}: {said}; {windows}") if drift.drifted else ("none", windows)
    return ("unknown", drift)


def _health(vitals: Vitals) -> list[Part]:
    parts = []
    ready = vitals.readiness
    words = f"{ready.model} answers" if ready.ready else "; ".join(ready.reasons) or "starting"
    parts.append(Part("dns", "Server", words, "good" if ready.ready else "bad"))
    if ready.lost:
        words = f"{many(ready.lost, 'labelled image')} gone or damaged; their votes wait until the packs are restored"
        parts.append(Part("broken_image", "Images", words, "bad"))
    health = vitals.health
    if "database" in vitals.troubles:
        parts.append(Part("storage", "Database", vitals.troubles["database"], "bad"))
    elif health is not None:
        parts.append(Part("storage", "Database", f"{health.database} answers within {took(health.seconds)}", "good"))
    if health is not None:
        queue = health.queue
        waits = f"{many(queue.queued, 'job')} waiting" if queue.queued else "no job waits"
        alive = f"{many(len(health.workers), 'worker')} alive" if health.workers else "no worker is alive"
        words = f"{'; '.join(health.busy) or 'idle'}; {waits}; {alive}"
        state = "bad" if health.trouble else "good" if health.workers or health.busy else ""
        parts.append(Part("engineering", "Workers", health.trouble or words, state, "/training"))
    parts += _streams(vitals)
    return parts


def _streams(vitals: Vitals) -> list[Part]:
    if "stream" in vitals.troubles:
        return [Part("stream", "Streams", vitals.troubles["stream"], "bad")]
    if vitals.stream is None:
        return []
    standings, _ = vitals.stream
    if not standings:
        return [Part("stream", "Streams", "nobody reads or writes one")]
    behind = [behind_in_words(item) for item in standings if item.lag]
    return [
        Part(
            "stream",
            "Streams",
            "; ".join(behind) or "all that came in is read, and all answers are sent",
            "" if behind else "good",
        )
    ]


def _draw_parts(parts: tuple[Part, ...]) -> None:
    for part in parts:
        with ui.element("li").classes(part.state):
            ui.icon(part.icon).props('aria-hidden="true"')
            with ui.element("div"):
                if part.link:
                    with ui.element("a").props(f'href="{part.link}"'):
                        Words(part.name, "name", "span")
                else:
                    Words(part.name, "name", "span")
                Words(part.words, "note")
            if part.state:
                Words({"good": "well", "bad": "look"}[part.state], f"badge {part.state}", "span")
    if not parts:
        with ui.element("li"):
            Words("Nothing. Doubtful labels, conflicts and refused candidates would stand here.", "note")


def _draw_warning(reasons: tuple[str, ...]) -> None:
    if reasons:
        with ui.element("div").classes("warning").props('role="alert"'):
            Words("The server cannot do all of its work: " + "; ".join(reasons))


def _draw_first_steps(name: str | None) -> None:
    if name is None:
        empty(
            "rocket_launch", "No model answers yet", "Three steps make one; this page fills itself as they are done.",
            "pellucid ingest FOLDER --dataset NAME", "pellucid train --dataset NAME", "pellucid models promote NAME@1",
        )  # fmt: skip


def _window(vitals: Vitals) -> str:
    beat = vitals.beat
    return lasted(timedelta(seconds=(beat.end - beat.start).total_seconds())) if beat is not None else "5 min"
