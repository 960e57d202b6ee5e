"""The check of units that are left out as bots: how many they are, and whether from all arms alike.

What a bot is follows from what a unit does, also after it met its variant. So a treatment that has people do
more, or less, can have more of them left out of its arm than out of others, and who is left in is no longer
comparable.
"""

from equipoise_service.analysis.statistics import Statistics
from equipoise_service.plans.documents import Plan
from equipoise_service.readouts.checks import BotUnits
from equipoise_service.readouts.found import CHECK_ALPHA, about
from equipoise_service.readouts.numerals import p_value, percent
from equipoise_service.texts.saying import counted, listing, say
from equipoise_stats import AllocationEpoch, CheckStatus, sequential_sample_ratio

MANY = 0.05
"""A larger share of the units is a rule to look at."""
DECISIVE = 0.001
"""A larger share of the units, left out of one arm more than of another, can decide a result."""

# Bots are few, and a rule that a variant changes misses by many points.
_CONCENTRATION = 10.0


def bot_units(plan: Plan, statistics: Statistics) -> BotUnits | None:
    """Units that are left out as bots; None without a rule, and where their arms are not known."""
    by_arm, units = statistics.bots_by_arm, statistics.bots
    if by_arm is None or units is None:
        return None
    seen = units + sum(arm.units for arm in statistics.arms.values()) + statistics.crossovers
    share = units / seen if seen else None
    arms = {variant: by_arm.get(variant, 0) for variant in plan.weights}
    p = sequential_sample_ratio(
        [AllocationEpoch(arms, plan.weights)], alpha=CHECK_ALPHA, concentration=_CONCENTRATION
    ).p_value
    status, reason = _status(share or 0.0, differ=p is not None and p <= CHECK_ALPHA)
    shown = listing([say("rests_on.bots.arm", units=f"{n:,}", arm=arm) for arm, n in arms.items()])
    number = counted("units", units) if share is None else f"{counted('units', units)} ({percent(share)})"
    if p is not None:
        number = say("rests_on.bots", number=number, arms=shown, p=p_value(p))
    return BotUnits(
        **about("bots", status, number, reason), units=units, share=share, arms=dict(by_arm), p_value=p
    )


def _status(share: float, *, differ: bool) -> tuple[CheckStatus, str | None]:
    if differ and share > DECISIVE:
        return CheckStatus.FAILED, say("found.bots_differ_much", share=f"{100 * DECISIVE:g} %")
    if differ:
        return CheckStatus.WARNING, say("found.bots_differ")
    if share > MANY:
        return CheckStatus.WARNING, say("found.many_bots", share=f"{100 * MANY:g} %")
    return CheckStatus.OK, None
