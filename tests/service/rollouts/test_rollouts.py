import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlmodel import select
from tests.service.flags.flags import make, patch, percent, rule, served, variants, where

from equipoise import bucket, evaluate
from equipoise.configuration import Configuration
from equipoise_service.evaluation.models import PublishedConfiguration
from equipoise_service.resources import open_database
from equipoise_service.rollouts import repository, service
from equipoise_service.rollouts.models import Rollout

PATH = "/v1/flags/search-engine/rollouts"
STEPS = [{"share": 100, "hours": 4}, {"share": 2500, "hours": 24}, {"share": 10_000, "hours": 24}]


def rollout(**changes: Any) -> dict[str, Any]:
    return {"key": "to-new", "from_variant": "old", "to_variant": "new", "steps": STEPS, **changes}


def start(client: TestClient, **changes: Any) -> dict[str, Any]:
    answer = client.post(PATH, json=rollout(**changes))
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def move(client: TestClient, name: str, key: str = "to-new") -> Any:
    return client.post(f"{PATH}/{key}/{name}")


def make_due(client: TestClient) -> None:
    """Let the present step of every rollout end now."""
    with client.app.state.database.write() as session:  # type: ignore[attr-defined]
        for each in session.exec(select(Rollout)):
            if each.due_at is not None:
                each.due_at = datetime.now(UTC) - timedelta(seconds=1)
                session.add(each)


