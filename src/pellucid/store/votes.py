"""Votes: who said which label of which sample. They are only ever added; one that is taken back no longer counts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from pellucid.store.samples import chunked
from pellucid.store.schema import ingest, prediction, retracted_vote, retraction, vote
from pellucid.types import KEEPER, Role, Vote

_ID_DIGITS = 64  # of a sample
_PAST = "pellucid_past"  # option of a connection that looks past votes


def add_votes(connection: sa.Connection, votes: Sequence[Vote]) -> None:
    """Records the votes."""
    if votes:
        connection.execute(sa.insert(vote), [_values(item) for item in votes])


def add_vote(connection: sa.Connection, item: Vote) -> int:
    """Records one vote, and returns its number."""
    key = connection.execute(sa.insert(vote).values(**_values(item))).inserted_primary_key
    assert key is not None  # noqa: S101 - the table has a key
    return int(key[0])


def said_so_far(connection: sa.Connection, dataset: str, *, upto: int | None = None) -> tuple[int, int, int]:
    """Finished ingests, the newest vote that was said directly, and the newest retraction: what votes count.

    Args:
        upto: votes with a higher id are not looked at.
    """
    finished = sa.select(sa.func.count()).where(ingest.c.dataset == dataset, ingest.c.finished_at.is_not(None))
    directly = sa.select(sa.func.max(vote.c.id)).where(vote.c.dataset == dataset, vote.c.ingest_id.is_(None))
    if upto is not None:
        directly = directly.where(vote.c.id <= upto)
    taken_back = sa.select(sa.func.max(retraction.c.id)).where(retraction.c.dataset == dataset)
    found = (connection.execute(query).scalar() or 0 for query in (finished, directly, taken_back))
    ingests, newest, retractions = map(int, found)
    return ingests, newest, retractions


def newest_vote(connection: sa.Connection, dataset: str) -> int:
    """The highest id of the dataset's votes, 0 where there is none; no vote with a lower id will appear any more.

    For that it waits for the writers that have taken an id and not yet committed, so it needs a write transaction.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("LOCK TABLE vote IN SHARE MODE"))
    return int(connection.execute(sa.select(sa.func.max(vote.c.id)).where(vote.c.dataset == dataset)).scalar() or 0)


def vote_before(connection: sa.Connection, dataset: str, at: datetime) -> int:
    """The highest id of the dataset's votes that were said until then, 0 where there is none."""
    query = sa.select(sa.func.max(vote.c.id)).where(vote.c.dataset == dataset, vote.c.at <= at)
    return int(connection.execute(query).scalar() or 0)


def count_votes(connection: sa.Connection, dataset: str, after: int) -> int:
    """How many votes of people count that have a higher id."""
    query = (
        sa.select(sa.func.count())
        .select_from(vote)
        .outerjoin(ingest, ingest.c.id == vote.c.ingest_id)
        .where(vote.c.dataset == dataset, vote.c.id > after, vote.c.role != Role.MODEL, _counts(connection))
    )
    return int(connection.execute(query).scalar_one())


def first_to_say(connection: sa.Connection, dataset: str, after: int) -> dict[str, str]:
    """The labels of votes said directly with a higher id, also of those taken back, each with who said it first."""
    mine = (vote.c.dataset == dataset, vote.c.id > after, vote.c.ingest_id.is_(None), vote.c.voter != KEEPER)
    first = sa.select(sa.func.min(vote.c.id)).where(*mine).group_by(vote.c.label)
    rows = connection.execute(sa.select(vote.c.label, vote.c.voter).where(vote.c.id.in_(first))).all()
    return {str(label): str(voter) for label, voter in rows}


def samples_voted(connection: sa.Connection, dataset: str, said: tuple[int, int]) -> list[str]:
    """The samples of votes said directly, with an id above the first and up to the second."""
    query = sa.select(vote.c.sample_id).where(vote.c.dataset == dataset, _said(said), _stands(connection))
    return list(connection.execute(query.distinct()).scalars())


