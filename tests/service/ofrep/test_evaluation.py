"""Evaluation over OFREP, by the words of the protocol."""

import gzip
import json
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from equipoise import evaluate
from equipoise.configuration import load
from equipoise_service.accounts.principals import Scope
from equipoise_service.ofrep import answers, endpoints
from equipoise_service.ofrep.tickets import PERIOD_SECONDS

FLAGS = "/ofrep/v1/evaluate/flags"
VALUES: dict[str, tuple[Any, Any]] = {
    "boolean": (False, True),
    "string": ("old", "new"),
    "integer": (1, 2**53 - 1),
    "number": (1.0, 2.0),
    "object": ({"colour": "red", "sizes": [1, 2.0]}, {"colour": "blue", "nested": {"deep": None}}),
}


def register(client: TestClient, payload: Any, key: str, values: tuple[Any, Any], **more: Any) -> None:
    variants = [
        {"key": "control", "value": values[0], "control": True, "weight": 5000},
        {"key": "treatment", "value": values[1], "weight": 5000},
    ]
    answer = client.post("/v1/experiments", json=payload(key, variants=variants, **more))
    assert answer.status_code == 201, answer.text


@pytest.fixture
def flags(client: TestClient, payload: Any) -> TestClient:
    """A client of a service that has a flag of each type, each with an experiment that runs."""
    for key, values in VALUES.items():
        register(client, payload, key, values)
        assert client.post(f"/v1/experiments/{key}/start").status_code == 200
    return client


def ask(client: TestClient, key: str, **context: Any) -> Any:
    return client.post(f"{FLAGS}/{key}", json={"context": context})


@pytest.mark.parametrize("key", VALUES)
def test_one_flag_agrees_with_local_evaluation(flags: TestClient, key: str) -> None:
    configuration = load(flags.get("/v1/config").content)
    variants = set()
    for unit in (f"unit-{index}" for index in range(20)):
        local = evaluate(configuration, key, unit)
        answer = ask(flags, key, targetingKey=unit, country="FR", tags=["a"], deep={"er": 1})
        assert answer.status_code == 200
        assert answer.json() == {
            "key": key,
            "value": local.value,
            "variant": local.variant,
            "reason": "SPLIT",
            "metadata": {
                "flagSetId": "default/production",
                "version": configuration.version,
                "inExperiment": True,
                "experiment": key,
                "revision": 1,
            },
        }
        assert type(answer.json()["value"]) is type(VALUES[key][0])
        variants.add(local.variant)
    assert variants == {"control", "treatment"}


def test_a_number_is_never_written_as_an_integer(flags: TestClient) -> None:
    text = ask(flags, "number", targetingKey="unit-1").text
    assert '"value":1.0' in text or '"value":2.0' in text


def test_a_flag_whose_experiment_does_not_run_is_disabled(client: TestClient, payload: Any) -> None:
    register(client, payload, "draft", (False, True))
    answer = ask(client, "draft", targetingKey="u").json()
    assert (answer["value"], answer["variant"], answer["reason"]) == (False, "control", "DISABLED")
    assert answer["metadata"] == {
        "flagSetId": "default/production",
        "version": client.get("/v1/config").json()["version"],
        "inExperiment": False,
    }


def test_a_unit_outside_the_traffic_gets_the_default(client: TestClient, payload: Any) -> None:
    register(client, payload, "ramp", ("old", "new"), traffic=5000)
    client.post("/v1/experiments/ramp/start")
    found = {}
    for index in range(40):
        answer = ask(client, "ramp", targetingKey=f"u{index}").json()
        found[answer["reason"]] = answer
    assert found.keys() == {"SPLIT", "DEFAULT"}
    assert found["DEFAULT"]["value"] == "old"
    assert found["DEFAULT"]["metadata"]["inExperiment"] is False


def test_all_flags_at_once_are_the_same_as_one_by_one(flags: TestClient) -> None:
    context = {"targetingKey": "unit-7", "country": "FR"}
    answer = flags.post(FLAGS, json={"context": context}).json()
    assert [each["key"] for each in answer["flags"]] == list(load(flags.get("/v1/config").content).flags)
    assert {each["key"] for each in answer["flags"]} == VALUES.keys()
    for each in answer["flags"]:
        assert each == ask(flags, each["key"], **context).json()
    assert answer["metadata"] == {
        "flagSetId": "default/production",
        "version": flags.get("/v1/config").json()["version"],
    }
    (stream,) = answer["eventStreams"]
    assert stream["type"] == "sse"
    assert stream["endpoint"]["requestUri"].startswith("/ofrep/v1/changes?ticket=")


