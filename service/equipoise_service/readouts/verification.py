"""Recomputes a readout from the statistics in it and says where it disagrees."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from equipoise_service.analysis.days import days_together
from equipoise_service.analysis.statistics import Statistics
from equipoise_service.canonical import digest
from equipoise_service.plans.looks import alpha_of_metrics, alpha_spent, days_passed
from equipoise_service.plans.schemas import Method
from equipoise_service.readouts.building import build_readout, mature_units
from equipoise_service.readouts.checks import DroppedItems, LateExposures, MissingExposures
from equipoise_service.readouts.daily import can_be_asked_at
from equipoise_service.readouts.distributions import expect_counts, expect_drawn, expect_halvings
from equipoise_service.readouts.held import moment_in, statistics_in
from equipoise_service.readouts.lasting import RepeatOf
from equipoise_service.readouts.losses import Arrivals, Dropped
from equipoise_service.readouts.metric_units import units_of_metrics
from equipoise_service.readouts.novelty import expect_ages
from equipoise_service.readouts.overlaps import overlaps_in
from equipoise_service.readouts.provenance import Provenance
from equipoise_service.readouts.reading import NotAReadout, readout_of
from equipoise_service.readouts.recomputed import recomputation_in
from equipoise_service.readouts.schemas import Readout
from equipoise_service.readouts.sealing import by_part, digests_of
from equipoise_service.readouts.segments import changes_of_segments
from equipoise_service.readouts.standing import concluded_in
from equipoise_service.readouts.sums_of_days import expect_days
from equipoise_service.readouts.wording import is_of_words, is_written_here, wording
from equipoise_stats import CheckStatus

RELATIVE_TOLERANCE = 1e-9

# An end of an interval that is close to zero is the difference of larger numbers, and no more exact than they
# are: it may also differ by this share of the larger end.
TOLERANCE_OF_AN_END = 1e-12

# Each one finds a treatment more, or is the last look: an experiment has 50 variants at most.
_MOST_EARLIER = 50

# What earlier releases had by other rules: p-values of checks that are valid at the end only, and projections
# of what does not add up. Those of any wording but today's: denominators, asked by one test at each moment.
_BY_OTHER_RULES = re.compile(r"^/health/(sample_ratio|pre_exposure_balance)/(p_value|status)$|/impact$")
_DENOMINATORS = "/health/moved_denominators/"
# They took days together where there were half as many as now.
_OF_DAYS = ("/by_day/", "/health/daily_sample_ratio/")
_FEWER_DAYS, _FEWER_RESULTS = 60, 1200

# What readouts from before `wording` do not have, though today's always do.
_LACKED = ("notes", "stands", "not_asked")
# What those of an earlier release may lack besides.
_ADDED = ("parts",)


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One place where a readout is not what its statistics give.

    Attributes:
        pointer: JSON pointer to the place (RFC 6901).
        found: What the readout says there; None where it has no such member.
        expected: What was recomputed; None where there should be no such member, and for counts in bins that
            no values can have.
    """

    pointer: str
    found: Any
    expected: Any


def verify_readout(document: Any) -> list[Disagreement]:
    """Recomputes every number, text and digest of a readout.

    Numbers agree within a relative 1e-9, ends of an interval also within 1e-12 of the larger one, everything
    else exactly. Words are compared where the readout is written in those of today, see
    `wording.is_written_here`.

    Args:
        document: The readout, parsed from JSON.

    Returns:
        The disagreements, in the readout's order; none when it agrees.

    Raises:
        NotAReadout: The document cannot be recomputed at all.
    """
    try:
        readout = readout_of(document)
        plan, statistics, provenance = readout.plan, statistics_in(readout), _provenance(readout)
        expected = build_readout(plan, statistics, provenance, readout.looks)
        _expect_units(expected)
        _expect_looks(expected, readout, statistics)
        _expect_lock(expected, readout)
        earlier = _disagreements_of_earlier(document)
        # The digests are of what the document says, to the last bit, not of what was recomputed.
        expected["plan_digest"] = digest(document["plan"])
        expected["digest"] = digest({name: value for name, value in document.items() if name != "digest"})
    except NotAReadout:
        raise
    except (ValueError, OverflowError) as error:
        raise NotAReadout(f"The readout cannot be recomputed: {error}") from None
    named = document
    if document.get("digests") is None:
        del expected["digests"]
    else:
        named = {**document, "digests": by_part(document, document["digests"])}
        expected["digests"] = by_part(document, digests_of(document))
    found = [each for each in _differences("", named, expected) if not _is_of_another(document, each)]
    return [*found, *earlier]


def _disagreements_of_earlier(document: Any) -> list[Disagreement]:
    """What is wrong in the readout that stands in this one, which is recomputed like any other.

    Raises:
        NotAReadout: It is none, or it stands on more than there can be.
    """
    earlier = document.get("stands_on")
    depth, inner = 0, earlier
    while isinstance(inner, Mapping):
        depth, inner = depth + 1, inner.get("stands_on")
        if depth > _MOST_EARLIER:
            raise NotAReadout(f"It stands on more than {_MOST_EARLIER} readouts, one in the other.")
    if earlier is None:
        return []
    return [replace(each, pointer=f"/stands_on{each.pointer}") for each in verify_readout(earlier)]


