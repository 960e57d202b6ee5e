"""Analyses of the facts of a source, where they lie."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import ibis.expr.types as ir
import pyarrow as pa

from equipoise_service.analysis.ages import Ages, analyse_ages
from equipoise_service.analysis.daily_counts import events_by_day, exposures_by_day
from equipoise_service.analysis.overlaps import Bounds, Other, Overlap, analyse_overlaps
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.statistics import ArmValues, Statistics
from equipoise_service.analysis.store import analyse_tables, named_units
from equipoise_service.analysis.units import exposures_of, until_the_end
from equipoise_service.errors import Conflict
from equipoise_service.events.stores.store import EventStore
from equipoise_service.sources.connections import SourceFault, Warehouse, bring, connected, keeping
from equipoise_service.sources.mapping import checked_rows, event_table, exposure_table
from equipoise_service.sources.schemas import SourceIn

_BROUGHT = pa.schema(
    [
        ("place", pa.string()),
        ("unit_type", pa.string()),
        ("unit", pa.string()),
        ("experiment", pa.string()),
        ("variant", pa.string()),
        ("revision", pa.int64()),
        ("time", pa.timestamp("us")),
        ("received_at", pa.timestamp("us")),
    ]
)


@dataclass(frozen=True, slots=True)
class _Facts:
    """The facts of a source, without the units that are left out, of whom some were exposed."""

    warehouse: Warehouse
    exposures: ir.Table
    events: ir.Table
    overridden: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What reading a source may take.

    Attributes:
        seconds: Longest time.
        exposures: Most first exposures that are brought over from the store.
    """

    seconds: float
    exposures: int


def analyse_source(source: SourceIn, store: EventStore, request: StoreRequest, limits: Limits) -> Statistics:
    """Computes the statistics of one revision of an experiment from the facts of a source.

    The exposures are the source's own where it has some, else the first exposures of the store, brought over.

    Args:
        source: Where the facts lie.
        store: The service's own store.
        request: Which experiment, and what is measured.
        limits: What it may take.

    Raises:
        Conflict: The source cannot be read as it is defined, is too slow, or too much would be brought over.
    """
    with _facts(source, store, request, limits) as facts:
        return _analysed(facts, request)


def analyse_own(source: SourceIn, request: StoreRequest, seconds: float) -> Statistics:
    """Computes the statistics of one revision of an experiment from a source that has its exposures.

    Args:
        source: Where exposures and facts lie.
        request: Which experiment, and what is measured.
        seconds: What it may take.

    Raises:
        Conflict: The source cannot be read as it is defined, or is too slow.
    """
    with _own_facts(source, request, seconds) as facts:
        return _analysed(facts, request)


def ages_of_source(
    source: SourceIn, store: EventStore, request: StoreRequest, limits: Limits, ages: Mapping[str, Ages]
) -> dict[str, dict[str, ArmValues]]:
    """Computes what `ages.analyse_ages` computes, from the facts of a source, which are read for it.

    Args:
        source: Where the facts lie.
        store: The service's own store.
        request: As for `analyse_source`.
        limits: What it may take.
        ages: For each metric that is looked at, by key, its ages.

    Raises:
        Conflict: As `analyse_source` does.
    """
    with _facts(source, store, request, limits) as facts:
        return _followed(facts, request, ages)


def ages_of_own(
    source: SourceIn, request: StoreRequest, seconds: float, ages: Mapping[str, Ages]
) -> dict[str, dict[str, ArmValues]]:
    """Computes what `ages_of_source` computes, from a source that has its exposures.

    Raises:
        Conflict: As `analyse_own` does.
    """
    with _own_facts(source, request, seconds) as facts:
        return _followed(facts, request, ages)


def overlaps_of_source(
    source: SourceIn,
    store: EventStore,
    request: StoreRequest,
    others: Sequence[Other],
    limits: Limits,
) -> list[Overlap]:
    """Computes what `overlaps.analyse_overlaps` computes, from a source that exposures are brought to.

    Args:
        source: Where the facts lie.
        store: The service's own store, with the exposures to all the experiments.
        request: As for `analyse_source`.
        others: The other experiments; all of them are analysed, however few units they share.
        limits: What it may take.

    Raises:
        Conflict: As `analyse_source` does.
    """
    brought, left = [], limits.exposures
    revisions = [(other.experiment, revision) for other in others for revision in other.revisions]
    for experiment, revision in [(request.experiment, request.revision), *revisions]:
        asked = replace(request, experiment=experiment, revision=revision)
        brought.append(first_exposures(store, asked, left)[0])
        left -= brought[-1].num_rows
    asked = replace(request, left_out=())
    with reading(source, limits.seconds) as warehouse:
        events = source_events(warehouse, source, request.place)
        exposures = bring(warehouse, pa.concat_tables(brought))
        bounds = Bounds(most=len(others), fewest_units=1)
        return analyse_overlaps(warehouse.backend, exposures, events, asked, others, bounds)


def first_moment(source: SourceIn, request: StoreRequest, seconds: float) -> datetime | None:
    """When the first unit was exposed, of a source that has exposures; None without any.

    Raises:
        Conflict: The source cannot be read as it is defined, or is too slow.
    """
    with reading(source, seconds) as warehouse:
        exposures, _ = _own_exposures(warehouse, source, replace(request, left_out=()))
        first = warehouse.backend.to_pyarrow(exposures_of(exposures, request).time.min()).as_py()
    return None if first is None else first.replace(tzinfo=UTC)


