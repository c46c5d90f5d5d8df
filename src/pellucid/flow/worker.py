"""Worker: claims training jobs one after the other and does each exactly once."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from pellucid.errors import ConcurrencyError, PellucidError, StorageError
from pellucid.flow.grid import grid_of, submit
from pellucid.flow.job import do_job
from pellucid.flow.workspace import Progress, Workspace
from pellucid.store.jobs import claim, extend, fail, list_jobs, release
from pellucid.types import Job, JobState

_PATIENCE = 30.0  # seconds that a worker has to give its job back

Watcher = Callable[[Job], None]  # told of every job that changed its state


def work(
    workspace: Workspace,
    *,
    only: Sequence[int] | None = None,
    watch: bool = False,
    stop: threading.Event | None = None,
    report: Watcher = lambda job: None,
    progress: Callable[[Job], Progress] | None = None,
) -> int:
    """Works off the queue and returns how many jobs were done.

    Args:
        only: ids of the jobs to do; returns when all of them have ended, whoever did them. All jobs where None.
        watch: goes on for ever, and queues what pellucid.toml's [train] asks for on every new dataset version.
        stop: set it to make the worker end after the job in hand.
        report: told of each job when it starts and when it ends.
    """
    name = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    stop = stop or threading.Event()
    done = 0
    while not stop.is_set():
        if watch:
            _queue_what_arrived(workspace)
        with workspace.database.write() as connection:
            mine = claim(connection, name, workspace.settings.lease_seconds, only=only)
        if mine is not None:
            report(mine)
            done += _do(workspace, mine, report, progress)
        elif watch or (only is not None and _unfinished(workspace, only)):
            stop.wait(workspace.settings.poll_seconds)
        else:
            break
    return done


def _do(workspace: Workspace, mine: Job, report: Watcher, progress: Callable[[Job], Progress] | None) -> int:
    shown = progress(mine) if progress else None
    try:
        with _Heartbeat(workspace, mine) as heartbeat:

            def tell(what: str, done: int, total: int | None) -> None:
                heartbeat.say(f"{what} {done}/{total}" if total else what)
                if shown:
                    shown(what, done, total)

            do_job(workspace, mine, progress=tell)
    except (KeyboardInterrupt, SystemExit):
        with workspace.database.write() as connection:
            release(connection, mine)
        raise
    except ConcurrencyError:
        pass  # cancelled, or taken over by a worker that thought this one dead: the job is theirs now
    except StorageError:
        with suppress(StorageError), workspace.database.write() as connection:
            release(connection, mine)
        raise  # the job is sound, this machine is not
    except PellucidError as error:
        _fail(workspace, mine, str(error))
    except Exception as error:  # noqa: BLE001 - a user's own head may raise anything; the job keeps the reason
        _fail(workspace, mine, f"{type(error).__name__}: {error}")
    with workspace.database.read() as connection:
        ended = list_jobs(connection, [mine.id])[0]
    report(ended)
    return int(ended.state is JobState.DONE)


def _fail(workspace: Workspace, mine: Job, message: str) -> None:
    with suppress(ConcurrencyError), workspace.database.write() as connection:
        fail(connection, mine, " ".join(message.split())[:2000])


def _unfinished(workspace: Workspace, only: Sequence[int]) -> bool:
    with workspace.database.read() as connection:
        return any(job.state in (JobState.QUEUED, JobState.RUNNING) for job in list_jobs(connection, only))


def _queue_what_arrived(workspace: Workspace) -> None:
    """Queues the configured grid on the newest versions; what was done or is queued already stays as it is."""
    grid = grid_of(workspace.settings)
    if grid is not None and grid.datasets:
        submit(workspace, grid, again=False)


class _Heartbeat:
    """Renews a job's lease while it is being done, and keeps its message up to date."""

    def __init__(self, workspace: Workspace, mine: Job) -> None:
        self._workspace = workspace
        self._mine = mine
        self._message = "starting"
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"pellucid-lease-{mine.id}", daemon=True)

    def say(self, message: str) -> None:
        """What the worker is doing now; shown with the next beat."""
        self._message = message

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _beat(self) -> None:
        lease = self._workspace.settings.lease_seconds
        while not self._over.wait(min(lease / 4, 5.0)):
            with suppress(StorageError), self._workspace.database.write() as connection:
                if not extend(connection, self._mine, lease, self._message):
                    return


def run_workers(count: int, command: Sequence[str]) -> None:
    """Runs the command in so many processes until all of them have ended; Ctrl-C lets each give its job back."""
    processes = [subprocess.Popen(command) for _ in range(count)]
    try:
        for process in processes:
            process.wait()
    except BaseException:
        for process in processes:
            process.send_signal(signal.SIGINT)
        for process in processes:
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
        raise
