"""Every error that Pellucid raises on purpose.

A message says what was offered, what is wanted, and how to mend it. The command line prints the message in one
line on stderr and leaves with the class's ``exit_code``; codes are part of the interface and never reused.
"""

from __future__ import annotations


class PellucidError(Exception):
    """The root: catch this to catch everything Pellucid refuses.

    >>> try:
    ...     raise NotFoundError("no dataset 'trash'; the project has: digits")
    ... except PellucidError as error:
    ...     error.exit_code, str(error)
    (4, "no dataset 'trash'; the project has: digits")
    """

    exit_code: int = 1


class UsageError(PellucidError):
    """The call itself is wrong: an unknown option, a value out of range, options that exclude each other."""

    exit_code = 2


class ConfigError(PellucidError):
    """pellucid.toml or the environment holds a key or a value that cannot be used."""

    exit_code = 3


class NotFoundError(PellucidError):
    """A project, dataset, version, model, sample or path that was named does not exist."""

    exit_code = 4


class SourceError(PellucidError):
    """A whole source cannot be ingested: unreadable, empty, of no known layout, or an unsafe archive."""

    exit_code = 5


class ImageError(PellucidError):
    """One image's bytes cannot be used; ``reason`` is the short form that set-aside images are counted under."""

    exit_code = 6

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type[ImageError], tuple[str, str]]:
        return (type(self), (self.reason, self.detail))


class DataError(PellucidError):
    """A dataset version cannot serve the purpose: one class, no test images, a label nobody knows."""

    exit_code = 7


class IntegrityError(PellucidError):
    """Stored content does not have the digest or the shape it was stored under: damaged, or edited by hand."""

    exit_code = 8


class VersionError(PellucidError):
    """The database, or a model file, was written by a newer Pellucid than this one."""

    exit_code = 9


class StorageError(PellucidError):
    """The database or the object store does not take or give what it should: full, read-only, unreachable."""

    exit_code = 10


class TrainingError(PellucidError):
    """A training job could not be finished; its message is kept with the job."""

    exit_code = 11


class MissingExtraError(PellucidError):
    """Something that was asked for needs an optional dependency that is not installed."""

    exit_code = 12


class ConcurrencyError(PellucidError):
    """Somebody else changed the same thing in between; nothing was changed, look again and retry."""

    exit_code = 13


class BusyError(PellucidError):
    """More is asked at this moment than can be taken; ``retry_after`` says in how many seconds to ask again."""

    exit_code = 14

    def __init__(self, message: str, *, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NotReadyError(BusyError):
    """There is no model that could answer yet; the message says why, and how to get one."""

    exit_code = 20


class RateError(BusyError):
    """One caller asks more often than its token allows; others are answered all the same."""

    exit_code = 15


class AccessError(PellucidError):
    """Whoever asks has not shown a token that is known and not revoked."""

    exit_code = 16


class RightError(PellucidError):
    """The token is good, but not for what was asked."""

    exit_code = 17


class RequestError(PellucidError):
    """A request over HTTP cannot be read; ``status`` is the HTTP status that says why, 400 to 499."""

    exit_code = 18

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class GateError(PellucidError):
    """The promotion gate refuses a candidate; the message has its figures, and the verdict is recorded."""

    exit_code = 19
