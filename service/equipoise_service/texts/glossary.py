"""The terms that people meet in readouts, plans and checks: one place, so that others can translate."""

from typing import NamedTuple


class Term(NamedTuple):
    """One term.

    Attributes:
        name: The term.
        meaning: What it means, in a sentence.
        forms: How else texts say it, in lower case; whoever links terms looks for these, too.
    """

    name: str
    meaning: str
    forms: tuple[str, ...] = ()


TERMS: tuple[Term, ...] = (
    Term(
        "adjusted for the pre-period",
        "computed with what the units did before their exposure taken into account, which narrows intervals",
        ("cuped", "pre-period"),
    ),
    Term("alpha", "how often a change that does nothing may be called a difference, as the plan allows"),
    Term(
        "alpha spending",
        "giving out the allowed share of false alarms over several looks",
        ("spent", "spends", "spending"),
    ),
    Term("anonymous unit", "a unit that is not known to be somebody yet, as a device before its login"),
    Term("arm", "one of the variants that an experiment compares, with its units", ("arms",)),
    Term("assignment", "which variant a unit gets; it is not an exposure", ("assignments",)),
    Term("bot", "a unit that acts like a program, by a rule of the plan; it is left out", ("bots",)),
    Term(
        "check", "whether the data can be believed in one respect; a failed one blocks shipping", ("checks",)
    ),
    Term(
        "confidence interval",
        "the effects that the data do not exclude at the plan's level",
        ("ci", "interval", "intervals"),
    ),
    Term("confidence sequence", "an interval that holds at all moments together, however often one looks"),
    Term("control", "the arm that the others are compared with"),
    Term("corrected", "with the level shared over all comparisons that are asked for", ("correction",)),
    Term("credible interval", "where the effect lies with the plan's probability, by the prior and the data"),
    Term("crossover", "a unit that met several variants; it is left out", ("crossovers", "several variants")),
    Term(
        "detected",
        "the data exclude that there is no difference, at the plan's level and corrected as planned",
        ("detectably", "shown"),
    ),
    Term(
        "deviation",
        "a change of the plan, or of what its sources read, after it was locked",
        ("deviations", "the plan was changed", "was changed after the start"),
    ),
    Term("dropped item", "an exposure or event that a sender gave up", ("gave up", "dropped items")),
    Term(
        "exploratory",
        "not planned before the data came, so it suggests what to try and shows nothing",
    ),
    Term(
        "exposure",
        "the moment when a unit met its variant; its analysis begins there",
        ("exposures", "exposed"),
    ),
    Term("funnel", "steps that units go through in order, and how many reach each", ("funnels",)),
    Term("guardrail", "a metric that a change must not hurt by more than its margin", ("guardrails",)),
    Term("harm", "that a change makes a metric worse; it is tested for all the time", ("worse", "harmful")),
    Term(
        "holdback",
        "units that go on getting the control after a change was shipped, so that its effect can be measured "
        "again",
        ("held back", "holds back"),
    ),
    Term("horizon", "the planned end of an experiment, in units or days", ("the planned end", "the end")),
    Term(
        "information fraction",
        "how much of the horizon has passed: mature units over planned ones, or days over planned days",
    ),
    Term(
        "interaction",
        "that the effect of one experiment depends on which variant of another one a unit met",
        ("interactions",),
    ),
    Term("lift", "the difference as a fraction of the control's value", ("lifts",)),
    Term(
        "look", "one planned analysis before or at the end; only there the planned test is valid", ("looks",)
    ),
    Term("margin", "the largest loss on a guardrail that is acceptable for the gain", ("margins",)),
    Term(
        "mature",
        "a unit whose window has passed, so that all that is counted of it can have happened",
        ("maturity", "immature"),
    ),
    Term(
        "maturity window",
        "how long after its exposure a unit is watched for a metric",
        ("window", "windows"),
    ),
    Term("metric", "what is measured of every unit, and which way is better", ("metrics",)),
    Term(
        "not detectably different",
        "the data do not exclude that there is no difference; effects outside the interval are excluded, "
        "smaller ones are not",
        ("no detectable difference",),
    ),
    Term(
        "p-value",
        "how often data at least as far from no difference would come if there were none",
        ("p", "p-values"),
    ),
    Term("percentage point", "a hundredth of all units: from 10 % to 12 % are 2 points", ("pp", "points")),
    Term(
        "plan", "what was decided before the start: metrics, level, end, looks, what leads to which decision"
    ),
    Term("power", "how likely a change that is as good as planned is found", ("underpowered",)),
    Term("prior", "a belief about the effect from before the data"),
    Term(
        "quality metric", "a metric that no variant should move: a difference says that something is broken"
    ),
    Term("quantile", "the value below which a given share of all values lies", ("quantiles",)),
    Term(
        "ratio", "one sum over another, as purchases over visits", ("ratios", "denominator", "denominators")
    ),
    Term(
        "revision",
        "one randomisation of an experiment; a restart or other weights begin another one",
        ("revisions", "randomisation"),
    ),
    Term("sample ratio", "how the units are shared among the arms", ("planned shares", "shares")),
    Term(
        "sample ratio mismatch",
        "arms whose numbers of units are not in the planned ratio: something loses units",
    ),
    Term("segment", "a way to split units by what they were before their exposure", ("segments",)),
    Term("skewness", "how far values stretch to one side; a few huge ones make tests inexact", ("skewed",)),
    Term(
        "spending by the calendar",
        "giving out alpha by the part of the planned days that has passed, however many units came",
    ),
    Term("statistics", "the few numbers of each arm that everything in a readout is computed from"),
    Term("success metric", "a metric that a change must improve to be shipped", ("success metrics",)),
    Term("treatment", "an arm other than the control", ("treatments",)),
    Term("unit", "what is randomised: a user, say, or a device", ("units",)),
    Term("variant", "a version of what is tried", ("variants",)),
    Term("winsorized", "values above a cut set to the cut", ("winsorize", "cut")),
)
"""In alphabetical order."""
