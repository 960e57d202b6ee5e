"""The metadata database: engine, migrations, transactions.

Every change runs in one write transaction that is committed before the request is answered. Hooks let the
layers above publish what changed (`before_commit`) and refresh what they keep in memory (`after_commit`),
so no change can be stored and not published.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, DateTime, Dialect, Engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, Session, SQLModel

from equipoise_service.connections import open_engines

_log = logging.getLogger(__name__)

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
        connections: Most connections to PostgreSQL that are open at once, at least 2.

    Raises:
        DriverMissing: The URL's driver is not installed.
    """

    def __init__(self, url: str, connections: int = 10) -> None:
        self._engines = open_engines(url, connections)
        self.before_commit: list[Callable[[Session], None]] = []
        self.after_commit: list[Callable[[], None]] = []

    @property
    def engine(self) -> Engine:
        """Connections for statements of one's own, which wait for nobody."""
        return self._engines.plain

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session for reading, with one consistent view."""
        with Session(self._engines.reading, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self, *, publishes: bool = True) -> Iterator[Session]:
        """A session for changing: committed at the end, rolled back on any error.

        Its first statement waits for its turn: one such session at a time does anything, whatever process
        it is in.

        Args:
            publishes: Whether what it changes may be published; readouts, for example, are not.
        """
        with Session(self._engines.writing, expire_on_commit=False) as session:
            yield session
            session.flush()
            for hook in self.before_commit if publishes else ():
                hook(session)
            session.connection().execute(text("UPDATE change SET counter = counter + 1"))
            session.commit()
        for refresh in self.after_commit:
            try:
                refresh()
            except SQLAlchemyError:
                # What was committed must not be answered as if it were not.
                _log.exception("committed, and cannot read back yet what changed")

    def change_counter(self) -> int:
        """How many write transactions were committed, by any process."""
        with self.engine.connect() as connection:
            return int(connection.execute(text("SELECT counter FROM change")).scalar_one())

    def migrate(self) -> tuple[str | None, str]:
        """Bring the schema to this release's revision. Of several processes that do it, one does the work.

        Returns:
            The revision before (absent for a new database) and after.

        Raises:
            SchemaTooNew: This release does not know the revision that the database is at.
        """
        config = Config()
        config.set_main_option("script_location", str(migrations_directory()).replace("%", "%%"))
        scripts = ScriptDirectory.from_config(config)
        with self._engines.migrating.connect() as connection:
            with connection.begin():
                before = _revision(connection)
                if before is not None and before not in {each.revision for each in scripts.walk_revisions()}:
                    raise SchemaTooNew(
                        f"The metadata database is at revision {before}, which a newer release made. "
                        "Start that one."
                    )
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
                _check_references(connection)
            # SQLite: references hold again from here on.
            connection.invalidate()
        after = scripts.get_current_head()
        assert after is not None, "there is at least one migration"  # noqa: S101 - a fact of the package
        return before, after

    def schema_revision(self) -> str | None:
        """The revision that the database is at; absent for a new one."""
        with self.engine.connect() as connection:
            return _revision(connection)

    def close(self) -> None:
        """Close every connection."""
        self._engines.close()


def migrations_directory() -> Path:
    """Where the Alembic migrations are: inside the wheel, or at the root of a checkout."""
    shipped = Path(str(resources.files("equipoise_service"))) / "migrations"
    if shipped.is_dir():
        return shipped
    return Path(__file__).resolve().parents[2] / "migrations"


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _check_references(connection: Connection) -> None:
    """Hold what the migrations left against the references, which SQLite did not hold while they ran."""
    if connection.dialect.name != "sqlite":
        return
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    if broken:
        raise RuntimeError(f"the migration left {len(broken)} broken references, first {tuple(broken[0])}")
