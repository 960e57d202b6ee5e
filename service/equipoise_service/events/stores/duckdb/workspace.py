"""A transaction that keeps tables in the DuckDB file."""

from typing import TYPE_CHECKING, Any

import duckdb
import ibis.expr.types as ir
import pyarrow as pa

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend


class DuckdbWorkspace:
    """The workspace of a cursor that is in a transaction.

    Args:
        cursor: It; its owner commits.
        backend: Reads through the cursor.
    """

    # Receipts come in the order of the commits.
    settled = None
    shares = True

    def __init__(self, cursor: duckdb.DuckDBPyConnection, backend: "Backend") -> None:
        self._cursor = cursor
        self._forgotten: list[str] = []
        self.backend = backend

    def keep(self, name: str, query: ir.Table, *, lasting: bool = False) -> ir.Table:
        """Make a table of what a query gives; it goes with the context unless it is lasting."""
        self.make(name, self.backend.compile(query), lasting=lasting)
        return self.table(name)

    def make(self, name: str, statement: str, *, lasting: bool = False) -> None:
        """Make a table of what a query gives that `backend` compiled, as `keep` does."""
        kind = "TABLE" if lasting else "TEMPORARY TABLE"
        # The name is ours, and the query is Ibis's, which quotes what comes from outside.
        self._cursor.execute(f'CREATE {kind} "{name}" AS {_parsed_later(statement)}').fetchall()

    def table(self, name: str) -> ir.Table:
        """A table that was kept, here or before."""
        return self.backend.table(name)

    def rows(self, statement: str) -> list[dict[str, Any]]:
        """What a query gives that `backend` compiled, in the driver's types."""
        # A relation, which has an Arrow table quicker, plans its statement twice: for a long one 20 ms more.
        rows = self._cursor.execute(_parsed_later(statement)).fetchall()
        names = [name for name, *_ in self._cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in rows]

    def bring(self, name: str, rows: pa.Table) -> ir.Table:
        """Make rows of ours a table, for as long as the context is open."""
        self._cursor.register(name, rows)
        return self.backend.table(name)

    def kept(self, prefix: str) -> list[str]:
        """The names of the lasting tables that begin so."""
        # A copy that is being made of the file is attached meanwhile.
        query = (
            "SELECT table_name FROM duckdb_tables() WHERE starts_with(table_name, ?) AND NOT temporary"
            " AND database_name = current_database()"
        )
        found = self._cursor.execute(query, [prefix]).fetchall()
        return [name for (name,) in found if name not in self._forgotten]

    def forget(self, *names: str) -> None:
        """Drop lasting tables when the context has ended without an error."""
        self._forgotten += names

    def clean(self) -> None:
        """Drop what was forgotten: each by itself, as two who drop a table at once would fail both."""
        for name in self._forgotten:
            try:
                self._cursor.execute(f'DROP TABLE IF EXISTS "{name}"').fetchall()
            except duckdb.TransactionException:
                # Another one drops it at this moment.
                continue


def _parsed_later(query: str) -> str:
    """A query that is a text within another: DuckDB parses it when it plans.

    It parses a statement with the interpreter in its hands, a millisecond for each 1,400 characters, in which
    no request is answered; it plans without. The query is Ibis's, which quotes what comes from outside.
    """
    return "FROM query('{}')".format(query.replace("'", "''"))
