"""Exposures and events in ClickHouse, written by any number of processes, read through Ibis."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error

from equipoise_service.connections import CLICKHOUSE_SETTINGS, counting_exactly
from equipoise_service.events.batches import Batch, Receipt
from equipoise_service.events.stores.clickhouse import deletions
from equipoise_service.events.stores.clickhouse.commits import commit
from equipoise_service.events.stores.clickhouse.schema import upgrade
from equipoise_service.events.stores.clickhouse.workspace import ClickhouseWorkspace
from equipoise_service.events.stores.deletions import Old, StoredUnit
from equipoise_service.events.stores.store import EventStoreError
from equipoise_service.statements import WATCH_SECONDS, RunningStatements

if TYPE_CHECKING:
    from ibis.backends.clickhouse import Backend

_WRITE_SECONDS = 30
_READ_SECONDS = 3600


class ClickhouseEngine:
    """The engine in ClickHouse.

    Args:
        connect: Makes a client, with `CLICKHOUSE_SETTINGS`, whose queries may take so many seconds.

    Raises:
        EventStoreError: Its tables belong to a newer release.
    """

    def __init__(self, connect: Callable[[int], Client]) -> None:
        self._connect = connect
        self._client = connect(_WRITE_SECONDS)
        try:
            upgrade(self._client)
        except BaseException:
            self._client.close()
            raise

    def commit(self, batches: Sequence[Batch]) -> Sequence[Receipt]:
        """Store what is not stored yet of some batches."""
        return commit(self._client, batches)

    def between_commits(self, waiting: int) -> None:
        """Nothing: the server merges by itself."""

    def check(self) -> None:
        """Connect anew, which asks the server for its version."""
        self._connect(_WRITE_SECONDS).close()

    @contextmanager
    def ibis(self) -> Iterator["Backend"]:
        """Read the tables on a client of its own; each query sees what is stored when it begins."""
        import ibis

        with closing(self._connect(_READ_SECONDS)) as client:
            backend = counting_exactly(ibis.clickhouse.from_connection(client))
            backend.running = self._running(client)
            yield backend

    @contextmanager
    def workspace(self) -> Iterator[ClickhouseWorkspace]:
        """Work with the tables on a client of its own."""
        with closing(self._connect(_READ_SECONDS)) as client:
            workspace = ClickhouseWorkspace(client, self._running(client))
            try:
                yield workspace
                workspace.finish()
            finally:
                workspace.clean()

    def _running(self, client: Client) -> RunningStatements:
        return RunningStatements(client, partial(self._connect, WATCH_SECONDS))

    def delete_unit(self, unit: StoredUnit) -> Mapping[str, int]:
        """Delete a unit's rows."""
        with closing(self._connect(_READ_SECONDS)) as client:
            return deletions.delete_unit(client, unit)

    def delete_rejected(self, places: Sequence[str], items: Sequence[str]) -> int:
        """Delete the refused items of exactly these texts."""
        with closing(self._connect(_READ_SECONDS)) as client:
            return deletions.delete_rejected(client, places, items)

    def delete_old(self, old: Old, most: int) -> int:  # noqa: ARG002 - the server takes its own steps
        """Delete what is old."""
        with closing(self._connect(_READ_SECONDS)) as client:
            return deletions.delete_old(client, old)

    def copy_to(self, directory: Path) -> Path | None:  # noqa: ARG002 - as the protocol has it
        """Nothing: ClickHouse has tools for that."""
        return None

    def close(self) -> None:
        """Close the client."""
        self._client.close()


def open_clickhouse(url: str) -> ClickhouseEngine:
    """The engine on a server.

    Args:
        url: `clickhouse://USER:PASSWORD@HOST:PORT/DATABASE`, and what clickhouse-connect knows as
            `?secure=true&…`.

    Raises:
        EventStoreError: It cannot be reached, or used.
    """
    try:
        return ClickhouseEngine(partial(_client, url))
    except Error as error:
        first_line = str(error).strip().partition("\n")[0]
        raise EventStoreError(
            "The event store in ClickHouse cannot be used. Check that the server runs, and what "
            f"EQUIPOISE_EVENT_STORE_URL names. It says: {first_line}"
        ) from error


def _client(url: str, seconds: int) -> Client:
    options: dict[str, Any] = {
        "connect_timeout": 5,
        "send_receive_timeout": seconds,
        "settings": CLICKHOUSE_SETTINGS | {"max_execution_time": seconds},
        # A session takes one query at a time; nothing here needs one.
        "autogenerate_session_id": False,
        "client_name": "equipoise",
    }
    # "secure" may stand in the URL, where get_client reads it too late to choose the interface.
    if "secure=true" in url.partition("?")[2].lower().split("&"):
        options["interface"] = "https"
    return clickhouse_connect.get_client(dsn=url, **options)
