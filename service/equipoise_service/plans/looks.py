"""Looks: the interim analyses of a group-sequential plan, when they are due and what they spend."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from equipoise_service.metrics.schemas import Role
from equipoise_service.plans.documents import Plan
from equipoise_service.plans.schemas import DEFAULT_LOOK_HOURS, Method, SpendingFunction
from equipoise_stats import Spending, plan_looks

MOST_LOOKS = 1000
_LARGEST_FRACTION = 100.0
_LEAST_GAIN = 1 + 1e-5


class Look(BaseModel):
    """One look, as it was taken. It never changes, and neither does what it spent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    number: int = Field(ge=1, description="1 for the first look of the revision.")
    taken_at: str = Field(description="When it was taken, RFC 3339 in UTC.")
    fractions: dict[str, Annotated[float, Field(gt=0, le=_LARGEST_FRACTION)]] = Field(
        description="By metric: its mature units over the units of the horizon. A metric without new units "
        "since the look before is not in it."
    )
    final: bool = Field(description="Whether it spends all that is left of alpha before the horizon.")
    spent: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = Field(
        description="Part of alpha that is spent after it, for the leading metric."
    )
    statistics_digest: str = Field(description="Digest of the statistics that it looked at.")


class NotDue(ValueError):
    """No look is due; the message says why and when one is."""


def leading_metric(plan: Plan) -> str | None:
    """The metric whose units count for the plan's progress: the first success metric, else the first one."""
    keys = [metric.key for metric in plan.metrics if metric.role is Role.SUCCESS]
    return next(iter([*keys, *(metric.key for metric in plan.metrics)]), None)


def fractions_of(looks: Sequence[Look], metric: str) -> tuple[float, ...]:
    """The information fractions of a metric at the looks so far."""
    return tuple(look.fractions[metric] for look in looks if metric in look.fractions)


def spending_of(plan: Plan) -> Spending:
    """The plan's spending function."""
    return Spending("pocock" if plan.spending is SpendingFunction.POCOCK else "obrien_fleming")


def alpha_spent(plan: Plan, fractions: Sequence[float], *, final: bool) -> float:
    """What looks at these fractions spend of alpha, both sides together; `final` is about the last one."""
    if not fractions:
        return 0.0
    earlier = fractions[:-1] if final else fractions
    history = plan_looks(earlier, spending=spending_of(plan), alpha=plan.alpha)
    if final:
        history = history.next_look(fractions[-1], final=True)
    return history.current.spent


def next_look(
    plan: Plan,
    mature: Mapping[str, int],
    earlier: Sequence[Look],
    *,
    statistics_digest: str,
    taken_at: datetime,
    started_at: datetime,
    ended: bool,
) -> Look:
    """The look that is due now.

    Args:
        plan: A group-sequential plan.
        mature: Units of all arms whose window has passed, by metric.
        earlier: The looks so far, in order.
        statistics_digest: Digest of the statistics that are looked at.
        taken_at: When.
        started_at: When the randomisation began.
        ended: Whether no unit is to come: the experiment stopped.

    Raises:
        NotDue: None is due.
    """
    horizon = plan.horizon
    lead = leading_metric(plan)
    if plan.method is not Method.GROUP_SEQUENTIAL or horizon is None or horizon.units is None:
        raise NotDue(f"The plan's method is {plan.method}: it has no looks, and reading spends nothing.")
    if lead is None:
        raise NotDue("The plan has no metric, so there is nothing to look at.")
    if len(earlier) >= MOST_LOOKS:
        raise NotDue(f"There were {MOST_LOOKS} looks, which is the most of one revision.")
    if earlier and (earlier[-1].final or earlier[-1].spent >= plan.alpha * (1 - 1e-12)):
        raise NotDue("All of alpha is spent: the last look was the final one, and its result stands.")
    gained = _gained(plan, mature, earlier, horizon.units)
    if lead not in gained:
        raise NotDue(f"No unit of {lead} has become mature since the last look.")
    over = ended or (horizon.days is not None and taken_at >= started_at + timedelta(days=horizon.days))
    if not over:
        _check_schedule(plan, gained[lead], earlier, taken_at, started_at)
    final = over and gained[lead] < 1
    history = (*fractions_of(earlier, lead), gained[lead])
    return Look(
        number=len(earlier) + 1,
        taken_at=taken_at.isoformat().replace("+00:00", "Z"),
        fractions=gained,
        final=final,
        spent=alpha_spent(plan, history, final=final),
        statistics_digest=statistics_digest,
    )


def next_look_at(plan: Plan, earlier: Sequence[Look], started_at: datetime) -> datetime | None:
    """When the next look is due by the clock; None where units decide, or the plan has no looks."""
    if plan.method is not Method.GROUP_SEQUENTIAL or (
        plan.looks is not None and plan.looks.count is not None
    ):
        return None
    return _due_at(plan, earlier, started_at)


def _due_at(plan: Plan, earlier: Sequence[Look], started_at: datetime) -> datetime:
    hours = DEFAULT_LOOK_HOURS if plan.looks is None else plan.looks.every_hours or DEFAULT_LOOK_HOURS
    last = datetime.fromisoformat(earlier[-1].taken_at) if earlier else started_at
    return last + timedelta(hours=hours)


def _gained(plan: Plan, mature: Mapping[str, int], earlier: Sequence[Look], units: int) -> dict[str, float]:
    """The fractions of the metrics that have units which no look has seen."""
    fractions = {}
    for metric in plan.metrics:
        fraction = min(mature.get(metric.key, 0) / units, _LARGEST_FRACTION)
        before = fractions_of(earlier, metric.key)
        if fraction > 0 and (not before or fraction > before[-1] * _LEAST_GAIN):
            fractions[metric.key] = fraction
    return fractions


def _check_schedule(
    plan: Plan, fraction: float, earlier: Sequence[Look], now: datetime, started_at: datetime
) -> None:
    if plan.looks is not None and plan.looks.count is not None:
        # A step that was passed over is not made up for: the look that is due is of the last step reached.
        steps = plan.looks.count
        before = fractions_of(earlier, leading_metric(plan) or "")
        reached, looked = int(fraction * steps + 1e-9), int(before[-1] * steps + 1e-9) if before else 0
        if reached <= looked:
            raise NotDue(
                f"The next look is due at {(looked + 1) / steps:.4g} of the horizon's units; it is now at "
                f"{fraction:.4g}."
            )
        return
    due = _due_at(plan, earlier, started_at)
    # The planned end needs no waiting.
    if now < due and fraction < 1:
        raise NotDue(f"The next look is due at {due.isoformat(timespec='seconds')}.")
