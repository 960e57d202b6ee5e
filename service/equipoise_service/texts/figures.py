"""What stands in and under figures: titles, axes, and what a figure says for those who do not see it."""

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        # In several figures.
        "figure.row": "{label}: {shown}.",
        "figure.lift_axis": "lift in %",
        "figure.lift_over_control_axis": "lift over the control, in %",
        "figure.share_axis": "share minus planned share, in percentage points",
        "figure.no_lift": "no lift: {why}",
        # Every metric's lift.
        "figure.lifts": "Lift over the control",
        "figure.lifts.over": "Lift over {control}",
        "figure.lifts.intervals": "{intervals}.",
        "figure.lifts.margin": "A tick marks a guardrail's margin.",
        "figure.lifts.row": "{label}: {shown}, {outcome}.",
        "figure.lifts.less_is_better": "(less is better)",
        # What a Bayesian plan believes.
        "figure.beliefs": "What is believed of {metric}",
        "figure.beliefs.above": "{variant} is above the control with probability {probability}.",
        "figure.beliefs.before": "before the data",
        "figure.beliefs.dashed": "Dashed: what was believed before the data.",
        # Funnels.
        "figure.funnel": "Steps of {metric}",
        "figure.funnel.whose": "Of all mature units of the arm.",
        "figure.funnel.axis": "share of the units that reached the step, in %",
        "figure.funnel.bar": "{step}, {arm}: {shown}.",
        # How values are spread.
        "figure.values": "Values of {metric}",
        "figure.values.axis": "x, the value of a unit; values at zero are left out, and both ends are open",
        "figure.values.share": "share of the arm's units, in %",
        "figure.values.density": "share of the arm's units between x and x plus 10 %, in %",
        "figure.values.zero": "{arm}: {share} are at zero.",
        "figure.values.below": "{arm}: half of the other values are below {edge}.",
        "figure.values.above": "{arm}: half of the other values are {edge} or more.",
        "figure.values.none": "{arm}: there is no other value.",
        "figure.values.all": "All {units} mature units.",
        "figure.values.drawn": "A sample of {drawn} of {units} mature units.",
        "figure.values.cut": "Dashed: values above {cut} were set to it.",
        # Looks and their bounds.
        "figure.bounds": "{metric} against its sequential bounds",
        "figure.bounds.across": "in % of the horizon",
        "figure.bounds.up": "effect in standard errors",
        "figure.bounds.increase": (
            "A difference is shown where a look reaches the shaded ground; better is above the line at zero."
        ),
        "figure.bounds.decrease": (
            "A difference is shown where a look reaches the shaded ground; better is below the line at zero."
        ),
        "figure.bounds.last": "The bound of the last look is ±{bound}.",
        "figure.bounds.last_and_to_come": (
            "The bound of the last look is ±{bound}, that at the horizon ±{horizon}; "
            "dashed: bounds of looks to come."
        ),
        "figure.bounds.corrected": (
            "The bounds are corrected for {tests} tests; they are nearer where more of them are shown."
        ),
        "figure.bounds.look": (
            "Last look at {fraction} of the horizon: the bound is ±{bound}; {spent} of alpha is spent, "
            "{left} is left."
        ),
        "figure.bounds.stands": "{variant} stands at {z}.",
        # The effect over time.
        "figure.effect": "{metric} over time",
        "figure.effect.of": "{metric} over time: {variant}",
        "figure.effect.by_readout": "{level} intervals, as each readout had them.",
        "figure.effect.by_day": (
            "Of all units that were exposed by the end of each day, with what they have done since;"
        ),
        "figure.effect.all_days": "{level} intervals that hold on all days together.",
        "figure.effect.lift": "{value} % ({range})",
        "figure.over_time.point": "{day}, {arm}: {shown}.",
        "figure.over_time.axis": "UTC",
        # Shares of the arms.
        "figure.shares": "Shares of the arms against their plan",
        "figure.shares.agree": "The shares agree with the plan.",
        "figure.shares.differ": "The shares are not the planned ones.",
        "figure.shares.p": "p {p}, valid whenever one looks.",
        "figure.shares.intervals": "{intervals}.",
        "figure.shares.arm": "{arm} ({units})",
        "figure.shares.off": "{off} pp  ({share})",
        "figure.shares_over_time": "Shares of the arms over time",
        "figure.shares_over_time.whose": "All units so far.",
        "figure.shares_by_day": "Shares of the arms by day",
        "figure.shares_by_day.whose": "Units by the day of their first exposure.",
        "figure.shares.chance": (
            "{whose} Shaded: what chance does to the largest arm, {level} at each time."
        ),
        # Segments.
        "figure.segment": "{metric} by {segment}",
        "figure.segment.over": "Lift over {control}, {declared}. {found}",
        "figure.segment.declared": "declared in advance",
        "figure.segment.exploratory": "exploratory: not declared in advance",
        "figure.segment.unknown": "nothing says since when it is asked for",
        "figure.segment.dashed": "The dashed line is all units together.",
        "figure.segment.not_corrected": "{intervals}, not corrected.",
        "figure.segment.differ": "Effects differ (corrected p {p}).",
        "figure.segment.differ_of": "Effects of {variant} differ (corrected p {p}).",
        "figure.segment.alike": "Effects are not shown to differ (corrected p {p}).",
        "figure.segment.alike_of": "Effects of {variant} are not shown to differ (corrected p {p}).",
        "figure.segment.part": "{part} ({units})",
        "figure.segment.differs": "{shown}, differs",
    }
)
