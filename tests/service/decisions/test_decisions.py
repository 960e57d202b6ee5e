"""Predictions and decisions over HTTP: on which readout, by whom, and what takes effect when."""

import re
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.event import listen
from tests.service.assigned import assigned_units
from tests.service.conftest import Service
from tests.service.readouts.test_endpoint import exposure, send
from tests.service.readouts.test_plans import come

from equipoise_service.canonical import digest
from equipoise_service.readouts.verification import verify_readout

URL = "/v1/experiments/new-landing-page"
PLAN = {"horizon": {"units": 400}, "looks": {"count": 1}}
WINNER, LOSER = (2, 8), (8, 2)


@pytest.fixture
def started(client: TestClient, payload: Any) -> TestClient:
    assert client.post("/v1/experiments", json=payload(plan=PLAN)).status_code == 201
    assert client.post(f"{URL}/start").status_code == 200
    return client


def look(client: TestClient, converted: tuple[int, int]) -> dict[str, Any]:
    """All units of the horizon come, and the look is taken."""
    come(client, 0, 200, converted=converted)
    answer = client.post(f"{URL}/looks")
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def decide(client: TestClient, readout: dict[str, Any], outcome: str, **more: Any) -> Any:
    body = {"outcome": outcome, "reason": "Because.", "readout_digest": readout["digest"], **more}
    return client.post(f"{URL}/decisions", json=body)


