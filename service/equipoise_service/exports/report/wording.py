"""Every text of the report that is its own, in one place, so that others can translate it."""

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "title": "Readout of {experiment}",
        "revision": "revision {revision}",
        "computed": "computed {at}",
        "edited": (
            "This readout was edited, or damaged: {count} of its members do not follow from its statistics, "
            "the first at {first}. Do not rely on it."
        ),
        "no_rule": "The plan has no success metric, so its rule recommends nothing.",
        "would_change": "What would change it",
        "health": "Can the data be believed?",
        "health.ok": "No check found anything.",
        "health.failed": "{count} of {checks} checks failed.",
        "health.warning": "{count} of {checks} checks found something to look at.",
        "health.fine": "Nothing found by: {checks}.",
        "check": "Check",
        "status": "Status",
        "number": "Figure",
        "found": "What it means, and what to do",
        "causes": "Often: {causes}.",
        "results": "What happened?",
        "arm": "Arm",
        "arm.units": "Units",
        "arm.share": "Share",
        "arm.planned": "Planned",
        "value": "Value",
        "difference": "Difference",
        "lift": "Lift",
        "p": "p",
        "p.corrected": "p corrected",
        "conclusion": "Conclusion",
        "metric": "{type}, {role} metric, {direction}",
        "increase": "more is better",
        "decrease": "less is better",
        "margin": "largest acceptable loss {margin}",
        "mde": "to be found from {mde}",
        "covered": "Intervals cover {level}.",
        "results.failed": "A check failed: do not rely on what follows.",
        "between": "Between treatments, exploratory and not corrected",
        "against": "against {baseline}",
        "course": "How did it go?",
        "segments": "Is it the same for everyone?",
        "segments.note": "Segments are no part of the recommendation.",
        "provenance": "Where does this come from?",
        "provenance.verify": (
            "Everything on this page follows from the readout's JSON, which holds its plan and its "
            "sufficient statistics. Recompute it with: equipoise verify readout.json"
        ),
        "recomputed": "When this page was made, every number was recomputed from the statistics and agreed.",
        "experiment": "Experiment",
        "method": "Method",
        "horizon": "Planned end",
        "horizon.units": "{units} units",
        "horizon.days": "{days} days",
        "horizon.none": "none",
        "alpha": "Level",
        "multiplicity": "Correction",
        "started": "Started",
        "ended": "Ended",
        "watermark": "Newest fact",
        "traffic": "Traffic",
        "locked": "Plan locked",
        "deviations": "Changes of the plan since",
        "deviation": "{at}, by {by}: {reason} ({changed})",
        "looks": "Looks",
        "left_out": "Left out",
        "left_out.overridden": "{units} whose variant people chose",
        "left_out.bots": "{units} bots",
        "left_out.crossovers": "{units} that met several variants",
        "digest": "Digest",
        "plan_digest": "Digest of the plan",
        "schema": "Form",
        "none": "–",
    }
)


def say(key: str, **fields: object) -> str:
    """A text with its fields filled in.

    Example:
        >>> say("revision", revision=2)
        'revision 2'
    """
    return TEXTS[key].format(**fields)
