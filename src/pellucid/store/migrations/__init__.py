"""Alembic's migrations of the tables in store/schema, one numbered file each, never edited once released."""
