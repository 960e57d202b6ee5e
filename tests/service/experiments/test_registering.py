import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from equipoise.configuration import load


def test_a_registered_experiment_is_a_draft_with_a_flag_and_a_layer_of_its_own(
    client: TestClient, payload: Any
) -> None:
    answer = client.post("/v1/experiments", json=payload())
    assert answer.status_code == 201
    assert answer.headers["Location"] == "/v1/experiments/new-landing-page"
    shown = answer.json()
    assert shown["status"] == "draft"
    assert shown["allowed"] == ["start", "archive"]
    assert shown["revision"] is None
    assert shown["flag"] == shown["layer"] == "new-landing-page"
    assert shown["traffic"] == 10_000
    assert shown["variants"][0] == {"key": "control", "weight": 5000, "value": "old", "control": True}
    read = client.get(answer.headers["Location"])
    assert read.json() == shown
    assert read.headers["ETag"] == answer.headers["ETag"]


def test_weights_left_out_are_equal_and_values_left_out_are_the_keys(
    client: TestClient, payload: Any
) -> None:
    variants = [{"key": "a", "control": True}, {"key": "b"}, {"key": "c"}]
    shown = client.post("/v1/experiments", json=payload(variants=variants)).json()
    assert [each["weight"] for each in shown["variants"]] == [3334, 3333, 3333]
    assert [each["value"] for each in shown["variants"]] == ["a", "b", "c"]


def test_a_number_flag_never_holds_an_integer(client: TestClient, payload: Any) -> None:
    variants = [{"key": "a", "value": 1, "control": True}, {"key": "b", "value": 1.5}]
    client.post("/v1/experiments", json=payload(variants=variants))
    document = client.get("/v1/config")
    assert document.json()["flags"]["new-landing-page"]["type"] == "number"
    assert '"a":1.0' in document.text


def arms(*pairs: tuple[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": value, "control": index == 0} for index, (key, value) in enumerate(pairs)]


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"key": "Upper"}, "/key"),
        ({"key": ""}, "/key"),
        ({"key": "../x"}, "/key"),
        ({"key": "a" * 129}, "/key"),
        ({"key": "a\n"}, "/key"),
        ({"name": ""}, "/name"),
        ({"unit_type": "User Type"}, "/unit_type"),
        ({"traffic": 10_001}, "/traffic"),
        ({"traffic": -1}, "/traffic"),
        ({"traffic": 0.5}, "/traffic"),
        ({"surprise": 1}, "/surprise"),
        ({"variants": []}, "/variants"),
        ({"variants": [{"key": "a", "control": True}]}, "/variants"),
        ({"variants": [{"key": "a"}, {"key": "b"}]}, "/variants"),
        ({"variants": [{"key": "a", "control": True}, {"key": "b", "control": True}]}, "/variants"),
        ({"variants": [{"key": "a", "control": True}, {"key": "a"}]}, "/variants"),
        ({"variants": [{"key": "a", "control": True, "weight": 10_000}, {"key": "b"}]}, "/variants"),
        (
            {"variants": [{"key": "a", "control": True, "weight": 1}, {"key": "b", "weight": 1}]},
            "/variants",
        ),
        ({"variants": arms(("a", 1), ("b", "two"))}, "/variants"),
        ({"variants": arms(("a", None), ("b", None))}, "/variants"),
        ({"variants": arms(("a", [1]), ("b", [2]))}, "/variants"),
        ({"variants": arms(("a", 1 << 60), ("b", 2))}, "/variants"),
        ({"variants": arms(("a", "x" * 20_000), ("b", "y"))}, "/variants"),
        ({"metrics": [{"key": "m", "type": "median", "event": "e"}]}, "/metrics/0/type"),
        ({"metrics": [{"key": "m", "type": "mean", "event": ""}]}, "/metrics/0/event"),
        ({"metrics": [{"key": "m", "type": "mean", "event": "e"}] * 2}, "/metrics"),
    ],
)
def test_a_wrong_payload_is_422_and_names_the_place(
    client: TestClient, payload: Any, changes: dict[str, Any], pointer: str
) -> None:
    answer = client.post("/v1/experiments", json=payload(**changes))
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert pointer in {each["pointer"] for each in answer.json()["errors"]}
    assert client.get("/v1/experiments").json()["items"] == []


