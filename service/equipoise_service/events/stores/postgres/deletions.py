"""Deleting from PostgreSQL: whole partitions where nothing in them stays, rows otherwise."""

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import Connection, sql

from equipoise_service.events.stores.deletions import FACTS, Old, StoredUnit
from equipoise_service.events.stores.postgres.schema import COMMIT_LOCK, SCHEMA

_DELETE_UNIT = """
DELETE FROM {table} WHERE unit_hash = %s AND unit = %s AND unit_type = %s AND place = ANY(%s)
"""
_DELETE_REJECTED = "DELETE FROM rejected WHERE place = ANY(%s) AND item = ANY(%s)"
# One partition at a time: only there a row has an address of its own, which spares looking for it again.
_DELETE_OLD = """
DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table} WHERE {condition} LIMIT %s))
"""
_PARTITIONS = """
SELECT child.relname FROM pg_inherits
JOIN pg_class child ON child.oid = inhrelid JOIN pg_class parent ON parent.oid = inhparent
JOIN pg_namespace ON pg_namespace.oid = parent.relnamespace
WHERE nspname = %s AND parent.relname = %s ORDER BY child.relname
"""
_SOMETHING_STAYS = "SELECT EXISTS (SELECT FROM {table} WHERE NOT ({condition}))"
_NEWEST = "SELECT max(received_at) FROM {table}"
_LOCK_TIMEOUT = "1s"


def delete_unit(connection: Connection, unit: StoredUnit) -> dict[str, int]:
    """Delete a unit's rows, in one transaction; the number in each table."""
    parameters = [unit.unit_hash, unit.unit, unit.unit_type, list(unit.places)]
    with connection.transaction():
        return {
            table: connection.execute(
                sql.SQL(_DELETE_UNIT).format(table=sql.Identifier(table)), parameters
            ).rowcount
            for table in FACTS
        }


def delete_rejected(connection: Connection, places: Sequence[str], items: Sequence[str]) -> int:
    """Delete the refused items of exactly these texts."""
    with connection.transaction():
        return connection.execute(_DELETE_REJECTED, [list(places), list(items)]).rowcount


def delete_old(connection: Connection, old: Old, most: int) -> int:
    """Delete some of what is old: a partition, however large, or so many rows."""
    condition, parameters = _condition(old)
    if old.table == "rejected":
        return _delete_rows(connection, "rejected", condition, parameters, most)
    deleted = 0
    rows = connection.execute(_PARTITIONS, [SCHEMA, old.table]).fetchall()
    for (partition,) in rows:
        dropped = _drop(connection, old.table, partition, condition, parameters)
        deleted += dropped or _delete_rows(connection, partition, condition, parameters, most)
        if deleted >= most:
            break
    return deleted


def _condition(old: Old) -> tuple[sql.Composable, list[Any]]:
    conditions: list[sql.Composable] = []
    parameters: list[Any] = []
    for place, before in old.before.items():
        term = sql.SQL("(place = %s AND {} < %s").format(sql.Identifier(old.column))
        parameters += [place, before]
        if kept := old.kept_in(place):
            term += sql.SQL(" AND experiment <> ALL(%s)")
            parameters.append(kept)
        conditions.append(term + sql.SQL(")"))
    return sql.SQL(" OR ").join(conditions), parameters


def _delete_rows(
    connection: Connection, table: str, condition: sql.Composable, parameters: list[Any], most: int
) -> int:
    query = sql.SQL(_DELETE_OLD).format(table=sql.Identifier(table), condition=condition)
    with connection.transaction():
        return connection.execute(query, [*parameters, most]).rowcount


def _drop(
    connection: Connection, table: str, partition: str, condition: sql.Composable, parameters: list[Any]
) -> int:
    """Drop a partition that has rows, none of which stays; how many there were."""
    if partition == f"{table}_other":
        return 0
    names = {"table": sql.Identifier(partition), "condition": condition}
    something_stays = sql.SQL(_SOMETHING_STAYS).format(**names)
    with connection.transaction():
        # Asked twice: the first time it mostly ends at the first row, which spares reading all of them.
        if _one(connection, something_stays, parameters):
            return 0
        newest = _one(connection, sql.SQL(_NEWEST).format(**names), [])
        if newest is None or _one(connection, something_stays, parameters):
            return 0
    try:
        with connection.transaction():
            connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'".encode())
            # Nobody stores meanwhile; what was stored since it was looked through is found fast.
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [COMMIT_LOCK])
            late = sql.SQL("SELECT EXISTS (SELECT FROM {table} WHERE received_at > %s)").format(**names)
            if _one(connection, late, [newest]):
                return 0
            count = int(_one(connection, sql.SQL("SELECT count(*) FROM {table}").format(**names), []))
            connection.execute(sql.SQL("DROP TABLE {table}").format(**names))
            return count
    except psycopg.errors.LockNotAvailable:
        # Somebody reads it: its rows are deleted instead.
        return 0


def _one(connection: Connection, query: sql.Composed, parameters: list[Any]) -> Any:
    row = connection.execute(query, parameters).fetchone()
    return row[0] if row else None
