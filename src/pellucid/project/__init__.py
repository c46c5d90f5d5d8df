"""A project from Python: every verb of the command line as a method that returns frozen values."""

from __future__ import annotations

from pellucid.project.data import DataVerbs
from pellucid.project.models import ModelVerbs
from pellucid.project.tokens import TokenVerbs
from pellucid.project.training import TrainingVerbs
from pellucid.project.votes import VoteVerbs

__all__ = ["Project"]


class Project(DataVerbs, TrainingVerbs, ModelVerbs, VoteVerbs, TokenVerbs):
    """The project at a folder, or at the nearest folder above it.

    >>> import tempfile
    >>> with Project.init(tempfile.mkdtemp()) as project:
    ...     project.datasets()
    []

    Args:
        path: the folder with pellucid.toml, or any folder below it.
        progress: told how far long acts are.
        environ: environment variables; those of the process where None.
        settings: overrides of single settings by name.

    Raises:
        NotFoundError: there is no project at or above the path.
        ConfigError: its settings are wrong.
    """
