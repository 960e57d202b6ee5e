from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.service.flags.flags import flag, make, patch, served, variants, where

from equipoise import evaluate

RULES = [
    {"key": "germans", "audience": where("country", "DE"), "variant": "new"},
    {"key": "some", "rollout": {"shares": [{"variant": "new", "share": 500}]}},
]


def test_a_flag_is_made_read_and_listed(client: TestClient) -> None:
    answer = client.post("/v1/flags", json=flag(description="Which engine.", rules=RULES))
    assert answer.status_code == 201
    shown = answer.json()
    assert shown["unit_type"] == "user"
    assert shown["enabled"] is True
    assert shown["environment"] == "production"
    assert shown["experiments"] == shown["prerequisites"] == []
    assert shown["archived_at"] is None
    assert [rule["key"] for rule in shown["rules"]] == ["germans", "some"]
    assert shown["rules"][0]["audience"] == where("country", "DE")
    assert shown["rules"][1]["rollout"]["shares"] == [{"variant": "new", "share": 500}]
    read = client.get(answer.headers["Location"])
    assert read.json() == shown
    assert read.headers["ETag"] == answer.headers["ETag"]
    assert client.get("/v1/flags").json()["items"] == [shown]


def test_what_a_flag_serves(client: TestClient) -> None:
    make(client, rules=RULES)
    configuration = served(client)
    german = evaluate(configuration, "search-engine", "u", attributes={"country": "DE"})
    assert (german.variant, german.value, german.reason) == ("new", "vespa", "TARGETING_MATCH")
    shares = list(variants(configuration).values())
    assert 60 <= shares.count("new") <= 140  # 5 % of 2,000, within four standard errors
    assert {evaluate(configuration, "search-engine", "unit-0").reason} <= {"SPLIT", "DEFAULT"}


def test_a_flag_without_rules_serves_its_default(client: TestClient) -> None:
    make(client)
    got = evaluate(served(client), "search-engine", "u")
    assert (got.variant, got.value, got.reason, got.experiment) == ("old", "solr", "STATIC", None)


def test_turned_off_everybody_gets_the_default_in_this_environment_alone(service: Any) -> None:
    production, staging = service.key(), service.key(environment="staging")
    everybody = [{"key": "all", "variant": "new"}]
    for headers in (production, staging):
        service.client.headers.update(headers)
        if headers is production:
            make(service.client, rules=everybody)
        else:
            assert service.client.get("/v1/flags/search-engine").json()["rules"] == []
            assert patch(service.client, rules=everybody).status_code == 200
    service.client.headers.update(production)
    assert patch(service.client, enabled=False).json()["enabled"] is False
    off = evaluate(served(service.client), "search-engine", "u")
    assert (off.variant, off.reason) == ("old", "DISABLED")
    service.client.headers.update(staging)
    assert evaluate(served(service.client), "search-engine", "u").variant == "new"
    assert patch(service.client, name="Engine").json()["name"] == "Engine"
    service.client.headers.update(production)
    shown = service.client.get("/v1/flags/search-engine").json()
    assert (shown["name"], shown["enabled"], shown["environment"]) == ("Engine", False, "production")


