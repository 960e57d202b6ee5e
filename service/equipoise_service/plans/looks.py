"""Looks: the analyses of a plan, when they are due and what they spend.

A group-sequential plan has interim ones; a fixed-horizon plan has one, at its end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from equipoise_service.metrics.schemas import Role
from equipoise_service.plans.documents import Plan
from equipoise_service.plans.schemas import DEFAULT_LOOK_HOURS, Method, SpendingFunction
from equipoise_stats import LookHistory, Spending, plan_looks

MOST_LOOKS = 1000
_LARGEST_FRACTION = 100.0
_LEAST_GAIN = 1 + 1e-5
_LEAST_STEP = 1 + 2e-6
_ALL = 1 - 1e-12


class Alpha(BaseModel):
    """What looks did with the plan's alpha, for one metric: each has all of it, before corrections."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    spent: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = Field(
        description="Part of alpha that is spent after the look, both sides together."
    )
    left: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = Field(
        description="Alpha minus what is spent: what is left for the looks to come."
    )


class Look(BaseModel):
    """One look, as it was taken. It never changes, and neither does what it spent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    number: int = Field(ge=1, description="1 for the first look of the revision.")
    taken_at: str = Field(description="When it was taken, RFC 3339 in UTC.")
    fractions: dict[str, Annotated[float, Field(gt=0, le=_LARGEST_FRACTION)]] = Field(
        description="By metric: its mature units over the units of the horizon; of a horizon in days only, "
        "the part of them that had passed. A metric without new units since the look before is not in it."
    )
    units: dict[str, Annotated[int, Field(gt=0)]] = Field(
        default_factory=dict,
        description="Of a horizon in days only, by the same metrics: the mature units. Empty otherwise.",
    )
    final: bool = Field(
        description="Whether it is the last one though the horizon is not reached; of a fixed-horizon plan, "
        "not by every metric. Where the planned days are over it spends all that is left of alpha."
    )
    stopped: bool = Field(
        False,
        description="Whether it is the last one because somebody stopped the experiment before its planned "
        "end: then it spends what the spending function has for as much of the horizon as there was. Absent "
        "in looks from before this was on record, which spent all that was left.",
    )
    spent: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = Field(
        description="Part of alpha that is spent after it, for the leading metric."
    )
    alpha: dict[str, Alpha] = Field(
        default_factory=dict,
        description="By success metric (of a plan without one, the leading metric): what is spent of alpha "
        "after it, and what is left. Empty in looks from before this was on record.",
    )
    statistics_digest: str = Field(description="Digest of the statistics that it looked at.")

    @model_validator(mode="after")
    def _stopped_is_final(self) -> Self:
        if self.stopped and not self.final:
            raise ValueError("a look at which somebody had stopped the experiment is the final one")
        return self


LOOKED_AT = (Method.GROUP_SEQUENTIAL, Method.FIXED_HORIZON)
"""The methods whose test is valid at looks only: several that share alpha, or one."""


class NotDue(ValueError):
    """No look is due; the message says why and when one is."""


def leading_metric(plan: Plan) -> str | None:
    """The metric whose units count for the plan's progress: the first success metric, else the first one."""
    keys = [metric.key for metric in plan.metrics if metric.role is Role.SUCCESS]
    return next(iter([*keys, *(metric.key for metric in plan.metrics)]), None)


def fractions_of(looks: Sequence[Look], metric: str) -> tuple[float, ...]:
    """How much of the horizon had passed at the looks at a metric so far."""
    return tuple(look.fractions[metric] for look in looks if metric in look.fractions)


@dataclass(frozen=True, slots=True)
class Passed:
    """The looks at one metric so far, as their bounds follow from them.

    Attributes:
        information: The information fraction of each look. By the calendar there is no planned information,
            so it is that over the last look's: bounds depend on ratios only.
        times: Where the spending function was read, for a horizon in days only; None: at the fractions.
        final: Whether the last one spends all that is left though the horizon is not reached.
    """

    information: tuple[float, ...]
    times: tuple[float, ...] | None
    final: bool

    def history(self, plan: Plan) -> LookHistory:
        """The looks with their bounds, at the plan's alpha."""
        before = len(self.information) - self.final
        times = None if self.times is None else self.times[:before]
        history = plan_looks(
            self.information[:before], spending=spending_of(plan), alpha=plan.alpha, spending_times=times
        )
        return history.next_look(self.information[-1], final=True) if self.final else history


def passed(looks: Sequence[Look], metric: str) -> Passed | None:
    """The looks at a metric so far; None where there was none."""
    of = [look for look in looks if metric in look.fractions]
    if not of:
        return None
    fractions = fractions_of(of, metric)
    is_last = of[-1].final and of[-1] is looks[-1]
    final = is_last and not of[-1].stopped and fractions[-1] < 1
    if any(metric not in look.units for look in of):
        return Passed(_growing(fractions), None, final)
    last = of[-1].units[metric]
    return Passed(_growing([look.units[metric] / last for look in of]), fractions, final)


