"""Readouts that are repeated on a holdback."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from tests.service.readouts.documents import CONVERTED, PROVENANCE, START, plan, statistics

from equipoise_service.metrics.schemas import Direction, Role
from equipoise_service.plans.documents import PlannedMetric
from equipoise_service.plans.repeats import monitored, repeated
from equipoise_service.plans.schemas import MarginScale
from equipoise_service.readouts.building import build_readout
from equipoise_service.readouts.lasting import RepeatOf
from equipoise_service.readouts.repeat import Decided, DecidedEffect, EffectNumbers
from equipoise_stats import Counts

DAYS = 30
UNITS = 100_000
IN_CONTROL = 10_000


def metric(role: str = "success", direction: str = "increase", margin: float | None = None) -> PlannedMetric:
    """A share with a role; a margin is one of its lift."""
    changed = {"role": Role(role), "direction": Direction(direction), "margin": margin}
    return CONVERTED.model_copy(update={**changed, "scale": MarginScale.LIFT})


def numbers(estimate: float, lower: float, upper: float) -> EffectNumbers:
    """An effect with its interval."""
    return EffectNumbers(estimate=estimate, interval=[lower, upper])


def repeated_readout(
    asked: PlannedMetric | None = None,
    then: EffectNumbers | None = None,
    converted: int = 11_000,
    units: int = UNITS,
    *,
    difference: EffectNumbers | None = None,
) -> dict[str, Any]:
    """The repeat of a readout, 30 days after the ship.

    Args:
        asked: The metric; a success metric without one.
        then: The lift that was decided on.
        converted: How many of the treatment's units converted; of the control's it is a tenth of 100,000.
        units: How many units the treatment has.
        difference: The difference that was decided on.
    """
    asked = asked or metric()
    found = statistics(
        control={asked.key: Counts(UNITS, IN_CONTROL)}, treatment={asked.key: Counts(units, converted)}
    )
    decided = Decided(
        revision=1,
        readout_digest="sha256:" + "1" * 64,
        generated_at="2026-01-20T12:30:00Z",
        variant="treatment",
        effects=[DecidedEffect(metric=asked.key, difference=difference, lift=then)],
    )
    watched = monitored(plan(asked), {"control": 5000, "treatment": 5000})
    provenance = replace(
        PROVENANCE,
        revision=2,
        started_at=START,
        generated_at=START + timedelta(days=DAYS, minutes=1),
        holdback=5000,
        repeat=RepeatOf(DAYS, decided),
    )
    return build_readout(repeated(watched, DAYS), found, provenance)