def samples_said(connection: sa.Connection, dataset: str, after: int = 0) -> dict[str, int]:
    """The samples of votes said directly that count and have a higher number, each with its newest such vote."""
    query = sa.select(vote.c.sample_id, sa.func.max(vote.c.id)).where(vote.c.dataset == dataset, vote.c.id > after)
    query = query.where(
        vote.c.ingest_id.is_(None), vote.c.voter != KEEPER, vote.c.role != Role.MODEL, _stands(connection)
    )
    return {str(name): int(newest) for name, newest in connection.execute(query.group_by(vote.c.sample_id)).all()}


def samples_retracted(
    connection: sa.Connection, dataset: str, after: int = 0, *, held: tuple[int, datetime] | None = None
) -> list[str]:
    """The samples of votes that retractions with a number above ``after`` have taken back.

    Args:
        held: only votes that a version of that time may hold: said directly with a number up to the first, or brought
            by an ingest or said as ground truth before the second.
    """
    query = (
        sa.select(vote.c.sample_id)
        .join(retracted_vote, retracted_vote.c.vote_id == vote.c.id)
        .where(vote.c.dataset == dataset, retracted_vote.c.retraction_id > after)
    )
    held_fits = []
    if held is not None:
        upto, at = held
        brought = sa.or_(vote.c.ingest_id.is_not(None), vote.c.role == Role.GROUND_TRUTH)
        held_fits.append(sa.or_(vote.c.id <= upto, sa.and_(brought, vote.c.at <= at)))
    query = query.where(*held_fits)
    past = connection.get_execution_options().get(_PAST)
    if past is not None:
        mine = sa.select(vote.c.sample_id).where(vote.c.dataset == dataset, past, *held_fits)
        query = sa.union(query, mine).subquery().select()
    return list(connection.execute(query.distinct()).scalars())


def retracted_counts(connection: sa.Connection, dataset: str) -> dict[str, int]:
    """How many votes of each voter were taken back."""
    query = sa.select(vote.c.voter, sa.func.count()).join(retracted_vote, retracted_vote.c.vote_id == vote.c.id)
    query = query.where(vote.c.dataset == dataset).group_by(vote.c.voter)
    return {str(name): int(count) for name, count in connection.execute(query).all()}


def standing_votes(connection: sa.Connection, ids: Sequence[int]) -> set[int]:
    """Those of the votes, by number, that are not taken back."""
    queries = (sa.select(vote.c.id).where(vote.c.id.in_(chunk), _stands(connection)) for chunk in chunked(ids))
    return {int(number) for query in queries for number in connection.execute(query).scalars()}


def agreements(connection: sa.Connection, model: str, version: int, since: datetime, limit: int) -> list[bool]:
    """Whether people's last words on the model's answers agree with them, newest first.

    A voter has one say on an answer, however often it is repeated.

    Args:
        since: older votes are not looked at.
        limit: so many at most.
    """
    query = (
        sa.select(vote.c.prediction, vote.c.voter, (vote.c.label == prediction.c.label).label("agrees"))
        .join(prediction, prediction.c.uid == vote.c.prediction)
        .where(prediction.c.model_name == model, prediction.c.model_version == version)
        .where(vote.c.at >= since, vote.c.role != Role.MODEL, _stands(connection))
        .order_by(vote.c.id.desc())
    )
    found: dict[tuple[str, str], bool] = {}
    for row in connection.execute(query):
        if len(found) == limit:
            break
        found.setdefault((row.prediction, row.voter), bool(row.agrees))
    return list(found.values())


def words_on_answers(
    connection: sa.Connection, model: str, version: int, since: datetime, limit: int, *, within: int = 50_000
) -> list[tuple[str, str, str, Role, str]]:
    """People's last words on the model's newest voted answers: uid, label answered, voter, role, label said.

    Args:
        since: older votes are not looked at.
        limit: so many words at most.
        within: nor those that are not among so many newest ones of the project.
    """
    newest = connection.execute(sa.select(sa.func.max(vote.c.id))).scalar() or 0
    query = (
        sa.select(vote.c.prediction, prediction.c.label.label("answered"), vote.c.voter, vote.c.role, vote.c.label)
        .join(prediction, prediction.c.uid == vote.c.prediction)
        .where(vote.c.id > newest - within, vote.c.prediction.is_not(None))
        .where(prediction.c.model_name == model, prediction.c.model_version == version)
        .where(vote.c.at >= since, vote.c.role != Role.MODEL, _stands(connection))
        .order_by(vote.c.id.desc())
    )
    found: dict[tuple[str, str], tuple[str, str, str, Role, str]] = {}
    for row in connection.execute(query):
        if len(found) == limit:
            break
        word = (row.prediction, row.answered, row.voter, Role(row.role), row.label)
        found.setdefault((row.prediction, row.voter), word)
    return list(found.values())


