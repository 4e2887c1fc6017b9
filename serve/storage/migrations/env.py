"""Alembic's entry point: runs the migrations in the transaction that `serve.storage.database` began."""

from alembic import context

from serve.storage.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA, transactional_ddl=True)
context.run_migrations()
