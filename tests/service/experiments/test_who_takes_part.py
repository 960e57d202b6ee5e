"""Audiences, overrides, sticky: who takes part in an experiment, and what a change of it does."""

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from equipoise import evaluate
from equipoise.assignment import Assignment
from equipoise.configuration import Configuration, load

PATH = "/v1/experiments/new-landing-page"
GERMANS = {"attribute": "country", "operator": "equals", "value": "DE"}


def register(client: TestClient, payload: Any, **more: Any) -> None:
    answer = client.post("/v1/experiments", json=payload(**more))
    assert answer.status_code == 201, answer.text


def change(client: TestClient, **changes: Any) -> Any:
    return client.patch(PATH, json=changes, headers={"If-Match": client.get(PATH).headers["ETag"]})


def configuration(client: TestClient) -> Configuration:
    return load(client.get("/v1/config").content)


def placed(client: TestClient, unit: str, **attributes: Any) -> Assignment[Any]:
    return evaluate(configuration(client), "new-landing-page", unit, attributes=attributes)


def test_only_the_audience_takes_part(client: TestClient, payload: Any) -> None:
    register(client, payload, audience=GERMANS)
    client.post(f"{PATH}/start")
    assert client.get(PATH).json()["audience"] == GERMANS
    assert placed(client, "u", country="DE").experiment == "new-landing-page"
    assert placed(client, "u", country="FR").experiment is None
    assert placed(client, "u").experiment is None


@pytest.mark.parametrize(
    ("audience", "pointer"),
    [
        ({"attribute": "country", "operator": "near", "value": "DE"}, "/audience/operator"),
        ({"attribute": "country", "operator": "in", "value": "DE"}, "/audience/value"),
        ({"all": [{"any": []}, {"segment": "none"}]}, "/audience/all/1/segment"),
        ({"all": [], "any": []}, "/audience"),
        ({}, "/audience"),
        ("everybody", "/audience"),
        ({"attribute": "a", "operator": "matches", "value": "("}, "/audience/value"),
    ],
)
@pytest.mark.parametrize("door", ["register", "change"])
def test_a_wrong_audience_is_422_and_names_the_place(
    client: TestClient, payload: Any, audience: Any, pointer: str, door: str
) -> None:
    if door == "register":
        answer = client.post("/v1/experiments", json=payload(audience=audience))
    else:
        register(client, payload)
        answer = change(client, audience=audience)
    assert answer.status_code == 422, answer.text
    assert [each["pointer"] for each in answer.json()["errors"]] == [pointer]


