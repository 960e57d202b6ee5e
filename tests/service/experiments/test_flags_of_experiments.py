"""Experiments on existing flags, shipping, and what is left of experiments that ended."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlmodel import select
from tests.service.shipping import ship

from equipoise import evaluate
from equipoise.configuration import Configuration, load
from equipoise_service.experiments import publication
from equipoise_service.flags.models import Flag

UNITS = [f"unit-{index}" for index in range(500)]
GERMANS = {"attribute": "country", "operator": "equals", "value": "DE"}


@pytest.fixture
def flag(client: TestClient) -> TestClient:
    body = {
        "key": "colour",
        "name": "Colour",
        "type": "string",
        "variants": [
            {"key": "red", "value": "#f00"},
            {"key": "green", "value": "#0f0"},
            {"key": "blue", "value": "#00f"},
        ],
        "default": "red",
    }
    answer = client.post("/v1/flags", json=body)
    assert answer.status_code == 201, answer.text
    return client


def on_flag(payload: Any, key: str, *variants: str, **more: Any) -> dict[str, Any]:
    arms = [{"key": variant, "control": index == 0} for index, variant in enumerate(variants)]
    body: dict[str, Any] = payload(key, flag="colour", variants=arms, **more)
    return body


def attach(client: TestClient, payload: Any, key: str, *variants: str, **more: Any) -> dict[str, Any]:
    answer = client.post("/v1/experiments", json=on_flag(payload, key, *variants, **more))
    assert answer.status_code == 201, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def do(client: TestClient, key: str, *moves: str) -> Any:
    for move in moves:
        answer = client.post(f"/v1/experiments/{key}/{move}")
        assert answer.status_code == 200, answer.text
    return answer


def configuration(client: TestClient) -> Configuration:
    return load(client.get("/v1/config").content)


def change(client: TestClient, key: str, **changes: Any) -> Any:
    path = f"/v1/experiments/{key}"
    return client.patch(path, json=changes, headers={"If-Match": client.get(path).headers["ETag"]})


def exposure(experiment: str, variant: str, **more: Any) -> dict[str, Any]:
    time = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
    return {
        "id": str(uuid.uuid4()),
        "time": time,
        "unit": "u",
        "experiment": experiment,
        "variant": variant,
    } | more


def accepted(client: TestClient, *exposures: dict[str, Any]) -> int:
    answer = client.post("/v1/events", json={"exposures": exposures, "events": []})
    return int(answer.json()["accepted"])


def test_an_attached_experiment_takes_variants_and_values_of_the_flag(flag: TestClient, payload: Any) -> None:
    shown = attach(flag, payload, "green-or-blue", "green", "blue")
    assert shown["flag"] == "colour"
    assert [(each["key"], each["value"], each["control"]) for each in shown["variants"]] == [
        ("green", "#0f0", True),
        ("blue", "#00f", False),
    ]
    do(flag, "green-or-blue", "start")
    served = configuration(flag)
    assert served.flags["colour"].default == "red"
    assert served.experiments["green-or-blue"].control == "green"
    values = {evaluate(served, "colour", unit).value for unit in UNITS}
    assert values == {"#0f0", "#00f"}


def test_several_experiments_on_one_flag_are_asked_in_order(flag: TestClient, payload: Any) -> None:
    attach(flag, payload, "first", "red", "green", traffic=5000)
    attach(flag, payload, "second", "red", "blue")
    do(flag, "first", "start")
    do(flag, "second", "start")
    served = configuration(flag)
    found = [evaluate(served, "colour", unit).experiment for unit in UNITS]
    assert set(found) == {"first", "second"}
    do(flag, "first", "stop")
    served = configuration(flag)
    assert {evaluate(served, "colour", unit).experiment for unit in UNITS} == {"second"}


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"flag": "none"}, "/flag"),
        ({"variants": [{"key": "red", "control": True}, {"key": "pink"}]}, "/variants/1/key"),
        (
            {"variants": [{"key": "red", "control": True}, {"key": "green", "value": "#fff"}]},
            "/variants/1/value",
        ),
        ({"variants": [{"key": "red", "control": True}, {"key": "green", "value": 1}]}, "/variants/1/value"),
    ],
)
def test_what_the_flag_does_not_have_is_422(
    flag: TestClient, payload: Any, changes: dict[str, Any], pointer: str
) -> None:
    body = {**on_flag(payload, "e", "red", "green"), **changes}
    answer = flag.post("/v1/experiments", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert flag.get("/v1/layers").json()["items"] == []


def test_an_attached_experiment_does_not_change_the_flag(flag: TestClient, payload: Any) -> None:
    attach(flag, payload, "e", "red", "green")
    do(flag, "e", "start")
    before = flag.get("/v1/flags/colour").json()["variants"]
    arms = [{"key": "red", "control": True, "value": "#f00"}, {"key": "blue"}]
    assert change(flag, "e", variants=arms).json()["revision"] == 2
    assert flag.get("/v1/flags/colour").json()["variants"] == before
    assert set(configuration(flag).experiments["e"].variants) == {"red", "green", "blue"}
    refused = change(flag, "e", variants=[{"key": "red", "control": True}, {"key": "new"}])
    assert refused.json()["errors"][0]["pointer"] == "/variants/1/key"
    assert accepted(flag, exposure("e", "green"), exposure("e", "green", revision=1)) == 2


def test_a_flag_made_with_an_experiment_is_the_flags_once_another_is_attached(
    client: TestClient, payload: Any
) -> None:
    client.post("/v1/experiments", json=payload("maker"))
    other = payload(
        "other", flag="maker", variants=[{"key": "control", "control": True}, {"key": "treatment"}]
    )
    assert client.post("/v1/experiments", json=other).status_code == 201
    variants = [{"key": "control", "value": "changed", "control": True}, {"key": "treatment"}]
    refused = change(client, "maker", variants=variants)
    assert refused.json()["errors"][0]["pointer"] == "/variants/0/value"


def test_shipping_makes_the_flag_serve_the_variant_to_everybody(flag: TestClient, payload: Any) -> None:
    attach(flag, payload, "e", "red", "green", traffic=100)
    do(flag, "e", "start")
    shipped = ship(flag, "e", "green")
    assert shipped.status_code == 200, shipped.text
    shown = shipped.json()
    assert (shown["status"], shown["shipped"], shown["allowed"]) == ("shipped", "green", ["archive"])
    assert shown["stopped_at"] is not None
    served = configuration(flag)
    found = [evaluate(served, "colour", unit) for unit in UNITS]
    assert {(each.value, each.reason, each.experiment) for each in found} == {("#0f0", "STATIC", None)}
    assert served.experiments["e"].status == "stopped"
    do(flag, "e", "archive")
    assert evaluate(configuration(flag), "colour", "u").value == "#0f0"
    assert flag.get("/v1/experiments/e").json()["shipped"] == "green"


def test_shipping_keeps_the_audience_and_the_place_among_the_rules(flag: TestClient, payload: Any) -> None:
    attach(flag, payload, "first", "red", "green", audience=GERMANS)
    attach(flag, payload, "second", "red", "blue")
    do(flag, "first", "start")
    do(flag, "second", "start")
    assert ship(flag, "first", "green").status_code == 200
    served = configuration(flag)
    german = evaluate(served, "colour", "u", attributes={"country": "DE"})
    assert (german.value, german.reason) == ("#0f0", "TARGETING_MATCH")
    assert evaluate(served, "colour", "u").experiment == "second"


def test_a_flag_made_with_an_experiment_ships_too(client: TestClient, payload: Any) -> None:
    client.post("/v1/experiments", json=payload())
    do(client, "new-landing-page", "start", "stop")
    assert ship(client, "new-landing-page", "treatment").status_code == 200
    found = evaluate(configuration(client), "new-landing-page", "u")
    assert (found.value, found.reason) == ("new", "STATIC")
    do(client, "new-landing-page", "archive")
    assert evaluate(configuration(client), "new-landing-page", "u").value == "new"


def test_shipping_happens_in_one_environment(service: Any, payload: Any) -> None:
    production, staging = service.key(), service.key(environment="staging")
    service.client.post("/v1/experiments", json=payload(), headers=production)
    path = "/v1/experiments/new-landing-page"
    for headers in (production, staging):
        service.client.post(f"{path}/start", headers=headers)
    shipped = ship(service.client, "new-landing-page", "treatment", headers=staging, environment="staging")
    assert shipped.json()["status"] == "shipped"
    assert service.client.get(path, headers=production).json()["shipped"] is None
    served = load(service.client.get("/v1/config", headers=production).content)
    assert evaluate(served, "new-landing-page", "u").experiment == "new-landing-page"


def test_an_unknown_variant_is_not_shipped_and_a_stale_etag_is_412(client: TestClient, payload: Any) -> None:
    client.post("/v1/experiments", json=payload())
    path = "/v1/experiments/new-landing-page"
    stale = {"If-Match": client.get(path).headers["ETag"]}
    do(client, "new-landing-page", "start")
    refused = ship(client, "new-landing-page", "bold")
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/variant")
    assert client.post(f"{path}/ship", json={"variant": "treatment"}, headers=stale).status_code == 412
    assert client.get(path).json()["status"] == "running"


@pytest.mark.parametrize("ended", ["stop", "ship"])
def test_late_exposures_of_an_archived_experiment_are_taken_for_thirty_days(
    client: TestClient, payload: Any, monkeypatch: pytest.MonkeyPatch, ended: str
) -> None:
    client.post("/v1/experiments", json=payload())
    do(client, "new-landing-page", "start")
    if ended == "ship":
        assert ship(client, "new-landing-page", "treatment").status_code == 200
    else:
        do(client, "new-landing-page", "stop")
    do(client, "new-landing-page", "archive")
    assert configuration(client).experiments["new-landing-page"].status == "stopped"
    assert evaluate(configuration(client), "new-landing-page", "u").experiment is None
    assert accepted(client, exposure("new-landing-page", "treatment", revision=1)) == 1
    monkeypatch.setattr(publication, "ARCHIVED_FOR", timedelta(seconds=-1))
    client.post("/v1/layers", json={"key": "any", "name": "A write publishes"})
    assert "new-landing-page" not in configuration(client).experiments
    assert accepted(client, exposure("new-landing-page", "treatment", revision=1)) == 0


def test_an_archived_flag_takes_no_experiment_starts_none_and_ships_nothing(
    flag: TestClient, payload: Any
) -> None:
    attach(flag, payload, "draft", "red", "green")
    attach(flag, payload, "stopped", "red", "green")
    do(flag, "stopped", "start", "stop")
    assert flag.post("/v1/flags/colour/archive").status_code == 200
    for answer in (
        flag.post("/v1/experiments", json=on_flag(payload, "another", "red", "green")),
        flag.post("/v1/experiments/draft/start"),
        ship(flag, "stopped", "green"),
    ):
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:equipoise:problem:frozen-field")
        assert "archived" in answer.json()["detail"]
    assert flag.get("/v1/experiments/draft").json()["allowed"] == ["archive"]
    assert flag.get("/v1/experiments/stopped").json()["allowed"] == ["archive"]
    assert configuration(flag).experiments["stopped"].status == "stopped"
    assert not configuration(flag).flags["colour"].rules


@pytest.mark.parametrize("own", [False, True])
def test_late_exposures_of_an_archived_flags_experiments_are_taken_for_thirty_days(
    flag: TestClient, payload: Any, own: bool
) -> None:
    key = "maker" if own else "colour"
    if own:
        flag.post("/v1/experiments", json=payload("maker"))
        experiment, variant = "maker", "treatment"
    else:
        attach(flag, payload, "e", "red", "green")
        experiment, variant = "e", "green"
    do(flag, experiment, "start", "stop")
    assert flag.post(f"/v1/flags/{key}/archive").status_code == 200
    served = configuration(flag)
    assert served.experiments[experiment].status == "stopped"
    assert evaluate(served, key, "u").reason == "DISABLED"
    assert accepted(flag, exposure(experiment, variant, revision=1)) == 1
    do(flag, experiment, "archive")
    assert accepted(flag, exposure(experiment, variant, revision=1)) == 1
    with flag.app.state.database.write() as session:  # type: ignore[attr-defined]
        (row,) = session.exec(select(Flag).where(Flag.key == key)).all()
        row.archived_at -= timedelta(days=31)
        session.add(row)
    assert key not in configuration(flag).flags
    assert experiment not in configuration(flag).experiments
    assert accepted(flag, exposure(experiment, variant, revision=1)) == 0


def test_a_draft_keeps_the_variants_that_rules_and_prerequisites_name(flag: TestClient, payload: Any) -> None:
    flag.post("/v1/experiments", json=payload("maker"))
    needs = {"prerequisites": [{"flag": "maker", "variants": ["treatment"]}]}
    etag = {"If-Match": flag.get("/v1/flags/colour").headers["ETag"]}
    assert flag.patch("/v1/flags/colour", json=needs, headers=etag).status_code == 200
    variants = [{"key": "control", "control": True}, {"key": "other"}]
    refused = change(flag, "maker", variants=variants)
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:equipoise:problem:in-use")
    assert "prerequisites of colour" in refused.json()["detail"]
    refused = change(flag, "maker", unit_type="device", layer="maker")
    assert refused.status_code == 422, refused.text
    assert flag.get("/v1/experiments/maker").json()["unit_type"] == "user"


@pytest.mark.parametrize("archived", [False, True])
def test_a_shipped_flag_without_rules_serves_its_default(
    client: TestClient, payload: Any, archived: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "new-landing-page"
    assert client.post("/v1/experiments", json=payload()).status_code == 201
    do(client, key, "start")
    assert ship(client, key, "treatment").status_code == 200
    if archived:
        monkeypatch.setattr(publication, "ARCHIVED_FOR", timedelta(seconds=-1))
        do(client, key, "archive")
    path = f"/v1/flags/{key}"
    etag = client.get(path).headers["ETag"]
    assert client.patch(path, json={"rules": []}, headers={"If-Match": etag}).status_code == 200
    served = load(client.get("/v1/config").content)
    assert {evaluate(served, key, unit).value for unit in UNITS[:20]} == {"old"}
    # Late exposures are taken as long as the experiment is there.
    assert (key in served.experiments) is not archived
    asked = client.post(f"/ofrep/v1/evaluate/flags/{key}", json={"context": {"targetingKey": "u"}})
    assert (asked.status_code, asked.json()["value"]) == (200, "old")