def _growing(information: Sequence[float]) -> tuple[float, ...]:
    """The information, where a last look without new units counts as one with next to none.

    It spends what is left of alpha on the same data, whose bound comes nearer.
    """
    found: list[float] = []
    for each in information:
        found.append(max(each, found[-1] * _LEAST_STEP) if found else each)
    return tuple(found)


def spending_of(plan: Plan) -> Spending:
    """The plan's spending function."""
    return Spending("pocock" if plan.spending is SpendingFunction.POCOCK else "obrien_fleming")


def alpha_spent(plan: Plan, looks: Sequence[Look]) -> float:
    """What looks spend of alpha, both sides together, for the leading metric."""
    lead = leading_metric(plan)
    return 0.0 if lead is None else alpha_of_metrics(plan, looks)[lead].spent


def alpha_of_metrics(plan: Plan, looks: Sequence[Look]) -> dict[str, Alpha]:
    """What looks spend of alpha and what they leave, for each success metric, else for the leading one."""
    keys = [metric.key for metric in plan.metrics if metric.role is Role.SUCCESS]
    looked = {key: passed(looks, key) for key in keys or filter(None, [leading_metric(plan)])}
    # Bounds take a while, and most metrics have the same looks.
    spent = {of: of.history(plan).current.spent for of in set(looked.values()) if of is not None}
    return {key: _alpha(plan, 0.0 if of is None else spent[of]) for key, of in looked.items()}


def _alpha(plan: Plan, spent: float) -> Alpha:
    # All of alpha, as quadrature rounds it, leaves nothing.
    return Alpha(spent=spent, left=0.0 if spent >= plan.alpha * _ALL else plan.alpha - spent)


def is_spent(plan: Plan, looks: Sequence[Look]) -> bool:
    """Whether looks spent all of alpha, so that there is none to come."""
    return bool(looks) and (looks[-1].final or looks[-1].spent >= plan.alpha * _ALL)


def days_passed(
    plan: Plan, now: datetime, *, started_at: datetime | None, ended_at: datetime | None
) -> float | None:
    """How much of a horizon in days only has passed, 1 at most; None for other horizons, and without a start.

    Args:
        plan: The plan.
        now: When.
        started_at: When the randomisation began.
        ended_at: When it ended, if it did: there the clock stops.
    """
    horizon = plan.horizon
    if horizon is None or horizon.units is not None or horizon.days is None or started_at is None:
        return None
    until = now if ended_at is None else min(now, ended_at)
    return max(0.0, min(1.0, (until - started_at) / timedelta(days=horizon.days)))


def days_are_over(plan: Plan, now: datetime, started_at: datetime | None) -> bool:
    """Whether the days of a horizon have passed; not where it has none, or nobody knows the start."""
    if plan.horizon is None or plan.horizon.days is None or started_at is None:
        return False
    return now >= started_at + timedelta(days=plan.horizon.days)


def was_stopped(plan: Plan, *, started_at: datetime | None, ended_at: datetime | None) -> bool:
    """Whether somebody ended an experiment that has a horizon before the days of it had passed."""
    return ended_at is not None and plan.horizon is not None and not days_are_over(plan, ended_at, started_at)


