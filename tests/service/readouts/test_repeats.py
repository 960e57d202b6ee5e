"""What was shipped is asked again 30 and 90 days later, on those who were held back."""

import time
import uuid
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlmodel import Session, select, update
from tests.service.conftest import experiment
from tests.service.shipping import ship

from equipoise import evaluate
from equipoise.configuration import load
from equipoise_service.database import Database
from equipoise_service.experiments.models import Revision
from equipoise_service.jobs.models import Job
from equipoise_service.plans.models import LockedPlan, PlanDeviation, RepeatedReadout
from equipoise_service.readouts.repeating import claim
from equipoise_service.readouts.scheduling import Scheduler
from equipoise_service.readouts.verification import verify_readout

KEY = "new-landing-page"
PATH = f"/v1/experiments/{KEY}"
NOW = datetime.now(UTC)
DAY = timedelta(days=1)
UNITS = [f"unit-{i}" for i in range(3000)]
METRICS = [
    {"key": "converted", "type": "proportion", "event": "converted"},
    {"key": "slow", "type": "proportion", "event": "slow", "role": "guardrail", "direction": "decrease"},
    {"key": "returned", "type": "proportion", "event": "returned", "role": "deterioration"},
    {"key": "logged", "type": "proportion", "event": "logged", "role": "quality"},
]
PLAN = {"method": "fixed-horizon", "horizon": {"units": 20}, "targets": {"slow": {"margin": 0.5}}}
WAIT_SECONDS = 60
# Of 20 units: how many convert and how many are slow, in the control and in the treatment.
WON = {"converted": (2, 4), "slow": (4, 4), "returned": (6, 6), "logged": (10, 10)}

Truth = Mapping[str, tuple[int, int]]


def database(client: TestClient) -> Database:
    found: Database = client.app.state.database  # type: ignore[attr-defined]
    return found


def send(client: TestClient, units: Iterable[str], truth: Truth, at: datetime) -> dict[str, int]:
    """Units meet what they are given now, as if it were then, and do as the truth says; how many met what."""
    configuration = load(client.get("/v1/config").content)
    arms: dict[str, int] = {"control": 0, "treatment": 0}
    exposures, events = [], []
    for unit in units:
        found = evaluate(configuration, KEY, unit)
        assert found.variant is not None
        shown = {"unit": unit, "experiment": KEY, "variant": found.variant, "revision": found.revision}
        exposures.append({"id": str(uuid.uuid4()), "time": at.isoformat(), **shown})
        place = arms[found.variant] % 20
        arms[found.variant] += 1
        for name, rates in truth.items():
            # Of each twenty another part, so that the metrics have nothing to do with each other.
            if place < rates[found.variant == "treatment"]:
                later = (at + timedelta(minutes=1)).isoformat()
                events.append({"id": str(uuid.uuid4()), "time": later, "unit": unit, "name": name})
    for begin in range(0, max(len(exposures), len(events)), 400):
        part = {"exposures": exposures[begin : begin + 400], "events": events[begin : begin + 400]}
        answer = client.post("/v1/events", json=part)
        assert answer.status_code == 200, answer.text
    return arms


def hold_back(client: TestClient, share: int = 2000, **changes: Any) -> dict[str, Any]:
    """An experiment that won is shipped with a holdback; the readout that was decided on."""
    definition = experiment(**{"metrics": METRICS, "plan": PLAN, **changes})
    assert client.post("/v1/experiments", json=definition).status_code == 201
    assert client.post(f"{PATH}/start").status_code == 200
    send(client, UNITS, WON, NOW)
    answer = ship(client, KEY, "treatment", holdback=share)
    assert answer.json()["status"] == "holding-back", answer.text
    (decision,) = client.get(f"{PATH}/decisions").json()
    found: dict[str, Any] = client.get(f"{PATH}/decisions/{decision['number']}/readout").json()
    return found


