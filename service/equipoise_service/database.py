"""The metadata database: engine, migrations, transactions.

Every change runs in one write transaction that is committed before the request is answered. Hooks let the
layers above publish what changed (`before_commit`) and refresh what they keep in memory (`after_commit`),
so no change can be stored and not published.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, DateTime, Dialect, Engine, create_engine, event, make_url, text
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, Session, SQLModel

_BUSY_TIMEOUT_MS = 10_000
_WRITE = "equipoise_write"
_MIGRATE = "equipoise_migrate"

# Every constraint has a name, so that a later migration can change it.
SQLModel.metadata.naming_convention = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class UtcDateTime(TypeDecorator[datetime]):
    """A point in time: aware in Python, UTC in the database, on every engine."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002 - the base class calls it so
    ) -> datetime | None:
        """Store as UTC without a zone; a naive time is a programming error."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002 - the base class calls it so
    ) -> datetime | None:
        """Give back as UTC."""
        return None if value is None else value.replace(tzinfo=UTC)


class SchemaTooNew(Exception):
    """The metadata database was migrated by a newer release; this one must not touch it."""


class Change(SQLModel, table=True):
    """One row whose counter grows with every write: how a process notices what another one changed."""

    __tablename__ = "change"

    id: int = Field(default=1, primary_key=True)
    counter: int = Field(default=0)


class Database:
    """The metadata database of one process.

    Args:
        url: SQLAlchemy URL.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = _engine(url)
        self.before_commit: list[Callable[[Session], None]] = []
        self.after_commit: list[Callable[[], None]] = []

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session for reading, with one consistent view."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session for changing: committed at the end, rolled back on any error."""
        engine = self.engine.execution_options(**{_WRITE: True})
        with Session(engine, expire_on_commit=False) as session:
            yield session
            session.flush()
            for hook in self.before_commit:
                hook(session)
            session.connection().execute(text("UPDATE change SET counter = counter + 1"))
            session.commit()
        for refresh in self.after_commit:
            refresh()

    def change_counter(self) -> int:
        """How many write transactions were committed, by any process."""
        with self.engine.connect() as connection:
            return int(connection.execute(text("SELECT counter FROM change")).scalar_one())

    def migrate(self) -> tuple[str | None, str]:
        """Bring the schema to this release's revision.

        Returns:
            The revision before (absent for a new database) and after.

        Raises:
            SchemaTooNew: This release does not know the revision that the database is at.
        """
        config = Config()
        config.set_main_option("script_location", str(migrations_directory()).replace("%", "%%"))
        before = self.schema_revision()
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        if before is not None and before not in known:
            raise SchemaTooNew(
                f"The metadata database is at revision {before}, which a newer release made. Start that one."
            )
        with self.engine.execution_options(**{_WRITE: True, _MIGRATE: True}).connect() as connection:
            with connection.begin():
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
                _check_references(connection)
            # References hold again from here on.
            connection.invalidate()
        after = ScriptDirectory.from_config(config).get_current_head()
        assert after is not None, "there is at least one migration"  # noqa: S101 - a fact of the package
        return before, after

    def schema_revision(self) -> str | None:
        """The revision that the database is at; absent for a new one."""
        with self.engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def migrations_directory() -> Path:
    """Where the Alembic migrations are: inside the wheel, or at the root of a checkout."""
    shipped = Path(str(resources.files("equipoise_service"))) / "migrations"
    if shipped.is_dir():
        return shipped
    return Path(__file__).resolve().parents[2] / "migrations"


def _check_references(connection: Connection) -> None:
    """Hold what the migrations left against the references, which were not held while they ran."""
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    if broken:
        raise RuntimeError(f"the migration left {len(broken)} broken references, first {tuple(broken[0])}")


def _engine(url: str) -> Engine:
    database = make_url(url).database
    if database:
        Path(database).parent.mkdir(parents=True, exist_ok=True)
    # Every write reads every definition's JSON again; this decoder takes a fraction of the time.
    engine = create_engine(
        url, connect_args={"check_same_thread": False}, json_deserializer=msgspec.json.decode
    )

    @event.listens_for(engine, "connect")
    def configure(dbapi_connection: Any, _record: object) -> None:
        # The driver's own transaction handling would begin too late; `begin` below does it.
        dbapi_connection.isolation_level = None
        cursor = dbapi_connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        if options.get(_MIGRATE, False):
            # SQLite changes a table by making another in its place; a reference would forbid to drop the old
            # one, and inside a transaction this can no longer be said.
            connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
        # A writer takes its lock at once: a read that later writes could otherwise fail half-way.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get(_WRITE, False) else "BEGIN")

    return engine
