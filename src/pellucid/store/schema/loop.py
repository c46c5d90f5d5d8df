"""Tables of the production loop: what is retracted, learnt, received, fired, judged and streamed."""

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
    Index("ix_live_vector_sample_at", "sample_id", "at"),  # pruning then reads no vector
)

# What a model has learnt since it was trained: from this line on, the sample stands in it with this label and weight
# (or as it was trained, where label and trust are those of the training).
ledger = Table(
    "ledger",
    metadata,
    Column("id", ROW_ID, primary_key=True),
    Column("model_name", String(128), nullable=False),
    Column("model_version", Integer, nullable=False),
    Column("sample_id", ForeignKey("sample.id"), nullable=False, index=True),
    Column("label", Text),  # NULL where the sample is no longer learnt
    Column("weight", Float, nullable=False),
    Column("strength", Float, nullable=False, server_default="1"),
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
