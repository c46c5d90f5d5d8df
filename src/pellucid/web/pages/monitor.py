"""Monitor: traffic, speed, errors, sureness and classes over time; drift with pictures; room and queues."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from nicegui import ui

from pellucid.drift.watching import DriftReport
from pellucid.errors import PellucidError
from pellucid.flow.online.drift_stream import StreamDrift
from pellucid.flow.production.drift import moved_answers
from pellucid.flow.production.traffic import Traffic, read_traffic
from pellucid.flow.storage import measure_storage
from pellucid.serve.pulse import Beat
from pellucid.types import Answer
from pellucid.web import tables
from pellucid.web.charts import Axis, Chart, Series, chart
from pellucid.web.formats import lasted, many, share, size
from pellucid.web.parts import Words, card, heading, picture, tile
from pellucid.web.redrawn import Redrawn, refresh_often
from pellucid.web.summary import sum_up, summary_card
from pellucid.web.toggle import Toggle
from pellucid.web.view import View, complain
from pellucid.web.vitals import Vitals, look_for_alarms, look_for_drift, still_to_do, take_vitals

# How far back, and in how many points: so few that lone ones are drawn as dots.
_SPANS = {
    "Last hour": (timedelta(hours=1), 30),
    "Last day": (timedelta(days=1), 48),
    "Last week": (timedelta(days=7), 56),
}
_AGES = {"Last hour": 5.0, "Last day": 30.0, "Last week": 60.0}  # seconds for which a history is shown
_STORAGE_AGE = 60.0
_CLASSES = 7  # that have a line of their own; the others share one
_PICTURES = 7  # of answers that moved
_TIME = Axis("time", kind="time")


async def build(view: View) -> None:
    """The page's content."""
    await refresh_often(_Monitor(view).refresh)


