"""The statistics that a readout holds, and whether newer ones are of the same facts.

An engine that adds floating-point numbers in several threads gives other last bits each time, so what a look
saw is recognised by its whole numbers exactly and by the others closely.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from equipoise_service.analysis.statistics import Joined, Statistics
from equipoise_service.plans.documents import Plan
from equipoise_service.plans.looks import Look
from equipoise_service.readouts.ages import ages_held
from equipoise_service.readouts.building import statistics_digest, statistics_document
from equipoise_service.readouts.distributions import distributions_in
from equipoise_service.readouts.schemas import Readout
from equipoise_service.readouts.segments import arms_in, segments_in
from equipoise_service.readouts.series import days_in, quantiles_in
from equipoise_service.readouts.sides import CUT_NAMES

_TOLERANCE = 1e-9


def statistics_in(readout: Readout) -> Statistics:
    """The statistics that a readout was computed from."""
    cuts = {
        each.metric: {column: getattr(each, name) for column, name in CUT_NAMES.items()}
        for each in readout.metrics
    }
    units = {arm.variant: arm.units for arm in readout.arms}
    rows = readout.health.incomplete_rows
    joined, early = readout.population.joined, readout.health.early_exposures
    return Statistics(
        arms=arms_in(units, readout.metrics),
        crossovers=readout.health.crossovers.units,
        watermark=None if readout.watermark is None else moment_in(readout.watermark),
        cuts=cuts,
        incomplete_rows=None if rows is None else rows.rows,
        segments=segments_in(readout.segments),
        overridden=readout.population.overridden,
        bots=readout.population.bots,
        bots_by_arm=None if readout.health.bots is None else readout.health.bots.arms,
        joined=None if joined is None else Joined(**joined.model_dump()),
        days=days_in(readout.by_day),
        quantiles_by_day=quantiles_in(readout.by_day),
        early=None if early is None else early.units,
        distributions=distributions_in(readout.metrics),
        ages=ages_held(readout.by_age),
    )


def moment_in(text: str) -> datetime:
    """A time as readouts hold it."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def as_looked_at(plan: Plan, now: Statistics, look: Look, looked: Readout) -> Statistics:
    """The statistics with the numbers that a look saw, where they are of the same facts; else as they are.

    Args:
        plan: What is measured.
        now: The statistics now.
        look: The look.
        looked: Its readout.
    """
    then = statistics_in(looked)
    if statistics_digest(plan, then) != look.statistics_digest:
        # The readout of a release that digested other members: it can be told by its digest only.
        return now
    if not _agree(statistics_document(plan, now), statistics_document(plan, then)):
        return now
    return replace(now, arms=then.arms, cuts=then.cuts, segments=then.segments)


def _agree(now: Any, then: Any) -> bool:
    if isinstance(now, Mapping) and isinstance(then, Mapping):
        if now.keys() != then.keys():
            return False
        moments = _MOMENTS & then.keys()
        rest = (name for name in then if name not in moments)
        return all(_agree(now[name], then[name]) for name in rest) and (
            not moments or _moments_agree(now, then)
        )
    if isinstance(now, list) and isinstance(then, list):
        return len(now) == len(then) and all(map(_agree, now, then))
    if isinstance(now, float) and isinstance(then, float):
        return math.isclose(now, then, rel_tol=_TOLERANCE)
    return type(now) is type(then) and bool(now == then)


_MOMENTS = {"mean", "m2", "means", "comoments"}


def _moments_agree(now: Mapping[str, Any], then: Mapping[str, Any]) -> bool:
    """Whether means and sums of products agree, on the scale of the values.

    A mean near zero of values that are not, and products that cancel, have few digits in common.
    """
    means, others = _moments(now), _moments(then)
    if means is None or others is None:
        return means is others
    (at, about), (at_then, about_then) = means, others
    # Of a quantile only the units with values count.
    n = max(1, then.get("acting", then["n"]))
    deviations = [math.sqrt(max(0.0, row[i]) / n) for i, row in enumerate(about_then)]
    scales = [deviation + _TOLERANCE * abs(mean) for deviation, mean in zip(deviations, at_then, strict=True)]
    return all(
        abs(at[i] - at_then[i]) <= _TOLERANCE * (abs(at_then[i]) + deviations[i])
        and all(
            abs(about[i][j] - about_then[i][j]) <= _TOLERANCE * n * scales[i] * scales[j]
            for j in range(len(scales))
        )
        for i in range(len(scales))
    )


def _moments(of: Mapping[str, Any]) -> tuple[list[float], list[list[float]]] | None:
    """The means and the sums of products; None where there are none."""
    if "means" in of:
        return None if of["means"] is None or of["comoments"] is None else (of["means"], of["comoments"])
    return None if of["mean"] is None or of["m2"] is None else ([of["mean"]], [[of["m2"]]])
