"""Worker: claims training jobs one after the other and does each exactly once."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace

from pellucid.errors import ConcurrencyError, NotFoundError, PellucidError, StorageError, TrainingError
from pellucid.flow.heartbeat import Heartbeat
from pellucid.flow.rounds import go_round
from pellucid.flow.training.grid import grid_of, submit
from pellucid.flow.training.job import complete_all, do_job
from pellucid.flow.training.joblog import JobLog
from pellucid.flow.workspace import Progress, Workspace
from pellucid.store.datasets import get_version
from pellucid.store.jobs import claim, extend, fail, list_jobs, release
from pellucid.store.workers import greet, leave
from pellucid.types import Job, JobState

_GRACE = 2.0  # seconds in which a worker that heard Ctrl-C itself has ended
_PATIENCE = 30.0  # seconds that a worker has to give its job back once it was told

Watcher = Callable[[Job], None]  # told of every job that changed its state


def work(
    workspace: Workspace,
    *,
    only: Sequence[int] | None = None,
    watch: bool = False,
    stop: threading.Event | None = None,
    between: Callable[[], object] = lambda: None,
    report: Watcher = lambda job: None,
    progress: Callable[[Job], Progress] | None = None,
) -> int:
    """Works off the queue and returns how many jobs were done; first completes what a killed worker left undone.

    Args:
        only: ids of the jobs to do; returns when all of them have ended, whoever did them. All jobs where None.
        watch: goes on for ever, and queues what pellucid.toml's [train] asks for on every new dataset version. A
            database or a disk that fails is tried again, later and later; else the worker ends with the error.
        stop: set it to make the worker end after the job in hand.
        between: called before each look for a job when watching, as to retrain what is due.
        report: told of each job when it starts and when it ends.
    """
    name = worker_name()
    with _presence(workspace, name) if only is None else nullcontext():
        return _work(workspace, name, only, watch, stop or threading.Event(), between, report, progress)


def worker_name() -> str:
    """A name that nobody else has, which tells the machine and the process."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


def _work(
    workspace: Workspace,
    name: str,
    only: Sequence[int] | None,
    watch: bool,  # noqa: FBT001 - as of work
    stop: threading.Event,
    between: Callable[[], object],
    report: Watcher,
    progress: Callable[[Job], Progress] | None,
) -> int:
    done = 0
    arrivals = _Arrivals(workspace)
    complete_all(workspace, min_age=workspace.settings.lease_seconds)

    def act() -> bool:
        nonlocal done
        if watch:
            arrivals.queue()
            between()
        with workspace.database.write() as connection:
            mine = claim(connection, name, workspace.settings.lease_seconds, only=only)
        if mine is not None:
            report(mine)
            done += _do(workspace, mine, report, progress)
        elif only is not None and _unfinished(workspace, only):
            stop.wait(workspace.settings.poll_seconds)
        else:
            return False
        return True

    def trouble(error: PellucidError) -> None:
        logging.getLogger(__name__).warning("the worker tries again soon: %s", error)

    go_round(act, stop=stop, drain=not watch, trouble=trouble, wait=workspace.settings.poll_seconds)
    return done


@contextmanager
def _presence(workspace: Workspace, name: str) -> Iterator[None]:
    """Whoever takes any job that waits says so while it lives, so that people see whether somebody will."""

    def renew(message: str) -> bool:
        with workspace.database.write() as connection:
            greet(connection, name)
        return True

    renew("")
    try:
        with Heartbeat(renew, workspace.settings.lease_seconds, f"worker {name}"):
            yield
    finally:
        with suppress(StorageError), workspace.database.write() as connection:
            leave(connection, name)


def _do(workspace: Workspace, mine: Job, report: Watcher, progress: Callable[[Job], Progress] | None) -> int:
    shown = progress(mine) if progress else None
    lease = workspace.settings.lease_seconds
    done = 0
    with JobLog(workspace, mine) as log:

        def renew(message: str) -> bool:
            with workspace.database.write() as connection:
                log.write(connection)
                return extend(connection, mine, lease, message)

        try:
            with Heartbeat(renew, lease, f"job {mine.id}") as heartbeat:

                def tell(what: str, done: int, total: int | None) -> None:
                    log.step(what)
                    heartbeat.say(f"{what} {done}/{total}" if total else what)
                    if shown:
                        shown(what, done, total)

                made = do_job(workspace, mine, progress=tell)
            log.say(f"done: {made.ref}")
            done = 1
        except (KeyboardInterrupt, SystemExit):
            log.say("given back: the worker was told to end")
            with workspace.database.write() as connection:
                release(connection, mine)
            raise
        except ConcurrencyError as error:
            log.say(str(error))  # cancelled, or taken over by a worker that thought this one dead: it is theirs now
        except StorageError as error:
            log.say(f"given back: {error}")
            with suppress(StorageError), workspace.database.write() as connection:
                release(connection, mine)
            raise  # the job is sound, this machine is not
        except PellucidError as error:
            _fail(workspace, mine, log, str(error))
        except Exception as error:  # noqa: BLE001 - a user's own head may raise anything; the job keeps the reason
            _fail(workspace, mine, log, f"{type(error).__name__}: {error}")
    with workspace.database.read() as connection:
        ended = list_jobs(connection, [mine.id])[0]
    report(ended)
    return done


def _fail(workspace: Workspace, mine: Job, log: JobLog, message: str) -> None:
    log.say(f"failed: {message}")
    with suppress(ConcurrencyError), workspace.database.write() as connection:
        fail(connection, mine, " ".join(message.split())[:2000])


def _unfinished(workspace: Workspace, only: Sequence[int]) -> bool:
    with workspace.database.read() as connection:
        return any(job.state in (JobState.QUEUED, JobState.RUNNING) for job in list_jobs(connection, only))


class _Arrivals:
    """Queues the grid that pellucid.toml asks for on each version that arrives; a dataset may come later, too."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._grid = grid_of(workspace.settings)
        self._seen: dict[str, str] = {}  # the newest version by the reference in [train]

    def queue(self) -> None:
        """Queues what arrived since the last call; what was done or is queued already stays as it is."""
        if self._grid is None:
            return
        newest: dict[str, str] = {}
        with self._workspace.database.read() as connection:
            for ref in self._grid.datasets:
                with suppress(NotFoundError):
                    newest[ref] = get_version(connection, ref).ref
        arrived = {ref: version for ref, version in newest.items() if self._seen.get(ref) != version}
        if arrived:
            submit(self._workspace, replace(self._grid, datasets=tuple(arrived.values())), again=False)
            self._seen |= arrived


def run_workers(count: int, command: Sequence[str]) -> None:
    """Runs the command in so many processes until all of them have ended; Ctrl-C lets each give its job back.

    Raises:
        TrainingError: a process ended with an error, which it has printed itself.
    """
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for _ in range(count):
            processes.append(subprocess.Popen(command))
        codes = [process.wait() for process in processes]
    except BaseException:
        _end(processes)
        raise
    failed = [code for code in codes if code]
    if failed:
        raise TrainingError(f"{len(failed)} of {count} workers ended with an error, printed above; start them again")


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    # A terminal's Ctrl-C has reached the workers too, and a second signal would break off the giving back. SIGTERM,
    # because the workers of a background job ignore SIGINT.
    for patience, tell in ((_GRACE, None), (_PATIENCE, signal.SIGTERM), (None, signal.SIGKILL)):
        until = time.monotonic() + (patience or 0.0)
        for process in processes:
            if tell is not None and process.poll() is None:
                process.send_signal(tell)
        for process in processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(None if patience is None else max(until - time.monotonic(), 0.0))
