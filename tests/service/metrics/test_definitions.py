"""What a definition of a metric may say, and from definitions over HTTP to the readout."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError
from tests.service.assigned import assigned_units

from equipoise_service.metrics.schemas import Metric
from equipoise_service.plans.documents import PlannedMetric
from equipoise_service.readouts.verification import verify_readout

URL = "/v1/experiments/new-landing-page"
VIEWS = {"event": "view", "aggregation": "count"}
VISITS = {"event": "visit", "aggregation": "count", "pre_period_days": 14}


def metric(**more: Any) -> dict[str, Any]:
    return {"key": "m", "type": "mean", "event": "buy", **more}


def filtered(**condition: Any) -> dict[str, Any]:
    return metric(filters=[condition])


@pytest.mark.parametrize(
    ("definition", "reason"),
    [
        (metric(type="proportion", aggregation="last"), "aggregation belongs to a mean"),
        (metric(type="ratio"), "a ratio has a denominator"),
        (metric(denominator=VIEWS), "a ratio has a denominator, and nothing else has"),
        (metric(delay_hours=24, window_hours=24), "ends at or before delay_hours"),
        (metric(type="proportion", winsorize=0.9), "winsorize belongs to a mean or a ratio"),
        (metric(winsorize=1.0), "less than 1"),
        (metric(pre_period_days=0), "greater than or equal to 1"),
        (metric(covariate=VISITS | {"pre_period_days": 0}), "greater than or equal to 1"),
        (metric(covariate={"event": "visit"}), "(?s)covariate.pre_period_days.*Field required"),
        (metric(covariate=VISITS | {"source": "shop"}), "(?s)covariate.source.*not permitted"),
        (metric(covariate=VISITS | {"property": "page"}), "counted, not aggregated"),
        (metric(covariate=VISITS, pre_period_days=7), "for its own pre-period"),
        (
            metric(covariate=VISITS, type="funnel", steps=[{"event": "view"}]),
            "no adjustment of funnels; leave covariate",
        ),
        (
            metric(pre_period_days=7, type="quantile", quantile=0.5, level="unit"),
            "no adjustment of quantiles; leave pre_period_days out",
        ),
        (metric(type="count_distinct"), "a count_distinct has a property"),
        (metric(property="plan"), "and nothing else has"),
        (metric(type="retention", from_day=7), "has from_day and to_day"),
        (metric(type="retention", from_day=7, to_day=7), "to_day is the later one"),
        (metric(type="retention", from_day=7, to_day=8, window_hours=1), "retention counts in days"),
        (metric(from_day=7, to_day=8), "belong to retention"),
        (filtered(operator="between", value=[1]), "two numbers"),
        (filtered(operator="in", value=1), "in takes a list"),
        (filtered(operator="equals", value=[1]), "equals takes a single value"),
        (filtered(operator="less_than", property="plan", value="pro"), "numbers only"),
        (filtered(operator="equals", value="pro"), "name a property"),
        (filtered(operator="equals", property="plan", value=float("inf")), "finite"),
        (filtered(operator="equals", property="plan", value="\0"), "match pattern"),
        (filtered(operator="equals", property="a'] --", value="x"), "match pattern"),
        (filtered(operator="equals", property="a.b", value="x"), "match pattern"),
        (metric(filters=[{"operator": "equals", "value": 1}] * 21), "at most 20"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused_and_said(definition: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        Metric.model_validate(definition)


def test_a_metric_of_a_column_has_none_of_the_settings_of_events() -> None:
    column = {"key": "m", "type": "mean", "role": "success", "direction": "increase", "column": "spent"}
    assert PlannedMetric.model_validate(column).measure.name == "spent"
    with pytest.raises(ValidationError, match="made of a column"):
        PlannedMetric.model_validate(column | {"window_hours": 3})


def at(hours: float) -> str:
    return (datetime.now(UTC) - timedelta(days=3) + timedelta(hours=hours)).isoformat()


def item(unit: str, hours: float, **more: Any) -> dict[str, Any]:
    return {"id": str(uuid.uuid4()), "time": at(hours), "unit": unit, **more}


def test_from_definitions_to_the_readout(client: TestClient, payload: Any) -> None:
    metrics = [
        metric(key="spent", winsorize=0.9, pre_period_days=7),
        metric(key="per-view", type="ratio", denominator=VIEWS),
        metric(key="per-view-cut", type="ratio", denominator=VIEWS, winsorize=0.9),
        metric(key="back", type="retention", event="view", from_day=1, to_day=2),
        metric(key="next-week", type="proportion", window_hours=24 * 7),
        metric(key="plans", type="count_distinct", property="plan"),
        metric(key="largest", aggregation="maximum", covariate=VISITS),
    ]
    assert client.post("/v1/experiments", json=payload(metrics=metrics)).status_code == 201
    assert client.get(URL).json()["metrics"][0]["winsorize"] == 0.9
    assert client.post(f"{URL}/start").status_code == 200
    exposures, events = [], []
    visits: list[dict[str, Any]] = []
    met = assigned_units(client, "new-landing-page", 100)
    for i in range(200):
        variant = "control" if i % 2 else "treatment"
        unit = met[variant][i // 2]
        exposures.append(item(unit, 0, experiment="new-landing-page", variant=variant))
        usual = float(i % 17)
        events.append(item(unit, -24, name="buy", value=usual))
        # One visit is earlier than the days that count, and one is after the exposure.
        hours = [-24 * 15, *(-hour for hour in range(1, 1 + i % 17)), 0.5]
        visits += [item(unit, hour, name="visit") for hour in hours]
        events.append(item(unit, 1, name="buy", value=usual + i % 3, properties={"plan": f"plan-{i % 4}"}))
        events.append(item(unit, 30 if i % 5 else 2, name="view"))
    answer = client.post("/v1/events", json={"exposures": exposures, "events": events}).json()
    assert answer["refused"] == 0
    for begin in range(0, len(visits), 500):
        answer = client.post("/v1/events", json={"events": visits[begin : begin + 500]}).json()
        assert answer["refused"] == 0
    readout = client.get(f"{URL}/readout?wait=60").json()
    assert verify_readout(readout) == []
    spent, per_view, per_view_cut, back, next_week, plans, largest = readout["metrics"]
    details = {each["name"]: each["value"] for each in spent["comparisons"][0]["details"]}
    assert 0.8 < details["variance_removed"] < 1
    assert spent["comparisons"][0]["method"].startswith("winsorized_adjusted_mean ")
    spends = sorted(v for i in range(200) if (v := float(i % 17 + i % 3)))
    assert spent["cut"] == details["cut"] == spends[-(-len(spends) * 9 // 10) - 1]
    assert (per_view_cut["cut"], per_view_cut["denominator_cut"]) == (spent["cut"], 1.0)
    assert per_view_cut["comparisons"][0]["method"].startswith("winsorized_ratio ")
    over = sum(i % 17 + i % 3 > spent["cut"] for i in range(0, 200, 2))
    assert per_view_cut["winsorized"][1] == {"variant": "treatment", "units": over, "share": over / 100}
    assert per_view_cut["notes"][0].startswith(
        f"Set to their limits were numerators above {spent['cut']:g} and denominators above 1: "
    )
    assert (per_view["cut"], per_view["denominator_cut"]) == (None, None)
    (note,) = largest["notes"]
    removed = largest["comparisons"][0]["without_covariates"]["variance_removed"]
    assert 0.8 < removed < 1
    assert note == (
        f"Adjusting for the number of visit in the 14 days before exposure removes {100 * removed:.1f} % of "
        "the variance for treatment."
    )
    before = largest["comparisons"][0]["statistics"]["baseline"]
    assert before["columns"] == ["y", "y_before"]
    assert before["means"][1] == pytest.approx(sum(i % 17 for i in range(1, 200, 2)) / 100)
    named = readout["plan"]["metrics"][6]["covariate"]
    assert named == VISITS | {"property": None, "filters": []}
    ratio = per_view["comparisons"][0]["statistics"]["variant"]
    assert (ratio["columns"], ratio["means"][1]) == (["y", "d"], 1.0)
    assert back["comparisons"][0]["statistics"]["baseline"] == {"n": 100, "immature": 0, "successes": 80}
    assert next_week["comparisons"][0]["statistics"]["variant"]["immature"] == 100
    assert next_week["comparisons"][0]["difference"]["status"] == "too_few_units"
    assert plans["comparisons"][0]["statistics"]["variant"]["mean"] == 1.0
    assert "200 units were not counted on next-week yet: their window had not passed." in readout["summary"]
