"""The tables. The database holds the invariants: what must be unique or present is said here, not in code."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

DIGEST = String(64)  # sha256, hexadecimal
ROW_ID = BigInteger().with_variant(Integer, "sqlite")  # only an INTEGER key counts up on SQLite; it has 64 bits there


class UTCDateTime(TypeDecorator[datetime]):
    """Aware UTC times in and out, also where the database (SQLite) keeps no zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuses naive times, stores the rest as UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a zone was offered: {value}")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Gives aware UTC times."""
        if value is None:
            return None
        found: datetime = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        return found


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

sample = Table(
    "sample",
    metadata,
    Column("id", DIGEST, primary_key=True),
    Column("media_type", String(64), nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("pack", DIGEST, nullable=False),  # in which its image lies
    Column("offset", BigInteger, nullable=False),  # bytes from the pack's beginning
    Column("sketch", LargeBinary, nullable=False),
)

dataset = Table(
    "dataset",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("created_at", UTCDateTime, nullable=False),
)

# One ingest is invisible until its finished_at is set, in the transaction that commits the dataset version.
ingest = Table(
    "ingest",
    metadata,
    Column("id", ROW_ID, primary_key=True),
    Column("dataset", ForeignKey("dataset.name"), nullable=False, index=True),
    Column("location", Text, nullable=False),
    Column("layout", String(32), nullable=False),
    Column("options", JSON, nullable=False),
    Column("started_at", UTCDateTime, nullable=False),
    Column("finished_at", UTCDateTime),
)

# Where a sample was seen: one row per file of an ingest, with the free metadata that came with it.
sighting = Table(
    "sighting",
    metadata,
    Column("id", ROW_ID, primary_key=True),
    Column("ingest_id", ForeignKey("ingest.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("path", Text, nullable=False),
    Column("sample_id", ForeignKey("sample.id"), nullable=False, index=True),
    Column("split", String(16)),
    Column("metadata", JSON(none_as_null=True)),  # NULL where the file came with none
)

set_aside = Table(
    "set_aside",
    metadata,
    Column("id", ROW_ID, primary_key=True),
    Column("ingest_id", ForeignKey("ingest.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("path", Text, nullable=False),
    Column("reason", String(64), nullable=False),
    Column("detail", Text, nullable=False),
)

vote = Table(
    "vote",
    metadata,
    Column("id", ROW_ID, primary_key=True),
    Column("dataset", ForeignKey("dataset.name"), nullable=False),
    Column("sample_id", ForeignKey("sample.id"), nullable=False),
    Column("label", Text, nullable=False),
    Column("role", String(16), nullable=False),
    Column("voter", Text, nullable=False),
    Column("at", UTCDateTime, nullable=False),
    Column("ingest_id", ForeignKey("ingest.id", ondelete="CASCADE"), index=True),
    Column("model", String(160)),
    Column("confidence", Float),
    Column("prediction", String(32)),  # the uid of the answer that it corrects
    Column("support", Float),  # 0..1: the probability that model and other voters gave the label when it was said
    Column("note", Text),
    CheckConstraint("confidence IS NULL OR (confidence >= 0 AND confidence <= 1)", name="confidence"),
    Index("ix_vote_dataset_sample", "dataset", "sample_id"),
    Index("ix_vote_dataset_voter", "dataset", "voter"),
)

dataset_version = Table(
    "dataset_version",
    metadata,
    Column("dataset", ForeignKey("dataset.name"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("content_id", DIGEST, nullable=False, index=True),
    Column("parents", JSON, nullable=False),
    Column("recipe", JSON, nullable=False),
    Column("classes", JSON, nullable=False),
    Column("counts", JSON, nullable=False),
    Column("ingest_id", ForeignKey("ingest.id")),
    Column("created_at", UTCDateTime, nullable=False),
)

# What a version's making found in the data: conflicts, near-duplicates, torn groups.
finding = Table(
    "finding",
    metadata,
    Column("id", ROW_ID, primary_key=True),
    Column("dataset", String(128), nullable=False),
    Column("number", Integer, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("samples", JSON, nullable=False),
    Column("detail", Text, nullable=False),
    ForeignKeyConstraint(
        ["dataset", "number"],
        ["dataset_version.dataset", "dataset_version.number"],
        name="fk_finding_version",
    ),
    Index("ix_finding_version", "dataset", "number"),
)

job = Table(
    "job",
    metadata,
    Column("id", ROW_ID, primary_key=True),
    Column("key", DIGEST, nullable=False, unique=True),
    Column("dataset", String(128), nullable=False),
    Column("number", Integer, nullable=False),
    Column("version_at", UTCDateTime, nullable=False),
    Column("model", Text, nullable=False),
    Column("extractor", Text, nullable=False),
    Column("settings", JSON, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("worker", String(128)),
    Column("lease_until", UTCDateTime),
    Column("created_at", UTCDateTime, nullable=False),
    Column("finished_at", UTCDateTime),
    Column("message", Text, nullable=False),
    CheckConstraint("state IN ('queued', 'running', 'done', 'failed', 'cancelled')", name="state"),
    ForeignKeyConstraint(
        ["dataset", "number"], ["dataset_version.dataset", "dataset_version.number"], name="fk_job_version"
    ),
    Index("ix_job_order", "state", "version_at", "priority", "created_at"),
)

model = Table(
    "model",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("id", DIGEST, nullable=False),
    Column("job_id", ForeignKey("job.id"), nullable=False, unique=True),
    Column("dataset", String(160), nullable=False),
    Column("head", Text, nullable=False),
    Column("extractor", Text, nullable=False),
    Column("fingerprint", DIGEST, nullable=False),
    Column("settings", JSON, nullable=False),
    Column("classes", JSON, nullable=False),
    Column("metrics", JSON, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("uri", Text, nullable=False),
    Column("mlflow_version", String(32)),  # None until the mirror in MLflow is known to be complete
)

alias = Table(
    "alias",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("alias", String(32), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("revision", Integer, nullable=False),  # compare-and-swap: a writer names the revision that it saw
    ForeignKeyConstraint(["name", "version"], ["model.name", "model.version"], name="fk_alias_model"),
)

alias_history = Table(
    "alias_history",
    metadata,
    Column("id", ROW_ID, primary_key=True),
    Column("name", String(128), nullable=False),
    Column("alias", String(32), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("action", String(16), nullable=False),
    Column("version", Integer, nullable=False),
    Column("previous", Integer),
    Column("actor", String(256), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", UTCDateTime, nullable=False),
    UniqueConstraint("name", "alias", "revision"),
)

prediction = Table(
    "prediction",
    metadata,
    Column("id", ROW_ID, primary_key=True),
    Column("at", UTCDateTime, nullable=False),
    Column("model_name", String(128), nullable=False),
    Column("model_version", Integer, nullable=False),
    Column("sample_id", DIGEST, nullable=False, index=True),
    Column("path", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("confidence", Float, nullable=False),
    Column("probabilities", JSON, nullable=False),
    Column("uid", String(32)),  # what a client knows it by; NULL where nobody outside asked
    Column("actor", String(256)),  # who asked
    Column("details", JSON(none_as_null=True)),  # conformal set, entropy, novelty, and how far the ledger was learnt
    ForeignKeyConstraint(["model_name", "model_version"], ["model.name", "model.version"], name="fk_prediction_model"),
    Index("ix_prediction_model", "model_name", "model_version"),
    Index("ix_prediction_uid", "uid", unique=True),
)

# A vote stays for ever; one that is retracted no longer counts.
retraction = Table(
    "retraction",
    metadata,
    Column("id", ROW_ID, primary_key=True),
    Column("dataset", ForeignKey("dataset.name"), nullable=False, index=True),
    Column("actor", String(256), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", UTCDateTime, nullable=False),
)

retracted_vote = Table(
    "retracted_vote",
    metadata,
    Column("vote_id", ForeignKey("vote.id"), primary_key=True),
    Column("retraction_id", ForeignKey("retraction.id"), nullable=False, index=True),
)

# The vectors of images that came one by one, so that a label that comes later needs no second look.
live_vector = Table(
    "live_vector",
    metadata,
    Column("fingerprint", DIGEST, primary_key=True),
    Column("sample_id", DIGEST, primary_key=True),
    Column("vector", LargeBinary, nullable=False),  # float32, little-endian
    Column("at", UTCDateTime, nullable=False, index=True),
)

# What a model has learnt since it was trained: from this line on, the sample stands in it with this label and weight.
ledger = Table(
    "ledger",
    metadata,
    Column("id", ROW_ID, primary_key=True),
    Column("model_name", String(128), nullable=False),
    Column("model_version", Integer, nullable=False),
    Column("sample_id", ForeignKey("sample.id"), nullable=False),
    Column("label", Text),  # NULL where the sample is no longer learnt
    Column("weight", Float, nullable=False),
    Column("action", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("vote_id", ForeignKey("vote.id")),  # the vote that was the occasion
    Column("at", UTCDateTime, nullable=False),
    CheckConstraint("weight >= 0 AND weight <= 1", name="weight"),
    ForeignKeyConstraint(["model_name", "model_version"], ["model.name", "model.version"], name="fk_ledger_model"),
    Index("ix_ledger_model", "model_name", "model_version", "id"),
)

# What was received once and is not to count again: feedback by a client's id, events by source and id.
receipt = Table(
    "receipt",
    metadata,
    Column("source", String(256), primary_key=True),
    Column("key", String(256), primary_key=True),
    Column("answer", JSON, nullable=False),
    Column("at", UTCDateTime, nullable=False, index=True),
)

token = Table(
    "token",
    metadata,
    Column("id", ROW_ID, primary_key=True),
    Column("name", String(128), nullable=False, unique=True),
    Column("digest", DIGEST, nullable=False, unique=True),  # sha256 of the token, which is kept nowhere
    Column("roles", JSON, nullable=False),
    Column("per_minute", Integer),  # requests; NULL for no limit
    Column("created_at", UTCDateTime, nullable=False),
    Column("revoked_at", UTCDateTime),
)

# A condition for retraining that has come true; it fires once, whoever sees it first.
firing = Table(
    "firing",
    metadata,
    Column("id", ROW_ID, primary_key=True),
    Column("dataset", ForeignKey("dataset.name"), nullable=False),
    Column("trigger", String(32), nullable=False),
    Column("key", String(128), nullable=False),  # what makes this occasion different from the last one
    Column("state", String(16), nullable=False),
    Column("detail", JSON, nullable=False),
    Column("at", UTCDateTime, nullable=False),
    UniqueConstraint("dataset", "trigger", "key"),
)

# What the gate said of a candidate.
verdict = Table(
    "verdict",
    metadata,
    Column("id", ROW_ID, primary_key=True),
    Column("model_name", String(128), nullable=False),
    Column("candidate", Integer, nullable=False),
    Column("champion", Integer),
    Column("passed", Integer, nullable=False),  # 1 or 0
    Column("figures", JSON, nullable=False),
    Column("actor", String(256), nullable=False),
    Column("at", UTCDateTime, nullable=False),
    ForeignKeyConstraint(["model_name", "candidate"], ["model.name", "model.version"], name="fk_verdict_model"),
    Index("ix_verdict_model", "model_name", "candidate"),
)

# The embedded stream: events in the order of their ids, and how far each group of consumers has come.
stream_event = Table(
    "stream_event",
    metadata,
    Column("id", ROW_ID, primary_key=True),
    Column("topic", String(249), nullable=False),
    Column("key", Text),
    Column("headers", JSON, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("at", UTCDateTime, nullable=False),
    Index("ix_stream_event_topic", "topic", "id"),
)

stream_offset = Table(
    "stream_offset",
    metadata,
    Column("consumer", String(128), primary_key=True),
    Column("topic", String(249), primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("next", BigInteger, nullable=False),
)
