"""What is said of a metric, and of segments."""

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        # Why there is no result.
        "no_result.not_finite": (
            "The values are so large, or so far apart, that a number needed to compare them is not finite."
        ),
        "no_result.no_values": "The {arm} arm has no values, so it has no quantile.",
        "no_result.treatment": "treatment",
        "no_result.control": "control",
        # One comparison, in a word or two.
        "outcome_of.better": "shown to be better",
        "outcome_of.worse": "shown to be worse",
        "outcome_of.flat": "no difference shown",
        "outcome_of.waiting": "too early to conclude",
        "outcome_of.unknown": "no result",
        # Below a metric.
        "adjusted.little": (
            "Adjusting for the pre-period removes less than 1 % of the variance for {variants}: it "
            "changes next to nothing."
        ),
        "adjusted": "Adjusting for the pre-period removes {share} of the variance for {variants}.",
        "winsorized": "Values above {cut} were set to it: {arms}.",
        "winsorized.arm": "{units} of {variant} ({share})",
        "impact": (
            "At full traffic {variant} would change {metric} by {per_day} a day ({low} to {high}), "
            "{per_month} in 30 days: if {units} units a day come, as so far, and the effect stays as "
            "it is."
        ),
        "impact.units": "{number} units",
        # Segments.
        "segments.alike": "No effect is shown to differ between the values of {segment}.",
        "segments.differ": (
            "The effect of {variant} on {metric} differs between the values of {segment} (corrected p "
            "{p}){where}."
        ),
        "segments.where": ": it is another one for {names}",
        "segments.others": "the other values",
        "segments.none": "units without a value",
        "segments.unknown": ("Whether effects differ between the values of {segment} is not known: {reason}"),
        "segments.at_the_end": (
            "it is tested once, at the planned end; asked every day, it would find something sooner or later."
        ),
        "segments.exploratory": (
            "This is exploratory: {segment} was not in the plan when it was locked, so try it on new "
            "units before relying on it."
        ),
    }
)
