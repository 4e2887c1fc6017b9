"""The database: tables, migrations, and one repository a file. SQLite by default, PostgreSQL with the same tables."""
