"""How the command ends: exit codes, one line of stderr for an error, and signals."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

import typer

from pellucid.cli.output import note
from pellucid.errors import PellucidError, StorageError, UsageError

INTERRUPTED = 130  # exit code after Ctrl-C, and after SIGTERM in the middle of something, as shells have it
_GLOBAL = ("-P", "--project", "-c", "--config", "-q", "--quiet")
INTERNAL = 70  # exit code after a fault of Pellucid's own; EX_SOFTWARE of sysexits.h


class Stopped(Exception):  # noqa: N818 - no error: somebody wanted it to stop
    """Ctrl-C or SIGTERM arrived."""


class _Ended(KeyboardInterrupt):
    """SIGTERM reached what runs until somebody ends it; a KeyboardInterrupt, so that all that tidies up does."""


class PipeClosed(Exception):  # noqa: N818 - no error: the reader has enough
    """Whoever read stdout has gone."""


def run(command: Callable[[], Any]) -> int:
    """Runs the command and returns its exit code; what goes wrong is told in one line on stderr."""
    _open_standard_streams()
    main_thread = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, _interrupt) if main_thread else None
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warner()
            return _run(command)
    finally:
        _let_go_of_stdout()
        if main_thread:
            signal.signal(signal.SIGTERM, before)


@contextmanager
def as_service(serves: bool = True) -> Iterator[None]:
    """Around what runs until somebody ends it: SIGTERM, by which supervisors end things, is its good end, code 0.

    Args:
        serves: whether it is such a thing; where not, SIGTERM breaks it off as it does everything else.
    """
    if not serves or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _end)
    try:
        _end_with_supervisor()
        yield
    except _Ended:
        raise typer.Exit from None
    finally:
        signal.signal(signal.SIGTERM, before)


def _end_with_supervisor() -> None:
    """Where `pellucid up` has started this process and is killed, this one gets the signals that it cannot send."""
    from pellucid.serve.supervisor import GRACE_SECONDS, LIFELINE

    lifeline = os.environ.pop(LIFELINE, None)  # not for what this process starts in turn
    if lifeline is None:
        return

    def watch(file: int) -> None:
        with suppress(OSError):
            while os.read(file, 1):
                pass
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(GRACE_SECONDS)
            os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, args=(int(lifeline),), name="pellucid-lifeline", daemon=True).start()


def _run(command: Callable[[], Any]) -> int:
    try:
        code = command()
        sys.stdout.flush()
    except PellucidError as error:
        return _complain(str(error), error.exit_code)
    except (KeyboardInterrupt, Stopped, typer.Abort):
        return _complain("stopped; what was finished is kept, run the same command again to go on", INTERRUPTED)
    except (BrokenPipeError, PipeClosed):
        return 0
    except OSError as error:
        return _complain(_os_fault(error), StorageError.exit_code)
    except MemoryError:
        return _complain("out of memory; stop other programs, or lower `threads` in pellucid.toml", INTERNAL)
    except Exception as error:
        if isinstance(error, _click_exception()):
            return _misused(error)
        if os.environ.get("PELLUCID_DEBUG"):
            raise
        text = f"{type(error).__name__}: {error}; this is a fault of Pellucid's, PELLUCID_DEBUG=1 shows where"
        return _complain(text, INTERNAL)
    return int(code or 0)


def _complain(text: str, code: int) -> int:
    note(f"pellucid: {' '.join(text.split())}")
    return code


def _misused(error: Any) -> int:
    """Wrong words on the command line: what was wrong, and whose --help tells more."""
    if type(error).__name__ == "NoArgsIsHelpError":
        if str(error):  # some versions of Typer have printed the help already
            note(str(error))
        return UsageError.exit_code
    text = error.format_message().strip().rstrip(".").replace("Value error, ", "")  # which some versions of Typer put
    path = error.ctx.command_path if getattr(error, "ctx", None) else "pellucid"
    option = getattr(error, "option_name", None)
    if option in _GLOBAL and path != "pellucid":
        text = f"{option} stands before the command: pellucid {option} {path.removeprefix('pellucid ')}"
    return _complain(f"{text[:1].lower()}{text[1:]}; `{path} --help` shows how", UsageError.exit_code)


def _os_fault(error: OSError) -> str:
    what = error.strerror or str(error)
    if error.errno == errno.ENOSPC:
        return f"{what}; free some and run the same command again, what was finished is kept"
    if error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {what}; check that it is there and may be read and written"
    return f"{what}; check the disk and its permissions, PELLUCID_DEBUG=1 shows where"


def _warner() -> Callable[..., None]:
    """Shows each of the libraries' warnings once, in one line; no source line, which is none of the user's."""
    seen: set[str] = set()

    def warn(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        text = " ".join(str(message).split())
        if text not in seen:
            seen.add(text)
            note(f"pellucid: warning: {text}")

    return warn


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _end(signum: int, frame: FrameType | None) -> None:
    raise _Ended


def _open_standard_streams() -> None:
    """Makes stdin, stdout and stderr usable whatever the caller closed, and stdout able to say every file name.

    A closed one must be opened on nothing: else the next file that is opened, such as the database, takes its number
    and what libraries print there ends up in it.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: the one that was closed
            setattr(sys, name, os.fdopen(opened, mode, encoding="utf-8", closefd=False))
    if hasattr(sys.stdout, "reconfigure"):
        unicode = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
        sys.stdout.reconfigure(errors="surrogateescape" if unicode else "backslashreplace")


def _let_go_of_stdout() -> None:
    """Writes what is left in stdout's buffer, or drops it, so that it cannot fail once more when Python ends."""
    try:
        sys.stdout.flush()
    except OSError:
        with suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, sys.stdout.fileno())
            os.close(null)


def _click_exception() -> type[typer.BadParameter]:
    """Click's root exception; Typer ships Click inside itself or beside it, depending on its version."""
    return next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")