def problem(answer: Any, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = answer.json()
    assert (answer.status_code, found["type"]) == (409, f"urn:equipoise:problem:{kind}"), found
    return found


def served(client: TestClient) -> str:
    answer = client.post("/v1/assignments", json={"unit": "visitor", "flag": "new-landing-page"})
    assert answer.status_code == 200, answer.text
    value: str = answer.json()["assignments"][0]["value"]
    return value


def test_what_is_recommended_takes_effect_at_once_and_sets_the_flag(started: TestClient) -> None:
    readout = look(started, WINNER)
    assert readout["recommendation"]["outcome"] == "ship"
    answer = decide(started, readout, "ship", variant="treatment")
    assert answer.status_code == 201, answer.text
    found = answer.json()
    assert (found["status"], found["against"], found["number"], found["revision"]) == (
        "in_effect",
        False,
        1,
        1,
    )
    assert (found["recommended"], found["recommended_variant"]) == ("ship", "treatment")
    assert found["made_by"] in started.headers["Authorization"]
    assert started.get(URL).json()["shipped"] == "treatment"
    assert served(started) == "new"
    kept = started.get(f"{URL}/decisions/1/readout").json()
    assert verify_readout(kept) == []
    assert digest({name: kept[name] for name in kept if name != "digest"}) == found["readout_digest"]
    assert started.get(f"{URL}/decisions").json() == [found]
    problem(decide(started, readout, "do_not_ship"), "illegal-transition")


def test_against_the_recommendation_it_takes_a_second_person(started: TestClient, service: Service) -> None:
    readout = look(started, LOSER)
    assert readout["recommendation"]["outcome"] == "do_not_ship"
    found = decide(started, readout, "ship", variant="treatment").json()
    assert (found["status"], found["against"], found["settled_by"]) == ("waiting", True, None)
    assert started.get(URL).json()["status"] == "running"
    reason = {"reason": "The law asks for it."}
    problem(started.post(f"{URL}/decisions/1/confirm", json=reason), "second-person-needed")
    assert problem(decide(started, readout, "do_not_ship"), "decision-waiting")["number"] == 1
    second = service.key()
    confirmed = started.post(f"{URL}/decisions/1/confirm", json=reason, headers=second).json()
    assert (confirmed["status"], confirmed["settled_reason"]) == ("in_effect", reason["reason"])
    assert confirmed["settled_by"] in second["Authorization"]
    assert confirmed["settled_by"] != confirmed["made_by"]
    assert (started.get(URL).json()["shipped"], served(started)) == ("treatment", "new")
    problem(started.post(f"{URL}/decisions/1/confirm", json=reason, headers=second), "illegal-transition")


def test_another_variant_than_the_recommended_one_is_against_it(started: TestClient) -> None:
    readout = look(started, WINNER)
    assert decide(started, readout, "ship", variant="control").json()["against"] is True


def test_who_decided_can_withdraw_and_decide_otherwise(started: TestClient) -> None:
    readout = look(started, LOSER)
    assert decide(started, readout, "keep_running").json()["status"] == "waiting"
    gone = started.post(f"{URL}/decisions/1/withdraw", json={"reason": "No."}).json()
    assert (gone["status"], gone["settled_reason"]) == ("withdrawn", "No.")
    done = decide(started, readout, "do_not_ship").json()
    assert (done["number"], done["status"]) == (2, "in_effect")
    shown = started.get(URL).json()
    assert (shown["status"], shown["shipped"], served(started)) == ("stopped", None, "old")
    problem(decide(started, readout, "keep_running"), "illegal-transition")


def test_a_decision_names_a_readout_of_the_service(started: TestClient) -> None:
    readout = look(started, WINNER)
    other = {"digest": "sha256:" + "0" * 64}
    problem(decide(started, other, "ship", variant="treatment"), "readout-unknown")
    assert started.get(URL).json()["status"] == "running"
    latest = started.get(f"{URL}/readout?wait=60").json()
    assert latest["digest"] != readout["digest"]
    assert decide(started, latest, "ship", variant="treatment").status_code == 201


def test_nothing_is_shipped_without_a_decision(started: TestClient) -> None:
    readout = look(started, WINNER)
    ship = {"variant": "treatment"}
    for more in ({}, {"reason": "Because."}, {"readout_digest": readout["digest"]}):
        problem(started.post(f"{URL}/ship", json=ship | more), "decision-needed")
    assert (started.get(URL).json()["status"], started.get(f"{URL}/decisions").json()) == ("running", [])
    whole = ship | {"reason": "As planned.", "readout_digest": readout["digest"]}
    shipped = started.post(f"{URL}/ship", json=whole)
    assert (shipped.status_code, shipped.json()["status"], shipped.json()["shipped"]) == (
        200,
        "shipped",
        "treatment",
    )
    assert shipped.headers["ETag"] == started.get(URL).headers["ETag"]
    (decision,) = started.get(f"{URL}/decisions").json()
    assert (decision["outcome"], decision["reason"], decision["against"]) == ("ship", "As planned.", False)
    assert served(started) == "new"


def test_what_is_shipped_against_the_recommendation_waits(started: TestClient) -> None:
    readout = look(started, LOSER)
    whole = {"variant": "treatment", "reason": "I like it.", "readout_digest": readout["digest"]}
    waiting = started.post(f"{URL}/ship", json=whole)
    assert (waiting.status_code, waiting.json()["status"]) == (202, "running")
    (decision,) = started.get(f"{URL}/decisions").json()
    assert (decision["status"], decision["against"]) == ("waiting", True)


def test_harm_is_stopped_at_once_and_the_record_says_that_nothing_was_decided(started: TestClient) -> None:
    come(started, 0, 20, converted=LOSER)
    assert started.post(f"{URL}/stop").json()["status"] == "stopped"
    assert started.get(f"{URL}/history").json()[-1]["text"] == "the revision ends without a decision"
    # It can be decided on afterwards.
    latest = started.get(f"{URL}/readout?wait=60").json()
    choice = latest["recommendation"]
    assert choice["outcome"] in ("keep_running", "do_not_ship", "investigate")
    assert decide(started, latest, "do_not_ship").status_code == 201


def test_a_readout_that_an_older_look_gave_is_stale(client: TestClient, payload: Any) -> None:
    plan = {"horizon": {"units": 400}, "looks": {"count": 2}}
    assert client.post("/v1/experiments", json=payload(plan=plan)).status_code == 201
    assert client.post(f"{URL}/start").status_code == 200
    come(client, 0, 120, converted=WINNER)
    first = client.post(f"{URL}/looks").json()
    come(client, 120, 200, converted=WINNER)
    second = client.post(f"{URL}/looks").json()
    assert (
        "look 2 was taken since" in problem(decide(client, first, "investigate"), "readout-stale")["detail"]
    )
    assert decide(client, second, second["recommendation"]["outcome"], variant="treatment").status_code == 201
    texts = [each["text"] for each in client.get(f"{URL}/history").json() if each["kind"] == "ended"]
    assert texts == ["the revision ends"]


def break_shares(client: TestClient) -> dict[str, Any]:
    """Many more units of one arm come, and the newest readout."""
    units = assigned_units(client, "new-landing-page", 500)
    send(client, [exposure(each, "treatment") for each in units["treatment"][200:500]], [])
    found: dict[str, Any] = client.get(f"{URL}/readout?wait=60").json()
    assert found["recommendation"]["outcome"] == "investigate"
    return found


def test_a_look_is_no_ground_to_ship_what_newer_data_break(started: TestClient) -> None:
    readout = look(started, WINNER)
    assert readout["recommendation"]["outcome"] == "ship"
    newest = break_shares(started)
    refused = problem(decide(started, readout, "ship", variant="treatment"), "readout-stale")
    assert "recommends something else" in refused["detail"]
    whole = {"variant": "treatment", "reason": "Because.", "readout_digest": readout["digest"]}
    problem(started.post(f"{URL}/ship", json=whole), "readout-stale")
    assert started.get(URL).json()["status"] == "running"
    assert decide(started, newest, "ship", variant="treatment").json()["status"] == "waiting"


def test_what_waits_is_not_confirmed_when_newer_data_say_otherwise(
    started: TestClient, service: Service
) -> None:
    readout = look(started, LOSER)
    assert decide(started, readout, "ship", variant="treatment").json()["status"] == "waiting"
    break_shares(started)
    yes, second = {"reason": "Yes."}, service.key()
    problem(started.post(f"{URL}/decisions/1/confirm", json=yes, headers=second), "readout-stale")
    assert [each["status"] for each in started.get(f"{URL}/decisions").json()] == ["waiting"]


def test_of_a_plan_that_recommends_nothing_harm_is_not_shipped_alone(
    client: TestClient, payload: Any
) -> None:
    guarded = [{"key": "converted", "type": "proportion", "event": "converted", "role": "guardrail"}]
    assert client.post("/v1/experiments", json=payload(metrics=guarded)).status_code == 201
    assert client.post(f"{URL}/start").status_code == 200
    come(client, 0, 200, converted=LOSER)
    found = client.get(f"{URL}/readout?wait=60").json()
    assert found["recommendation"]["outcome"] == "do_not_ship"
    assert decide(client, found, "ship", variant="treatment").json()["status"] == "waiting"


def test_lists_read_no_readouts_and_decisions_are_limited(
    started: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    readout = look(started, LOSER)
    assert decide(started, readout, "keep_running").status_code == 201
    assert started.post(f"{URL}/decisions/1/withdraw", json={"reason": "No."}).status_code == 200
    read: list[str] = []
    engine = started.app.state.database.engine  # type: ignore[attr-defined]
    listen(engine, "before_cursor_execute", lambda *given: read.append(given[2]))
    for listed in ("decisions", "looks", "history"):
        assert started.get(f"{URL}/{listed}").status_code == 200
    assert any("FROM decision" in each for each in read)
    assert any("FROM look" in each for each in read)
    assert not [each for each in read if re.search(r"(decision|look)\.readout\b", each)]
    monkeypatch.setattr("equipoise_service.decisions.service.MOST_DECISIONS", 1)
    problem(decide(started, readout, "do_not_ship"), "frozen-field")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"outcome": "ship"}, ""),
        ({"outcome": "investigate", "variant": "treatment"}, ""),
        ({"outcome": "ship", "variant": "other"}, "/variant"),
        ({"outcome": "perhaps"}, "/outcome"),
        ({"outcome": "investigate", "reason": ""}, "/reason"),
        ({"outcome": "investigate", "readout_digest": "sha256:x"}, "/readout_digest"),
    ],
)
def test_what_is_no_decision_is_refused(started: TestClient, body: dict[str, Any], pointer: str) -> None:
    whole = {"reason": "Because.", "readout_digest": "sha256:" + "0" * 64, **body}
    answer = started.post(f"{URL}/decisions", json=whole)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer


