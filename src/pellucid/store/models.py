"""The registry of trained models."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from pellucid.errors import ConcurrencyError, NotFoundError
from pellucid.store.aliases import CANDIDATE, CHAMPION, alias_state, aliases_of
from pellucid.store.datasets import MAX_DIGITS
from pellucid.store.schema import model
from pellucid.types import ModelVersion

_ATTEMPTS = 100  # registrations that may take the number first before this one gives up


def register_model(connection: sa.Connection, job_id: int, values: Mapping[str, Any]) -> ModelVersion:
    """Adds the model that the job made, under the next version number of its name.

    Registering the same job twice gives the same version. Where another process takes the number first, the next one
    is taken: its commit is waited for.

    Raises:
        ConcurrencyError: others were faster every time; nothing was changed.
    """
    name = values["name"]
    mine = sa.select(model.c.version).where(model.c.job_id == job_id)
    highest = sa.select(sa.func.coalesce(sa.func.max(model.c.version), 0)).where(model.c.name == name)
    row = {**values, "job_id": job_id, "created_at": datetime.now(UTC)}
    for _ in range(_ATTEMPTS):
        version = connection.execute(mine).scalar()
        if version is None:
            version = connection.execute(highest).scalar_one() + 1
            try:
                with connection.begin_nested():
                    connection.execute(sa.insert(model).values(**row, version=version))
            except sa.exc.IntegrityError:
                if connection.execute(highest).scalar_one() < version and connection.execute(mine).scalar() is None:
                    raise  # nobody took the number: the row itself is wrong
                continue
        return get_model(connection, f"{name}@{version}")
    raise ConcurrencyError(f"models of {name} are being registered by others all the time; run the command again")


def get_model(connection: sa.Connection, ref: str) -> ModelVersion:
    """The model that ``NAME@VERSION``, ``NAME@champion`` or ``NAME`` (its champion) names.

    Raises:
        NotFoundError: there is none; the message says how to get one.
    """
    name, _, what = ref.partition("@")
    numbered = what.isdecimal() and len(what) <= MAX_DIGITS
    version = int(what) if numbered else alias_state(connection, name, what or CHAMPION).version
    query = sa.select(model).where(model.c.name == name, model.c.version == version)
    row = connection.execute(query).first() if version is not None else None
    if row is not None:
        return _model(row, aliases_of(connection, name).get(row.version, ()))
    known = connection.execute(sa.select(sa.func.max(model.c.version)).where(model.c.name == name)).scalar()
    if known is None:
        names = connection.execute(sa.select(model.c.name).distinct()).scalars().all()
        have = ", ".join(sorted(names)) or "none yet; `pellucid train` makes them"
        raise NotFoundError(f"no model named {name!r}; the project has: {have}")
    if version is None and what in {"", CHAMPION}:
        raise NotFoundError(f"{name} has no champion yet; `pellucid models promote {name}@{known}` makes one")
    if version is None and what == CANDIDATE:
        raise NotFoundError(f"{name} has no candidate; `pellucid models list {name}` shows the versions it has")
    raise NotFoundError(f"no model {ref}; wanted is {name}@NUMBER, from 1 to {known}, {name}@champion or @candidate")


def model_names(connection: sa.Connection) -> list[str]:
    """The names that have models."""
    return list(connection.execute(sa.select(model.c.name).distinct().order_by(model.c.name)).scalars())


def list_models(connection: sa.Connection, name: str | None = None, *, limit: int | None = None) -> list[ModelVersion]:
    """The versions of one name or of all, newest first; at most ``limit``."""
    query = sa.select(model)
    if name is not None:
        query = query.where(model.c.name == name)
    rows = connection.execute(query.order_by(model.c.name, model.c.version.desc()).limit(limit)).all()
    aliases = {found: aliases_of(connection, found) for found in {row.name for row in rows}}
    return [_model(row, aliases[row.name].get(row.version, ())) for row in rows]


def unmirrored(connection: sa.Connection) -> list[ModelVersion]:
    """The models whose mirror in MLflow is not known to be complete, oldest first."""
    query = sa.select(model).where(model.c.mlflow_version.is_(None))
    return [_model(row, ()) for row in connection.execute(query.order_by(model.c.created_at, model.c.version))]


def forget_mirrors(connection: sa.Connection) -> None:
    """Takes no model's mirror for complete any more: MLflow was moved, or lost what it had."""
    connection.execute(sa.update(model).values(mlflow_version=None))


def set_mirrored(connection: sa.Connection, item: ModelVersion, mlflow_version: str) -> None:
    """Notes that MLflow has the model, and under which version."""
    where = sa.and_(model.c.name == item.name, model.c.version == item.version)
    connection.execute(sa.update(model).where(where).values(mlflow_version=mlflow_version))


def mirror_version(connection: sa.Connection, item: ModelVersion) -> str | None:
    """The model's version in MLflow, or None where it is not mirrored yet."""
    query = sa.select(model.c.mlflow_version).where(model.c.name == item.name, model.c.version == item.version)
    return connection.execute(query).scalar()


def _model(row: Any, aliases: tuple[str, ...]) -> ModelVersion:
    return ModelVersion(
        name=row.name,
        version=row.version,
        id=row.id,
        dataset=row.dataset,
        head=row.head,
        extractor=row.extractor,
        fingerprint=row.fingerprint,
        settings=row.settings,
        classes=tuple(row.classes),
        metrics=row.metrics,
        created_at=row.created_at,
        uri=row.uri,
        aliases=aliases,
    )
