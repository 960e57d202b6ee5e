"""Stored metrics over HTTP: made, changed into new versions, pinned by experiments, archived."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.service.conftest import Service

from equipoise_service.accounts.principals import Scope

REVENUE = {
    "key": "revenue",
    "name": "Revenue",
    "type": "mean",
    "event": "purchase",
    "filters": [{"property": "plan", "operator": "in", "value": ["pro"]}],
}
URL = "/v1/metrics/revenue"


def make(client: TestClient, **changes: Any) -> dict[str, Any]:
    answer = client.post("/v1/metrics", json={**REVENUE, **changes})
    assert answer.status_code == 201, answer.text
    assert answer.headers["Location"] == f"/v1/metrics/{answer.json()['key']}"
    return {**answer.json(), "etag": answer.headers["ETag"]}


def change(client: TestClient, **changes: Any) -> Any:
    etag = client.get(URL).headers["ETag"]
    return client.patch(URL, json=changes, headers={"If-Match": etag})


def definitions(client: TestClient) -> list[dict[str, Any]]:
    return [each["definition"] for each in client.get(f"{URL}/versions").json()["items"]]


def test_every_change_makes_a_version_that_never_changes(client: TestClient) -> None:
    made = make(client)
    assert made["version"] == 1
    assert made["winsorize"] is None
    changed = change(client, winsorize=0.99, window_hours=24)
    assert changed.status_code == 200, changed.text
    assert (changed.json()["version"], changed.json()["winsorize"]) == (2, 0.99)
    assert change(client, window_hours=None, description="All of it").json()["version"] == 3
    assert [each["window_hours"] for each in definitions(client)] == [None, 24, None]
    assert [each["winsorize"] for each in definitions(client)] == [None, 0.99, 0.99]
    assert change(client, winsorize=0.99).json()["version"] == 3, "what changes nothing makes no version"
    first = client.get(f"{URL}/versions?limit=2").json()
    rest = client.get(f"{URL}/versions?cursor={first['next_cursor']}").json()
    assert [each["version"] for each in first["items"] + rest["items"]] == [1, 2, 3]


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"type": "ratio"}, ""),
        ({"window_hours": 0}, "/window_hours"),
        ({"type": None}, "/type"),
        ({"source": "nowhere"}, "/source"),
        ({"key": "other"}, "/key"),
        ({"filters": [{"operator": "at_least", "value": "x"}]}, "/filters/0"),
    ],
)
def test_what_is_no_metric_is_refused_and_makes_no_version(
    client: TestClient, changes: dict[str, Any], pointer: str
) -> None:
    make(client)
    refused = change(client, **changes)
    assert refused.status_code == 422, refused.text
    assert refused.json()["errors"][0]["pointer"] == pointer
    assert client.get(URL).json()["version"] == 1


def test_a_change_needs_the_etag_that_was_read(client: TestClient) -> None:
    etag = make(client)["etag"]
    assert client.patch(URL, json={"name": "x"}).status_code == 428
    assert client.patch(URL, json={"name": "x"}, headers={"If-Match": etag}).status_code == 200
    assert client.patch(URL, json={"name": "y"}, headers={"If-Match": etag}).status_code == 412
    assert client.get(URL).json()["name"] == "x"


def test_the_same_request_makes_one_metric(client: TestClient) -> None:
    headers = {"Idempotency-Key": "k"}
    first = client.post("/v1/metrics", json=REVENUE, headers=headers)
    again = client.post("/v1/metrics", json=REVENUE, headers=headers)
    assert again.status_code == 201
    assert again.content == first.content
    assert client.post("/v1/metrics", json=REVENUE).status_code == 409


def register(client: TestClient, payload: Any, key: str, *metrics: dict[str, Any]) -> Any:
    return client.post("/v1/experiments", json=payload(key=key, metrics=list(metrics)))


def test_an_experiment_measures_what_it_pinned(client: TestClient, payload: Any) -> None:
    make(client, role="guardrail")
    registered = register(client, payload, "page", {"metric": "revenue", "role": "success"})
    assert registered.status_code == 201, registered.text
    pinned = registered.json()["metrics"][0]
    assert (pinned["key"], pinned["version"], pinned["role"]) == ("revenue", 1, "success")
    assert pinned["filters"] == client.get(URL).json()["filters"]
    assert client.post("/v1/experiments/page/start").status_code == 200
    before = client.get("/v1/experiments/page/readout?wait=60").json()
    assert change(client, filters=[], direction="decrease").status_code == 200
    after = client.get("/v1/experiments/page/readout?wait=60").json()
    assert after["plan"] == before["plan"]
    assert after["plan_digest"] == before["plan_digest"]
    assert after["plan"]["metrics"][0]["version"] == 1
    assert client.get(URL).json()["used_by"] == ["page"]
    later = register(client, payload, "later", {"metric": "revenue"}).json()["metrics"][0]
    assert (later["version"], later["role"], later["direction"]) == (2, "guardrail", "decrease")
    old = register(client, payload, "old", {"metric": "revenue", "version": 1}).json()["metrics"][0]
    assert (old["version"], old["direction"]) == (1, "increase")


def test_what_was_read_of_an_experiment_can_be_sent_back(client: TestClient, payload: Any) -> None:
    make(client)
    own = {"key": "converted", "type": "proportion", "event": "converted"}
    made = register(client, payload, "page", {"metric": "revenue"}, own)
    metrics = made.json()["metrics"]
    url, headers = "/v1/experiments/page", {"If-Match": made.headers["ETag"]}
    answer = client.patch(url, json={"metrics": metrics}, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.json()["metrics"] == metrics
    metrics[0]["event"] = "refund"
    headers = {"If-Match": answer.headers["ETag"]}
    refused = client.patch(url, json={"metrics": metrics}, headers=headers)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/metrics/0"


@pytest.mark.parametrize(
    ("named", "pointer"),
    [
        ({"metric": "nothing"}, "/metrics/0/metric"),
        ({"metric": "revenue", "version": 7}, "/metrics/0/version"),
        ({"metric": "revenue", "event": "purchase"}, "/metrics/0/event"),
        ({"key": "m", "type": "mean", "event": "e", "source": "nowhere"}, "/metrics/0/source"),
        ({"key": "m", "type": "mean"}, "/metrics/0/event"),
    ],
)
def test_a_metric_that_is_not_there_is_refused(
    client: TestClient, payload: Any, named: dict[str, Any], pointer: str
) -> None:
    make(client)
    refused = register(client, payload, "page", named)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == pointer
    assert client.get("/v1/flags/page").status_code == 404, "nothing was made"


def test_a_metric_in_use_is_archived_only_when_that_is_said(client: TestClient, payload: Any) -> None:
    make(client)
    register(client, payload, "page", {"metric": "revenue"})
    refused = client.post(f"{URL}/archive")
    assert refused.status_code == 409
    assert refused.json()["type"] == "urn:equipoise:problem:in-use"
    assert refused.json()["used_by"] == ["page"]
    archived = client.post(f"{URL}/archive?in_use=true")
    assert archived.status_code == 200
    assert archived.json()["archived_at"] is not None
    assert client.get("/v1/experiments/page").json()["metrics"][0]["version"] == 1
    assert register(client, payload, "next", {"metric": "revenue"}).status_code == 422
    assert change(client, name="x").status_code == 409
    assert client.post("/v1/metrics", json=REVENUE).status_code == 409
    assert client.post(f"{URL}/restore").json()["archived_at"] is None
    assert register(client, payload, "next", {"metric": "revenue"}).status_code == 201


def test_an_experiment_that_lets_go_of_a_metric_does_not_use_it(client: TestClient, payload: Any) -> None:
    make(client)
    etag = register(client, payload, "page", {"metric": "revenue"}).headers["ETag"]
    assert client.patch("/v1/experiments/page", json={"metrics": []}, headers={"If-Match": etag}).is_success
    assert client.get(URL).json()["used_by"] == []
    assert client.post(f"{URL}/archive").status_code == 200


def test_metrics_belong_to_a_project_and_need_their_scopes(service: Service) -> None:
    client = service.client
    writer, reader = service.key(Scope.WRITE), service.key(Scope.READ)
    assert client.post("/v1/metrics", json=REVENUE, headers=reader).status_code == 403
    assert client.post("/v1/metrics", json=REVENUE, headers=writer).status_code == 201
    assert client.get(URL, headers=reader).status_code == 200
    assert client.post(f"{URL}/archive", headers=reader).status_code == 403
    elsewhere = service.key(project="other")
    assert client.get(URL, headers=elsewhere).status_code == 404
    assert client.get("/v1/metrics", headers=elsewhere).json()["items"] == []
    assert client.get(f"{URL}/versions", headers=elsewhere).status_code == 404


def test_no_metric_has_the_path_of_previews(client: TestClient) -> None:
    answer = client.post("/v1/metrics", json={**REVENUE, "key": "preview"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/key")
    assert make(client, key="previews")["version"] == 1
