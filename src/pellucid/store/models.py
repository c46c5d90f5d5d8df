"""The registry of trained models."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from pellucid.errors import ConcurrencyError, NotFoundError
from pellucid.store.aliases import CHAMPION, alias_state, aliases_of
from pellucid.store.schema import model
from pellucid.types import ModelVersion


def register_model(connection: sa.Connection, job_id: int, values: Mapping[str, Any]) -> ModelVersion:
    """Adds the model that the job made, under the next version number of its name.

    Registering the same job twice gives the same version.
    """
    query = sa.select(model.c.version).where(model.c.job_id == job_id)
    version = connection.execute(query).scalar()
    if version is None:
        highest = sa.select(sa.func.coalesce(sa.func.max(model.c.version), 0)).where(model.c.name == values["name"])
        version = connection.execute(highest).scalar_one() + 1
        row = {**values, "version": version, "job_id": job_id, "created_at": datetime.now(UTC)}
        try:
            connection.execute(sa.insert(model).values(**row))
        except sa.exc.IntegrityError as error:
            raise ConcurrencyError(f"{values['name']} got version {version} meanwhile; it is tried again") from error
    return get_model(connection, f"{values['name']}@{version}")


def get_model(connection: sa.Connection, ref: str) -> ModelVersion:
    """The model that ``NAME@VERSION``, ``NAME@champion`` or ``NAME`` (its champion) names.

    Raises:
        NotFoundError: there is none; the message says how to get one.
    """
    name, _, what = ref.partition("@")
    version = int(what) if what.isdecimal() else alias_state(connection, name, what or CHAMPION).version
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
    raise NotFoundError(f"no model {ref}; {name} has the versions 1 to {known}")


def list_models(connection: sa.Connection, name: str | None = None) -> list[ModelVersion]:
    """The versions of one name or of all, newest first."""
    query = sa.select(model)
    if name is not None:
        query = query.where(model.c.name == name)
    rows = connection.execute(query.order_by(model.c.name, model.c.version.desc())).all()
    aliases = {found: aliases_of(connection, found) for found in {row.name for row in rows}}
    return [_model(row, aliases[row.name].get(row.version, ())) for row in rows]


def unmirrored(connection: sa.Connection) -> list[ModelVersion]:
    """The models whose mirror in MLflow is not known to be complete, oldest first."""
    query = sa.select(model).where(model.c.mlflow_version.is_(None)).order_by(model.c.created_at)
    return [_model(row, ()) for row in connection.execute(query)]


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
