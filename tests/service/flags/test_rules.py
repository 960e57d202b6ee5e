import json
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.service.flags.flags import flag, make, patch, percent, rule, served, where
from tests.service.shipping import ship

from equipoise import evaluate


def nested(levels: int) -> dict[str, Any]:
    condition: dict[str, Any] = where("a", 1)
    for _ in range(levels - 1):
        condition = {"not": condition}
    return condition


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"key": "a"}, "/rules/1"),
        ({"variant": "new"}, "/rules/1/key"),
        ({"key": "a", "variant": "new", "experiment": "x"}, "/rules/1"),
        ({"key": "ok", "variant": "new"}, "/rules/1/key"),
        ({"key": "a", "variant": "newest"}, "/rules/1/variant"),
        ({"key": "a", "variant": 7}, "/rules/1/variant"),
        ({"key": "a", "variant": "new", "surprise": 1}, "/rules/1/surprise"),
        ({"key": "a", "experiment": "none"}, "/rules/1/experiment"),
        ({"key": "a", "progressive_rollout": "none"}, "/rules/1/progressive_rollout"),
        ({"key": "a", "experiment": "none", "audience": {"all": []}}, "/rules/1"),
        (percent("a", newest=100), "/rules/1/rollout/ranges/0"),
        (percent("a", new=10_001), "/rules/1/rollout/shares/0/share"),
        (percent("a", new=6_000, old=4_001), "/rules/1/rollout/shares"),
        (percent("a", salt="xyz", new=1), "/rules/1/rollout/salt"),
        ({"key": "a", "rollout": {"shares": []}}, "/rules/1/rollout/shares"),
        (
            {"key": "a", "rollout": {"shares": [{"variant": "new", "share": 1}] * 2}},
            "/rules/1/rollout/shares",
        ),
        (rule("a", {"variant": "new"}, {}), "/rules/1/audience"),
        (rule("a", {"variant": "new"}, {"all": [where("x", 1, "is")]}), "/rules/1/audience/all/0/operator"),
        (
            rule("a", {"variant": "new"}, {"any": [{"not": {"segment": "gone"}}]}),
            "/rules/1/audience/any/0/not/segment",
        ),
        (rule("a", {"variant": "new"}, where("x", "(", "matches")), "/rules/1/audience/value"),
        (rule("a", {"variant": "new"}, where("x", ["a"], "between")), "/rules/1/audience/value/0"),
        (rule("a", {"variant": "new"}, nested(11)), "/rules/1/audience"),
        (rule("a", {"variant": "new"}, {**where("x", 1), "valeu": 2}), "/rules/1/audience"),
        (rule("a", {"variant": "new"}, where("x" * 1001, 1)), "/rules/1/audience/attribute"),
    ],
)
def test_a_wrong_rule_is_422_and_names_the_place(
    client: TestClient, wrong: dict[str, Any], pointer: str
) -> None:
    right = {"key": "ok", "variant": "new"}
    answer = client.post("/v1/flags", json=flag(rules=[right, wrong]))
    assert answer.status_code == 422
    pointers = {each["pointer"] for each in answer.json()["errors"]}
    assert any(each == pointer or each.startswith(f"{pointer}/") for each in pointers), pointers
    assert client.get("/v1/flags").json()["items"] == []
    make(client, rules=[right])
    assert patch(client, rules=[right, wrong]).status_code == 422


