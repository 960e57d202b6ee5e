import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlmodel import SQLModel

import equipoise_service.tables  # noqa: F401 - fills SQLModel.metadata
from equipoise_service.accounts.models import Environment, Project
from equipoise_service.database import Database, SchemaTooNew


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database(f"sqlite:///{tmp_path / 'metadata.db'}")) as database:
        database.migrate()
        yield database


def test_the_migrations_make_exactly_the_tables_of_the_models(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, SQLModel.metadata) == []


def test_migrating_again_changes_nothing(database: Database) -> None:
    before, after = database.migrate()
    assert before == after == database.schema_revision()


def test_sqlite_is_durable_concurrent_and_holds_references(database: Database) -> None:
    with database.engine.connect() as connection:

        def pragma(name: str) -> object:
            return connection.execute(text(f"PRAGMA {name}")).scalar_one()

        assert pragma("journal_mode") == "wal"
        assert pragma("foreign_keys") == 1
        assert pragma("busy_timeout") == 10_000
        assert pragma("synchronous") == 2
    with pytest.raises(IntegrityError), database.write() as session:
        session.add(Environment(project_id=999, key="nowhere", created_at=datetime.now(UTC)))


def test_times_come_back_as_they_went_in(database: Database) -> None:
    moment = datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=5)))
    with database.write() as session:
        session.add(Project(key="shop", created_at=moment))
    with database.read() as session:
        stored = session.get_one(Project, 1).created_at
    assert stored == moment
    assert stored.utcoffset() == timedelta(0)


def test_a_failed_write_leaves_nothing(database: Database) -> None:
    before = database.change_counter()

    def fail() -> None:
        with database.write() as session:
            session.add(Project(key="shop", created_at=datetime.now(UTC)))
            session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with database.read() as session:
        assert session.get(Project, 1) is None
    assert database.change_counter() == before


def test_writers_wait_for_each_other(database: Database) -> None:
    """Sixteen threads each read a value and write it plus one: none is lost."""
    with database.write() as session:
        session.add(Project(key="0", created_at=datetime.now(UTC)))

    def increment() -> None:
        with database.write() as session:
            project = session.get_one(Project, 1)
            project.key = str(int(project.key) + 1)
            session.add(project)

    threads = [threading.Thread(target=increment) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as session:
        assert session.get_one(Project, 1).key == "16"


def test_the_counter_shows_what_another_process_wrote(tmp_path: Path, database: Database) -> None:
    before = database.change_counter()
    with closing(Database(f"sqlite:///{tmp_path / 'metadata.db'}")) as other, other.write() as session:
        session.add(Project(key="shop", created_at=datetime.now(UTC)))
    assert database.change_counter() == before + 1


def test_a_database_from_a_newer_release_is_not_touched(tmp_path: Path, database: Database) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'from_the_future'"))
    with (
        closing(Database(f"sqlite:///{tmp_path / 'metadata.db'}")) as other,
        pytest.raises(SchemaTooNew, match="newer release"),
    ):
        other.migrate()