def pass_days(client: TestClient, days: int) -> None:
    """So many days pass since the ship."""
    with Session(database(client).engine) as session:
        holdback = select(Revision.id).where(Revision.number == 2)
        back = timedelta(days=days)
        session.connection().execute(
            update(Revision).where(Revision.number == 2).values(started_at=NOW - back)  # type: ignore[arg-type]
        )
        for after in (30, 90):
            due = NOW - back + after * DAY
            session.connection().execute(
                update(RepeatedReadout)
                .where(RepeatedReadout.days == after, RepeatedReadout.revision_id.in_(holdback))  # type: ignore[arg-type, attr-defined]
                .values(due_at=due, next_at=due)
            )
        session.commit()


def made(client: TestClient, *days: int) -> list[dict[str, Any]]:
    """The repeats, when those after so many days are there."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        found: list[dict[str, Any]] = client.get(f"{PATH}/repeats").json()
        if {each["days"] for each in found if each["digest"]} >= set(days):
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.2)


def repeat(client: TestClient, days: int) -> dict[str, Any]:
    answer = client.get(f"{PATH}/repeats/{days}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert verify_readout(found) == []
    return found


TRUTHS = {
    "holds": WON,
    "faded": {**WON, "converted": (4, 4)},
    "turned": {**WON, "converted": (5, 2)},
}


@pytest.mark.parametrize("truth", TRUTHS)
def test_what_became_of_the_effect_is_said_after_thirty_and_after_ninety_days(
    client: TestClient, truth: str
) -> None:
    before = hold_back(client)
    assert [each["digest"] for each in made(client)] == [None, None]
    arms = send(client, UNITS, TRUTHS[truth], NOW - 85 * DAY)
    pass_days(client, 91)
    listed = made(client, 30, 90)
    assert [(each["days"], each["revision"]) for each in listed] == [(30, 2), (90, 2)]
    for days, row in zip((30, 90), listed, strict=True):
        found = repeat(client, days)
        assert (found["digest"], found["repeat"]["text"]) == (row["digest"], row["text"])
        assert {arm["variant"]: arm["units"] for arm in found["arms"]} == arms
        assert (found["revision"], found["looks"], found["ended_at"]) == (2, [], None)
        assert (found["plan"]["method"], found["plan"]["horizon"]["days"]) == ("fixed-horizon", days)
        assert found["recommendation"]["outcome"] is None
        assert found["recommendation"]["reasons"] == found["recommendation"]["would_change"] == []

        decided = found["repeat"]["decided"]
        assert (decided["readout_digest"], decided["revision"]) == (before["digest"], 1)
        effects = {each["metric"]: each for each in found["repeat"]["effects"]}
        assert list(effects) == ["converted", "slow", "returned"], "quality decides nothing"
        lead = effects["converted"]
        then = before["metrics"][0]["comparisons"][0]["lift"]
        now = found["metrics"][0]["comparisons"][0]["lift"]
        assert lead["then"] == {"estimate": then["estimate"], "interval": then["interval"]}
        assert lead["now"] == {"estimate": now["estimate"], "interval": now["interval"]}
        assert lead["change"]["estimate"] == pytest.approx(now["estimate"] - then["estimate"])
        assert lead["finding"] == truth
        assert lead["then_holds_now"] is (truth == "holds")
        low, high = lead["change"]["interval"]
        assert (low <= 0 <= high) is (truth == "holds")
        assert effects["slow"]["finding"] == effects["returned"]["finding"] == "holds"
        said = {"holds": "the effect holds", "faded": "has faded", "turned": "has turned"}[truth]
        assert said in found["summary"]
        assert "margin of 50.00 %" in found["summary"]
    assert client.get(f"{PATH}/readout").json()["revision"] == 1
    history = client.get(f"{PATH}/history").json()
    told = [each["digest"] for each in history if each["kind"] == "repeated"]
    assert told == [each["digest"] for each in listed]


def test_each_is_made_once_however_many_look_and_never_changes(client: TestClient) -> None:
    hold_back(client)
    send(client, UNITS[:600], WON, NOW - 85 * DAY)
    pass_days(client, 35)
    store = client.app.state.event_store  # type: ignore[attr-defined]
    schedulers = [Scheduler(database(client), store, timedelta(hours=1)) for _ in range(4)]
    with ThreadPoolExecutor(len(schedulers)) as pool:
        list(pool.map(Scheduler.tick, schedulers))
    first, second = made(client, 30)
    assert second["digest"] is None
    missing = client.get(f"{PATH}/repeats/90")
    assert missing.status_code == 404
    assert second["due_at"][:10] in missing.json()["detail"]
    assert jobs(client, revision=2) == [("repeat", "schedule")]
    # What comes later changes it no more, and the ninety days are counted by themselves.
    send(client, UNITS[600:1200], TRUTHS["turned"], NOW - 2 * DAY)
    for scheduler in schedulers:
        scheduler.tick()
    assert len(jobs(client, revision=2)) == 1
    pass_days_of_the_second(client)
    again, last = made(client, 30, 90)
    assert again == first
    assert sum(arm["units"] for arm in repeat(client, 30)["arms"]) == 600
    assert sum(arm["units"] for arm in repeat(client, 90)["arms"]) == 1200
    assert last["digest"] != first["digest"]


def jobs(client: TestClient, revision: int) -> list[tuple[str, str]]:
    with Session(database(client).engine) as session:
        found = session.exec(select(Job).where(Job.revision == revision)).all()
        return [(each.kind, each.requested_by) for each in found]


def test_of_those_who_claim_a_repeat_at_once_one_has_it(client: TestClient) -> None:
    hold_back(client)
    with Session(database(client).engine) as session:
        due = session.exec(select(RepeatedReadout).where(RepeatedReadout.days == 30)).one()
        revision_id, next_at = due.revision_id, due.next_at
    assert next_at is not None

    def claimed(minutes: int) -> bool:
        with Session(database(client).engine) as session:
            found = claim(session, revision_id, 30, next_at, next_at + timedelta(minutes=minutes))
            session.commit()
            return found

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(claimed, range(1, 9))) == 1


def pass_days_of_the_second(client: TestClient) -> None:
    """The second repeat becomes due; what was made stays as it is."""
    with Session(database(client).engine) as session:
        session.connection().execute(
            update(RepeatedReadout).where(RepeatedReadout.days == 90).values(due_at=NOW, next_at=NOW)  # type: ignore[arg-type]
        )
        session.connection().execute(
            update(Revision).where(Revision.number == 2).values(started_at=NOW - 90 * DAY)  # type: ignore[arg-type]
        )
        session.commit()


def test_only_what_happened_until_it_was_due_counts(client: TestClient) -> None:
    hold_back(client)
    early = send(client, UNITS[:600], WON, NOW - 85 * DAY)
    send(client, UNITS[600:1000], WON, NOW - 50 * DAY)
    pass_days(client, 89)
    made(client, 30)
    assert {arm["variant"]: arm["units"] for arm in repeat(client, 30)["arms"]} == early


def test_a_repeat_tells_what_was_changed_while_units_were_held_back(client: TestClient) -> None:
    hold_back(client)
    with database(client).write() as session:
        held = session.exec(select(Revision).where(Revision.number == 2)).one()
        locked = session.get_one(LockedPlan, held.id)
        kept = locked.model_dump(include={"revision_id", "plan", "digest"})
        changed: dict[str, Any] = {"number": 1, "changed": ["/sources/shop/events/query"]}
        session.add(PlanDeviation(**changed, **kept, reason="Why", made_by="me", made_at=datetime.now(UTC)))
    send(client, UNITS[:600], WON, NOW - 29 * DAY)
    pass_days(client, 31)
    made(client, 30)
    assert [each["reason"] for each in repeat(client, 30)["deviations"]] == ["Why"]


def test_without_a_holdback_nothing_is_repeated(client: TestClient) -> None:
    assert client.post("/v1/experiments", json=experiment()).status_code == 201
    assert client.get(f"{PATH}/repeats").json() == []
    assert client.post(f"{PATH}/start").status_code == 200
    assert ship(client, KEY, "treatment").status_code == 200
    assert client.get(f"{PATH}/repeats").json() == []
    assert client.get(f"{PATH}/repeats/30").status_code == 404


@pytest.mark.parametrize(
    ("move", "passed", "known"),
    [("end-holdback", 12, [12]), ("archive", 1, [1]), ("end-holdback", 45, [30, 45])],
)
def test_what_ends_before_is_repeated_at_its_end(
    client: TestClient, move: str, passed: int, known: list[int]
) -> None:
    before = hold_back(client)
    arms = send(client, UNITS[:600], TRUTHS["faded"], NOW - passed * DAY + timedelta(hours=1))
    pass_days(client, passed)
    made(client, *known[:-1])
    assert client.post(f"{PATH}/{move}").status_code == 200
    listed = made(client, *known)
    assert [each["days"] for each in listed] == known
    with Session(database(client).engine) as session:
        ended_at = session.exec(select(Revision.ended_at).where(Revision.number == 2)).one()
    assert ended_at is not None
    assert datetime.fromisoformat(listed[-1]["due_at"]) == ended_at
    found = repeat(client, passed)
    assert found["digest"] == listed[-1]["digest"]
    assert {arm["variant"]: arm["units"] for arm in found["arms"]} == arms
    assert found["repeat"]["decided"]["readout_digest"] == before["digest"]
    assert found["summary"].startswith(f"{passed} day{'s' if passed > 1 else ''} after treatment was shipped")
    assert found["progress"]["complete"], "it is the comparison with a fixed horizon that the others are"
    assert found["repeat"]["effects"][0]["now"] is not None
    missing = client.get(f"{PATH}/repeats/90")
    assert missing.status_code == 404
    assert f"after {' and '.join(map(str, known))} days" in missing.json()["detail"]
    # What comes later changes nothing of it, and nothing else is to come.
    send(client, UNITS[600:900], WON, NOW)
    store = client.app.state.event_store  # type: ignore[attr-defined]
    assert Scheduler(database(client), store, timedelta(hours=1)).tick() == 0
    assert client.get(f"{PATH}/repeats").json() == listed
    assert jobs(client, revision=2) == [("repeat", "schedule")] * len(known)


def test_what_ends_on_the_day_of_a_repeat_is_not_repeated_once_more(client: TestClient) -> None:
    hold_back(client)
    send(client, UNITS[:100], WON, NOW - 30 * DAY + timedelta(hours=1))
    pass_days(client, 30)
    first = made(client, 30)[0]
    assert client.post(f"{PATH}/end-holdback").status_code == 200
    assert client.get(f"{PATH}/repeats").json() == [first]


def test_what_ends_at_once_is_not_repeated(client: TestClient) -> None:
    hold_back(client)
    send(client, UNITS[:100], WON, NOW)
    assert len(client.get(f"{PATH}/repeats").json()) == 2
    assert client.post(f"{PATH}/end-holdback").status_code == 200
    pass_days(client, 0)
    assert client.get(f"{PATH}/repeats").json() == []
    store = client.app.state.event_store  # type: ignore[attr-defined]
    with Session(database(client).engine) as session:
        session.connection().execute(update(RepeatedReadout).values(next_at=NOW - DAY))
        session.commit()
    Scheduler(database(client), store, timedelta(hours=1)).tick()
    assert jobs(client, revision=2) == []


def of_each(client: TestClient, **wanted: int) -> list[str]:
    """The first units that are given each variant now, so many of each: which ones is up to the salt."""
    configuration = load(client.get("/v1/config").content)
    given: dict[str, list[str]] = {variant: [] for variant in wanted}
    for unit in UNITS:
        variant = evaluate(configuration, KEY, unit).variant
        assert variant is not None
        if len(given[variant]) < wanted[variant]:
            given[variant].append(unit)
    return [unit for units in given.values() for unit in units]


def test_of_too_few_nothing_can_be_told(client: TestClient) -> None:
    hold_back(client)
    few = of_each(client, control=20, treatment=80)
    assert send(client, few, WON, NOW - 85 * DAY) == {"control": 20, "treatment": 80}
    pass_days(client, 35)
    made(client, 30)
    found = repeat(client, 30)["repeat"]["effects"][0]
    assert found["finding"] == "cannot_tell"
    assert "too few were held back" in found["text"]
