from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.service.flags.flags import make, patch, rule, served, where

from equipoise import evaluate

DACH = where("country", ["AT", "CH", "DE"], "in")


def segment(client: TestClient, key: str = "dach", **changes: Any) -> Any:
    payload = {"key": key, "name": key.title(), **(changes or {"condition": DACH})}
    return client.post("/v1/segments", json=payload)


def change(client: TestClient, key: str, **changes: Any) -> Any:
    path = f"/v1/segments/{key}"
    return client.patch(path, json=changes, headers={"If-Match": client.get(path).headers["ETag"]})


def use(client: TestClient, key: str, **more: Any) -> None:
    make(client, rules=[rule("members", {"variant": "new"}, {"segment": key})], **more)


def members(client: TestClient, *attributes: dict[str, Any]) -> list[bool]:
    configuration = served(client)
    return [
        evaluate(configuration, "search-engine", "unit-7", attributes=each).variant == "new"
        for each in attributes
    ]


def test_a_condition_is_made_read_listed_and_decides(client: TestClient) -> None:
    answer = segment(client)
    assert answer.status_code == 201
    assert answer.json()["condition"] == DACH
    assert answer.json()["attribute"] is answer.json()["ids_count"] is None
    read = client.get(answer.headers["Location"])
    assert (read.json(), read.headers["ETag"]) == (answer.json(), answer.headers["ETag"])
    assert client.get("/v1/segments").json()["items"] == [answer.json()]
    use(client, "dach")
    assert members(client, {"country": "CH"}, {"country": "FR"}, {}) == [True, False, False]


def test_only_segments_that_something_refers_to_are_published(client: TestClient) -> None:
    segment(client, "unused")
    segment(client, "inner")
    segment(client, "middle", condition={"not": {"segment": "inner"}})
    segment(client, "outer", condition={"any": [{"segment": "middle"}, {"segment": "inner"}]})
    assert "segments" not in client.get("/v1/config").json()
    use(client, "outer")
    assert list(client.get("/v1/config").json()["segments"]) == ["inner", "middle", "outer"]
    assert members(client, {"country": "CH"}, {"country": "FR"}) == [True, True]


def test_a_change_reaches_every_environment(service: Any) -> None:
    client = service.client
    staging, production = service.key(environment="staging"), service.key()
    client.headers.update(staging)
    segment(client)
    use(client, "dach")
    client.headers.update(production)
    assert change(client, "dach", condition=where("country", "FR"), name="France").status_code == 200
    client.headers.update(staging)
    assert members(client, {"country": "FR"}, {"country": "CH"}) == [True, False]
    assert client.get("/v1/segments/dach").json()["name"] == "France"


def test_an_experiment_can_be_for_a_segment(client: TestClient, payload: Any) -> None:
    segment(client)
    made = client.post("/v1/experiments", json=payload(audience={"segment": "dach"}))
    assert made.status_code == 201
    client.post("/v1/experiments/new-landing-page/start")
    configuration = served(client)
    for country, experiment in (("DE", "new-landing-page"), ("FR", None)):
        got = evaluate(configuration, "new-landing-page", "u", attributes={"country": country})
        assert got.experiment == experiment
    refused = client.delete("/v1/segments/dach")
    assert refused.status_code == 409
    assert refused.json()["used_by"] == ["the experiment new-landing-page"]


def test_what_is_used_cannot_be_deleted_and_what_is_not_can(client: TestClient) -> None:
    segment(client)
    segment(client, "outer", condition={"segment": "dach"})
    use(client, "outer")
    for key, user in (("dach", "the segment outer"), ("outer", "the flag search-engine in production")):
        answer = client.delete(f"/v1/segments/{key}")
        assert answer.status_code == 409
        assert answer.json()["type"] == "urn:equipoise:problem:in-use"
        assert answer.json()["used_by"] == [user]
    patch(client, rules=[])
    stale = client.delete("/v1/segments/outer", headers={"If-Match": '"stale"'})
    assert stale.status_code == 412
    for key in ("outer", "dach"):
        assert client.delete(f"/v1/segments/{key}").status_code == 204
        assert client.get(f"/v1/segments/{key}").status_code == 404
    assert segment(client).status_code == 201


