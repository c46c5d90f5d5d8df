"""Alembic's migrations of the tables in store/schema.py, one numbered file each, never edited once released."""
