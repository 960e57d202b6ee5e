"""A variant is shipped to everybody but a part of the control: who gets what, and how it ends."""

import math
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.service.conftest import experiment
from tests.service.shipping import ship

from equipoise import evaluate
from equipoise.assignment import Assignment
from equipoise.configuration import load
from equipoise_service.readouts.verification import verify_readout

PATH = "/v1/experiments/new-landing-page"
KEY = "new-landing-page"
UNITS = [f"unit-{index}" for index in range(5000)]
GERMANS = {"attribute": "country", "operator": "equals", "value": "DE"}
THREE = [
    {"key": "other", "weight": 3000, "value": "other"},
    {"key": "control", "weight": 3000, "value": "old", "control": True},
    {"key": "treatment", "weight": 4000, "value": "new"},
]


def begin(client: TestClient, **changes: Any) -> None:
    answer = client.post("/v1/experiments", json=experiment(**changes))
    assert answer.status_code == 201, answer.text
    assert client.post(f"{PATH}/start").status_code == 200


def placed(client: TestClient, flag: str = KEY, **attributes: Any) -> dict[str, Assignment[Any]]:
    """What each unit gets by the configuration that is served now."""
    configuration = load(client.get("/v1/config").content)
    return {unit: evaluate(configuration, flag, unit, attributes=attributes) for unit in UNITS}


def change(client: TestClient, path: str = PATH, **changes: Any) -> Any:
    return client.patch(path, json=changes, headers={"If-Match": client.get(path).headers["ETag"]})


