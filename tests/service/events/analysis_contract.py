"""What every event store has to do for analyses: workspaces, and refreshes as good as full analyses."""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from importlib.util import find_spec
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pytest
from tests.service.crash.checks import differences
from tests.service.events.contract import TIME, Open, append, batch, event, exposure, rows

from equipoise.identifiers import uuid7
from equipoise_service.aggregates.service import Keeping, analyse
from equipoise_service.analysis.requests import Bots, Identity, StoreRequest
from equipoise_service.analysis.sources import first_exposures
from equipoise_service.analysis.store import analyse_store
from equipoise_service.events.schemas import DroppedIn, EventIn, ExposureIn
from equipoise_service.events.stores.store import EventStore
from equipoise_service.events.tail import Shown, look
from equipoise_service.metrics.measures import Measure
from equipoise_service.metrics.schemas import Aggregation, Covariate, MetricType
from equipoise_service.readouts.losses import Dropped, arrivals_of, dropped_between
from equipoise_service.recomputation.audit import Randomisation
from equipoise_service.recomputation.drawn import Recomputed, recompute_drawn


def test_a_workspace_keeps_what_lasts(open_store: Open) -> None:
    with open_store() as store:
        append(store, batch([exposure(str(uuid4()), f"u{i}") for i in range(5)]))
        with store.workspace() as workspace:
            exposures = workspace.backend.table("exposures").select("unit", "unit_hash")
            workspace.keep("passing", exposures.filter(exposures.unit != "u0"))
            named = workspace.bring("named", pa.table({"unit": ["u1", "u2"]}))
            kept = workspace.keep("lasting_1", exposures.semi_join(named, "unit"), lasting=True)
            assert sorted(workspace.backend.to_pyarrow(kept)["unit"].to_pylist()) == ["u1", "u2"]
            # Commits go on meanwhile, and are not seen.
            append(store, batch([exposure(str(uuid4()), "late")]))
        with store.workspace() as workspace:
            assert workspace.kept("lasting") == ["lasting_1"]
            workspace.keep("passing", workspace.backend.table("lasting_1"))
        assert len(rows(store, "lasting_1")) == 2
    with open_store() as store:
        with store.workspace() as workspace:
            workspace.forget("lasting_1")
        with store.workspace() as workspace:
            assert workspace.kept("lasting") == []


def test_a_workspace_that_fails_keeps_nothing(open_store: Open) -> None:
    with open_store() as store:
        append(store, batch([exposure(str(uuid4()))]))
        with pytest.raises(RuntimeError, match="in the middle"):
            _keep_and_fail(store)
        with store.workspace() as workspace:
            assert workspace.kept("lasting") == []


def _keep_and_fail(store: EventStore) -> None:
    with store.workspace() as workspace:
        workspace.keep("lasting_2", workspace.backend.table("exposures").select("unit"), lasting=True)
        raise RuntimeError("in the middle")


def test_an_empty_store_can_be_asked(open_store: Open) -> None:
    with open_store() as store:
        assert look(store, "default/a", Shown(), datetime(2026, 1, 1)).items == []
        assert analyse(store, _request()).watermark is None


def test_units_are_left_out_by_their_id(open_store: Open) -> None:
    with open_store() as store:
        named = [exposure(str(uuid4()), unit) for unit in ("u1", "u2", "it's", "\\")]
        append(store, batch(named))
        found = analyse(store, _request(left_out=("u2", "it's", "\\", "nobody")))
        assert (found.arms["treatment"].units, found.overridden) == (1, 3)
        _, overridden = first_exposures(store, _request(left_out=("u2",)), 10)
        assert overridden == 1


def test_an_item_of_joined_units_counts_once(open_store: Open) -> None:
    login = event(str(uuid4()), "d1", unit_type="device", name="login")
    alone = event(str(uuid4()), "d1", unit_type="device", value=2.0)
    both = [event(str(id := uuid4()), "u1", value=5.0), event(str(id), "d1", unit_type="device", value=5.0)]
    texts = ['{"user":"u1"}', None, None, None]
    spent = Measure("spent", MetricType.MEAN, "purchase")
    asked = _request(measures=(spent,), identity=Identity("device", "user", "login", "user"))
    with open_store() as store:
        shown = [exposure(str(uuid4()), "u1")]
        append(store, batch(shown, [login, alone, *both], properties=texts, event_heads=[0, 1, 2, 2]))
        arm = analyse(store, asked).arms["treatment"]
    assert (arm.units, arm.values["spent"].mean) == (1, (7.0,))  # type: ignore[union-attr]


def test_many_may_refresh_at_once(open_store: Open) -> None:
    bought = Measure("bought", MetricType.PROPORTION, "purchase")
    asked = _request(measures=(bought,), bots=Bots(most_events=9))
    with open_store() as store, ThreadPoolExecutor(3) as pool:
        for number in range(1, 4):
            append(store, batch([exposure(str(uuid4()), f"u{number}")]))
            together = pool.map(lambda _: analyse(store, asked, Keeping(0, 0.0)), range(3))
            assert [each.arms["treatment"].units for each in together] == [number] * 3


