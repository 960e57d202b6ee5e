"""What a source may take of the service: time on any engine, memory, and threads."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import ibis
import pytest
from fastapi.testclient import TestClient
from tests.service.sources.warehouses import Warehouse, source

from equipoise_service.interruption import Interruption
from equipoise_service.sources import apart, connections
from equipoise_service.sources import endpoints as routes
from equipoise_service.sources.connections import SourceFault, connected
from equipoise_service.sources.connections import Warehouse as Opened
from equipoise_service.sources.engines import Engine
from equipoise_service.sources.probe import probe

# Ibis reads SQLite's rows through pandas, with an option that pandas deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:The 'future.infer_string' option")

# Some seconds: whoever waits for it has given it up by then.
LONG = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000000)"
    " SELECT max(i) AS i FROM n"
)


@pytest.fixture
def uninterrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """SHOP is on an engine that nobody interrupts: SQLite stands for those that need a server."""
    monkeypatch.setattr(connections, "ENGINES", {"sqlite": Engine("sqlite")})
    monkeypatch.setattr(connections, "_OPENERS", {})
    monkeypatch.setenv("EQUIPOISE_SOURCE_SHOP_URL", f"sqlite://{tmp_path}/warehouse.db")
    yield
    for thread in threading.enumerate():
        if thread.name == "equipoise-apart":
            thread.join(60)
            assert not thread.is_alive(), "a thread that was given up ends with its statement"


def ask(warehouse: Opened, query: str) -> Any:
    return warehouse.backend.to_pyarrow(warehouse.backend.sql(query)).to_pylist()


@pytest.mark.usefixtures("uninterrupted")
def test_what_takes_too_long_on_any_engine_is_given_up() -> None:
    with connected("SHOP", 60) as warehouse:
        assert ask(warehouse, "SELECT 1 AS one") == [{"one": 1}]
        with pytest.raises(Exception, match="nothing"):
            ask(warehouse, "SELECT * FROM nothing")
        assert ask(warehouse, "SELECT 2 AS two") == [{"two": 2}]
    with pytest.raises(SourceFault, match="did not finish") as fault:  # noqa: SIM117
        with connected("SHOP", 0.3) as warehouse:
            ask(warehouse, LONG)
    assert fault.value.code == "too-slow"
    assert [each.name for each in threading.enumerate()].count("equipoise-apart") == 1, "it goes on there"


@pytest.mark.usefixtures("uninterrupted")
def test_who_waits_for_any_engine_can_be_stopped() -> None:
    interruption, began = Interruption(), threading.Event()

    def work() -> None:
        with interruption.watches(), connected("SHOP", 600) as warehouse:
            began.set()
            try:
                ask(warehouse, LONG)
            except CancelledError:
                raise KeyError("stopped") from None

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(work)
        assert began.wait(60)
        interruption.ask()
        with pytest.raises(SourceFault, match="stopped"):
            done.result(60)


@pytest.mark.usefixtures("uninterrupted")
def test_no_more_is_asked_of_engines_than_may_be_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "_free", threading.BoundedSemaphore(1))
    with connected("SHOP", 60):  # noqa: SIM117
        with pytest.raises(SourceFault, match="busy with them still"):
            with connected("SHOP", 60):
                """It is refused."""
    deadline = time.monotonic() + 60
    while any(each.name == "equipoise-apart" for each in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    with connected("SHOP", 60) as warehouse:
        assert ask(warehouse, "SELECT 1 AS one") == [{"one": 1}]


def test_files_that_are_read_here_share_a_part_of_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def limit(warehouse: Opened) -> str:
        (found,) = warehouse.backend.con.execute("SELECT current_setting('memory_limit')").fetchone()
        return str(found)

    for number in range(6):
        path = tmp_path / f"{number}.duckdb"
        duckdb.connect(str(path)).close()
        monkeypatch.setenv(f"EQUIPOISE_SOURCE_FILE{number}_URL", f"duckdb://{path}")
    with ExitStack() as stack:
        found = [limit(stack.enter_context(connected(f"FILE{number}", 60))) for number in range(5)]
        assert found == ["2.0 GiB", "1.0 GiB", "512.0 MiB", "256.0 MiB", "256.0 MiB"], "4 GiB together"
        assert limit(stack.enter_context(connected("FILE1", 60))) == "1.0 GiB", "the same engine"
        with pytest.raises(SourceFault, match="all the memory"), connected("FILE5", 0.1):
            """It is refused."""
        with ThreadPoolExecutor(1) as pool:

            def wait() -> str:
                with connected("FILE5", 60) as warehouse:
                    return limit(warehouse)

            waiting = pool.submit(wait)
            stack.close()
            waiting.result(60)
    with connected("FILE5", 60) as opened:
        assert limit(opened) == "2.0 GiB", "what is closed is given back"


@pytest.mark.parametrize("warehouse", ["duckdb"], indirect=True)
def test_tests_of_sources_leave_threads_for_others(
    client: TestClient, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.post("/v1/sources", json=source()).status_code == 201
    real, go_on, busy = probe, threading.Event(), threading.Semaphore(0)
    most, at_work, lock = [0], [0], threading.Lock()

    def slow(*arguments: Any) -> Any:
        with lock:
            at_work[0] += 1
            most[0] = max(most[0], at_work[0])
        busy.release()
        assert go_on.wait(60)
        with lock:
            at_work[0] -= 1
        return real(*arguments)

    monkeypatch.setattr(routes, "probe", slow)
    with ThreadPoolExecutor(50) as pool:
        asked = [pool.submit(client.post, "/v1/sources/warehouse/test") for _ in range(50)]
        assert busy.acquire(timeout=60)
        assert client.get("/v1/sources/warehouse").status_code == 200, "a route that needs a thread"
        go_on.set()
        assert [each.result(120).status_code for each in asked] == [200] * 50
    assert most[0] <= 2


def test_a_clickhouse_is_opened_to_read_in_time_and_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the engine makes of it is shown in tests/engines/test_clickhouse_sources.py."""
    opened: list[tuple[str, dict[str, Any]]] = []

    named: list[str] = []

    def connect(url: str, **given: Any) -> Any:
        opened.append((url, given))
        con = SimpleNamespace(set_client_setting=lambda name, _: named.append(name))
        return SimpleNamespace(name="clickhouse", con=con, disconnect=list)

    url = "clickhouse://reader:secret@warehouse.internal:8443/shop?secure=true"
    monkeypatch.setattr(ibis, "connect", connect)
    monkeypatch.setenv("EQUIPOISE_SOURCE_SHOP_URL", url)
    with connected("SHOP", 7.5) as warehouse:
        assert warehouse.enforces
    ((asked, given),) = opened
    assert asked == url
    assert given.keys() == {"settings"}
    assert named == ["log_comment"], "its statements are found again by it"
    wanted = {"readonly": 2, "max_execution_time": 7.5, "session_timezone": "UTC"}
    assert {name: given["settings"][name] for name in wanted} == wanted