def reach(client: TestClient, **expected: Any) -> dict[str, Any]:
    """Wait until the watcher brought the rollout there."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        shown = dict(client.get(f"{PATH}/to-new").json())
        if all(shown[name] == value for name, value in expected.items()):
            return shown
        time.sleep(0.02)
    pytest.fail(f"the rollout did not reach {expected}: {shown}")


def hear(client: TestClient, has_heard: Callable[[Configuration], bool]) -> None:
    """Wait until evaluation has what the database has: its configuration is published after the commit."""
    deadline = time.monotonic() + 20
    while not has_heard(served(client)):
        assert time.monotonic() < deadline, "evaluation does not hear of the step"
        time.sleep(0.02)


def on_new(configuration: Configuration) -> set[str]:
    return {unit for unit, variant in variants(configuration).items() if variant == "new"}


def test_a_rollout_starts_with_its_first_step_and_gives_the_flag_a_rule(client: TestClient) -> None:
    make(client)
    guardrail = {"metric": {"key": "errors", "type": "mean", "event": "error", "direction": "decrease"}}
    answer = client.post(PATH, json=rollout(guardrails=[{**guardrail, "action": "roll-back"}]))
    assert answer.status_code == 201
    shown = answer.json()
    assert (shown["status"], shown["step"], shown["share"]) == ("running", 1, 100)
    assert shown["allowed"] == ["hold", "roll-back", "complete"]
    assert shown["guardrails"][0]["action"] == "roll-back"
    left = datetime.fromisoformat(shown["due_at"]) - datetime.fromisoformat(shown["created_at"])
    assert left == timedelta(hours=4)
    read = client.get(answer.headers["Location"])
    assert (read.json(), read.headers["ETag"]) == (shown, answer.headers["ETag"])
    assert client.get(PATH).json()["items"] == [shown]
    (added,) = client.get("/v1/flags/search-engine").json()["rules"]
    assert (added["key"], added["progressive_rollout"]) == ("to-new", "to-new")
    got = evaluate(served(client), "search-engine", "unit-1")
    assert (got.reason, got.experiment) == ("SPLIT", None)


def test_steps_are_taken_when_they_are_due_and_nobody_goes_back(client: TestClient) -> None:
    make(client)
    start(client)
    (rule_,) = served(client).flags["search-engine"].rules
    assert rule_.rollout is not None
    salt = rule_.rollout.salt
    before: set[str] = set()
    for step, share in ((1, 100), (2, 2500), (3, 10_000)):
        shown = reach(client, step=step, share=share, status="running")
        left = datetime.fromisoformat(shown["due_at"]) - datetime.now(UTC)
        planned = timedelta(hours=STEPS[step - 1]["hours"])
        assert planned - timedelta(minutes=1) < left <= planned
        expected = {unit for unit in variants(served(client)) if bucket(salt, unit) < share}
        hear(client, lambda heard, expected=expected: on_new(heard) == expected)  # type: ignore[misc]
        new = on_new(served(client))
        assert before <= new
        before = new
        make_due(client)
    done = reach(client, status="completed", share=10_000)
    assert done["due_at"] is None
    assert done["ended_at"] is not None
    assert done["allowed"] == []
    (left_over,) = client.get("/v1/flags/search-engine").json()["rules"]
    assert (left_over["key"], left_over["variant"]) == ("to-new", "new")
    hear(client, lambda heard: evaluate(heard, "search-engine", "u").reason == "STATIC")
    assert patch(client, rules=[]).status_code == 200


def test_a_late_rollout_takes_one_step_and_keeps_to_the_time_of_each(client: TestClient) -> None:
    make(client)
    start(client)
    with client.app.state.database.write() as session:  # type: ignore[attr-defined]
        late = session.exec(select(Rollout)).one()
        late.due_at = datetime.now(UTC) - timedelta(days=30)
        session.add(late)
    shown = reach(client, step=2)
    assert datetime.fromisoformat(shown["due_at"]) > datetime.now(UTC) + timedelta(hours=23)


def test_several_processes_take_a_step_once(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    make(client)
    start(client)
    monkeypatch.setattr("equipoise_service.app.advance_due", lambda database: None)
    time.sleep(0.2)
    make_due(client)
    with open_database(client.app.state.settings) as other:  # type: ignore[attr-defined]
        due = repository.due
        with other.read() as session:
            seen = list(due(session, datetime.now(UTC)))
        assert len(seen) == 1
        before = client.get("/v1/config").json()["version"]
        service.advance_due(client.app.state.database)  # type: ignore[attr-defined]
        # The other one read before and writes after: it finds that the step was taken.
        monkeypatch.setattr(repository, "due", lambda session, now: seen)
        service.advance_due(other)
        monkeypatch.undo()
        service.advance_due(other)
    assert client.get(f"{PATH}/to-new").json()["step"] == 2
    assert client.get("/v1/config").json()["version"] == before + 1


def test_held_its_time_stands_still(client: TestClient) -> None:
    make(client)
    start(client)
    held = move(client, "hold").json()
    assert (held["status"], held["share"], held["due_at"]) == ("held", 100, None)
    assert 3.99 < held["hours_left"] <= 4
    assert held["allowed"] == ["resume", "roll-back", "complete"]
    before = variants(served(client))
    time.sleep(0.2)
    assert client.get(f"{PATH}/to-new").json() == held
    resumed = move(client, "resume").json()
    assert (resumed["status"], resumed["hours_left"]) == ("running", None)
    left = datetime.fromisoformat(resumed["due_at"]) - datetime.now(UTC)
    assert timedelta(hours=3.9) < left <= timedelta(hours=4)
    assert variants(served(client)) == before


@pytest.mark.parametrize(("end", "variant", "share"), [("roll-back", "old", 0), ("complete", "new", 10_000)])
@pytest.mark.parametrize("held", [False, True])
def test_the_end_leaves_one_variant_to_the_audience(
    client: TestClient, end: str, variant: str, share: int, held: bool
) -> None:
    german = where("country", "DE")
    make(client, default="new" if variant == "old" else "old")
    start(client, audience=german)
    if held:
        move(client, "hold")
    ended = move(client, end).json()
    assert (ended["status"], ended["share"]) == ({"roll-back": "rolled_back"}.get(end, "completed"), share)
    assert ended["ended_at"] is not None
    (left_over,) = client.get("/v1/flags/search-engine").json()["rules"]
    assert (left_over["audience"], left_over["variant"]) == (german, variant)
    configuration = served(client)
    assert set(variants(configuration, attributes={"country": "DE"}).values()) == {variant}
    assert set(variants(configuration).values()) == {{"old": "new", "new": "old"}[variant]}
    for name in ("hold", "resume", "roll-back", "complete"):
        again = move(client, name)
        assert again.status_code == 409
        assert again.json()["type"] == "urn:equipoise:problem:illegal-transition"
        assert again.json()["allowed"] == []


def test_the_audience_alone_takes_part(client: TestClient) -> None:
    make(client, rules=[rule("all", {"variant": "new"})], default="new")
    start(client, audience=where("country", "DE"))
    configuration = served(client)
    assert set(variants(configuration).values()) == {"new"}
    assert list(variants(configuration, attributes={"country": "DE"}).values()).count("old") > 1900


def test_its_rule_stands_where_it_can_match(client: TestClient) -> None:
    make(
        client,
        rules=[
            rule("germans", {"variant": "new"}, where("country", "DE")),
            percent("to-new", new=100),
            rule("all", {"variant": "old"}),
        ],
    )
    start(client)
    rules = client.get("/v1/flags/search-engine").json()["rules"]
    assert [each["key"] for each in rules] == ["germans", "to-new", "to-new-2", "all"]
    assert rules[2]["progressive_rollout"] == "to-new"
    moved = [rules[2], rules[0], rules[3]]
    assert patch(client, rules=moved).status_code == 200
    without = patch(client, rules=moved[1:])
    assert without.status_code == 409
    assert without.json()["used_by"] == ["the rollout to-new"]
    assert move(client, "complete").status_code == 200
    assert [each["key"] for each in client.get("/v1/flags/search-engine").json()["rules"]] == [
        "to-new-2",
        "germans",
        "all",
    ]


def test_one_at_a_time_and_every_key_once(client: TestClient) -> None:
    make(client)
    start(client)
    second = client.post(PATH, json=rollout(key="another"))
    assert second.status_code == 409
    assert second.json()["used_by"] == ["the rollout to-new"]
    move(client, "roll-back")
    assert client.post(PATH, json=rollout()).status_code == 409
    start(client, key="another")
    assert [each["key"] for each in client.get(PATH).json()["items"]] == ["to-new", "another"]
    salts = {each.salt for each in rows(client)}
    assert len(salts) == 2


def rows(client: TestClient) -> list[Rollout]:
    with client.app.state.database.read() as session:  # type: ignore[attr-defined]
        return list(session.exec(select(Rollout)))


def test_environments_roll_out_by_themselves(service: Any) -> None:
    client = service.client
    production, staging = service.key(), service.key(environment="staging")
    client.headers.update(staging)
    make(client)
    start(client)
    client.headers.update(production)
    assert client.get(f"{PATH}/to-new").status_code == 404
    start(client)
    assert move(client, "complete").status_code == 200
    assert client.get(f"{PATH}/to-new", headers=staging).json()["status"] == "running"


def test_while_it_goes_on_the_flag_stays_and_keeps_its_variants(client: TestClient) -> None:
    make(client)
    start(client)
    for answer in (
        client.post("/v1/flags/search-engine/archive"),
        patch(client, variants=[{"key": "old", "value": "solr"}]),
    ):
        assert answer.status_code == 409
        assert answer.json()["used_by"] == ["the rollout to-new in production"]
    move(client, "roll-back")
    assert client.post("/v1/flags/search-engine/archive").status_code == 200
    assert client.post(PATH, json=rollout(key="late")).status_code == 409


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"key": "Upper"}, "/key"),
        ({"to_variant": "old"}, ""),
        ({"to_variant": "newest"}, "/to_variant"),
        ({"from_variant": "oldest"}, "/from_variant"),
        ({"steps": []}, "/steps"),
        ({"steps": [{"share": 5000, "hours": 1}]}, "/steps"),
        ({"steps": [{"share": 5000, "hours": 1}, {"share": 5000, "hours": 1}, STEPS[-1]]}, "/steps"),
        ({"steps": [{"share": 5000, "hours": 1}, {"share": 4000, "hours": 1}, STEPS[-1]]}, "/steps"),
        ({"steps": [{"share": 0, "hours": 1}, STEPS[-1]]}, "/steps/0/share"),
        ({"steps": [{"share": 10_000, "hours": 0}]}, "/steps/0/hours"),
        ({"steps": [{"share": 10_000, "hours": 9_000}]}, "/steps/0/hours"),
        ({"steps": [{"share": 10_000}]}, "/steps/0/hours"),
        ({"audience": {"segment": "none"}}, "/audience/segment"),
        ({"audience": {"any": [where("a", 1, "is")]}}, "/audience/any/0/operator"),
        ({"guardrails": [{"metric": {"key": "m"}}]}, "/guardrails/0/metric/type"),
        (
            {
                "guardrails": [
                    {"metric": {"key": "m", "type": "mean", "event": "e"}, "action": "shout"},
                ]
            },
            "/guardrails/0/action",
        ),
        ({"surprise": 1}, "/surprise"),
    ],
)
def test_a_wrong_rollout_is_422_and_names_the_place(
    client: TestClient, changes: dict[str, Any], pointer: str
) -> None:
    make(client)
    answer = client.post(PATH, json=rollout(**changes))
    assert answer.status_code == 422
    assert pointer in {each["pointer"] for each in answer.json()["errors"]}
    assert client.get(PATH).json()["items"] == []


def test_keys_preconditions_and_idempotency(client: TestClient) -> None:
    make(client)
    first = client.post(PATH, json=rollout(), headers={"Idempotency-Key": "1"})
    again = client.post(PATH, json=rollout(), headers={"Idempotency-Key": "1"})
    assert (again.status_code, again.json()) == (201, first.json())
    hold = f"{PATH}/to-new/hold"
    assert client.post(hold, headers={"If-Match": '"stale"'}).status_code == 412
    assert client.post(hold, headers={"If-Match": first.headers["ETag"]}).status_code == 200
    assert client.post("/v1/flags/none/rollouts", json=rollout()).status_code == 404
    assert move(client, "hold", "none").status_code == 404


def test_a_tick_without_anything_due_writes_nothing(client: TestClient) -> None:
    make(client)
    start(client)
    with client.app.state.database.read() as session:  # type: ignore[attr-defined]
        before = len(session.exec(select(PublishedConfiguration)).all())
    counter = client.app.state.database.change_counter()  # type: ignore[attr-defined]
    service.advance_due(client.app.state.database)  # type: ignore[attr-defined]
    assert client.app.state.database.change_counter() == counter  # type: ignore[attr-defined]
    with client.app.state.database.read() as session:  # type: ignore[attr-defined]
        assert len(session.exec(select(PublishedConfiguration)).all()) == before