class _Monitor:
    def __init__(self, view: View) -> None:
        self._view = view
        self._name = view.desk.dataset
        self._span = "Last hour"
        self._summary = summary_card()
        Toggle("Time", list(_SPANS), self._choose)
        self._told = Words("", "note basis")
        with ui.element("div").classes("columns"):
            self._charts = {
                title: _empty_chart(title, axis, note)
                for title, axis, note in (
                    ("Answers", Axis("answers a minute", low=0), "by all servers and streams, from the record"),
                    ("Time to answer", Axis("time", "ms", low=0), "of this server's requests, since it was started"),
                    ("Errors", Axis("requests", "%", low=0), "of this server's requests, since it was started"),
                    ("Batches", Axis("images", low=0), "answered together, the mean, and how many wait in the end"),
                    ("Confidence", Axis("confidence", "%", low=0, high=100), "of the answers, calibrated"),
                    ("Classes", Axis("answers", "%", low=0, high=100), "share of each class answered"),
                )
            }
        with card("Drift", "The newest answers against the test images that the model has never learnt.", "drift"):
            self._drift = Redrawn(_draw_drift)
            self._alarms = Words("", "note alarms")
        with card("Queues", classes="queues"):
            self._queues = Redrawn(_draw_tiles, "tiles")
        with card("Storage", classes="storage"):
            self._storage = Redrawn(_draw_tiles, "tiles")

    async def refresh(self) -> None:
        """Shows how things stand now."""
        desk, (span, points) = self._view.desk, _SPANS[self._span]
        try:
            traffic = await desk.glimpse(read_traffic, self._name, span, points, seconds=_AGES[self._span])
            report = await look_for_drift(desk)
            followed = await look_for_alarms(desk)
            moved = report.images[:_PICTURES] if isinstance(report, DriftReport) and report.drifted else ()
            answers = await desk.glimpse(moved_answers, moved, seconds=_STORAGE_AGE) if moved else ()
            storage = await desk.glimpse(measure_storage, seconds=_STORAGE_AGE)
        except PellucidError as error:
            complain(error)
            return
        beats = desk.doors.pulse.beats(datetime.now(UTC) - span, most=points)
        if traffic is not None:
            self._draw(traffic, beats)
        self._drift.show((report, answers or ()))
        self._alarms.text = _alarms(followed)
        vitals = await take_vitals(desk)
        self._summary.show(sum_up(vitals, followed))
        self._show_queues(vitals)
        if storage is not None:
            disk = "on another machine" if storage.free is None else f"{size(storage.free)} free"
            used = "unknown" if storage.used is None else share(storage.used)
            self._storage.show(
                (
                    ("Images", f"{storage.images:,}", f"{size(storage.image_bytes)} in {many(storage.packs, 'pack')}"),
                    (
                        "Database",
                        size(storage.database),
                        f"{storage.answers:,} answers and {storage.votes:,} votes of all datasets, also those "
                        "of folders and those taken back",
                    ),
                    ("Disk", used, f"of it is used; {disk}"),
                )
            )

    async def _choose(self, span: str) -> None:
        self._span = span
        await self.refresh()

    def _draw(self, traffic: Traffic, beats: Sequence[Beat]) -> None:
        whole = sum(bucket.answers for bucket in traffic.buckets)
        part = f"; {traffic.looked_at:,} of them were looked at" if traffic.looked_at < round(whole) else ""
        told = f"{many(round(whole), 'answer')} in the {self._span.lower()}{part}."
        self._told.text = told if whole else f"Nothing was asked in the {self._span.lower()}. {_HOW}"
        if whole and not any(beat.requests for beat in beats):
            self._told.text += (
                " No request has reached this server since it was started: what it measures itself (time to answer, "
                "errors, batches) begins anew with it, the record of answers does not."
            )
        for title, series in {**_of_traffic(traffic), **_of_beats(beats)}.items():
            self._charts[title].show(series)

    def _show_queues(self, vitals: Vitals) -> None:
        waiting = self._view.desk.doors.service.stats.waiting
        tiles = [("Images in hand", f"{waiting:,}", "that wait for an answer of this server")]
        if vitals.health is not None:
            queue = vitals.health.queue
            oldest = f", the first for {lasted(queue.oldest)}" if queue.oldest is not None else ""
            tiles.append(("Trainings", f"{queue.queued:,}", f"that wait{oldest}; {queue.running:,} running"))
        standings, early = vitals.stream or ((), 0)
        for item in standings:
            aside = f"; {item.set_aside:,} set aside" if item.set_aside else ""
            tiles.append(
                (
                    f"Events: {item.topic}",
                    f"{item.lag:,}",
                    f"that {item.name} has still to {still_to_do(item)}{aside}",
                )
            )
        tiles.append(("Early votes", f"{early:,}", "that wait for their images"))
        self._queues.show(tuple(tiles))


_HOW = "Ask something on the page Try it, or send an image to /predict; /docs shows how."


def _empty_chart(title: str, axis: Axis, note: str) -> Chart:
    with card(classes="charted"):
        return chart(title, _TIME, axis, [], note=note, height=230)


def _of_traffic(traffic: Traffic) -> dict[str, list[Series]]:
    at = tuple(bucket.start for bucket in traffic.buckets)
    minutes = traffic.width.total_seconds() / 60
    rate = tuple(round(bucket.answers / minutes, 2) for bucket in traffic.buckets)
    total: Counter[str] = Counter()
    for bucket in traffic.buckets:
        total.update({label: part * bucket.answers for label, part in bucket.classes.items()})
    named = [label for label, _ in total.most_common(_CLASSES if len(total) > _CLASSES + 1 else len(total))]
    classes = [
        Series(
            label,
            at,
            tuple(_percent(bucket.classes.get(label, 0.0) if bucket.classes else None) for bucket in traffic.buckets),
        )
        for label in named
    ]
    if len(named) < len(total):
        rest = tuple(
            _percent(1 - sum(bucket.classes.get(label, 0.0) for label in named) if bucket.classes else None)
            for bucket in traffic.buckets
        )
        classes.append(Series(f"{len(total) - len(named)} others", at, rest))
    return {
        "Answers": [Series("answers", at, rate, kind="bar")],
        "Confidence": [
            Series("mean", at, tuple(_percent(bucket.confidence) for bucket in traffic.buckets)),
            Series("the least sure tenth is below", at, tuple(_percent(bucket.low) for bucket in traffic.buckets)),
        ],
        "Classes": classes,
    }


