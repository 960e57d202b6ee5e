"""The tables in PostgreSQL, brought to this release's schema by whichever process comes first."""

import psycopg
from psycopg import Connection, sql

from equipoise_service.events.stores.store import EventStoreError

SCHEMA = "equipoise_events"

# Whoever holds one of these, until the end of its transaction, is the only one that migrates; or that stores.
MIGRATION_LOCK = 0x6571_7569_706F_0001
COMMIT_LOCK = 0x6571_7569_706F_0002

# An item of several unit types is several rows of one id. The stamps are a sequence because a table's row
# would leave a dead version behind with every commit.
_CREATE_TABLES = """
CREATE TABLE exposures (
    place TEXT NOT NULL, id UUID NOT NULL, time TIMESTAMP NOT NULL, received_at TIMESTAMP NOT NULL,
    unit_type TEXT NOT NULL, unit TEXT NOT NULL, unit_hash INTEGER NOT NULL,
    experiment TEXT NOT NULL, variant TEXT NOT NULL, revision INTEGER NOT NULL,
    PRIMARY KEY (place, id, unit_type)
) PARTITION BY RANGE (id);
CREATE INDEX exposures_received_at ON exposures USING brin (received_at);
CREATE TABLE exposures_other PARTITION OF exposures DEFAULT;
CREATE TABLE events (
    place TEXT NOT NULL, id UUID NOT NULL, time TIMESTAMP NOT NULL, received_at TIMESTAMP NOT NULL,
    unit_type TEXT NOT NULL, unit TEXT NOT NULL, unit_hash INTEGER NOT NULL,
    name TEXT NOT NULL, value DOUBLE PRECISION, properties TEXT,
    PRIMARY KEY (place, id, unit_type)
) PARTITION BY RANGE (id);
CREATE INDEX events_received_at ON events USING brin (received_at);
CREATE TABLE events_other PARTITION OF events DEFAULT;
CREATE TABLE dropped (
    place TEXT NOT NULL, client UUID NOT NULL, reason TEXT NOT NULL, count BIGINT NOT NULL,
    first_at TIMESTAMP NOT NULL, last_at TIMESTAMP NOT NULL,
    PRIMARY KEY (place, client, reason)
);
CREATE TABLE rejected (
    place TEXT NOT NULL, key TEXT NOT NULL, received_at TIMESTAMP NOT NULL, kind TEXT NOT NULL,
    id TEXT, pointer TEXT NOT NULL, reason TEXT NOT NULL, item TEXT NOT NULL
);
CREATE INDEX rejected_received_at ON rejected (place, received_at);
CREATE TABLE intake (
    place TEXT NOT NULL, key TEXT NOT NULL, day DATE NOT NULL, kind TEXT NOT NULL,
    accepted BIGINT NOT NULL, duplicate BIGINT NOT NULL, refused BIGINT NOT NULL,
    PRIMARY KEY (place, key, day, kind)
);
CREATE SEQUENCE received_at AS BIGINT;
"""

# Step N brings a schema from version N to N + 1. Steps are only ever added: databases of every release exist.
STEPS: tuple[str, ...] = (_CREATE_TABLES,)


def upgrade(connection: Connection) -> None:
    """Bring the tables to this release's schema; of processes that start together, one does it.

    Args:
        connection: With `SCHEMA` as its search path, and no transaction.

    Raises:
        EventStoreError: The tables belong to a newer release, or this user may not make them.
    """
    try:
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [MIGRATION_LOCK])
            _upgrade(connection)
    except psycopg.errors.InsufficientPrivilege as error:
        raise EventStoreError(
            f"The event store's tables cannot be made or read: {error.diag.message_primary}. Let the user "
            f"create schemas in the database, or make this one for it: "
            f"CREATE SCHEMA {SCHEMA} AUTHORIZATION user."
        ) from error


def _upgrade(connection: Connection) -> None:
    # CREATE SCHEMA IF NOT EXISTS asks for the right to create even where it exists.
    if _scalar(connection, "SELECT count(*) FROM pg_namespace WHERE nspname = %s", SCHEMA) == 0:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(SCHEMA)))
    if _scalar(connection, "SELECT count(*) FROM pg_tables WHERE schemaname = %s", SCHEMA) == 0:
        connection.execute(
            "CREATE TABLE schema_version (version INTEGER NOT NULL, applied_at TIMESTAMPTZ NOT NULL)"
        )
    version = _scalar(connection, "SELECT coalesce(max(version), 0) FROM schema_version")
    if version > len(STEPS):
        raise EventStoreError(
            f"The event store in PostgreSQL has schema version {version}; this release knows {len(STEPS)}. "
            "A newer release made it: start that one, or restore a backup made before it."
        )
    for reached, step in enumerate(STEPS[version:], start=version + 1):
        # As bytes: it is several statements, a constant of ours.
        connection.execute(step.encode())
        connection.execute("INSERT INTO schema_version VALUES (%s, now())", [reached])


def _scalar(connection: Connection, query: str, *parameters: str) -> int:
    row = connection.execute(query.encode(), parameters or None).fetchone()
    assert row is not None, "an aggregate has one row"  # noqa: S101 - a fact of SQL
    return int(row[0])
