"""Facts that are sent in times of any offset, held against plain Python that knows UTC alone."""

import json
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.service.analysis.metric_reference import PLACE, START, Exposure, assert_same, reference
from tests.service.analysis.test_metrics import AS_OF, DEFINITIONS, crowd, named
from tests.service.conftest import experiment

from equipoise.identifiers import uuid7
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.store import analyse_store
from equipoise_service.plans.documents import PlannedMetric

ZONES = ["UTC", "Asia/Kathmandu", "America/St_Johns"]


@pytest.fixture(params=ZONES)
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where the machine of the service stands."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


def written(moment: datetime, chance: random.Random) -> str:
    """A moment as a sender somewhere writes it: its day there may be another one than in UTC."""
    minutes = chance.choice([0, 60, -300, 345, -210, 840, -720, chance.randint(-1439, 1439)])
    there = moment.replace(tzinfo=UTC).astimezone(timezone(timedelta(minutes=minutes)))
    text = there.isoformat(timespec=chance.choice(["seconds", "milliseconds", "microseconds"]))
    return text.replace("+00:00", "Z") if minutes == 0 and chance.random() < 0.5 else text


def send(client: TestClient, exposures: list[Exposure], events: list[Any], chance: random.Random) -> None:
    """Exposures in one document, events line by line."""
    shown = [
        {"id": uuid7(), "time": written(e.time, chance), "unit": e.unit, "experiment": e.experiment}
        | {"variant": e.variant, "revision": e.revision}
        for e in exposures
    ]
    happened = [
        {"kind": "event", "id": uuid7(), "time": written(e.time, chance), "unit": e.unit, "name": e.name}
        | ({} if e.value is None else {"value": e.value})
        | {"properties": json.loads(e.properties)}
        for e in events
    ]
    lines = "\n".join(map(json.dumps, happened))
    kind = {"Content-Type": "application/x-ndjson"}
    for answer, count in (
        (client.post("/v1/events", json={"exposures": shown}), len(shown)),
        (client.post("/v1/events", content=lines, headers=kind), len(happened)),
    ):
        assert answer.status_code == 200, answer.text
        assert answer.json()["accepted"] == count, answer.text


def test_offsets_change_no_number(client: TestClient, zone: str) -> None:
    seed = ZONES.index(zone)
    chance = random.Random(seed)
    variants = [{"key": "control", "weight": 5000, "control": True}, {"key": "a", "weight": 5000}]
    assert client.post("/v1/experiments", json=experiment("exp", variants=variants)).status_code == 201
    assert client.post("/v1/experiments/exp/start").status_code == 200
    changed = client.patch(
        "/v1/experiments/exp",
        json={
            "variants": [
                {**each, "weight": weight} for each, weight in zip(variants, (4000, 6000), strict=True)
            ]
        },
        headers={"If-Match": client.get("/v1/experiments/exp").headers["ETag"]},
    )
    assert changed.status_code == 200, changed.text
    exposures, events = crowd(seed)
    send(client, exposures, events, chance)
    definitions = [named(each, i) for i, each in enumerate(DEFINITIONS)]
    measures = tuple(PlannedMetric.model_validate(each).measure for each in definitions)
    elsewhere = timezone(timedelta(minutes=chance.randint(-1439, 1439)))
    as_of = AS_OF.replace(tzinfo=UTC).astimezone(elsewhere)
    with client.app.state.event_store.ibis() as backend:  # type: ignore[attr-defined]
        asked = StoreRequest(PLACE, "exp", 2, "user", measures, as_of)
        statistics = analyse_store(backend, asked)
        since = START.replace(tzinfo=UTC).astimezone(elsewhere)
        days = analyse_store(backend, StoreRequest(PLACE, "exp", 2, "user", (), as_of, since=since)).days
    for definition in definitions:
        assert_same(statistics, definition, reference(definition, exposures, events, AS_OF))
    met, first = defaultdict(set), dict[str, datetime]()
    for each in exposures:
        met[each.unit].add(each.variant)
        first[each.unit] = min(each.time, first.get(each.unit, each.time))
    assert {day.day: sum(arm.units for arm in day.arms.values()) for day in days} == Counter(
        first[unit].date() for unit, variants in met.items() if len(variants) == 1
    )
