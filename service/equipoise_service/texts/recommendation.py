"""What is recommended, why, and what would change it."""

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        # The outcome.
        "outcome.ship": "Ship {variant}.",
        "outcome.do_not_ship": "Do not ship.",
        "outcome.keep_running": "Keep running{until}.",
        "outcome.investigate": "Investigate before deciding.",
        "outcome.stands": (
            "{outcome} This is the result of look {number}, which stands: it was the last one, and these "
            "data are newer."
        ),
        "outcome.analysis_stands": (
            "{outcome} This is the result of the planned analysis of {at} UTC, which stands: these data are "
            "newer."
        ),
        "outcome.look_found": (
            "{outcome} Look {number} found this, which stands: a bound that was crossed stays crossed, and "
            "newer data are asked for harm and for failed checks only."
        ),
        "outcome.readout_found": (
            "{outcome} The readout of {at} UTC found this, which stands: its intervals hold at all moments "
            "together, and newer data are asked for harm and for failed checks only."
        ),
        "outcome.stopped_looked": (
            "{outcome} The experiment was stopped at {share} of its horizon, so this look spent no more of "
            "alpha than was planned for that."
        ),
        "outcome.stopped_analysed": (
            "{outcome} The experiment was stopped at {share} of its horizon, so its analysis spent only the "
            "part of alpha that its spending function has for that."
        ),
        "outcome.stopped_once": (
            "{outcome} The experiment was stopped at {share} of its horizon: this holds only if the stop had "
            "nothing to do with the results."
        ),
        "outcome.none": "The plan has no success metric, so it recommends nothing.",
        # Until when.
        "until.units": " until {units} units have passed their window ({left} to go)",
        "until.date": " until {date}",
        "until.units_or_date": " until {units} units have passed their window ({left} to go) or {date}",
        "until.open": " until a result is clear or its answer is no longer worth waiting for",
        "until.final_look": ": the final look is due",
        "until.analysis": ": the planned analysis is due",
        # Why.
        "reason.of": "{variant}: {reason}",
        "reason.quality_failed": ("The check {subject} failed: no number of this readout can be trusted."),
        "reason.quality_unavailable": "The check {subject} has no result yet.",
        "reason.quality_warning": "The check {subject} warns.",
        "reason.deteriorated": "{subject} is shown to be worse.",
        "reason.success_shown": "{subject} is shown to be better.",
        "reason.success_not_shown": "{subject} is not shown to be better.",
        "reason.guardrail_shown": "{subject} is shown to lose less than its margin of {margin}.",
        "reason.guardrail_not_shown": ("{subject} is not shown to lose less than its margin of {margin}."),
        "reason.waits_for_the_end": "{subject} cannot be concluded from at this moment.",
        "reason.no_answer": "{subject} has no answer yet: {why}",
        "margin.points": "{margin} points",
        # What would change it.
        "change.quality_failed": ("Mend what the check {subject} found, then start the experiment again."),
        "change.quality_unavailable": "A result of the check {subject}.",
        "change.deteriorated": "Nothing that this experiment can still show: change the variant.",
        "change.success_not_shown": "{subject} shown to be better.",
        "change.guardrail_not_shown": "{subject} shown to lose less than {margin}.",
        "change.waits_for_the_end": "The result of {subject} at the next look, or at the end.",
        "at_the_end": "The result of {subject} at the end.",
        "change.no_answer": "An answer about {subject}.",
        "change.shown": "A failed check, or a metric that is shown to be worse.",
        "would_change": "What would change it: {changes}",
    }
)
