"""Layers over HTTP: experiments that share one exclude each other."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.service.shipping import ship

from equipoise import evaluate
from equipoise.bucketing import bucket
from equipoise.configuration import load

UNITS = [f"unit-{index}" for index in range(1000)]


@pytest.fixture
def shared(client: TestClient) -> TestClient:
    assert client.post("/v1/layers", json={"key": "checkout", "name": "Checkout"}).status_code == 201
    return client


def register(client: TestClient, payload: Any, key: str, traffic: int, **more: Any) -> None:
    body = payload(key, layer="checkout", traffic=traffic, **more)
    answer = client.post("/v1/experiments", json=body)
    assert answer.status_code == 201, answer.text
    assert answer.json()["layer"] == "checkout"


def do(client: TestClient, key: str, move: str) -> Any:
    return client.post(f"/v1/experiments/{key}/{move}")


def ramp(client: TestClient, key: str, traffic: int) -> Any:
    path = f"/v1/experiments/{key}"
    etag = client.get(path).headers["ETag"]
    return client.patch(path, json={"traffic": traffic}, headers={"If-Match": etag})


def slots(client: TestClient, key: str) -> set[int]:
    document = client.get("/v1/config").json()
    return {slot for low, high in document["experiments"][key]["slots"] for slot in range(low, high)}


def arms(client: TestClient, key: str) -> dict[str, str | None]:
    configuration = load(client.get("/v1/config").content)
    found = {unit: evaluate(configuration, key, unit) for unit in UNITS}
    return {unit: each.variant for unit, each in found.items() if each.experiment == key}


def test_a_layer_is_made_read_changed_and_deleted(client: TestClient) -> None:
    made = client.post("/v1/layers", json={"key": "checkout", "name": "Checkout"})
    assert made.status_code == 201
    assert made.headers["Location"] == "/v1/layers/checkout"
    shown = made.json()
    assert (shown["free"], shown["holders"], shown["environment"]) == (10_000, [], "production")
    assert client.get("/v1/layers/checkout").json() == shown
    assert client.get("/v1/layers").json()["items"] == [shown]
    patched = client.patch(
        "/v1/layers/checkout", json={"name": "Cart"}, headers={"If-Match": made.headers["ETag"]}
    )
    assert (patched.json()["name"], patched.json()["salt"]) == ("Cart", shown["salt"])
    stale = {"If-Match": made.headers["ETag"]}
    assert client.patch("/v1/layers/checkout", json={"name": "x"}, headers=stale).status_code == 412
    assert client.patch("/v1/layers/checkout", json={"name": "x"}).status_code == 428
    assert client.delete("/v1/layers/checkout", headers=stale).status_code == 412
    assert client.delete("/v1/layers/checkout").status_code == 204
    assert client.get("/v1/layers/checkout").status_code == 404


def test_a_taken_key_is_409_for_a_layer_and_for_an_experiment_that_would_make_one(
    shared: TestClient, payload: Any
) -> None:
    again = shared.post("/v1/layers", json={"key": "checkout", "name": "x"})
    assert (again.status_code, again.json()["type"]) == (409, "urn:equipoise:problem:already-exists")
    alone = shared.post("/v1/experiments", json=payload("checkout"))
    assert (alone.status_code, alone.json()["type"]) == (409, "urn:equipoise:problem:already-exists")
    assert shared.post("/v1/experiments", json=payload("checkout", layer="checkout")).status_code == 201


def test_the_same_idempotency_key_makes_one_layer(client: TestClient) -> None:
    body, headers = {"key": "checkout", "name": "Checkout"}, {"Idempotency-Key": "1"}
    first = client.post("/v1/layers", json=body, headers=headers)
    again = client.post("/v1/layers", json=body, headers=headers)
    assert (again.status_code, again.json()) == (201, first.json())


def test_the_list_shows_own_layers_too_and_pages(shared: TestClient, payload: Any) -> None:
    shared.post("/v1/experiments", json=payload("alone"))
    do(shared, "alone", "start")
    first = shared.get("/v1/layers", params={"limit": 1}).json()
    second = shared.get("/v1/layers", params={"limit": 1, "cursor": first["next_cursor"]}).json()
    assert [each["key"] for each in first["items"] + second["items"]] == ["checkout", "alone"]
    assert second["items"][0]["holders"] == [{"experiment": "alone", "slots": 10_000}]
    assert second["next_cursor"] is None


def test_a_layer_with_an_experiment_stays(shared: TestClient, payload: Any) -> None:
    register(shared, payload, "a", 1000)
    refused = shared.delete("/v1/layers/checkout")
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:equipoise:problem:in-use")
    assert refused.json()["used_by"] == ["a"]


def test_experiments_in_one_layer_exclude_each_other(shared: TestClient, payload: Any) -> None:
    for key, traffic in (("a", 3000), ("b", 3000), ("c", 4000)):
        register(shared, payload, key, traffic)
        assert do(shared, key, "start").status_code == 200
    configuration = load(shared.get("/v1/config").content)
    assert len({configuration.experiments[key].layer_salt for key in "abc"}) == 1
    for unit in UNITS:
        placed = [key for key in "abc" if evaluate(configuration, key, unit).experiment == key]
        assert len(placed) == 1
    assert shared.get("/v1/layers/checkout").json()["free"] == 0


def test_too_few_free_slots_is_409_and_says_how_many_and_who_holds_them(
    shared: TestClient, payload: Any
) -> None:
    for key, traffic in (("a", 6000), ("b", 3000), ("c", 2000)):
        register(shared, payload, key, traffic)
    do(shared, "a", "start")
    do(shared, "b", "start")
    before = shared.get("/v1/config").content
    refused = do(shared, "c", "start")
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:equipoise:problem:no-free-slots")
    assert refused.json()["free"] == 1000
    assert refused.json()["needed"] == 2000
    assert refused.json()["holders"] == [
        {"experiment": "a", "slots": 6000},
        {"experiment": "b", "slots": 3000},
    ]
    assert "a (6,000), b (3,000)" in refused.json()["detail"]
    assert shared.get("/v1/experiments/c").json()["status"] == "draft"
    assert shared.get("/v1/config").content == before
    assert ramp(shared, "b", 4001).status_code == 409
    assert ramp(shared, "b", 4000).status_code == 200


@pytest.mark.parametrize("end", ["stop", "ship"])
def test_an_end_frees_the_slots_and_a_pause_keeps_them(shared: TestClient, payload: Any, end: str) -> None:
    register(shared, payload, "a", 8000)
    register(shared, payload, "b", 8000)
    do(shared, "a", "start")
    do(shared, "a", "pause")
    assert do(shared, "b", "start").status_code == 409
    ended = ship(shared, "a", "treatment") if end == "ship" else shared.post("/v1/experiments/a/stop")
    assert ended.status_code == 200
    assert do(shared, "b", "start").status_code == 200
    holders = shared.get("/v1/layers/checkout").json()["holders"]
    assert holders == [{"experiment": "b", "slots": 8000}]


def test_a_ramp_moves_nobody_between_arms_up_down_and_up_again(shared: TestClient, payload: Any) -> None:
    register(shared, payload, "other", 2000)
    register(shared, payload, "a", 1000)
    do(shared, "other", "start")
    do(shared, "a", "start")
    small = arms(shared, "a")
    assert ramp(shared, "a", 5000).json()["revision"] == 1
    large = arms(shared, "a")
    assert small.items() < large.items()
    ramp(shared, "a", 1000)
    assert arms(shared, "a") == small
    ramp(shared, "a", 5000)
    assert arms(shared, "a") == large


def test_a_ramp_up_takes_first_what_is_still_free_of_what_it_held(shared: TestClient, payload: Any) -> None:
    register(shared, payload, "a", 5000)
    register(shared, payload, "b", 1000)
    do(shared, "a", "start")
    once = slots(shared, "a")
    ramp(shared, "a", 1000)
    do(shared, "b", "start")
    ramp(shared, "a", 4000)
    assert slots(shared, "a") == once - slots(shared, "b")
    ramp(shared, "a", 5000)
    assert slots(shared, "a") > once - slots(shared, "b")
    assert not slots(shared, "a") & slots(shared, "b")


def test_other_weights_keep_the_slots(shared: TestClient, payload: Any) -> None:
    register(shared, payload, "first", 2000)
    register(shared, payload, "a", 1000)
    do(shared, "first", "start")
    do(shared, "a", "start")
    do(shared, "first", "stop")
    held = slots(shared, "a")
    variants = payload()["variants"]
    variants[0]["weight"], variants[1]["weight"] = 1000, 9000
    path = "/v1/experiments/a"
    etag = {"If-Match": shared.get(path).headers["ETag"]}
    changed = shared.patch(path, json={"variants": variants, "traffic": 1500}, headers=etag)
    assert changed.json()["revision"] == 2
    assert slots(shared, "a") > held
    assert len(slots(shared, "a")) == 1500


def test_each_environment_has_slots_of_its_own(service: Any, payload: Any) -> None:
    production, staging = service.key(), service.key(environment="staging")
    client = service.client
    client.post("/v1/layers", json={"key": "checkout", "name": "Checkout"}, headers=production)
    for key in ("a", "b"):
        body = payload(key, layer="checkout", traffic=10_000)
        client.post("/v1/experiments", json=body, headers=production)
    assert client.post("/v1/experiments/a/start", headers=production).status_code == 200
    assert client.post("/v1/experiments/b/start", headers=staging).status_code == 200
    assert client.post("/v1/experiments/b/start", headers=production).status_code == 409
    shown = client.get("/v1/layers/checkout", headers=staging).json()
    assert shown["holders"] == [{"experiment": "b", "slots": 10_000}]
    path = "/v1/experiments/b"
    etag = {**production, "If-Match": client.get(path, headers=production).headers["ETag"]}
    assert client.patch(path, json={"traffic": 500}, headers=etag).status_code == 200
    document = client.get("/v1/config", headers=staging).json()
    assert document["experiments"]["b"]["slots"] == [[0, 500]]


def test_only_one_unit_type_in_a_layer(shared: TestClient, payload: Any) -> None:
    register(shared, payload, "a", 1000)
    devices = payload("b", layer="checkout", unit_type="device")
    refused = shared.post("/v1/experiments", json=devices)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/layer"
    assert "holds a, which randomises 'user'" in refused.json()["detail"]
    register(shared, payload, "b", 1000)
    path = "/v1/experiments/b"
    etag = {"If-Match": shared.get(path).headers["ETag"]}
    assert shared.patch(path, json={"unit_type": "device"}, headers=etag).status_code == 422
    both = {"unit_type": "device", "layer": "b-alone"}
    shared.post("/v1/layers", json={"key": "b-alone", "name": "b"})
    assert shared.patch(path, json=both, headers=etag).json()["layer"] == "b-alone"


def test_the_layer_cannot_change_after_the_start_nor_be_one_that_is_not_there(
    shared: TestClient, payload: Any
) -> None:
    refused = shared.post("/v1/experiments", json=payload(layer="none"))
    assert refused.json()["errors"] == [{"pointer": "/layer", "message": "there is no layer none"}]
    shared.post("/v1/experiments", json=payload())
    do(shared, "new-landing-page", "start")
    path = "/v1/experiments/new-landing-page"
    etag = {"If-Match": shared.get(path).headers["ETag"]}
    frozen = shared.patch(path, json={"layer": "checkout"}, headers=etag)
    assert (frozen.status_code, frozen.json()["type"]) == (409, "urn:equipoise:problem:frozen-field")


steps = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.one_of(
            st.sampled_from(["start", "pause", "resume", "stop"]), st.sampled_from([0, 1, 1500, 4000, 9000])
        ),
    ),
    max_size=12,
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps)
def test_whatever_is_done_no_unit_is_in_two_experiments_and_nobody_changes_the_arm(
    shared: TestClient, payload: Any, steps: list[tuple[str, str | int]]
) -> None:
    run = len(shared.get("/v1/experiments", params={"limit": 500}).json()["items"])
    for key in "abc":
        register(shared, payload, f"{key}-{run}", 3000)
    seen: dict[tuple[str, int, str], str | None] = {}
    for letter, step in steps:
        key = f"{letter}-{run}"
        answer = do(shared, key, step) if isinstance(step, str) else ramp(shared, key, step)
        assert answer.status_code in (200, 409), answer.text
        configuration = load(shared.get("/v1/config").content)
        owners: set[int] = set()
        for experiment in configuration.experiments.values():
            if experiment.status not in ("running", "paused"):
                continue
            own = {slot for low, high in experiment.slots for slot in range(low, high)}
            assert not owners & own
            owners |= own
            for unit in UNITS[:50]:
                enrolled = bucket(experiment.layer_salt, unit) in own
                placed = evaluate(configuration, experiment.key, unit)
                if experiment.status == "running":
                    assert enrolled == (placed.experiment == experiment.key)
                if placed.experiment is not None:
                    known = seen.setdefault((experiment.key, experiment.revision or 0, unit), placed.variant)
                    assert known == placed.variant
    for key in "abc":
        if shared.get(f"/v1/experiments/{key}-{run}").json()["status"] in ("running", "paused"):
            assert do(shared, f"{key}-{run}", "stop").status_code == 200
