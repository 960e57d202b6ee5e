"""Alembic's entry: runs the migrations on the connection that `Database.migrate` hands over."""

from alembic import context
from sqlalchemy import Connection
from sqlmodel import SQLModel

from equipoise_service import tables  # noqa: F401 - fills SQLModel.metadata


def run(connection: Connection) -> None:
    """Migrate within the connection's transaction."""
    context.configure(
        connection=connection,
        target_metadata=SQLModel.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()


run(context.config.attributes["connection"])
