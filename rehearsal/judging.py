"""Whether what a readout says is right: its summary against its numbers, its counts against the truth.

The rules were written before the first run, and are listed in the documentation; since then they changed
where what is said changed (how wide intervals are written, that what a look concluded stands), and where they
were too strict: an effect that is gone may seem to turn, ends beyond 1,000 % are told in hundreds, and what
has no unit yet has no recommendation to begin with.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from rehearsal.bounds import FAMILY, least, most
from rehearsal.kinds import MARGIN
from rehearsal.registering import FIRST_DAY, GUARDRAIL, SUCCESS, Rehearsed

RULES = (
    "It begins with what is recommended (“Ship treatment.”, “Do not ship.”, “Investigate before deciding.”, "
    "“Keep running …”), or with “Do not rely on these results”: that if, and only if, a check failed. "
    "Without any unit it says so.",
    "Where a check failed it tells no effect: nothing “raises”, “lowers” or is “better” or “worse”.",
    "Otherwise it says of conversion what the readout's numbers say: which way, that this is better or "
    "worse, or that the arms do not differ detectably; and names both shares and both ends of the interval.",
    "It says “Ship” only where conversion is said to be better, and nothing is said to be worse; in data "
    "newer than the look that found it, only where it names that look, whose result stands.",
    "Not to ship because of the guardrail names it, as worse or as not within its margin of 5.00 %; what is "
    "shown to be worse is never under “No detectable difference”.",
    "A broken ratio names the units of both arms and their planned share; many crossovers how many units "
    "there were; what senders gave up how many items, exactly.",
    "The first day's effect of a novelty that is detected is told beside the metric that decides.",
    "An effect that is found to change with the days since exposure is told; of a novelty it is asked once "
    "that is over, and where it changes it fades, or turns as seldom as chance has it.",
    "Units whose window has not passed are told, exactly.",
    "After the end nothing asks to keep running.",
)


def summary_faults(readout: dict[str, Any], *, first_day: bool, dropped: int, ended: bool) -> list[str]:
    """Where a summary breaks a rule; empty where it breaks none.

    Args:
        readout: The readout.
        first_day: Whether it has the metric of the first day.
        dropped: How many items senders gave up, truly.
        ended: Whether the experiment is over.
    """
    text, health = readout["summary"], readout["health"]
    if not any(arm["units"] for arm in readout["arms"]):
        return [] if text.startswith("No unit is in any arm yet") else ["that there is no unit is not told"]
    faults = []
    failed = [name for name, check in health.items() if check and check["status"] == "failed"]
    blocked = text.startswith("Do not rely on these results")
    if blocked != bool(failed):
        faults.append(f"failed checks: {failed}, but it begins otherwise")
    if blocked:
        faults += [f"“{word}” beside a failed check" for word in _EFFECTS if word in text]
    else:
        if not text.startswith(readout["recommendation"]["text"]):
            faults.append("it does not begin with the recommendation")
        faults += _of_results(readout, text, first_day=first_day)
    if {"sample_ratio", "sequential_sample_ratio"} & set(failed):
        for arm in readout["arms"]:
            if f"{arm['variant']} {arm['units']:,} (planned {100 * arm['expected_share']:.2f} %)" not in text:
                faults.append(f"the units of {arm['variant']} and their planned share are missing")
    crossovers = health["crossovers"]
    if crossovers["status"] != "ok" and not (
        f"{crossovers['units']:,} unit" in text and "met several variants" in text
    ):
        faults.append("crossovers are not told")
    if dropped and f"Senders gave up {dropped:,} exposures and events" not in text:
        faults.append(f"that senders gave up {dropped:,} items is not told")
    if ended and "Keep running" in text:
        faults.append("it is over and asks to keep running")
    return faults


_EFFECTS = ("raises", "lowers", "which is better", "which is worse", "Better:", "Worse:", "Ship")


def _of_results(readout: dict[str, Any], text: str, *, first_day: bool) -> list[str]:
    faults = []
    outcome, stands = readout["recommendation"]["outcome"], readout["recommendation"]["stands"]
    harmed = {
        found["metric"]
        for each in readout["recommendation"]["treatments"]
        for found in each["findings"]
        if found["harm"] == "shown"
    }
    found = _comparison(readout, SUCCESS)
    if found["detected"] is None:
        wanted = "By now treatment stands at " if stands else "It is too early to conclude about converted"
    elif found["detected"]:
        up = found["difference"]["estimate"] > 0
        wanted = "treatment raises converted by" if up else "treatment lowers converted by"
        if ("which is better" if up else "which is worse") not in text:
            faults.append("whether the effect is better or worse is missing")
    elif SUCCESS in harmed:
        wanted = "treatment is worse than control on converted"
    elif stands:
        wanted = "By now treatment stands at "
    else:
        wanted = "treatment and control do not differ detectably on converted"
    if found["detected"] is None and SUCCESS in harmed:
        wanted = "treatment is worse than control on converted"
    if found["difference"]["interval"] is None:
        wanted = "There is too little data for any bound on the effect of treatment on converted"
    if found["difference"]["estimate"] is not None and wanted not in text:
        faults.append(f"“{wanted}” is missing")
    if found["difference"]["interval"] is not None and (found["detected"] is not None or stands):
        faults += _of_numbers(found, text)
    names_look = stands is not None and f"look {stands['look']}" in text.lower() and "which stands" in text
    is_told = names_look if stands else "which is better" in text
    if text.startswith("Ship") and not (
        outcome == "ship" and is_told and "worse" not in text and "Worse" not in text
    ):
        faults.append("“Ship” beside what does not allow it")
    if GUARDRAIL in harmed and f"{GUARDRAIL} is shown to be worse" not in text:
        faults.append("that the guardrail is worse is missing")
    reasons = {reason["code"]: reason["subject"] for reason in readout["recommendation"]["reasons"]}
    if reasons.get("guardrail_not_shown") == GUARDRAIL:
        sentence = f"{GUARDRAIL} is not shown to lose less than its margin of {100 * MARGIN:.2f} %"
        if sentence not in text:
            faults.append(f"“{sentence}” is missing")
    alike = text.partition("No detectable difference: ")[2].partition(". ")[0]
    faults += [
        f"{metric} is worse and not detectably different at once" for metric in harmed if metric in alike
    ]
    if first_day and (told := _comparison(readout, FIRST_DAY))["detected"]:
        word = "Better" if told["difference"]["estimate"] > 0 else "Worse"
        if f"{word}: " not in text or FIRST_DAY not in text:
            faults.append("the effect on the first day is not told")
    faults += _of_ages(readout, text)
    immature = sum(side["immature"] for side in found["statistics"].values())
    if immature and not any(
        f"{immature:,} {words} not counted on {SUCCESS} yet" in text for words in ("unit was", "units were")
    ):
        faults.append(f"{immature:,} units that are not mature are not told")
    return faults


def _of_ages(readout: dict[str, Any], text: str) -> list[str]:
    """A change with the days since exposure is told beside the effect."""
    changed = [each for each in _by_age(readout) if each["detected"]]
    words = [f"The effect of {each['variant']} on {SUCCESS} {_CHANGES[each['finding']]}" for each in changed]
    faults = [f"“{one}” is missing" for one in words if one not in text]
    if not changed and "since exposure" in text:
        faults.append("a change with the days since exposure is told that was not found")
    return faults


def _by_age(readout: dict[str, Any]) -> list[dict[str, Any]]:
    metrics = [] if readout["by_age"] is None else readout["by_age"]["metrics"]
    return [effect for metric in metrics for effect in metric["effects"]]


FOUND = 0.8
"""More than this share of novelties so large is found at the level 0.01 (96 % of 600 simulated ones)."""

TURNED = 0.025
"""Of an effect that is gone chance shows as much across 0, at the level of 0.05 for both sides."""

_CHANGES = {"fading": "fades", "growing": "grows", "reversing": "turns"}


def _of_numbers(found: dict[str, Any], text: str) -> list[str]:
    """The shares and the interval stand in the sentence as they are in the readout."""
    sides = [found["statistics"][side] for side in ("variant", "baseline")]
    one, other = (_rounded(100 * side["successes"] / side["n"]) for side in sides)
    faults = []
    if not any(f"{mine} % against {theirs} %" in text for mine in one for theirs in other):
        faults.append("the shares of both arms are missing")
    bounds = found["lift"]["interval"] or found["difference"]["interval"]
    for bound in bounds:
        whole = 100 * bound
        # Two digits of the end that is farther from 0: wide intervals are told in tens, or more.
        shown = {
            f"{'−' if whole < 0 else '+'}{abs(round(whole, digits)):,.{max(0, digits)}f}"
            for digits in range(_coarsest(bounds), 4)
        }
        if not any(one in text for one in shown):
            faults.append(f"the end {bound:.4g} of the interval is missing")
    return faults


def _coarsest(bounds: Sequence[float]) -> int:
    """To how many decimals the ends are rounded where one of them has two digits; negative of thousands."""
    widest = 100 * max(abs(bound) for bound in bounds)
    return min(-1, 1 - math.floor(math.log10(widest))) if widest else -1


def _rounded(share: float) -> set[str]:
    """A share in per cent as it may be written: of 31.125 there are two."""
    return {f"{share + shift:.2f}" for shift in (-1e-9, 1e-9)}


def _comparison(readout: dict[str, Any], metric: str) -> dict[str, Any]:
    for each in readout["metrics"]:
        if each["metric"] == metric:
            found: dict[str, Any] = each["comparisons"][0]
            return found
    raise KeyError(metric)


def experiment_faults(each: Rehearsed) -> list[str]:
    """What is wrong with any readout of an experiment, beside its recommendation."""
    faults = []
    for readout in each.readouts:
        dropped = (readout["health"]["dropped_items"] or {}).get("items", 0)
        found = summary_faults(
            readout, first_day=each.kind.fades, dropped=dropped, ended=readout["ended_at"] is not None
        )
        where = f"{each.key} at {readout['generated_at']}"
        faults += [f"{where}: {fault}: {readout['summary']}" for fault in found]
    return faults + _of_counts(each)


def novelty_faults(rehearsed: Sequence[Rehearsed]) -> list[str]:
    """Whether fewer novelties are said to fade, or more to turn, than chance allows, in the last readouts."""
    asked = [each for each in rehearsed if each.kind.fades]
    said = Counter(effect["finding"] for each in asked for effect in _by_age(each.readouts[-1]))
    faults = []
    if said["fading"] < least(len(asked), FOUND, level=FAMILY):
        faults.append(f"only {said['fading']} of {len(asked)} novelties are said to fade")
    if said["reversing"] > most(len(asked), TURNED, level=FAMILY):
        faults.append(f"{said['reversing']} of {len(asked)} novelties are said to turn")
    return faults


def _of_counts(each: Rehearsed) -> list[str]:
    """The last readout counts every unit that met one variant, those that met both, and what was given up."""
    last, people = each.readouts[-1], each.people
    faults = []
    seen = {arm["variant"]: arm["units"] for arm in last["arms"]}
    if seen != (true := people.units(last["revision"])):
        faults.append(f"{each.key}: the last readout counts {seen}, there were {true}")
    if last["health"]["crossovers"]["units"] != (crossed := people.crossovers(last["revision"])):
        faults.append(f"{each.key}: {crossed} units met both variants, the last readout says otherwise")
    asked = [effect["finding"] for effect in _by_age(last) if effect["detected"] is not None]
    if each.kind.fades and asked not in ([None], ["fading"], ["reversing"]):
        faults.append(f"{each.key}: whether the effect fades is {asked or 'not asked'} at the end")
    given_up = last["health"]["dropped_items"]["items"]
    if each.kind.broken is not None and each.kind.broken.is_dropped and given_up != people.dropped:
        faults.append(f"{each.key}: {people.dropped} items were given up, the last readout says otherwise")
    return faults


def covers(each: Rehearsed) -> bool | None:
    """Whether the interval of conversion in the readout that decided holds the truth; None without either."""
    if each.decided is None or each.kind.broken is not None:
        return None
    interval = _comparison(each.decided, SUCCESS)["lift"]["interval"]
    true = 0.0 if each.kind.fades else each.kind.lift
    return None if interval is None else bool(interval[0] <= true <= interval[1])
