"""Where a plan stands, and why nothing may be concluded at a moment."""

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        # Why the planned inference says nothing at this moment.
        "not_valid.before_the_first_look": (
            "No look was taken yet: the planned test is valid at looks only, and reading spends nothing."
        ),
        "not_valid.between_looks": (
            "The data are newer than look {number}, which was taken at {at}: the planned test is valid "
            "at looks only, and reading spends nothing."
        ),
        "not_valid.before_the_end": (
            "The plan has one analysis, at its end, which is not reached: a p-value from now would not "
            "be valid then."
        ),
        "not_valid.at_the_end": (
            "The planned end is reached. The plan's one analysis is made by itself with the next scheduled "
            "readout, after a stop once all units have passed their windows, or by whoever takes the look "
            "now. A p-value beside it would be a second one."
        ),
        "not_valid.after_the_end": (
            "The data are newer than the plan's one analysis, which was made at {at}: a second test of them "
            "would not be valid."
        ),
        "no_p_value.bayesian": "A Bayesian plan has probabilities and no p-values.",
        # Where the plan stands.
        "stand.look": (
            "Look {number} at {fraction} of the horizon; {spent} of alpha is spent, {left} is left."
        ),
        "stand.looks_so_far": (
            "{fraction} of the horizon; {looks} so far, {spent} of alpha is spent, {left} is left."
        ),
        "stand.alpha": "{metric}: {spent} spent, {left} left.",
        "stand.horizon": "{units} of {planned} mature units.",
        "stand.days": "{units} mature units; the plan ends {days} after its start.",
        "stand.open": "{units} mature units; the plan has no end.",
        "stand.whole": "All units of the file, analysed once.",
    }
)
