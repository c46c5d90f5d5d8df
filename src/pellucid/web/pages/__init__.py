"""The pages, in the order of the menu."""

from __future__ import annotations

from pellucid.web.pages import data, models, monitor, overview, review, training, trying, voters
from pellucid.web.view import Page

PAGES: tuple[Page, ...] = (
    Page("/", "Overview", "insights", overview.build),
    Page("/try", "Try it", "photo_camera", trying.build),
    Page("/review", "Review", "fact_check", review.build),
    Page("/data", "Data", "photo_library", data.build),
    Page("/training", "Training", "model_training", training.build),
    Page("/models", "Models", "inventory_2", models.build),
    Page("/voters", "Voters", "how_to_vote", voters.build),
    Page("/monitor", "Monitor", "monitor_heart", monitor.build),
)
