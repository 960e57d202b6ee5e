"""A transaction that keeps tables in PostgreSQL."""

from typing import TYPE_CHECKING, Any

import ibis.expr.types as ir
import psycopg
import pyarrow as pa
from psycopg import Connection, sql
from psycopg.rows import dict_row

from equipoise_service.events.stores.postgres.schema import SCHEMA

if TYPE_CHECKING:
    from ibis.backends.postgres import Backend

_TYPES = {pa.string(): "text", pa.int64(): "bigint", pa.float64(): "double precision"}


class PostgresWorkspace:
    """The workspace of a connection that is in a transaction.

    Args:
        connection: It; its owner commits.

    Attributes:
        backend: Reads through the connection.
    """

    # Receipts come in the order of the commits.
    settled = None
    # It plans by what it knows of a table, and of a query it knows little.
    shares = False

    def __init__(self, connection: Connection) -> None:
        import ibis

        self._connection = connection
        self._forgotten: list[tuple[str, ...]] = []
        self.backend: Backend = ibis.postgres.from_connection(connection)

    def keep(self, name: str, query: ir.Table, *, lasting: bool = False) -> ir.Table:
        """Make a table of what a query gives; it goes with the context unless it is lasting."""
        self.make(name, self.backend.compile(query), lasting=lasting)
        return self.table(name)

    def make(self, name: str, statement: str, *, lasting: bool = False) -> None:
        """Make a table of what a query gives that `backend` compiled, as `keep` does."""
        # What lasts is logged: of an unlogged table a crash of the server leaves the name, and no row.
        begin = "CREATE TABLE {}" if lasting else "CREATE TEMPORARY TABLE {} ON COMMIT DROP"
        table = sql.Identifier(SCHEMA, name) if lasting else sql.Identifier(name)
        made = sql.SQL(begin).format(table).as_string(self._connection)
        # The query is Ibis's, which quotes what comes from outside; it is no template of psycopg's.
        self._connection.execute(f"{made} AS {statement}".encode(), prepare=False)
        self._connection.execute(sql.SQL("ANALYZE {}").format(table))

    def table(self, name: str) -> ir.Table:
        """A table that was kept, here or before."""
        return self.backend.table(name)

    def rows(self, statement: str) -> list[dict[str, Any]]:
        """What a query gives that `backend` compiled, in the driver's types."""
        with self._connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(statement.encode(), prepare=False).fetchall()

    def bring(self, name: str, rows: pa.Table) -> ir.Table:
        """Make rows of ours a table, for as long as the context is open."""
        columns = sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(each.name), sql.SQL(_TYPES[each.type]))
            for each in rows.schema
        )
        table = sql.Identifier(name)
        self._connection.execute(
            sql.SQL("CREATE TEMPORARY TABLE {} ({}) ON COMMIT DROP").format(table, columns)
        )
        copying = sql.SQL("COPY {} FROM STDIN").format(table)
        with self._connection.cursor() as cursor, cursor.copy(copying) as copy:
            for row in rows.to_pylist():
                copy.write_row(tuple(row.values()))
        return self.backend.table(name)

    def kept(self, prefix: str) -> list[str]:
        """The names of the lasting tables that begin so."""
        rows = self._connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = %s AND starts_with(tablename, %s)",
            [SCHEMA, prefix],
        )
        forgotten = {name for names in self._forgotten for name in names}
        return [str(name) for (name,) in rows if name not in forgotten]

    def forget(self, *names: str) -> None:
        """Drop lasting tables when the context has ended; where one is being read, all are left for later."""
        self._forgotten.append(names)

    def clean(self) -> None:
        """Drop what was forgotten: now, as two who have read a table would wait for each other to drop it."""
        for names in self._forgotten:
            tables = sql.SQL(", ").join(sql.Identifier(SCHEMA, name) for name in names)
            try:
                with self._connection.transaction():
                    self._connection.execute("SET LOCAL lock_timeout = '100ms'")
                    self._connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(tables))
            except psycopg.errors.LockNotAvailable:
                # It is tried again with every table that is kept.
                continue
