"""Those who look and steer: sessions, the audit trail, reservations of the review, candidates in the shadow."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Those who look and steer."""
    op.create_table(
        "session",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("token", sa.String(length=128), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_session")),
    )
    op.create_index(op.f("ix_session_expires_at"), "session", ["expires_at"], unique=False)
    op.create_table(
        "act",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("actor", sa.String(length=256), nullable=False),
        sa.Column("verb", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=256), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_act")),
    )
    op.create_index(op.f("ix_act_at"), "act", ["at"], unique=False)
    op.create_table(
        "reservation",
        sa.Column("dataset", sa.String(length=128), nullable=False),
        sa.Column("sample_id", sa.String(length=64), nullable=False),
        sa.Column("holder", sa.String(length=256), nullable=False),
        sa.Column("until", TIME, nullable=False),
        sa.ForeignKeyConstraint(["dataset"], ["dataset.name"], name=op.f("fk_reservation_dataset")),
        sa.PrimaryKeyConstraint("dataset", "sample_id", name=op.f("pk_reservation")),
    )
    op.create_table(
        "shadow",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("model_name", sa.String(length=128), nullable=False),
        sa.Column("candidate", sa.Integer(), nullable=False),
        sa.Column("share", sa.Float(), nullable=False),
        sa.Column("actor", sa.String(length=256), nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("ended_at", TIME, nullable=True),
        sa.Column("dropped", sa.BigInteger(), nullable=False),
        sa.Column("trouble", sa.Text(), nullable=True),
        sa.CheckConstraint("share > 0 AND share <= 1", name=op.f("ck_shadow_share")),
        sa.ForeignKeyConstraint(["model_name", "candidate"], ["model.name", "model.version"], name="fk_shadow_model"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shadow")),
    )
    op.create_index("ix_shadow_model", "shadow", ["model_name", "candidate"], unique=False)
    runs = sa.text("ended_at IS NULL")
    op.create_index(
        "ix_shadow_running", "shadow", ["model_name"], unique=True, sqlite_where=runs, postgresql_where=runs
    )
    op.create_table(
        "shadow_answer",
        sa.Column("shadow_id", ROW_ID, nullable=False),
        sa.Column("sample_id", sa.String(length=64), nullable=False),
        sa.Column("prediction", sa.String(length=32), nullable=False),
        sa.Column("champion", sa.Integer(), nullable=False),
        sa.Column("champion_label", sa.Text(), nullable=False),
        sa.Column("champion_confidence", sa.Float(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("confidence", sa.Float(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["shadow_id"], ["shadow.id"], name=op.f("fk_shadow_answer_shadow_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("shadow_id", "sample_id", name=op.f("pk_shadow_answer")),
    )
    op.create_index("ix_shadow_answer_at", "shadow_answer", ["shadow_id", "at"], unique=False)
    for name in ("prediction", "vote"):  # for those who look at a range of time
        op.create_index(op.f(f"ix_{name}_at"), name, ["at"], unique=False)