def votes_by(
    connection: sa.Connection, dataset: str, voter: str, most: int, *, before: int | None = None
) -> list[tuple[int, Vote, bool]]:
    """The voter's newest votes, newest first, with their numbers and whether each still counts.

    Args:
        before: only votes with a lower number than this one.
    """
    stands = _stands(connection).label("stands")
    query = sa.select(vote, stands).outerjoin(ingest, ingest.c.id == vote.c.ingest_id)
    query = query.where(vote.c.dataset == dataset, vote.c.voter == voter, _visible())
    if before is not None:
        query = query.where(vote.c.id < before)
    rows = connection.execute(query.order_by(vote.c.id.desc()).limit(most)).all()
    return [(row.id, _vote(row), bool(row.stands)) for row in rows]


def _counts(connection: sa.Connection) -> sa.ColumnElement[bool]:
    """Brought by a finished ingest or said directly, and not taken back."""
    return sa.and_(_visible(), _stands(connection))


def _visible() -> sa.ColumnElement[bool]:
    return sa.or_(vote.c.ingest_id.is_(None), ingest.c.finished_at.is_not(None))


def _stands(connection: sa.Connection, before: int | None = None) -> sa.ColumnElement[bool]:
    taken_back = sa.exists().where(retracted_vote.c.vote_id == vote.c.id)
    stands = ~(taken_back if before is None else taken_back.where(retracted_vote.c.retraction_id <= before))
    past = connection.get_execution_options().get(_PAST)
    return stands if past is None else sa.and_(stands, sa.not_(past))


def _said(said: tuple[int, int]) -> sa.ColumnElement[bool]:
    """Said directly in that range of ids; what `corrupt` keeps is no word of anybody's."""
    return sa.and_(vote.c.ingest_id.is_(None), vote.c.id > said[0], vote.c.id <= said[1], vote.c.voter != KEEPER)


def votes_of(
    connection: sa.Connection,
    dataset: str,
    ids: Sequence[str],
    *,
    without: tuple[int, int] | None = None,
    before: int | None = None,
) -> dict[str, list[Vote]]:
    """The votes on each sample that count, oldest first: of finished ingests, and said directly; none taken back.

    Args:
        without: leaves out what was said directly with an id above the first and up to the second.
        before: looks as if no retraction with a number above it had been.
    """
    found: dict[str, list[Vote]] = defaultdict(list)
    counts = sa.and_(_visible(), _stands(connection, before))
    if without is not None:
        counts = sa.and_(counts, sa.not_(_said(without)))
    for chunk in chunked(ids):
        fits = (vote.c.dataset == dataset, vote.c.sample_id.in_(chunk), counts)
        query = _with_ingest().where(*fits).order_by(vote.c.id)
        for row in connection.execute(query).all():  # at once: row by row takes twice as long
            found[row.sample_id].append(_vote(row))
    return dict(found)


def supports_of(connection: sa.Connection, dataset: str, voter: str, newest: int) -> list[float]:
    """What others gave the labels of the voter's newest votes when they were said, 0..1; those that count only.

    Of each image only the last one: who repeats a word gains no record by it.
    """
    fits = (vote.c.dataset == dataset, vote.c.voter == voter, vote.c.support.is_not(None), _stands(connection))
    query = sa.select(vote.c.id, vote.c.sample_id, vote.c.support).where(*fits).order_by(vote.c.id.desc())
    found: dict[str, float] = {}
    before: int | None = None
    while (
        len(found) < newest
    ):  # by pieces: a database that groups all votes of the dataset takes a thousand times longer
        piece = query.limit(2 * newest) if before is None else query.where(vote.c.id < before).limit(2 * newest)
        rows = connection.execute(piece).all()
        for row in rows:
            found.setdefault(row.sample_id, float(row.support))
        if len(rows) < 2 * newest:
            break
        before = rows[-1].id
    return list(found.values())[:newest]