@pytest.mark.parametrize(
    "audience",
    [
        '{"not": ' * 11 + '{"all": []}' + "}" * 11,
        '{"not": ' * 300 + '{"all": []}' + "}" * 300,
        '{"attribute": "a", "operator": "equals", "value": "\\ud800"}',
        '{"attribute": "a", "operator": "equals", "value": 1e999}',
        '{"attribute": "a", "operator": "equals", "value": %s}' % ("9" * 400),
    ],
    ids=["deeper than a condition", "far deeper", "half a pair", "infinite", "too large"],
)
def test_what_no_reader_could_read_is_422(client: TestClient, payload: Any, audience: str) -> None:
    body = json.dumps(payload(audience={})).replace('"audience": {}', f'"audience": {audience}')
    answer = client.post("/v1/experiments", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"].startswith("/audience")


def test_another_audience_begins_a_new_revision_and_the_same_one_does_not(
    client: TestClient, payload: Any
) -> None:
    register(client, payload, audience=GERMANS)
    client.post(f"{PATH}/start")
    assert change(client, audience=dict(GERMANS)).json()["revision"] == 1
    assert change(client, audience={"not": GERMANS}).json()["revision"] == 2
    assert placed(client, "u", country="FR").revision == 2
    assert change(client, audience=None).json()["revision"] == 3
    assert placed(client, "u").revision == 3


def test_other_holdouts_begin_a_new_revision_and_the_same_ones_do_not(
    client: TestClient, payload: Any
) -> None:
    for key in ("a", "b"):
        client.post("/v1/holdouts", json={"key": key, "name": key, "share": 100})
    register(client, payload, holdouts=["a", "b"])
    client.post(f"{PATH}/start")
    assert change(client, holdouts=["b", "a"]).json()["revision"] == 1
    assert change(client, holdouts=["a"]).json()["revision"] == 2


def test_before_the_start_nothing_begins_a_revision(client: TestClient, payload: Any) -> None:
    register(client, payload)
    assert change(client, audience=GERMANS, traffic=500, sticky=True).json()["revision"] is None
    shown = client.post(f"{PATH}/start").json()
    assert (shown["revision"], shown["traffic"], shown["sticky"]) == (1, 500, True)


def test_an_override_serves_its_variant_in_a_draft_and_while_it_runs(
    client: TestClient, payload: Any
) -> None:
    register(client, payload, traffic=0, overrides={"tester": "treatment"})
    for moves in ([], ["start"]):
        for move in moves:
            client.post(f"{PATH}/{move}")
        tester = placed(client, "tester")
        assert (tester.value, tester.reason, tester.experiment) == ("new", "TARGETING_MATCH", None)
        assert placed(client, "somebody").value == "old"
    client.post(f"{PATH}/pause")
    assert placed(client, "tester").value == "old"


def test_overrides_change_without_a_new_revision(client: TestClient, payload: Any) -> None:
    register(client, payload)
    client.post(f"{PATH}/start")
    answer = change(client, overrides={"tester": "treatment"})
    assert (answer.json()["revision"], answer.json()["overrides"]) == (1, {"tester": "treatment"})
    assert placed(client, "tester").experiment is None
    change(client, overrides={})
    assert placed(client, "tester").experiment == "new-landing-page"


@pytest.mark.parametrize(
    "overrides",
    [{"": "control"}, {"u" * 513: "control"}, {"a\0": "control"}, {"u": "Control"}, {"u": None}, []],
)
def test_what_cannot_be_an_override_is_422(client: TestClient, payload: Any, overrides: Any) -> None:
    answer = client.post("/v1/experiments", json=payload(overrides=overrides))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"].startswith("/overrides")


def test_there_are_at_most_ten_thousand_overrides(client: TestClient, payload: Any) -> None:
    many = {str(index): "control" for index in range(10_001)}
    answer = client.post("/v1/experiments", json=payload(overrides=many))
    assert answer.status_code == 422
    assert "10000" in answer.json()["detail"]
    many.popitem()
    assert client.post("/v1/experiments", json=payload(overrides=many)).status_code == 201


def test_an_override_names_an_arm_also_after_the_arms_change(client: TestClient, payload: Any) -> None:
    refused = client.post("/v1/experiments", json=payload(overrides={"u": "bold"}))
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/overrides"
    register(client, payload, overrides={"u": "treatment"})
    other = [{"key": "control", "value": "old", "control": True}, {"key": "bold", "value": "bold"}]
    refused = change(client, variants=other)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/variants")
    assert change(client, variants=other, overrides={"u": "bold"}).status_code == 200
    assert placed(client, "u").value == "bold"


def test_sticky_reaches_the_document(client: TestClient, payload: Any) -> None:
    register(client, payload)
    assert configuration(client).experiments["new-landing-page"].sticky is False
    change(client, sticky=True)
    assert configuration(client).experiments["new-landing-page"].sticky is True


def test_a_flag_made_for_another_unit_type_is_asked_for_with_it(client: TestClient, payload: Any) -> None:
    register(client, payload, unit_type="device")
    client.post(f"{PATH}/start")
    assert configuration(client).flags["new-landing-page"].unit_type == "device"
    assert placed(client, "device-1").experiment == "new-landing-page"
