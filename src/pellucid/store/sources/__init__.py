"""Reading what a user offers to ingest: folders, manifests and archives of images, in any known layout."""

from __future__ import annotations

from pellucid.store.sources.item import Item, Source
from pellucid.store.sources.layouts import LAYOUTS
from pellucid.store.sources.opening import open_source

__all__ = ["LAYOUTS", "Item", "Source", "open_source"]