def nested(levels: int) -> dict[str, Any]:
    """An object with so many levels."""
    value: dict[str, Any] = {"leaf": 1}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


def test_a_value_nests_as_deeply_as_the_sdk_reads(client: TestClient, payload: Any) -> None:
    deepest = payload(variants=arms(("a", nested(32)), ("b", {})))
    assert client.post("/v1/experiments", json=deepest).status_code == 201
    served = load(client.get("/v1/config").content)
    assert served.flags["new-landing-page"].variants["a"] == nested(32)
    deeper = payload("deeper", variants=arms(("a", nested(33)), ("b", {})))
    answer = client.post("/v1/experiments", json=deeper)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/variants")


@pytest.mark.parametrize("value", ["NaN", "Infinity", '{"deep": NaN}', '"\\ud800"'])
def test_what_json_or_unicode_does_not_know_is_refused(client: TestClient, payload: Any, value: str) -> None:
    body = json.dumps(payload()).replace('"old"', value)
    answer = client.post("/v1/experiments", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)


def test_malformed_json_is_400(client: TestClient) -> None:
    answer = client.post("/v1/experiments", content=b'{"key": ', headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["type"] == "urn:equipoise:problem:malformed-body"


def test_a_taken_key_is_409_and_free_in_another_project(service: Any, payload: Any) -> None:
    mine, theirs = service.key(), service.key(project="theirs")
    assert service.client.post("/v1/experiments", json=payload(), headers=mine).status_code == 201
    taken = service.client.post("/v1/experiments", json=payload(), headers=mine)
    assert taken.status_code == 409
    assert taken.json()["type"] == "urn:equipoise:problem:already-exists"
    assert service.client.post("/v1/experiments", json=payload(), headers=theirs).status_code == 201


def test_the_same_idempotency_key_registers_once(client: TestClient, payload: Any) -> None:
    headers = {"Idempotency-Key": "9f1c"}
    first = client.post("/v1/experiments", json=payload(), headers=headers)
    again = client.post("/v1/experiments", json=payload(), headers=headers)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["ETag"] == first.headers["ETag"]
    other = client.post("/v1/experiments", json=payload("another"), headers=headers)
    assert other.status_code == 409
    assert len(client.get("/v1/experiments").json()["items"]) == 1


def test_a_failed_request_does_not_use_up_its_idempotency_key(client: TestClient, payload: Any) -> None:
    headers = {"Idempotency-Key": "9f1c"}
    assert client.post("/v1/experiments", json=payload(key="UPPER"), headers=headers).status_code == 422
    assert client.post("/v1/experiments", json=payload(), headers=headers).status_code == 201


def test_the_list_pages_through_everything_once(client: TestClient, payload: Any) -> None:
    keys = [f"experiment-{index:02}" for index in range(11)]
    for key in keys:
        client.post("/v1/experiments", json=payload(key))
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = client.get("/v1/experiments", params={"limit": 4, **({"cursor": cursor} if cursor else {})})
        seen += [each["key"] for each in page.json()["items"]]
        cursor = page.json()["next_cursor"]
        if cursor is None:
            break
    assert seen == keys


@pytest.mark.parametrize("cursor", ["nonsense", "LTE=", "MA==", "é", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk="])
def test_a_made_up_cursor_is_400(client: TestClient, cursor: str) -> None:
    answer = client.get("/v1/experiments", params={"cursor": cursor})
    assert answer.status_code == 400
    assert answer.json()["type"] == "urn:equipoise:problem:bad-cursor"


@pytest.mark.parametrize("limit", ["0", "501", "x"])
def test_a_limit_out_of_range_is_422(client: TestClient, limit: str) -> None:
    answer = client.get("/v1/experiments", params={"limit": limit})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "query/limit"


def test_an_unknown_experiment_is_404_everywhere(client: TestClient) -> None:
    for method, path in [
        ("GET", "/v1/experiments/none"),
        ("GET", "/v1/experiments/none/readout"),
        ("POST", "/v1/experiments/none/start"),
    ]:
        answer = client.request(method, path)
        assert answer.status_code == 404
        assert answer.json()["type"] == "urn:equipoise:problem:not-found"
        assert "none" in answer.json()["detail"]
    patched = client.patch("/v1/experiments/none", json={"name": "x"}, headers={"If-Match": "*"})
    assert patched.status_code == 404
