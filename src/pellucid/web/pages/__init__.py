"""The pages, in the order of the menu."""

from __future__ import annotations

from pellucid.web.pages import monitor, overview, voters
from pellucid.web.view import Page

PAGES: tuple[Page, ...] = (
    Page("/", "Overview", "insights", overview.build),
    Page("/voters", "Voters", "how_to_vote", voters.build),
    Page("/monitor", "Monitor", "monitor_heart", monitor.build),
)
