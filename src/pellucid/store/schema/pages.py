"""Tables of those who look and steer: sessions, acts, reservations, and candidates in the shadow."""

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
    String,
    Table,
    Text,
)

from pellucid.store.schema.columns import DIGEST, ROW_ID, UTCDateTime, metadata

# Who has logged in on the pages. The cookie's own value is kept nowhere.
session = Table(
    "session",
    metadata,
    Column("digest", DIGEST, primary_key=True),  # sha256 of the cookie
    Column("token", String(128), nullable=False),  # the name of the token that was shown
    Column("created_at", UTCDateTime, nullable=False),
    Column("seen_at", UTCDateTime, nullable=False),
    Column("expires_at", UTCDateTime, nullable=False, index=True),
)

# The audit trail: who did what on the pages or over HTTP that changes production.
act = Table(
    "act",
    metadata,
    Column("id", ROW_ID, primary_key=True),
    Column("at", UTCDateTime, nullable=False, index=True),
    Column("actor", String(256), nullable=False),
    Column("verb", String(32), nullable=False),
    Column("subject", String(256), nullable=False),
    Column("detail", JSON, nullable=False),
)

# Who is looking at which picture of the review queue, so that nobody else is shown it meanwhile.
reservation = Table(
    "reservation",
    metadata,
    Column("dataset", ForeignKey("dataset.name"), primary_key=True),
    Column("sample_id", DIGEST, primary_key=True),
    Column("holder", String(256), nullable=False),
    Column("until", UTCDateTime, nullable=False),
)

# A candidate that answers beside the champion, to nobody, on a share of what is asked.
shadow = Table(
    "shadow",
    metadata,
    Column("id", ROW_ID, primary_key=True),
    Column("model_name", String(128), nullable=False),
    Column("candidate", Integer, nullable=False),
    Column("share", Float, nullable=False),  # of the images, above 0 and at most 1
    Column("actor", String(256), nullable=False),
    Column("started_at", UTCDateTime, nullable=False),
    Column("ended_at", UTCDateTime),  # NULL while it runs
    Column("dropped", BigInteger, nullable=False),  # images that servers were too busy for, or that failed
    Column("trouble", Text),  # what keeps the candidate from answering; NULL where nothing does
    CheckConstraint("share > 0 AND share <= 1", name="share"),
    ForeignKeyConstraint(["model_name", "candidate"], ["model.name", "model.version"], name="fk_shadow_model"),
    Index("ix_shadow_model", "model_name", "candidate"),
)
_RUNS = shadow.c.ended_at.is_(None)  # one a name
Index("ix_shadow_running", shadow.c.model_name, unique=True, sqlite_where=_RUNS, postgresql_where=_RUNS)

# What champion and candidate said of an image when it came first; either may have learnt it where it comes again.
shadow_answer = Table(
    "shadow_answer",
    metadata,
    Column("shadow_id", ForeignKey("shadow.id", ondelete="CASCADE"), primary_key=True),
    Column("sample_id", DIGEST, primary_key=True),
    Column("prediction", String(32), nullable=False),  # the uid of the champion's answer
    Column("champion", Integer, nullable=False),  # the version that gave it
    Column("champion_label", Text, nullable=False),
    Column("champion_confidence", Float, nullable=False),
    Column("label", Text, nullable=False),
    Column("confidence", Float, nullable=False),
    Column("at", UTCDateTime, nullable=False),  # of the champion's answer
    Index("ix_shadow_answer_at", "shadow_id", "at"),
)
