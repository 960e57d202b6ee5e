"""The check of exposures that stop while people go on: somebody does not log them, or they are lost.

Exposures of a whole day are few where there are at most a tenth of what each of the days before leads one to
expect: the last three days on which they were not few, and the same day of the week before; as they are, and
for each event of the unit type. So the check sees a fall from one day to the next, and neither seasons nor a
traffic that dies away. Events are asked for only where exposures fell: where people stayed away, nothing is
missing.

A day on which the experiment was paused, for however short, is left out: it is neither few nor usual.

Fewer exposures until the last day may be as it should be: everybody has been exposed, and each is exposed
once. Only where units are exposed again and again is something missing then.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from equipoise_service.analysis.daily_counts import events_by_day
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.events.stores.store import EventStore
from equipoise_service.readouts.checks import ExposureDay, MissingExposures
from equipoise_service.readouts.found import about
from equipoise_service.readouts.losses import WITHOUT_TIMES, Arrivals
from equipoise_service.readouts.pauses import Stretch, is_paused_on
from equipoise_service.texts.saying import counted, say
from equipoise_stats import CheckStatus

MOST_DAYS = 120
"""Of a longer experiment the last days are looked at."""

_DAYS_BEFORE = 3
_WEEK = 7
_FEW = 0.1
# Fewer may fall to a tenth by chance.
_LEAST_EXPECTED = 50.0
_MOST_SHOWN = 5
# Exposures for each unit from which on units are exposed again and again.
_REPEATED = 1.5


CountEvents = Callable[[datetime, datetime], Mapping[str, int]]
"""Counts the events of the unit type by day (UTC), from one moment up to another, both without a zone."""


def with_events(
    store: EventStore, request: StoreRequest, arrivals: Arrivals, pauses: Sequence[Stretch] = ()
) -> Arrivals:
    """Arrivals with the events of each whole day, where exposures fell; the days are those that are whole.

    Args:
        store: Where they are.
        request: Which revision, and when it is analysed.
        arrivals: What `losses.arrivals_of` gives.
        pauses: When the revision was paused.
    """
    days = _whole_days(arrivals.days or (), request)
    paused = [each.day for each in days if is_paused_on(date.fromisoformat(each.day), pauses)]

    def count(first: datetime, end: datetime) -> Mapping[str, int]:
        with store.ibis() as backend:
            return events_by_day(backend, backend.table("events"), request, first, end)

    return replace(arrivals, days=_beside_events(days, paused, count), paused=paused)


def arrivals_in_file(
    exposures: Mapping[str, int] | None, events: Mapping[str, int] | None, request: StoreRequest
) -> Arrivals:
    """The arrivals of the exposures in a file.

    Args:
        exposures: How many there are of each day; None without times.
        events: The same of events.
        request: When it began, and when it is analysed.
    """
    if exposures is None:
        return WITHOUT_TIMES

    def count(*_: datetime) -> Mapping[str, int]:
        return events or {}

    return arrivals_of_facts(exposures, request, count)


def arrivals_of_facts(exposures: Mapping[str, int], request: StoreRequest, count: CountEvents) -> Arrivals:
    """The arrivals of exposures in a file or a warehouse: nobody knows when they came, nor of pauses.

    Args:
        exposures: How many there are of each day.
        request: When it began, and when it is analysed.
        count: Counts the events of each day, where exposures fell.
    """
    found = [ExposureDay(day=day, exposures=number) for day, number in exposures.items()]
    days = _beside_events(_whole_days(found, request), (), count)
    return Arrivals(sum(exposures.values()), None, days)


def missing_exposures(arrivals: Arrivals | None, units: int) -> MissingExposures | None:
    """Days on which there were few exposures while people went on; None before a whole day.

    Args:
        arrivals: The exposures.
        units: How many units were exposed.
    """
    if arrivals is None:
        return None
    if arrivals.days is None:
        nothing = about(
            "missing_exposures", CheckStatus.UNAVAILABLE, say("rests_on.not_known"), say("found.no_times")
        )
        return MissingExposures(**nothing, days=[], missing=[], paused=None)
    if not arrivals.days:
        return None
    repeated = (arrivals.exposures or 0) >= _REPEATED * units
    few = few_on(arrivals.days, arrivals.paused or (), repeated=repeated)
    number = counted("days", len(few))
    status, reason = CheckStatus.OK, None
    if few:
        status = CheckStatus.WARNING
        shown = ", ".join(few[:_MOST_SHOWN])
        more = say("found.more_days", count=len(few) - _MOST_SHOWN) if len(few) > _MOST_SHOWN else ""
        reason = say("found.missing_exposures", days=shown + more, share=f"{100 * _FEW:g} %")
    return MissingExposures(
        **about("missing_exposures", status, number, reason),
        days=list(arrivals.days),
        missing=few,
        paused=None if arrivals.paused is None else list(arrivals.paused),
    )


def few_on(days: Sequence[ExposureDay], paused: Collection[str] = (), *, repeated: bool) -> list[str]:
    """The days with few exposures.

    Args:
        days: Whole days, one after the other.
        paused: Those of them that are left out.
        repeated: Whether units are exposed again and again, so that exposures that end are missing.
    """
    usual: list[int] = []
    few: list[int] = []
    for i, each in enumerate(days):
        if each.day in paused:
            continue
        before = usual[-_DAYS_BEFORE:]
        like = [days[k] for k in (*before, i - _WEEK) if k in usual]
        if len(before) == _DAYS_BEFORE and _is_few(each, like):
            few.append(i)
        else:
            usual.append(i)
    while few and not repeated and few[-1] > max(usual):
        few.pop()
    return [days[i].day for i in few]


def _is_few(day: ExposureDay, like: Sequence[ExposureDay]) -> bool:
    """Whether a day has few exposures beside days like it, also for its events where they are known."""
    fewest: float = min(each.exposures for each in like)
    if day.events is not None:
        rates = [each.exposures / each.events for each in like if each.events]
        fewest = min([fewest, *(rate * day.events for rate in rates)])
    return fewest >= _LEAST_EXPECTED and day.exposures <= _FEW * fewest


def _whole_days(days: Sequence[ExposureDay], request: StoreRequest) -> tuple[ExposureDay, ...]:
    """All whole days of a revision, also those without any exposure; the last ones of them."""
    if request.since is None:
        return ()
    end = request.as_of if request.until is None else min(request.as_of, request.until)
    first = request.since.astimezone(UTC).date() + timedelta(days=1)
    number = (end.astimezone(UTC).date() - first).days
    found = {each.day: each for each in days}
    names = [(first + timedelta(days=i)).isoformat() for i in range(max(0, number))]
    return tuple(found.get(name) or ExposureDay(day=name, exposures=0) for name in names[-MOST_DAYS:])


def _beside_events(
    days: Sequence[ExposureDay], paused: Collection[str], count: CountEvents
) -> Sequence[ExposureDay]:
    """The days with the events of each, where exposures fell."""
    if not few_on(days, paused, repeated=True):
        return days
    first = datetime.combine(date.fromisoformat(days[0].day), datetime.min.time())
    end = datetime.combine(date.fromisoformat(days[-1].day), datetime.min.time()) + timedelta(days=1)
    found = count(first, end)
    return tuple(each.model_copy(update={"events": found.get(each.day, 0)}) for each in days)
