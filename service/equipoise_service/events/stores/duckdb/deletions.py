"""Deleting from the DuckDB file. Rows leave a table at once, their bytes the file when it is rewritten."""

from collections.abc import Sequence
from typing import Any

import duckdb

from equipoise_service.events.stores.deletions import FACTS, Old, StoredUnit

# Only names of ours and question marks become part of these texts, nothing from outside.
_DELETE_UNIT = """
DELETE FROM {table} WHERE unit_hash = ? AND unit = ? AND unit_type = ? AND list_contains(?::VARCHAR[], place)
"""
_DELETE_REJECTED = """
DELETE FROM rejected WHERE list_contains(?::VARCHAR[], place) AND list_contains(?::VARCHAR[], item)
"""
_DELETE_OLD = "DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} WHERE {condition} LIMIT ?)"
_OLD = "place = ? AND {column} < ?::TIMESTAMP"
_NOT_KEPT = "NOT list_contains(?::VARCHAR[], experiment)"


def delete_unit(connection: duckdb.DuckDBPyConnection, unit: StoredUnit) -> dict[str, int]:
    """Delete a unit's rows, in one transaction; the number in each table."""
    parameters = [unit.unit_hash, unit.unit, unit.unit_type, list(unit.places)]
    connection.begin()
    deleted = {table: _count(connection, _DELETE_UNIT.format(table=table), parameters) for table in FACTS}
    connection.commit()
    return deleted


def delete_rejected(
    connection: duckdb.DuckDBPyConnection, places: Sequence[str], items: Sequence[str]
) -> int:
    """Delete the refused items of exactly these texts."""
    return _count(connection, _DELETE_REJECTED, [list(places), list(items)])


def delete_old(connection: duckdb.DuckDBPyConnection, old: Old, most: int) -> int:
    """Delete some of what is old."""
    conditions: list[str] = []
    parameters: list[Any] = []
    for place, before in old.before.items():
        terms = [_OLD.format(column=old.column)]
        parameters += [place, before]
        if kept := old.kept_in(place):
            terms.append(_NOT_KEPT)
            parameters.append(kept)
        conditions.append(f"({' AND '.join(terms)})")
    query = _DELETE_OLD.format(table=old.table, condition=" OR ".join(conditions))
    return _count(connection, query, [*parameters, most])


def _count(connection: duckdb.DuckDBPyConnection, query: str, parameters: list[Any]) -> int:
    (count,) = connection.execute(query, parameters).fetchone() or (0,)
    return int(count)
