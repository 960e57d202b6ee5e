"""Partitions of exposures and events: one a month, by the time that a UUIDv7 begins with.

An id lies in one partition only, so that the primary key of each makes ids unique in all. Ids of other
versions, and of months far away, lie in the partitions `exposures_other` and `events_other`.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import UUID

import numpy as np
from psycopg import Connection, sql

from equipoise_service.events.stores.postgres.schema import COMMIT_LOCK, SCHEMA

# A month as the number of months since January 1970, and the table's name.
Partition = tuple[str, int]

_TABLES = ("exposures", "events")
# Senders choose their ids: nobody gets more partitions than these out of us.
_MONTHS_BACK = 120
_MONTHS_AHEAD = 2
# Readers hold locks that a new partition has to wait for, and who stores waits behind it.
_LOCK_TIMEOUT = "1s"


def partitions_ahead(now: datetime) -> set[Partition]:
    """What the present month and the next ones need."""
    month = _month(now)
    return {(table, each) for table in _TABLES for each in range(month, month + _MONTHS_AHEAD + 1)}


def partitions_of(table: str, ids: bytes, now: datetime) -> set[Partition]:
    """What some ids need.

    Args:
        table: Where they are to be stored.
        ids: Sixteen bytes an id.
        now: The time.
    """
    halves = np.frombuffer(ids, dtype=">u8")[::2].astype(np.uint64)
    of_time = halves[(halves >> 12) & 0xF == 7]
    # The first 48 bits are milliseconds (RFC 9562, section 5.7).
    milliseconds = np.minimum(of_time >> 16, 1 << 47).astype(np.int64).astype("datetime64[ms]")
    months = np.unique(milliseconds.astype("datetime64[M]").astype(np.int64))
    present = _month(now)
    wanted = months[(months >= present - _MONTHS_BACK) & (months <= present + _MONTHS_AHEAD)]
    return {(table, month) for month in wanted.tolist()}


def existing(connection: Connection) -> set[Partition]:
    """The partitions that there are."""
    rows = connection.execute(
        "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = %s AND c.relispartition AND c.relkind = 'r'",
        [SCHEMA],
    )
    named = (str(name).rpartition("_") for (name,) in rows)
    return {
        (table, (int(month[:4]) - 1970) * 12 + int(month[4:]) - 1)
        for table, _, month in named
        if month.isdecimal()
    }


def make(connection: Connection, wanted: Iterable[Partition]) -> None:
    """Make partitions, and move what already lies in the default one into them.

    Args:
        connection: Without a transaction.
        wanted: What is made where it is missing.

    Raises:
        psycopg.errors.LockNotAvailable: Readers kept it from the default partition; whatever was to be stored
            there can lie in the default one until it succeeds.
    """
    with connection.transaction():
        connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
        # Nobody stores meanwhile, so nobody holds a lock that this one needs and waits for one that it has.
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [COMMIT_LOCK])
        for table, month in sorted(set(wanted) - existing(connection)):
            _make(connection, table, month)


def _make(connection: Connection, table: str, month: int) -> None:
    names = {
        "table": sql.Identifier(table),
        "default": sql.Identifier(f"{table}_other"),
        "partition": sql.Identifier(f"{table}_{1970 + month // 12:04d}{month % 12 + 1:02d}"),
        "first": sql.Literal(str(_first_id(month))),
        "end": sql.Literal(str(_first_id(month + 1))),
    }
    for statement in (
        "LOCK TABLE {default} IN ACCESS EXCLUSIVE MODE",
        "CREATE TABLE {partition} (LIKE {table} INCLUDING ALL)",
        "WITH moved AS (DELETE FROM {default} WHERE id >= {first} AND id < {end} RETURNING *)"
        " INSERT INTO {partition} SELECT * FROM moved",
        "ALTER TABLE {table} ATTACH PARTITION {partition} FOR VALUES FROM ({first}) TO ({end})",
    ):
        connection.execute(sql.SQL(statement).format(**names))


def _month(time: datetime) -> int:
    return (time.year - 1970) * 12 + time.month - 1


def _first_id(month: int) -> UUID:
    """The least id whose time lies in a month."""
    begin = datetime(1970 + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    return UUID(int=int(begin.timestamp() * 1000) << 80)
