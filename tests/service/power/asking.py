"""Asking for the power of a plan, and what is asked for."""

from datetime import UTC, datetime
from typing import Any

from fastapi.testclient import TestClient

NOW = datetime.now(UTC)
BOOKINGS = {"key": "bookings", "type": "proportion", "event": "booked", "window_hours": 24}
SPEND = {"key": "spend", "type": "mean", "event": "purchase", "window_hours": 24}


def power(client: TestClient, **asked: Any) -> dict[str, Any]:
    answer = client.post("/v1/plans/power", json=asked)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def refused(client: TestClient, **asked: Any) -> str:
    answer = client.post("/v1/plans/power", json=asked)
    assert answer.status_code == 422, answer.text
    pointer: str = answer.json()["errors"][0]["pointer"]
    return pointer
