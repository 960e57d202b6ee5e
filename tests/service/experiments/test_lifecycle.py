import itertools
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from tests.service.shipping import ship

from equipoise_service.errors import Conflict
from equipoise_service.experiments.lifecycle import MOVES, Move, Status, allowed_moves, status_after

LEGAL = {
    ("draft", "start"): "running",
    ("draft", "archive"): "archived",
    ("running", "pause"): "paused",
    ("running", "stop"): "stopped",
    ("paused", "resume"): "running",
    ("paused", "stop"): "stopped",
    ("running", "ship"): "shipped",
    ("paused", "ship"): "shipped",
    ("stopped", "start"): "running",
    ("stopped", "ship"): "shipped",
    ("stopped", "archive"): "archived",
    ("holding-back", "end-holdback"): "shipped",
    ("holding-back", "archive"): "archived",
    ("shipped", "archive"): "archived",
}
ROUTES = {
    "draft": [],
    "running": ["start"],
    "paused": ["start", "pause"],
    "stopped": ["start", "stop"],
    "holding-back": ["start", "hold back"],
    "shipped": ["start", "ship"],
    "archived": ["archive"],
}


def do(client: TestClient, *moves: str) -> Any:
    answer = None
    for move in moves:
        answer = post(client, move)
        assert answer.status_code == 200, answer.text
    return answer


def post(client: TestClient, move: str) -> Any:
    if move == "ship":
        return ship(client, "new-landing-page", "treatment")
    if move == "hold back":
        return ship(client, "new-landing-page", "treatment", holdback=500)
    return client.post(f"/v1/experiments/new-landing-page/{move}")


@pytest.mark.parametrize(("status", "move"), list(itertools.product(ROUTES, Move)))
def test_every_move_from_every_status(client: TestClient, payload: Any, status: str, move: Move) -> None:
    client.post("/v1/experiments", json=payload())
    do(client, *ROUTES[status])
    before = client.get("/v1/experiments/new-landing-page").json()
    assert before["status"] == status
    answer = post(client, move)
    if (status, move) in LEGAL:
        assert answer.status_code == 200
        assert answer.json()["status"] == LEGAL[status, move]
    else:
        assert answer.status_code == 409
        problem = answer.json()
        assert problem["type"] == "urn:equipoise:problem:illegal-transition"
        assert sorted(problem["allowed"]) == sorted(m for (s, m) in LEGAL if s == status)
        assert all(allowed in problem["detail"] for allowed in problem["allowed"])
        assert client.get("/v1/experiments/new-landing-page").json() == before


@given(st.lists(st.sampled_from(Move), max_size=30))
def test_a_walk_follows_the_allowed_moves_and_archived_is_the_end(moves: list[Move]) -> None:
    status = Status.DRAFT
    for move in moves:
        if move in allowed_moves(status):
            status = status_after(move, status)
        else:
            with pytest.raises(Conflict):
                status_after(move, status)
    assert (status is Status.ARCHIVED) == (not allowed_moves(status))
    assert all(status in Status for paths in MOVES.values() for status in paths.values())


def test_a_start_begins_a_revision_and_a_pause_keeps_it(client: TestClient, payload: Any) -> None:
    client.post("/v1/experiments", json=payload())
    started = do(client, "start").json()
    assert started["revision"] == 1
    assert started["started_at"] is not None
    allocation = published(client)
    assert do(client, "pause", "resume").json()["revision"] == 1
    assert published(client) == allocation
    stopped = do(client, "stop").json()
    assert stopped["stopped_at"] is not None
    again = do(client, "start").json()
    assert (again["revision"], again["stopped_at"]) == (2, None)
    assert published(client)["salt"] != allocation["salt"]
    assert published(client)["layer_salt"] == allocation["layer_salt"]


def published(client: TestClient) -> dict[str, Any]:
    document = client.get("/v1/config").json()
    experiment: dict[str, Any] = document["experiments"]["new-landing-page"]
    return {name: experiment[name] for name in ("revision", "salt", "slots", "ranges", "layer_salt")}


def change(client: TestClient, **changes: Any) -> Any:
    etag = client.get("/v1/experiments/new-landing-page").headers["ETag"]
    return client.patch("/v1/experiments/new-landing-page", json=changes, headers={"If-Match": etag})


def test_a_ramp_changes_the_slots_and_nothing_else(client: TestClient, payload: Any) -> None:
    client.post("/v1/experiments", json=payload(traffic=1000))
    do(client, "start")
    before = published(client)
    assert before["slots"] == [[0, 1000]]
    assert change(client, traffic=5000).json()["revision"] == 1
    assert published(client) == {**before, "slots": [[0, 5000]]}
    change(client, traffic=1000)
    assert published(client) == before


def test_other_weights_begin_a_new_revision_and_the_same_ones_do_not(
    client: TestClient, payload: Any
) -> None:
    client.post("/v1/experiments", json=payload())
    do(client, "start")
    before = published(client)
    assert change(client, variants=payload()["variants"]).json()["revision"] == 1
    assert published(client) == before
    variants = payload()["variants"]
    variants[0]["weight"], variants[1]["weight"] = 9000, 1000
    assert change(client, variants=variants).json()["revision"] == 2
    after = published(client)
    assert after["ranges"] == [["control", 0, 9000], ["treatment", 9000, 10_000]]
    assert after["salt"] != before["salt"]


