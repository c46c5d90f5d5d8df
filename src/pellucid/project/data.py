"""What a project does with images and labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import UsageError
from pellucid.project.opened import Opened, several
from pellucid.types import DatasetVersion, Role

if TYPE_CHECKING:
    from pellucid.flow.data.clean import CleanReport
    from pellucid.flow.data.corrupt import CorruptReport
    from pellucid.flow.data.export import ExportReport
    from pellucid.flow.data.ingest import IngestReport
    from pellucid.flow.data.inspect import Inspection
    from pellucid.flow.data.lineage import Diff, Impact, Step


class DataVerbs(Opened):
    """Ingest, inspect, clean, export; see `pellucid.Project`."""

    def ingest(self, source: str | Path, dataset: str, **options: Any) -> IngestReport:
        """Reads a folder, archive or manifest into a dataset; options as of ``pellucid.flow.data.ingest.ingest``."""
        from pellucid.flow.data.ingest import ingest

        if "role" in options:
            options["role"] = _role(options["role"])
        return ingest(self.workspace, source, dataset, progress=self._progress, **options)

    def datasets(self, name: str | None = None) -> list[DatasetVersion]:
        """All versions of all datasets, or of one, oldest first.

        Raises:
            NotFoundError: there is no dataset of that name.
        """
        from pellucid.store.datasets import get_version, list_versions

        with self.workspace.database.read() as connection:
            return list_versions(connection, None if name is None else get_version(connection, name).dataset)

    def inspect(self, dataset: str) -> Inspection:
        """What a dataset version holds and what was found in it."""
        from pellucid.flow.data.inspect import inspect

        return inspect(self.workspace, dataset)

    def diff(self, before: str, after: str) -> Diff:
        """What changed between two versions, label by label."""
        from pellucid.flow.data.lineage import diff

        return diff(self.workspace, before, after)

    def lineage(self, dataset: str) -> list[Step]:
        """A version and its ancestors, with the models made from each."""
        from pellucid.flow.data.lineage import lineage

        return lineage(self.workspace, dataset)

    def impact(self, sample: str) -> Impact:
        """The versions, models and predictions that a sample has touched."""
        from pellucid.flow.data.lineage import impact

        return impact(self.workspace, sample)

    def settle(
        self, dataset: str, samples: str | Sequence[str], label: str, *, voter: str | None = None
    ) -> DatasetVersion:
        """Says what samples show, as ground truth, and commits a version."""
        from pellucid.flow.data.settle import settle

        return settle(self.workspace, dataset, several(samples), label, voter=voter)

    def clean(self, dataset: str, **options: Any) -> CleanReport:
        """Audits the labels and commits what follows; options as of ``pellucid.flow.data.clean.clean``."""
        from pellucid.flow.data.clean import clean

        return clean(self.workspace, dataset, progress=self._progress, **options)

    def audit_page(self, report: CleanReport) -> Path:
        """Writes what an audit found as one page with pictures, and returns its path."""
        from pellucid.flow.data.suspects import write_page

        return write_page(self.workspace, report, progress=self._progress)

    def export_suspects(self, report: CleanReport, target: str | Path) -> int:
        """Writes an audit's suspects as ``.csv``, or as ``.json`` for Label Studio; returns how many there are."""
        from pellucid.flow.data.suspects import export_suspects

        return export_suspects(self.workspace, report, Path(target))

    def corrupt(self, dataset: str, **options: Any) -> CorruptReport:
        """Breaks labels or images on purpose; options as of ``pellucid.flow.data.corrupt.corrupt``."""
        from pellucid.flow.data.corrupt import corrupt

        return corrupt(self.workspace, dataset, progress=self._progress, **options)

    def revert(self, dataset: str) -> DatasetVersion:
        """Makes an earlier version the newest one again."""
        from pellucid.flow.data.edit import revert

        return revert(self.workspace, dataset)[0]

    def export(self, dataset: str, target: str | Path, *, include_unusable: bool = False) -> ExportReport:
        """Writes a version as class folders with a manifest and Croissant metadata."""
        from pellucid.flow.data.export import export

        path = Path(target)
        return export(self.workspace, dataset, path, include_unusable=include_unusable, progress=self._progress)

    def embed(self, dataset: str, extractor: str | None = None) -> int:
        """Computes and caches the vectors of a version's images; returns how many there are."""
        from pellucid.flow.data.embed import embed_samples

        opened = self.workspace.extractor(extractor)
        ids = [row.sample for row in self.inspect(dataset).rows]
        return len(embed_samples(self.workspace, opened, ids, progress=self._progress))


def _role(name: str) -> Role:
    try:
        return Role(name)
    except ValueError:
        raise UsageError(f"{name!r} is no role; wanted is {', '.join(Role)}") from None
