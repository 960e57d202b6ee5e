"""The check of recomputed assignments: whether units met the variant that their id gives them."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.statistics import Statistics
from equipoise_service.events.stores.store import EventStore
from equipoise_service.plans.documents import Plan
from equipoise_service.readouts.checks import RecomputedAssignments
from equipoise_service.readouts.found import CHECK_ALPHA, about
from equipoise_service.readouts.numerals import percent
from equipoise_service.recomputation.audit import Randomisation
from equipoise_service.recomputation.drawn import Recomputed, recompute_drawn
from equipoise_service.sources.schemas import SourceIn
from equipoise_service.texts.saying import counted, say
from equipoise_stats import CheckStatus, Counts, wilson

WARNING_SHARE = 0.001
# As many as the effects that are looked for: whoever met another variant is counted in the wrong arm.
FAILING_SHARE = 0.01
FAILING_UNITS = 10
# Units that another system assigned, as those of an imported file, agree as often as chance has it.
_NEARLY = 0.1

Obstacle = Literal["hashed", "elsewhere"]
"""Why nothing can be recomputed: ids are stored as keyed hashes, or exposures are a warehouse's."""

_OBSTACLES: Mapping[Obstacle, str] = MappingProxyType(
    {"hashed": "found.not_recomputed.hashed", "elsewhere": "found.not_recomputed.elsewhere"}
)


@dataclass(frozen=True, slots=True)
class Recomputation:
    """What is known of the variants that units met, beside those that their ids give them.

    Attributes:
        found: What was found; None where nothing can be recomputed.
        obstacle: Why nothing can; None where it can.
    """

    found: Recomputed | None
    obstacle: Obstacle | None = None


def recomputation_of(
    store: EventStore,
    plan: Plan,
    request: StoreRequest,
    sources: Mapping[str, SourceIn],
    randomisation: Randomisation,
    statistics: Statistics,
) -> Recomputation:
    """Recomputes the variants of some units of a revision, where that is possible.

    Args:
        store: The service's own store.
        plan: What is measured; the arms are those of the first metric's source.
        request: Which revision.
        sources: The sources that the plan names, by key.
        randomisation: What decides a unit's arm.
        statistics: What the analysis found.
    """
    source = plan.metrics[0].source if plan.metrics else None
    if source is not None and sources[source].exposures is not None:
        return Recomputation(None, "elsewhere")
    if store.unit_key:
        return Recomputation(None, "hashed")
    units = sum(arm.units for arm in statistics.arms.values()) + statistics.crossovers
    return Recomputation(recompute_drawn(store, request, randomisation, units))


def recomputed_assignments(plan: Plan, known: Recomputation | None) -> RecomputedAssignments | None:
    """Units that met another variant than their id gives them; None where nobody asked, as for a file."""
    if known is None:
        return None
    found = known.found
    if found is None:
        nothing = about(
            "recomputed_assignments",
            CheckStatus.UNAVAILABLE,
            say("rests_on.not_recomputed"),
            say(_OBSTACLES[known.obstacle or "hashed"]),
        )
        return RecomputedAssignments(
            **nothing,
            obstacle=known.obstacle,
            units=None,
            disagreeing=None,
            halvings=None,
            share=None,
            interval=None,
        )
    status, reason = _status(plan, found)
    return RecomputedAssignments(
        **about("recomputed_assignments", status, _number(found), reason),
        obstacle=None,
        units=found.units,
        disagreeing=found.disagreeing,
        halvings=found.halvings,
        share=_share(found),
        interval=_interval(found),
    )


def recomputation_in(check: RecomputedAssignments | None) -> Recomputation | None:
    """What a check was computed from; None where there is none."""
    if check is None:
        return None
    if check.units is None or check.disagreeing is None or check.halvings is None:
        return Recomputation(None, check.obstacle)
    return Recomputation(Recomputed(check.halvings, check.units, check.disagreeing))


def _share(found: Recomputed) -> float | None:
    return found.disagreeing / found.units if found.units else None


def _status(plan: Plan, found: Recomputed) -> tuple[CheckStatus, str | None]:
    share = _share(found)
    if share is None or share <= WARNING_SHARE:
        return CheckStatus.OK, None
    if abs(share - _unrelated(plan)) < _NEARLY * _unrelated(plan):
        return CheckStatus.WARNING, say("found.assigned_elsewhere")
    if share > FAILING_SHARE and found.disagreeing >= FAILING_UNITS:
        return CheckStatus.FAILED, say("found.many_recomputed", share=f"{100 * FAILING_SHARE:g} %")
    return CheckStatus.WARNING, say("found.recomputed", share=f"{100 * WARNING_SHARE:g} %")


def _unrelated(plan: Plan) -> float:
    """The share that disagrees where something else assigned all units, by the same weights."""
    whole = sum(plan.weights.values())
    return 1 - sum((weight / whole) ** 2 for weight in plan.weights.values())


def _number(found: Recomputed) -> str:
    share = _share(found)
    number = say(
        "rests_on.recomputed", disagreeing=f"{found.disagreeing:,}", units=counted("units", found.units)
    )
    if share is not None:
        number = f"{number} ({percent(share)})"
    return say("rests_on.drawn", number=number, of=2**found.halvings) if found.halvings else number


def _interval(found: Recomputed) -> list[float] | None:
    """Where the share of all units lies; None where all were drawn, or none."""
    if not found.halvings or not found.units:
        return None
    interval = wilson(Counts(found.units, found.disagreeing), alpha=CHECK_ALPHA)
    return [interval.lower, interval.upper]