@pytest.mark.parametrize("left_out", [None, Bots(most_events=2, event="robot")], ids=["all", "no bots"])
def test_a_refresh_gives_the_numbers_of_a_full_analysis(
    open_store: Open, monkeypatch: pytest.MonkeyPatch, left_out: Bots | None
) -> None:
    """Of units that are known, that are new, with events that waited or not, and of a crossover."""
    # ClickHouse lets a minute pass before it counts a fact.
    settles = "equipoise_service.events.stores.clickhouse.workspace.SETTLES_AFTER"
    if find_spec("clickhouse_connect"):
        monkeypatch.setattr(settles, timedelta(0))
    now = datetime.now(UTC)
    spent = Measure("spent", MetricType.MEAN, "purchase", pre_period_days=2)
    largest = Measure("largest", MetricType.MEAN, "purchase", Aggregation.MAXIMUM, pre_period_days=1)
    looks = Covariate(event="look", aggregation=Aggregation.COUNT, pre_period_days=2)
    looked = Measure("looked", MetricType.MEAN, "purchase", covariate=looks)
    # Only those who were exposed twenty hours ago are mature.
    soon = Measure("soon", MetricType.MEAN, "purchase", window_hours=30)
    measures = (spent, largest, looked, soon)
    asked = _request(measures=measures, as_of=now + timedelta(days=1), bots=left_out)

    def shown(unit: int, hours: float, variant: str = "") -> ExposureIn:
        found = exposure(str(uuid4()), f"u{unit}", variant=variant or ("control", "treatment")[unit % 2])
        found.time = now - timedelta(hours=hours)
        return found

    def bought(unit: int, hours: float, value: float, name: str = "purchase") -> EventIn:
        return event(str(uuid4()), f"u{unit}", time=now - timedelta(hours=hours), value=value, name=name)

    with open_store() as store:
        events = [bought(unit, hours, unit + hours) for unit in range(14) for hours in (1.5, 40, 100)]
        append(store, batch([shown(unit, 20) for unit in range(10)], events))
        for exposures, more in (
            ([], []),
            (
                [shown(10, 1), shown(11, 2)],
                [
                    *(bought(11, 0.5, 3), bought(11, 30, 4), bought(3, 1, 5)),
                    *(bought(unit, 21, 1, "look") for unit in (2, 3, 3, 10, 11)),
                ],
            ),
            ([shown(12, 60), shown(0, 1, "treatment"), shown(1, 30)], [bought(12, 70, 6), bought(0, 1, 7)]),
            # Bots by what they did and by how much of it, and one that is exposed after it was one.
            ([], [bought(4, 1, 1, "robot"), bought(13, 90, 1, "robot"), bought(5, 40, 2), bought(5, 40, 2)]),
            ([shown(13, 3)], [bought(4, 2, 8), bought(6, 1, 9)]),
        ):
            append(store, batch(exposures, more))
            found = analyse(store, asked, Keeping(0, math.inf))
            with store.workspace() as workspace:
                full = analyse_store(workspace.backend, asked, keep=workspace.keep)
            assert differences(found, full) == []
        assert found.bots == (None if left_out is None else full.bots)
        assert left_out is None or (found.bots or 0) >= 3


def test_what_readouts_check_is_counted(open_store: Open) -> None:
    drawn = Randomisation("9ab1c3d4e5f60718", (("control", 0, 5_000), ("treatment", 5_000, 10_000)))
    units = ["it's", "\\", *(f"u{i}" for i in range(200))]
    met = {unit: "control" if i < 50 else drawn.variant(unit) for i, unit in enumerate(units)}
    shown = [exposure(str(uuid4()), unit, variant=variant) for unit, variant in met.items()]
    for each in shown[:7]:
        each.time = TIME + timedelta(days=1)
    with open_store() as store:
        append(store, batch(shown, [event(str(uuid4()))], dropped=DroppedIn(uuid7(), {"full": 3})))
        before = datetime(2026, 1, 1, tzinfo=UTC)
        assert dropped_between(store, "default/a", before, None) == Dropped({"full": 3}, 203)
        # Asked twice: the second time the statements are remembered.
        for left_out, until in (((), None), (("it's", "u5"), None), ((), TIME + timedelta(hours=1))) * 2:
            asked = _request(left_out=left_out, until=until)
            days = {TIME.date(): 195} if until else {TIME.date(): 195, TIME.date() + timedelta(days=1): 7}
            arrivals = arrivals_of(store, asked)
            assert {date.fromisoformat(each.day): each.exposures for each in arrivals.days or ()} == days
            assert arrivals.late == sum(days.values())
            theirs = {unit for unit in units[7 if until else 0 :] if unit not in left_out}
            wrong = {unit for unit in theirs if met[unit] != drawn.variant(unit)}
            assert recompute_drawn(store, asked, drawn, 202) == Recomputed(0, len(theirs), len(wrong))
            assert wrong


def _request(**changes: Any) -> StoreRequest:
    return replace(StoreRequest("default/a", "page", 2, "user", (), TIME), **changes)
