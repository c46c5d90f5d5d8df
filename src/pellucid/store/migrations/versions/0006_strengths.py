"""How much of a label is learnt, beside how much its image counts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """What was learnt by weight alone is read so, until it is judged anew."""
    op.add_column("ledger", sa.Column("strength", sa.Float(), nullable=False, server_default="1"))
