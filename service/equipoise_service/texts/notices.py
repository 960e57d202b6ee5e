"""What is said of each warning of the statistics: its code, in words for who reads a result."""

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "notice.few_events": (
            "In one arm only {events} units did this, or only {events} did not: with fewer than {needed}, "
            "intervals and p-values are rough."
        ),
        "notice.overdispersed": (
            "Events vary {factor} times as much between units as chance alone would make them, so the "
            "interval is too narrow."
        ),
        "notice.noisy_denominator": (
            "What this ratio is divided by is known to ±{noise} only; above ±{limit} its intervals and "
            "p-values are rough."
        ),
        "notice.few_clusters": (
            "There are only {clusters} groups of units; with fewer than {needed}, intervals and p-values "
            "are rough."
        ),
        "notice.strata_collapsed": (
            "Parts in which an arm has fewer than {needed} units were taken together: {strata}."
        ),
        "notice.not_adjusted": (
            "The pre-period explains too little of this metric to be worth adjusting for, so the numbers "
            "are the unadjusted ones."
        ),
        "notice.few_units_for_adjustment": (
            "There are few units for an adjustment by {covariates} figures of the pre-period, so the "
            "interval may be too narrow."
        ),
        "notice.unbalanced_covariates": (
            "The arms differed before the experiment by more than chance: find out whether units were "
            "assigned at random, and whether the pre-period ends before each unit's first exposure."
        ),
        "notice.skewed_unequal_arms": (
            "A few large values weigh much in arms of this size, so the interval assumes that the values of "
            "both arms vary alike. Winsorize the metric, or wait for more units."
        ),
        "notice.skewness_unknown": (
            "Whether a few large values weigh too much in arms of unequal size is not known here."
        ),
        "notice.skewness": (
            "A few large values weigh much, so that an effect to one side is found too easily. Winsorize "
            "the metric, or plan arms of equal size."
        ),
        "notice.few_degrees_of_freedom": (
            "There are too few units yet to know well how much they vary, and an interval that holds at any "
            "moment relies on that."
        ),
        "notice.alpha_spent": (
            "An earlier look used up all of alpha, so this one can show nothing: the result of that look "
            "stands."
        ),
        "notice.too_early_to_reject": (
            "With {fraction} of the planned data it is too early for this look to show anything; all of "
            "alpha is kept for later ones."
        ),
        "notice.small_probability": (
            "An arm got only {probability} of the units at a time, so single units weigh much; give every "
            "arm {floor} at least."
        ),
        "notice.narrower_than_normal": (
            "The effects agree better than chance lets one expect, so the interval may be too narrow."
        ),
    }
)