def _is_of_another(document: Any, found: Disagreement) -> bool:
    """Whether a disagreement only says that another release, or language, wrote the readout.

    Raises:
        NotAReadout: That release had other rules, so that nothing can be said of it here.
    """
    if found.pointer == "/wording":
        return True
    if found.pointer.startswith("/digests/"):
        return False
    if is_written_here(document):
        return False
    name = found.pointer.rpartition("/")[2]
    if name in _LACKED and found.found is None and "wording" not in document:
        return True
    if name in _ADDED and found.found is None:
        return True
    if _is_by_other_rules(document, found.pointer):
        raise NotAReadout(
            "The readout is of an earlier release, which had other rules for "
            f"{found.pointer}. Verify it with the release that made it."
        )
    return is_of_words(found.pointer) and not (_is_number(found.found) or _is_number(found.expected))


def _is_by_other_rules(document: Any, pointer: str) -> bool:
    """Whether earlier releases had other rules for a member than this one."""
    if pointer == "/progress/complete":
        return document["revision"] is None and document["plan"]["method"] == Method.BAYESIAN
    if pointer == "/recommendation/outcome":  # they shipped what shares that differ early hold back
        return bool(document["health"]["sample_ratio"]["status"] == CheckStatus.WARNING)
    if pointer == "/progress/valid":  # they asked a fixed-horizon plan anew at each readout after its end
        return document["plan"]["method"] == Method.FIXED_HORIZON and not document["looks"]
    if pointer.startswith(_OF_DAYS):
        return _took_days_together(document)
    if pointer.startswith(_DENOMINATORS):
        return not document["progress"]["complete"]
    return bool(_BY_OTHER_RULES.search(pointer)) and "recomputed_assignments" not in document["health"]


