"""An experiment's plan: complete from its definition, locked with each revision."""

from datetime import UTC, datetime

from pydantic import TypeAdapter, ValidationError
from sqlmodel import Session

from equipoise_service.experiments.models import Experiment, Revision
from equipoise_service.experiments.variants import invalid
from equipoise_service.metrics.stored import PinnedMetric
from equipoise_service.plans import locking
from equipoise_service.plans.documents import Plan, PlannedVariant, make_plan
from equipoise_service.plans.schemas import PlanIn

_metrics = TypeAdapter(list[PinnedMetric])


def plan_of(experiment: Experiment, revision: Revision) -> Plan:
    """The plan of a revision by the definition as it stands: its own arms, with the present metrics."""
    return make_plan(
        PlanIn.model_validate(experiment.plan),
        unit_type=experiment.unit_type,
        variants=[
            PlannedVariant(key=key, weight=end - start, control=key == revision.control)
            for key, start, end in revision.ranges
        ],
        metrics=_metrics.validate_python(experiment.metrics),
    )


def check_plan(experiment: Experiment) -> None:
    """Check that a plan and the metrics of its experiment fit together.

    Raises:
        InvalidPayload: They do not; it says where.
    """
    design = PlanIn.model_validate(experiment.plan)
    metrics = _metrics.validate_python(experiment.metrics)
    for key in design.targets.keys() - {metric.key for metric in metrics}:
        raise invalid(f"/plan/targets/{key}", f"the experiment has no metric {key}")
    variants = [
        PlannedVariant(key=arm["key"], weight=arm["weight"], control=arm["control"])
        for arm in experiment.arms
    ]
    try:
        make_plan(design, unit_type=experiment.unit_type, variants=variants, metrics=metrics)
    except ValidationError as error:
        raise invalid("/plan", error.errors()[0]["msg"]) from None


def lock_plan(session: Session, experiment: Experiment, revision: Revision) -> None:
    """Lock the plan of a revision that begins."""
    locking.lock(session, revision.id or 0, plan_of(experiment, revision), at=revision.started_at)


def follow_plan(
    session: Session, experiment: Experiment, revision: Revision, *, reason: str | None, by: str
) -> None:
    """Make a live revision follow a changed plan, on record.

    Raises:
        Conflict: There is no reason, or a look was taken under what would change.
    """
    plan = plan_of(experiment, revision)
    locking.deviate(session, revision.id or 0, plan, reason=reason, by=by, at=datetime.now(UTC))
