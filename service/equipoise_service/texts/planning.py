"""What planning says: what a metric needs, and what the numbers rest on."""

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        # Why there is no number of units.
        "planning.not_asked": "nothing has to be shown of it",
        "planning.no_target": "it has no effect to find: give its mde in the plan's targets",
        "planning.too_far": (
            "the effect is too small, or too large, beside the metric's value and variance for any number of "
            "units"
        ),
        "planning.impossible": "its target is impossible for a metric that stands at {value} now",
        "planning.shown_by_prior": "the prior shows it by itself: with any number of units it has the power",
        "planning.no_lift": "the prior is about its lift, and it stands at {value}, which is not positive",
        "planning.too_few": "too few units have matured by then",
        "planning.out_of_reach": (
            "with {units} units not even the largest possible change of {value} is found"
        ),
        "planning.of_metric": "{metric}: {reason}",
        "planning.between": "; ",
        # What the past says.
        "past.no_units": "there were no such units in the history",
        "past.none": "none of {units} past units have it",
        "past.all": "all of {units} past units have it",
        "past.no_estimate": "{units} past units with a window that has passed: {reason}",
        "past.no_variance": "the past units do not vary",
        # What the numbers rest on.
        "planning.held_out": (
            "The traffic is of all units with events; those that {holdouts} keeps out are not planned with."
        ),
        "planning.of_everybody": (
            "The traffic is of all units with events; the experiment's audience takes some of them only, so "
            "it needs more days. Give the audience's daily units, or an experiment that had the same one."
        ),
        "planning.several": (
            "Each success metric and treatment is planned at alpha/{family}; {correction} rejects at least "
            "what that does."
        ),
        "planning.many_looks": "More than {looks} looks are planned for as {looks}.",
        "planning.no_window": (
            "{metrics}: without a window a unit's value grows with time; it is measured until the end of a "
            "history of {days} days, so choose one as long as the experiment."
        ),
    }
)
