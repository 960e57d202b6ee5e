"""The summary: what a product manager reads first."""

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        # Nothing can be read.
        "blocked.no_units": "No unit is in any arm yet, so there is nothing to read.",
        "blocked.failed": "Do not rely on these results: {what} Find out why before deciding anything.",
        "blocked.sample_ratio": "the arms did not get their planned shares of the units ({shares}{p}).",
        "blocked.share": "{arm} {units} (planned {planned})",
        "blocked.no_control": (
            "The control ({control}) has no units yet, so there is nothing to compare with."
        ),
        "blocked.only_control": ("Only {control}, the control, has units, so there is nothing to compare."),
        "blocked.more.one": "1 more check failed.",
        "blocked.more.many": "{count} more checks failed.",
        "no_metric": "The plan has no metric; the arms have these units: {units}.",
        # One comparison.
        "result.better": (
            "{variant} {verb} {metric} by {effect} ({values}; {certainty} {low} to {high}{p}), which "
            "is better."
        ),
        "result.worse": (
            "{variant} {verb} {metric} by {effect} ({values}; {certainty} {low} to {high}{p}), which "
            "is worse."
        ),
        "result.raises": "raises",
        "result.lowers": "lowers",
        "result.flat": (
            "{variant} and {baseline} do not differ detectably on {metric} ({values}): the effect of "
            "{variant} lies between {low} and {high} ({certainty}{p}), so larger effects either way "
            "are excluded."
        ),
        "result.flat_briefly": (
            "{variant} and {baseline} do not differ detectably on {metric} ({values}): the effect lies "
            "between {low} and {high} ({certainty})."
        ),
        "result.waiting": (
            "It is too early to conclude about {metric}: {variant} stands at {values}, and its effect "
            "lies between {low} and {high} by the {certainty} that holds at any moment."
        ),
        "result.since": (
            "By now {variant} stands at {values} on {metric}, and its effect lies between {low} and {high} "
            "({certainty}{p})."
        ),
        "result.harmed": (
            "{variant} is worse than {baseline} on {metric} ({values}), by the test for harm, which "
            "holds at any moment; the {certainty} of the plan is {low} to {high}{p}."
        ),
        "result.corrected": (
            "This interval and its p are of this test alone; corrected for all tests of the plan (p {p}), "
            "no effect is detected."
        ),
        "result.underpowered": (
            "An effect of {mde}, which the plan wants found, is not excluded: the data are too few for it."
        ),
        "result.underpowered_briefly": "The data are too few to exclude {mde}, which the plan wants found.",
        "result.to_judge": (
            "The plan names no smallest effect that matters: whether what is not excluded is small is for "
            "you to judge."
        ),
        "result.unknown": "There is no result for {metric} of {variant} yet: {reason}",
        "result.open": (
            "There is too little data for any bound on the effect of {variant} on {metric} ({values})."
        ),
        "result.care": "Read this with care: {message}",
        "result.p": ", p {relation}",
        "relation.equal": "= {p}",
        # Several comparisons.
        "group": "On {metric}, {parts}.",
        "group.better": "better than {control}",
        "group.worse": "worse than {control}",
        "group.flat": "not detectably different from {control}",
        "group.flat_within": "{names} (effects below {low} and above {high} are excluded, {certainty})",
        "group.open": "There is too little data for any bound on the effect of {names}.",
        "group.underpowered": (
            "The data of {names} are too few to exclude {mde}, which the plan wants found."
        ),
        "group.corrected": (
            "These intervals are of each test alone; corrected for all tests of the plan, no effect of "
            "{names} is detected."
        ),
        "group.waiting": "too early to conclude",
        "group.since": "not concluded from newer data",
        "group.unknown": "no result yet",
        "others.worse": "Worse: {names}.",
        # By the comparison alone; the plan asks for more before it calls it harm.
        "others.not_harmed": (
            "Differs in the unwanted direction, though harm is not shown by the plan's test: {names}."
        ),
        "others.better": "Better: {names}.",
        "others.flat": "No detectable difference: {names}.",
        "others.waiting": "Too early to conclude: {names}.",
        "others.unknown": "No result yet: {names}.",
        # Where there is little room.
        "others.quiet.one": "Nothing is shown of 1 more metric.",
        "others.quiet.many": "Nothing is shown of {count} more metrics.",
        "more.one": "1 more",
        "more.many": "{count} more",
        "advice.more.one": "There is 1 more reason.",
        "advice.more.many": "There are {count} more reasons.",
        "briefly.segments": "Effects differ between the values of {names}.",
        "briefly.exploratory": "{segment} (exploratory)",
        "briefly.fading": (
            "The effect of {variant} on {metric} fades with the days since exposure (novelty)."
        ),
        "briefly.growing": (
            "The effect of {variant} on {metric} grows with the days since exposure (primacy)."
        ),
        "briefly.reversing": "The effect of {variant} on {metric} turns with the days since exposure.",
        "briefly.changes.one": "1 more effect changes.",
        "briefly.changes.many": "{count} more effects change.",
        "briefly.interactions": "The check {check} found something about other experiments.",
        # What was left out, and what was changed.
        "left_out.overridden.one": "1 unit was left out, as people chose its variant.",
        "left_out.overridden.many": "{count} units were left out, as people chose their variant.",
        "left_out.bots.one": "1 unit was left out as a bot.",
        "left_out.bots.many": "{count} units were left out as bots.",
        "left_out.unknown_units.one": "1 anonymous unit was left out, as it cannot be told who it is.",
        "left_out.unknown_units.many": (
            "{count} anonymous units were left out, as it cannot be told who they are."
        ),
        "left_out.immature.one": "1 unit was not counted on {metric} yet: its window had not passed.",
        "left_out.immature.many": (
            "{count} units were not counted on {metric} yet: their window had not passed."
        ),
        "left_out.immature_too.one": "Nor were all units counted on 1 more metric.",
        "left_out.immature_too.many": "Nor were all units counted on {count} more metrics.",
        "left_out.crossovers.one": "1 unit ({share} of all) met several variants and was left out.",
        "left_out.crossovers.many": (
            "{count} units ({share} of all) met several variants and were left out."
        ),
        "left_out.dropped.one": (
            "Senders gave up 1 exposure or event since the start, which can be missing here."
        ),
        "left_out.dropped.many": (
            "Senders gave up {count} exposures and events since the start, which can be missing here."
        ),
        "left_out.rows.one": "1 row lacked a unit, a variant or a time and was left out.",
        "left_out.rows.many": "{count} rows lacked a unit, a variant or a time and were left out.",
        "deviations.one": "The plan was changed once after the start.",
        "deviations.many": "The plan was changed {count} times after the start.",
        "redefined": "What is read from {sources} was changed after the start.",
    }
)
