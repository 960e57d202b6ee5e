"""True is not 1, and 1 is not 1.0: a change of the type alone is a change, of values and conditions."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.service.flags.flags import make, patch, rule, where

from equipoise import evaluate
from equipoise.configuration import load

KEY = "new-landing-page"
PATH = f"/v1/experiments/{KEY}"
PAIRS = [(1, True), (True, 1), (0, False), (1, 1.0), ([0], [False])]


def change(client: TestClient, path: str, **changes: Any) -> Any:
    return client.patch(path, json=changes, headers={"If-Match": client.get(path).headers["ETag"]})


def objects(value: Any, other: Any = 5) -> list[dict[str, Any]]:
    return [
        {"key": "control", "value": {"limit": value}, "control": True},
        {"key": "treatment", "value": {"limit": other}},
    ]


def served(client: TestClient, key: str) -> Any:
    return repr(client.get("/v1/config").json()["flags"][key]["variants"])


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_a_flag_takes_another_type_inside_an_object(client: TestClient, before: Any, after: Any) -> None:
    plain = [{"key": "a", "value": {"limit": before}}, {"key": "b", "value": {"limit": 5}}]
    make(client, type="object", variants=plain, default="a")
    plain[0] = {"key": "a", "value": {"limit": after}}
    assert patch(client, variants=plain).status_code == 200
    assert served(client, "search-engine") == repr({"a": {"limit": after}, "b": {"limit": 5}})


@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_an_experiment_changes_its_own_flag_by_the_type_alone(
    client: TestClient, payload: Any, before: Any, after: Any, started: bool
) -> None:
    assert client.post("/v1/experiments", json=payload(variants=objects(before))).status_code == 201
    if started:
        assert client.post(f"{PATH}/start").status_code == 200
    answer = change(client, PATH, variants=objects(after))
    assert answer.status_code == 200, answer.text
    assert served(client, KEY) == repr({"control": {"limit": after}, "treatment": {"limit": 5}})
    assert answer.json()["revision"] == (2 if started else None)


def test_the_values_of_a_live_experiment_are_held_by_type(client: TestClient, payload: Any) -> None:
    assert client.post("/v1/experiments", json=payload(variants=objects(1))).status_code == 201
    assert client.post(f"{PATH}/start").status_code == 200
    plain = [{"key": each["key"], "value": each["value"]} for each in objects(True)]
    assert patch(client, KEY, variants=plain).json()["type"] == "urn:equipoise:problem:frozen-field"


def test_an_attached_arm_says_the_value_in_its_type(client: TestClient, payload: Any) -> None:
    make(client, type="object", variants=[{"key": e["key"], "value": e["value"]} for e in objects(1)],
         default="control")  # fmt: skip
    for value, status in ((True, 422), (1.0, 422), (1, 201)):
        body = payload(flag="search-engine", variants=objects(value))
        assert client.post("/v1/experiments", json=body).status_code == status


def test_an_integer_says_the_value_of_a_number_flag(client: TestClient, payload: Any) -> None:
    make(client, type="number", variants=[{"key": "control", "value": 1}, {"key": "treatment", "value": 2.5}],
         default="control")  # fmt: skip
    arms = [{"key": "control", "value": 1, "control": True}, {"key": "treatment", "value": 2.5}]
    body = payload(flag="search-engine", variants=arms)
    assert client.post("/v1/experiments", json=body).status_code == 201


@pytest.mark.parametrize("place", ["experiment", "rule", "segment"])
def test_a_condition_changes_by_the_type_alone(client: TestClient, payload: Any, place: str) -> None:
    one, true = where("x", 1), where("x", True)

    def reached(key: str) -> list[bool]:
        configuration = load(client.get("/v1/config").content)
        found = [evaluate(configuration, key, "user-1", attributes={"x": value}) for value in (1, True)]
        return [each.reason != "DEFAULT" for each in found]

    if place == "experiment":
        assert client.post("/v1/experiments", json=payload(audience=one)).status_code == 201
        assert client.post(f"{PATH}/start").status_code == 200
        answer = change(client, PATH, audience=true)
        assert answer.json()["revision"] == 2
    elif place == "rule":
        make(client, key=KEY, rules=[rule("r", {"variant": "new"}, one)])
        answer = patch(client, KEY, rules=[rule("r", {"variant": "new"}, true)])
    else:
        segment = {"key": "s", "name": "S", "condition": one}
        assert client.post("/v1/segments", json=segment).status_code == 201
        make(client, key=KEY, rules=[rule("r", {"variant": "new"}, {"segment": "s"})])
        answer = change(client, "/v1/segments/s", condition=true)
    assert answer.status_code == 200, answer.text
    assert reached(KEY) == [False, True]
