"""The production loop: tokens, live vectors, the ledger, retractions, triggers, verdicts and the embedded stream."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """The production loop."""
    op.create_table(
        "live_vector",
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("sample_id", sa.String(length=64), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", "sample_id", name=op.f("pk_live_vector")),
    )
    op.create_index(op.f("ix_live_vector_at"), "live_vector", ["at"], unique=False)
    op.create_table(
        "receipt",
        sa.Column("source", sa.String(length=256), nullable=False),
        sa.Column("key", sa.String(length=256), nullable=False),
        sa.Column("answer", sa.JSON(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("source", "key", name=op.f("pk_receipt")),
    )
    op.create_index(op.f("ix_receipt_at"), "receipt", ["at"], unique=False)
    op.create_table(
        "stream_event",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("topic", sa.String(length=249), nullable=False),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("headers", sa.JSON(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stream_event")),
    )
    op.create_index("ix_stream_event_topic", "stream_event", ["topic", "id"], unique=False)
    op.create_table(
        "stream_offset",
        sa.Column("consumer", sa.String(length=128), nullable=False),
        sa.Column("topic", sa.String(length=249), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("next", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("consumer", "topic", "partition", name=op.f("pk_stream_offset")),
    )
    op.create_table(
        "token",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("roles", sa.JSON(), nullable=False),
        sa.Column("per_minute", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token")),
        sa.UniqueConstraint("digest", name=op.f("uq_token_digest")),
        sa.UniqueConstraint("name", name=op.f("uq_token_name")),
    )
    op.create_table(
        "firing",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("dataset", sa.String(length=128), nullable=False),
        sa.Column("trigger", sa.String(length=32), nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["dataset"], ["dataset.name"], name=op.f("fk_firing_dataset")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_firing")),
        sa.UniqueConstraint("dataset", "trigger", "key", name=op.f("uq_firing_dataset")),
    )
    op.create_table(
        "retraction",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("dataset", sa.String(length=128), nullable=False),
        sa.Column("actor", sa.String(length=256), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["dataset"], ["dataset.name"], name=op.f("fk_retraction_dataset")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retraction")),
    )
    op.create_index(op.f("ix_retraction_dataset"), "retraction", ["dataset"], unique=False)
    op.create_table(
        "retracted_vote",
        sa.Column("vote_id", ROW_ID, nullable=False),
        sa.Column("retraction_id", ROW_ID, nullable=False),
        sa.ForeignKeyConstraint(["retraction_id"], ["retraction.id"], name=op.f("fk_retracted_vote_retraction_id")),
        sa.ForeignKeyConstraint(["vote_id"], ["vote.id"], name=op.f("fk_retracted_vote_vote_id")),
        sa.PrimaryKeyConstraint("vote_id", name=op.f("pk_retracted_vote")),
    )
    op.create_index(op.f("ix_retracted_vote_retraction_id"), "retracted_vote", ["retraction_id"], unique=False)
    op.create_table(
        "ledger",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("model_name", sa.String(length=128), nullable=False),
        sa.Column("model_version", sa.Integer(), nullable=False),
        sa.Column("sample_id", sa.String(length=64), nullable=False),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("weight", sa.Float(), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("vote_id", ROW_ID, nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("weight >= 0 AND weight <= 1", name=op.f("ck_ledger_weight")),
        sa.ForeignKeyConstraint(
            ["model_name", "model_version"], ["model.name", "model.version"], name="fk_ledger_model"
        ),
        sa.ForeignKeyConstraint(["sample_id"], ["sample.id"], name=op.f("fk_ledger_sample_id")),
        sa.ForeignKeyConstraint(["vote_id"], ["vote.id"], name=op.f("fk_ledger_vote_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger")),
    )
    op.create_index("ix_ledger_model", "ledger", ["model_name", "model_version", "id"], unique=False)
    op.create_table(
        "verdict",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("model_name", sa.String(length=128), nullable=False),
        sa.Column("candidate", sa.Integer(), nullable=False),
        sa.Column("champion", sa.Integer(), nullable=True),
        sa.Column("passed", sa.Integer(), nullable=False),
        sa.Column("figures", sa.JSON(), nullable=False),
        sa.Column("actor", sa.String(length=256), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["model_name", "candidate"], ["model.name", "model.version"], name="fk_verdict_model"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_verdict")),
    )
    op.create_index("ix_verdict_model", "verdict", ["model_name", "candidate"], unique=False)
    op.add_column("prediction", sa.Column("uid", sa.String(length=32), nullable=True))
    op.add_column("prediction", sa.Column("actor", sa.String(length=256), nullable=True))
    op.add_column("prediction", sa.Column("details", sa.JSON(), nullable=True))
    op.create_index("ix_prediction_uid", "prediction", ["uid"], unique=True)
    op.add_column("vote", sa.Column("prediction", sa.String(length=32), nullable=True))
    op.add_column("vote", sa.Column("support", sa.Float(), nullable=True))
    op.add_column("vote", sa.Column("note", sa.Text(), nullable=True))
    op.create_index("ix_vote_dataset_voter", "vote", ["dataset", "voter"], unique=False)
