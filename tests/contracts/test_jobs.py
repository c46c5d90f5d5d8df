"""The contract of the queue: each job is done exactly once, however many claim and however many die."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from pellucid.errors import ConcurrencyError, NotFoundError, UsageError
from pellucid.store.database import Database
from pellucid.store.jobs import (
    MAX_ATTEMPTS,
    JobSpec,
    cancel,
    claim,
    enqueue,
    extend,
    fail,
    finish,
    get_job,
    list_jobs,
    release,
    retry,
)
from pellucid.types import Job, JobState

MakeJobs = Callable[..., list[JobSpec]]

GONE = -1.0  # seconds: a lease that is over already
LEASE = 600.0


def put(database: Database, specs: list[JobSpec], *, again: bool = True) -> list[Job]:
    with database.write() as connection:
        return enqueue(database, connection, specs, again=again)


def take(database: Database, worker: str = "w", lease: float = LEASE) -> Job:
    with database.write() as connection:
        job = claim(connection, worker, lease)
    assert job is not None
    return job


def now(database: Database, job: Job) -> Job:
    with database.read() as connection:
        return get_job(connection, job.id)


def test_a_queued_job_is_what_was_asked_for(database: Database, make_jobs: MakeJobs) -> None:
    (spec,) = make_jobs(1, priority=3)
    (job,) = put(database, [spec])
    assert (job.dataset, job.model, job.extractor) == ("d@1", "ridge", "classical")
    assert (job.settings, job.seed, job.priority) == ({"lambda": 0}, 2**32, 3)
    assert (job.state, job.attempt, job.worker, job.result) == (JobState.QUEUED, 0, None, None)
    assert now(database, job) == job


def test_equal_work_is_one_job(database: Database, make_jobs: MakeJobs) -> None:
    specs = make_jobs(2)
    first = put(database, specs)
    assert put(database, [specs[1], specs[0], specs[1]]) == [first[1], first[0]]
    with database.read() as connection:
        assert list_jobs(connection) == first
        assert list_jobs(connection, [first[1].id]) == [first[1]]
        assert list_jobs(connection, []) == []
    assert put(database, []) == []


def test_what_decides_the_outcome_decides_the_key(make_jobs: MakeJobs) -> None:
    (spec,) = make_jobs(1)
    settings = {"b": 1, "a": 2}
    same = [replace(spec, priority=9), replace(spec, number=9), replace(spec, extractor="else")]
    other = [
        replace(spec, dataset="e"),
        replace(spec, content_id="1" * 64),
        replace(spec, model="logistic"),
        replace(spec, fingerprint="2" * 64),
        replace(spec, settings={}),
        replace(spec, seed=1),
    ]
    assert {item.key for item in same} == {spec.key}
    assert len({spec.key, *(item.key for item in other)}) == 7
    reordered = dict(reversed(settings.items()))
    assert replace(spec, settings=settings).key == replace(spec, settings=reordered).key
    assert replace(spec, settings={"b": 1.0, "a": 2}).key == replace(spec, settings=settings).key
    assert replace(spec, settings={"b": 1.5, "a": 2}).key != replace(spec, settings=settings).key


def test_a_version_that_is_not_there_cannot_be_queued(database: Database, make_jobs: MakeJobs) -> None:
    (spec,) = make_jobs(1)
    with pytest.raises(NotFoundError, match="no version d@7"):
        put(database, [replace(spec, number=7)])


def test_newer_versions_come_first_then_priority_then_age(database: Database, make_jobs: MakeJobs) -> None:
    old = put(database, make_jobs(1))
    aged = put(database, make_jobs(2, model="b"))
    urgent = put(database, [replace(spec, priority=5, model="c", number=2) for spec in make_jobs(1)])
    later = put(database, make_jobs(1, dataset="e"))
    wanted = [later[0], urgent[0], aged[0], aged[1], old[0]]
    with database.read() as connection:
        assert [job.id for job in list_jobs(connection)] == [job.id for job in wanted]
    assert [take(database).id for _ in wanted] == [job.id for job in wanted]
    with database.write() as connection:
        assert claim(connection, "w", LEASE) is None


def test_asking_again_with_another_priority_moves_what_waits(database: Database, make_jobs: MakeJobs) -> None:
    specs = make_jobs(3)
    jobs = put(database, specs)
    running = take(database)
    assert running.id == jobs[0].id
    moved = put(database, [replace(spec, priority=1) for spec in (specs[0], specs[2])])
    assert [job.priority for job in moved] == [0, 1]
    assert take(database).id == jobs[2].id


def test_a_claim_may_be_limited_to_some_jobs(database: Database, make_jobs: MakeJobs) -> None:
    jobs = put(database, make_jobs(3))
    with database.write() as connection:
        assert claim(connection, "w", LEASE, only=[]) is None
        found = claim(connection, "w", LEASE, only=[jobs[2].id])
        assert found is not None
        assert found.id == jobs[2].id
        assert claim(connection, "w", LEASE, only=[jobs[2].id]) is None


def test_threads_claim_each_job_exactly_once(database: Database, make_jobs: MakeJobs) -> None:
    jobs = put(database, make_jobs(24))
    barrier = threading.Barrier(4)

    def work(index: int) -> list[int]:
        done: list[int] = []
        barrier.wait()
        while True:
            with database.write() as connection:
                job = claim(connection, f"w{index}", LEASE)
                if job is None:
                    return done
            with database.write() as connection:
                finish(connection, job)
            done.append(job.id)

    with ThreadPoolExecutor(4) as pool:
        done = [number for numbers in pool.map(work, range(4)) for number in numbers]
    assert sorted(done) == sorted(job.id for job in jobs)
    with database.read() as connection:
        assert {(job.state, job.attempt) for job in list_jobs(connection)} == {(JobState.DONE, 1)}


def test_processes_claim_each_job_exactly_once(
    database: Database, database_url: str, make_jobs: MakeJobs, child_environ: Mapping[str, str]
) -> None:
    jobs = put(database, make_jobs(20))
    code = (
        "import sys\n"
        "from pellucid.store.database import Database\n"
        "from pellucid.store.jobs import claim, finish\n"
        "database = Database.open(sys.argv[1])\n"
        "print('ready', flush=True)\n"
        "sys.stdin.readline()\n"
        "while True:\n"
        "    with database.write() as connection:\n"
        "        job = claim(connection, sys.argv[2], 600)\n"
        "    if job is None:\n"
        "        break\n"
        "    with database.write() as connection:\n"
        "        finish(connection, job)\n"
        "    print(job.id, flush=True)\n"
    )
    pipe = subprocess.PIPE
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, database_url, f"w{index}"],
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            text=True,
            env=child_environ,
        )
        for index in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    ends = [process.communicate(timeout=60) for process in processes]
    assert [error for _, error in ends] == ["", ""]
    done = [int(number) for text, _ in ends for number in text.split()]
    assert sorted(done) == sorted(job.id for job in jobs)


def test_a_claim_that_is_not_committed_is_skipped_or_waited_for(database: Database, make_jobs: MakeJobs) -> None:
    """A claimer that is killed within its transaction leaves the job to the others."""
    jobs = put(database, make_jobs(1))

    def killed() -> None:
        with database.write() as connection:
            claim(connection, "killed", LEASE)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        killed()
    taken = take(database)
    assert (taken.id, taken.attempt, taken.worker) == (jobs[0].id, 1, "w")


def test_postgres_gives_two_claimers_two_jobs_at_once(database: Database, make_jobs: MakeJobs) -> None:
    if database.dialect == "sqlite":
        return  # one writer at a time: nothing to skip
    put(database, make_jobs(2))
    with database.write() as first, database.write() as second:
        jobs = [claim(connection, "w", LEASE) for connection in (first, second)]
        assert claim(first, "w", LEASE) is None
    assert len({job.id for job in jobs if job}) == 2


def test_a_dead_workers_job_is_taken_over_and_its_own_end_counts_no_more(
    database: Database, make_jobs: MakeJobs
) -> None:
    put(database, make_jobs(1))
    dead = take(database, "dead", GONE)
    heir = take(database, "heir")
    assert (heir.id, heir.attempt, heir.worker) == (dead.id, 2, "heir")
    with database.write() as connection:
        assert not extend(connection, dead, LEASE, "still there")
        release(connection, dead)
    for end in (finish, lambda connection, job: fail(connection, job, "x")):
        with pytest.raises(ConcurrencyError, match="taken over or cancelled"), database.write() as connection:
            end(connection, dead)
    assert now(database, heir) == heir
    with database.write() as connection:
        finish(connection, heir)
    assert now(database, heir).state is JobState.DONE


def test_a_worker_that_took_its_own_job_over_is_told_apart(database: Database, make_jobs: MakeJobs) -> None:
    put(database, make_jobs(1))
    before = take(database, "w", GONE)
    take(database, "w")
    with database.write() as connection:
        assert not extend(connection, before, LEASE, "x")


def test_a_lease_that_is_renewed_in_time_is_kept(database: Database, make_jobs: MakeJobs) -> None:
    put(database, make_jobs(1))
    mine = take(database, "w", GONE)
    with database.write() as connection:
        assert extend(connection, mine, LEASE, "embedding 3/5")
    with database.write() as connection:
        assert claim(connection, "other", LEASE) is None
    assert now(database, mine).message == "embedding 3/5"


def test_a_job_that_kills_its_workers_is_given_up(database: Database, make_jobs: MakeJobs) -> None:
    jobs = put(database, make_jobs(2))
    for attempt in range(1, MAX_ATTEMPTS + 1):
        job = take(database, f"w{attempt}", GONE)
        assert (job.id, job.attempt) == (jobs[0].id, attempt)
    assert take(database).id == jobs[1].id
    lost = now(database, jobs[0])
    assert lost.state is JobState.FAILED
    assert "3 workers died" in lost.message
    assert lost.finished_at is not None


def test_a_job_given_back_costs_no_attempt(database: Database, make_jobs: MakeJobs) -> None:
    put(database, make_jobs(1))
    for _ in range(MAX_ATTEMPTS + 1):
        mine = take(database)
        assert mine.attempt == 1
        with database.write() as connection:
            release(connection, mine)
    assert now(database, mine).state is JobState.QUEUED


def test_a_failed_job_keeps_its_reason_until_it_is_tried_again(database: Database, make_jobs: MakeJobs) -> None:
    specs = make_jobs(1)
    put(database, specs)
    mine = take(database)
    with database.write() as connection:
        fail(connection, mine, "one class only")
    failed = now(database, mine)
    assert (failed.state, failed.message) == (JobState.FAILED, "one class only")
    assert put(database, specs, again=False) == [failed]
    (again,) = put(database, specs)
    assert (again.state, again.message, again.attempt, again.finished_at) == (JobState.QUEUED, "", 0, None)


@pytest.mark.parametrize("running", [False, True])
def test_a_cancelled_job_is_nobodys_until_it_is_retried(database: Database, make_jobs: MakeJobs, running: bool) -> None:
    (job,) = put(database, make_jobs(1))
    mine = take(database) if running else None
    with database.write() as connection:
        cancelled = cancel(connection, job.id)
        assert (cancelled.state, cancelled.message) == (JobState.CANCELLED, "")
        assert cancelled.finished_at is not None
        assert claim(connection, "w", LEASE) is None
    if mine:
        with pytest.raises(ConcurrencyError), database.write() as connection:
            finish(connection, mine)
    with pytest.raises(UsageError, match="is cancelled; only a job that is queued or running can be cancelled"):
        change(database, cancel, job.id)
    with database.write() as connection:
        assert retry(connection, job.id).state is JobState.QUEUED
    with pytest.raises(UsageError, match="is queued; only a job that is cancelled or failed can be retried"):
        change(database, retry, job.id)
    assert take(database).attempt == 1


def change(database: Database, act: Callable[..., Job], job_id: int) -> Job:
    with database.write() as connection:
        return act(connection, job_id)


@pytest.mark.parametrize("act", [cancel, retry, get_job])
def test_an_unknown_job_is_not_found(database: Database, act: Callable[..., Job]) -> None:
    with pytest.raises(NotFoundError, match="no job 77; `pellucid queue list`"):
        change(database, act, 77)


def test_a_done_job_stays_done(database: Database, make_jobs: MakeJobs) -> None:
    specs = make_jobs(1)
    put(database, specs)
    mine = take(database)
    with database.write() as connection:
        finish(connection, mine)
    (done,) = put(database, specs)
    assert (done.state, done.message) == (JobState.DONE, "")
    for act in (cancel, retry):
        with pytest.raises(UsageError, match="is done"):
            change(database, act, done.id)
