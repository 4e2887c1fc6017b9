"""Alembic's entry point: runs the migrations on the connection that `serve.storage.database` hands over, in its transaction."""

from alembic import context

from serve.storage.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA, transactional_ddl=True)
context.run_migrations()
