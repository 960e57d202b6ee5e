"""Interactions: experiments that ran at the same time on the same units, over HTTP and in the check."""

import math
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from scipy.stats import chi2, chi2_contingency
from tests.service.assigned import assigned_units
from tests.service.readouts.documents import CONVERTED, converted, plan, seal
from tests.service.readouts.overlapping import EFFECTS, overlapping_readout
from tests.service.readouts.test_days_over_http import began
from tests.service.readouts.test_verification import edited, is_refused, leaves, with_value

from equipoise_service.metrics.schemas import Role
from equipoise_service.plans.documents import DEFAULT_TUNING_UNITS as PLAN_UNITS
from equipoise_service.plans.schemas import Horizon, Method
from equipoise_service.readouts.interactions import interactions
from equipoise_service.readouts.numerals import to_the_minute
from equipoise_service.readouts.overlaps import Overlaps
from equipoise_service.readouts.verification import verify_readout
from equipoise_stats import CheckStatus, anytime_independence, mixture_units

Cell = tuple[str, str]
ALIKE: dict[Cell, int] = {
    ("control", "off"): 30,
    ("treatment", "off"): 60,
    ("control", "on"): 33,
    ("treatment", "on"): 62,
}
PLANTED = ALIKE | {("treatment", "on"): 12}
UNITS = 300


def run(
    client: TestClient,
    payload: Any,
    converting: Mapping[Cell, int],
    amounts: Mapping[Cell, float] | None = None,
    **more: Any,
) -> None:
    """Two experiments in layers of their own, 300 units in each cell, and others that share nothing.

    Args:
        client: The service.
        payload: Makes what registers an experiment.
        converting: Of each cell, how many units convert.
        amounts: Of each cell, what its last unit spends; the one before a 300th less, and so on.
        more: Of the experiment.
    """
    switch = [
        {"key": "off", "weight": 5000, "value": "off", "control": True},
        {"key": "on", "weight": 5000, "value": "on"},
    ]
    fixed = {"plan": {"method": "fixed-horizon", "horizon": {"units": 4 * UNITS}}}
    made = [
        payload(**(fixed | more)),
        payload("banner", variants=switch),
        payload("elsewhere", variants=switch),
        payload("devices", variants=switch, unit_type="device"),
        payload("never", variants=switch),
    ]
    for body in made:
        assert client.post("/v1/experiments", json=body).status_code == 201
        if body["key"] != "never":
            assert client.post(f"/v1/experiments/{body['key']}/start").status_code == 200
    shown: list[dict[str, Any]] = []
    happened: list[dict[str, Any]] = []
    units = assigned_units(client, "new-landing-page", 2 * UNITS)
    for (arm, variant), successes in converting.items():
        begin = UNITS if variant == "on" else 0
        for i in range(UNITS):
            fact = {"time": datetime.now(UTC).isoformat(), "unit": units[arm][begin + i]}
            for key, met in (("new-landing-page", arm), ("banner", variant)):
                shown.append({"id": str(uuid.uuid4()), **fact, "experiment": key, "variant": met})
            if i < successes:
                happened.append({"id": str(uuid.uuid4()), **fact, "name": "converted"})
            if amounts is not None:
                paid = amounts[arm, variant] * (i + 1) / UNITS
                happened.append({"id": str(uuid.uuid4()), **fact, "name": "paid", "value": paid})
    # Who met both variants of the other one is in none of its parts.
    twice = {
        "time": datetime.now(UTC).isoformat(),
        "experiment": "banner",
        "unit": units["control"][UNITS - 1],
    }
    shown.append({"id": str(uuid.uuid4()), **twice, "variant": "on"})
    for begin in range(0, max(len(shown), len(happened)), 400):
        part = {"exposures": shown[begin : begin + 400], "events": happened[begin : begin + 400]}
        answer = client.post("/v1/events", json=part)
        assert answer.status_code == 200, answer.text


def readout(client: TestClient, *, look: bool = False) -> dict[str, Any]:
    url = "/v1/experiments/new-landing-page"
    answer = client.post(f"{url}/looks?wait=60") if look else client.get(f"{url}/readout?wait=60")
    assert answer.status_code == (201 if look else 200), answer.text
    found: dict[str, Any] = answer.json()
    assert verify_readout(found) == []
    return found


