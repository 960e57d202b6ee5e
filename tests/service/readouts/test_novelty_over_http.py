"""An effect that fades, through the service: told once the planned end is reached, and by the figures."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.service.assigned import assigned_units
from tests.service.readouts.test_days_over_http import began, change

from equipoise_service.readouts.numerals import to_the_minute
from equipoise_service.readouts.verification import verify_readout

KEY = "new-landing-page"
URL = f"/v1/experiments/{KEY}"
NOW = datetime.now(UTC)
START = NOW - timedelta(days=10)
UNITS, DAYS = 300, 4
METRIC = {"key": "bought", "type": "mean", "event": "buy", "aggregation": "count", "window_hours": 24 * DAYS}


def buying(arm: str, day: int) -> int:
    """How many of the units of an arm buy on a day since their exposure."""
    return 100 + (150 if arm == "treatment" and day == 0 else 0)


def fixed(days: int) -> dict[str, Any]:
    return {"method": "fixed-horizon", "horizon": {"days": days}}


def run(client: TestClient, payload: Any, plan: dict[str, Any], *, ended: datetime | None = None) -> None:
    """An experiment that began ten days ago; its units came on the second day, and some too late."""
    body = payload(metrics=[METRIC], plan=plan)
    assert client.post("/v1/experiments", json=body).status_code == 201
    assert client.post(f"{URL}/start").status_code == 200
    units = assigned_units(client, body["key"], UNITS + 1)
    began(client, 1, START, ended)
    shown, happened = [], []
    come = START + timedelta(days=1)
    for arm in ("control", "treatment"):
        for i in range(UNITS + 1):
            at = NOW - timedelta(days=DAYS - 1) if i == UNITS else come
            unit = units[arm][i]
            shown.append({"time": at.isoformat(), "unit": unit, "experiment": body["key"], "variant": arm})
            for day in range(DAYS):
                # Others than on the day before, so that a unit's days are not the same.
                if (i + 37 * day) % UNITS < buying(arm, day) and i < UNITS:
                    then = at + timedelta(days=day, hours=1)
                    happened.append({"time": then.isoformat(), "unit": unit, "name": "buy"})
    for begin in range(0, max(len(shown), len(happened)), 400):
        part = {
            kind: [{"id": str(uuid.uuid4()), **each} for each in items[begin : begin + 400]]
            for kind, items in (("exposures", shown), ("events", happened))
        }
        assert client.post("/v1/events", json=part).status_code == 200


def readout(client: TestClient, *, at_the_end: bool = True) -> dict[str, Any]:
    answer = client.post(f"{URL}/looks?wait=60") if at_the_end else client.get(f"{URL}/readout?wait=60")
    assert answer.status_code == (201 if at_the_end else 200), answer.text
    found: dict[str, Any] = answer.json()
    assert verify_readout(found) == []
    return found


def test_an_effect_that_fades_is_told_at_the_planned_end(client: TestClient, payload: Any) -> None:
    run(client, payload, fixed(9))
    found = readout(client)
    (metric,) = found["by_age"]["metrics"]
    assert [(each["first"], each["last"]) for each in metric["ages"]] == [(day, day) for day in range(DAYS)]
    assert {arm["variant"]: arm["n"] for arm in metric["arms"]} == {"control": UNITS, "treatment": UNITS}
    for arm in metric["arms"]:
        assert arm["means"] == pytest.approx([buying(arm["variant"], day) / UNITS for day in range(DAYS)])
    (effect,) = metric["effects"]
    assert [each["difference"] for each in effect["at"]] == pytest.approx([0.5, 0, 0, 0], abs=1e-12)
    assert (effect["finding"], effect["detected"]) == ("fading", True)
    assert "+0.50 on day 0, 0.00 on day 3 (corrected p < 0.0001)" in found["by_age"]["text"]
    assert found["by_age"]["text"] in found["summary"]
    figure = client.get(f"{URL}/readout/export?format=svg&figure=ages-bought")
    assert figure.status_code == 200, figure.text
    assert "days since exposure" in figure.text


def test_before_the_planned_end_nobody_looks(client: TestClient, payload: Any) -> None:
    run(client, payload, fixed(20))
    assert readout(client, at_the_end=False)["by_age"] is None


def test_what_was_done_after_the_end_of_the_experiment_does_not_count(
    client: TestClient, payload: Any
) -> None:
    run(client, payload, fixed(9), ended=START + timedelta(days=DAYS))
    (metric,) = readout(client)["by_age"]["metrics"]
    assert {arm["n"] for arm in metric["arms"]} == {0}
    assert metric["effects"][0]["status"] == "unavailable"


def test_beside_confidence_sequences_it_is_asked_once_a_day(client: TestClient, payload: Any) -> None:
    run(client, payload, {"method": "confidence-sequence"})
    found = readout(client, at_the_end=False)
    asked_at = found["asked_at"]
    assert found["started_at"] < asked_at <= found["generated_at"]
    assert f"(As of {to_the_minute(asked_at)}.)" in found["by_age"]["text"]
    (effect,) = found["by_age"]["metrics"][0]["effects"]
    assert (found["by_age"]["always_valid"], effect["finding"], effect["detected"]) == (True, "fading", True)
    assert "fades with the days since exposure" in found["summary"]
    # What comes later on the same day is in the rest of the readout, and not in this.
    late = {"time": (START + timedelta(days=1)).isoformat(), "experiment": KEY, "variant": "control"}
    unit = assigned_units(client, KEY, UNITS + 2)["control"][UNITS + 1]
    more = {"exposures": [{"id": str(uuid.uuid4()), **late, "unit": unit}]}
    assert client.post("/v1/events", json=more).json()["refused"] == 0
    again = readout(client, at_the_end=False)
    assert again["arms"][0]["units"] == found["arms"][0]["units"] + 1
    assert (again["asked_at"], again["by_age"]) == (asked_at, found["by_age"])
    # On the next one it is asked anew.
    began(client, 1, datetime.fromisoformat(asked_at) - timedelta(days=11, microseconds=-1))
    tomorrow = readout(client, at_the_end=False)
    assert tomorrow["asked_at"] > asked_at
    n = {arm["variant"]: arm["n"] for arm in tomorrow["by_age"]["metrics"][0]["arms"]}
    assert n == {"control": UNITS + 1, "treatment": UNITS}
    # And when it is over, with each readout.
    assert client.post(f"{URL}/stop").status_code == 200
    over = readout(client, at_the_end=False)
    assert over["asked_at"] is None
    assert over["by_age"]["always_valid"] is True


def test_what_is_asked_otherwise_is_asked_at_once(client: TestClient, payload: Any) -> None:
    """Also on the same day: the deviation's plan has other levels."""
    run(client, payload, {"method": "confidence-sequence"})
    found = readout(client, at_the_end=False)
    change(client, plan={"method": "confidence-sequence", "alpha": 0.02}, deviation="Fewer false alarms.")
    again = readout(client, at_the_end=False)
    assert again["asked_at"] > found["asked_at"]


def test_before_a_day_has_passed_nobody_looks(client: TestClient, payload: Any) -> None:
    run(client, payload, {"method": "confidence-sequence"})
    began(client, 1, NOW - timedelta(hours=23))
    found = readout(client, at_the_end=False)
    assert (found["asked_at"], found["by_age"]) == (None, None)
