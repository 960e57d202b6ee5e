"""Every text of a readout that is ours, in one place, so that others can translate it.

A text is a template with named fields. What is put in is a number in words already, a key, or another text.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        # Why the planned inference says nothing at this moment.
        "not_valid.before_the_first_look": (
            "No look was taken yet: the planned test is valid at looks only, and reading spends nothing."
        ),
        "not_valid.between_looks": (
            "The data are newer than look {number}, which was taken at {at}: the planned test is valid at "
            "looks only, and reading spends nothing."
        ),
        "not_valid.before_the_end": (
            "The plan has one analysis, at its end, which is not reached: a p-value from now would not be "
            "valid then."
        ),
        "no_p_value.bayesian": "A Bayesian plan has probabilities and no p-values.",
        # Nothing can be read.
        "blocked.no_units": "No unit is in any arm yet, so there is nothing to read.",
        "blocked.failed": "Do not rely on these results: {what} Find out why before deciding anything.",
        "blocked.sample_ratio": ("the arms did not get their planned shares of the units ({shares}{p})."),
        "blocked.no_control": (
            "The control ({control}) has no units yet, so there is nothing to compare with."
        ),
        "blocked.only_control": "Only {control}, the control, has units, so there is nothing to compare.",
        "no_metric": "The plan has no metric; the arms have these units: {units}.",
        # One comparison.
        "better": (
            "{variant} {verb} {metric} by {effect} ({values}; {certainty} {low} to {high}{p}), which is "
            "better."
        ),
        "worse": (
            "{variant} {verb} {metric} by {effect} ({values}; {certainty} {low} to {high}{p}), which is "
            "worse."
        ),
        "raises": "raises",
        "lowers": "lowers",
        "flat": (
            "{variant} and {baseline} do not differ detectably on {metric} ({values}): the effect of "
            "{variant} lies between {low} and {high} ({certainty}{p}), so larger effects either way are "
            "excluded."
        ),
        "waiting": (
            "It is too early to conclude about {metric}: {variant} stands at {values}, and its effect lies "
            "between {low} and {high} by the {certainty} that holds at any moment."
        ),
        "harmed": (
            "{variant} is worse than {baseline} on {metric} ({values}), by the test for harm, which holds at "
            "any moment; the {certainty} of the plan is {low} to {high}{p}."
        ),
        "underpowered": (
            "An effect of {mde}, which the plan wants found, is not excluded: the data are too few for it."
        ),
        "unknown": "There is no result for {metric} of {variant} yet: {reason}",
        "open": "There is too little data for any bound on the effect of {variant} on {metric} ({values}).",
        "care": "Read this with care: {message}",
        "certainty": "{level} interval",
        "percentage_points": "percentage points",
        "against": "{variant} against {baseline}",
        # Several comparisons.
        "group": "On {metric}, {parts}.",
        "group.better": "better than {control}",
        "group.worse": "worse than {control}",
        "group.flat": "not detectably different from {control}",
        "group.waiting": "too early to conclude",
        "group.unknown": "no result yet",
        "others.worse": "Worse: {names}.",
        "others.better": "Better: {names}.",
        "others.flat": "No detectable difference: {names}.",
        "others.waiting": "Too early to conclude: {names}.",
        "others.unknown": "No result yet: {names}.",
        # Segments.
        "segments.alike": "No effect is shown to differ between the values of {segment}.",
        "segments.differ": (
            "The effect of {variant} on {metric} differs between the values of {segment} (corrected p "
            "{p}){where}."
        ),
        "segments.where": ": it is another one for {names}",
        "segments.others": "the other values",
        "segments.none": "units without a value",
        "segments.unknown": "Whether effects differ between the values of {segment} is not known: {reason}",
        "segments.at_the_end": (
            "it is tested once, at the planned end; asked every day, it would find something sooner or later."
        ),
        "segments.exploratory": (
            "This is exploratory: {segment} was not in the plan when it was locked, so try it on new units "
            "before relying on it."
        ),
        # What was left out, and what was changed.
        "overridden.one": "1 unit was left out, as people chose its variant.",
        "overridden.many": "{units} units were left out, as people chose their variant.",
        "bots.one": "1 unit was left out as a bot.",
        "bots.many": "{units} units were left out as bots.",
        "unknown_units.one": "1 anonymous unit was left out, as it cannot be told who it is.",
        "unknown_units.many": "{units} anonymous units were left out, as it cannot be told who they are.",
        "immature.one": "1 unit was not counted on {metric} yet: its window had not passed.",
        "immature.many": "{units} units were not counted on {metric} yet: their window had not passed.",
        "crossovers.one": "1 unit ({share} of all) met several variants and was left out.",
        "crossovers.many": "{units} units ({share} of all) met several variants and were left out.",
        "dropped.one": "Senders gave up 1 exposure or event since the start, which can be missing here.",
        "dropped.many": (
            "Senders gave up {items} exposures and events since the start, which can be missing here."
        ),
        "rows.one": "1 row lacked a unit, a variant or a time and was left out.",
        "rows.many": "{rows} rows lacked a unit, a variant or a time and were left out.",
        "deviations.one": "The plan was changed once after the start.",
        "deviations.many": "The plan was changed {count} times after the start.",
        # What a check found.
        "found.sample_ratio": (
            "The shares differ more than a single test at the end allows. Before the end the check over "
            "time decides."
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
        "days": "{first} to {last}",
        "found.early_exposures": (
            "More than {share} of the units were exposed before the revision began, by more than a minute."
        ),
        "found.late_exposures": (
            "More than {share} of the exposures arrived over {hours} hours after they happened: readouts of "
            "those days lacked them."
        ),
        "found.crossovers": (
            "More than {share} of the units met several variants: something assigns or identifies units "
            "inconsistently."
        ),
        "found.many_crossovers": (
            "More than {share} of the units met several variants. They are left out, and so many can bias "
            "who is left in."
        ),
        "found.incomplete_rows": "Rows without a unit, a variant or a time were left out.",
        "found.dropped_items": (
            "Senders of this environment gave up so many since the start, at most: units or their "
            "events can be missing from the results."
        ),
        "found.no_balance": "No pre-period varies, or there are too few units.",
        "found.balance": "The arms differed before the experiment by more than chance.",
        "found.quality_metrics": "These metrics differ between arms, and no treatment should move them.",
        "found.moved_denominators": "A treatment changes what these ratios are divided by.",
        "found.maturity": "The windows of most units have not passed for these metrics.",
        "found.skewness": "These metrics are too skewed for arms of such unequal size.",
        "found.interactions.ran": "{experiments} ran at the same time",
        "found.interactions.none_shared": "{experiments} ran at the same time; none shares {units} units",
        "found.interactions.shared": "{experiment} shares {units} ({share})",
        "found.interactions.at_the_end": (
            "Shared units are counted and effects compared once, at the planned end; asked every day, it "
            "would find something sooner or later."
        ),
        "found.interactions.too_few": "Fewer than two variants have an effect from {units} units an arm.",
        "found.interactions.not_compared": "The two assignments are not independent.",
        "found.interactions.dependent": (
            "Which variant of {experiment} a unit met depends on its arm here (corrected p {p}), so effects "
            "cannot be compared between them."
        ),
        "found.interactions.differ": (
            "The effect of {variant} on {metric} depends on which variant of {experiment} a unit met "
            "(corrected p {p}): {effects}."
        ),
        "found.interactions.effect": "{effect} with {variant}",
        # Where the plan stands.
        "stand.look": "Look {number} at {fraction} of the horizon; {spent} of alpha is spent.",
        "stand.looks_so_far": "{fraction} of the horizon; {looks} so far, {spent} of alpha is spent.",
        "stand.horizon": "{units} of {planned} mature units.",
        "stand.open": "{units} mature units; the plan has no end.",
        "stand.whole": "All units of the file, analysed once.",
        "would_change": "What would change it: {changes}",
        "adjusted": "Adjusting for the pre-period removes {share} of the variance for {variants}.",
        "adjusted.little": (
            "Adjusting for the pre-period removes less than 1 % of the variance for {variants}: it changes "
            "next to nothing."
        ),
        "winsorized": "Values above {cut} were set to it: {arms}.",
        "winsorized.arm": "{units} of {variant} ({share})",
        "impact": (
            "At full traffic {variant} would change {metric} by {per_day} a day ({low} to {high}), "
            "{per_month} in 30 days: if {units} units a day come, as so far, and the effect stays as it is."
        ),
        # The recommendation.
        "outcome.ship": "Ship {variant}.",
        "outcome.do_not_ship": "Do not ship.",
        "outcome.keep_running": "Keep running{until}.",
        "outcome.investigate": "Investigate before deciding.",
        "outcome.stands": (
            "The result of look {number} stands: it was the last one, and these data are newer."
        ),
        "outcome.none": "The plan has no success metric, so it recommends nothing.",
        "until.units": " until {units} units have passed their window ({left} to go)",
        "until.date": " until {date}",
        "until.units_or_date": " until {units} units have passed their window ({left} to go) or {date}",
        "until.open": " until a result is clear or its answer is no longer worth waiting for",
        "until.final_look": ": the final look is due",
        "reason.quality_failed": "The check {subject} failed: no number of this readout can be trusted.",
        "reason.quality_unavailable": "The check {subject} has no result yet.",
        "reason.quality_warning": "The check {subject} warns.",
        "reason.deteriorated": "{subject} is shown to be worse.",
        "reason.success_shown": "{subject} is shown to be better.",
        "reason.success_not_shown": "{subject} is not shown to be better.",
        "reason.guardrail_shown": "{subject} is shown to lose less than its margin of {margin}.",
        "reason.guardrail_not_shown": "{subject} is not shown to lose less than its margin of {margin}.",
        "reason.waits_for_the_end": "{subject} cannot be concluded from at this moment.",
        "reason.no_answer": "{subject} has no answer yet: {why}",
        "change.quality_failed": "Mend what the check {subject} found, then start the experiment again.",
        "change.quality_unavailable": "A result of the check {subject}.",
        "change.deteriorated": "Nothing that this experiment can still show: change the variant.",
        "change.success_not_shown": "{subject} shown to be better.",
        "change.guardrail_not_shown": "{subject} shown to lose less than {margin}.",
        "change.waits_for_the_end": "The result of {subject} at the next look, or at the end.",
        "change.no_answer": "An answer about {subject}.",
        "change.shown": "A failed check, or a metric that is shown to be worse.",
    }
)


class CheckText(NamedTuple):
    """What is said of a check.

    Attributes:
        title: Its name.
        meaning: What it asks, in plain words.
        causes: What usually is behind a finding.
        action: What to do about one.
    """

    title: str
    meaning: str
    causes: tuple[str, ...]
    action: str


CHECKS: Mapping[str, CheckText] = MappingProxyType(
    {
        "sample_ratio": CheckText(
            "Sample ratio",
            "Did each arm get its planned share of the units, judged once at the end?",
            (
                "a variant that loses units before they log an exposure: a crash, a redirect, slow loading",
                "exposures that are logged in one arm only",
                "bots that are filtered in one arm more than in the other",
            ),
            "Compare exposures by arm with what the service assigned (`equipoise audit EXPERIMENT`), by day "
            "and by platform, mend the cause, and start again.",
        ),
        "sequential_sample_ratio": CheckText(
            "Sample ratio over time",
            "Did each arm get its planned share of the units, judged at any moment, however often?",
            (
                "a variant that loses units before they log an exposure: a crash, a redirect, slow loading",
                "exposures that are logged in one arm only",
                "bots that are filtered in one arm more than in the other",
            ),
            "Compare exposures by arm with what the service assigned (`equipoise audit EXPERIMENT`), by day "
            "and by platform, mend the cause, and start again.",
        ),
        "segment_sample_ratio": CheckText(
            "Sample ratio by segment",
            "Did each arm get its planned share of the units of every segment value, judged at any moment?",
            (
                "a variant that crashes or loads slowly on one platform, in one country or in one browser",
                "an exposure that is logged too late or not at all by one client",
            ),
            "Look at what the units with this value have in common, mend the cause, and start again. Other "
            "values may be whole, but who decides on them alone after the fact picks.",
        ),
        "daily_sample_ratio": CheckText(
            "Sample ratio by day",
            "Did each arm get its planned share of the units that came on each day?",
            (
                "a release, an outage or a change of logging that hit one arm for some days",
                "exposures of some days that are lost, or were sent again under other ids",
                "a change of the traffic that some senders did not follow",
            ),
            "Find out what happened on these days. Where it can be mended, send the missing exposures; "
            "otherwise start again with a new revision.",
        ),
        "early_exposures": CheckText(
            "Exposed before the start",
            "Were units exposed before the revision began?",
            (
                "a sender whose clock is wrong",
                "test traffic, or exposures that were sent by hand",
                "exposures with the time of a session instead of their own",
            ),
            "Look at the times of the senders; such units count as exposed at that early moment, so windows "
            "and pre-periods of theirs lie too early.",
        ),
        "late_exposures": CheckText(
            "Late exposures",
            "Did exposures arrive soon after they happened?",
            (
                "senders that were offline, or keep exposures until their next start",
                "an import of older exposures",
                "a queue that could not be sent for long",
            ),
            "Wait with looks until exposures have arrived; where one arm sends later than the other, its "
            "units are missing from the results until then.",
        ),
        "crossovers": CheckText(
            "Crossovers",
            "Did any unit meet several variants?",
            (
                "an id that changes at login, or that several people share",
                "a variant that is decided in two places, or from an old configuration",
            ),
            "Find out what the units have in common. They are left out; many of them bias who is left in.",
        ),
        "incomplete_rows": CheckText(
            "Incomplete rows",
            "Does every row of the file have a unit, a variant and a time?",
            ("an export that joined tables without a match",),
            "Complete the file where rows are missing from one arm more than from the other.",
        ),
        "dropped_items": CheckText(
            "Dropped by senders",
            "Did every exposure and event that senders logged reach the service?",
            (
                "queue_full: a sender logged faster than it could send, or the service was away for long",
                "closed: a process ended before its queue was sent",
                "invalid, too_large or rejected: items that could not be sent, or that the service refused",
                "unauthorized: a key that is wrong, revoked or lacks a scope",
            ),
            "Look into the senders' logs for the reason; give them a longer queue, a spool file or more time "
            "at their end. Where one arm loses more than the other, the results are biased.",
        ),
        "pre_exposure_balance": CheckText(
            "Balance before exposure",
            "Were the arms alike on the metrics of the pre-period, before they met a variant?",
            (
                "a broken or reused randomisation",
                "units that are lost in one arm",
                "the after-effect of an earlier experiment on the same units",
            ),
            "Do not trust the results. Look for lost units, then start again with a new revision.",
        ),
        "moved_denominators": CheckText(
            "Moved denominators",
            "Does a treatment change what a ratio is divided by?",
            ("the treatment changes how often people do what the denominator counts",),
            "Read the ratio together with its two parts, or use a metric per unit.",
        ),
        "maturity": CheckText(
            "Maturity",
            "Have the windows of most units passed, so that the metrics speak of them?",
            ("the experiment is younger than its metrics' windows", "units came in late"),
            "Wait: early units can differ from later ones.",
        ),
        "skewness": CheckText(
            "Skewness",
            "Are the values so skewed, and the arms so unequal, that the tests are off in one tail?",
            ("a few units with very large values", "a small arm beside a large one"),
            "Winsorize the metric, or give the arms equal weights.",
        ),
        "interactions": CheckText(
            "Interactions",
            "Do effects depend on other experiments that ran at the same time on the same units?",
            (
                "two changes of the same place, which do not fit together, or do the same thing twice",
                "a variant of the other experiment that hides what this one changes",
                "where assignments are not independent: one experiment decides who is exposed to the other",
            ),
            "Decide on both together: look at the effects with the variant of the other experiment that will "
            "stay. Where neither is decided, put both in one layer, or test their combinations in one.",
        ),
        "quality_metrics": CheckText(
            "Quality metrics",
            "Are the metrics alike in all arms that no treatment should move?",
            ("a change of logging that came with the treatment", "units that are lost in one arm"),
            "Mend the logging, and start again with a new revision.",
        ),
    }
)


def say(key: str, **fields: object) -> str:
    """A text with its fields filled in.

    Example:
        >>> say("reason.deteriorated", subject="revenue")
        'revenue is shown to be worse.'
    """
    return TEXTS[key].format(**fields)