def p_value(converting: Mapping[Cell, int], lost: Mapping[Cell, int]) -> float:
    """Cochran's Q of the two effects, with unpooled variances."""
    effects = []
    for variant in ("off", "on"):
        cells = [
            (converting[arm, variant], UNITS - lost.get((arm, variant), 0))
            for arm in ("treatment", "control")
        ]
        (x1, n1), (x0, n0) = cells
        p1, p0 = x1 / n1, x0 / n0
        effects.append((p1 - p0, p1 * (1 - p1) / (n1 - 1) + p0 * (1 - p0) / (n0 - 1)))
    (one, v), (two, w) = effects
    return float(chi2.sf((one - two) ** 2 / (v + w), 1))


def test_a_planted_interaction_warns_and_names_the_other_experiment(client: TestClient, payload: Any) -> None:
    run(client, payload, PLANTED)
    found = readout(client, look=True)
    check = found["health"]["interactions"]
    # Of another unit type, or never started, nothing is beside it.
    assert check["experiments"] == 2
    (overlap,) = check["overlaps"]
    assert (overlap["experiment"], overlap["units"]) == ("banner", 4 * UNITS - 1)
    assert overlap["share"] == pytest.approx((4 * UNITS - 1) / (4 * UNITS))
    (test,) = overlap["tests"]
    assert test["p_value"] == pytest.approx(p_value(PLANTED, {("control", "off"): 1}), rel=0.05)
    assert test["detected"] is True
    assert [each["variant"] for each in test["effects"]] == ["off", "on"]
    assert test["effects"][1]["estimate"] == pytest.approx((12 - 33) / UNITS)
    assert overlap["assignment_p_value"] == pytest.approx(
        chi2_contingency([[UNITS - 1, UNITS], [UNITS, UNITS]], correction=False).pvalue, rel=1e-9
    )
    assert check["status"] == "warning"
    assert "which variant of banner a unit met" in check["reason"]
    assert "−7.0 percentage points with on" in check["reason"]
    assert check["reason"] in found["summary"]
    assert check["action"]
    assert check["causes"]
    # A warning says what to look at; it does not keep anybody from shipping.
    assert not any(each["code"] == "quality_failed" for each in found["recommendation"]["reasons"])


def test_effects_that_are_alike_raise_no_alarm(client: TestClient, payload: Any) -> None:
    run(client, payload, ALIKE)
    found = readout(client, look=True)
    check = found["health"]["interactions"]
    assert (check["status"], check["reason"], check["causes"]) == ("ok", None, [])
    assert check["p_value"] == pytest.approx(p_value(ALIKE, {("control", "off"): 1}), rel=0.05)
    assert check["number"].startswith("banner shares 1,199 units (99.9 %); p 0.")
    assert "banner" not in found["summary"]


def test_guardrails_and_quantiles_are_asked_too(client: TestClient, payload: Any) -> None:
    paid = {"type": "quantile", "event": "paid", "quantile": 0.5, "level": "unit", "direction": "increase"}
    metrics = [
        {"key": "bought", "type": "proportion", "event": "bought", "direction": "increase"},
        {"key": "converted", "type": "proportion", "event": "converted", "role": "guardrail"},
        {"key": "typically-paid", **paid},
        {"key": "watched", "type": "proportion", "event": "converted", "role": "deterioration"},
    ]
    amounts = dict.fromkeys(ALIKE, 10.0) | {("treatment", "on"): 30.0}
    run(client, payload, PLANTED, amounts, metrics=metrics)
    check = readout(client, look=True)["health"]["interactions"]
    (overlap,) = check["overlaps"]
    tests = {each["metric"]: each for each in overlap["tests"]}
    assert tests.keys() == {"bought", "converted", "typically-paid"}
    assert {key for key, each in tests.items() if each["detected"]} == {"converted", "typically-paid"}
    assert [each["estimate"] for each in tests["typically-paid"]["effects"]] == pytest.approx(
        [0.0, 10.0], abs=0.1
    )
    assert "The effect of treatment on converted depends on" in check["reason"]
    assert check["not_asked"] is None


