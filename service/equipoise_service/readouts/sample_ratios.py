"""Whether the arms got their planned shares of all units, and of those of each segment value."""

from collections.abc import Iterable, Mapping

from equipoise_service.analysis.segments import OTHER, segment_value
from equipoise_service.analysis.statistics import ArmStatistics, Statistics
from equipoise_service.plans.documents import Plan
from equipoise_service.readouts.checks import SampleRatio, SegmentRatio
from equipoise_service.readouts.found import CHECK_ALPHA, about
from equipoise_service.readouts.heterogeneity import part_name
from equipoise_service.readouts.numerals import p_value
from equipoise_service.texts.saying import counted, listing, say
from equipoise_stats import (
    AllocationEpoch,
    ArmShare,
    CheckStatus,
    SampleRatioFinding,
    SequentialSampleRatio,
    sample_ratio,
    sequential_sample_ratio,
)


def at_the_end(units: Mapping[str, int], plan: Plan, *, complete: bool) -> SampleRatio:
    """The check by one test.

    Args:
        units: The units of each arm.
        plan: The planned shares.
        complete: Whether the planned end is reached: before, a mismatch warns only.
    """
    found = sample_ratio(units, plan.weights, alpha=CHECK_ALPHA)
    status, reason = found.status, _found(found.finding, found.arms)
    if found.finding is SampleRatioFinding.MISMATCH and not complete:
        # Asked every day, one test in a thousand would become one experiment in a hundred.
        status, reason = CheckStatus.WARNING, say("found.sample_ratio.early")
    # Nor is the p-value one that may be looked at every day.
    p = found.p_value if complete else None
    number = say("rests_on.no_p") if p is None else say("rests_on.p", p=p_value(p))
    return SampleRatio(**about("sample_ratio", status, number, reason), p_value=p)


def at_any_moment(units: Mapping[str, int], plan: Plan) -> SampleRatio:
    """The check by the sequential test."""
    # One epoch: within a revision a ramp moves nobody between arms, and other weights begin a new revision.
    found = sequential_sample_ratio([AllocationEpoch(units, plan.weights)], alpha=CHECK_ALPHA)
    number = say("rests_on.no_p") if found.p_value is None else say("rests_on.p", p=p_value(found.p_value))
    reason = _found(found.finding, [arm for epoch in found.epochs for arm in epoch])
    return SampleRatio(
        **about("sequential_sample_ratio", found.status, number, reason), p_value=found.p_value
    )


def by_segment(statistics: Statistics, plan: Plan) -> SegmentRatio | None:
    """The same within each segment value, each at its part of the level."""
    if not plan.segments:
        return None
    found = [
        (each.p_value, segment, part.label)
        for segment, parts in statistics.segments.items()
        for part in parts
        if (each := _of_planned_arms(part.arms, plan)).p_value is not None
    ]
    if not found:
        nothing = about(
            "segment_sample_ratio", CheckStatus.UNAVAILABLE, say("rests_on.no_p"), say("found.no_parts")
        )
        return SegmentRatio(**nothing, p_value=None, segment=None, value=None)
    smallest, segment, label = min(found)
    p = min(1.0, smallest * len(found))
    failed = p <= CHECK_ALPHA
    others = label == OTHER
    value = None if others else segment_value(label)
    key = "others" if others else "none" if value is None else "value"
    where = part_name(value, others=others)
    reason = say(f"found.segment_sample_ratio.{key}", segment=segment, value=where) if failed else None
    return SegmentRatio(
        **about(
            "segment_sample_ratio",
            CheckStatus.FAILED if failed else CheckStatus.OK,
            f"{say('rests_on.p', p=p_value(p))} ({segment}: {where})",
            reason,
        ),
        p_value=p,
        segment=segment,
        value=value,
    )


def _found(finding: SampleRatioFinding | None, arms: Iterable[ArmShare]) -> str | None:
    """What a check of the shares found, in words; None where nothing is wrong."""
    if finding is None:
        return None
    if finding is SampleRatioFinding.LEAK:
        leaked = [
            say("found.sample_ratio.arm", units=counted("units", arm.units), arm=arm.arm)
            for arm in arms
            if arm.expected_share == 0 and arm.units
        ]
        return say("found.sample_ratio.leak", arms=listing(leaked))
    return say("found.no_units" if finding is SampleRatioFinding.NO_UNITS else "found.sample_ratio.mismatch")


def _of_planned_arms(arms: Mapping[str, ArmStatistics], plan: Plan) -> SequentialSampleRatio:
    # An arm that was not planned is what the check of all units is about.
    units = {variant: arms[variant].units if variant in arms else 0 for variant in plan.weights}
    return sequential_sample_ratio([AllocationEpoch(units, plan.weights)], alpha=CHECK_ALPHA)
