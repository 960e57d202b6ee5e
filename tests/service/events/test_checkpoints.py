"""When the embedded store moves its log into its file, and rows that were left together."""

import time
from pathlib import Path

import duckdb
import pytest
from tests.service.events.conftest import OpenStore
from tests.service.events.items import PLACE, batch, event, rows
from tests.service.events.test_store import append

from equipoise_service.events.stores.deletions import StoredUnit
from equipoise_service.events.stores.duckdb.engine import DuckdbEngine
from equipoise_service.events.stores.store import (
    EventStore,
)


def test_the_log_moves_into_the_file_between_commits_unless_many_items_wait(
    open_store: OpenStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("equipoise_service.events.stores.duckdb.engine.CHECKPOINT_BETWEEN", 50_000)
    log = tmp_path / "events.duckdb.wal"
    with open_store(event_commit_milliseconds=1) as store:
        engine = store._engine
        with monkeypatch.context() as busy:
            busy.setattr(store._writer, "_between", lambda _: engine.between_commits(10_001))
            append(store, batch([], [event() for _ in range(1999)]))
            append(store, batch([], [event()]))  # waits for what comes between
            assert log.stat().st_size > 50_000
        append(store, batch([], [event()]))
        deadline = time.monotonic() + 20
        while log.exists() and log.stat().st_size > 50_000:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        append(store, batch([], [event()]))
        assert store.healthy()
    with open_store() as store:
        assert len(rows(store, "events")) == 2002


def test_the_log_waits_for_whoever_keeps_a_table(
    open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("equipoise_service.events.stores.duckdb.engine.CHECKPOINT_BETWEEN", 0)
    with open_store(event_commit_milliseconds=1) as store, store.workspace() as workspace:
        workspace.keep("lasting", workspace.backend.table("events"), lasting=True)
        for _ in range(2):  # the second one waits for what comes after the first
            append(store, batch([], [event()]))
        assert store.healthy()


def test_what_was_deleted_while_a_checkpoint_failed_is_moved_together_later(
    open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("equipoise_service.events.stores.duckdb.engine.CHECKPOINT_BETWEEN", 0)
    with open_store() as store:
        engine = store._engine
        assert isinstance(engine, DuckdbEngine)
        engine._is_vacuum_due = False

        class Busy:
            def execute(self, _: str) -> None:
                engine._is_vacuum_due = True  # as a deletion does, once it has ended
                raise duckdb.TransactionException("other write transactions are active")

        with monkeypatch.context() as busy:
            busy.setattr(engine._file, "connection", Busy())
            engine.between_commits(0)
        assert engine._is_vacuum_due


def test_a_checkpoint_moves_rows_together_only_after_a_start_and_after_deletions(
    open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("equipoise_service.events.stores.duckdb.engine.CHECKPOINT_BETWEEN", 0)
    unit = StoredUnit([PLACE], "user", "user-1")

    def vacuum_tasks(store: EventStore) -> int:
        for _ in range(3):  # the last one waits for two checkpoints
            append(store, batch([], [event()]))
        with store.ibis() as backend:
            found = backend.raw_sql("SELECT current_setting('max_vacuum_tasks')").fetchall()
        return int(found[0][0])

    with open_store() as store:
        append(store, batch([], [event()]))
        assert vacuum_tasks(store) == 0
        engine = store._engine
        assert isinstance(engine, DuckdbEngine)
        store.delete_unit(unit)
        assert engine._is_vacuum_due
        assert vacuum_tasks(store) == 0
        assert not engine._is_vacuum_due
    with open_store() as store:
        assert isinstance(store._engine, DuckdbEngine)
        assert store._engine._is_vacuum_due
