"""The pages, in the order of the menu."""

from __future__ import annotations

from pellucid.web.pages import data, overview, review, trying
from pellucid.web.view import Page

PAGES: tuple[Page, ...] = (
    Page("/", "Overview", "insights", overview.build),
    Page("/try", "Try it", "photo_camera", trying.build),
    Page("/review", "Review", "fact_check", review.build),
    Page("/data", "Data", "photo_library", data.build),
)