def test_a_segment_that_a_rollout_is_for_cannot_be_deleted(client: TestClient) -> None:
    segment(client, "ids", ids=["a"])
    make(client)
    steps = [{"share": 10_000, "hours": 1}]
    rollout = {"key": "r", "from_variant": "old", "to_variant": "new", "steps": steps}
    client.post("/v1/flags/search-engine/rollouts", json={**rollout, "audience": {"segment": "ids"}})
    refused = client.delete("/v1/segments/ids")
    assert refused.json()["used_by"] == ["the rollout r of the flag search-engine in production"]


def test_a_cycle_is_refused_and_named(client: TestClient) -> None:
    segment(client, "a")
    segment(client, "b", condition={"segment": "a"})
    segment(client, "c", condition={"all": [{"segment": "b"}]})
    answer = change(client, "a", condition={"not": {"segment": "c"}})
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["pointer"].startswith("/condition")
    assert "a → c → b → a" in error["message"]
    assert change(client, "a", condition={"segment": "a"}).status_code == 422
    assert client.get("/v1/segments/a").json()["condition"] == DACH


def test_a_chain_has_ten_segments_at_most_wherever_it_grows(client: TestClient) -> None:
    for n in range(12):
        segment(client, f"s{n}")
    answers = [
        change(client, f"s{n}", condition={"segment": f"s{n + 1}"}).status_code for n in reversed(range(11))
    ]
    assert answers == [200] * 9 + [422, 200]
    use(client, "s2")
    assert members(client, {"country": "CH"}) == [True]


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({}, ""),
        ({"condition": DACH, "ids": ["a"]}, ""),
        ({"condition": DACH, "attribute": "country"}, ""),
        ({"condition": {}}, "/condition"),
        ({"condition": {"segment": "none"}}, "/condition/segment"),
        ({"condition": {"all": [DACH, where("a", 1, "is")]}}, "/condition/all/1/operator"),
        ({"condition": {"all": [], "operator": "equals"}}, "/condition"),
        ({"ids": ["a", ""]}, "/ids/1"),
        ({"ids": ["a", 7]}, "/ids/1"),
        ({"ids": ["a\0b"]}, "/ids/0"),
        ({"ids": ["x" * 513]}, "/ids/0"),
        ({"ids": ["a"], "attribute": ""}, "/attribute"),
        ({"ids": ["a"], "surprise": 1}, "/surprise"),
    ],
)
def test_a_wrong_segment_is_422_and_names_the_place(
    client: TestClient, wrong: dict[str, Any], pointer: str
) -> None:
    answer = client.post("/v1/segments", json={"key": "wrong", "name": "Wrong", **wrong})
    assert answer.status_code == 422
    assert pointer in {each["pointer"] for each in answer.json()["errors"]}
    assert client.get("/v1/segments").json()["items"] == []


def test_keys_preconditions_and_idempotency(client: TestClient) -> None:
    payload = {"key": "dach", "name": "D", "condition": DACH}
    first = client.post("/v1/segments", json=payload, headers={"Idempotency-Key": "1"})
    again = client.post("/v1/segments", json=payload, headers={"Idempotency-Key": "1"})
    assert (again.status_code, again.json()) == (201, first.json())
    assert segment(client).status_code == 409
    path = "/v1/segments/dach"
    assert client.patch(path, json={"name": "x"}).status_code == 428
    assert client.patch(path, json={"name": "x"}, headers={"If-Match": '"0"'}).status_code == 412
    assert change(client, "dach", name=None).status_code == 422
    assert client.get("/v1/segments/none").status_code == 404


def test_a_segment_does_not_become_one_of_the_other_kind(client: TestClient) -> None:
    segment(client)
    segment(client, "ids", ids=["a"])
    for key, wrong in (("dach", {"ids": ["a"]}), ("dach", {"attribute": "x"}), ("ids", {"condition": DACH})):
        answer = change(client, key, **wrong)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == f"/{next(iter(wrong))}"
    for answer in (client.get("/v1/segments/dach/ids"), client.post("/v1/segments/dach/ids", json={})):
        assert answer.status_code == 409


def test_a_condition_must_not_make_what_refers_to_it_too_large(client: TestClient, payload: Any) -> None:
    tenfold = {"any": [{"segment": "small"}] * 100}
    segment(client, "small")
    assert client.post("/v1/experiments", json=payload(audience=tenfold)).status_code == 201
    answer = change(client, "small", condition={"any": [where("n", n) for n in range(101)]})
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["pointer"] == "/condition"
    assert "10,000" in error["message"]
    assert change(client, "small", condition={"any": [where("n", n) for n in range(100)]}).status_code == 200
