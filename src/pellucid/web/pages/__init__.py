"""The pages, in the order of the menu."""

from __future__ import annotations

from pellucid.web.pages import models, overview, training
from pellucid.web.view import Page

PAGES: tuple[Page, ...] = (
    Page("/", "Overview", "insights", overview.build),
    Page("/training", "Training", "model_training", training.build),
    Page("/models", "Models", "inventory_2", models.build),
)
