"""Whether the arms got their planned shares of the units on every day."""

from collections.abc import Sequence

from equipoise_service.plans.documents import Plan
from equipoise_service.readouts.calendar import Block
from equipoise_service.readouts.checks import DailyRatio
from equipoise_service.readouts.found import CHECK_ALPHA, about
from equipoise_service.readouts.numerals import p_value
from equipoise_service.texts.saying import say
from equipoise_stats import AllocationEpoch, CheckStatus, sequential_sample_ratio

_MOST_NAMED = 5
# A day has few units, and what breaks one breaks it by several points.
_CONCENTRATION = 100.0


def ratio_of(plan: Plan, block: Block) -> float | None:
    """The p-value of a day's sample ratio, corrected for all days; None without units.

    It holds at any moment while the day goes on. The k-th day has the part 1/(k (k + 1)) of the level: all
    parts together are at most the level, however many days there will be.
    """
    # An arm that was not planned is what the check of all units is about.
    units = {variant: block.arms[variant].units if variant in block.arms else 0 for variant in plan.weights}
    p = sequential_sample_ratio(
        [AllocationEpoch(units, plan.weights)], alpha=CHECK_ALPHA, concentration=_CONCENTRATION
    ).p_value
    return None if p is None else min(1.0, p * block.number * (block.number + 1))


def daily_ratio(plan: Plan, blocks: Sequence[Block]) -> DailyRatio | None:
    """The check of all days; None where no day is known.

    Args:
        plan: Its planned shares, which are those of all days: other weights begin a new revision, and other
            traffic moves nobody between arms.
        blocks: The days.
    """
    if not blocks:
        return None
    found = [(p, block) for block in blocks if (p := ratio_of(plan, block)) is not None]
    if not found:
        nothing = about(
            "daily_sample_ratio", CheckStatus.UNAVAILABLE, say("rests_on.no_p"), say("found.no_units")
        )
        return DailyRatio(**nothing, p_value=None, days=[])
    smallest, day = min(found, key=lambda each: each[0])
    broken = [block for p, block in found if p <= CHECK_ALPHA]
    named = ", ".join(map(_name, broken[:_MOST_NAMED]))
    more = say("found.more_days", count=len(broken) - _MOST_NAMED) if len(broken) > _MOST_NAMED else ""
    return DailyRatio(
        **about(
            "daily_sample_ratio",
            CheckStatus.FAILED if broken else CheckStatus.OK,
            f"{say('rests_on.p', p=p_value(smallest))} ({_name(day)})",
            say("found.daily_sample_ratio", days=f"{named}{more}") if broken else None,
        ),
        p_value=smallest,
        days=[block.first.isoformat() for block in broken],
    )


def _name(block: Block) -> str:
    first, last = block.first.isoformat(), block.last.isoformat()
    return first if first == last else say("range", low=first, high=last)
