"""Overlaps: units of an experiment that met a variant of another one as well.

Which variant of the other experiment a unit met splits units like the value of a segment does: the same steps
give the sums of each arm among the units of each such variant.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import ibis
import ibis.expr.types as ir

from equipoise_service.analysis import expression
from equipoise_service.analysis.facts import segment_columns
from equipoise_service.analysis.identity import joined_facts
from equipoise_service.analysis.requests import Segment, StoreRequest
from equipoise_service.analysis.segments import NO_VALUE, segment_label, segment_value
from equipoise_service.analysis.statistics import SegmentStatistics
from equipoise_service.analysis.store import statistics_of
from equipoise_service.analysis.unit_values import unit_values
from equipoise_service.analysis.units import any_of, first_exposures, until_the_end


@dataclass(frozen=True, slots=True)
class Other:
    """An experiment that ran at the same time.

    Attributes:
        experiment: Its key.
        revisions: The numbers of those of its revisions that did.
    """

    experiment: str
    revisions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Overlap:
    """The units of an experiment that met one variant of another one.

    Attributes:
        experiment: The other experiment's key.
        parts: For each of its variants, which is the label, the arms of those who met it and no other one.
    """

    experiment: str
    parts: Sequence[SegmentStatistics]

    @property
    def units(self) -> int:
        """How many units are in both experiments."""
        return sum(arm.units for part in self.parts for arm in part.arms.values())


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many overlaps are analysed.

    Attributes:
        most: At most so many, those with the most units.
        fewest_units: Only of so many units at least.
    """

    most: int
    fewest_units: int


def analyse_overlaps(
    backend: Any,
    exposures: ir.Table,
    events: ir.Table,
    request: StoreRequest,
    others: Sequence[Other],
    bounds: Bounds,
    left_out: ir.Table | None = None,
) -> list[Overlap]:
    """Computes the statistics of the units that are in other experiments too.

    A unit counts where it met one variant of the other experiment's revisions, at any time up to the end of
    this one. First the units are counted; only then, and only of the largest overlaps, are values made.

    Args:
        backend: The Ibis backend that the tables belong to.
        exposures: Columns place, unit_type, unit, experiment, variant, revision, time.
        events: Columns place, unit_type, unit, name, value, properties, time.
        request: Which experiment, and what is measured. Its segments are not asked for.
        others: The experiments that ran at the same time.
        bounds: How many of them are analysed.
        left_out: Column unit: units that are in none of this.

    Returns:
        The overlaps, those with the most units first.
    """
    if request.identity is not None:
        exposures, events = joined_facts(exposures, events, request)
    if left_out is not None:
        exposures = exposures.anti_join(left_out, "unit")
    counted = backend.to_pyarrow(shared_units(exposures, request, others)).to_pylist()
    units = {row["experiment"]: int(row["units"]) for row in counted if row["units"] >= bounds.fewest_units}
    largest = sorted(units, key=lambda key: (-units[key], key))[: bounds.most]
    by_key = {other.experiment: other for other in others}
    shown = [by_key[key] for key in largest]
    if not shown:
        return []
    # Which variant a unit met is all that is asked of it here, so no event and no property is named.
    asked = replace(request, segments=tuple(Segment(each.experiment, "", "") for each in shown), left_out=())
    met = with_variants(
        expression.analysed_units(exposures, events, replace(asked, segments=())), exposures, asked, shown
    )
    values = unit_values(met, events, asked) if asked.measures else None
    found = statistics_of(backend, met, values, events, asked).segments
    overlaps = [Overlap(key, _of_variants(parts)) for key, parts in found.items()]
    return sorted(overlaps, key=lambda each: -each.units)


def shared_units(exposures: ir.Table, request: StoreRequest, others: Sequence[Other]) -> ir.Table:
    """Counts for each of other experiments the units that met one variant of it and one of this one.

    Args:
        exposures: Columns place, unit_type, unit, experiment, variant, revision, time.
        request: Which experiment this is.
        others: The other experiments, at least one.

    Returns:
        Columns experiment, units; those that share none are not in it.
    """
    own = first_exposures(exposures, request)
    own = own.filter(own["first"] == own["last"]).select(own_unit="unit")
    met = _of_others(exposures, request, others)
    met = met.group_by("experiment", "unit").agg(first=met.variant.min(), last=met.variant.max())
    met = met.filter(met["first"] == met["last"]).select("experiment", "unit")
    both = met.join(own, met.unit == own.own_unit)
    return both.group_by("experiment").agg(units=both.count())


def with_variants(
    units: ir.Table, exposures: ir.Table, request: StoreRequest, others: Sequence[Other]
) -> ir.Table:
    """Adds to units which variant of each of other experiments they met.

    Args:
        units: One row a unit, with a column unit.
        exposures: Columns place, unit_type, unit, experiment, variant, revision, time.
        request: Which experiment this is, with a segment for each of the others.
        others: The other experiments.

    Returns:
        The units with `s0`, …: a label that `segments.segment_value` reads as the variant; as None for units
        that met none, or several.
    """
    for column, other in zip(segment_columns(request), others, strict=True):
        met = _of_others(exposures, request, [other])
        met = met.group_by(met_unit=met.unit).agg(first_met=met.variant.min(), last_met=met.variant.max())
        label = ibis.literal(segment_label("", others=False)).concat(met.first_met)
        met = met.select(
            "met_unit", label=ibis.ifelse(met.first_met == met.last_met, label, ibis.null("string"))
        )
        joined = units.left_join(met, units.unit == met.met_unit)
        kept = {name: joined[name] for name in units.columns}
        units = joined.select(**kept, **{column: ibis.coalesce(joined.label, NO_VALUE)})
    return units


def _of_others(exposures: ir.Table, request: StoreRequest, others: Sequence[Other]) -> ir.Table:
    shown = until_the_end(exposures, request)
    return shown.filter(
        shown.place == request.place,
        shown.unit_type == request.unit_type,
        any_of(
            [
                (shown.experiment == other.experiment) & shown.revision.isin(other.revisions)
                for other in others
            ]
        ),
    )


def _of_variants(parts: Sequence[SegmentStatistics]) -> list[SegmentStatistics]:
    """The parts of units that met one variant, under its key, in the order of the keys."""
    # Of the crossovers of this experiment nothing is compared.
    named = [(segment_value(part.label), part) for part in parts if part.arms]
    found = [replace(part, label=variant, crossovers=0) for variant, part in named if variant is not None]
    return sorted(found, key=lambda part: part.label)
