"""From a plan and the statistics to the readout: a pure function."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from equipoise_service.analysis.statistics import ArmStatistics, Statistics, no_values
from equipoise_service.canonical import digest
from equipoise_service.plans.documents import Plan, PlannedMetric
from equipoise_service.readouts.comparisons import Cuts, Side, compare
from equipoise_service.readouts.health import check_health
from equipoise_service.readouts.schemas import SCHEMA, Arm, MetricResult
from equipoise_service.readouts.summary import summarise


@dataclass(frozen=True, slots=True)
class Provenance:
    """What was analysed, and when.

    Attributes:
        experiment: The experiment's key, or the name of a file.
        revision: Number of the revision; None for a file.
        generated_at: When the readout is computed.
    """

    experiment: str
    revision: int | None
    generated_at: datetime


def build_readout(plan: Plan, statistics: Statistics, provenance: Provenance) -> dict[str, Any]:
    """Computes a readout; `schemas.Readout` describes it.

    Args:
        plan: What was planned.
        statistics: The sufficient statistics of each arm, with the plan's metrics.
        provenance: Where they come from.
    """
    arms = _arms(plan, statistics)
    health = check_health(plan, statistics)
    metrics = [_metric(plan, metric, statistics) for metric in plan.metrics]
    plan_document = plan.model_dump(mode="json")
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "experiment": provenance.experiment,
        "revision": provenance.revision,
        "generated_at": timestamp(provenance.generated_at),
        "watermark": None if statistics.watermark is None else timestamp(statistics.watermark),
        "plan": plan_document,
        "plan_digest": digest(plan_document),
        "arms": [arm.model_dump(mode="json") for arm in arms],
        "health": health.model_dump(mode="json"),
        "metrics": [metric.model_dump(mode="json") for metric in metrics],
        "summary": summarise(plan, arms, health, metrics),
    }
    return {**document, "digest": digest(document)}


def timestamp(moment: datetime) -> str:
    """A time as readouts show it: RFC 3339, UTC, with a `Z`. A time without a zone is taken as UTC.

    Example:
        >>> timestamp(datetime(2026, 1, 31, 12))
        '2026-01-31T12:00:00Z'
    """
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return aware.isoformat().replace("+00:00", "Z")


def _arms(plan: Plan, statistics: Statistics) -> list[Arm]:
    whole = sum(plan.weights.values())
    unplanned = [variant for variant in statistics.arms if variant not in plan.weights]
    return [
        Arm(
            variant=variant,
            units=_arm(statistics, variant).units,
            expected_share=plan.weights.get(variant, 0) / whole,
        )
        for variant in [*plan.weights, *unplanned]
    ]


def _metric(plan: Plan, metric: PlannedMetric, statistics: Statistics) -> MetricResult:
    control = _side(statistics, plan.control, metric)
    found = statistics.cuts.get(metric.key, {})
    cuts = Cuts(found.get("y"), found.get("y_before"))
    return MetricResult(
        metric=metric.key,
        role=metric.role,
        cut=cuts.measured,
        cut_before=cuts.before,
        comparisons=[
            compare(_side(statistics, variant, metric), control, plan.alpha, cuts)
            for variant in plan.treatments
        ],
    )


def _arm(statistics: Statistics, variant: str) -> ArmStatistics:
    return statistics.arms.get(variant) or ArmStatistics(0, {})


def _side(statistics: Statistics, variant: str, metric: PlannedMetric) -> Side:
    arm = _arm(statistics, variant)
    values = arm.values.get(metric.key)
    return Side(
        variant, no_values(metric.measure, 0) if values is None else values, arm.immature.get(metric.key, 0)
    )
