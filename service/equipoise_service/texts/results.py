"""What is said of a metric, and of segments."""

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        # Why there is no result.
        "no_result.not_finite": (
            "The values are so large, or so far apart, that a number needed to compare them is not finite."
        ),
        "no_result.too_few_units": "An arm has too few units to say how uncertain its value is.",
        "no_result.too_few_values": (
            "An arm has no values, too few for this quantile, or some there that are no finite numbers."
        ),
        "no_result.no_variance": (
            "Nothing measures the uncertainty: all units have the same value, or their pre-period says which."
        ),
        "no_result.control_not_positive": "The control's value is not above 0, so there is no lift.",
        "no_result.treatment_not_positive": "The treatment's value is not above 0, so there is no ratio.",
        "no_result.denominator_not_positive": "An arm has nothing that this ratio could be divided by.",
        "no_result.tied": (
            "Too many values are exactly that of the quantile, so nothing measures its uncertainty. Record "
            "finer values, or compare the share of units above a threshold."
        ),
        "no_result.unbounded": "At this look no effect, however large, could be told from none.",
        "no_result.empty": "No value fits these data.",
        "no_result.no_events": "Nothing has happened in either arm yet.",
        "no_result.out_of_reach": "No effect is large enough to be found.",
        "no_result.too_few_studies": "Fewer than two can be compared.",
        "no_result.not_selected": "The effect is not significant.",
        "no_lift.unbounded": (
            "The control's value cannot be told from 0, so the lift has no bounded interval."
        ),
        "no_lift.no_variance": (
            "Every unit of the treatment has the value 0, so nothing measures the lift's uncertainty."
        ),
        # One comparison, in a word or two.
        "outcome_of.better": "shown to be better",
        "outcome_of.worse": "shown to be worse",
        "outcome_of.flat": "no difference shown",
        "outcome_of.waiting": "no conclusion at this moment",
        "outcome_of.unknown": "no result",
        # Below a metric.
        "belief": (
            "{variant} is better than {baseline} with a probability of {probability}. Choosing it loses "
            "{lost} on average, not choosing it {missed}. The prior (a lift of {mean} with a standard "
            "deviation of {deviation}) is in these, and draws the effect towards it."
        ),
        "adjusted.little": (
            "Adjusting for {covariate} removes less than 1 % of the variance for {variants}: it "
            "changes next to nothing."
        ),
        "adjusted": "Adjusting for {covariate} removes {share} of the variance for {variants}.",
        "adjusted.for_itself": "the pre-period",
        "adjusted.for_sum": "the sum of {event} in the {days} before exposure",
        "adjusted.for_count": "the number of {event} in the {days} before exposure",
        "adjusted.for_maximum": "the largest {event} in the {days} before exposure",
        "adjusted.for_last": "the last {event} in the {days} before exposure",
        "adjusted.for_kinds": "the number of different {property} of {event} in the {days} before exposure",
        "values.not_kept": (
            "How its values are spread is not known: where {source} is read, the service can keep no table "
            "meanwhile, and would read all facts once more for it."
        ),
        "days.not_kept": (
            "What it was by the end of each day is not known: where {source} is read, the service can keep "
            "no table meanwhile, and would read all facts several times more for it."
        ),
        "winsorized": "Values above {cut} were set to it: {arms}.",
        "winsorized.ratio": "Set to their limits were {above}: {arms}.",
        "winsorized.numerators": "numerators above {cut}",
        "winsorized.denominators": "denominators above {cut}",
        "winsorized.arm": "{units} of {variant} ({share})",
        "impact": (
            "At full traffic {variant} would change {metric} by {per_day} a day ({low} to {high}), "
            "{per_month} in 30 days: if {units} units a day come, as so far, and the effect stays as "
            "it is."
        ),
        "impact.units": "{number} units",
        "impact.unknown": (
            "What that would be a day at full traffic is not known: the experiment began before its traffic "
            "was on record. A new revision has it."
        ),
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
        "segments.too_few": "fewer than two of them have a result.",
        "segments.at_the_end": (
            "it is tested once, at the planned end; asked every day, it would find something sooner or later."
        ),
        "segments.without_prior": (
            "This is asked by a test of what chance alone does (Cochran's Q), without the plan's prior."
        ),
        "segments.analysis_stands": "{text} The planned analysis found this: it is asked once.",
        "segments.stands": "{text} Look {number}, the last one, found this: it is asked once.",
        "segments.exploratory": (
            "This is exploratory: {segment} was not in the plan when it was locked, so try it on new "
            "units before relying on it."
        ),
    }
)
