"""What a look saw is recognised where an engine adds the same numbers in another order."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from math import nextafter
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.service.readouts.documents import (
    CONVERTED,
    LOAD_TIME,
    PER_VIEW,
    PROVENANCE,
    START,
    moments,
    plan,
    statistics,
)
from tests.service.readouts.test_endpoint import event, exposure, send

from equipoise_service.analysis.segments import segment_label
from equipoise_service.analysis.statistics import (
    ArmStatistics,
    ArmValues,
    QuantileValues,
    SegmentStatistics,
    Statistics,
)
from equipoise_service.metrics.schemas import Level, MetricType
from equipoise_service.plans.looks import Look, next_look
from equipoise_service.plans.population import PlannedSegment
from equipoise_service.plans.schemas import Horizon, Method
from equipoise_service.readouts.building import build_readout, mature_units, statistics_digest
from equipoise_service.readouts.facts import analyse_plan
from equipoise_service.readouts.held import as_looked_at, statistics_in
from equipoise_service.readouts.reading import readout_of
from equipoise_service.readouts.schemas import Readout
from equipoise_stats import ArmQuantile, Counts, Moments

MEDIAN = LOAD_TIME.model_copy(
    update={"key": "median", "type": MetricType.QUANTILE, "quantile": 0.5, "level": Level.UNIT}
)
PLANNED = plan(
    CONVERTED,
    LOAD_TIME.model_copy(update={"winsorize": 0.99}),
    PER_VIEW,
    MEDIAN,
    method=Method.GROUP_SEQUENTIAL,
    horizon=Horizon(units=4_000),
    segments=[PlannedSegment(key="country", event="signed_up", property="country")],
)
Change = Callable[[float], float]


def same(value: float) -> float:
    return value


def found(of_means: Change = same, of_products: Change = same, *, extra: int = 0) -> Statistics:
    """Statistics of every kind; some means are near zero, some products cancel."""

    def changed(values: Moments) -> Moments:
        means = tuple(map(of_means, values.mean))
        products = tuple(tuple(map(of_products, row)) for row in values.comoments)
        return Moments(values.n, values.columns, means, products)

    def arm(shift: float) -> dict[str, ArmValues]:
        near_zero = Moments(1_000, ("y", "d"), (1e-17, 2.0), ((500.0, 1e-14), (1e-14, 900.0)))
        quantile = ArmQuantile(
            0.5,
            changed(Moments(900, ("below", "events"), (0.5, 3.0), ((225.0, -80.0), (-80.0, 700.0)))),
            of_means(5.0 + shift),
            of_means(4.5),
            of_means(7.5),
        )
        return {
            "converted": Counts(1_000, 100 + extra),
            "load-time": changed(moments(1_000, 812.5 + shift, 90_000.0)),
            "per-view": changed(near_zero),
            "median": QuantileValues(1_000, 0.5, quantile),
        }

    whole = statistics(3, control=arm(0.0), treatment=arm(1.5))
    parts = [SegmentStatistics(segment_label("DE", others=False), whole.arms, 3)]
    return replace(whole, cuts={"load-time": {"y": of_means(4_000.0)}}, segments={"country": parts})


def look_at(seen: Statistics) -> tuple[Look, Readout]:
    look = next_look(
        PLANNED,
        mature_units(PLANNED, seen),
        [],
        statistics_digest=statistics_digest(PLANNED, seen),
        taken_at=START + timedelta(days=2),
        started_at=START,
        ended_at=None,
    )
    return look, readout_of(build_readout(PLANNED, seen, replace(PROVENANCE, started_at=START), [look]))


def test_the_statistics_of_a_readout_are_read_back_exactly() -> None:
    look, looked = look_at(found())
    assert statistics_digest(PLANNED, statistics_in(looked)) == look.statistics_digest


@settings(deadline=None)
@given(ulps=st.lists(st.integers(-40, 40), min_size=2, max_size=2))
def test_the_last_bits_do_not_make_new_facts(ulps: list[int]) -> None:
    look, looked = look_at(found())

    def shifted(by: int) -> Change:
        # Sums of larger terms carry the errors of these, however near to zero the result is.
        return lambda value: value + by * (abs(value) * 2**-52 + 1e-15)

    now = found(shifted(ulps[0]), shifted(ulps[1]))
    again = as_looked_at(PLANNED, now, look, looked)
    assert statistics_digest(PLANNED, again) == look.statistics_digest
    readout = build_readout(PLANNED, again, replace(PROVENANCE, started_at=START), [look])
    assert readout["progress"]["look"] == 1


@pytest.mark.parametrize(
    "now",
    [
        found(extra=1),
        found(lambda mean: mean * (1 + 1e-7)),
        found(of_products=lambda product: product * (1 + 1e-7)),
        found(of_products=lambda product: product + 1e-3 * (product < 1e-3)),
        replace(found(), crossovers=4),
        replace(found(), cuts={"load-time": {"y": None}}),
        replace(found(), segments={"country": []}),
        replace(found(), arms={**found().arms, "treatment": ArmStatistics(0, {})}),
    ],
    ids=["count", "mean", "variance", "covariance", "crossovers", "cut", "segment", "arm"],
)
def test_new_facts_are_none_of_the_look(now: Statistics) -> None:
    look, looked = look_at(found())
    assert as_looked_at(PLANNED, now, look, looked) is now


def test_a_look_is_found_again_when_it_is_read_again_and_after_the_end(
    client: TestClient, payload: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "/v1/experiments/new-landing-page"
    metrics = [{"key": "spent", "type": "mean", "event": "buy"}]
    planned = {"horizon": {"units": 400}, "looks": {"count": 4}, "bots": {"most_events": 50}}
    assert client.post("/v1/experiments", json=payload(plan=planned, metrics=metrics)).status_code == 201
    assert client.post(f"{url}/start").status_code == 200
    units = [f"{variant[0]}{i}" for variant in ("control", "treatment") for i in range(100)]
    exposures = [exposure(unit, "control" if unit[0] == "c" else "treatment") for unit in units]
    events = [event(unit, name="buy", value=0.1 * int(unit[1:]) + 0.7) for unit in units if int(unit[1:]) % 3]
    send(client, exposures, events)
    looked = client.post(f"{url}/looks").json()

    def in_another_order(*asked: Any) -> Statistics:
        now = analyse_plan(*asked)
        arms = {variant: replace(arm, values=dict(arm.values)) for variant, arm in now.arms.items()}
        for arm in arms.values():
            for key, values in arm.values.items():
                assert isinstance(values, Moments)
                means = tuple(nextafter(mean, 100.0) for mean in values.mean)
                arm.values[key] = replace(values, mean=means)  # type: ignore[index]
        return replace(now, arms=arms)

    monkeypatch.setattr("equipoise_service.readouts.service.analyse_plan", in_another_order)
    for state in ("running", "stopped"):
        if state == "stopped":
            client.post(f"{url}/stop")
        again = client.get(f"{url}/readout?wait=60").json()
        assert again["generated_at"] > looked["generated_at"]
        assert again["statistics_digest"] == looked["statistics_digest"]
        assert again["progress"]["look"] == 1
        assert again["metrics"][0]["comparisons"][0]["difference"]["p_value"] is not None
