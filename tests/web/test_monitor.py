"""The monitor draws what was asked, and says where it knows it from."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from playwright.sync_api import expect

from pellucid.flow.online.drift_stream import Alarm, StreamDrift
from pellucid.web.pages.monitor import _alarms

from ..conftest import PATIENCE
from .conftest import Person, Site

Come = Callable[..., Person]
_MS = PATIENCE * 1000


def test_it_teaches_the_next_step_and_draws_after_traffic(
    site: Site, person: Come, picture: Callable[..., bytes]
) -> None:
    page = person("predict").open("/monitor")
    told = page.locator(".basis")
    expect(told).to_contain_text("Nothing was asked in the last hour. Ask something on the page Try it", timeout=_MS)
    for number in range(5):
        site.predict(picture("cat", 800 + number))
    expect(told).to_contain_text("5 answers in the last hour.", timeout=_MS)
    expect(page.locator("figure.chart canvas")).to_have_count(6, timeout=_MS)
    expect(page.get_by_role("img", name="Classes: answers (%) over time; cat")).to_be_visible(timeout=_MS)
    expect(page.get_by_role("img", name="Time to answer")).to_be_visible()
    expect(page.locator(".drift")).to_contain_text("drift is told from 50 on", timeout=_MS)
    expect(page.locator(".storage .tile").filter(has_text="Images")).to_contain_text("in ", timeout=_MS)
    expect(page.locator(".queues .tile").filter(has_text="Trainings")).to_contain_text("0 running", timeout=_MS)
    expect(page.locator(".summary")).to_contain_text("All is well: model pets@1 answers", timeout=_MS)
    page.get_by_role("button", name="Last week").click()
    expect(told).to_contain_text("5 answers in the last week.", timeout=_MS)
    expect(page.get_by_role("button", name="Last week")).to_have_attribute("aria-pressed", "true")


def test_the_stream_s_detector_has_a_line() -> None:
    assert _alarms(None) == ""
    assert _alarms("[drift] has an unknown key 'x'") == "[drift] has an unknown key 'x'."
    calm = StreamDrift("pets@1", "page-hinkley", 2000, ())
    told = "page-hinkley, told the confidences of the newest 2,000 answers one by one, has called "
    assert _alarms(calm) == f"{told}no drift."
    at = datetime.now(UTC) - timedelta(hours=3)
    alarms = (Alarm("a", at - timedelta(days=1), 10), Alarm("b", at, 900))
    assert _alarms(StreamDrift("pets@1", "page-hinkley", 2000, alarms)) == f"{told}2 drifts, the last 3 h ago."
