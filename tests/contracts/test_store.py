"""The contract of the store: what holds on every database that a project may live in."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from pellucid.errors import ConcurrencyError, NotFoundError, UsageError
from pellucid.store.aliases import (
    CANDIDATE,
    CHAMPION,
    AliasState,
    Change,
    alias_state,
    aliases_of,
    earlier_champion,
    history_of,
    set_alias,
)
from pellucid.store.database import Database, now_of
from pellucid.store.datasets import (
    Finding,
    commit_version,
    create_dataset,
    dataset_names,
    findings_of,
    get_version,
    latest_version,
    list_versions,
)
from pellucid.store.ingests import (
    Rejected,
    Sighting,
    add_rejected,
    add_sightings,
    begin_ingest,
    finish_ingest,
    forget_abandoned,
    forget_ingest,
    ingests_of,
    metadata_of,
    rejected_in,
    sightings_of,
)
from pellucid.store.jobs import JobSpec, claim, enqueue
from pellucid.store.ledger import Entry, add_entries, standing
from pellucid.store.models import (
    get_model,
    list_models,
    mirror_version,
    register_model,
    set_mirrored,
    unmirrored,
)
from pellucid.store.predictions import add_predictions, count_by_model, predictions_of
from pellucid.store.samples import add_samples, find_id, known_ids, media_of, sketches_of
from pellucid.store.schema import dataset, ingest, set_aside, sighting, vote
from pellucid.store.votes import add_votes, votes_of
from pellucid.types import DatasetVersion, ModelVersion, Prediction, Role, Sample, Split, Vote

AT = datetime(2026, 2, 3, 4, 5, 6, 789_000, UTC)
MakeSamples = Callable[[int], list[str]]
MakeJobs = Callable[..., list[JobSpec]]


def at_once(count: int, act: Callable[[int], Any]) -> list[Any]:
    """What the act gives in so many threads that start together, or the error it raises."""
    barrier = threading.Barrier(count)

    def run(index: int) -> Any:
        barrier.wait()
        try:
            return act(index)
        except ConcurrencyError as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def commit(database: Database, parent: DatasetVersion | None, **values: Any) -> DatasetVersion:
    given: dict[str, Any] = {
        "name": "d",
        "parents": [parent.ref] if parent else [],
        "content_id": "c" * 64,
        "classes": ["a", "b"],
    }
    given |= {"recipe": {"verb": "test"}, "counts": {"images": 3}, "findings": []}
    with database.write() as connection:
        create_dataset(database, connection, "d")
        return commit_version(connection, parent=parent, **(given | values))


# Transactions


def test_a_block_that_fails_changes_nothing(database: Database) -> None:
    def change() -> None:
        with database.write() as connection:
            create_dataset(database, connection, "d")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        change()
    with database.read() as connection:
        assert connection.execute(sa.select(dataset)).all() == []


def test_a_reader_sees_one_state_from_beginning_to_end(database: Database) -> None:
    first = commit(database, None)
    with database.read() as connection:
        assert list_versions(connection) == [first]
        commit(database, first)
        assert list_versions(connection) == [first]
    with database.read() as connection:
        assert len(list_versions(connection)) == 2


def test_times_keep_their_instant_and_need_a_zone(database: Database) -> None:
    there = AT.astimezone(timezone(timedelta(hours=5)))
    with database.write() as connection:
        connection.execute(sa.insert(dataset), [{"name": "d", "created_at": there}])
        found = connection.execute(sa.select(dataset.c.created_at)).scalar_one()
        assert (found, found.utcoffset()) == (AT, timedelta(0))
        assert abs(now_of(connection) - datetime.now(UTC)) < timedelta(minutes=1)
    with pytest.raises(sa.exc.StatementError, match="without a zone"), database.write() as connection:
        connection.execute(sa.insert(dataset), [{"name": "e", "created_at": AT.replace(tzinfo=None)}])


@pytest.mark.parametrize("value", ["\ud800", 2**70], ids=["half a character", "a huge number"])
def test_a_value_that_no_database_holds_is_refused_in_words(database: Database, value: str | int) -> None:
    table, column = (dataset, dataset.c.name) if isinstance(value, str) else (ingest, ingest.c.id)
    with database.read() as connection, pytest.raises(UsageError, match="cannot hold a value"):
        connection.execute(sa.select(table).where(column == value))


def test_texts_of_any_script_survive(database: Database) -> None:
    text = "кот 🐈 \n\t'\"\\ %s {x} é"
    version = commit(database, None, classes=[text, "b"], recipe={"label": text, "none": None, "pi": 3.25})
    with database.read() as connection:
        found = get_version(connection, "d")
    assert found == version
    assert found.classes == (text, "b")
    assert found.recipe == {"label": text, "none": None, "pi": 3.25}


# Samples


def test_samples_are_kept_once_and_come_back_in_the_order_asked_for(database: Database) -> None:
    rng = np.random.default_rng(0)
    sketches = rng.integers(0, 256, (6000, 1024), np.uint8)
    samples = [Sample(f"{index:064x}", "image/png", 3, 4, index, row.tobytes()) for index, row in enumerate(sketches)]
    for _ in range(2):
        with database.write() as connection:
            add_samples(database, connection, [(item, "0" * 64, 0) for item in samples])
            add_samples(database, connection, [])
    order = rng.permutation(6000)
    with database.read() as connection:
        assert known_ids(connection) == {item.id for item in samples}
        np.testing.assert_array_equal(sketches_of(connection, [samples[i].id for i in order]), sketches[order])
        assert media_of(connection, [samples[5].id, "f" * 64]) == {samples[5].id: ("image/png", 3, 4)}
        assert find_id(connection, samples[5].id.upper()) == samples[5].id
        with pytest.raises(NotFoundError, match="several samples begin with '0000'"):
            find_id(connection, "0000")
        with pytest.raises(NotFoundError, match="no sample begins with 'ffff'"):
            find_id(connection, "ffff")
        for prefix in ("000", "%%%%", "____", ""):
            with pytest.raises(NotFoundError, match="is no sample id"):
                find_id(connection, prefix)


def test_two_who_add_the_same_samples_at_once_do_not_disturb_each_other(database: Database) -> None:
    samples = [Sample(f"{index:064x}", "image/png", 3, 4, 5, bytes(1024)) for index in range(300)]

    def add(index: int) -> None:
        order = samples if index % 2 else samples[::-1]  # in a circle, if they were inserted as they come
        with database.write() as connection:
            add_samples(database, connection, [(item, "0" * 64, 0) for item in order])

    assert at_once(4, add) == [None] * 4
    with database.read() as connection:
        assert len(known_ids(connection)) == 300


# Ingests and votes


def read_in(database: Database, ids: Sequence[str], label: str, *, metadata: Any = None) -> int:
    """An ingest that saw one file of each sample, and is not finished."""
    with database.write() as connection:
        create_dataset(database, connection, "d")
        number = begin_ingest(connection, "d", "/pictures", "folder", {"role": Role.ANNOTATOR})
        files = [Sighting(f"{label}/{name}.png", name, Split.TEST, metadata or {}) for name in ids]
        add_sightings(connection, number, files)
        add_votes(connection, [Vote("d", name, label, Role.ANNOTATOR, "me", AT, number) for name in ids])
        add_rejected(connection, number, [Rejected(f"{label}/x.png", "truncated", "line 1\nline 2")])
    return number


def test_an_unfinished_ingest_counts_for_nothing(database: Database, make_samples: MakeSamples) -> None:
    ids = make_samples(2)
    number = read_in(database, ids, "cat", metadata={"site": "a", "n": 1})
    with database.read() as connection:
        assert votes_of(connection, "d", ids) == {}
        assert sightings_of(connection, "d", ids) == {}
        assert metadata_of(connection, "d", ids) == {}
        assert rejected_in(connection, "d") == []
        assert ingests_of(connection, "d") == []
    with database.write() as connection:
        finish_ingest(connection, number)
    with database.read() as connection:
        found = votes_of(connection, "d", ids)
        assert found[ids[0]] == [Vote("d", ids[0], "cat", Role.ANNOTATOR, "me", AT, number)]
        sight = Sighting(f"cat/{ids[0]}.png", ids[0], Split.TEST, {"site": "a", "n": 1})
        assert sightings_of(connection, "d", ids[:1]) == {ids[0]: [sight]}
        assert rejected_in(connection, "d") == [(number, Rejected("cat/x.png", "truncated", "line 1\nline 2"))]
        assert [item["location"] for item in ingests_of(connection, "d")] == ["/pictures"]
        assert votes_of(connection, "other", ids) == {}


def test_forgetting_takes_all_of_an_unfinished_ingest_and_nothing_else(
    database: Database, make_samples: MakeSamples
) -> None:
    ids = make_samples(2)
    kept, lost = read_in(database, ids, "cat"), read_in(database, ids, "dog")
    with database.write() as connection:
        finish_ingest(connection, kept)
    with database.write() as connection:
        forget_ingest(connection, lost)
        forget_ingest(connection, kept)  # finished: a Ctrl-C that came too late must not tear it up
    with database.read() as connection:
        for table in (vote, sighting, set_aside):
            assert set(connection.execute(sa.select(table.c.ingest_id)).scalars()) == {kept}
        assert [item["id"] for item in ingests_of(connection, "d")] == [kept]
        assert len(known_ids(connection)) == 2


def test_only_what_was_abandoned_long_ago_is_removed(database: Database, make_samples: MakeSamples) -> None:
    ids = make_samples(1)
    finished, dead, running = (read_in(database, ids, label) for label in ("cat", "dog", "eel"))
    with database.write() as connection:
        finish_ingest(connection, finished)
        days = {finished: 9, dead: 8, running: 1}
        for number, age in days.items():
            values = {"started_at": datetime.now(UTC) - timedelta(days=age)}
            connection.execute(sa.update(ingest).where(ingest.c.id == number).values(**values))
    with database.write() as connection:
        forget_abandoned(connection, datetime.now(UTC) - timedelta(days=7))
    with database.read() as connection:
        for table in (vote, sighting, set_aside):
            assert set(connection.execute(sa.select(table.c.ingest_id)).scalars()) == {finished, running}
    with pytest.raises(ConcurrencyError, match="run the same command again"), database.write() as connection:
        finish_ingest(connection, dead)


def test_votes_come_back_oldest_first_whoever_said_them(database: Database, make_samples: MakeSamples) -> None:
    ids = make_samples(1)
    number = read_in(database, ids, "cat")
    said = Vote("d", ids[0], "dog", Role.USER, "ann", AT - timedelta(days=1), None, "d@1", 0.75)
    with database.write() as connection:
        finish_ingest(connection, number)
        add_votes(connection, [said])
    with database.read() as connection:
        found = votes_of(connection, "d", ids)[ids[0]]
    assert [item.label for item in found] == ["cat", "dog"]
    assert found[1] == said
    with pytest.raises(sa.exc.IntegrityError), database.write() as connection:
        add_votes(connection, [replace(said, confidence=1.5)])


def test_the_later_file_is_believed_about_metadata(database: Database, make_samples: MakeSamples) -> None:
    ids = make_samples(1)
    for metadata in ({"site": "a", "n": 1}, {"site": "b"}):
        number = read_in(database, ids, "cat", metadata=metadata)
        with database.write() as connection:
            finish_ingest(connection, number)
    with database.read() as connection:
        assert metadata_of(connection, "d", ids) == {ids[0]: {"site": "b", "n": 1}}


# Dataset versions


def test_versions_count_up_and_are_named_by_reference(database: Database) -> None:
    with database.read() as connection:
        with pytest.raises(NotFoundError, match="the project has: none yet"):
            get_version(connection, "d")
        assert latest_version(connection, "d") is None
    found = Finding("conflict", ("f" * 64,), "a and b")
    first = commit(database, None)
    second = commit(database, first, findings=[found, replace(found, kind="near_duplicate")])
    with database.read() as connection:
        assert [get_version(connection, ref) for ref in ("d@1", "d@2", "d", "d@latest")] == [
            first,
            second,
            second,
            second,
        ]
        assert (second.ref, second.parents, second.counts) == ("d@2", ("d@1",), {"images": 3})
        assert dataset_names(connection) == ["d"]
        assert findings_of(connection, first) == []
        assert findings_of(connection, second, "conflict") == [found]
        assert len(findings_of(connection, second)) == 2
        for ref in ("d@3", "d@0"):
            with pytest.raises(NotFoundError, match="d has the versions 1 to 2"):
                get_version(connection, ref)
        with pytest.raises(NotFoundError, match="no dataset 'e'; the project has: d"):
            get_version(connection, "e")
        for ref in ("d@newest", "d@99999999999"):
            with pytest.raises(UsageError, match="names no version"):
                get_version(connection, ref)


def test_of_those_who_commit_at_once_one_wins(database: Database) -> None:
    first = commit(database, None)
    results = at_once(4, lambda index: commit(database, first, classes=[str(index)], findings=[Finding("x", (), "")]))
    won = [item for item in results if isinstance(item, DatasetVersion)]
    assert len(won) == 1
    assert all("meanwhile" in str(item) for item in results if item is not won[0])
    with database.read() as connection:
        assert list_versions(connection, "d") == [first, won[0]]
        assert len(findings_of(connection, won[0])) == 1
    for stale in (None, first):
        with pytest.raises(ConcurrencyError):
            commit(database, stale)


# Models


def values_of(name: str = "d") -> dict[str, Any]:
    values: dict[str, Any] = {
        "name": name,
        "id": "a" * 64,
        "dataset": f"{name}@1",
        "head": "ridge",
        "extractor": "classical",
    }
    values |= {"fingerprint": "f" * 64, "settings": {"lambda": "loo"}, "classes": ["a", "b"]}
    return values | {"metrics": {"accuracy": 0.5}, "uri": "/models/a"}


def register(database: Database, specs: Sequence[JobSpec]) -> list[ModelVersion]:
    with database.write() as connection:
        return [register_model(connection, job.id, values_of()) for job in enqueue(database, connection, specs)]


def test_registering_a_job_twice_gives_one_model(database: Database, make_jobs: MakeJobs) -> None:
    specs = make_jobs(2)
    first, second = register(database, specs)
    assert (first.ref, second.ref) == ("d@1", "d@2")
    assert register(database, specs) == [first, second]
    with database.read() as connection:
        assert list_models(connection) == list_models(connection, "d") == [second, first]
        assert first.settings == {"lambda": "loo"}
        assert first.metrics == {"accuracy": 0.5}


def test_those_who_register_at_once_get_a_number_each(database: Database, make_jobs: MakeJobs) -> None:
    specs = make_jobs(3)
    with database.write() as connection:
        jobs = enqueue(database, connection, specs)

    def act(index: int) -> int:
        with database.write() as connection:
            return register_model(connection, jobs[index // 2].id, values_of()).version

    assert sorted(at_once(6, act)) == [1, 1, 2, 2, 3, 3]


def test_a_wrong_row_is_no_race(database: Database) -> None:
    with pytest.raises(sa.exc.IntegrityError), database.write() as connection:
        register_model(connection, 99, values_of())


def test_a_model_is_found_by_number_and_by_alias(database: Database, make_jobs: MakeJobs) -> None:
    with database.read() as connection, pytest.raises(NotFoundError, match="the project has: none yet"):
        get_model(connection, "d")
    first, second = register(database, make_jobs(2))
    with database.read() as connection:
        with pytest.raises(NotFoundError, match="no champion yet; `pellucid models promote d@2`"):
            get_model(connection, "d")
        with pytest.raises(NotFoundError, match="no candidate"):
            get_model(connection, "d@candidate")
    change = promote(database, second, None)
    with database.read() as connection:
        assert (
            get_model(connection, "d") == get_model(connection, "d@champion") == replace(second, aliases=("champion",))
        )
        assert get_model(connection, "d@1") == first
        assert [item.aliases for item in list_models(connection)] == [("champion",), ()]
        for ref in ("d@3", "d@999999999999", "d@nobody"):
            with pytest.raises(NotFoundError, match=rf"no model {ref}; wanted is d@NUMBER, from 1 to 2"):
                get_model(connection, ref)
        assert history_of(connection) == history_of(connection, "d") == [change]
        assert history_of(connection, "e") == []


def test_the_mirror_is_noted(database: Database, make_jobs: MakeJobs) -> None:
    first, second = register(database, make_jobs(2))
    with database.write() as connection:
        assert unmirrored(connection) == [first, second]
        set_mirrored(connection, first, "17")
        assert unmirrored(connection) == [second]
        assert [mirror_version(connection, item) for item in (first, second)] == ["17", None]


# Aliases


def promote(
    database: Database, model: ModelVersion, seen: int | None, action: str = "promote", alias: str = CHAMPION
) -> Change:
    with database.write() as connection:
        state = alias_state(connection, model.name, alias)
        revision = (state.revision if seen is None else seen) + 1
        change = Change(model.name, alias, revision, action, model.version, state.version, "ann", "better", AT)
        set_alias(connection, change)
    return change


def test_one_question_tells_the_champion_and_how_far_the_ledger_is(
    database: Database, make_jobs: MakeJobs, make_samples: Callable[[int], list[str]]
) -> None:
    first, second = register(database, make_jobs(2))
    a, b = make_samples(2)
    with database.read() as connection:
        assert standing(connection, first) == (None, 0)
    promote(database, second, None)
    entries = [Entry(a, "cat", 1.0, "learn", ""), Entry(b, None, 0.0, "unlearn", "")]
    with database.write() as connection:
        newest = add_entries(connection, second, entries)
        assert standing(connection, second) == (second.version, newest)
        assert standing(connection, first) == (second.version, 0), "each model has a ledger of its own"


def test_of_those_who_promote_at_once_one_wins(database: Database, make_jobs: MakeJobs) -> None:
    models = register(database, make_jobs(3))
    for revision in range(3):
        results = at_once(3, lambda index, seen=revision: promote(database, models[index], seen))  # type: ignore[misc]
        won = [item for item in results if isinstance(item, Change)]
        assert len(won) == 1
        with database.read() as connection:
            assert alias_state(connection, "d", CHAMPION) == AliasState(won[0].version, revision + 1)
            assert aliases_of(connection, "d") == {won[0].version: (CHAMPION,)}
            assert [item.revision for item in history_of(connection)] == list(range(1, revision + 2))


def test_a_stale_promotion_changes_nothing(database: Database, make_jobs: MakeJobs) -> None:
    first, second = register(database, make_jobs(2))
    promote(database, first, 0)
    for seen in (0, 2):
        with pytest.raises(ConcurrencyError, match="changed meanwhile"):
            promote(database, second, seen)
    promote(database, second, None, alias=CANDIDATE)
    with database.read() as connection:
        assert alias_state(connection, "d", CHAMPION) == AliasState(1, 1)
        assert alias_state(connection, "d", "other") == AliasState(None, 0)
        assert [(item.alias, item.version) for item in history_of(connection)] == [("champion", 1), ("candidate", 2)]


@pytest.mark.parametrize(
    ("acts", "earlier"),
    [
        ("1", None),
        ("1 2", 1),
        ("1 2 3", 2),
        ("1 2 r1", None),
        ("1 2 r1 3", 1),
        ("1 2 3 r2 r1", None),
        ("1 2 1", 2),
        ("1 2 1 3 r1", 2),  # back to the later of two reigns, with 2 before it
        ("1 2 r3", 2),
        ("1 2 c3", 1),
    ],
)
def test_rolling_back_goes_down_the_stack_of_champions(
    database: Database, make_jobs: MakeJobs, acts: str, earlier: int | None
) -> None:
    models = register(database, make_jobs(3))
    for act in acts.split():
        action, alias = "rollback" if act[0] == "r" else "promote", CANDIDATE if act[0] == "c" else CHAMPION
        promote(database, models[int(act[-1]) - 1], None, action, alias)
    with database.read() as connection:
        if earlier is None:
            with pytest.raises(UsageError, match="no earlier champion"):
                earlier_champion(connection, "d")
        else:
            assert earlier_champion(connection, "d") == earlier


# Predictions


def test_answers_are_kept_with_their_model(database: Database, make_jobs: MakeJobs) -> None:
    first, second = register(database, make_jobs(2))
    answer = Prediction("caf\udce9/1.png", "e" * 64, "a", 0.75, {"a": 0.75, "b": 0.25}, "d@1")
    failed = Prediction("x.png", None, None, None, {}, "d@1", "truncated")
    with database.write() as connection:
        add_predictions(connection, first, [answer, failed, answer])
        add_predictions(connection, second, [replace(answer, model="d@2", label="b")])
        add_predictions(connection, second, [failed])
    with database.read() as connection:
        found = predictions_of(connection, "e" * 64)
        assert [(row["model_version"], row["label"], row["path"]) for row in found] == [
            (1, "a", "caf\\udce9/1.png"),
            (1, "a", "caf\\udce9/1.png"),
            (2, "b", "caf\\udce9/1.png"),
        ]
        assert json.dumps(found[0]["probabilities"]) == '{"a": 0.75, "b": 0.25}'
        assert count_by_model(connection) == {"d@1": 2, "d@2": 1}
        assert predictions_of(connection, "0" * 64) == []


def test_a_claimed_job_leads_to_its_model(database: Database, make_jobs: MakeJobs) -> None:
    register(database, make_jobs(1))
    with database.write() as connection:
        job = claim(connection, "w", 60)
    assert job is not None
    assert job.result == "d@1"
