"""What pruning asks of every answer, vector and image: whether anybody has said or learnt something of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """What pruning asks."""
    named = sa.text("prediction IS NOT NULL")
    op.create_index("ix_vote_prediction", "vote", ["prediction"], sqlite_where=named, postgresql_where=named)
    op.create_index("ix_vote_sample_dataset", "vote", ["sample_id", "dataset"], unique=False)
    op.drop_index("ix_vote_dataset_sample", "vote")  # the one before does all that it did
    op.create_index(op.f("ix_ledger_sample_id"), "ledger", ["sample_id"], unique=False)
    op.create_index("ix_live_vector_sample_at", "live_vector", ["sample_id", "at"], unique=False)
