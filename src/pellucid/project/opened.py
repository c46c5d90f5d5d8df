"""A project that is open from Python, and what all of its verbs need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from pellucid.config import find_root
from pellucid.flow.workspace import Progress, Workspace, init_workspace, no_progress, open_workspace

if TYPE_CHECKING:
    from sqlalchemy import Connection


class Opened:
    """A workspace, and somebody to tell how far long acts are; see `pellucid.Project`."""

    def __init__(
        self,
        path: str | Path = ".",
        *,
        progress: Progress = no_progress,
        environ: Mapping[str, str] | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.workspace: Workspace = open_workspace(find_root(Path(path)), environ=environ, flags=settings)
        self._progress = progress

    @classmethod
    def init(cls, path: str | Path = ".") -> Self:
        """Makes the folder a project, and opens it."""
        init_workspace(Path(path))
        return cls(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Gives the database's connections back."""
        self.workspace.database.close()


def several(values: Any) -> tuple[Any, ...]:
    """One value or several as a tuple; a text is one value.

    >>> several("ridge"), several([0.1, 1]), several(0.1)
    (('ridge',), (0.1, 1), (0.1,))
    """
    return tuple(values) if isinstance(values, Iterable) and not isinstance(values, str) else (values,)


def check_model_name(connection: Connection, name: str | None) -> None:
    """Refuses a name that no model has; every name that one has, has a version 1."""
    from pellucid.store.models import get_model

    if name is not None:
        get_model(connection, f"{name}@1")
