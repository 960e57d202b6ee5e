"""The tables in ClickHouse, brought to this release's schema.

What is written are tables whose name ends in `_parts`, in which an item may lie several times until
ClickHouse merges; what is read are views of them, in which it is there once, the first that was received.
"""

from clickhouse_connect.driver.client import Client

from equipoise_service.events.stores.store import EventStoreError

# Of rows with one key the one with the greatest order stays: the one that was received first. A part is on
# disk before it is acknowledged, which is not ClickHouse's default.
_FIRST_STAYS = """
    ENGINE = ReplacingMergeTree(order) ORDER BY (place, id, unit_type)
    SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
"""
_RECEIVED = """
    received_at DateTime64(6) DEFAULT now64(6),
    unit_hash Int32 MATERIALIZED
        toInt32(bitShiftRight(reinterpretAsUInt32(reverse(substring(MD5(unit), 1, 4))), 1)),
    order UInt64 MATERIALIZED 9223372036854775807 - toUnixTimestamp64Micro(received_at)
"""
DURABLE = "SETTINGS fsync_after_insert = 1, fsync_part_directory = 1"
"""What is inserted is on disk before it is answered."""

# Step N brings a database from version N to N + 1. Steps are only ever added, and every statement may be
# repeated: processes that start together may both come here, and there is no transaction.
STEPS: tuple[tuple[str, ...], ...] = (
    (
        f"""CREATE TABLE IF NOT EXISTS exposures_parts (
            place LowCardinality(String), id UUID, time DateTime64(6), unit_type LowCardinality(String),
            unit String, experiment LowCardinality(String), variant LowCardinality(String), revision Int32,
            {_RECEIVED}
        ) {_FIRST_STAYS}""",
        """CREATE VIEW IF NOT EXISTS exposures AS
        SELECT place, id, time, received_at, unit_type, unit, unit_hash, experiment, variant, revision
        FROM exposures_parts FINAL""",
        f"""CREATE TABLE IF NOT EXISTS events_parts (
            place LowCardinality(String), id UUID, time DateTime64(6), unit_type LowCardinality(String),
            unit String, name LowCardinality(String), value Nullable(Float64), properties Nullable(String),
            {_RECEIVED}
        ) {_FIRST_STAYS}""",
        """CREATE VIEW IF NOT EXISTS events AS
        SELECT place, id, time, received_at, unit_type, unit, unit_hash, name, value, properties
        FROM events_parts FINAL""",
        f"""CREATE TABLE IF NOT EXISTS dropped_parts (
            place String, client UUID, reason String, count SimpleAggregateFunction(max, Int64),
            first_at SimpleAggregateFunction(min, DateTime64(6)) DEFAULT now64(6),
            last_at SimpleAggregateFunction(max, DateTime64(6)) DEFAULT now64(6)
        ) ENGINE = AggregatingMergeTree ORDER BY (place, client, reason) {DURABLE}""",
        """CREATE VIEW IF NOT EXISTS dropped AS
        SELECT place, client, reason, CAST(max(count) AS Int64) AS count,
               CAST(min(first_at) AS DateTime64(6)) AS first_at,
               CAST(max(last_at) AS DateTime64(6)) AS last_at
        FROM dropped_parts GROUP BY place, client, reason""",
        f"""CREATE TABLE IF NOT EXISTS rejected (
            place String, key String, received_at DateTime64(6) DEFAULT now64(6), kind String,
            id Nullable(String), pointer String, reason String, item String
        ) ENGINE = MergeTree ORDER BY (place, received_at) {DURABLE}""",
        f"""CREATE TABLE IF NOT EXISTS intake_parts (
            place String, key String, day Date DEFAULT today(), kind String,
            accepted Int64, duplicate Int64, refused Int64
        ) ENGINE = SummingMergeTree ORDER BY (place, key, day, kind) {DURABLE}""",
        """CREATE VIEW IF NOT EXISTS intake AS
        SELECT place, key, day, kind, sum(accepted) AS accepted, sum(duplicate) AS duplicate,
               sum(refused) AS refused
        FROM intake_parts GROUP BY place, key, day, kind""",
    ),
)


def upgrade(client: Client) -> None:
    """Bring the tables to this release's schema.

    Raises:
        EventStoreError: The tables belong to a newer release.
    """
    client.command(
        "CREATE TABLE IF NOT EXISTS schema_version"
        " (version UInt32, applied_at DateTime64(6) DEFAULT now64(6))"
        f" ENGINE = ReplacingMergeTree(applied_at) ORDER BY version {DURABLE}"
    )
    version = int(client.query("SELECT max(version) FROM schema_version").result_rows[0][0])
    if version > len(STEPS):
        raise EventStoreError(
            f"The event store in ClickHouse has schema version {version}; this release knows {len(STEPS)}. "
            "A newer release made it: start that one, or restore a backup made before it."
        )
    for reached, statements in enumerate(STEPS[version:], start=version + 1):
        for statement in statements:
            client.command(statement)
        client.insert("schema_version", [[reached]], column_names=["version"])
