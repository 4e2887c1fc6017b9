"""Numbered changes of the database's tables, run by Alembic; a released one is never edited."""