def _of_beats(beats: Sequence[Beat]) -> dict[str, list[Series]]:
    at = tuple(beat.end for beat in beats)
    refused = tuple(_percent(beat.refused / beat.requests if beat.requests else None) for beat in beats)
    return {
        "Time to answer": [
            Series("half within", at, tuple(_milliseconds(beat.p50) for beat in beats)),
            Series("95 % within", at, tuple(_milliseconds(beat.p95) for beat in beats)),
        ],
        "Errors": [
            Series(
                "failed: the server's fault (500 and above)", at, tuple(_percent(beat.error_share) for beat in beats)
            ),
            Series("turned away: what was sent cannot be used (400 to 499)", at, refused),
        ],
        "Batches": [
            Series(
                "images of a batch", at, tuple(None if beat.batch is None else round(beat.batch, 2) for beat in beats)
            ),
            Series("images that wait", at, tuple(float(beat.waiting) for beat in beats), kind="steps"),
        ],
    }


def _alarms(followed: StreamDrift | str | None) -> str:
    """What the stream's detector says, in a line; empty where the configuration names none."""
    if followed is None or isinstance(followed, str):
        return "" if followed is None else f"{followed}."
    told = f"{followed.detector}, told the confidences of the newest {many(followed.answers, 'answer')} one by one"
    if not followed.alarms:
        return f"{told}, has called no drift."
    ago = lasted(datetime.now(UTC) - followed.alarms[-1].at)
    return f"{told}, has called {many(len(followed.alarms), 'drift')}, the last {ago} ago."


_ASPECTS = {
    "features": "how pictures look",
    "confidence": "how sure the model is",
    "classes": "which classes are answered",
    "trust": "how far labels are believed",
}


def _draw_drift(shown: tuple[DriftReport | str | None, tuple[Answer, ...]]) -> None:
    report, answers = shown
    if report is None:
        Words("Being looked for…", "note").props('role="status"')
        return
    if isinstance(report, str):
        Words(f"{report}.", "note")
        return
    with tables.table(
        "What has moved", ("What", "Moved", "Effect", "By chance", "How"), numbers=("Effect", "By chance")
    ):
        for aspect, shift in report.shifts.items():
            with tables.row():
                tables.head(_ASPECTS.get(aspect, aspect))
                with tables.cell():
                    Words("moved" if shift.drifted else "no", f"badge {'bad' if shift.drifted else 'good'}", "span")
                tables.number(f"{shift.effect:.2f}")
                tables.number("< 0.001" if shift.p_value < 0.001 else f"{shift.p_value:.3f}")
                tables.text(f"{shift.direction}: {shift.detail}" if shift.direction else shift.detail)
    windows = f"{report.n_current:,} answers against {report.n_reference:,} test images."
    rule = (
        "Current are the answers, reference the test images. Something has moved where chance would hardly do it (by "
        "chance: how often it alone would show as much, 0 to 1) and the effect (0 none, 1 all) is large enough to "
        "matter."
    )
    Words(f"{windows} {rule}", "note")
    if answers:
        heading(3, "Answers that moved most")
        with ui.element("div").classes("words-grid"):
            for answer in answers:
                with ui.element("figure").classes("word"):
                    picture(answer.sample, f"picture that was answered {answer.label}")
                    with ui.element("figcaption"):
                        Words(answer.label, "said")
                        Words(f"{share(answer.confidence)} sure", "note")


def _draw_tiles(tiles: tuple[tuple[str, str, str], ...]) -> None:
    for name, value, note in tiles:
        tile(name, value, note)


def _percent(value: float | None) -> float | None:
    return None if value is None else round(100 * value, 2)


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(1000 * seconds, 1)
