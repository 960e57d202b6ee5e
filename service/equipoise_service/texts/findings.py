"""What a check found."""

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        # What the shares of the arms came to.
        "found.sample_ratio.mismatch": (
            "The arms did not get their planned shares of the units: results cannot be trusted."
        ),
        "found.sample_ratio.leak": (
            "Units came to arms whose planned share is 0 ({arms}): assignment or the logging of exposures is "
            "wrong."
        ),
        "found.sample_ratio.arm": "{units} in {arm}",
        "found.sample_ratio.early": (
            "The shares differ more than a single test at the end allows. Before the end the check "
            "over time decides, and nothing new is shipped meanwhile."
        ),
        "found.segment_sample_ratio.value": (
            "The arms did not get their planned shares of the units with the {segment} {value}."
        ),
        "found.segment_sample_ratio.others": (
            "The arms did not get their planned shares of the units with other values of {segment}."
        ),
        "found.segment_sample_ratio.none": (
            "The arms did not get their planned shares of the units without a value of {segment}."
        ),
        "found.no_parts": "No segment has units yet.",
        "found.no_units": "No unit has been exposed yet.",
        "found.daily_sample_ratio": (
            "The arms did not get their planned shares of the units that were first exposed on {days}."
        ),
        "found.more_days": " and {count} more",
        # Exposures, rows and items.
        "found.early_exposures": (
            "More than {share} of the units were exposed before the revision began, by more than a minute."
        ),
        "found.late_exposures": (
            "More than {share} of the exposures arrived over {hours} hours after they happened: "
            "readouts of those days lacked them."
        ),
        "found.no_arrivals": "These facts say when exposures happened, not when they arrived.",
        "found.no_times": "The rows have no times.",
        "found.no_reports": (
            "Senders report to a service what they gave up, and neither files nor tables have their reports."
        ),
        "found.missing_exposures": (
            "There were at most {share} of the exposures that the days before and their events lead one to "
            "expect on {days}."
        ),
        "found.crossovers": (
            "More than {share} of the units met several variants: something assigns or identifies "
            "units inconsistently."
        ),
        "found.many_crossovers": (
            "More than {share} of the units met several variants. They are left out, and so many can "
            "bias who is left in."
        ),
        "found.incomplete_rows": "Rows without a unit, a variant or a time were left out.",
        "found.dropped_items": (
            "Senders of this environment gave up so many since the start, at most: units or their "
            "events can be missing from the results."
        ),
        "found.many_dropped_items": (
            "Senders of this environment gave up more than {share} of what was logged since the start: units "
            "and events are missing, and hardly ever as many in each arm."
        ),
        "found.bots_differ": (
            "Units are left out as bots from one arm more than from another, though few: the rule may depend "
            "on the variant."
        ),
        "found.bots_differ_much": (
            "More than {share} of the units are left out as bots, and from one arm more than from another: "
            "who is left in is not comparable."
        ),
        "found.many_bots": "More than {share} of the units are left out as bots: the rule may meet people.",
        "found.recomputed": (
            "More than {share} of the units met another variant than their id gives them: a client assigns, "
            "logs or identifies units inconsistently."
        ),
        "found.assigned_elsewhere": (
            "The variants are unrelated to those that ids give: something else assigned the units, as before "
            "an import. Whether it did so by chance alone cannot be checked here."
        ),
        "found.many_recomputed": (
            "More than {share} of the units met another variant than their id gives them: what was assigned "
            "is not what is compared."
        ),
        "found.not_recomputed.hashed": (
            "Unit ids are stored as keyed hashes, and a variant is computed from the id itself."
        ),
        "found.not_recomputed.elsewhere": (
            "The exposures are a warehouse's, which may have been assigned by anything."
        ),
        # Metrics.
        "found.no_balance": "No pre-period varies, or there are too few units.",
        "found.balance": "The arms differed before the experiment by more than chance.",
        "found.quality_metrics": ("These metrics differ between arms, and no treatment should move them."),
        "found.moved_denominators": "A treatment changes what these ratios are divided by.",
        "found.maturity": "The windows of most units have not passed for these metrics.",
        "found.skewness": (
            "A few large values, or rare ones, weigh too much in these metrics for arms of this size."
        ),
        # Other experiments.
        "found.interactions.ran": "{experiments} ran at the same time",
        "found.interactions.none_shared": ("{experiments} ran at the same time; none shares {units} units"),
        "found.interactions.shared": "{experiment} shares {units} ({share})",
        "found.interactions.at_the_end": (
            "Shared units are counted and effects compared once, at the planned end; asked every day, "
            "it would find something sooner or later."
        ),
        "found.interactions.each_day": (
            "Shared units are counted and effects compared once a day, when a day has passed."
        ),
        "found.interactions.asked_at": "{text} (as of {at})",
        "found.interactions.analysis_stands": "{text} (at the planned analysis)",
        "found.interactions.stands": "{text} (at look {number}, the last one)",
        "found.interactions.not_asked": (
            "Where exposures are brought to a source, it is asked with the event store, if units are "
            "shared and it can be read once more. Of a source with exposures of its own nothing is asked: "
            "those to other experiments are in the event store."
        ),
        "found.interactions.too_few": ("Fewer than two variants have an effect from {units} units an arm."),
        "found.interactions.not_compared": "The two assignments are not independent.",
        "found.interactions.dependent": (
            "Which variant of {experiment} a unit met depends on its arm here (corrected p {p}), so "
            "effects cannot be compared between them."
        ),
        "found.interactions.differ": (
            "The effect of {variant} on {metric} depends on which variant of {experiment} a unit met "
            "(corrected p {p}): {effects}."
        ),
        "found.interactions.effect": "{effect} with {variant}",
        # The figure that a check rests on.
        "rests_on.p": "p {p}",
        "rests_on.no_p": "no p-value",
        "rests_on.not_known": "not known",
        "rests_on.dropped": "{items}, {share} of what was logged",
        "rests_on.bots": "{number}: {arms}, p {p}",
        "rests_on.bots.arm": "{units} in {arm}",
        "rests_on.recomputed": "{disagreeing} of {units}",
        "rests_on.drawn": "{number}; one unit in {of} was drawn",
        "rests_on.not_recomputed": "not recomputed",
        "rests_on.differ": "differ: {metrics}",
        "rests_on.none_differ": "none differ",
        "rests_on.moved": "moved: {metrics}",
        "rests_on.none_moved": "none moved",
        "rests_on.not_mature": "not mature: {metrics}",
        "rests_on.none_not_mature": "none not mature",
        "rests_on.skewed": "beyond ±{limit}: {metrics}",
        "rests_on.none_skewed": "none skewed",
    }
)
