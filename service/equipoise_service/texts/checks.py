"""What every check asks, what is usually behind a finding, and what to do."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


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
        "missing_exposures": CheckText(
            "Missing exposures",
            "Did exposures go on while people did?",
            (
                "a release of an application, or of one platform's, that does not log exposures",
                "exposures of some days that are lost, or have yet to arrive from senders that were offline",
                "the experiment had less traffic on these days, or its flag was off: then nothing is missing",
                "events of these days that came from elsewhere, as by an import",
            ),
            "Find out what happened on these days, and whether the senders still have the exposures. Units "
            "that were first exposed then are missing, or count from a later day on; where it hit all arms "
            "alike, the comparison of the others is sound.",
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
        "bots": CheckText(
            "Bots",
            "Are the units that are left out as bots few, and as many of each arm as planned?",
            (
                "a treatment that has people do more, or less, of what the rule takes for a bot",
                "a limit of events a day that busy people reach",
                "bots that one variant attracts, or keeps out",
            ),
            "Make the rule of something that no variant changes, such as an event before the exposure, and "
            "start again with a new revision; look at who is left out.",
        ),
        "recomputed_assignments": CheckText(
            "Recomputed assignments",
            "Did units meet the variant that their id gives them? Some units are computed again.",
            (
                "a client that decides by itself: by another method, or from an old configuration",
                "a client that logs another variant than it showed",
                "unit ids that change between the assignment and the exposure, as at a login",
                "exposures that were imported or sent by hand",
            ),
            "Look at what disagrees (`equipoise audit EXPERIMENT` shows some of it), mend the client, and "
            "start again with a new revision: who met what is not known.",
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
            "Are the values so skewed, for arms of this size, that the tests are off in one tail?",
            ("a few units with very large values", "a small arm, by itself or beside a large one"),
            "Winsorize means and ratios, wait for more units, or plan arms of more equal size.",
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
