"""What is asked once a day beside confidence sequences: effects by age, and units of other experiments.

Both need a pass over the values of units that a refresh does not make. Their tests hold at any moment there,
so they need not wait for an end that nobody planned; and readouts of one day hold what was found in it first.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from equipoise_service.analysis.ages import Ages
from equipoise_service.analysis.statistics import ArmValues
from equipoise_service.canonical import digest
from equipoise_service.plans.documents import Plan
from equipoise_service.readouts.ages import ages_held, asked_ages
from equipoise_service.readouts.by_age import AgeMetric, ByAge
from equipoise_service.readouts.held import moment_in
from equipoise_service.readouts.overlaps import Overlaps, overlaps_in
from equipoise_service.readouts.provenance import Provenance
from equipoise_service.readouts.reading import readable


@dataclass(frozen=True, slots=True)
class AskedDaily:
    """What was asked.

    Attributes:
        at: When, of what readouts ask once a day; None of what each asks itself.
        ages: What units did at each age, see `Statistics`; None where nobody looked.
        overlaps: What is known of other experiments; None where none ran at the same time.
    """

    at: datetime | None
    ages: Mapping[str, Mapping[str, ArmValues]] | None
    overlaps: Overlaps | None


def asked_today(
    before: Mapping[str, Any] | None, plan: Plan, provenance: Provenance, now: datetime
) -> AskedDaily | None:
    """What the readout before asked on this day; None where it is to be asked now.

    That is where none did, or of another plan, other sources, or ages that another release had.

    Args:
        before: The readout before.
        plan: The plan.
        provenance: What is known of the readout that is made; it has a start.
        now: When it is asked.
    """
    began = provenance.started_at
    for found in readable([] if before is None else [before]):
        at = None if found.asked_at is None else moment_in(found.asked_at)
        if at is None or began is None or not can_be_asked_at(plan, at, started_at=began, now=now):
            return None
        if found.plan_digest != digest(plan.document) or (found.sources or []) != list(provenance.sources):
            return None
        if not _is_of_ages(found.by_age, asked_ages(plan, began, at, always_valid=True)):
            return None
        return AskedDaily(at, ages_held(found.by_age), overlaps_in(found.health.interactions, earlier=True))
    return None


def _is_of_ages(held: ByAge | None, asked: Mapping[str, Ages]) -> bool:
    """Whether nobody looked, or at ages that are asked."""
    return held is None or all(
        metric.metric in asked and _ages_of(metric) == asked[metric.metric] for metric in held.metrics
    )


def _ages_of(metric: AgeMetric) -> Ages:
    first = metric.ages[0]
    return Ages(len(metric.ages), first.last - first.first + 1)


def days_between(started_at: datetime, at: datetime) -> int:
    """How many days have passed since the start."""
    return (at - started_at).days


def can_be_asked_at(plan: Plan, at: datetime, *, started_at: datetime, now: datetime) -> bool:
    """Whether a readout that was made now may hold what was asked at another moment, of the same day."""
    if not (plan.is_always_valid and at <= now):
        return False
    return 1 <= days_between(started_at, at) == days_between(started_at, now)