def problem(answer: Any, status: int, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = answer.json()
    assert (answer.status_code, found["type"]) == (status, f"urn:equipoise:problem:{kind}"), found
    return found


def units_with(found: dict[str, Assignment[Any]], value: str) -> set[str]:
    return {unit for unit, each in found.items() if each.value == value}


@pytest.mark.parametrize("moves", [[], ["pause"], ["stop"]], ids=["running", "paused", "stopped"])
@pytest.mark.parametrize("changes", [{"traffic": 6000}, {"variants": THREE}], ids=["two arms", "three arms"])
def test_a_part_of_the_control_keeps_it_and_all_others_get_what_was_shipped(
    client: TestClient, moves: list[str], changes: dict[str, Any]
) -> None:
    begin(client, **changes)
    before = placed(client)
    enrolled = {unit for unit, each in before.items() if each.experiment == KEY}
    for move in moves:
        assert client.post(f"{PATH}/{move}").status_code == 200
    shown = ship(client, KEY, "treatment", holdback=1000).json()
    assert (shown["status"], shown["shipped"], shown["holdback"]) == ("holding-back", "treatment", 1000)
    assert (shown["revision"], shown["allowed"]) == (2, ["end-holdback", "archive"])

    after = placed(client)
    held = units_with(after, "old")
    assert held <= {unit for unit in enrolled if before[unit].variant == "control"}
    error = math.sqrt(0.1 * 0.9 / len(enrolled))
    assert len(held) / len(enrolled) == pytest.approx(0.1, abs=5 * error)
    assert units_with(after, "new") == set(UNITS) - held
    assert {unit for unit, each in after.items() if each.experiment == KEY} == enrolled
    assert {(each.revision, each.reason) for unit, each in after.items() if unit in enrolled} == {
        (2, "SPLIT")
    }

    for unit in [*sorted(held)[:3], *sorted(enrolled - held)[:3]]:
        body = {"unit": unit, "flag": KEY}
        (answer,) = client.post("/v1/assignments", json=body).json()["assignments"]
        assert (answer["variant"], answer["revision"]) == (after[unit].variant, 2)
        said = client.post(f"/ofrep/v1/evaluate/flags/{KEY}", json={"context": {"targetingKey": unit}}).json()
        assert said["value"] == after[unit].value


def test_exposures_go_on_and_every_logged_variant_can_be_recomputed(client: TestClient) -> None:
    begin(client)
    early = placed(client)
    assert ship(client, KEY, "treatment", holdback=1000).status_code == 200
    late = placed(client)
    for assignments in (early, late):
        exposures = [
            {
                "id": str(uuid.uuid4()),
                "time": datetime.now(UTC).isoformat(),
                "unit": unit,
                "experiment": KEY,
                "variant": assignments[unit].variant,
                "revision": assignments[unit].revision,
            }
            for unit in UNITS[:400]
        ]
        answer = client.post("/v1/events", json={"exposures": exposures})
        assert {each["status"] for each in answer.json()["exposures"]} == {"accepted"}, answer.text
    audit = client.get(f"{PATH}/audit").json()
    assert (audit["agree"], audit["disagree"], audit["unknown_revision"]) == (800, 0, 0)
    found = client.get(f"{PATH}/readout?wait=60&revision=2").json()
    held = sum(late[unit].value == "old" for unit in UNITS[:400])
    assert {arm["variant"]: arm["units"] for arm in found["arms"]} == {
        "control": held,
        "treatment": 400 - held,
    }
    assert [arm["expected_share"] for arm in found["arms"]] == [0.1, 0.9]
    assert client.get(f"{PATH}/readout").json()["revision"] == 1, "what is read is what was decided on"


def test_the_plan_of_a_holdback_asks_the_same_and_adjusts_for_nothing(client: TestClient) -> None:
    metric = {"key": "revenue", "type": "mean", "event": "paid", "property": None, "pre_period_days": 14}
    del metric["property"]
    covariate = {"event": "visit", "aggregation": "count", "pre_period_days": 7}
    visited = {"key": "ordered", "type": "mean", "event": "order", "covariate": covariate}
    plan = {"alpha": 0.1, "horizon": {"days": 14}, "method": "fixed-horizon", "multiplicity": "dunnett"}
    begin(client, variants=THREE, metrics=[metric, visited], plan=plan)
    assert ship(client, KEY, "treatment", holdback=500).status_code == 200
    found = client.get(f"{PATH}/readout?wait=60&revision=2").json()
    asked = found["plan"]
    assert (asked["alpha"], asked["method"], asked["horizon"]) == (0.1, "confidence-sequence", None)
    assert [each["pre_period_days"] for each in asked["metrics"]] == [None, None]
    assert [each["covariate"] for each in asked["metrics"]] == [None, None]
    assert [(each["key"], each["weight"], each["control"]) for each in asked["variants"]] == [
        ("control", 500, True),
        ("treatment", 9500, False),
    ]
    assert found["locked"]["digest"] == found["plan_digest"]
    assert (found["holdback"], found["recommendation"]["outcome"]) == (500, None)
    assert "held back with control" in found["recommendation"]["text"]
    assert verify_readout(found) == []
    assert client.get(f"{PATH}/readout").json()["holdback"] is None


@pytest.mark.parametrize("move", ["end-holdback", "archive"])
def test_it_ends_for_everybody_and_gives_the_slots_back(client: TestClient, move: str) -> None:
    begin(client, traffic=6000, audience=GERMANS)
    assert ship(client, KEY, "treatment", holdback=500).status_code == 200
    assert units_with(placed(client, country="DE"), "old")
    assert {each.value for each in placed(client, country="FR").values()} == {"old"}
    assert client.get(f"/v1/layers/{KEY}").json()["free"] == 4000
    shown = client.post(f"{PATH}/{move}").json()
    assert (shown["status"], shown["shipped"], shown["holdback"]) == (
        "shipped" if move == "end-holdback" else "archived",
        "treatment",
        None,
    )
    assert client.get(f"/v1/layers/{KEY}").json()["free"] == 10_000
    after = placed(client, country="DE")
    assert {(each.value, each.experiment) for each in after.values()} == {("new", None)}
    assert {each.value for each in placed(client, country="FR").values()} == {"old"}
    problem(client.post(f"{PATH}/end-holdback"), 409, "illegal-transition")


def test_what_a_client_remembers_holds_nobody_back(client: TestClient) -> None:
    begin(client, sticky=True)
    assert client.get("/v1/config").json()["experiments"][KEY]["sticky"] is True
    assert ship(client, KEY, "treatment", holdback=500).status_code == 200
    assert "sticky" not in client.get("/v1/config").json()["experiments"][KEY]


def test_another_experiment_on_the_flag_keeps_its_units(client: TestClient) -> None:
    begin(client, traffic=4000, layer=None)
    arms = [{"key": "control", "control": True}, {"key": "treatment"}]
    other = experiment("other", flag=KEY, variants=arms, traffic=10_000, audience=GERMANS)
    assert client.post("/v1/experiments", json=other).status_code == 201
    assert client.post("/v1/experiments/other/start").status_code == 200
    before = placed(client, KEY, country="DE")
    assert {each.experiment for each in before.values()} == {KEY, "other"}
    assert ship(client, KEY, "treatment", holdback=500).status_code == 200
    after = placed(client, KEY, country="DE")
    assert {u for u, each in after.items() if each.experiment == "other"} == {
        u for u, each in before.items() if each.experiment == "other"
    }
    assert client.post(f"{PATH}/end-holdback").status_code == 200
    assert {each.experiment for each in placed(client, KEY, country="DE").values()} == {"other"}
    assert {each.value for each in placed(client, KEY, country="FR").values()} == {"new"}


def test_what_cannot_be_held_back_is_refused(client: TestClient) -> None:
    begin(client, variants=THREE)
    assert "control" in ship(client, KEY, "control", holdback=500).json()["errors"][0]["message"]
    too_many = problem(ship(client, KEY, "treatment", holdback=3001), 409, "holdback-impossible")
    assert too_many["largest"] == 3000
    for holdback in (0, 5001, 2.5, "5 %"):
        problem(ship(client, KEY, "treatment", holdback=holdback), 422, "invalid-payload")
    digest = client.get(f"{PATH}/readout").json()["digest"]
    body = {"outcome": "do_not_ship", "reason": "No.", "readout_digest": digest, "holdback": 500}
    problem(client.post(f"{PATH}/decisions", json=body), 422, "invalid-payload")
    assert client.get(f"{PATH}/decisions").json() == []
    assert ship(client, KEY, "treatment", holdback=3000).status_code == 200
    assert client.get(f"{PATH}/decisions").json()[0]["holdback"] == 3000


def test_slots_that_others_have_by_now_cannot_be_held_again(client: TestClient) -> None:
    begin(client, traffic=6000)
    assert client.post(f"{PATH}/stop").status_code == 200
    taker = experiment("taker", layer=KEY, traffic=5000)
    assert client.post("/v1/experiments", json=taker).status_code == 201
    assert client.post("/v1/experiments/taker/start").status_code == 200
    digest = client.get(f"{PATH}/readout?wait=60").json()["digest"]
    refused = problem(ship(client, KEY, "treatment", holdback=500), 409, "no-free-slots")
    assert refused["holders"] == [{"experiment": "taker", "slots": 5000}]
    assert client.get(PATH).json()["status"] == "stopped"
    assert digest


def test_arms_that_were_changed_after_a_stop_cannot_be_held_back(client: TestClient) -> None:
    begin(client)
    assert client.post(f"{PATH}/stop").status_code == 200
    variants = [{"key": "control", "control": True}, {"key": "newest", "value": "newest"}]
    assert change(client, variants=variants).status_code == 200
    refused = problem(ship(client, KEY, "newest", holdback=500), 409, "holdback-impossible")
    assert "start the experiment again" in refused["detail"]


def test_who_is_compared_cannot_change_meanwhile_and_all_else_can(client: TestClient) -> None:
    begin(client, traffic=6000)
    assert ship(client, KEY, "treatment", holdback=500).status_code == 200
    before = client.get("/v1/config").json()["experiments"][KEY]
    problem(change(client, variants=[{**THREE[1]}, {**THREE[2], "weight": 7000}]), 409, "frozen-field")
    problem(change(client, audience=GERMANS), 409, "frozen-field")
    flag = f"/v1/flags/{KEY}"
    values = [{"key": "control", "value": "old"}, {"key": "treatment", "value": "newest"}]
    problem(change(client, flag, variants=values), 409, "frozen-field")
    problem(change(client, flag, rules=[]), 409, "in-use")
    archived = client.post(f"{flag}/archive", headers={"If-Match": client.get(flag).headers["ETag"]})
    problem(archived, 409, "in-use")
    assert change(client, name="Another", traffic=100, plan={"alpha": 0.01}).status_code == 200
    assert client.get("/v1/config").json()["experiments"][KEY] == before
    assert change(client, overrides={UNITS[0]: "treatment"}).status_code == 200
    assert client.get("/v1/config").json()["experiments"][KEY]["overrides"] == {UNITS[0]: "treatment"}


def test_the_history_says_who_was_held_back_and_until_when(client: TestClient) -> None:
    begin(client)
    assert ship(client, KEY, "treatment", holdback=750).status_code == 200
    assert client.post(f"{PATH}/end-holdback").status_code == 200
    found = client.get(f"{PATH}/history").json()
    told = [(each["kind"], each["revision"], each["text"]) for each in found if each["kind"] != "looked"]
    assert told[0][:2] == ("started", 1)
    assert [kind for kind, _, _ in told[1:]] == ["decided", "confirmed", "ended", "started", "ended"]
    assert "ship treatment, holding back 7.5 %" in told[1][2]
    assert told[4][1:] == (2, "7.5 % of the units are held back and go on with control")
    assert told[5][1:] == (2, "nobody is held back any more")


def test_a_shipped_experiment_that_holds_back_takes_no_prediction_and_no_decision(client: TestClient) -> None:
    begin(client)
    assert ship(client, KEY, "treatment", holdback=500).status_code == 200
    problem(client.post(f"{PATH}/predictions", json={"reason": "Because."}), 409, "illegal-transition")
    digest = client.get(f"{PATH}/readout").json()["digest"]
    body = {"outcome": "do_not_ship", "reason": "No.", "readout_digest": digest}
    problem(client.post(f"{PATH}/decisions", json=body), 409, "illegal-transition")