def find_votes(
    connection: sa.Connection,
    dataset: str,
    *,
    voter: str | None = None,
    sample: str | None = None,
    since: datetime | None = None,
) -> dict[int, Vote]:
    """The votes that count and that all of what is named fits, by their numbers.

    Args:
        sample: an id, or what one begins with.
    """
    fits = [_counts(connection), *_named(dataset, voter, sample, since)]
    rows = connection.execute(_with_ingest().where(*fits).order_by(vote.c.id)).all()
    return {row.id: _vote(row) for row in rows}


def look_past(
    connection: sa.Connection, dataset: str, *, voter: str | None, sample: str | None, since: datetime | None
) -> None:
    """From here on the connection sees no vote that `find_votes` finds by these names, as if all were taken back."""
    fits = sa.and_(*_named(dataset, voter, sample, since), vote.c.voter != KEEPER)
    connection.execution_options(**{_PAST: fits})


def _named(dataset: str, voter: str | None, sample: str | None, since: datetime | None) -> list[sa.ColumnElement[bool]]:
    fits = [vote.c.dataset == dataset]
    fits += [vote.c.voter == voter] if voter is not None else []
    if sample is not None:  # a whole id by the index
        whole = len(sample) == _ID_DIGITS
        fits.append(vote.c.sample_id == sample if whole else vote.c.sample_id.startswith(sample, autoescape=True))
    fits += [vote.c.at >= since] if since is not None else []
    return fits


def columns_of(
    connection: sa.Connection, dataset: str, *, piece: int = 5_000
) -> Iterator[Sequence[tuple[str, str, str, str, datetime, int | None, float | None]]]:
    """The votes that count, oldest first, so many at a time, and of each only what is asked of very many.

    Sample, voter, label, role, time (UTC), the ingest that brought it, and the support. `find_votes` of 200,000 takes
    five times as long.
    """
    columns = (vote.c.sample_id, vote.c.voter, vote.c.label, vote.c.role, vote.c.at, vote.c.ingest_id, vote.c.support)
    query = sa.select(*columns).outerjoin(ingest, ingest.c.id == vote.c.ingest_id)
    query = query.where(vote.c.dataset == dataset, vote.c.voter != KEEPER, _counts(connection)).order_by(vote.c.id)
    yield from connection.execute(query.execution_options(yield_per=piece)).partitions()


def all_votes_on(connection: sa.Connection, datasets: Sequence[str], sample: str) -> dict[int, Vote]:
    """Every vote on the sample in the datasets, by its number: those that count, and those that were taken back."""
    mine = (vote.c.dataset.in_(datasets), vote.c.sample_id == sample)
    rows = connection.execute(_with_ingest().where(*mine, _visible()).order_by(vote.c.id)).all()
    return {row.id: _vote(row) for row in rows}


def _with_ingest() -> sa.Select[Any]:
    return sa.select(vote).outerjoin(ingest, ingest.c.id == vote.c.ingest_id)


def _values(item: Vote) -> dict[str, Any]:
    return {
        "dataset": item.dataset,
        "sample_id": item.sample,
        "label": item.label,
        "role": item.role,
        "voter": item.voter,
        "at": item.at,
        "ingest_id": item.import_id,
        "model": item.model,
        "confidence": item.confidence,
        "prediction": item.prediction,
        "support": item.support,
        "note": item.note,
    }


def _vote(row: sa.Row[Any]) -> Vote:
    return Vote(
        dataset=row.dataset,
        sample=row.sample_id,
        label=row.label,
        role=Role(row.role),
        voter=row.voter,
        at=row.at,
        import_id=row.ingest_id,
        model=row.model,
        confidence=row.confidence,
        prediction=row.prediction,
        support=row.support,
        note=row.note,
    )