def _took_days_together(document: Any) -> bool:
    """Whether the release that wrote a readout took days together that are shown by themselves now."""
    days, plan = document["by_day"]["days"] if document["by_day"] else (), document["plan"]
    if not days:
        return False
    first, last = date.fromisoformat(days[0]["first"]), date.fromisoformat(days[-1]["last"])
    if document["started_at"] is not None:
        first = min(first, moment_in(document["started_at"]).date())
    results = max(1, len(plan["metrics"]) * (len(plan["variants"]) - 1))
    return days_together(first, last, max(1, min(_FEWER_DAYS, _FEWER_RESULTS // results))) > 1


def _expect_looks(expected: dict[str, Any], readout: Readout, statistics: Statistics) -> None:
    """What a look spent follows from those up to it, its days from its time, the last units from these."""
    provenance = _provenance(readout)
    for i, look in enumerate(readout.looks):
        expected["looks"][i]["number"] = i + 1
        expected["looks"][i]["spent"] = alpha_spent(readout.plan, readout.looks[: i + 1])
        if "alpha" in look.model_fields_set:
            of_metrics = alpha_of_metrics(readout.plan, readout.looks[: i + 1])
            expected["looks"][i]["alpha"] = {key: each.model_dump() for key, each in of_metrics.items()}
        days = days_passed(
            readout.plan,
            moment_in(look.taken_at),
            started_at=provenance.started_at,
            ended_at=provenance.ended_at,
        )
        if days is not None:
            expected["looks"][i]["fractions"] = dict.fromkeys(look.fractions, days)
            expected["looks"][i]["units"] = {key: look.units.get(key, 0) for key in look.fractions}
    horizon = readout.plan.horizon
    if expected["progress"]["look"] is not None and horizon is not None:
        last = expected["looks"][-1]
        for key, units in mature_units(readout.plan, statistics).items():
            if key in last["fractions"] and horizon.units is not None:
                last["fractions"][key] = units / horizon.units
            elif key in last["fractions"]:
                last["units"][key] = units


def _expect_lock(expected: dict[str, Any], readout: Readout) -> None:
    """The plan is the one that was locked, or that the last deviation made of it."""
    if readout.locked is not None and readout.locked.plan is not None:
        expected["locked"]["digest"] = digest(readout.locked.plan)
        if not changes_of_segments(readout.deviations, readout.locked):
            del expected["locked"]["plan"]
    if expected["deviations"]:
        expected["deviations"][-1]["digest"] = expected["plan_digest"]
    elif expected["locked"] is not None:
        expected["locked"]["digest"] = expected["plan_digest"]


def _expect_units(expected: dict[str, Any]) -> None:
    """A comparison is over all units of its arms, and the parts of a segment hold every unit once."""
    _expect_arms(expected, units_of_metrics(expected))
    expect_halvings(expected)
    expect_drawn(expected)
    expect_counts(expected)
    expect_days(expected)
    expect_ages(expected)
    _expect_overlaps(expected)
    for segment in expected["segments"]:
        for part in segment["parts"]:
            units = {arm["variant"]: arm["units"] for arm in part["arms"]}
            _expect_arms(part, {result["metric"]: units for result in part["metrics"]})
        if segment["parts"]:
            *others, last = segment["parts"]
            seen = {arm["variant"]: arm["units"] for arm in expected["arms"]}
            for part in others:
                for arm in part["arms"]:
                    seen[arm["variant"]] = seen.get(arm["variant"], 0) - arm["units"]
            for arm in last["arms"]:
                arm["units"] = seen.get(arm["variant"], 0)
            before = sum(part["crossovers"] for part in others)
            last["crossovers"] = expected["health"]["crossovers"]["units"] - before


def _expect_overlaps(expected: dict[str, Any]) -> None:
    """The statistics of an arm's part are over all its units, but for the immature ones."""
    check = expected["health"]["interactions"]
    for overlap in (check or {}).get("overlaps") or ():
        for arm in (arm for part in overlap["parts"] for arm in part["arms"]):
            for metric in arm["metrics"]:
                metric["statistics"]["n"] = arm["units"] - metric["statistics"]["immature"]


def _expect_arms(expected: dict[str, Any], units_of: Mapping[str, Mapping[str, int]]) -> None:
    """The comparisons of a metric are over all units of the arms, but for the immature ones."""
    for metric in expected["metrics"]:
        units = units_of[metric["metric"]]
        for comparison in (*metric["comparisons"], *metric.get("between_treatments", ())):
            for side in ("variant", "baseline"):
                statistics = comparison["statistics"][side]
                statistics["n"] = units[comparison[side]] - statistics["immature"]


def _provenance(readout: Readout) -> Provenance:
    dropped, late = readout.health.dropped_items, readout.health.late_exposures
    return Provenance(
        readout.experiment,
        readout.revision,
        moment_in(readout.generated_at),
        started_at=None if readout.started_at is None else moment_in(readout.started_at),
        ended_at=None if readout.ended_at is None else moment_in(readout.ended_at),
        traffic=readout.traffic,
        steps=readout.traffic_steps,
        paused=readout.paused_seconds,
        locked=readout.locked,
        deviations=readout.deviations,
        dropped=None if dropped is None else _dropped(dropped),
        arrivals=None if late is None else _arrivals(late, readout.health.missing_exposures),
        overlaps=overlaps_in(
            readout.health.interactions, earlier=readout.asked_at not in (None, readout.generated_at)
        ),
        recomputed=recomputation_in(readout.health.recomputed_assignments),
        concluded=concluded_in(readout),
        holdback=readout.holdback,
        repeat=None if readout.repeat is None else RepeatOf(readout.repeat.days, readout.repeat.decided),
        segments_as_before=any(each.test is None for each in readout.segments),
        sources=readout.sources or (),
        asked_at=_asked_at(readout),
        asked_as_before=_is_asked_as_before(readout),
    )


def _asked_at(readout: Readout) -> datetime | None:
    """When what is asked once a day was asked; None where that cannot have been then."""
    if readout.asked_at is None or readout.started_at is None or readout.ended_at is not None:
        return None
    at = moment_in(readout.asked_at)
    began, now = moment_in(readout.started_at), moment_in(readout.generated_at)
    return at if can_be_asked_at(readout.plan, at, started_at=began, now=now) else None


def _is_asked_as_before(readout: Readout) -> bool:
    """Whether it is from before effects by age and interactions had tests that hold at any moment."""
    if readout.wording == wording():
        return False
    asked = [each for each in (readout.by_age, readout.health.interactions) if each is not None]
    return bool(asked) and all(each.always_valid is None for each in asked if each.look is None)


def _dropped(check: DroppedItems) -> Dropped:
    reasons = None if check.items is None else check.reasons
    return Dropped(reasons, check.received, check.earlier or 0, check.received_longer)


def _arrivals(late: LateExposures, missing: MissingExposures | None) -> Arrivals:
    if missing is None:
        return Arrivals(late.exposures, late.late)
    if missing.status is CheckStatus.UNAVAILABLE:
        return Arrivals(late.exposures, late.late, None)
    return Arrivals(late.exposures, late.late, missing.days, missing.paused)


def _differences(pointer: str, found: Any, expected: Any, within: float = 0.0) -> list[Disagreement]:
    if isinstance(found, Mapping) and isinstance(expected, Mapping):
        names = [*found, *(name for name in expected if name not in found)]
        return [
            each
            for name in names
            for each in _differences(f"{pointer}/{_escaped(name)}", found.get(name), expected.get(name))
        ]
    if isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        pairs = zip(found, expected, strict=True)
        within = _tolerance_of_ends(expected) if pointer.endswith("interval") else 0.0
        return [
            each for i, pair in enumerate(pairs) for each in _differences(f"{pointer}/{i}", *pair, within)
        ]
    return [] if _agree(found, expected, within) else [Disagreement(pointer, found, expected)]


def _tolerance_of_ends(interval: list[Any]) -> float:
    return TOLERANCE_OF_AN_END * max((abs(end) for end in interval if _is_number(end)), default=0.0)


def _agree(found: Any, expected: Any, within: float) -> bool:
    if _is_number(found) and _is_number(expected):
        return math.isclose(found, expected, rel_tol=RELATIVE_TOLERANCE, abs_tol=within)
    return type(found) is type(expected) and bool(found == expected)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