def test_a_variant_taken_out_is_no_longer_assigned_but_still_known(client: TestClient, payload: Any) -> None:
    three = [{"key": "a", "control": True}, {"key": "b"}, {"key": "c"}]
    client.post("/v1/experiments", json=payload(variants=three))
    do(client, "start")
    assert change(client, variants=three[:2]).status_code == 200
    experiment = client.get("/v1/config").json()["experiments"]["new-landing-page"]
    assert {name for name, _, _ in experiment["ranges"]} == {"a", "b"}
    assert set(experiment["variants"]) == {"a", "b", "c"}
    do(client, "stop")
    assert client.get("/v1/config").status_code == 200


def test_what_may_not_change_after_the_start(client: TestClient, payload: Any) -> None:
    client.post("/v1/experiments", json=payload())
    assert change(client, unit_type="device").json()["unit_type"] == "device"
    do(client, "start")
    numbers = [{"key": "a", "value": 1, "control": True}, {"key": "b", "value": 2}]
    for changes in ({"unit_type": "user"}, {"variants": numbers}):
        refused = change(client, **changes)
        assert refused.status_code == 409
        assert refused.json()["type"] == "urn:equipoise:problem:frozen-field"
    do(client, "stop", "archive")
    assert change(client, name="other").status_code == 409


def test_an_archived_experiment_leaves_the_configuration(client: TestClient, payload: Any) -> None:
    client.post("/v1/experiments", json=payload())
    do(client, "archive")
    document = client.get("/v1/config").json()
    assert (document["flags"], document["experiments"]) == ({}, {})


def test_two_editors_cannot_overwrite_each_other(client: TestClient, payload: Any) -> None:
    client.post("/v1/experiments", json=payload())
    path = "/v1/experiments/new-landing-page"
    seen = {"If-Match": client.get(path).headers["ETag"]}
    first = client.patch(path, json={"name": "First"}, headers=seen)
    assert first.status_code == 200
    second = client.patch(path, json={"hypothesis": "Second"}, headers=seen)
    assert second.status_code == 412
    assert first.headers["ETag"] in second.json()["detail"]
    assert client.get(path).json()["hypothesis"] == payload()["hypothesis"]
    without = client.patch(path, json={"name": "Third"})
    assert without.status_code == 428
    stale_start = client.post(f"{path}/start", headers=seen)
    assert stale_start.status_code == 412
    assert client.get(path).json()["status"] == "draft"


def test_a_null_in_a_change_is_422(client: TestClient, payload: Any) -> None:
    client.post("/v1/experiments", json=payload())
    assert change(client, name=None).status_code == 422


def test_each_environment_has_a_status_of_its_own(service: Any, payload: Any) -> None:
    production, staging = service.key(), service.key(environment="staging")
    service.client.post("/v1/experiments", json=payload(), headers=production)
    path = "/v1/experiments/new-landing-page"
    assert service.client.post(f"{path}/start", headers=staging).json()["status"] == "running"
    assert service.client.get(path, headers=production).json()["status"] == "draft"
    assert service.client.post(f"{path}/start", headers=production).json()["revision"] == 1
    documents = [
        service.client.get("/v1/config", headers=headers).json()["experiments"]["new-landing-page"]
        for headers in (production, staging)
    ]
    assert documents[0]["salt"] != documents[1]["salt"]


def test_what_is_archived_anywhere_stays_as_it_was(service: Any, payload: Any) -> None:
    production, staging = service.key(), service.key(environment="staging")
    client, path = service.client, "/v1/experiments/new-landing-page"
    client.post("/v1/experiments", json=payload(), headers=production)
    for move in ("start", "stop", "archive"):
        assert client.post(f"{path}/{move}", headers=staging).status_code == 200
    assert client.post(f"{path}/start", headers=production).status_code == 200
    before = client.get(path, headers=production)

    def patched(key: dict[str, str], **changes: Any) -> Any:
        etag = client.get(path, headers=key).headers["ETag"]
        return client.patch(path, json=changes, headers=key | {"If-Match": etag})

    others = {"name": "Other", "hypothesis": "Other", "audience": None, "holdouts": [], "sticky": True,
              "metrics": [], "variants": payload()["variants"]}  # fmt: skip
    for name, value in others.items():
        refused = patched(production, **{name: value}, traffic=100)
        assert (refused.status_code, refused.json()["type"]) == (409, "urn:equipoise:problem:frozen-field")
        assert "staging" in refused.json()["detail"]
    assert client.get(path, headers=production).headers["ETag"] == before.headers["ETag"]
    # A ramp where it runs is not held up by what was put away elsewhere.
    assert patched(production, traffic=500, overrides={"u": "control"}).status_code == 200
    assert patched(staging, traffic=500).status_code == 409


def test_a_draft_on_an_archived_flag_keeps_its_variants(client: TestClient, payload: Any) -> None:
    client.post("/v1/experiments", json=payload())
    assert client.post("/v1/flags/new-landing-page/archive").status_code == 200
    refused = change(client, variants=[*payload()["variants"][:1], {"key": "third", "weight": 5000}])
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:equipoise:problem:frozen-field")
    assert "new-landing-page was archived" in refused.json()["detail"]
    values = [each["key"] for each in client.get("/v1/flags/new-landing-page").json()["variants"]]
    assert values == ["control", "treatment"]
