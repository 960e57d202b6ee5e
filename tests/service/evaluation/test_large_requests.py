"""Requests that cost much: refused past a limit, and below it answered while others are served."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient

import equipoise
from equipoise_service.evaluation import endpoints
from equipoise_service.ofrep import answers

FLAG = "new-landing-page"
ASSIGNMENTS = "/v1/assignments"
EXPLAIN = "/v1/explain"
OFREP_ONE = f"/ofrep/v1/evaluate/flags/{FLAG}"
OFREP_ALL = "/ofrep/v1/evaluate/flags"
ROUTES = [ASSIGNMENTS, EXPLAIN, OFREP_ONE, OFREP_ALL]

LARGEST: dict[str, Any] = {
    "text": "é" * 4_096,
    "é" * 4_096: 1,
    "list": ["x" * 4_096, *range(999)],
    "nested": {"ignored": "x" * 5_000},
}


def ask(client: TestClient, route: str, attributes: dict[str, Any], units: int = 1) -> Any:
    if route.startswith("/ofrep/"):
        return client.post(route, json={"context": {"targetingKey": "user-1", **attributes}})
    if route == EXPLAIN:
        return client.post(route, json={"flag": FLAG, "unit": "user-1", "attributes": attributes})
    names = [f"user-{number}" for number in range(units)]
    return client.post(route, json={"flag": FLAG, "units": names, "attributes": attributes})


@pytest.fixture
def flag(client: TestClient, payload: Any) -> TestClient:
    """A client of a service with a running experiment on texts that match a pattern."""
    audience = {"attribute": "text", "operator": "matches", "value": "a.*b.*c"}
    answer = client.post("/v1/experiments", json=payload(audience=audience))
    assert answer.status_code == 201, answer.text
    assert client.post(f"/v1/experiments/{FLAG}/start").status_code == 200
    return client


@pytest.mark.parametrize("route", ROUTES)
def test_the_largest_attributes_are_taken(flag: TestClient, route: str) -> None:
    assert ask(flag, route, LARGEST).status_code == 200
    members = 999 if route.startswith("/ofrep/") else 1_000
    assert ask(flag, route, {f"a{number}": number for number in range(members)}).status_code == 200


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    ("attributes", "pointer"),
    [
        ({"text": "x" * 4_097}, "/text"),
        ({"ok": 1, "a/b~c": "x" * 4_097}, "/a~1b~0c"),
        ({"x" * 4_097: 1}, ""),
        ({"list": ["ok", "x" * 4_097]}, "/list"),
        ({"list": [0] * 1_001}, "/list"),
        ({f"a{number}": number for number in range(1_001)}, ""),
    ],
)
def test_larger_attributes_are_refused_with_their_place(
    flag: TestClient, route: str, attributes: dict[str, Any], pointer: str
) -> None:
    answer = ask(flag, route, attributes)
    if route.startswith("/ofrep/"):
        assert answer.status_code == 400
        assert answer.json()["errorCode"] == "INVALID_CONTEXT"
        assert f"context{pointer}" in answer.json()["errorDetails"].replace("$.", "")
        assert answer.json().get("key") == (FLAG if route == OFREP_ONE else None)
    else:
        assert answer.status_code == 422
        (error,) = answer.json()["errors"]
        assert error["pointer"] == f"/attributes{pointer}"
    assert len(answer.content) < 1_000


def test_ten_thousand_units_cost_little_more_than_one(client: TestClient, payload: Any) -> None:
    """Forty patterns on the longest text, to be met with by as many units as one request may have."""
    patterns = [
        {"attribute": "text", "operator": "matches", "value": f"a.*b.*{number}$"} for number in range(40)
    ]
    tenth = {"attribute": "$unit", "operator": "ends_with", "value": "7"}
    audience = {"any": [tenth, *patterns]}
    assert client.post("/v1/experiments", json=payload(audience=audience)).status_code == 201
    assert client.post(f"/v1/experiments/{FLAG}/start").status_code == 200
    begun = time.process_time()
    answer = ask(client, ASSIGNMENTS, {"text": "ab" * 2_048}, 10_000)
    spent = time.process_time() - begun
    assert answer.status_code == 200
    placed = {each["unit"] for each in answer.json()["assignments"] if each["reason"] == "SPLIT"}
    assert placed == {f"user-{number}" for number in range(10_000) if number % 10 == 7}
    # Asked anew for each unit, the patterns took over five minutes.
    assert spent < 10


@pytest.mark.parametrize("route", ROUTES)
def test_the_service_answers_others_while_it_evaluates_a_large_request(
    flag: TestClient, route: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, others = threading.Event(), threading.Event()

    def slow(real: Any) -> Any:
        def evaluated(*given: Any, **named: Any) -> Any:
            begun.set()
            assert others.wait(20), "nobody else was served"
            return real(*given, **named)

        return evaluated

    monkeypatch.setattr(endpoints, "assign_many", slow(equipoise.assign_many))
    monkeypatch.setattr(endpoints, "explain", slow(equipoise.explain))
    monkeypatch.setattr(answers, "evaluate", slow(equipoise.evaluate))
    attributes = {} if route == ASSIGNMENTS else {"text": "a" * 4_096}
    with ThreadPoolExecutor(2) as pool:
        asked = pool.submit(ask, flag, route, attributes, 300)
        assert begun.wait(10)
        assert pool.submit(flag.get, "/healthz").result(10).status_code == 200
        others.set()
        assert asked.result(30).status_code == 200


def test_an_environment_of_many_flags_is_evaluated_beside_the_loop(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = {
        "type": "boolean",
        "variants": [{"key": "on", "value": True}, {"key": "off", "value": False}],
        "default": "off",
    }
    for number in range(3):
        answer = client.post("/v1/flags", json={"key": f"f{number}", "name": "F", **document})
        assert answer.status_code == 201, answer.text
    monkeypatch.setattr("equipoise_service.evaluation.workers._SMALL_FLAGS", 2)
    threads = set()

    def noted(*given: Any, **named: Any) -> Any:
        threads.add(threading.current_thread().name)
        return equipoise.evaluate(*given, **named)

    monkeypatch.setattr(answers, "evaluate", noted)
    body = json.dumps({"context": {"targetingKey": "user-1"}})
    assert len(client.post(OFREP_ALL, content=body).json()["flags"]) == 3
    assert all(name.startswith("evaluation") for name in threads)
    assert threads