def exposures_by_day_of_own(source: SourceIn, request: StoreRequest, seconds: float) -> dict[str, int]:
    """How many exposures there are of each day, of a source that has exposures.

    Raises:
        Conflict: As `analyse_own` does.
    """
    with reading(source, seconds) as warehouse:
        exposures, _ = _own_exposures(warehouse, source, replace(request, left_out=()))
        return exposures_by_day(warehouse.backend, exposures, request)


def events_by_day_of_own(
    source: SourceIn, request: StoreRequest, seconds: float, first: datetime, end: datetime
) -> dict[str, int]:
    """How many events of the unit type a source has of each day between two moments.

    Raises:
        Conflict: As `analyse_own` does.
    """
    with reading(source, seconds) as warehouse:
        events = source_events(warehouse, source, request.place)
        return events_by_day(warehouse.backend, events, request, first, end)


@contextmanager
def _facts(source: SourceIn, store: EventStore, request: StoreRequest, limits: Limits) -> Iterator[_Facts]:
    if source.exposures is not None:
        with _own_facts(source, request, limits.seconds) as facts:
            yield facts
        return
    brought, overridden = first_exposures(store, request, limits.exposures)
    with reading(source, limits.seconds) as warehouse:
        events = source_events(warehouse, source, request.place)
        yield _Facts(warehouse, bring(warehouse, brought), events, overridden)


@contextmanager
def _own_facts(source: SourceIn, request: StoreRequest, seconds: float) -> Iterator[_Facts]:
    with reading(source, seconds) as warehouse:
        events = source_events(warehouse, source, request.place)
        exposures, overridden = _own_exposures(warehouse, source, request)
        yield _Facts(warehouse, exposures, events, overridden)


def _analysed(facts: _Facts, request: StoreRequest) -> Statistics:
    asked, keep = replace(request, left_out=()), keeping(facts.warehouse)
    found = analyse_tables(facts.warehouse.backend, facts.exposures, facts.events, asked, keep=keep)
    return replace(found, overridden=facts.overridden)


def _followed(
    facts: _Facts, request: StoreRequest, ages: Mapping[str, Ages]
) -> dict[str, dict[str, ArmValues]]:
    asked = replace(request, left_out=())
    return analyse_ages(facts.warehouse.backend, facts.exposures, facts.events, asked, ages)


@contextmanager
def reading(source: SourceIn, seconds: float) -> Iterator[Warehouse]:
    """Connect to a source.

    Raises:
        Conflict: It cannot be read as it is defined, or is too slow.
    """
    try:
        with connected(source.connection, seconds) as warehouse:
            yield warehouse
    except SourceFault as fault:
        slow = fault.code == "too-slow"
        raise Conflict(
            f"The source {source.key} cannot be read: {fault.message}. `equipoise source test {source.key}` "
            "says more.",
            type="source-too-slow" if slow else "source-failed",
        ) from None


def source_events(warehouse: Warehouse, source: SourceIn, place: str) -> ir.Table:
    """The events of a source, with the columns that the store's have."""
    return event_table(checked_rows(warehouse, source.events, "/events"), source.events, place)


def source_exposures(warehouse: Warehouse, source: SourceIn, place: str, revision: int) -> ir.Table | None:
    """The exposures of a source, with the columns that the store's have; none where it has no own ones."""
    if source.exposures is None:
        return None
    rows = checked_rows(warehouse, source.exposures, "/exposures")
    return exposure_table(rows, source.exposures, place, revision)


def first_exposures(store: EventStore, request: StoreRequest, most: int) -> tuple[pa.Table, int]:
    """The first exposure of each unit to each variant that it met, without the units that are left out.

    Returns:
        The exposures, and how many units are left out.

    Raises:
        Conflict: There are more of them than may be brought over.
    """
    overridden = 0
    with store.workspace() as workspace:
        backend = workspace.backend
        shown = _shown(backend.table("exposures"), request)
        if request.left_out:
            left_out = workspace.bring("left_out", named_units(request))
            overridden = _count(backend, shown.semi_join(left_out, "unit"))
            shown = shown.anti_join(left_out, "unit")
        first = shown.group_by("place", "unit_type", "unit", "experiment", "variant", "revision").agg(
            time=shown.time.min(), received_at=shown.received_at.max()
        )
        found = backend.to_pyarrow(first.limit(most + 1))
    if found.num_rows > most:
        raise Conflict(
            f"{request.experiment} has more than {most:,} first exposures, too many to bring to a source. "
            "Put its exposures where the facts are and name them in the source's exposures, or raise "
            "EQUIPOISE_SOURCE_EXPOSURES.",
            type="source-failed",
        )
    return found.select(_BROUGHT.names).cast(_BROUGHT), overridden


def _shown(exposures: ir.Table, request: StoreRequest) -> ir.Table:
    joined = request.identity
    types = {request.unit_type} if joined is None else {request.unit_type, joined.anonymous, joined.known}
    shown = until_the_end(exposures, request)
    return shown.filter(
        shown.place == request.place,
        shown.experiment == request.experiment,
        shown.revision == request.revision,
        shown.unit_type.isin(sorted(types)),
    )


def _own_exposures(warehouse: Warehouse, source: SourceIn, request: StoreRequest) -> tuple[ir.Table, int]:
    exposures = source_exposures(warehouse, source, request.place, request.revision)
    if exposures is None:
        raise RuntimeError("asked for the exposures of a source that has none")
    if not request.left_out:
        return exposures, 0
    left_out = bring(warehouse, named_units(request))
    overridden = _count(warehouse.backend, _shown(exposures, request).semi_join(left_out, "unit"))
    return exposures.anti_join(left_out, "unit"), overridden


def _count(backend: Any, exposures: ir.Table) -> int:
    return int(backend.to_pyarrow(exposures.unit.nunique()).as_py())
