"""Kinds of trouble: what those may read of an error who are not to read of paths, servers and statements."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from pellucid.config import hide_secrets
from pellucid.errors import (
    IntegrityError,
    MissingExtraError,
    NotFoundError,
    PellucidError,
    StorageError,
    VersionError,
)

_KINDS: Mapping[type[Exception], str] = {
    StorageError: "the storage fails",
    IntegrityError: "what is stored is damaged",
    VersionError: "what is stored is of another version of Pellucid",
    NotFoundError: "something that it needs is missing",
    MissingExtraError: "a package is not installed",
}


def kind_of(error: Exception, what: str) -> str:
    """What failed, and the kind of error in words.

    >>> kind_of(StorageError("/srv/shop/pellucid.db is full"), "the model cannot be loaded")
    'the model cannot be loaded: the storage fails; the log says more'
    """
    kind = next((words for known, words in _KINDS.items() if isinstance(error, known)), type(error).__name__)
    return f"{what}: {kind}; the log says more"


def log_error(log: logging.Logger, error: Exception, what: str) -> None:
    """Writes the error to the log, in its own words without secrets, or with its trace where nobody expected it."""
    if isinstance(error, PellucidError):
        log.error("%s: %s", what, hide_secrets(str(error)))
    else:
        log.error("%s", what, exc_info=error)
