"""How much room there is where the project writes on this machine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pellucid.flow.workspace import Workspace


class DiskCollector(Collector):
    """Free and total bytes of the disks under the project's folders, by what they are for."""

    def __init__(self, workspace: Workspace) -> None:
        self._folders = folders_of(workspace)

    def collect(self) -> Iterator[Metric]:
        """One family after the other."""
        free = GaugeMetricFamily("pellucid_disk_free_bytes", "Room on the disk of a folder.", labels=["folder"])
        total = GaugeMetricFamily("pellucid_disk_size_bytes", "Size of the disk of a folder.", labels=["folder"])
        for name, folder in self._folders.items():
            try:
                usage = shutil.disk_usage(_existing(folder))
            except OSError:  # a disk that is gone has no room to tell of
                continue
            free.add_metric([name], float(usage.free))
            total.add_metric([name], float(usage.total))
        yield from (free, total)


def folders_of(workspace: Workspace) -> dict[str, Path]:
    """Where the project writes on this machine: what lies in a bucket or on a server is not among it."""
    settings, database = workspace.settings, workspace.database.engine.url
    found = {"project": workspace.root, "cache": workspace.cache, "reports": workspace.reports}
    for name, place in (("blobs", settings.blob_url), ("artifacts", settings.artifact_url)):
        if "://" not in place:
            found[name] = workspace.root / place
    if database.get_backend_name() == "sqlite" and database.database not in {None, "", ":memory:"}:
        found["database"] = workspace.root / str(database.database)
    return found


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there: its disk is the one that would be written to."""
    return next((place for place in (folder, *folder.parents) if place.exists()), folder)
