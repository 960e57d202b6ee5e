"""Impact is projected by the traffic at which units came, whatever the traffic was or became elsewhere."""

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlmodel import Session, col, delete, func, select, update
from tests.service.conftest import experiment
from tests.service.flags.flags import flag
from tests.service.readouts.test_endpoint import URL, send
from tests.service.readouts.test_pauses import changed, item
from tests.service.shipping import ship

from equipoise_service.database import Database
from equipoise_service.evaluation.publication import KEPT_VERSIONS
from equipoise_service.experiments.models import Pause, Ramp, Revision
from equipoise_service.readouts.pauses import Stretch
from equipoise_service.readouts.ramps import Step, steps_shown
from equipoise_service.readouts.verification import verify_readout

UNKNOWN = (
    "What that would be a day at full traffic is not known: the experiment began before its traffic was on "
    "record. A new revision has it."
)
DAYS = 10
A_DAY = 20
BEGIN = datetime.now(UTC) - timedelta(days=DAYS, minutes=1)
LATE = 0.1
"""Days that may lie between this and the readout: other tests come before these."""


@pytest.fixture
def running(client: TestClient) -> TestClient:
    """Ten days of twenty units each, all of which do something."""
    plan = {"method": "confidence-sequence"}
    assert client.post("/v1/experiments", json=experiment(plan=plan)).status_code == 201
    moved(client, "start")
    for number in range(DAYS):
        come(client, BEGIN + timedelta(days=number, minutes=5), f"u{number}")
    changed(client, Revision, started_at=BEGIN)
    return client


def come(client: TestClient, moment: datetime, name: str, units: int = A_DAY, revision: int = 1) -> None:
    of = {"experiment": "new-landing-page", "revision": revision}
    arms = ("control", "treatment")
    shown = [item(f"{name}-{i}", moment, variant=arms[i % 2], **of) for i in range(units)]
    send(client, shown, [item(f"{name}-{i}", moment, name="converted") for i in range(0, units, 3)])


def moved(client: TestClient, move: str) -> None:
    answer = client.post(f"{URL}/{move}")
    assert answer.status_code == 200, answer.text


def ramp(client: TestClient, traffic: int, at: datetime | None = None) -> None:
    """Change the traffic, at a moment of the past."""
    answer = client.patch(
        URL, json={"traffic": traffic}, headers={"If-Match": client.get(URL).headers["ETag"]}
    )
    assert answer.status_code == 200, answer.text
    if at is not None:
        with Session(database_of(client).engine) as session:
            last = session.exec(select(func.max(Ramp.number))).one()
            session.connection().execute(update(Ramp).where(col(Ramp.number) == last).values(since=at))
            session.commit()


def database_of(client: TestClient) -> Database:
    found: Database = client.app.state.database  # type: ignore[attr-defined]
    return found


def forget_ramps(client: TestClient) -> None:
    """As of a revision from before ramps were on record, of which nobody could tell them."""
    with Session(database_of(client).engine) as session:
        session.connection().execute(delete(Ramp))
        session.commit()


