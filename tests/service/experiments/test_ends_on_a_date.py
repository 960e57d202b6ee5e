"""A plan that ends on a date: each start makes days of it, and no other date than the one named is meant."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from equipoise_service.experiments.schemas import ExperimentIn
from equipoise_service.plans.schemas import MAX_DAYS, NoSuchEnd, PlannedEnd
from equipoise_service.readouts.ad_hoc import plan_of

URL = "/v1/experiments/new-landing-page"


def in_days(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).date().isoformat()


def ending_on(day: str, **more: Any) -> dict[str, Any]:
    return {"horizon": {"date": day}, **more}


def patch(client: TestClient, **changes: Any) -> Any:
    return client.patch(URL, json=changes, headers={"If-Match": client.get(URL).headers["ETag"]})


@given(
    starts_at=st.datetimes(
        min_value=datetime(2000, 1, 1),
        max_value=datetime(2100, 1, 1),
        timezones=st.integers(-14, 14).map(lambda hours: timezone(timedelta(hours=hours))),
    ),
    days=st.integers(1, MAX_DAYS),
)
def test_so_many_days_after_the_start_it_is_that_day(starts_at: datetime, days: int) -> None:
    ends_on = starts_at.astimezone(UTC).date() + timedelta(days=days)
    found = PlannedEnd(date=ends_on).counted_from(starts_at)
    assert (starts_at.astimezone(UTC) + timedelta(days=found.days or 0)).date() == ends_on


@pytest.mark.parametrize("day", ["2026-03-01", "2026-02-28", "2036-03-11"])
def test_no_end_is_before_the_start_or_ten_years_away(day: str) -> None:
    with pytest.raises(NoSuchEnd, match=f"{day}, is not between 1 and 3660 days after the start, 2026-03-01"):
        PlannedEnd(date=date.fromisoformat(day)).counted_from(datetime(2026, 3, 1, 0, 30, tzinfo=UTC))


@pytest.mark.parametrize(
    "horizon",
    [
        {"date": "2026-12-20T00:00:00Z"},
        {"date": "2026-12-20T00:00:00"},
        {"date": 1_766_188_800},
        {"date": "1766188800"},
        {"date": "20261220"},
        {"date": "2026-02-30"},
        {"date": "2026-12-20", "days": 28},
        {"date": None},
    ],
)
def test_a_date_is_a_day_and_nothing_else(horizon: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PlannedEnd.model_validate(horizon)


def test_each_start_makes_days_of_it(client: TestClient, payload: Any) -> None:
    day = in_days(28)
    assert client.post("/v1/experiments", json=payload(plan=ending_on(day))).status_code == 201
    assert client.get(URL).json()["plan"]["horizon"] == {"units": None, "days": None, "date": day}
    assert client.post(f"{URL}/start").status_code == 200
    found = client.get(f"{URL}/readout?wait=60").json()
    assert found["plan"]["horizon"]["units"] is None
    ends_at = datetime.fromisoformat(found["started_at"]) + timedelta(days=found["plan"]["horizon"]["days"])
    assert ends_at.date().isoformat() == day
    # The same date again is no change, days more are one, and so is another date.
    assert patch(client, plan=ending_on(day)).status_code == 200
    assert patch(client, plan=ending_on(in_days(30))).status_code == 409
    later = ending_on(in_days(30))
    assert patch(client, plan=later, deviation="The holidays are in between.").status_code == 200
    changed = client.get(f"{URL}/readout?wait=60").json()
    assert [each["changed"] for each in changed["deviations"]] == [["/horizon/days"]]
    assert changed["plan"]["horizon"]["days"] == found["plan"]["horizon"]["days"] + 2


def test_a_new_revision_until_the_same_date_is_no_deviation(
    client: TestClient, payload: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def weighted(control: int) -> list[dict[str, Any]]:
        return [
            {"key": "control", "weight": control, "control": True},
            {"key": "treatment", "weight": 10_000 - control},
        ]

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + timedelta(days=2)

    same = ending_on(in_days(28))
    assert client.post("/v1/experiments", json=payload(plan=same)).status_code == 201
    assert client.post(f"{URL}/start").status_code == 200
    monkeypatch.setattr("equipoise_service.experiments.runs.datetime", Later)
    # The days that are left are fewer, which nobody has changed.
    assert patch(client, plan=same, variants=weighted(3000)).status_code == 200
    assert client.get(URL).json()["revision"] == 2
    sooner = {"plan": ending_on(in_days(20)), "variants": weighted(4000)}
    assert "this changes /horizon/days." in patch(client, **sooner).json()["detail"]
    assert patch(client, **sooner, deviation="It is needed sooner.").status_code == 200


def test_a_date_that_is_over_is_refused(client: TestClient, payload: Any) -> None:
    refused = client.post("/v1/experiments", json=payload(plan=ending_on(in_days(0))))
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/plan/horizon/date"
    assert client.post("/v1/experiments", json=payload(plan=ending_on(in_days(9)))).status_code == 201
    assert patch(client, plan=ending_on(in_days(-1))).status_code == 422


def test_who_starts_after_the_date_is_told_so(
    client: TestClient, payload: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.post("/v1/experiments", json=payload(plan=ending_on(in_days(1)))).status_code == 201

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + timedelta(days=2)

    monkeypatch.setattr("equipoise_service.experiments.runs.datetime", Later)
    refused = client.post(f"{URL}/start")
    assert refused.status_code == 409
    assert "Give the plan another date" in refused.json()["detail"]
    assert client.get(URL).json()["status"] == "draft"


def test_units_that_a_plan_needs_are_asked_until_the_date(client: TestClient) -> None:
    def asked(horizon: dict[str, Any]) -> Any:
        body = {
            "metrics": [{"key": "converted", "type": "proportion", "event": "converted"}],
            "plan": {"horizon": horizon, "targets": {"converted": {"mde": 0.05}}},
            "traffic_of": {"daily_units": 1_000},
            "baselines": {"converted": {"value": 0.1}},
        }
        return client.post("/v1/plans/power", json=body)

    by_date, by_days = asked({"date": in_days(56)}), asked({"days": 56})
    assert by_date.status_code == 200, by_date.text
    assert by_date.json()["units"] == by_days.json()["units"]
    assert asked({"date": in_days(-1)}).json()["errors"][0]["pointer"] == "/plan/horizon/date"


def test_without_a_start_days_are_asked_for(payload: Any) -> None:
    with pytest.raises(NoSuchEnd, match="give days instead of the date 2026-12-20"):
        plan_of(ExperimentIn.model_validate(payload(plan=ending_on("2026-12-20"))))
