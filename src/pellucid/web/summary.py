"""The sentence at the head of Overview and Monitor: all is well, or how many things want a look, and which."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from nicegui import ui

from pellucid.drift.watching import DriftReport
from pellucid.flow.online.drift_stream import StreamDrift
from pellucid.web.formats import lasted, many, share
from pellucid.web.parts import Words
from pellucid.web.redrawn import Redrawn
from pellucid.web.vitals import Vitals, behind_in_words

FAR_BEHIND = 100  # events of a topic that are still to be read or sent; fewer are read while somebody looks
_RECENT = timedelta(days=1)  # after which an alarm of the detector is history


@dataclass(frozen=True, slots=True)
class Concern:
    """Something that somebody should look at."""

    words: str
    link: str  # where


@dataclass(frozen=True, slots=True)
class Summary:
    """All that is on the page already, in one sentence."""

    words: str
    concerns: tuple[Concern, ...] = ()


def summary_card() -> Redrawn[Summary]:
    """The place of the sentence; empty until it is shown."""
    return Redrawn(_draw, "summary")


def sum_up(vitals: Vitals, followed: StreamDrift | str | None = None) -> Summary:
    """The sentence.

    Args:
        followed: what the detector of [drift] says, where one is named.
    """
    if vitals.name is None and not vitals.troubles:
        return Summary("No model answers yet.")
    concerns = tuple(_concerns(vitals, followed))
    if concerns:
        return Summary(f"{many(len(concerns), 'thing')} {'wants' if len(concerns) == 1 else 'want'} a look:", concerns)
    if vitals.health is None:
        return Summary("Being looked at …")
    if not isinstance(vitals.drift, DriftReport):
        later = "whether pictures or answers have changed cannot be told yet"
        return Summary(f"All is well: model {vitals.readiness.model} answers; {later}.")
    return Summary(
        f"All is well: model {vitals.readiness.model} answers, and what is asked is like what it was tested on."
    )


def _concerns(vitals: Vitals, followed: StreamDrift | str | None) -> list[Concern]:
    found = []
    ready, health, beat = vitals.readiness, vitals.health, vitals.beat
    if not ready.ready:
        found.append(Concern(f"the server is not ready ({'; '.join(ready.reasons) or 'starting'})", "/"))
    if ready.lost:
        found.append(Concern(f"{many(ready.lost, 'labelled image')} gone or damaged", "/"))
    parts = [part for part in vitals.troubles if "database" not in vitals.troubles or part in ("database", "stream")]
    found += [Concern(f"the {part} cannot be read ({vitals.troubles[part]})", "/") for part in parts]
    if health is not None and health.trouble:
        found.append(Concern(f"nobody works: {health.trouble}", "/training"))
    if health is not None and health.queue.failed:
        found.append(Concern(f"{many(health.queue.failed, 'training')} failed within a week", "/training"))
    if beat is not None and beat.errors:
        found.append(Concern(f"{share(beat.error_share, 1)} of the latest requests failed", "/monitor"))
    if isinstance(vitals.drift, DriftReport) and vitals.drift.drifted:
        found.append(
            Concern(f"what is asked has changed since the test: drift in {', '.join(vitals.drift.drifted)}", "/monitor")
        )
    if isinstance(followed, StreamDrift) and followed.alarms and vitals.at - followed.alarms[-1].at < _RECENT:
        ago = lasted(vitals.at - followed.alarms[-1].at)
        found.append(Concern(f"the model's sureness jumped {ago} ago, says {followed.detector}", "/monitor"))
    for item in (vitals.stream or ((), 0))[0]:
        if item.lag >= FAR_BEHIND:
            found.append(Concern(behind_in_words(item), "/monitor"))
    if vitals.refused:
        found.append(Concern(f"the gate refused {', '.join(vitals.refused[:3])}", "/models"))
    return found


def _draw(found: Summary) -> None:
    box = ui.element("div").classes("warning" if found.concerns else "calm").props('role="status"')
    with box:
        Words(found.words, "strong")
        if found.concerns:
            with ui.element("ul"):
                for concern in found.concerns:
                    with ui.element("li"):
                        ui.link(concern.words, concern.link)
