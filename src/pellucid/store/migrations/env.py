"""What Alembic runs: the migrations, on the connection and in the transaction that the Database hands over."""

from __future__ import annotations

from alembic import context

from pellucid.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=context.config.attributes["version_table"],
    transactional_ddl=True,
    transaction_per_migration=False,
    render_as_batch=True,
)
context.run_migrations()
