"""What units do at each age, which is the time since their first exposure.

A metric's days from the first exposure on are cut into parts of equal length, so that what is done in one can
be compared with what is done in another. Units count that have reached the end of the last part, each with
its numbers of all parts: so age is mixed up neither with the calendar nor with who came early.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import ibis
import ibis.expr.types as ir

from equipoise_service.analysis.expression import analysed_units
from equipoise_service.analysis.identity import joined_facts
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.statistics import ArmValues
from equipoise_service.analysis.store import named_units, statistics_of
from equipoise_service.analysis.unit_values import unit_values
from equipoise_service.metrics.measures import Measure
from equipoise_service.metrics.schemas import Aggregation, MetricType

FEWEST_AGES, MOST_AGES = 3, 7
"""Fewer do not show a course; more would have few events each."""

_ADDED = (Aggregation.SUM, Aggregation.COUNT)


@dataclass(frozen=True, slots=True)
class Ages:
    """Parts of equal length, from the first exposure on.

    Attributes:
        count: How many there are.
        days: How many days each of them has.
    """

    count: int
    days: int

    @property
    def middles(self) -> list[float]:
        """The age in the middle of each part, in days; the first day is 0."""
        return [self.days * age + (self.days - 1) / 2 for age in range(self.count)]


def ages_in(days: int) -> Ages | None:
    """The ages that so many days are cut into, the last days left over; None where they are too few.

    Example:
        >>> ages_in(7), ages_in(14), ages_in(10), ages_in(2)
        (Ages(count=7, days=1), Ages(count=7, days=2), Ages(count=5, days=2), None)
    """
    if days < FEWEST_AGES:
        return None
    each = -(-days // MOST_AGES)
    return Ages(days // each, each)


def has_ages(measure: Measure) -> bool:
    """Whether what a unit does at one age can be compared with what it does at another one.

    A sum, a count and whether anything was done can; a last value, a ratio or a quantile says no such thing.
    """
    added = measure.type is MetricType.MEAN and measure.aggregation in _ADDED
    return added or measure.type is MetricType.PROPORTION


def at_ages(measure: Measure, ages: Ages) -> Measure:
    """What is measured at each age: as without a delay, a cut or an adjustment.

    Args:
        measure: What is measured; `has_ages` says yes.
        ages: The ages.
    """
    return replace(
        measure,
        delay_hours=0,
        window_hours=24 * ages.days * ages.count,
        winsorize=None,
        pre_period_days=None,
        covariate=None,
        ages=ages.count,
    )


def analyse_ages(
    backend: Any,
    exposures: ir.Table,
    events: ir.Table,
    request: StoreRequest,
    ages: Mapping[str, Ages],
    left_out: ir.Table | None = None,
) -> dict[str, dict[str, ArmValues]]:
    """Computes the statistics of each age.

    Units count whose ages were over when the experiment ended: what they did later, nobody treated them.

    Args:
        backend: The Ibis backend that the tables belong to.
        exposures: Columns place, unit_type, unit, experiment, variant, revision, time, received_at.
        events: Columns place, unit_type, unit, name, value, properties, time, received_at.
        request: Which experiment. Its segments are not asked for.
        ages: For each metric that is looked at, by key, its ages.
        left_out: Column unit: units that are in none of this.

    Returns:
        For each of these metrics and each arm its units' moments, a column an age: a0, a1, …
    """
    measures = tuple(at_ages(each, ages[each.metric]) for each in request.measures if each.metric in ages)
    end = request.as_of if request.until is None else min(request.as_of, request.until)
    asked = replace(request, measures=measures, segments=(), as_of=end, left_out=())
    if not measures:
        return {}
    if request.identity is not None:
        exposures, events = joined_facts(exposures, events, request)
    if request.left_out:
        without = ibis.memtable(named_units(request)) if left_out is None else left_out
        exposures = exposures.anti_join(without, "unit")
    units = analysed_units(exposures, events, asked)
    values = unit_values(units, events, asked)
    arms = statistics_of(backend, units, values, events, asked).arms
    return {
        each.metric: {variant: arm.values[each.metric] for variant, arm in arms.items()} for each in measures
    }
