"""The HTML report: its headings and what it says by itself."""

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "report.title": "Readout of {experiment}",
        "report.revision": "revision {revision}",
        "report.computed": "computed {at}",
        "report.edited.one": (
            "This readout was edited, or damaged: {count} of its members does not follow from its "
            "statistics, that at {first}. Do not rely on it."
        ),
        "report.edited.many": (
            "This readout was edited, or damaged: {count} of its members do not follow from its "
            "statistics, the first at {first}. Do not rely on it."
        ),
        "report.no_rule": "The plan has no success metric, so its rule recommends nothing.",
        "report.would_change": "What would change it",
        "report.health": "Can the data be believed?",
        "report.health.ok": "No check found anything.",
        "report.health.failed": "{count} of {checks} checks failed.",
        "report.health.warning": "{count} of {checks} checks found something to look at.",
        "report.health.fine": "Nothing found by: {checks}.",
        "report.causes": "Often: {causes}.",
        "report.results": "What happened?",
        "report.metric": "{type}, {role} metric, {direction}",
        "report.margin": "largest acceptable loss {margin}",
        "report.mde": "to be found from {mde}",
        "report.covered": "Intervals cover {level}.",
        "report.results.failed": "A check failed: do not rely on what follows.",
        "report.between": "Between treatments, exploratory and not corrected",
        "report.against": "against {baseline}",
        "report.course": "How did it go?",
        "report.segments": "Is it the same for everyone?",
        "report.segments.note": "Segments are no part of the recommendation.",
        "report.provenance": "Where does this come from?",
        "report.provenance.verify": (
            "Everything on this page follows from the readout's JSON, which holds its plan and its "
            "sufficient statistics. Recompute it with: equipoise verify readout.json"
        ),
        "report.recomputed": (
            "When this page was made, every number was recomputed from the statistics and agreed."
        ),
        "report.experiment": "Experiment",
        "report.method": "Method",
        "report.horizon": "Planned end",
        "report.horizon.none": "none",
        "report.alpha": "Level",
        "report.multiplicity": "Correction",
        "report.started": "Started",
        "report.ended": "Ended",
        "report.watermark": "Newest fact",
        "report.traffic": "Traffic",
        "report.locked": "Plan locked",
        "report.deviations": "Changes of the plan since",
        "report.sources": "Sources, as they were defined",
        "report.deviation": "{at}, by {by}: {reason} ({changed})",
        "report.looks": "Looks",
        "report.left_out": "Left out",
        "report.left_out.overridden.one": "{count} whose variant people chose",
        "report.left_out.overridden.many": "{count} whose variant people chose",
        "report.left_out.bots.one": "{count} bot",
        "report.left_out.bots.many": "{count} bots",
        "report.left_out.crossovers.one": "{count} that met several variants",
        "report.left_out.crossovers.many": "{count} that met several variants",
        "report.digest": "Digest",
        "report.plan_digest": "Digest of the plan",
        "report.schema": "Form",
    }
)
