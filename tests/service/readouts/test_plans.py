"""Plans over HTTP: locked at the start, changed on record only, looked at once a look."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlmodel import select
from tests.service.assigned import assigned_units
from tests.service.readouts.test_endpoint import event, exposure, send

from equipoise_service.canonical import digest
from equipoise_service.plans.models import LockedPlan
from equipoise_service.readouts.verification import verify_readout

URL = "/v1/experiments/new-landing-page"
PLAN = {"horizon": {"units": 400}, "looks": {"count": 4}, "targets": {"converted": {"mde": 0.2}}}


@pytest.fixture
def planned(client: TestClient, payload: Any) -> TestClient:
    assert client.post("/v1/experiments", json=payload(plan=PLAN)).status_code == 201
    assert client.post(f"{URL}/start").status_code == 200
    return client


def patch(client: TestClient, **changes: Any) -> Any:
    etag = client.get(URL).headers["ETag"]
    return client.patch(URL, json=changes, headers={"If-Match": etag})


def come(client: TestClient, first: int, last: int, *, converted: tuple[int, int]) -> None:
    """Units that come, as many in each arm; of ten, so many convert in the control and in the treatment."""
    exposures, events = [], []
    units = assigned_units(client, "new-landing-page", last)
    for i in range(first, last):
        for variant, share in zip(("control", "treatment"), converted, strict=True):
            unit = units[variant][i]
            exposures.append(exposure(unit, variant))
            events += [event(unit)] if i % 10 < share else []
    send(client, exposures, events)


def readout(client: TestClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"{URL}/readout?wait=60").json()
    assert verify_readout(found) == []
    return found


def test_the_plan_is_locked_with_every_default_resolved(planned: TestClient) -> None:
    found = readout(planned)
    assert found["plan"]["method"] == "group-sequential"
    assert found["plan"]["tuning_units"] == 200
    assert found["plan"]["metrics"][0]["mde"] == 0.2
    assert found["locked"]["digest"] == found["plan_digest"]
    assert found["deviations"] == []
    assert planned.get(URL).json()["plan"]["horizon"] == {"units": 400, "days": None, "date": None}


def test_a_plan_that_was_locked_before_members_were_added_keeps_its_digest(planned: TestClient) -> None:
    with planned.app.state.database.write() as session:  # type: ignore[attr-defined]
        (locked,) = session.exec(select(LockedPlan)).all()
        document = {name: value for name, value in locked.plan.items() if name not in ("segments", "bots")}
        document["metrics"] = [
            {name: value for name, value in each.items() if name not in ("steps", "level")}
            for each in document["metrics"]
        ]
        assert document["horizon"]
        locked.plan, locked.digest = document, digest(document)
        session.add(locked)
    found = readout(planned)
    assert found["plan"] == document
    assert found["locked"]["digest"] == found["plan_digest"] == digest(document)
    # What differs only in members that it lacks is no change.
    assert patch(planned, plan=PLAN).status_code == 200
    assert patch(planned, plan=PLAN | {"alpha": 0.1}, deviation="wider").status_code == 200
    changed = readout(planned)
    assert [each["changed"] for each in changed["deviations"]] == [["/alpha"]]
    assert changed["plan"].keys() > document.keys()


def test_a_change_after_the_start_needs_a_reason_and_stays_on_record(planned: TestClient) -> None:
    locked = readout(planned)["plan_digest"]
    wider = PLAN | {"alpha": 0.1}
    refused = patch(planned, plan=wider)
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:equipoise:problem:frozen-field")
    assert "/alpha" in refused.json()["detail"]
    assert readout(planned)["plan"]["alpha"] == 0.05
    assert patch(planned, plan=wider, deviation="The team can bear more risk.").status_code == 200
    found = readout(planned)
    (deviation,) = found["deviations"]
    assert (deviation["reason"], deviation["changed"]) == ("The team can bear more risk.", ["/alpha"])
    assert deviation["by"] in planned.headers["Authorization"]
    assert deviation["digest"] == found["plan_digest"] != locked == found["locked"]["digest"]
    assert "The plan was changed once after the start." in found["summary"]


def weighted(control: int, treatment: int) -> list[dict[str, Any]]:
    return [
        {"key": "control", "weight": control, "control": True},
        {"key": "treatment", "weight": treatment},
    ]


NEW_REVISIONS: list[dict[str, Any]] = [
    {"variants": weighted(3000, 7000)},
    {"audience": {"attribute": "country", "operator": "equals", "value": "DE"}},
    {"holdouts": ["year"]},
]
"""Changes of who is compared, each of which begins another revision."""


@pytest.mark.parametrize("who", NEW_REVISIONS, ids=lambda who: next(iter(who)))
@pytest.mark.parametrize("status", ["running", "paused"])
def test_a_plan_that_changes_with_a_new_revision_needs_a_reason_and_is_on_record(
    planned: TestClient, who: dict[str, Any], status: str
) -> None:
    assert planned.post("/v1/holdouts", json={"key": "year", "name": "Year", "share": 500}).status_code == 201
    if status == "paused":
        assert planned.post(f"{URL}/pause").status_code == 200
    before = planned.get(URL).json()
    change = who | {"plan": PLAN | {"alpha": 0.1}}
    refused = patch(planned, **change)
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:equipoise:problem:frozen-field")
    assert "this changes /alpha." in refused.json()["detail"]
    assert planned.get(URL).json() == before
    assert patch(planned, **change, deviation="The team can bear more risk.").status_code == 200
    found = readout(planned)
    assert (found["revision"], found["plan"]["alpha"]) == (2, 0.1)
    (deviation,) = found["deviations"]
    assert (deviation["reason"], deviation["changed"]) == ("The team can bear more risk.", ["/alpha"])
    assert deviation["by"] in planned.headers["Authorization"]
    assert deviation["at"] == found["locked"]["at"] == found["started_at"]
    assert deviation["digest"] == found["locked"]["digest"] == found["plan_digest"]
    assert "The plan was changed once after the start." in found["summary"]
    history = [(each["kind"], each["revision"]) for each in planned.get(f"{URL}/history").json()]
    assert history.index(("started", 2)) < history.index(("deviated", 2))
    assert ("deviated", 1) not in history
    first = planned.get(f"{URL}/readout?revision=1&wait=60").json()
    assert (first["plan"]["alpha"], first["deviations"]) == (0.05, [])


def test_other_metrics_with_other_weights_need_a_reason(planned: TestClient) -> None:
    other = [{"key": "revenue", "type": "mean", "event": "purchase"}]
    change = {"variants": weighted(3000, 7000), "metrics": other, "plan": {}}
    refused = patch(planned, **change)
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:equipoise:problem:frozen-field")
    assert patch(planned, **change, deviation="Another question.").status_code == 200
    found = readout(planned)
    assert found["plan"]["metrics"][0]["key"] == "revenue"
    assert "/metrics/0/key" in found["deviations"][0]["changed"]


@pytest.mark.parametrize("more", [{}, {"plan": PLAN}, {"deviation": "Nothing in the plan."}], ids=str)
def test_a_new_revision_under_the_same_plan_is_no_deviation(
    planned: TestClient, more: dict[str, Any]
) -> None:
    assert patch(planned, variants=weighted(3000, 7000), **more).status_code == 200
    found = readout(planned)
    assert (found["revision"], found["deviations"]) == (2, [])
    assert [arm["weight"] for arm in found["plan"]["variants"]] == [3000, 7000]


def test_a_new_revision_is_compared_with_the_plan_as_it_was_last(planned: TestClient) -> None:
    wider = PLAN | {"alpha": 0.1}
    assert patch(planned, plan=wider, deviation="More risk.").status_code == 200
    assert patch(planned, plan=wider, variants=weighted(3000, 7000)).status_code == 200
    assert readout(planned)["deviations"] == []
    back = {"plan": PLAN, "variants": weighted(5000, 5000)}
    assert patch(planned, **back).status_code == 409
    assert patch(planned, **back, deviation="Less risk.").status_code == 200
    assert patch(planned, plan=wider, deviation="More after all.").status_code == 200
    found = readout(planned)
    assert [each["reason"] for each in found["deviations"]] == ["Less risk.", "More after all."]
    assert found["deviations"][0]["digest"] == found["locked"]["digest"]
    assert found["deviations"][1]["digest"] == found["plan_digest"]


def test_a_look_freezes_nothing_of_the_plan_of_a_new_revision(planned: TestClient) -> None:
    come(planned, 0, 60, converted=(2, 2))
    assert planned.post(f"{URL}/looks").status_code == 201
    change = {"plan": PLAN | {"alpha": 0.1}, "variants": weighted(3000, 7000)}
    assert "Give `deviation`" in patch(planned, **change).json()["detail"]
    assert patch(planned, **change, deviation="More risk.").status_code == 200
    found = readout(planned)
    assert (found["looks"], found["plan"]["alpha"], len(found["deviations"])) == ([], 0.1, 1)


def test_a_change_of_who_is_compared_before_a_start_needs_no_reason(planned: TestClient) -> None:
    planned.post(f"{URL}/stop")
    change = {"plan": PLAN | {"alpha": 0.1}, "variants": weighted(3000, 7000)}
    assert patch(planned, **change).status_code == 200
    planned.post(f"{URL}/start")
    assert readout(planned)["deviations"] == []


def test_what_changes_nothing_needs_no_reason(planned: TestClient) -> None:
    assert patch(planned, plan=PLAN).status_code == 200
    assert readout(planned)["deviations"] == []


def test_the_metrics_of_an_older_revision_stay_as_they_were(planned: TestClient) -> None:
    planned.post(f"{URL}/stop")
    other = [{"key": "revenue", "type": "mean", "event": "purchase"}]
    assert patch(planned, metrics=other, plan={}).status_code == 200
    planned.post(f"{URL}/start")
    keys = {
        number: planned.get(f"{URL}/readout", params={"revision": number, "wait": 60}).json()["plan"][
            "metrics"
        ][0]["key"]
        for number in (1, 2)
    }
    assert keys == {1: "converted", 2: "revenue"}


@pytest.mark.parametrize(
    ("plan", "pointer"),
    [
        ({"targets": {"clicks": {"mde": 0.1}}}, "/plan/targets/clicks"),
        ({"targets": {"converted": {"margin": 0.1}}}, "/plan"),
        ({"method": "group-sequential"}, "/plan"),
        # Each refresh would be another test at the whole of alpha.
        ({"method": "fixed-horizon"}, "/plan/horizon"),
        ({"horizon": {"days": 7}, "method": "fixed-horizon", "looks": {"count": 2}}, "/plan"),
        ({"method": "bayesian"}, "/plan"),
        ({"looks": {"count": 3}}, "/plan"),
        ({"horizon": {"units": 100}, "multiplicity": "dunnett"}, "/plan"),
        ({"horizon": {}}, "/plan/horizon"),
    ],
)
def test_a_plan_that_does_not_fit_is_refused(
    client: TestClient, payload: Any, plan: dict[str, Any], pointer: str
) -> None:
    answer = client.post("/v1/experiments", json=payload(plan=plan))
    assert answer.status_code == 422
    assert pointer in [each["pointer"] for each in answer.json()["errors"]]


def test_reading_spends_nothing_and_shows_no_p_value_between_looks(planned: TestClient) -> None:
    come(planned, 0, 60, converted=(2, 6))
    for _ in range(2):
        found = readout(planned)
        (comparison,) = found["metrics"][0]["comparisons"]
        assert comparison["difference"]["p_value"] is None
        assert "looks only" in comparison["difference"]["p_value_reason"]
        assert comparison["corrected"] is None
        assert (found["looks"], found["progress"]["valid"]) == ([], False)
        assert found["recommendation"]["outcome"] == "keep_running"
        assert found["recommendation"]["until"]["units_left"] == 280
    assert planned.get(f"{URL}/looks").json() == []


def test_looks_are_taken_on_schedule_spend_alpha_once_and_are_kept(planned: TestClient) -> None:
    come(planned, 0, 30, converted=(2, 2))
    early = planned.post(f"{URL}/looks")
    assert (early.status_code, early.json()["type"]) == (409, "urn:equipoise:problem:no-look-due")
    assert "0.25 of the horizon" in early.json()["detail"]
    come(planned, 30, 60, converted=(2, 2))
    taken = planned.post(f"{URL}/looks")
    assert taken.status_code == 201
    first = taken.json()
    assert verify_readout(first) == []
    assert first["looks"][0]["fractions"] == {"converted": 0.3}
    # O'Brien-Fleming's 2 − 2 Φ(z(0.0125) / √0.3) on each side.
    assert first["looks"][0]["spent"] == pytest.approx(8.5e-5, rel=0.02)
    assert first["progress"]["look"] == 1
    assert first["metrics"][0]["comparisons"][0]["difference"]["p_value"] is not None
    assert planned.post(f"{URL}/looks").status_code == 409
    # The same statistics are the same look; newer ones are none.
    assert readout(planned)["progress"]["look"] == 1
    come(planned, 60, 200, converted=(2, 6))
    assert readout(planned)["progress"]["look"] is None
    last = planned.post(f"{URL}/looks").json()
    assert [look["fractions"]["converted"] for look in last["looks"]] == [0.3, 1.0]
    assert last["looks"][1]["spent"] == pytest.approx(0.05)
    assert last["progress"]["complete"]
    assert (last["recommendation"]["outcome"], last["recommendation"]["variant"]) == ("ship", "treatment")
    # Newer data keep the conclusion, and refer to it.
    come(planned, 200, 230, converted=(4, 4))
    newer = readout(planned)["recommendation"]
    assert (newer["outcome"], newer["variant"], newer["reasons"]) == tuple(
        last["recommendation"][name] for name in ("outcome", "variant", "reasons")
    )
    assert (newer["stands"]["look"], newer["stands"]["readout_digest"]) == (2, last["digest"])
    assert [look["number"] for look in planned.get(f"{URL}/looks").json()] == [1, 2]
    assert planned.get(f"{URL}/looks/1").json() == first
    assert planned.get(f"{URL}/looks/3").status_code == 404
    assert "All of alpha is spent" in planned.post(f"{URL}/looks").json()["detail"]
    frozen = patch(planned, plan=PLAN | {"alpha": 0.1}, deviation="More.")
    assert frozen.status_code == 409
    assert "spent twice" in frozen.json()["detail"]


def test_a_look_is_taken_once_however_many_ask(planned: TestClient) -> None:
    come(planned, 0, 60, converted=(2, 2))
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: planned.post(f"{URL}/looks"), range(4)))
    # Who asks while it is being taken gets it, too; who comes later is told that it was taken.
    taken = [each.json() for each in answers if each.status_code == 201]
    assert {each.status_code for each in answers} <= {201, 409}
    assert taken
    assert taken == [planned.get(f"{URL}/looks/1").json()] * len(taken)
    assert len(planned.get(f"{URL}/looks").json()) == 1


def test_an_experiment_that_stops_early_has_a_final_look_that_spends_no_more_than_was_planned(
    planned: TestClient,
) -> None:
    """Whoever stops it may have seen how it goes: to spend the rest would be a free look."""
    come(planned, 0, 60, converted=(2, 4))
    planned.post(f"{URL}/stop")
    assert "the final look is due" in readout(planned)["summary"]
    found = planned.post(f"{URL}/looks").json()
    assert verify_readout(found) == []
    (look,) = found["looks"]
    assert (look["final"], look["stopped"]) == (True, True)
    assert look["spent"] == pytest.approx(8.5e-5, rel=0.02)
    assert found["metrics"][0]["comparisons"][0]["difference"]["estimate"] > 0
    assert found["recommendation"]["outcome"] == "do_not_ship"
    assert "stopped at 30.0 % of its horizon" in found["summary"]
    assert planned.post(f"{URL}/looks").json()["type"] == "urn:equipoise:problem:no-look-due"


def test_what_is_clear_is_shipped_though_it_was_stopped_early(planned: TestClient) -> None:
    come(planned, 0, 60, converted=(1, 9))
    planned.post(f"{URL}/stop")
    found = planned.post(f"{URL}/looks").json()
    assert verify_readout(found) == []
    assert (found["recommendation"]["outcome"], found["looks"][0]["stopped"]) == ("ship", True)


def test_the_schema_is_published_and_holds(planned: TestClient) -> None:
    schema = planned.get("/v1/schemas/readout?wait=60").json()
    assert schema["properties"]["schema"]["const"] == "equipoise.readout/2"
    assert set(schema["required"]) <= set(readout(planned)) | {"schema"}


def test_times_are_of_now(planned: TestClient) -> None:
    found = readout(planned)
    started, locked = (datetime.fromisoformat(found[name]) for name in ("started_at", "generated_at"))
    assert started <= datetime.fromisoformat(found["locked"]["at"]) <= locked <= datetime.now(UTC)