def bulk(client: TestClient, context: Any, etag: str | None = None, **headers: str) -> Any:
    if etag is not None:
        headers["If-None-Match"] = etag
    return client.post(FLAGS, json={"context": context}, headers=headers)


def test_a_304_evaluates_nothing(flags: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    context = {"targetingKey": "u1", "country": "FR", "plan": "pro"}
    etag = bulk(flags, context).headers["ETag"]
    monkeypatch.setattr(answers, "evaluate", lambda *_, **__: pytest.fail("it was evaluated"))
    for again in (context, dict(reversed(context.items()))):
        answer = bulk(flags, again, etag)
        assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", etag)


@pytest.mark.parametrize(
    "context",
    [
        {"targetingKey": "u2", "country": "FR"},
        {"targetingKey": "u1", "country": "DE"},
        {"targetingKey": "u1"},
        {"targetingKey": "u1", "country": ["FR"]},
    ],
)
def test_another_context_has_another_etag(flags: TestClient, context: Any) -> None:
    etag = bulk(flags, {"targetingKey": "u1", "country": "FR"}).headers["ETag"]
    assert bulk(flags, context, etag).status_code == 200


def test_another_configuration_has_another_etag(flags: TestClient) -> None:
    etag = bulk(flags, {"targetingKey": "u1"}).headers["ETag"]
    assert flags.post("/v1/experiments/boolean/pause").status_code == 200
    answer = bulk(flags, {"targetingKey": "u1"}, etag)
    assert answer.status_code == 200
    assert {each["key"]: each["reason"] for each in answer.json()["flags"]}["boolean"] == "DISABLED"


def test_environments_know_nothing_of_each_other(service: Any, client: TestClient, payload: Any) -> None:
    register(client, payload, "draft", (False, True))
    client.post("/v1/experiments/draft/start")
    staging = service.key(Scope.EVALUATE, environment="staging")
    context = {"context": {"targetingKey": "u"}}
    assert client.post(f"{FLAGS}/draft", json=context).json()["reason"] == "SPLIT"
    assert client.post(f"{FLAGS}/draft", json=context, headers=staging).json()["reason"] == "DISABLED"


def test_a_key_may_come_in_either_header(service: Any, flags: TestClient) -> None:
    text = service.key(Scope.EVALUATE)["Authorization"].removeprefix("Bearer ")
    bare = TestClient(flags.app)
    for headers in ({"Authorization": f"Bearer {text}"}, {"X-API-Key": text}):
        answer = bare.post(f"{FLAGS}/string", json={"context": {"targetingKey": "u"}}, headers=headers)
        assert answer.status_code == 200


BAD_CONTEXTS = [
    (b"{", "PARSE_ERROR"),
    (b"", "PARSE_ERROR"),
    (b"\xff", "PARSE_ERROR"),
    (b'{"context": {"targetingKey": "u", "n": NaN}}', "PARSE_ERROR"),
    (b'{"context": {"targetingKey": "\\ud800"}}', "PARSE_ERROR"),
    (b'{"context": {"a": ' + b"[" * 100_000, "PARSE_ERROR"),
    (b"[]", "INVALID_CONTEXT"),
    (b"null", "INVALID_CONTEXT"),
    (b'{"context": null}', "INVALID_CONTEXT"),
    (b'{"context": ["u"]}', "INVALID_CONTEXT"),
    (b'{"context": {"targetingKey": 7}}', "INVALID_CONTEXT"),
    (b'{"context": {"targetingKey": "a\\u0000b"}}', "INVALID_CONTEXT"),
    (json.dumps({"context": {"targetingKey": "u" * 513}}).encode(), "INVALID_CONTEXT"),
    (b"{}", "TARGETING_KEY_MISSING"),
    (b'{"context": {}}', "TARGETING_KEY_MISSING"),
    (b'{"context": {"targetingKey": null}}', "TARGETING_KEY_MISSING"),
    (b'{"context": {"targetingKey": ""}}', "TARGETING_KEY_MISSING"),
]


@pytest.mark.parametrize(("body", "code"), BAD_CONTEXTS)
@pytest.mark.parametrize("key", [None, "string"])
def test_a_bad_context_is_a_400_with_details(
    flags: TestClient, body: bytes, code: str, key: str | None
) -> None:
    answer = flags.post(FLAGS if key is None else f"{FLAGS}/{key}", content=body)
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/json"
    told = answer.json()
    assert told.pop("errorDetails")
    assert told == ({"errorCode": code} if key is None else {"errorCode": code, "key": key})


@pytest.mark.parametrize("key", ["none", "no/such/flag", "a%20b", "String"])
def test_an_unknown_flag_is_a_404_with_its_key(flags: TestClient, key: str) -> None:
    answer = ask(flags, key, targetingKey="u")
    assert answer.status_code == 404
    told = answer.json()
    assert (told["key"], told["errorCode"]) == (key.replace("%20", " "), "FLAG_NOT_FOUND")
    assert told["errorDetails"]


def failures(client: TestClient, service: Any) -> dict[int, Any]:
    body = {"context": {"targetingKey": "u"}}
    bare = TestClient(client.app, raise_server_exceptions=False)
    large = json.dumps({"context": {"targetingKey": "u", "x": "y" * 200_000}}).encode()
    return {
        401: bare.post(f"{FLAGS}/string", json=body),
        403: bare.post(f"{FLAGS}/string", json=body, headers=service.key(Scope.INGEST)),
        404: client.get("/ofrep/v1/configuration"),
        405: client.get(f"{FLAGS}/string"),
        413: client.post(f"{FLAGS}/string", content=large),
        415: client.post(f"{FLAGS}/string", content=b"x", headers={"Content-Encoding": "br"}),
    }


def test_every_failure_has_the_protocols_shape(flags: TestClient, service: Any) -> None:
    for status, answer in failures(flags, service).items():
        assert answer.status_code == status
        assert answer.headers["Content-Type"] == "application/json"
        told = answer.json()
        assert told.pop("errorDetails"), status
        assert told == {"errorCode": "GENERAL"} | ({} if status == 404 else {"key": "string"})
    wrong = {"Authorization": f"Bearer eq_{'0' * 16}_{'1' * 64}"}
    answer = flags.post(FLAGS, json={"context": {"targetingKey": "u"}}, headers=wrong)
    assert (answer.status_code, answer.json()["errorCode"]) == (401, "GENERAL")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_wrong_method_is_told_the_right_ones(flags: TestClient) -> None:
    assert flags.delete(f"{FLAGS}/string").headers["Allow"] == "POST"
    assert flags.put("/ofrep/v1/changes").headers["Allow"] == "GET"


def test_a_broken_gzip_body_is_a_parse_error(flags: TestClient) -> None:
    broken = gzip.compress(b"{}")[:-4]
    answer = flags.post(f"{FLAGS}/string", content=broken, headers={"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.json()["errorCode"]) == (400, "PARSE_ERROR")


def test_a_fault_of_the_service_is_a_500_that_tells_nothing(
    flags: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr(answers, "evaluate", broken)
    answer = ask(flags, "string", targetingKey="u")
    assert answer.status_code == 500
    assert (answer.json()["errorCode"], answer.json()["key"]) == ("GENERAL", "string")
    assert "hunter2" not in answer.text


def test_the_rest_of_the_service_keeps_problem_documents(flags: TestClient) -> None:
    answer = flags.post("/v1/assignments", content=b"{")
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_304_leaves_a_ticket_that_is_good_for_an_hour(
    flags: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = {"targetingKey": "u1"}
    begin = 1_780_000_000 - 1_780_000_000 % PERIOD_SECONDS
    clock = SimpleNamespace(time=lambda: begin)
    monkeypatch.setattr(endpoints, "time", clock)
    first = bulk(flags, context)
    clock.time = lambda: begin + PERIOD_SECONDS - 1
    assert bulk(flags, context, first.headers["ETag"]).status_code == 304
    clock.time = lambda: begin + PERIOD_SECONDS
    renewed = bulk(flags, context, first.headers["ETag"])
    assert renewed.status_code == 200
    assert renewed.json()["flags"] == first.json()["flags"]
    assert renewed.json()["eventStreams"] != first.json()["eventStreams"]
