"""The metadata database on PostgreSQL: what SQLite gives by having one writer holds here, too."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlmodel import SQLModel, col, select
from tests.service.running import command

import equipoise_service.tables  # noqa: F401 - fills SQLModel.metadata
from equipoise_service import connections
from equipoise_service.accounts.models import Project
from equipoise_service.database import Database, SchemaTooNew


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    with closing(Database(postgres_url)) as database:
        database.migrate()
        yield database


def project(key: str) -> Project:
    return Project(key=key, created_at=datetime.now(UTC))


def test_the_migrations_make_exactly_the_tables_of_the_models(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, SQLModel.metadata) == []


def test_of_several_that_start_together_one_migrates(postgres_url: str) -> None:
    together = threading.Barrier(6)

    def start(_: int) -> str | None:
        with closing(Database(postgres_url)) as database:
            together.wait(10)
            return database.migrate()[0]

    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(start, range(6)))
    assert found.count(None) == 1
    with closing(Database(postgres_url)) as database:
        assert set(found) - {None} == {database.schema_revision()}
        assert database.change_counter() == 0, "the row was made twice"


def test_a_migration_that_fails_leaves_nothing(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE overridden_unit (in_the_way INT)")
    with closing(Database(postgres_url)) as database:
        with pytest.raises(Exception, match="overridden_unit"):
            database.migrate()
        assert database.schema_revision() is None
        with psycopg.connect(postgres_url) as connection:
            tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
            assert tables.fetchone() == (1,)
            connection.execute("DROP TABLE overridden_unit")
        assert database.migrate()[0] is None


def test_a_database_from_a_newer_release_is_not_touched(database: Database, postgres_url: str) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'from_the_future'"))
    with closing(Database(postgres_url)) as other, pytest.raises(SchemaTooNew, match="newer release"):
        other.migrate()


def test_times_come_back_as_they_went_in(database: Database) -> None:
    moment = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=timezone(timedelta(hours=5)))
    with database.write() as session:
        session.add(Project(key="shop", created_at=moment))
    # Whatever the server's or the session's zone is.
    with database.engine.begin() as connection:
        connection.execute(text("SET LOCAL TimeZone = 'Asia/Tokyo'"))
        assert connection.execute(select(col(Project.created_at))).scalar_one() == moment


def test_writers_of_several_processes_wait_for_each_other(database: Database, postgres_url: str) -> None:
    """Each reads a value and writes it plus one, with pools of their own: none is lost."""
    with database.write() as session:
        session.add(project("0"))
    before = database.change_counter()

    def increment(_: int) -> None:
        with closing(Database(postgres_url)) as own:
            for _ in range(5):
                with own.write() as session:
                    found = session.exec(select(Project)).one()
                    found.key = str(int(found.key) + 1)
                    session.add(found)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(increment, range(8)))
    with database.read() as session:
        assert session.exec(select(Project.key)).one() == "40"
    assert database.change_counter() == before + 40


def test_a_reader_sees_one_state_from_beginning_to_end(database: Database) -> None:
    with database.read() as session:
        assert session.exec(select(Project)).all() == []
        with database.write() as other:
            other.add(project("shop"))
        assert session.exec(select(Project)).all() == []
    with database.read() as session:
        assert [each.key for each in session.exec(select(Project))] == ["shop"]


def test_readers_are_not_kept_by_writers_that_wait(
    postgres_url: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With more writers than connections, all of whom wait for another process, reading goes on."""
    monkeypatch.setattr(connections, "BUSY_SECONDS", 2.0)
    with closing(Database(postgres_url, connections=2)) as waiting, database.write() as holding:
        holding.add(project("first"))
        holding.flush()

        def write(number: int) -> type[Exception] | None:
            try:
                with waiting.write() as session:
                    session.add(project(f"p{number}"))
            except Exception as error:
                return type(error)
            return None

        with ThreadPoolExecutor(4) as threads:
            outcomes = [threads.submit(write, number) for number in range(4)]
            for _ in range(5):
                assert waiting.change_counter() == 0
            assert all(each.result() is not None for each in outcomes), "a writer did not wait for its turn"
    with database.read() as session:
        assert [each.key for each in session.exec(select(Project))] == ["first"]


def test_a_turn_that_does_not_come_ends(
    postgres_url: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "BUSY_SECONDS", 0.2)
    with closing(Database(postgres_url)) as other:
        with database.write() as holding:
            holding.add(project("first"))
            holding.flush()
            with pytest.raises(OperationalError, match="lock timeout"), other.write() as session:
                session.add(project("second"))
        with other.write() as session:
            session.add(project("third"))


def test_a_connection_that_was_cut_is_replaced(postgres_url: str, database: Database) -> None:
    with database.write() as session:
        session.add(project("before"))
    assert database.change_counter() == 1
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        cut = connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'equipoise' AND datname = current_database()"
        ).fetchall()
    assert cut == [(True,), (True,)], "there was nothing to cut"
    assert database.change_counter() == 1
    with database.write() as session:
        session.add(project("after"))


def test_without_the_driver_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "find_spec", lambda _name: None)
    with pytest.raises(connections.DriverMissing, match=r"pip install .*\[postgres\]"):
        Database("postgresql://equipoise@db/equipoise")


def test_a_service_that_finds_no_server_says_so(tmp_path: Path) -> None:
    url = "postgresql://equipoise:hunter2@127.0.0.1:1/equipoise"
    process = command("serve", "--port", "0", directory=tmp_path, EQUIPOISE_DATABASE_URL=url)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "metadata database cannot be used" in said
    assert "EQUIPOISE_DATABASE_URL" in said
    assert "hunter2" not in said


def test_what_was_committed_is_not_answered_as_failed(database: Database) -> None:
    def cannot() -> None:
        raise OperationalError("SELECT", None, Exception("gone"))

    database.after_commit.append(cannot)
    with database.write() as session:
        session.add(project("shop"))
    assert database.change_counter() == 1
