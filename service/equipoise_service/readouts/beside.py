"""Which experiments ran at the same time as a revision, and what is read of the units that are in both."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlmodel import Session

from equipoise_service.aggregates.facts import bring_left_out, settled_facts
from equipoise_service.analysis.overlaps import Bounds, Other, Overlap, analyse_overlaps
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.sources import Limits, overlaps_of_source
from equipoise_service.analysis.statistics import SegmentStatistics
from equipoise_service.errors import Conflict
from equipoise_service.events.stores.store import EventStore
from equipoise_service.experiments import repository
from equipoise_service.experiments.models import Experiment, Revision
from equipoise_service.plans.documents import Plan
from equipoise_service.privacy.unit_ids import left_out_as_stored
from equipoise_service.readouts.facts import with_metrics
from equipoise_service.readouts.interactions import FEWEST_SHARED
from equipoise_service.readouts.overlaps import Overlaps, asked_metrics, decisive_metrics
from equipoise_service.sources.schemas import SourceIn

_log = logging.getLogger(__name__)

# A count of shared units reads the exposures of all that are asked.
_MOST_ASKED = 50
_BOUNDS = Bounds(most=5, fewest_units=FEWEST_SHARED)


@dataclass(frozen=True, slots=True)
class Beside:
    """The experiments that ran at the same time as a revision, in other layers.

    Attributes:
        experiments: How many there are.
        others: Those with the longest time in common.
        left_out: Their units whose variants people chose, by id as it came.
    """

    experiments: int
    others: tuple[Other, ...]
    left_out: tuple[str, ...]


def ran_beside(
    session: Session, experiment: Experiment, revision: Revision, environment_id: int, now: datetime
) -> Beside:
    """The experiments that ran at the same time and do not exclude this one.

    Args:
        session: Where experiments are defined.
        experiment: The experiment.
        revision: Its revision.
        environment_id: Where it runs.
        now: When it is analysed.
    """
    end = revision.ended_at or now
    ran = repository.revisions_beside(session, experiment, environment_id, start=revision.started_at, end=end)
    together: dict[str, timedelta] = {}
    revisions: dict[str, list[int]] = {}
    for each in ran:
        both = min(each.ended_at or now, end) - max(each.started_at, revision.started_at)
        together[each.key] = together.get(each.key, timedelta()) + both
        revisions.setdefault(each.key, []).append(each.number)
    asked = sorted(together, key=lambda key: (-together[key], key))[:_MOST_ASKED]
    others = tuple(Other(key, tuple(sorted(revisions[key]))) for key in asked)
    left_out = repository.overridden_units_of(session, [each.id for each in ran if each.key in set(asked)])
    return Beside(len(together), others, tuple(left_out))


def overlaps_of(
    store: EventStore,
    plan: Plan,
    request: StoreRequest,
    sources: Mapping[str, SourceIn],
    beside: Beside,
    limits: Limits,
    *,
    asked: bool,
) -> Overlaps | None:
    """Reads the units that are in other experiments too.

    Args:
        store: Where exposures and events are.
        plan: What is measured.
        request: The analysis of this experiment.
        sources: The sources that the plan names, by key.
        beside: The experiments that ran at the same time.
        limits: What reading a source may take.
        asked: Whether they are asked about at this moment: else nothing is read.

    Returns:
        What was found; None where nothing ran at the same time, or no metric decides. A source that exposures
        are not brought to, or that cannot be read once more, is not asked.
    """
    if not beside.others or not decisive_metrics(plan):
        return None
    metrics: dict[str | None, set[str]] = {}
    for metric in asked_metrics(plan):
        if metric.source is None or sources[metric.source].exposures is None:
            metrics.setdefault(metric.source, set()).add(metric.key)
    if not asked or not metrics:
        return Overlaps(beside.experiments, None)
    theirs = left_out_as_stored(beside.left_out, store.unit_key)
    requests = {
        key: replace(
            request,
            measures=tuple(each for each in request.measures if each.metric in metrics.get(key, ())),
            left_out=tuple(sorted({*request.left_out, *theirs})),
        )
        for key in (None, *metrics)
    }
    with store.workspace() as workspace:
        left_out = bring_left_out(workspace, requests[None])
        facts = settled_facts(workspace)
        found = analyse_overlaps(
            workspace.backend, facts.exposures, facts.events, requests[None], beside.others, _BOUNDS, left_out
        )
    shared = {each.experiment for each in found}
    others = [each for each in beside.others if each.experiment in shared]
    for key in metrics.keys() - {None} if others else ():
        part = requests[key].until_now()
        try:
            there = overlaps_of_source(sources[key or ""], store, part, others, limits)
        except Conflict as problem:
            # All else was read a moment ago: that stands, whatever became of this.
            _log.warning("interactions are left out: %s", problem)
            continue
        found = [_with_values(each, there) for each in found]
    return Overlaps(beside.experiments, tuple(_planned(plan, each) for each in found))


def _with_values(overlap: Overlap, there: Sequence[Overlap]) -> Overlap:
    """The overlap with the values that the same units have in a source, where they are the same."""
    parts = {
        part.label: part for each in there if each.experiment == overlap.experiment for part in each.parts
    }
    if not all(_are_alike(part, parts.get(part.label)) for part in overlap.parts):
        # Some came meanwhile.
        return overlap
    return replace(overlap, parts=[_both(part, parts[part.label]) for part in overlap.parts])


def _are_alike(one: SegmentStatistics, other: SegmentStatistics | None) -> bool:
    return other is not None and _units(one) == _units(other)


def _units(part: SegmentStatistics) -> dict[str, int]:
    return {variant: arm.units for variant, arm in part.arms.items()}


def _both(here: SegmentStatistics, there: SegmentStatistics) -> SegmentStatistics:
    return replace(here, arms=with_metrics(here.arms, there.arms))


def _planned(plan: Plan, overlap: Overlap) -> Overlap:
    """The overlap with the arms that were planned."""
    parts = (
        replace(part, arms={variant: arm for variant, arm in part.arms.items() if variant in plan.weights})
        for part in overlap.parts
    )
    return replace(overlap, parts=[part for part in parts if part.arms])
