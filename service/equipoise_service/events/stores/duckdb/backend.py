"""Ibis on a cursor of the file. Imported where it is used: Ibis takes a second."""

import duckdb
from ibis.backends.duckdb import Backend
from ibis.expr.schema import Schema

FIXED = frozenset({"exposures", "events", "dropped", "rejected", "intake"})
"""The tables whose columns stay as they are while the file is open."""


class StoreBackend(Backend):  # type: ignore[misc]  # Ibis says nothing of its types.
    """Ibis's backend, which asks once for what stays as it is.

    A small readout opens several and looks at tables in each: reading the metadata of an installed package
    took 1 ms each time, and describing a table 2.

    Attributes:
        schemas: The columns of tables, remembered for the file.
    """

    schemas: dict[str, Schema]
    version = duckdb.__version__

    def get_schema(
        self, table_name: str, *, catalog: str | None = None, database: str | None = None
    ) -> Schema:
        """The columns of a table."""
        known = self.schemas.get(table_name)
        if known is not None and catalog is database is None:
            return known
        found: Schema = super().get_schema(table_name, catalog=catalog, database=database)
        if table_name in FIXED and catalog is database is None:
            self.schemas[table_name] = found
        return found


def backend_on(cursor: duckdb.DuckDBPyConnection, schemas: dict[str, Schema]) -> StoreBackend:
    """A backend that reads through a cursor; `schemas` are those of the file."""
    backend: StoreBackend = StoreBackend.from_connection(cursor)
    backend.schemas = schemas
    return backend
