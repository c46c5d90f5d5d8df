"""What Alembic runs: the migrations, on the connection and in the transaction that the Database hands over."""

from __future__ import annotations

from alembic import context

from pellucid.store.schema import metadata


def _run() -> None:
    handed = context.config.attributes
    context.configure(
        connection=handed["connection"],
        target_metadata=metadata,
        version_table=handed["version_table"],
        transactional_ddl=True,
        transaction_per_migration=False,
        render_as_batch=True,
    )
    context.run_migrations()


if hasattr(context, "config"):  # only while Alembic runs: an import for any other reason does nothing
    _run()