def test_what_is_measured_in_a_warehouse_is_named_as_not_asked() -> None:
    far = CONVERTED.model_copy(update={"key": "far", "source": "warehouse"})
    for metrics, named, status in (
        ((CONVERTED, far), ["far"], CheckStatus.OK),
        ((far,), ["far"], CheckStatus.UNAVAILABLE),
        ((CONVERTED,), None, CheckStatus.OK),
    ):
        known = Overlaps(2, None if metrics == (far,) else ())
        check = interactions(plan(*metrics), known, units=100, cuts={}, asked=True, always_valid=False)
        assert check is not None
        assert check.status is status
        asked_not = check.not_asked
        assert (None if asked_not is None else [each.metric for each in asked_not]) == named
        assert all("in the event store" in each.reason for each in check.not_asked or ())
        if status is CheckStatus.UNAVAILABLE:
            assert check.reason == (check.not_asked or [])[0].reason


def test_a_readout_from_before_guardrails_were_asked_still_verifies() -> None:
    found = overlapping_readout(role=Role.GUARDRAIL)
    check = found["health"]["interactions"]
    assert {test["metric"] for overlap in check["overlaps"] for test in overlap["tests"]} == {
        "converted",
        "spent",
    }
    older = overlapping_readout(role=Role.GUARDRAIL, held=("converted",))
    check = older["health"]["interactions"]
    assert {test["metric"] for overlap in check["overlaps"] for test in overlap["tests"]} == {"converted"}
    del check["not_asked"]
    seal(older)
    assert verify_readout(older) == []


def test_nothing_is_read_before_the_end_and_nothing_said_of_what_excludes_it(
    client: TestClient, payload: Any
) -> None:
    assert client.post("/v1/layers", json={"key": "page", "name": "Page"}).status_code == 201
    for key in ("new-landing-page", "banner"):
        body = payload(key, layer="page", traffic=5000)
        assert client.post("/v1/experiments", json=body).status_code == 201
        assert client.post(f"/v1/experiments/{key}/start").status_code == 200
    assert readout(client)["health"]["interactions"] is None
    assert client.post("/v1/experiments", json=payload("search")).status_code == 201
    assert client.post("/v1/experiments/search/start").status_code == 200
    check = readout(client)["health"]["interactions"]
    assert (check["status"], check["experiments"], check["overlaps"]) == ("unavailable", 1, None)
    assert "when a day has passed" in check["reason"]
    assert client.post("/v1/experiments/new-landing-page/stop").status_code == 200
    check = readout(client)["health"]["interactions"]
    assert (check["status"], check["overlaps"]) == ("ok", [])
    assert check["number"] == "1 experiment ran at the same time; none shares 100 units"
    # What began after the end did not run beside it.
    assert client.post("/v1/experiments", json=payload("later")).status_code == 201
    assert client.post("/v1/experiments/later/start").status_code == 200
    assert readout(client)["health"]["interactions"]["experiments"] == 1


def checked(*args: Any, **more: Any) -> dict[str, Any]:
    readout = overlapping_readout(*args, **more)
    assert verify_readout(readout) == []
    found: dict[str, Any] = readout["health"]["interactions"]
    return found


def test_beside_confidence_sequences_it_is_asked_once_a_day(client: TestClient, payload: Any) -> None:
    planted = PLANTED | {("treatment", "off"): 140, ("treatment", "on"): 5}
    run(client, payload, planted, plan={"method": "confidence-sequence"})
    assert readout(client)["health"]["interactions"]["overlaps"] is None
    began(client, 1, datetime.now(UTC) - timedelta(days=2))
    found = readout(client)
    check = found["health"]["interactions"]
    assert (check["always_valid"], check["status"]) == (True, "warning")
    assert check["number"].endswith(f"(as of {to_the_minute(found['asked_at'])})")
    assert "depends on which variant of banner a unit met" in check["reason"]
    again = readout(client)
    assert again["generated_at"] > found["generated_at"]
    assert again["health"]["interactions"] == check


def test_every_edit_of_it_is_found() -> None:
    readout = overlapping_readout()
    paths = [(path, value) for path, value in leaves(readout) if path[:2] == ("health", "interactions")]
    assert len(paths) > 60
    # How many ran at the same time is what the service knows, and so are the names.
    free = {("health", "interactions", "experiments")}
    for path, value in paths:
        for other in edited(value)[:1]:
            changed = with_value(readout, path, other, forged=True)
            assert path in free or is_refused(changed), path