def test_predictions_are_made_before_the_start(client: TestClient, payload: Any) -> None:
    assert client.post("/v1/experiments", json=payload(plan=PLAN)).status_code == 201
    expected = {"outcome": "ship", "variant": "treatment", "lifts": {"converted": 0.2}, "reason": "Shorter."}
    made = client.post(f"{URL}/predictions", json=expected)
    assert made.status_code == 201, made.text
    assert made.json()["revision"] == 1
    assert client.post(f"{URL}/predictions", json={"reason": "Open."}).status_code == 201
    wrong = client.post(f"{URL}/predictions", json={**expected, "lifts": {"other": 0.1}})
    assert wrong.json()["errors"][0]["pointer"] == "/lifts/other"
    problem(decide(client, {"digest": "sha256:" + "0" * 64}, "investigate"), "illegal-transition")
    assert client.post(f"{URL}/start").status_code == 200
    problem(client.post(f"{URL}/predictions", json=expected), "illegal-transition")
    shown = client.get(f"{URL}/predictions").json()
    assert [each["lifts"] for each in shown] == [{"converted": 0.2}, {}]
    # What is predicted before a restart is about the revision that follows.
    assert client.post(f"{URL}/stop").status_code == 200
    assert client.post(f"{URL}/predictions", json={"reason": "Again."}).json()["revision"] == 2


