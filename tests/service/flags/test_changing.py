from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.service.flags.flags import make, patch, percent, rule, served, variants, where

from equipoise import evaluate

OTHERS = [{"key": "old", "value": "solr"}, {"key": "newer", "value": "x"}]


def test_two_editors_cannot_overwrite_each_other(client: TestClient) -> None:
    make(client)
    path = "/v1/flags/search-engine"
    seen = {"If-Match": client.get(path).headers["ETag"]}
    assert client.patch(path, json={"enabled": False}, headers=seen).status_code == 200
    assert client.patch(path, json={"name": "B"}, headers=seen).status_code == 412
    assert client.patch(path, json={"name": "B"}).status_code == 428
    assert client.get(path).json()["name"] == "Search engine"


def test_a_null_in_a_change_is_422(client: TestClient) -> None:
    make(client)
    assert patch(client, rules=None).status_code == 422


def test_the_type_of_a_value_cannot_change(client: TestClient) -> None:
    make(client)
    answer = patch(client, variants=[{"key": "old", "value": 1}, {"key": "new", "value": 2}])
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/variants/0/value"
    assert "string" in answer.json()["errors"][0]["message"]
    assert patch(client, type="integer").status_code == 422


def test_variants_values_and_default_change_in_every_environment(service: Any) -> None:
    service.client.headers.update(service.key())
    make(service.client)
    assert patch(service.client, variants=OTHERS, default="newer").status_code == 200
    service.client.headers.update(service.key(environment="staging"))
    assert evaluate(served(service.client), "search-engine", "u").value == "x"


@pytest.mark.parametrize(
    "rules",
    [
        [rule("a", {"variant": "new"})],
        [percent("a", new=100)],
        [percent("a", new=0)],
        [rule("a", {"variant": "new"}, where("a", 1))],
    ],
)
def test_a_variant_that_a_rule_names_cannot_be_taken_out_even_in_another_environment(
    service: Any, rules: list[dict[str, Any]]
) -> None:
    service.client.headers.update(service.key(environment="staging"))
    make(service.client, rules=rules)
    service.client.headers.update(service.key())
    answer = patch(service.client, variants=OTHERS)
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:equipoise:problem:in-use"
    assert answer.json()["used_by"] == ["the rule a in staging"]
    service.client.headers.update(service.key(environment="staging"))
    assert patch(service.client, variants=OTHERS, rules=[]).status_code == 200


def test_a_variant_that_a_rule_or_prerequisite_of_the_same_environment_names_is_in_use(
    client: TestClient,
) -> None:
    make(client, rules=[rule("a", {"variant": "new"})])
    make(client, key="base")
    make(client, key="top", prerequisites=[{"flag": "base", "variants": ["new"]}])
    for key, user in (
        ("search-engine", "the rule a in production"),
        ("base", "the prerequisites of top in production"),
    ):
        for more in ({}, {"enabled": True}):
            answer = patch(client, key, variants=OTHERS, **more)
            assert (answer.status_code, answer.json()["type"]) == (409, "urn:equipoise:problem:in-use")
            assert answer.json()["used_by"] == [user]


def test_the_default_must_stay_among_the_variants(client: TestClient) -> None:
    make(client)
    answer = patch(client, variants=[{"key": "new", "value": "vespa"}])
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/default"


def test_growing_a_share_only_adds_units_and_shrinking_it_only_takes_them(client: TestClient) -> None:
    make(client, rules=[percent("some", new=1000)])
    before = variants(served(client))
    salt = client.get("/v1/flags/search-engine").json()["rules"][0]["rollout"]["salt"]
    shown = patch(
        client, rules=[rule("staff", {"variant": "new"}, where("staff", True)), percent("some", new=5000)]
    )
    assert shown.json()["rules"][1]["rollout"]["salt"] == salt
    more = variants(served(client))
    assert {unit for unit in before if before[unit] == "new"} < {unit for unit in more if more[unit] == "new"}
    patch(client, rules=[percent("some", new=1000)])
    assert variants(served(client)) == before


def test_a_second_variant_takes_nobody_from_the_first(client: TestClient) -> None:
    three = [*[{"key": key, "value": key} for key in ("old", "new")], {"key": "third", "value": "t"}]
    make(client, variants=three, rules=[percent("some", new=2000)])
    before = variants(served(client))
    patch(client, rules=[percent("some", new=3000, third=7000)])
    after = variants(served(client))
    assert all(after[unit] == "new" for unit in before if before[unit] == "new")
    assert "old" not in after.values()


def test_what_was_read_can_be_sent_back(client: TestClient) -> None:
    rules = [
        rule("germans", {"variant": "new"}, where("country", "DE")),
        rule("none", {"variant": "old"}, {"all": []}),
        percent("some", new=0, old=10),
    ]
    shown = make(client, rules=rules)
    document = client.get("/v1/config").json()["flags"]
    again = patch(client, **{name: shown[name] for name in ("variants", "default", "rules", "prerequisites")})
    assert again.status_code == 200
    assert again.json()["rules"] == shown["rules"]
    assert client.get("/v1/config").json()["flags"] == document


def test_two_rules_with_one_salt_pick_the_same_units_first(client: TestClient) -> None:
    for key in ("one", "two"):
        make(client, key=key, rules=[percent("some", salt="0123456789abcdef", new=1000)])
    configuration = served(client)
    assert variants(configuration, "one") == variants(configuration, "two")
    assert patch(client, "one", rules=[percent("some", salt="fedcba9876543210", new=1000)]).status_code == 200
    configuration = served(client)
    assert variants(configuration, "one") != variants(configuration, "two")


def test_a_rollout_by_another_unit_type_takes_its_id_from_the_attributes(client: TestClient) -> None:
    by_account = {"rollout": {"unit_type": "account", "shares": [{"variant": "new", "share": 10_000}]}}
    shown = make(client, rules=[rule("accounts", by_account)])
    assert shown["rules"][0]["rollout"]["unit_type"] == "account"
    configuration = served(client)
    with_account = evaluate(configuration, "search-engine", "u", attributes={"account": "a-1"})
    assert (with_account.variant, with_account.reason) == ("new", "SPLIT")
    assert evaluate(configuration, "search-engine", "u").variant == "old"


def test_an_archived_flag_leaves_the_configuration_and_cannot_change(client: TestClient) -> None:
    make(client)
    archived = client.post("/v1/flags/search-engine/archive")
    assert archived.status_code == 200
    assert archived.json()["archived_at"] is not None
    assert served(client).flags == {}
    for answer in (patch(client, name="x"), client.post("/v1/flags/search-engine/archive")):
        assert answer.status_code == 409
        assert answer.json()["type"] == "urn:equipoise:problem:frozen-field"
    assert client.get("/v1/flags/search-engine").status_code == 200