def test_a_readout_from_before_there_was_the_check_still_verifies() -> None:
    readout = converted((100, 1_000), (110, 1_000))
    assert readout["health"].pop("interactions") is None
    seal(readout)
    assert verify_readout(readout) == []


def test_p_values_are_corrected_over_everything_that_is_asked() -> None:
    check = checked(EFFECTS | {("search", "b"): (31, 47)})
    tests = [test for overlap in check["overlaps"] for test in overlap["tests"]]
    assert len(tests) == 4
    smallest = min(test["p_value"] for test in tests)
    assert check["p_value"] == pytest.approx(4 * smallest)
    assert [test["detected"] for test in tests] == [True, False, False, False]
    # Of one variant of the other experiment alone there is nothing to compare.
    (alone,) = [overlap for overlap in checked()["overlaps"] if overlap["experiment"] == "search"]
    assert alone["assignment_p_value"] is None
    assert [(test["p_value"], test["detected"]) for test in alone["tests"]] == [(None, None)] * 2
    assert "50 units" in alone["tests"][0]["reason"]


def test_small_parts_are_not_compared() -> None:
    small = {("banner", "off"): (49, 400)}
    (banner, _) = checked({**EFFECTS, ("banner", "off"): (2, 70)}, small)["overlaps"]
    assert {test["p_value"] for test in banner["tests"]} == {None}


def test_where_assignments_depend_on_each_other_no_effects_are_compared() -> None:
    check = checked(units={("banner", "off"): (400, 480), ("banner", "on"): (480, 400)})
    assert check["status"] == "warning"
    assert "depends on its arm here" in check["reason"]
    assert "depends on which" not in check["reason"]
    (banner, _) = check["overlaps"]
    assert banner["assignment_p_value"] == pytest.approx(
        chi2_contingency([[400, 480], [480, 400]], correction=False).pvalue, rel=1e-9
    )
    assert {test["corrected_p_value"] for test in banner["tests"]} == {None}


def test_before_the_end_nothing_is_tested() -> None:
    check = checked(method=Method.GROUP_SEQUENTIAL, horizon=Horizon(units=100_000))
    assert (check["status"], check["p_value"]) == ("unavailable", None)
    assert {test["p_value"] for overlap in check["overlaps"] for test in overlap["tests"]} == {None}
    assert "at the planned end" in check["reason"]


def test_beside_confidence_sequences_the_tests_hold_at_any_moment() -> None:
    check = checked(EFFECTS | {("banner", "off"): (20, 170)}, method=Method.CONFIDENCE_SEQUENCE)
    assert (check["always_valid"], check["status"]) == (True, "warning")
    (banner, search) = check["overlaps"]
    assert (check["units"], banner["share"]) == (2_010, 1_600 / 2_010)
    test = banner["tests"][0]
    # The e-value at the effect that both parts are most likely to have, each unit's weight by the mixture.
    effects, errors = (
        np.array([each[name] for each in test["effects"]]) for name in ("estimate", "standard_error")
    )
    ratio = 800 / mixture_units(PLAN_UNITS, 0.001)
    weights = ratio / (1 + ratio) / errors**2
    common = np.average(effects, weights=weights)
    log_e = 0.5 * (weights @ (effects - common) ** 2) - math.log1p(ratio)
    assert test["p_value"] == pytest.approx(math.exp(-log_e))
    # Of four questions; those of which nothing can be said yet have their share.
    assert test["corrected_p_value"] == pytest.approx(4 * test["p_value"])
    assert {each["corrected_p_value"] for each in search["tests"]} == {None}
    assert "100 units" in search["tests"][0]["reason"]
    q = checked(EFFECTS | {("banner", "off"): (20, 170)})
    assert q["always_valid"] is False
    assert q["overlaps"][0]["tests"][0]["p_value"] < test["p_value"] < 0.001
    depend = {("banner", "off"): (400, 700), ("banner", "on"): (700, 400)}
    check = checked(units=depend, method=Method.CONFIDENCE_SEQUENCE)
    assert "depends on its arm here" in check["reason"]
    log_p = anytime_independence([[400, 700], [700, 400]], shares=[1, 1])
    assert log_p is not None
    assert check["overlaps"][0]["assignment_p_value"] == pytest.approx(math.exp(log_p))
