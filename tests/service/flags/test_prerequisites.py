from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlmodel import select
from tests.service.flags.flags import make, patch, served
from tests.service.shipping import ship

from equipoise import evaluate
from equipoise_service.experiments.models import Run

EVERYBODY = [{"key": "all", "variant": "new"}]


def needs(*pairs: tuple[str, str]) -> list[dict[str, Any]]:
    return [{"flag": flag, "variants": [variant]} for flag, variant in pairs]


def test_a_flag_serves_its_default_until_its_prerequisite_gives_the_variant(client: TestClient) -> None:
    make(client, key="base")
    make(client, key="top", rules=EVERYBODY, prerequisites=needs(("base", "new")))
    got = evaluate(served(client), "top", "u")
    assert (got.variant, got.reason) == ("old", "DEFAULT")
    patch(client, "base", rules=EVERYBODY)
    assert evaluate(served(client), "top", "u").variant == "new"


def test_a_cycle_is_refused_and_named(client: TestClient) -> None:
    for key in ("a", "b", "c"):
        make(client, key=key)
    assert patch(client, "a", prerequisites=needs(("b", "new"))).status_code == 200
    assert patch(client, "b", prerequisites=needs(("c", "new"))).status_code == 200
    answer = patch(client, "c", prerequisites=needs(("a", "new")))
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["pointer"] == "/prerequisites"
    assert "a → b → c → a" in error["message"]
    itself = patch(client, "c", prerequisites=needs(("c", "new")))
    assert itself.status_code == 422
    assert "c → c" in itself.json()["errors"][0]["message"]
    assert served(client).flags["c"].prerequisites == ()


def test_a_cycle_over_environments_is_none(service: Any) -> None:
    service.client.headers.update(service.key())
    for key in ("a", "b"):
        make(service.client, key=key)
    assert patch(service.client, "a", prerequisites=needs(("b", "new"))).status_code == 200
    service.client.headers.update(service.key(environment="staging"))
    assert patch(service.client, "b", prerequisites=needs(("a", "new"))).status_code == 200


@pytest.mark.parametrize("upwards", [False, True])
def test_a_chain_has_ten_links_at_most_wherever_it_grows(client: TestClient, upwards: bool) -> None:
    for n in range(12):
        make(client, key=f"flag-{n}")
    links = [(f"flag-{n}", f"flag-{n + 1}") for n in range(11)]
    answers = [
        patch(client, flag, prerequisites=needs((needed, "new"))).status_code
        for flag, needed in (links if upwards else reversed(links))
    ]
    assert answers == [200] * 10 + [422]
    assert client.get("/v1/config").status_code == 200


@pytest.mark.parametrize(
    ("prerequisites", "pointer"),
    [
        (needs(("base", "new"), ("gone", "new")), "/prerequisites/1/flag"),
        (needs(("base", "newest")), "/prerequisites/0/variants/0"),
        ([{"flag": "base", "variants": []}], "/prerequisites/0/variants"),
        (needs(("devices", "new")), "/prerequisites/0/flag"),
        (needs(("archived", "new")), "/prerequisites/0/flag"),
    ],
)
def test_a_wrong_prerequisite_is_422(
    client: TestClient, prerequisites: list[dict[str, Any]], pointer: str
) -> None:
    make(client, key="base")
    make(client, key="devices", unit_type="device")
    make(client, key="archived")
    client.post("/v1/flags/archived/archive")
    make(client, key="top")
    answer = patch(client, "top", prerequisites=prerequisites)
    assert answer.status_code == 422
    assert pointer in {each["pointer"] for each in answer.json()["errors"]}


def test_a_prerequisite_can_neither_be_archived_nor_lose_the_variant(service: Any) -> None:
    client = service.client
    client.headers.update(service.key(environment="staging"))
    make(client, key="base")
    make(client, key="top", prerequisites=needs(("base", "new")))
    client.headers.update(service.key())
    for answer in (
        client.post("/v1/flags/base/archive"),
        patch(client, "base", variants=[{"key": "old", "value": "solr"}]),
    ):
        assert answer.status_code == 409
        assert answer.json()["type"] == "urn:equipoise:problem:in-use"
        assert answer.json()["used_by"] == ["the prerequisites of top in staging"]
    assert client.post("/v1/flags/top/archive").status_code == 200
    assert client.post("/v1/flags/base/archive").status_code == 200


def test_a_flag_with_a_live_experiment_cannot_be_archived(service: Any, payload: Any) -> None:
    client = service.client
    client.headers.update(service.key())
    client.post("/v1/experiments", json=payload())
    for move, status in (("start", 409), ("pause", 409), ("stop", 200)):
        client.post(f"/v1/experiments/new-landing-page/{move}")
        answer = client.post("/v1/flags/new-landing-page/archive")
        assert answer.status_code == status, move
        if status == 409:
            assert answer.json()["used_by"] == ["the experiment new-landing-page in production"]
    configuration = served(client)
    assert configuration.experiments["new-landing-page"].status == "stopped"
    assert evaluate(configuration, "new-landing-page", "u").reason == "DISABLED"


def test_a_flag_made_by_an_experiment_stays_while_another_flag_needs_it(service: Any, payload: Any) -> None:
    client = service.client
    client.headers.update(service.key())
    client.post("/v1/experiments", json=payload("base"))
    make(client, key="top", rules=EVERYBODY, prerequisites=needs(("base", "control")))
    for move in ("start", "stop", "archive"):
        answer = client.post(f"/v1/experiments/base/{move}")
        assert answer.status_code == 200, answer.text
    with service.client.app.state.database.write() as session:
        (run,) = session.exec(select(Run)).all()
        run.archived_at -= timedelta(days=31)
        session.add(run)
    configuration = served(client)
    assert "base" not in configuration.experiments
    assert evaluate(configuration, "base", "u").value == "old"
    assert evaluate(configuration, "top", "u").variant == "new"
    assert patch(client, "top", prerequisites=[]).status_code == 200
    assert set(served(client).flags) == {"top"}


def test_a_draft_that_is_put_away_leaves_its_flag_to_those_who_need_it(
    client: TestClient, payload: Any
) -> None:
    client.post("/v1/experiments", json=payload("base"))
    make(client, key="top", prerequisites=needs(("base", "control")))
    assert client.post("/v1/experiments/base/archive").status_code == 200
    assert set(served(client).flags) == {"base", "top"}


def test_a_shipped_flag_may_lose_its_last_rule_while_another_needs_it(
    client: TestClient, payload: Any
) -> None:
    client.post("/v1/experiments", json=payload("base"))
    client.post("/v1/experiments/base/start")
    assert ship(client, "base", "treatment").json()["status"] == "shipped"
    make(client, key="top", prerequisites=needs(("base", "treatment")))
    assert patch(client, "base", rules=[]).status_code == 200
    assert evaluate(served(client), "base", "u").variant == "control"


def test_a_flag_without_any_rule_left_may_become_a_prerequisite(client: TestClient, payload: Any) -> None:
    client.post("/v1/experiments", json=payload("base"))
    client.post("/v1/experiments/base/archive")
    assert set(served(client).flags) == set()
    make(client, key="top", prerequisites=needs(("base", "control")))
    assert set(served(client).flags) == {"base", "top"}
