"""Tables of the data and of what is made of them: samples, votes, versions, jobs, models, answers."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from pellucid.store.schema.columns import DIGEST, ROW_ID, UTCDateTime, metadata

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
    Column("at", UTCDateTime, nullable=False, index=True),
    Column("ingest_id", ForeignKey("ingest.id", ondelete="CASCADE"), index=True),
    Column("model", String(160)),
    Column("confidence", Float),
    Column("prediction", String(32)),  # the uid of the answer that it corrects
    Column("support", Float),  # 0..1: the probability that model and other voters gave the label when it was said
    Column("note", Text),
    CheckConstraint("confidence IS NULL OR (confidence >= 0 AND confidence <= 1)", name="confidence"),
    Index("ix_vote_sample_dataset", "sample_id", "dataset"),
    Index("ix_vote_dataset_voter", "dataset", "voter"),
)
_NAMED = vote.c.prediction.is_not(None)  # what an ingest brings names no answer, and costs nothing here
Index("ix_vote_prediction", vote.c.prediction, sqlite_where=_NAMED, postgresql_where=_NAMED)

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

# What a job's worker said of it, line by line.
job_line = Table(
    "job_line",
    metadata,
    Column("id", ROW_ID, primary_key=True),
    Column("job_id", ForeignKey("job.id"), nullable=False, index=True),
    Column("at", UTCDateTime, nullable=False),
    Column("text", Text, nullable=False),
)

# Who takes whatever job waits: a row while it lives, renewed every few seconds.
worker = Table(
    "worker",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("started_at", UTCDateTime, nullable=False),
    Column("seen_at", UTCDateTime, nullable=False),
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
    Column("at", UTCDateTime, nullable=False, index=True),
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
