"""What runs on a client of ClickHouse: how far it is, and how it is stopped.

The driver waits for its answer and can do neither. So the statements of a client carry a comment of its own,
by which another client finds them on the server.
"""

import secrets
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_OF_CLIENT = "Settings['log_comment'] = {comment:String}"
_PROGRESS = f"SELECT sum(read_rows), sum(total_rows_approx) FROM system.processes WHERE {_OF_CLIENT}"  # noqa: S608
_STOP = f"KILL QUERY WHERE {_OF_CLIENT} ASYNC"

WATCH_SECONDS = 5
"""How long the other client waits for the server at most: who asks has to say meanwhile that it is alive."""


class RunningStatements:
    """The statements of one client.

    Args:
        client: Whose statements carry the comment from now on.
        connect: Makes another client of the same user, which waits for `WATCH_SECONDS` at most.
    """

    def __init__(self, client: "Client", connect: Callable[[], "Client"]) -> None:
        self._connect = connect
        self._watching: Client | None = None
        self._named = {"comment": f"equipoise {secrets.token_hex(8)}"}
        client.set_client_setting("log_comment", self._named["comment"])

    def stop(self) -> None:
        """Have the server stop what runs; who waits for it gets an error."""
        with closing(self._connect()) as client:
            client.command(_STOP, parameters=self._named)

    def done(self) -> float | None:
        """How many of the rows that it has to read a statement has read, from 0 to 1; None: none runs.

        The client for this stays open until `close`: it is asked several times a second.
        """
        if self._watching is None:
            self._watching = self._connect()
        ((read, whole),) = self._watching.query(_PROGRESS, parameters=self._named).result_rows
        return min(1.0, read / whole) if whole else None

    def close(self) -> None:
        """Close what `done` opened."""
        if self._watching is not None:
            self._watching.close()
            self._watching = None
