"""A readout as rows: one for each metric, arm, comparison and part of a segment."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from equipoise_service.plans.documents import PlannedMetric
from equipoise_service.readouts.measured import ArmStatistics
from equipoise_service.readouts.outcomes import outcome
from equipoise_service.readouts.repeat import EffectNumbers
from equipoise_service.readouts.schemas import Comparison, RatioPart, Readout, SegmentResult

_TEXT, _NUMBER, _WHOLE, _TRUTH = pa.string(), pa.float64(), pa.int64(), pa.bool_()

COLUMNS: Mapping[str, pa.DataType] = MappingProxyType(
    {
        "experiment": _TEXT,
        "revision": _WHOLE,
        "generated_at": pa.timestamp("us", tz="UTC"),
        "metric": _TEXT,
        "type": _TEXT,
        "role": _TEXT,
        "direction": _TEXT,
        "segment": _TEXT,
        "segment_value": _TEXT,
        "segment_others": _TRUTH,
        "arm": _TEXT,
        "baseline": _TEXT,
        "against_control": _TRUTH,
        "exploratory": _TRUTH,
        "outcome": _TEXT,
        "detected": _TRUTH,
        "n": _WHOLE,
        "immature": _WHOLE,
        "value": _NUMBER,
        "baseline_n": _WHOLE,
        "baseline_immature": _WHOLE,
        "baseline_value": _NUMBER,
        "difference_status": _TEXT,
        "difference": _NUMBER,
        "difference_lower": _NUMBER,
        "difference_upper": _NUMBER,
        "p_value": _NUMBER,
        "lift_status": _TEXT,
        "lift": _NUMBER,
        "lift_lower": _NUMBER,
        "lift_upper": _NUMBER,
        "corrected_p_value": _NUMBER,
        "corrected_lower": _NUMBER,
        "corrected_upper": _NUMBER,
        "unadjusted_difference": _NUMBER,
        "unadjusted_lower": _NUMBER,
        "unadjusted_upper": _NUMBER,
        "variance_removed": _NUMBER,
        "probability_above": _NUMBER,
        "probability_below": _NUMBER,
        "loss_if_lower": _NUMBER,
        "loss_if_higher": _NUMBER,
        "impact_daily_units": _NUMBER,
        "impact_per_day": _NUMBER,
        "impact_lower": _NUMBER,
        "impact_upper": _NUMBER,
        "numerator": _NUMBER,
        "baseline_numerator": _NUMBER,
        "numerator_difference": _NUMBER,
        "numerator_lower": _NUMBER,
        "numerator_upper": _NUMBER,
        "denominator": _NUMBER,
        "baseline_denominator": _NUMBER,
        "denominator_difference": _NUMBER,
        "denominator_lower": _NUMBER,
        "denominator_upper": _NUMBER,
        "age_p_value": _NUMBER,
        "age_detected": _TRUTH,
        "age_finding": _TEXT,
        "heterogeneity_p_value": _NUMBER,
        "heterogeneity_detected": _TRUTH,
        "differs": _TRUTH,
        "best_guess": _NUMBER,
        "repeat_days": _WHOLE,
        "repeat_scale": _TEXT,
        "then": _NUMBER,
        "then_lower": _NUMBER,
        "then_upper": _NUMBER,
        "change": _NUMBER,
        "change_lower": _NUMBER,
        "change_upper": _NUMBER,
        "repeat_finding": _TEXT,
        "alpha": _NUMBER,
        "method": _TEXT,
        "warnings": _TEXT,
        "digest": _TEXT,
    }
)
"""The columns and their types."""


def rows_of(readout: Readout) -> Iterator[dict[str, Any]]:
    """The rows, those of all units first: against the control, between treatments, then by segment."""
    whole = {"segment": None, "segment_value": None, "segment_others": None}
    for metric, result in zip(readout.plan.metrics, readout.metrics, strict=True):
        for comparison in result.comparisons:
            yield _row(
                readout,
                metric,
                comparison,
                **whole,
                **_repeated(readout, metric),
                **_by_age(readout, metric, comparison),
                against_control=True,
                exploratory=False,
            )
        for comparison in result.between_treatments:
            yield _row(readout, metric, comparison, **whole, against_control=False, exploratory=True)
    for segment in readout.segments:
        for place, part in enumerate(segment.parts):
            where = {"segment": segment.segment, "segment_value": part.value, "segment_others": part.others}
            for metric, of_part in zip(readout.plan.metrics, part.metrics, strict=True):
                for comparison in of_part.comparisons:
                    yield _row(
                        readout,
                        metric,
                        comparison,
                        **where,
                        **_differing(segment, metric, comparison, place),
                        against_control=True,
                        exploratory=not segment.declared,
                    )


def _repeated(readout: Readout, metric: PlannedMetric) -> dict[str, Any]:
    """What was decided on and what became of it, of a readout that is repeated: it has one treatment."""
    repeat = readout.repeat
    effects = [] if repeat is None else [each for each in repeat.effects if each.metric == metric.key]
    if repeat is None or not effects:
        return {}
    (effect,) = effects
    return {
        "repeat_days": repeat.days,
        "repeat_scale": None if effect.scale is None else effect.scale.value,
        **_effect("then", effect.then),
        **_effect("change", effect.change),
        "repeat_finding": effect.finding.value,
    }


def _effect(name: str, effect: EffectNumbers | None) -> dict[str, float]:
    return {} if effect is None else {name: effect.estimate, **_ends(name, effect.interval)}


def _by_age(readout: Readout, metric: PlannedMetric, comparison: Comparison) -> dict[str, Any]:
    """Whether the effect changes with the days since exposure."""
    for each in readout.by_age.metrics if readout.by_age is not None else ():
        for effect in each.effects:
            if (each.metric, effect.variant) == (metric.key, comparison.variant):
                return {
                    "age_p_value": effect.corrected_p_value,
                    "age_detected": effect.detected,
                    "age_finding": None if effect.finding is None else effect.finding.value,
                }
    return {}


def _differing(
    segment: SegmentResult, metric: PlannedMetric, comparison: Comparison, place: int
) -> dict[str, Any]:
    """Whether the effects differ between the parts, and this one from the others."""
    asked = (metric.key, comparison.variant)
    tested = next((each for each in segment.heterogeneity if (each.metric, each.variant) == asked), None)
    if tested is None:
        return {}
    found = {
        "heterogeneity_p_value": tested.corrected_p_value,
        "heterogeneity_detected": tested.detected,
    }
    if place < len(tested.parts):
        part = tested.parts[place]
        found |= {"differs": part.differs, "best_guess": part.best_guess}
    return found


def _row(readout: Readout, metric: PlannedMetric, comparison: Comparison, **where: Any) -> dict[str, Any]:
    difference, lift = comparison.difference, comparison.lift
    return {
        **where,
        "experiment": readout.experiment,
        "revision": readout.revision,
        "generated_at": datetime.fromisoformat(readout.generated_at),
        "metric": metric.key,
        "type": metric.type.value,
        "role": metric.role.value,
        "direction": metric.direction.value,
        "arm": comparison.variant,
        "baseline": comparison.baseline,
        "outcome": outcome(metric, comparison).value,
        "detected": comparison.detected,
        **_arm("", comparison.statistics.variant),
        **_arm("baseline_", comparison.statistics.baseline),
        "difference_status": str(difference.status),
        "difference": difference.estimate,
        **_ends("difference", difference.interval),
        "p_value": difference.p_value,
        "lift_status": str(lift.status),
        "lift": lift.estimate,
        **_ends("lift", lift.interval),
        **_more(comparison),
        "alpha": readout.plan.alpha,
        "method": comparison.method,
        "warnings": " ".join(warning.code for warning in comparison.warnings),
        "digest": readout.digest,
    }


def _arm(prefix: str, arm: ArmStatistics) -> dict[str, Any]:
    return {f"{prefix}n": arm.n, f"{prefix}immature": arm.immature, f"{prefix}value": arm.value}


def _more(comparison: Comparison) -> dict[str, Any]:
    """What only some comparisons have."""
    corrected, without = comparison.corrected, comparison.without_covariates
    posterior, impact = comparison.posterior, comparison.impact
    found: dict[str, Any] = {}
    if corrected is not None:
        found |= {"corrected_p_value": corrected.p_value, **_ends("corrected", corrected.interval)}
    if without is not None:
        found |= {
            "unadjusted_difference": without.estimate,
            **_ends("unadjusted", without.interval),
            "variance_removed": without.variance_removed,
        }
    if comparison.parts is not None:
        found |= _part("numerator", comparison.parts.numerator)
        found |= _part("denominator", comparison.parts.denominator)
    if posterior is not None:
        found |= posterior.model_dump()
    if impact is not None:
        found |= {
            "impact_daily_units": impact.daily_units,
            "impact_per_day": impact.per_day,
            **_ends("impact", impact.interval),
        }
    return found


def _part(name: str, part: RatioPart) -> dict[str, Any]:
    return {
        name: part.variant,
        f"baseline_{name}": part.baseline,
        f"{name}_difference": part.difference,
        **_ends(name, part.interval),
    }


def _ends(name: str, interval: Sequence[float] | None) -> dict[str, float]:
    return {} if interval is None else {f"{name}_lower": interval[0], f"{name}_upper": interval[1]}
