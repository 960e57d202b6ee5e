"""Holdouts over HTTP: units that take part in none of a set of experiments."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from equipoise import evaluate
from equipoise.bucketing import bucket
from equipoise.configuration import load

UNITS = [f"unit-{index}" for index in range(2000)]


@pytest.fixture
def held(client: TestClient) -> TestClient:
    answer = client.post("/v1/holdouts", json={"key": "year", "name": "This year", "share": 1000})
    assert answer.status_code == 201, answer.text
    return client


def change(client: TestClient, path: str, **changes: Any) -> Any:
    etag = client.get(path).headers["ETag"]
    return client.patch(path, json=changes, headers={"If-Match": etag})


def enrolled(client: TestClient, key: str) -> set[str]:
    configuration = load(client.get("/v1/config").content)
    return {unit for unit in UNITS if evaluate(configuration, key, unit).experiment == key}


def start(client: TestClient, payload: Any, key: str, **more: Any) -> None:
    assert client.post("/v1/experiments", json=payload(key, **more)).status_code == 201
    assert client.post(f"/v1/experiments/{key}/start").status_code == 200


def test_a_holdout_is_made_read_changed_and_deleted(client: TestClient) -> None:
    made = client.post("/v1/holdouts", json={"key": "year", "name": "This year", "share": 500})
    assert made.headers["Location"] == "/v1/holdouts/year"
    shown = made.json()
    assert (shown["unit_type"], shown["share"], shown["experiments"]) == ("user", 500, [])
    assert client.get("/v1/holdouts/year").json() == shown
    assert client.get("/v1/holdouts").json() == {"items": [shown], "next_cursor": None}
    stale = {"If-Match": made.headers["ETag"]}
    assert client.patch("/v1/holdouts/year", json={"name": "x"}).status_code == 428
    assert change(client, "/v1/holdouts/year", name="2026").json()["name"] == "2026"
    assert client.patch("/v1/holdouts/year", json={"name": "x"}, headers=stale).status_code == 412
    assert client.delete("/v1/holdouts/year", headers=stale).status_code == 412
    assert client.delete("/v1/holdouts/year").status_code == 204
    assert client.get("/v1/holdouts/year").status_code == 404


def test_the_same_idempotency_key_makes_one_holdout_and_a_taken_key_is_409(client: TestClient) -> None:
    body, headers = {"key": "year", "name": "y", "share": 500}, {"Idempotency-Key": "1"}
    first = client.post("/v1/holdouts", json=body, headers=headers)
    assert client.post("/v1/holdouts", json=body, headers=headers).json() == first.json()
    taken = client.post("/v1/holdouts", json=body)
    assert (taken.status_code, taken.json()["type"]) == (409, "urn:equipoise:problem:already-exists")


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"key": "Year"}, "/key"),
        ({"share": 10_001}, "/share"),
        ({"share": -1}, "/share"),
        ({"share": 0.5}, "/share"),
        ({"unit_type": "User"}, "/unit_type"),
        ({"salt": "0" * 16}, "/salt"),
    ],
)
def test_a_wrong_payload_is_422(client: TestClient, changes: dict[str, Any], pointer: str) -> None:
    body = {"key": "year", "name": "y", "share": 500, **changes}
    answer = client.post("/v1/holdouts", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer


def test_what_is_held_out_is_in_none_of_its_experiments_and_in_the_others(
    held: TestClient, payload: Any
) -> None:
    for key, holdouts in (("a", ["year"]), ("b", ["year"]), ("free", [])):
        start(held, payload, key, holdouts=holdouts)
    salt = held.get("/v1/holdouts/year").json()["salt"]
    kept_out = {unit for unit in UNITS if bucket(salt, unit) < 1000}
    assert enrolled(held, "a") == enrolled(held, "b") == set(UNITS) - kept_out
    assert enrolled(held, "free") == set(UNITS)
    assert held.get("/v1/holdouts/year").json()["experiments"] == ["a", "b"]
    assert held.get("/v1/experiments/a").json()["holdouts"] == ["year"]


def test_growing_only_adds_units_and_it_cannot_shrink(held: TestClient, payload: Any) -> None:
    start(held, payload, "a", holdouts=["year"])
    before = enrolled(held, "a")
    assert change(held, "/v1/holdouts/year", share=2500).json()["share"] == 2500
    after = enrolled(held, "a")
    assert after < before
    assert held.get("/v1/experiments/a").json()["revision"] == 1
    refused = change(held, "/v1/holdouts/year", share=2499)
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:equipoise:problem:frozen-field")
    assert "cannot shrink" in refused.json()["detail"]
    assert enrolled(held, "a") == after


def test_a_holdout_in_use_is_not_deleted(held: TestClient, payload: Any) -> None:
    held.post("/v1/experiments", json=payload("a", holdouts=["year"]))
    refused = held.delete("/v1/holdouts/year")
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:equipoise:problem:in-use")
    assert refused.json()["used_by"] == ["a"]
    assert change(held, "/v1/experiments/a", holdouts=[]).json()["holdouts"] == []
    assert held.delete("/v1/holdouts/year").status_code == 204


def test_the_document_has_only_the_holdouts_that_experiments_name(held: TestClient, payload: Any) -> None:
    assert "holdouts" not in held.get("/v1/config").json()
    held.post("/v1/experiments", json=payload("a", holdouts=["year"]))
    document = held.get("/v1/config").json()
    shown = held.get("/v1/holdouts/year").json()
    assert document["holdouts"] == {
        "year": {"unit_type": "user", "salt": shown["salt"], "slots": [[0, 1000]]}
    }


def test_an_unknown_holdout_is_422_and_names_the_place(held: TestClient, payload: Any) -> None:
    refused = held.post("/v1/experiments", json=payload("a", holdouts=["year", "none"]))
    assert refused.status_code == 422
    assert refused.json()["errors"] == [{"pointer": "/holdouts/1", "message": "there is no holdout none"}]
    assert held.get("/v1/experiments/a").status_code == 404
    twice = held.post("/v1/experiments", json=payload("a", holdouts=["year", "year"]))
    assert twice.json()["errors"][0]["pointer"] == "/holdouts"


def test_another_project_has_other_holdouts(service: Any, payload: Any) -> None:
    mine, theirs = service.key(), service.key(project="theirs")
    body = {"key": "year", "name": "y", "share": 500}
    assert service.client.post("/v1/holdouts", json=body, headers=mine).status_code == 201
    assert service.client.get("/v1/holdouts/year", headers=theirs).status_code == 404
    named = payload(holdouts=["year"])
    assert service.client.post("/v1/experiments", json=named, headers=theirs).status_code == 422
    assert service.client.post("/v1/holdouts", json=body, headers=theirs).status_code == 201
