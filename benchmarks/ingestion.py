"""`POST /v1/events` against decoding, Arrow and insert-and-commit of the same batches without HTTP."""

import datetime
import tempfile
import time
from pathlib import Path

import duckdb
import msgspec
import pyarrow as pa

from benchmarks.load import seconds_to_send
from benchmarks.paired import paired, row
from benchmarks.server import running_service
from equipoise.identifiers import uuid7

BATCHES = 400
BATCH = 500
CONNECTIONS = 8
ROUNDS = 5


class Event(msgspec.Struct):
    """One event, as the floor decodes it."""

    id: str
    time: datetime.datetime
    unit: str
    name: str
    value: float


class Batch(msgspec.Struct):
    """A batch, as the floor decodes it."""

    events: list[Event]


def main() -> None:
    """Print the ratio of acknowledged events a second."""
    print("ingestion: events a second, batches of 500, each acknowledged when on disk")
    with running_service() as running, tempfile.TemporaryDirectory() as directory:
        floor = duckdb.connect(Path(directory) / "floor.duckdb")
        floor.execute(
            "CREATE TABLE events (place VARCHAR, id UUID, time TIMESTAMP, received_at TIMESTAMP,"
            " unit_type VARCHAR, unit VARCHAR, name VARCHAR, value DOUBLE, properties VARCHAR)"
        )

        def over_http() -> float:
            requests = [running.request("POST", "/v1/events", body) for body in bodies(BATCHES)]
            seconds = seconds_to_send((running.host, running.port), requests, connections=CONNECTIONS)
            return BATCHES * BATCH / seconds

        def without_http() -> float:
            made = bodies(BATCHES)
            begin = time.perf_counter()
            for start in range(0, BATCHES, CONNECTIONS):
                _insert(floor, made[start : start + CONNECTIONS])
            return BATCHES * BATCH / (time.perf_counter() - begin)

        measured, bare, ratios = paired(over_http, without_http, ROUNDS)
        row(
            "POST /v1/events, against decode + Arrow + insert + commit",
            f"{measured:,.0f}/s",
            f"{bare:,.0f}/s",
            ratios,
        )
        floor.close()


def bodies(batches: int) -> list[bytes]:
    """So many batches with new ids."""
    now = datetime.datetime.now(datetime.UTC).isoformat()
    return [
        msgspec.json.encode(
            {
                "events": [
                    {
                        "id": uuid7(),
                        "time": now,
                        "unit": f"user-{(batch * 7919 + index) % 50_000}",
                        "name": "converted",
                        "value": 1.5,
                    }
                    for index in range(BATCH)
                ]
            }
        )
        for batch in range(batches)
    ]


_decode = msgspec.json.Decoder(Batch).decode


def _insert(connection: duckdb.DuckDBPyConnection, made: list[bytes]) -> None:
    events = [event for body in made for event in _decode(body).events]
    table = pa.table(
        {
            "id": pa.array([event.id for event in events]),
            "time": pa.array([event.time.replace(tzinfo=None) for event in events], pa.timestamp("us")),
            "unit": pa.array([event.unit for event in events]),
            "name": pa.array([event.name for event in events]),
            "value": pa.array([event.value for event in events]),
        }
    )
    connection.register("batch", table)
    connection.execute(
        "INSERT INTO events SELECT 'p/e', id::UUID, time, current_localtimestamp(), 'user', unit, name,"
        " value, NULL FROM batch"
    )
    connection.unregister("batch")