def next_look(
    plan: Plan,
    mature: Mapping[str, int],
    earlier: Sequence[Look],
    *,
    statistics_digest: str,
    taken_at: datetime,
    started_at: datetime,
    ended_at: datetime | None,
) -> Look:
    """The look that is due now.

    Args:
        plan: A plan whose test is valid at looks only. Of a fixed-horizon plan one is due, at its end.
        mature: Units of all arms whose window has passed, by metric.
        earlier: The looks so far, in order.
        statistics_digest: Digest of the statistics that are looked at.
        taken_at: When.
        started_at: When the randomisation began.
        ended_at: When the experiment stopped, so that no unit is to come; None where it did not. Who stops it
            before the planned end may have seen how it goes, so nothing is spent that was for later.

    Raises:
        NotDue: None is due.
    """
    horizon = plan.horizon
    lead = leading_metric(plan)
    if plan.method not in LOOKED_AT or horizon is None:
        raise NotDue(f"The plan's method is {plan.method}: it has no looks, and reading spends nothing.")
    if lead is None:
        raise NotDue("The plan has no metric, so there is nothing to look at.")
    if len(earlier) >= MOST_LOOKS:
        raise NotDue(f"There were {MOST_LOOKS} looks, which is the most of one revision.")
    if is_spent(plan, earlier):
        raise NotDue("All of alpha is spent: the last look was the final one, and its result stands.")
    days = days_passed(plan, taken_at, started_at=started_at, ended_at=ended_at)
    over = ended_at is not None or days_are_over(plan, taken_at, started_at)
    gained = _gained(plan, mature, earlier, days, over=over)
    if lead not in gained:
        raise NotDue(f"No unit of {lead} has become mature since the last look.")
    if not over:
        _check_schedule(plan, gained[lead], earlier, taken_at, started_at)
    # What has one look only has all of alpha at it, also for metrics whose windows are longer.
    counts = gained.values() if plan.method is Method.FIXED_HORIZON else (gained[lead],)
    look = Look(
        number=len(earlier) + 1,
        taken_at=taken_at.isoformat().replace("+00:00", "Z"),
        fractions=gained,
        units={} if days is None else {metric: mature[metric] for metric in gained},
        final=(over or plan.method is Method.FIXED_HORIZON) and min(counts) < 1,
        stopped=gained[lead] < 1 and was_stopped(plan, started_at=started_at, ended_at=ended_at),
        spent=0.0,
        statistics_digest=statistics_digest,
    )
    alpha = alpha_of_metrics(plan, (*earlier, look))
    return look.model_copy(update={"spent": alpha[lead].spent, "alpha": alpha})


def next_look_at(plan: Plan, earlier: Sequence[Look], started_at: datetime) -> datetime | None:
    """When the next look is due by the clock; None where units decide, or the plan has no looks."""
    if plan.method not in LOOKED_AT or plan.horizon is None:
        return None
    if plan.method is Method.FIXED_HORIZON:
        days = plan.horizon.days
        return None if earlier or days is None else started_at + timedelta(days=days)
    count = plan.looks.count if plan.looks is not None else None
    if count is None:
        return _due_at(plan, earlier, started_at)
    if plan.horizon.units is not None or plan.horizon.days is None:
        return None
    step = _steps_passed(plan, earlier, count) + 1
    return started_at + timedelta(days=plan.horizon.days) * step / count


def _due_at(plan: Plan, earlier: Sequence[Look], started_at: datetime) -> datetime:
    hours = DEFAULT_LOOK_HOURS if plan.looks is None else plan.looks.every_hours or DEFAULT_LOOK_HOURS
    last = datetime.fromisoformat(earlier[-1].taken_at) if earlier else started_at
    return last + timedelta(hours=hours)


def _gained(
    plan: Plan, mature: Mapping[str, int], earlier: Sequence[Look], days: float | None, *, over: bool
) -> dict[str, float]:
    """How much of the horizon has passed, for the metrics that have units which no look has seen.

    At the end also for those without, as far as they have alpha left: there is no other look to spend it.
    """
    planned = plan.horizon.units if plan.horizon is not None else None
    fractions = {}
    for metric in plan.metrics:
        units = mature.get(metric.key, 0)
        if days is None:
            seen = max(fractions_of(earlier, metric.key), default=0.0)
            now = fraction = min(units / (planned or 1), _LARGEST_FRACTION)
        else:
            seen = max((look.units.get(metric.key, 0) for look in earlier), default=0)
            now, fraction = units, days
        before = fractions_of(earlier, metric.key)
        is_last = over and now == seen and bool(before) and before[-1] < 1
        if fraction > 0 and (now > seen * _LEAST_GAIN or is_last):
            fractions[metric.key] = fraction
    return fractions


def _steps_passed(plan: Plan, earlier: Sequence[Look], steps: int) -> int:
    """How many of a number of equal steps of the horizon had passed at the last look."""
    before = fractions_of(earlier, leading_metric(plan) or "")
    return int(before[-1] * steps + 1e-9) if before else 0


def _check_schedule(
    plan: Plan, fraction: float, earlier: Sequence[Look], now: datetime, started_at: datetime
) -> None:
    if plan.method is Method.FIXED_HORIZON:
        if fraction < 1:
            raise NotDue(f"A fixed-horizon plan has one look, at its end; it is now at {fraction:.4g} of it.")
        return
    if plan.looks is not None and plan.looks.count is not None:
        # A step that was passed over is not made up for: the look that is due is of the last step reached.
        steps = plan.looks.count
        looked = _steps_passed(plan, earlier, steps)
        if int(fraction * steps + 1e-9) <= looked:
            raise NotDue(
                f"The next look is due at {(looked + 1) / steps:.4g} of the horizon; it is now at "
                f"{fraction:.4g}."
            )
        return
    due = _due_at(plan, earlier, started_at)
    # The planned end needs no waiting.
    if now < due and fraction < 1:
        raise NotDue(f"The next look is due at {due.isoformat(timespec='seconds')}.")
