"""What senders say that they gave up, before it reached the service, and what arrived late."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import ibis
import ibis.expr.types as ir

from equipoise_service.analysis.asking import statement_of
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.units import exposures_of, which_exposures
from equipoise_service.events.stores.store import EventStore
from equipoise_service.readouts.checks import ExposureDay

LATE_AFTER = timedelta(days=1)
"""An exposure that arrives later than this after it happened misses the readouts of its day."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """How the exposures of a revision arrived.

    Attributes:
        exposures: How many there are; None where nobody counted them.
        late: How many of them arrived more than `LATE_AFTER` after they happened; None where facts do not say
            when they arrived, as in a file or a warehouse.
        days: How many there are of each day (UTC), in order; empty before a whole day, None without times.
        paused: Those of the days on which the experiment was paused; None where that is not known.
    """

    exposures: int | None
    late: int | None
    days: Sequence[ExposureDay] | None = ()
    paused: Sequence[str] | None = None


WITHOUT_TIMES = Arrivals(None, None, None)
"""Of rows that have no times."""


def arrivals_of(store: EventStore, request: StoreRequest) -> Arrivals:
    """How the exposures of a revision arrived.

    Args:
        store: Where they are.
        request: Which revision.
    """
    with store.workspace() as workspace:

        def query() -> ir.Table:
            shown = exposures_of(workspace.table("exposures"), request)
            late = shown.received_at > shown.time + ibis.interval(hours=LATE_AFTER // timedelta(hours=1))
            return shown.group_by(day=shown.time.date()).agg(
                exposures=shown.count(), late=ibis.ifelse(late, 1, 0).sum()
            )

        found = workspace.rows(statement_of(workspace, "arrivals", which_exposures(request), query))
    days = sorted((row["day"].isoformat()[:10], int(row["exposures"])) for row in found)
    return Arrivals(
        sum(exposures for _, exposures in days),
        sum(int(row["late"]) for row in found),
        [ExposureDay(day=day, exposures=exposures) for day, exposures in days],
    )


@dataclass(frozen=True, slots=True)
class Dropped:
    """What the senders of an environment gave up, beside what came.

    A sender counts from its own beginning on, so that of one that had lost something before the start it is
    not known how much it lost since.

    Attributes:
        reasons: How many exposures and events they gave up, by reason: at most, as senders that had lost
            something before the start count in full. None of a file or a warehouse: no sender reports there.
        received: How many came meanwhile; None where nobody asked, as nothing was given up.
        earlier: How many of them are of senders that had lost something before the start.
        received_longer: How many came since the first report of such a sender; None where there is none.
    """

    reasons: Mapping[str, int] | None
    received: int | None = None
    earlier: int = 0
    received_longer: int | None = None

    @property
    def items(self) -> int:
        """How many they gave up, at most."""
        return sum((self.reasons or {}).values())

    @property
    def share(self) -> float | None:
        """The part of what was logged since the start that was given up; None where it is not known.

        What earlier senders gave up is taken as spread evenly over what came since their first report.

        Example:
            >>> round(Dropped({"queue_full": 249}, received=963).share or 0, 4)
            0.2054
            >>> round(Dropped({"queue_full": 249}, 963, earlier=249, received_longer=9_630).share or 0, 4)
            0.0252
        """
        if self.received is None:
            return None
        lost = float(self.items)
        if self.received_longer:
            lost -= self.earlier * (1 - self.received / self.received_longer)
        return lost / (lost + self.received) if lost else 0.0


NO_REPORTS = Dropped(None)
"""Of facts in a file or a warehouse."""


def dropped_between(store: EventStore, place: str, start: datetime, end: datetime | None) -> Dropped:
    """How much the senders of an environment gave up, and how much came.

    Args:
        store: Where the reports are.
        place: The environment.
        start: Only senders that reported more since then.
        end: Only what a sender first reported before then; without end when absent.
    """
    with store.workspace() as workspace:
        backend = workspace.backend

        def query() -> ir.Table:
            dropped = workspace.table("dropped")
            chosen = dropped.filter(dropped.place == place, dropped.last_at >= _stored(start))
            if end is not None:
                chosen = chosen.filter(chosen.first_at <= _stored(end))
            before = chosen.first_at < _stored(start)
            return chosen.group_by("reason").agg(
                total=chosen["count"].sum(),
                earlier=ibis.ifelse(before, chosen["count"], 0).sum(),
                first=chosen.first_at.min(),
            )

        found = workspace.rows(statement_of(workspace, "dropped", (place, start, end), query))
        rows = sorted(found, key=lambda row: str(row["reason"]))
        if not any(row["total"] for row in rows):
            return Dropped({row["reason"]: int(row["total"]) for row in rows})
        first = min((row["first"] for row in rows if row["earlier"]), default=None)
        return Dropped(
            {row["reason"]: int(row["total"]) for row in rows},
            _received(backend, place, _stored(start), end),
            sum(int(row["earlier"]) for row in rows),
            None if first is None else _received(backend, place, first, end),
        )


def _received(backend: Any, place: str, start: datetime, end: datetime | None) -> int:
    """How many exposures and events of an environment came between two moments."""

    def came(facts: ir.Table) -> int:
        theirs = facts.filter(facts.place == place, facts.received_at >= start)
        if end is not None:
            theirs = theirs.filter(theirs.received_at <= _stored(end))
        return int(backend.to_pyarrow(theirs.count()).as_py())

    return came(backend.table("exposures")) + came(backend.table("events"))


def _stored(moment: datetime) -> datetime:
    """A time as the event store has it: UTC without a zone."""
    return moment.astimezone(UTC).replace(tzinfo=None)
