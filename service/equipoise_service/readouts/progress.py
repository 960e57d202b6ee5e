"""Where a plan stands at the moment of a readout: what may be concluded now, and what not yet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from equipoise_service.plans.documents import Plan
from equipoise_service.plans.looks import (
    Look,
    days_are_over,
    days_passed,
    is_spent,
    leading_metric,
    was_stopped,
)
from equipoise_service.plans.schemas import Method
from equipoise_service.readouts.numerals import to_the_minute
from equipoise_service.texts.saying import say


@dataclass(frozen=True, slots=True)
class Moment:
    """The moment of a readout.

    Attributes:
        looks: The looks up to this one.
        at_look: Whether the last of them looked at just these statistics.
        valid: Whether the inference of the plan may be concluded from at this moment.
        reason: Why not; None where it may.
        complete: Whether the planned end is reached, so that waiting changes nothing.
        last_look_due: Whether that end is reached and only the last look is missing.
        units: Mature units of the leading metric.
        fraction: Those over the units of the horizon; of a group-sequential plan with days only, the part of
            them that has passed; None without.
        stopped: How much of the horizon there was when somebody stopped the experiment before its planned
            end; None where nobody did.
    """

    looks: tuple[Look, ...]
    at_look: bool
    valid: bool
    reason: str | None
    complete: bool
    units: int
    fraction: float | None
    stopped: float | None = None
    last_look_due: bool = False


def moment_of(
    plan: Plan,
    mature: Mapping[str, int],
    looks: Sequence[Look],
    statistics_digest: str,
    *,
    generated_at: datetime,
    started_at: datetime | None,
    ended_at: datetime | None,
    of_file: bool = False,
    looked_at_once: bool = False,
) -> Moment:
    """Where the plan stands.

    Args:
        plan: The plan.
        mature: Mature units of all arms, by metric.
        looks: The looks so far.
        statistics_digest: Digest of the statistics of the readout.
        generated_at: When it is computed.
        started_at: When the randomisation began; None where nobody knows.
        ended_at: When it ended, if it did.
        of_file: Whether the data are a file.
        looked_at_once: Whether a fixed-horizon plan is asked at its one look only, as that of a live
            experiment is; otherwise it is asked once its end is reached, as where nothing is to come.
    """
    units = mature.get(leading_metric(plan) or "", 0)
    fraction = _fraction(plan, mature)
    reached = fraction
    if reached is None:
        reached = days_passed(plan, generated_at, started_at=started_at, ended_at=ended_at)
    over = end_is_reached(
        plan, mature, generated_at=generated_at, started_at=started_at, ended_at=ended_at, of_file=of_file
    )
    if plan.method is Method.GROUP_SEQUENTIAL or looked_at_once:
        at_look = bool(looks) and looks[-1].statistics_digest == statistics_digest
        last = at_look and is_spent(plan, looks)
        reason = None if at_look else _between(plan, looks, over=over)
        stopped = reached if last and looks[-1].stopped else None
        due = over and not is_spent(plan, looks)
        return Moment(tuple(looks), at_look, at_look, reason, last, units, reached, stopped, due)
    valid = over or plan.is_always_valid
    reason = None if valid else say("not_valid.before_the_end")
    ended_early = not plan.is_always_valid and was_stopped(plan, started_at=started_at, ended_at=ended_at)
    stopped = reached if ended_early and reached is not None and reached < 1 else None
    return Moment((), False, valid, reason, over, units, fraction, stopped)


def end_is_reached(
    plan: Plan,
    mature: Mapping[str, int],
    *,
    generated_at: datetime,
    started_at: datetime | None,
    ended_at: datetime | None,
    of_file: bool = False,
) -> bool:
    """Whether the planned end is reached; a group-sequential plan is complete at its last look only.

    Without a horizon the end of fixed-horizon is at once, and so is that of a Bayesian plan where data are a
    file, which no unit comes to. The arguments are those of `moment_of`.
    """
    fraction = _fraction(plan, mature)
    return (
        ended_at is not None
        or days_are_over(plan, generated_at, started_at)
        or (fraction is not None and fraction >= 1)
        or (plan.horizon is None and _needs_no_horizon(plan, of_file=of_file))
    )


def _needs_no_horizon(plan: Plan, *, of_file: bool) -> bool:
    return plan.method is Method.FIXED_HORIZON or (plan.method is Method.BAYESIAN and of_file)


def _fraction(plan: Plan, mature: Mapping[str, int]) -> float | None:
    """The mature units of the leading metric over the units of the horizon; None without such."""
    planned = plan.horizon.units if plan.horizon is not None else None
    return mature.get(leading_metric(plan) or "", 0) / planned if planned else None


def _between(plan: Plan, looks: Sequence[Look], *, over: bool) -> str:
    """Why nothing is tested at this moment, which no look is at."""
    if plan.method is Method.FIXED_HORIZON:
        if looks:
            return say("not_valid.after_the_end", at=to_the_minute(looks[-1].taken_at))
        return say("not_valid.at_the_end" if over else "not_valid.before_the_end")
    if not looks:
        return say("not_valid.before_the_first_look")
    return say("not_valid.between_looks", number=looks[-1].number, at=looks[-1].taken_at)
