"""Bots beside kept rows: who becomes one leaves, and who was one stays out."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from tests.service.aggregates.test_refresh import (
    KEEPING,
    SPENT,
    START,
    assert_same,
    full,
    met,
    opened,
    send,
    variant_of,
)

from equipoise_service.aggregates import service, waiting
from equipoise_service.aggregates.bases import newest
from equipoise_service.aggregates.names import digest_of
from equipoise_service.aggregates.service import analyse
from equipoise_service.analysis.requests import Bots
from equipoise_service.analysis.statistics import Statistics
from equipoise_service.events.schemas import EventIn, ExposureIn

# Hours from the start to the beginning of a day that is over by now.
DAY = 24 - START.hour
BOTS = replace(SPENT, bots=Bots(most_events=2, event="robot"))


def did(unit: int, hour: float, name: str = "buy") -> tuple[EventIn, None]:
    """One event so many hours after the day began."""
    event = EventIn(
        id=str(uuid4()),
        time=START + timedelta(hours=DAY + hour),
        unit=f"v{unit}",
        name=name,
        unit_type="user",
        value=3.0 + unit % 7,
    )
    return event, None


Refresh = Callable[[list[ExposureIn], list[tuple[EventIn, None]]], Statistics]


@pytest.fixture
def refresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Refresh]:
    """Sends exposures and events, and looks at what was added to kept sums."""
    with opened(tmp_path) as store:
        shown = [met(i, variant_of(i), 0) for i in range(80)]
        # One unit is two events into the day, one is a bot already, and one that nothing shows yet is, too.
        happened = [did(1, 1), did(1, 2), *(did(i, i - 1) for i in (2, 3, 4, 6))]
        happened += [did(unit, hour) for unit in (70, 95) for hour in (1, 2, 3)]
        send(store, shown, [*happened, *(did(i, 4) for i in range(10, 60, 3))])
        first = analyse(store, BOTS, KEEPING["never folded"])
        assert (first.bots, first.bots_by_arm) == (1, {"control": 1})
        monkeypatch.setattr(service, "_of_rows", None)

        def refreshed(shown: list[ExposureIn], more: list[tuple[EventIn, None]]) -> Statistics:
            send(store, shown, list(more))
            found = analyse(store, BOTS, KEEPING["never folded"])
            assert_same(found, full(store, BOTS))
            return found

        yield refreshed


def units_of(found: Statistics) -> int:
    return sum(arm.units for arm in found.arms.values())


def test_one_more_event_of_a_day_makes_a_bot(refresh: Refresh) -> None:
    # The second event of one unit, the third one of another, and one of the next day.
    found = refresh([], [did(1, 20), did(2, 21), did(4, 25), did(4, 26)])
    assert (found.bots, found.bots_by_arm, units_of(found)) == (2, {"control": 1, "treatment": 1}, 78)
    # Late ones, and two of one unit at once.
    found = refresh([], [did(2, 0.5), did(6, 0.2), did(6, 0.1)])
    assert (found.bots, units_of(found)) == (4, 76)


def test_one_event_of_the_rule_makes_a_bot(refresh: Refresh) -> None:
    found = refresh([], [did(3, 5, "robot"), did(5, -30, "robot"), did(7, 5, "human")])
    assert (found.bots, units_of(found)) == (3, 77)


def test_bots_that_are_exposed_later_are_left_out(refresh: Refresh) -> None:
    shown = [met(i, variant_of(i), 0) for i in (95, 96, 97)]
    found = refresh(shown, [*(did(96, hour) for hour in (7, 8, 9)), did(97, 7), did(70, 30)])
    assert (found.bots, found.bots_by_arm) == (3, {"control": 2, "treatment": 1})
    assert units_of(found) == 80


def test_who_met_both_variants_and_becomes_a_bot_is_of_no_arm(refresh: Refresh) -> None:
    found = refresh([met(1, "control"), met(4, "treatment")], [])
    assert (found.crossovers, found.bots) == (2, 1)
    found = refresh([], [did(1, 3)])
    assert (found.crossovers, found.bots, found.bots_by_arm) == (1, 2, {"control": 1})


def test_events_of_bots_do_not_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are many and nobody reads them: a base without them keeps those of who may be exposed."""
    monkeypatch.setattr(waiting, "_ONE_OF", 1)
    with opened(tmp_path) as store:
        many = [did(9, hour / 10) for hour in range(40)]
        send(store, [met(i, variant_of(i), 0) for i in range(3)], [did(0, 1), did(5, 1), *many])
        analyse(store, BOTS, KEEPING["never folded"])
        with store.workspace() as workspace:
            base = newest(workspace, digest_of(BOTS))
            assert base is not None
            assert base.waits
            table = workspace.table(base.waiting)
            kept = workspace.rows(str(workspace.backend.compile(table.select("unit"))))
        assert kept == [{"unit": "v5"}]
        send(store, [met(5, "control", 0), met(9, "control", 0)], [])
        found = analyse(store, BOTS, KEEPING["never folded"])
        assert_same(found, full(store, BOTS))
        assert found.bots == 1


def test_bots_are_forgotten_with_their_base(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        send(store, [met(i, variant_of(i), 0) for i in range(9)], [])
        for step in range(3):
            send(store, [], [did(step, 1, "robot"), did(8 - step, 2)])
            assert analyse(store, BOTS, KEEPING["always folded"]).bots == step + 1
        with store.workspace() as workspace:
            kept = [name for name in workspace.kept("base_") if name.endswith("_bots")]
        assert len(kept) == 1