@pytest.mark.parametrize("value", ["1e999", '"\\ud800"', "NaN", "9" * 400, "[" * 300 + "]" * 300])
def test_what_no_client_could_read_is_refused(client: TestClient, value: str) -> None:
    body = json.dumps(flag(rules=[rule("a", {"variant": "new"}, where("x", "VALUE"))]))
    body = body.replace('"VALUE"', value)
    answer = client.post("/v1/flags", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert client.get("/v1/flags").json()["items"] == []


def test_a_condition_nests_as_deeply_as_clients_read(client: TestClient) -> None:
    make(client, rules=[rule("a", {"variant": "new"}, nested(10))])
    assert served(client).flags["search-engine"].rules[0].audience == nested(10)


def attach(client: TestClient, payload: Any, key: str = "speed") -> None:
    arms = [{"key": "old", "control": True}, {"key": "new"}]
    made = client.post("/v1/experiments", json=payload(key, flag="search-engine", variants=arms))
    assert made.status_code == 201, made.text


def keys(client: TestClient) -> list[str]:
    return [each["key"] for each in client.get("/v1/flags/search-engine").json()["rules"]]


def test_an_attached_experiment_gets_a_rule_that_can_still_match(client: TestClient, payload: Any) -> None:
    make(
        client,
        rules=[
            rule("germans", {"variant": "new"}, where("country", "DE")),
            percent("some", new=100),
            rule("all", {"variant": "new"}),
        ],
    )
    attach(client, payload)
    assert keys(client) == ["germans", "some", "speed", "all"]
    client.post("/v1/experiments/speed/start")
    reasons = [evaluate(served(client), "search-engine", f"u{n}") for n in range(50)]
    assert "speed" in {each.experiment for each in reasons}
    shown = client.get("/v1/flags/search-engine").json()
    assert shown["experiments"] == [{"key": "speed", "status": "running"}]


def test_experiments_can_be_ordered_and_a_live_one_keeps_its_rule(client: TestClient, payload: Any) -> None:
    make(client)
    attach(client, payload, "speed")
    attach(client, payload, "ranking")
    assert keys(client) == ["speed", "ranking"]
    swapped = [rule("second", {"experiment": "ranking"}), rule("first", {"experiment": "speed"})]
    assert patch(client, rules=swapped).status_code == 200
    assert keys(client) == ["second", "first"]
    client.post("/v1/experiments/speed/start")
    answer = patch(client, rules=[swapped[0]])
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:equipoise:problem:in-use"
    assert answer.json()["used_by"] == ["the experiment speed"]
    client.post("/v1/experiments/speed/stop")
    assert patch(client, rules=[swapped[0]]).status_code == 200
    # What is attached can be started again, so it has a rule all the same.
    assert keys(client) == ["second", "speed"]


def test_one_experiment_has_one_rule_and_must_be_of_this_flag(client: TestClient, payload: Any) -> None:
    make(client)
    attach(client, payload)
    client.post("/v1/experiments", json=payload("elsewhere"))
    twice = [rule("a", {"experiment": "speed"}), rule("b", {"experiment": "speed"})]
    for rules in (twice, [rule("a", {"experiment": "speed"}), rule("b", {"experiment": "elsewhere"})]):
        answer = patch(client, rules=rules)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == "/rules/1/experiment"


def test_while_an_experiment_is_live_the_values_of_its_arms_stay(client: TestClient, payload: Any) -> None:
    make(client)
    attach(client, payload)
    client.post("/v1/experiments/speed/start")
    changed = [{"key": "old", "value": "solr"}, {"key": "new", "value": "changed"}]
    answer = patch(client, variants=changed)
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:equipoise:problem:frozen-field"
    more = [{"key": "old", "value": "solr"}, {"key": "new", "value": "vespa"}, {"key": "x", "value": "x"}]
    assert patch(client, variants=more).status_code == 200
    client.post("/v1/experiments/speed/stop")
    assert patch(client, variants=changed).status_code == 200
    gone = patch(client, variants=[{"key": "old", "value": "solr"}])
    assert gone.status_code == 409
    assert gone.json()["used_by"] == ["the experiment speed"]


def test_shipping_puts_a_rule_where_the_experiments_rule_stood(client: TestClient, payload: Any) -> None:
    make(client, rules=[rule("germans", {"variant": "old"}, where("country", "DE"))])
    attach(client, payload)
    attach(client, payload, "later")
    client.post("/v1/experiments/speed/start")
    assert ship(client, "speed", "new").status_code == 200
    shown = client.get("/v1/flags/search-engine").json()["rules"]
    assert [(each["key"], each["variant"], each["experiment"]) for each in shown] == [
        ("germans", "old", None),
        ("later", None, "later"),
        ("speed", "new", None),
    ]
    got = evaluate(served(client), "search-engine", "anybody")
    assert (got.variant, got.reason, got.experiment) == ("new", "STATIC", None)
    assert patch(client, rules=shown[:1]).status_code == 200


def test_what_is_shipped_to_everybody_leaves_the_other_experiments_their_units(
    client: TestClient, payload: Any
) -> None:
    make(client)
    for key in ("speed", "ranking", "draft"):
        attach(client, payload, key)
    staff = rule("staff", {"variant": "old"}, where("staff", True))
    named = [rule(key, {"experiment": key}) for key in ("speed", "ranking", "draft")]
    assert patch(client, rules=[named[0], staff, *named[1:]]).status_code == 200
    for key in ("speed", "ranking"):
        client.post(f"/v1/experiments/{key}/start")
    assert ship(client, "speed", "new").status_code == 200
    assert keys(client) == ["staff", "ranking", "draft", "speed"]
    got = [evaluate(served(client), "search-engine", f"u{n}") for n in range(50)]
    assert {each.experiment for each in got} == {"ranking"}
    client.post("/v1/experiments/draft/start")
    client.post("/v1/experiments/ranking/stop")
    got = [evaluate(served(client), "search-engine", f"u{n}") for n in range(50)]
    assert {each.experiment for each in got} == {"draft"}
    client.post("/v1/experiments/draft/stop")
    assert evaluate(served(client), "search-engine", "u").variant == "new"


def test_a_rollout_to_an_audience_leaves_its_rule_where_it_stood(client: TestClient, payload: Any) -> None:
    make(client)
    attach(client, payload)
    wide = {"audience": {"any": [where("country", "DE"), {"not": where("country", "DE")}]}}
    steps = {
        "from_variant": "old",
        "to_variant": "new",
        "steps": [{"share": 100, "hours": 1}, {"share": 10_000, "hours": 1}],
    }
    path = "/v1/flags/search-engine/rollouts"
    assert client.post(path, json={"key": "everybody", **steps}).status_code == 201
    assert client.post(f"{path}/everybody/complete").status_code == 200
    assert client.post(path, json={"key": "some", **steps, **wide}).status_code == 201
    client.post("/v1/experiments/speed/start")
    assert keys(client) == ["speed", "some", "everybody"]
    assert (
        patch(
            client,
            rules=[
                rule("some", {"progressive_rollout": "some"}),
                rule("speed", {"experiment": "speed"}),
                rule("everybody", {"variant": "new"}),
            ],
        ).status_code
        == 200
    )
    assert client.post(f"{path}/some/complete").status_code == 200
    assert keys(client) == ["some", "speed", "everybody"]


@pytest.mark.parametrize("first", [rule("all", {"variant": "new"}), percent("all", new=4_000, old=6_000)])
def test_an_experiment_or_rollout_that_goes_on_is_not_put_behind_what_leaves_it_nothing(
    client: TestClient, payload: Any, first: dict[str, Any]
) -> None:
    make(client)
    attach(client, payload)
    placed = rule("speed", {"experiment": "speed"})
    for moves in ([], ["start"], ["stop"], ["start"]):
        for move in moves:
            assert client.post(f"/v1/experiments/speed/{move}").status_code == 200
        answer = patch(client, rules=[first, placed])
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:equipoise:problem:in-use")
        assert answer.json()["used_by"] == ["the experiment speed"]
        assert "rule all" in answer.json()["detail"]
        assert patch(client, rules=[placed, first]).status_code == 200
    rollout = {"key": "slow", "from_variant": "old", "to_variant": "new"}
    steps = [{"share": 100, "hours": 1}, {"share": 10_000, "hours": 1}]
    made = client.post("/v1/flags/search-engine/rollouts", json={**rollout, "steps": steps})
    assert made.status_code == 201, made.text
    slow = rule("slow", {"progressive_rollout": "slow"})
    answer = patch(client, rules=[placed, first, slow])
    assert (answer.status_code, answer.json()["used_by"]) == (409, ["the rollout slow"])
    answer = patch(client, rules=[slow, placed, first])
    assert (answer.status_code, answer.json()["used_by"]) == (409, ["the experiment speed"])
    assert patch(client, rules=[percent("some", new=9_999), placed, slow, first]).status_code == 200


def test_a_flag_made_by_registering_an_experiment_is_a_flag(client: TestClient, payload: Any) -> None:
    client.post("/v1/experiments", json=payload(unit_type="device"))
    shown = client.get("/v1/flags/new-landing-page").json()
    assert (shown["unit_type"], shown["type"], shown["default"]) == ("device", "string", "control")
    assert [each["experiment"] for each in shown["rules"]] == ["new-landing-page"]
    forced = rule("staff", {"variant": "treatment"}, where("staff", True))
    assert patch(client, "new-landing-page", rules=[forced, *shown["rules"]]).status_code == 200
    client.post("/v1/experiments/new-landing-page/start")
    configuration = served(client)
    assert configuration.flags["new-landing-page"].unit_type == "device"
    staff = evaluate(configuration, "new-landing-page", "d", attributes={"staff": True})
    assert (staff.variant, staff.experiment) == ("treatment", None)
    assert evaluate(configuration, "new-landing-page", "d").experiment == "new-landing-page"


def test_a_flag_is_served_after_the_experiment_that_was_started_on_it(
    client: TestClient, payload: Any
) -> None:
    client.post("/v1/experiments", json=payload())
    for move in ("start", "stop", "archive"):
        client.post(f"/v1/experiments/new-landing-page/{move}")
    got = evaluate(served(client), "new-landing-page", "u")
    assert (got.value, got.experiment) == ("old", None)
    assert client.post("/v1/flags/new-landing-page/archive").status_code == 200
    got = evaluate(served(client), "new-landing-page", "u")
    assert (got.value, got.reason) == ("old", "DISABLED")


def test_an_experiment_cannot_take_a_variant_from_the_flags_own_rules(
    client: TestClient, payload: Any
) -> None:
    client.post("/v1/experiments", json=payload())
    shown = client.get("/v1/flags/new-landing-page").json()
    staff = rule("staff", {"variant": "treatment"}, where("staff", True))
    assert patch(client, "new-landing-page", rules=[staff, *shown["rules"]]).status_code == 200
    path = "/v1/experiments/new-landing-page"
    arms = [{"key": "control", "value": "old", "control": True}, {"key": "other", "value": "x"}]
    headers = {"If-Match": client.get(path).headers["ETag"]}
    answer = client.patch(path, json={"variants": arms}, headers=headers)
    assert answer.status_code == 409
    assert answer.json()["used_by"] == ["the rule staff in production"]
    assert patch(client, "new-landing-page", rules=shown["rules"]).status_code == 200
    assert client.patch(path, json={"variants": arms}, headers=headers).status_code == 200


def test_nothing_starts_on_an_archived_flag(client: TestClient, payload: Any) -> None:
    make(client)
    attach(client, payload)
    assert client.post("/v1/flags/search-engine/archive").status_code == 200
    arms = [{"key": "old", "control": True}, {"key": "new"}]
    late = client.post("/v1/experiments", json=payload("late", flag="search-engine", variants=arms))
    for answer in (late, client.post("/v1/experiments/speed/start")):
        assert answer.status_code == 409
        assert answer.json()["type"] == "urn:equipoise:problem:frozen-field"
