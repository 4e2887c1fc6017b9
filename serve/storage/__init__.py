"""The database: how it is opened, its tables and its migrations. SQLite by default, PostgreSQL with the same tables.

The repositories are in the folders of their subjects, such as `serve/money/budget_repository.py`.
"""
