"""An experiment's plan: complete from its definition, locked with each revision."""

from datetime import UTC, datetime

from pydantic import TypeAdapter, ValidationError
from sqlmodel import Session

from equipoise_service.errors import Conflict
from equipoise_service.experiments.models import Experiment, Revision
from equipoise_service.experiments.variants import invalid
from equipoise_service.metrics.stored import PinnedMetric
from equipoise_service.plans import locking
from equipoise_service.plans.documents import Plan, PlannedVariant, make_plan
from equipoise_service.plans.schemas import Method, NoSuchEnd, PlanIn

_metrics = TypeAdapter(list[PinnedMetric])


def plan_of(experiment: Experiment, revision: Revision) -> Plan:
    """The plan of a revision by the definition as it stands: its own arms, with the present metrics."""
    return make_plan(
        PlanIn.model_validate(experiment.plan),
        starts_at=revision.started_at,
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
    if design.inference is Method.FIXED_HORIZON and design.horizon is None:
        raise invalid(
            "/plan/horizon",
            "fixed-horizon needs a horizon: units, days or a date. Without one the end would be at once, and "
            "each refresh another test at the whole of alpha. Without an end choose confidence-sequence.",
        )
    for key in design.targets.keys() - {metric.key for metric in metrics}:
        raise invalid(f"/plan/targets/{key}", f"the experiment has no metric {key}")
    variants = [
        PlannedVariant(key=arm["key"], weight=arm["weight"], control=arm["control"])
        for arm in experiment.arms
    ]
    try:
        make_plan(
            design,
            # It starts later, but for what it can never be this is enough.
            starts_at=experiment.created_at,
            unit_type=experiment.unit_type,
            variants=variants,
            metrics=metrics,
        )
    except NoSuchEnd as error:
        raise invalid("/plan/horizon/date", str(error)) from None
    except ValidationError as error:
        raise invalid("/plan", error.errors()[0]["msg"]) from None


def lock_plan(
    session: Session, experiment: Experiment, revision: Revision, deviation: locking.Deviation | None = None
) -> None:
    """Lock the plan of a revision that begins, with what it changes of the plan of the one before.

    Raises:
        Conflict: It would begin on the day of its end, or later.
    """
    try:
        plan = plan_of(experiment, revision)
    except NoSuchEnd as error:
        raise Conflict(f"The plan has no time: {error}. Give the plan another date.") from None
    locking.lock(session, revision.id or 0, plan, at=revision.started_at, deviation=deviation)


def follow_plan(
    session: Session, experiment: Experiment, revision: Revision, *, reason: str | None, by: str
) -> None:
    """Make a live revision follow a changed plan, on record.

    Raises:
        Conflict: There is no reason, or a look was taken under what would change.
        InvalidPayload: It would end before it began.
    """
    plan = _followed(experiment, revision)
    locking.deviate(session, revision.id or 0, plan, reason=reason, by=by, at=datetime.now(UTC))


def deviation_of(
    session: Session, experiment: Experiment, revision: Revision, *, reason: str | None, by: str
) -> locking.Deviation | None:
    """What the definition as it stands changes of the plan of a live revision, which the next one replaces.

    Its own arms and start are kept for that: they are other ones in every new revision, whatever its plan.

    Raises:
        Conflict: The plan changes, and there is no reason.
        InvalidPayload: It would end before it began.
    """
    before = locking.plan_in_force(session, revision.id or 0)
    return locking.deviation_from(before, _followed(experiment, revision), reason=reason, by=by)


def _followed(experiment: Experiment, revision: Revision) -> Plan:
    try:
        return plan_of(experiment, revision)
    except NoSuchEnd as error:
        raise invalid("/plan/horizon/date", str(error)) from None
