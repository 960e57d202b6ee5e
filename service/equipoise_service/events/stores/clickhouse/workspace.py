"""Tables that are kept in ClickHouse, which has no transactions."""

import secrets
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import ibis.expr.types as ir
import pyarrow as pa
from clickhouse_connect.driver.client import Client

from equipoise_service.connections import counting_exactly
from equipoise_service.events.stores.clickhouse.schema import DURABLE
from equipoise_service.statements import RunningStatements

if TYPE_CHECKING:
    from ibis.backends.clickhouse import Backend

# Longer than an insert may take from its stamp until it is seen.
SETTLES_AFTER = timedelta(seconds=60)

_KIND = "ENGINE = MergeTree ORDER BY tuple()"
_TYPES = {pa.string(): "String", pa.int64(): "Int64", pa.float64(): "Float64"}
# A table that is not whole, or not to last. What a process that ended in the middle left goes after a day.
_UNFINISHED = "unfinished_"
_LEFT_BEHIND = """
SELECT name FROM system.tables WHERE database = currentDatabase() AND startsWith(name, {prefix:String})
AND metadata_modification_time < now() - INTERVAL 1 DAY
"""
_KEPT = """
SELECT name FROM system.tables WHERE database = currentDatabase() AND startsWith(name, {prefix:String})
"""


class ClickhouseWorkspace:
    """The workspace of a client.

    Args:
        client: Used by nobody else meanwhile.
        running: What runs on it.

    Attributes:
        backend: Reads through the client; each query sees what is stored when it begins.
        settled: No later commit is marked with this receipt or an earlier one.
    """

    # It works a query out as often as a statement reads it.
    shares = False

    def __init__(self, client: Client, running: RunningStatements) -> None:
        import ibis

        self._client = client
        self._token = secrets.token_hex(8)
        self._passing: list[str] = []
        self._lasting: list[tuple[str, str]] = []
        self.backend: Backend = counting_exactly(ibis.clickhouse.from_connection(client))
        self.backend.running = running
        now: datetime = client.query("SELECT now64(6)").result_rows[0][0]
        self.settled: datetime | None = now.replace(tzinfo=None) - SETTLES_AFTER

    def keep(self, name: str, query: ir.Table, *, lasting: bool = False) -> ir.Table:
        """Make a table of what a query gives; it goes with the context unless it is lasting."""
        self.make(name, self.backend.compile(query), lasting=lasting)
        return self.table(name)

    def make(self, name: str, statement: str, *, lasting: bool = False) -> None:
        """Make a table of what a query gives that `backend` compiled, as `keep` does."""
        made = self._named(name)
        # What lasts outlives a power failure, as the items do. The names are ours, and the query is Ibis's,
        # which quotes what comes from outside.
        kind = f"{_KIND} {DURABLE}" if lasting else _KIND
        self._client.command(f"CREATE TABLE {made} {kind} AS {statement}")
        if lasting:
            self._lasting.append((made, name))
        else:
            self._passing.append(made)

    def table(self, name: str) -> ir.Table:
        """A table that was kept, here or before."""
        made = self._named(name)
        here = made in self._passing or (made, name) in self._lasting
        return self.backend.table(made if here else name)

    def rows(self, statement: str) -> list[dict[str, Any]]:
        """What a query gives that `backend` compiled, in the driver's types."""
        return list(self._client.query(statement).named_results())

    def bring(self, name: str, rows: pa.Table) -> ir.Table:
        """Make rows of ours a table, for as long as the context is open."""
        made = self._named(name)
        columns = ", ".join(f"{each.name} {_TYPES[each.type]}" for each in rows.schema)
        self._client.command(f"CREATE TABLE {made} ({columns}) {_KIND}")
        self._passing.append(made)
        self._client.insert_arrow(made, rows)
        return self.backend.table(made)

    def kept(self, prefix: str) -> list[str]:
        """The names of the lasting tables that begin so."""
        return [name for (name,) in self._client.query(_KEPT, parameters={"prefix": prefix}).result_rows]

    def forget(self, *names: str) -> None:
        """Drop lasting tables."""
        for name in names:
            self._client.command(f"DROP TABLE IF EXISTS {name}")

    def finish(self) -> None:
        """Let others see what lasts: a table has its name once it is whole."""
        # Who finds a table finds what was made of it: that was kept after it.
        for made, name in reversed(self._lasting):
            self._client.command(f"RENAME TABLE {made} TO {name}")
        self._lasting.clear()

    def clean(self) -> None:
        """Drop what is not to last, and what others left behind."""
        left = self._client.query(_LEFT_BEHIND, parameters={"prefix": _UNFINISHED}).result_rows
        self.forget(*self._passing, *(made for made, _ in self._lasting), *(name for (name,) in left))

    def _named(self, name: str) -> str:
        return f"{_UNFINISHED}{self._token}_{name}"