@pytest.mark.parametrize(
    ("flag_type", "values", "document"),
    [
        ("boolean", [True, False], '"a":true,"b":false'),
        ("string", ["", "ü"], '"a":"","b":"ü"'),
        ("integer", [0, -(2**53) + 1], '"a":0,"b":-9007199254740991'),
        ("number", [1, 2.5], '"a":1.0,"b":2.5'),
        ("number", [0, 10], '"a":0.0,"b":10.0'),
        ("object", [{"size": 1}, {}], '"a":{"size":1},"b":{}'),
    ],
)
def test_values_have_exactly_the_type(
    client: TestClient, flag_type: str, values: list[Any], document: str
) -> None:
    pairs = zip("ab", values, strict=True)
    made = make(
        client,
        type=flag_type,
        default="a",
        variants=[{"key": key, "value": value} for key, value in pairs],
    )
    assert [type(each["value"]) for each in made["variants"]] == [
        float if flag_type == "number" else type(value) for value in values
    ]
    assert document in client.get("/v1/config").text


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"key": "Upper"}, "/key"),
        ({"name": ""}, "/name"),
        ({"type": "float"}, "/type"),
        ({"unit_type": "a b"}, "/unit_type"),
        ({"variants": []}, "/variants"),
        ({"default": "newest"}, "/default"),
        ({"enabled": "yes"}, "/enabled"),
        ({"enabled": 1}, "/enabled"),
        ({"surprise": 1}, "/surprise"),
        ({"variants": [{"key": "old", "value": 1}]}, "/variants/0/value"),
        ({"variants": [{"key": "old", "value": "x"}, {"key": "old", "value": "y"}]}, "/variants/1/key"),
        ({"variants": [{"key": "old"}]}, "/variants/0/value"),
        ({"type": "integer", "variants": [{"key": "old", "value": 1.0}]}, "/variants/0/value"),
        ({"type": "integer", "variants": [{"key": "old", "value": True}]}, "/variants/0/value"),
        ({"type": "integer", "variants": [{"key": "old", "value": 2**53}]}, "/variants/0/value"),
        ({"type": "boolean", "variants": [{"key": "old", "value": 0}]}, "/variants/0/value"),
        ({"type": "object", "variants": [{"key": "old", "value": []}]}, "/variants/0/value"),
        ({"type": "object", "variants": [{"key": "old", "value": {"a": [-(2**53)]}}]}, "/variants/0/value"),
        ({"type": "number", "variants": [{"key": "old", "value": None}]}, "/variants/0/value"),
    ],
)
def test_a_wrong_flag_is_422_and_names_the_place(
    client: TestClient, changes: dict[str, Any], pointer: str
) -> None:
    answer = client.post("/v1/flags", json=flag(**changes))
    assert answer.status_code == 422
    assert pointer in {each["pointer"] for each in answer.json()["errors"]}
    assert client.get("/v1/flags").json()["items"] == []


def test_a_taken_key_is_409_and_free_in_another_project(service: Any, payload: Any) -> None:
    mine, theirs = service.key(), service.key(project="theirs")
    post = service.client.post
    assert post("/v1/flags", json=flag(), headers=mine).status_code == 201
    assert post("/v1/flags", json=flag(), headers=mine).status_code == 409
    assert post("/v1/flags", json=flag(), headers=theirs).status_code == 201
    taken = post("/v1/experiments", json=payload("search-engine"), headers=mine)
    assert taken.status_code == 409
    assert service.client.get("/v1/flags/search-engine", headers=theirs).json()["rules"] == []


def test_the_same_idempotency_key_makes_one_flag(client: TestClient) -> None:
    headers = {"Idempotency-Key": "f-1"}
    first = client.post("/v1/flags", json=flag(), headers=headers)
    again = client.post("/v1/flags", json=flag(), headers=headers)
    assert (again.status_code, again.json()) == (201, first.json())
    assert client.post("/v1/flags", json=flag(name="X"), headers=headers).status_code == 409


def test_the_list_pages_through_every_flag_once(client: TestClient) -> None:
    keys = [f"flag-{index}" for index in range(7)]
    for key in keys:
        make(client, key=key)
    first = client.get("/v1/flags", params={"limit": 5}).json()
    second = client.get("/v1/flags", params={"limit": 5, "cursor": first["next_cursor"]}).json()
    assert [each["key"] for each in first["items"] + second["items"]] == keys
    assert second["next_cursor"] is None


def test_scopes(service: Any) -> None:
    from equipoise_service.accounts.principals import Scope

    reader, writer = service.key(Scope.READ), service.key(Scope.WRITE)
    post, get = service.client.post, service.client.get
    assert post("/v1/flags", json=flag(), headers=reader).status_code == 403
    assert post("/v1/flags", json=flag(), headers=writer).status_code == 201
    assert get("/v1/flags", headers=writer).status_code == 403
    assert get("/v1/flags/search-engine", headers=reader).status_code == 200
    assert get("/v1/flags").status_code == 401
    assert get("/v1/flags/none", headers=reader).status_code == 404
