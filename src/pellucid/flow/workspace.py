"""A project that is open: its settings, and the stores that they name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from pellucid.config import CONFIG_NAME, STATE_NAME, Settings, config_template, load_settings
from pellucid.errors import StorageError, UsageError
from pellucid.features.decode import Limits
from pellucid.features.extractor import Extractor, open_extractor
from pellucid.features.pipeline import usable_cores
from pellucid.store.blobs import Blobs
from pellucid.store.database import Database
from pellucid.store.images import Images
from pellucid.store.tracking import Tracking

Progress = Callable[[str, int, int | None], None]  # what is being done, how many are done, of how many


def no_progress(what: str, done: int, total: int | None) -> None:
    """Reports to nobody."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """Everything that a verb needs, opened once and passed down."""

    root: Path  # the folder with pellucid.toml
    settings: Settings
    database: Database
    blobs: Blobs  # packs of images, manifests, weights
    artifacts: Blobs  # models and reports
    tracking: Tracking
    cache: Path  # may be deleted at any time
    reports: Path

    @property
    def images(self) -> Images:
        """The bytes of the samples."""
        return Images(self.database, self.blobs)

    @property
    def limits(self) -> Limits:
        """What an image may at most be."""
        return Limits(max_bytes=self.settings.max_image_bytes, max_pixels=self.settings.max_image_pixels)

    @property
    def threads(self) -> int:
        """How many threads read, decode and embed."""
        return self.settings.threads or usable_cores()

    def report_folder(self, name: str, version: int) -> Path:
        """The local folder with a model's report."""
        return self.reports / f"{name}-{version}"

    def extractor(self, spec: str | None = None) -> Extractor:
        """The extractor of that specification, or the project's own; relative paths start at the project."""
        return open_extractor(spec or self.settings.extractor, base=self.root, cache=self.cache / "extractors")


def init_workspace(folder: Path) -> Path:
    """Makes ``folder`` a project: a commented pellucid.toml, and nothing else until it is used.

    Raises:
        UsageError: it is one already, or a file is in the way.
        StorageError: it cannot be written to.
    """
    config = folder / CONFIG_NAME
    if config.exists():
        raise UsageError(f"{folder.resolve()} is a project already; edit its {CONFIG_NAME}, or name another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / STATE_NAME).mkdir(exist_ok=True)
        (folder / STATE_NAME / ".gitignore").write_text("*\n", encoding="utf-8")
        config.write_text(config_template(), encoding="utf-8")
    except (FileExistsError, NotADirectoryError):
        raise UsageError(f"{folder} is not a folder and cannot become a project; name another place") from None
    except OSError as error:
        raise StorageError(f"{folder} cannot be written to: {error.strerror}; check its permissions") from error
    return config


def open_workspace(
    root: Path, *, environ: Mapping[str, str] | None = None, flags: Mapping[str, Any] | None = None
) -> Workspace:
    """Opens the project at ``root``; makes its tables and folders where they are missing.

    Raises:
        NotFoundError, ConfigError: there is no project, or its settings are wrong.
        StorageError, VersionError: its database or stores cannot be used.
    """
    settings = load_settings(root, environ=environ, flags=flags)
    artifact_url = _resolved(root, settings.artifact_url)
    return Workspace(
        root=root,
        settings=settings,
        database=Database.open(_database_url(root, settings.database_url)),
        blobs=Blobs.open(_resolved(root, settings.blob_url)),
        artifacts=Blobs.open(artifact_url),
        tracking=Tracking(_database_url(root, settings.mlflow_url), artifact_url),
        cache=Path(_resolved(root, settings.cache_dir)),
        reports=Path(_resolved(root, settings.report_dir)),
    )


def _resolved(root: Path, place: str) -> str:
    return place if "://" in place else str(root / place)


def _database_url(root: Path, text: str) -> str:
    if not text.startswith("sqlite:"):
        return text
    url = sa.make_url(text)
    if not url.database or url.database == ":memory:":
        return text
    path = root / url.database
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{path.parent} cannot be made: {error.strerror}; check its permissions") from error
    return url.set(database=str(path)).render_as_string(hide_password=False)