def test_the_history_tells_it_all_in_order(client: TestClient, payload: Any, service: Service) -> None:
    assert client.post("/v1/experiments", json=payload(plan=PLAN)).status_code == 201
    expected = {"outcome": "do_not_ship", "reason": "It is slow."}
    assert client.post(f"{URL}/predictions", json=expected).status_code == 201
    assert client.post(f"{URL}/start").status_code == 200
    etag = client.get(URL).headers["ETag"]
    change = {"plan": {**PLAN, "deterioration_alpha": 0.02}, "deviation": "We can bear more."}
    assert client.patch(URL, json=change, headers={"If-Match": etag}).status_code == 200
    readout = look(client, LOSER)
    assert decide(client, readout, "ship", variant="treatment").status_code == 201
    second = service.key()
    body = {"reason": "Asked for."}
    assert client.post(f"{URL}/decisions/1/confirm", json=body, headers=second).status_code == 200
    found = client.get(f"{URL}/history").json()
    assert [each["kind"] for each in found][:-2] == ["predicted", "started", "deviated", "looked", "decided"]
    assert {each["kind"] for each in found[-2:]} == {"confirmed", "ended"}
    by_kind = {each["kind"]: each for each in found}
    assert by_kind["predicted"]["text"] == "do not ship: It is slow."
    assert by_kind["started"]["digest"] == readout["locked"]["digest"]
    assert by_kind["deviated"]["digest"] == readout["plan_digest"]
    assert by_kind["looked"]["digest"] == readout["statistics_digest"]
    assert by_kind["decided"]["digest"] == by_kind["confirmed"]["digest"] == readout["digest"]
    assert by_kind["decided"]["text"] == "ship treatment (recommended: do not ship): Because."
    assert by_kind["confirmed"]["by"] in second["Authorization"]
    read_only = client.get(f"{URL}/history", headers=service.key(environment="staging"))
    assert read_only.json() == [], "what happens in another environment is not told here"