def readout(client: TestClient, revision: int = 1) -> dict[str, Any]:
    answer = client.get(f"{URL}/readout?wait=60&revision={revision}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert verify_readout(found) == []
    return found


def daily_units(found: dict[str, Any]) -> float | None:
    impact = found["metrics"][0]["comparisons"][0]["impact"]
    return None if impact is None else impact["daily_units"]


def test_units_count_by_the_traffic_at_which_they_came(running: TestClient) -> None:
    before = readout(running)
    assert daily_units(before) == pytest.approx(A_DAY, rel=0.01)
    assert [each["traffic"] for each in before["traffic_steps"]] == [1.0]
    ramp(running, 1000)
    after = readout(running)
    assert after["traffic"] == 0.1
    assert [each["traffic"] for each in after["traffic_steps"]] == [1.0, 0.1]
    assert daily_units(after) == pytest.approx(A_DAY, rel=0.01)


def test_a_ramp_up_in_the_middle_and_back(running: TestClient) -> None:
    """Twenty a day are what a tenth brings, and then the same what half of them bring, and a tenth again."""
    ramp(running, 1000, BEGIN)
    ramp(running, 5000, BEGIN + timedelta(days=4))
    ramp(running, 1000, BEGIN + timedelta(days=6))
    found = readout(running)
    # The start is a version of its own, of a moment at which nobody came.
    assert [each["traffic"] for each in found["traffic_steps"]] == [1.0, 0.1, 0.5, 0.1]
    assert [each["seconds"] / 86_400 for each in found["traffic_steps"]] == pytest.approx(
        [0, 4, 2, 4], abs=LATE
    )
    assert daily_units(found) == pytest.approx(A_DAY * DAYS / (4 * 0.1 + 2 * 0.5 + 4 * 0.1), rel=0.01)


def test_pauses_are_taken_from_the_step_that_they_are_in(running: TestClient) -> None:
    for move in ("pause", "resume"):
        moved(running, move)
    ramp(running, 5000, BEGIN + timedelta(days=4))
    changed(running, Pause, started_at=BEGIN + timedelta(days=3), ended_at=BEGIN + timedelta(days=6))
    found = readout(running)
    assert [each["seconds"] / 86_400 for each in found["traffic_steps"]] == pytest.approx([3, 4], abs=LATE)
    assert found["paused_seconds"] == 3 * 86_400
    assert daily_units(found) == pytest.approx(A_DAY * DAYS / (3 + 4 * 0.5), rel=0.01)


def test_nothing_that_happens_after_the_end_changes_it(running: TestClient) -> None:
    ramp(running, 5000, BEGIN + timedelta(days=4))
    moved(running, "stop")
    before = readout(running)
    assert (before["traffic"], before["ended_at"] is None) == (0.5, False)
    ramp(running, 100)
    moved(running, "start")
    ramp(running, 2000)
    after = readout(running)
    assert after["generated_at"] > before["generated_at"]
    assert (after["traffic"], after["traffic_steps"]) == (0.5, before["traffic_steps"])
    assert daily_units(after) == daily_units(before) == pytest.approx(A_DAY * DAYS / (4 + 6 * 0.5), rel=0.01)


def test_it_stays_on_record_whatever_else_happens_in_the_environment(running: TestClient) -> None:
    ramp(running, 5000, BEGIN + timedelta(days=4))
    for number in range(KEPT_VERSIONS + 1):
        assert running.post("/v1/flags", json=flag(f"other-{number}")).status_code == 201
    ramp(running, 1000)
    # A change of something else is no step.
    changed_hypothesis = running.patch(
        URL, json={"hypothesis": "Another."}, headers={"If-Match": running.get(URL).headers["ETag"]}
    )
    assert changed_hypothesis.status_code == 200
    found = readout(running)
    assert [each["traffic"] for each in found["traffic_steps"]] == [1.0, 0.5, 0.1]
    assert daily_units(found) == pytest.approx(A_DAY * DAYS / (4 + 6 * 0.5), rel=0.01)


def test_without_any_record_of_its_beginning_the_impact_is_not_known_and_it_says_so(
    running: TestClient,
) -> None:
    known = readout(running)
    assert UNKNOWN not in notes(known)
    forget_ramps(running)
    ramp(running, 1000)
    found = readout(running)
    assert (found["traffic"], found["traffic_steps"], daily_units(found)) == (0.1, [], None)
    assert found["metrics"][0]["comparisons"][0]["difference"]["estimate"] is not None
    assert UNKNOWN in notes(found)
    assert not any("At full traffic" in note for note in notes(found))
    # The next revision has it again.
    moved(running, "stop")
    moved(running, "start")
    assert [each["traffic"] for each in readout(running, 2)["traffic_steps"]] == [0.1]


def notes(found: dict[str, Any]) -> list[str]:
    said: list[str] = found["metrics"][0]["notes"]
    return said


def test_the_projection_follows_from_the_readout_alone(running: TestClient) -> None:
    ramp(running, 5000, BEGIN + timedelta(days=4))
    found = readout(running)
    for name, value in (("traffic", 0.25), ("seconds", 1.0)):
        edited = copy.deepcopy(found)
        edited["traffic_steps"][1][name] = value
        assert "/metrics/0/comparisons/0/impact/daily_units" in {
            each.pointer for each in verify_readout(edited)
        }


def test_a_readout_from_before_ramps_were_on_record_is_as_it_was(running: TestClient) -> None:
    found = readout(running)
    assert len(found.pop("traffic_steps")) == 1
    del found["digests"]
    assert {each.pointer for each in verify_readout(found)} == {"/digest"}


def test_a_holdback_has_the_slots_of_what_it_holds_back(running: TestClient) -> None:
    ramp(running, 5000)
    answer = ship(running, "new-landing-page", "treatment", holdback=500)
    assert answer.status_code == 200, answer.text
    ramp(running, 1000)
    come(running, datetime.now(UTC) - timedelta(days=3), "held", revision=2)
    changed_of(running, 2, BEGIN)
    found = readout(running, 2)
    assert found["traffic"] == 0.5
    assert [each["traffic"] for each in found["traffic_steps"]] == [0.5]


def changed_of(client: TestClient, revision: int, started_at: datetime) -> None:
    with Session(database_of(client).engine) as session:
        statement = update(Revision).where(col(Revision.number) == revision)
        session.connection().execute(statement.values(started_at=started_at))
        session.commit()


def test_steps_end_with_the_next_one_and_lie_within_what_is_counted() -> None:
    begin = datetime(2026, 3, 2, tzinfo=UTC)
    hours = [begin + timedelta(hours=each) for each in range(10)]
    steps = [Step(hours[1], 1.0), Step(hours[3], 0.5), Step(hours[7], 0.0)]
    shown = steps_shown(steps, [Stretch(hours[2], hours[4])], hours[5])
    assert [(each.since, each.traffic, each.seconds) for each in shown] == [
        ("2026-03-02T01:00:00Z", 1.0, 3600),
        ("2026-03-02T03:00:00Z", 0.5, 3600),
        ("2026-03-02T07:00:00Z", 0.0, 0),
    ]
