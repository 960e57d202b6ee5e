"""Items and batches that the tests of ingestion share."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from equipoise.configuration import Configuration, parse
from equipoise.identifiers import uuid7
from equipoise_service.events.batches import Batch
from equipoise_service.events.reading import Reading, Sender, read_each, read_whole
from equipoise_service.events.rules import Terms, latest_time
from equipoise_service.events.stores.store import EventStore

PLACE = "default/production"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def document() -> dict[str, Any]:
    """A configuration: `page` runs at revision 3, `device-test` on devices, `idea` was never started.

    The flags keep the value of `gone`, a variant of an earlier revision.
    """
    values = {"control": "old", "gone": "bold", "treatment": "new"}

    def experiment(key: str, **changes: Any) -> dict[str, Any]:
        return {
            "status": "running",
            "unit_type": "user",
            "flag": key,
            "variants": ["control", "treatment"],
            "control": "control",
            "layer_salt": "0f3c0f3c0f3c0f3c",
            "slots": [[0, 10000]],
            "revision": 3,
            "salt": "9ab19ab19ab19ab1",
            "ranges": [["control", 0, 5000], ["treatment", 5000, 10000]],
            **changes,
        }

    draft: dict[str, Any] = {"status": "draft", "revision": None, "salt": None, "slots": [], "ranges": []}
    experiments = {
        "page": experiment("page"),
        "device-test": experiment("device-test", unit_type="device", status="stopped", revision=1),
        "idea": experiment("idea", **draft),
    }
    return {
        "schema": "equipoise.config/2",
        "project": "default",
        "environment": "production",
        "version": 1,
        "flags": {
            key: {
                "type": "string",
                "unit_type": each["unit_type"],
                "variants": values,
                "default": "control",
                "rules": [{"experiment": key}],
            }
            for key, each in experiments.items()
        },
        "experiments": experiments,
    }


CONFIGURATION: Configuration = parse(document())
TERMS = Terms(CONFIGURATION, NOW, latest_time(NOW, 86_400))
SENDER = Sender(PLACE, "k1", 10_000)


def exposure(**changes: Any) -> dict[str, Any]:
    """An exposure as it goes over the wire."""
    return {
        "id": uuid7(),
        "time": "2026-03-01T12:00:00Z",
        "unit": "user-1",
        "experiment": "page",
        "variant": "treatment",
        **changes,
    }


def event(**changes: Any) -> dict[str, Any]:
    """An event as it goes over the wire."""
    return {"id": uuid7(), "time": "2026-03-01T12:00:00Z", "unit": "user-1", "name": "purchase", **changes}


def body(exposures: list[Any] | None = None, events: list[Any] | None = None, **more: Any) -> bytes:
    """A batch as it goes over the wire."""
    return msgspec.json.encode({"exposures": exposures or [], "events": events or [], **more})


def read(content: bytes, place: str = PLACE, max_items: int = 10_000) -> Reading:
    """A body as the route reads it."""
    asked = content, Sender(place, "k1", max_items), TERMS
    return read_whole(*asked) or read_each(*asked)


def batch(exposures: list[Any] | None = None, events: list[Any] | None = None, place: str = PLACE) -> Batch:
    """Items in which nothing is wrong, ready for the store."""
    reading = read_whole(body(exposures, events), Sender(place, "k1", 1_000_000), TERMS)
    assert reading is not None
    return reading.batch


def rows(store: EventStore, table: str) -> list[dict[str, Any]]:
    """All rows of a table."""
    with store.ibis() as backend:
        found: list[dict[str, Any]] = backend.table(table).to_pyarrow().to_pylist()
    return found


def later(seconds: float) -> str:
    """A time after `NOW`, as it goes over the wire."""
    return (NOW + timedelta(seconds=seconds)).isoformat()
