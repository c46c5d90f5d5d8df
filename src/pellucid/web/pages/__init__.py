"""The pages, in the order of the menu."""

from __future__ import annotations

from pellucid.web.pages import overview, training
from pellucid.web.view import Page

PAGES: tuple[Page, ...] = (
    Page("/", "Overview", "insights", overview.build),
    Page("/training", "Training", "model_training", training.build),
)
