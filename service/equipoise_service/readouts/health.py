"""The checks of a readout: whether its data can be believed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from equipoise_service.analysis.statistics import Statistics
from equipoise_service.plans.documents import Plan
from equipoise_service.readouts.arrivals import early_exposures, late_exposures
from equipoise_service.readouts.balance import balance
from equipoise_service.readouts.bots import bot_units
from equipoise_service.readouts.calendar import Block
from equipoise_service.readouts.checks import (
    Crossovers,
    DroppedItems,
    Health,
    IncompleteRows,
    Metrics,
)
from equipoise_service.readouts.daily_ratio import daily_ratio
from equipoise_service.readouts.found import CHECK_ALPHA, about
from equipoise_service.readouts.inference import monitoring
from equipoise_service.readouts.interactions import interactions
from equipoise_service.readouts.losses import Arrivals, Dropped
from equipoise_service.readouts.missing import missing_exposures
from equipoise_service.readouts.numerals import number as decimal
from equipoise_service.readouts.numerals import percent
from equipoise_service.readouts.overlaps import Overlaps
from equipoise_service.readouts.recomputed import Recomputation, recomputed_assignments
from equipoise_service.readouts.sample_ratios import at_any_moment, at_the_end, by_segment
from equipoise_service.texts.saying import counted, say
from equipoise_stats import (
    CheckStatus,
    Estimate,
    Moments,
    mean_difference,
    moved_denominator,
    skewness_guard,
)

CROSSOVER_WARNING_SHARE = 0.001
# As many as the effects that are looked for: who is left out can decide the result.
CROSSOVER_FAILING_SHARE = 0.01
CROSSOVER_FAILING_UNITS = 10
# As much as decides results: what is lost is hardly ever lost from all arms alike.
DROPPED_FAILING_SHARE = 0.01
DROPPED_FAILING_ITEMS = 10
LOW_MATURITY = 0.5


@dataclass(frozen=True, slots=True)
class Compared:
    """One comparison, as the checks need it.

    Attributes:
        metric: The metric's key.
        treatment: The moments of the treatment; None where they are not moments.
        control: Those of the control.
        estimate: The estimate of the difference; None where there is none.
        differs: Of a quality metric: whether the arms differ, None where that cannot be told.
    """

    metric: str
    treatment: Moments | None
    control: Moments | None
    estimate: Estimate | None
    differs: bool | None = None


def check_health(
    plan: Plan,
    statistics: Statistics,
    compared: Sequence[Compared],
    *,
    complete: bool,
    dropped: Dropped | None = None,
    days: Sequence[Block] = (),
    arrivals: Arrivals | None = None,
    overlaps: Overlaps | None = None,
    recomputed: Recomputation | None = None,
    asked: bool = False,
    always_valid: bool | None = None,
) -> Health:
    """Runs every check.

    Args:
        plan: The plan.
        statistics: The statistics.
        compared: Every comparison of a treatment with the control.
        complete: Whether the planned end is reached: before, only checks at any moment may fail.
        dropped: What senders gave up; None where nobody asked.
        days: The days, where they are known.
        arrivals: How late exposures arrived; None where nobody asked.
        overlaps: What is known of other experiments; None where none ran at the same time.
        recomputed: Whether units met the variants that their ids give them; None where nobody asked.
        asked: Whether other experiments are asked about at this moment.
        always_valid: Whether other experiments are asked about by tests that hold at any moment; None as in
            readouts from before there were any.
    """
    units = {variant: arm.units for variant, arm in statistics.arms.items()}
    return Health(
        sample_ratio=at_the_end(units, plan, complete=complete),
        sequential_sample_ratio=at_any_moment(units, plan),
        segment_sample_ratio=by_segment(statistics, plan),
        daily_sample_ratio=daily_ratio(plan, days),
        crossovers=_crossovers(statistics.crossovers, sum(units.values()) + statistics.crossovers),
        early_exposures=early_exposures(statistics),
        late_exposures=late_exposures(arrivals),
        missing_exposures=missing_exposures(arrivals, sum(units.values()) + statistics.crossovers),
        incomplete_rows=_incomplete_rows(statistics.incomplete_rows),
        dropped_items=_dropped(dropped),
        bots=bot_units(plan, statistics),
        recomputed_assignments=recomputed_assignments(plan, recomputed),
        pre_exposure_balance=balance(plan, _moments(compared), complete=complete),
        quality_metrics=_quality(compared),
        moved_denominators=_denominators(plan, compared, complete=complete),
        maturity=_maturity(plan, statistics),
        skewness=_skewness(compared),
        interactions=interactions(
            plan,
            overlaps,
            units=sum(units.values()),
            cuts=statistics.cuts,
            asked=asked,
            always_valid=always_valid,
        ),
    )


def quality_of(health: Health) -> dict[str, CheckStatus]:
    """The status of each check, as the decision takes it: what has nothing to check is left out.

    Shares that differ before the end by more than one test allows are no failure, and nothing to ship on
    either: the check over time may be about to see it, and the result comes at the end.
    """
    found = {
        name: check.status
        for name, check in health.all.items()
        if check.status is not CheckStatus.UNAVAILABLE or name == "sample_ratio"
    }
    if health.sample_ratio.status is CheckStatus.WARNING:
        found["sample_ratio"] = CheckStatus.UNAVAILABLE
    return found


def _crossovers(crossovers: int, seen: int) -> Crossovers:
    share = crossovers / seen if seen else None
    number = counted("units", crossovers) + ("" if share is None else f" ({percent(share)})")
    status, reason = CheckStatus.OK, None
    if share is not None and share > CROSSOVER_WARNING_SHARE:
        status = CheckStatus.WARNING
        reason = say("found.crossovers", share=f"{100 * CROSSOVER_WARNING_SHARE:g} %")
        if share > CROSSOVER_FAILING_SHARE and crossovers >= CROSSOVER_FAILING_UNITS:
            status = CheckStatus.FAILED
            reason = say("found.many_crossovers", share=f"{100 * CROSSOVER_FAILING_SHARE:g} %")
    return Crossovers(**about("crossovers", status, number, reason), units=crossovers, share=share)


def _incomplete_rows(rows: int | None) -> IncompleteRows | None:
    if rows is None:
        return None
    status = CheckStatus.WARNING if rows else CheckStatus.OK
    reason = say("found.incomplete_rows") if rows else None
    number = counted("rows", rows)
    return IncompleteRows(**about("incomplete_rows", status, number, reason), rows=rows)


def _dropped(dropped: Dropped | None) -> DroppedItems | None:
    if dropped is None:
        return None
    if dropped.reasons is None:
        nothing = about(
            "dropped_items", CheckStatus.UNAVAILABLE, say("rests_on.not_known"), say("found.no_reports")
        )
        return DroppedItems(**nothing, items=None, reasons={})
    items, share = dropped.items, dropped.share
    status, reason = CheckStatus.OK, None
    number = counted("items", items)
    if items:
        status = CheckStatus.WARNING
        by_reason = ", ".join(f"{name} {lost:,}" for name, lost in dropped.reasons.items() if lost)
        number = f"{number} ({by_reason})"
        reason = say("found.dropped_items")
        if share is not None:
            number = say("rests_on.dropped", items=number, share=percent(share))
        if share is not None and share > DROPPED_FAILING_SHARE and items >= DROPPED_FAILING_ITEMS:
            status = CheckStatus.FAILED
            reason = say("found.many_dropped_items", share=f"{100 * DROPPED_FAILING_SHARE:g} %")
    return DroppedItems(
        **about("dropped_items", status, number, reason),
        items=items,
        reasons=dict(dropped.reasons),
        received=dropped.received,
        earlier=None if dropped.received_longer is None else dropped.earlier,
        received_longer=dropped.received_longer,
        share=share,
    )


def _moments(compared: Sequence[Compared]) -> list[tuple[Moments, Moments]]:
    return [
        (each.treatment, each.control)
        for each in compared
        if each.treatment is not None and each.control is not None
    ]


def _quality(compared: Sequence[Compared]) -> Metrics | None:
    asked = [each for each in compared if each.differs is not None]
    if not asked:
        return None
    differing = _keys(each for each in asked if each.differs)
    reason = say("found.quality_metrics") if differing else None
    return _metrics("quality_metrics", CheckStatus.FAILED, differing, reason, "differ")


def _denominators(plan: Plan, compared: Sequence[Compared], *, complete: bool) -> Metrics | None:
    ratios = [
        each
        for each in compared
        if each.treatment is not None and each.control is not None and "d" in each.treatment.columns
    ]
    if not ratios:
        return None
    moved = _keys(each for each in ratios if _is_moved(plan, each, complete=complete))
    reason = say("found.moved_denominators") if moved else None
    return _metrics("moved_denominators", CheckStatus.WARNING, moved, reason, "moved")


def _is_moved(plan: Plan, each: Compared, *, complete: bool) -> bool:
    if each.treatment is None or each.control is None:
        return False
    arms = {"treatment": each.treatment, "control": each.control}
    if complete:
        found = moved_denominator(**arms, denominator="d", alpha=CHECK_ALPHA)
        return found.status is CheckStatus.WARNING
    # Before the end it is asked at each refresh: as the balance of the pre-period is, see `balance`.
    estimate = mean_difference(treatment=each.treatment, control=each.control, column="d")
    differs = monitoring(plan, estimate)(alpha=CHECK_ALPHA)
    return differs.test.rejected is True


def _maturity(plan: Plan, statistics: Statistics) -> Metrics | None:
    windowed = [metric for metric in plan.metrics if metric.matures]
    if not windowed:
        return None
    units = sum(arm.units for arm in statistics.arms.values())
    immature = {
        metric.key: sum(arm.immature.get(metric.key, 0) for arm in statistics.arms.values())
        for metric in windowed
    }
    low = [key for key, number in immature.items() if units and 1 - number / units < LOW_MATURITY]
    reason = say("found.maturity") if low else None
    return _metrics("maturity", CheckStatus.WARNING, low, reason, "not_mature")


def _skewness(compared: Sequence[Compared]) -> Metrics | None:
    guards = [(each.metric, skewness_guard(each.estimate)) for each in compared if each.estimate is not None]
    known = [(metric, guard) for metric, guard in guards if guard.skewness is not None]
    if not known:
        return None
    skewed: dict[str, float] = {}
    for metric, guard in known:
        if guard.status is CheckStatus.WARNING:
            # Of several treatments that in which it is furthest off.
            skewed[metric] = max(skewed.get(metric, 0.0), guard.skewness or 0.0, key=abs)
    if not skewed:
        return _metrics("skewness", CheckStatus.OK, [], None, "skewed")
    named = ", ".join(f"{metric} {decimal(value, decimals=2)}" for metric, value in skewed.items())
    number = say("rests_on.skewed", limit=f"{known[0][1].threshold:g}", metrics=named)
    return Metrics(
        **about("skewness", CheckStatus.WARNING, number, say("found.skewness")), metrics=list(skewed)
    )


def _keys(compared: Any) -> list[str]:
    return list(dict.fromkeys(each.metric for each in compared))


def _metrics(name: str, bad: CheckStatus, keys: list[str], reason: str | None, word: str) -> Metrics:
    status = bad if keys else CheckStatus.OK
    number = say(f"rests_on.{word}", metrics=", ".join(keys)) if keys else say(f"rests_on.none_{word}")
    return Metrics(**about(name, status, number, reason), metrics=keys)
