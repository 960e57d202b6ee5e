"""From a plan, its looks and the statistics to the readout: a pure function."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from equipoise_service.analysis.statistics import ArmStatistics, Statistics
from equipoise_service.canonical import digest
from equipoise_service.plans.documents import Plan, PlannedMetric
from equipoise_service.plans.looks import Look
from equipoise_service.plans.schemas import Method
from equipoise_service.readouts.advice import Recommendation
from equipoise_service.readouts.ages import asked_ages
from equipoise_service.readouts.arms import arms_of, pairs_of, side_of
from equipoise_service.readouts.by_age import ByAge
from equipoise_service.readouts.calendar import blocks_of
from equipoise_service.readouts.checks import Health
from equipoise_service.readouts.counted import JoinedUnits, Population
from equipoise_service.readouts.distributions import values_of, why_no_values
from equipoise_service.readouts.health import check_health, quality_of
from equipoise_service.readouts.lasting import repeat_of
from equipoise_service.readouts.novelty import by_age, of_last_look
from equipoise_service.readouts.numerals import to_the_minute
from equipoise_service.readouts.progress import Moment, moment_of
from equipoise_service.readouts.provenance import Provenance
from equipoise_service.readouts.recommendation import nothing_recommended, recommend
from equipoise_service.readouts.results import Results, results_of, why_no_impact
from equipoise_service.readouts.schemas import SCHEMA, Progress
from equipoise_service.readouts.sealing import sealed
from equipoise_service.readouts.segments import segment_results
from equipoise_service.readouts.series import by_day, why_no_days
from equipoise_service.readouts.sides import Cuts, statistics_out
from equipoise_service.readouts.standing import Concluded
from equipoise_service.readouts.summary import summarise
from equipoise_service.readouts.wording import wording
from equipoise_service.texts.saying import say
from equipoise_stats import CheckStatus

_DAY = timedelta(days=1).total_seconds()


def build_readout(
    plan: Plan, statistics: Statistics, provenance: Provenance, looks: Sequence[Look] = ()
) -> dict[str, Any]:
    """Computes a readout; `schemas.Readout` describes it. It spends nothing.

    Args:
        plan: What was planned.
        statistics: The sufficient statistics of each arm, with the plan's metrics.
        provenance: Where they come from.
        looks: The looks that were taken so far.
    """
    pairs = pairs_of(plan, statistics)
    found = statistics_digest(plan, statistics)
    moment = moment_of(
        plan,
        mature_units(plan, statistics),
        looks,
        found,
        generated_at=provenance.generated_at,
        started_at=provenance.started_at,
        ended_at=provenance.ended_at,
        of_file=provenance.revision is None,
        looked_at_once=_is_looked_at_once(plan, provenance, looks),
    )
    arms = arms_of(plan, statistics.arms)
    results = results_of(plan, moment, pairs, daily_units=_daily_units(statistics, provenance))
    metrics = [
        each.model_copy(update={"values": values_of(plan, statistics, each.metric)})
        for each in results.metrics
    ]
    metrics = [
        each.model_copy(
            update={
                "notes": [
                    *each.notes,
                    *why_no_impact(plan, each, provenance.steps),
                    *why_no_values(plan, each),
                    *why_no_days(plan, statistics, each.metric),
                ]
            }
        )
        for each in metrics
    ]
    began = provenance.started_at
    blocks = blocks_of(plan, statistics.days, None if began is None else began.astimezone(UTC).date())
    days = by_day(plan, statistics, blocks)
    always_valid = None if provenance.asked_as_before else plan.is_always_valid
    health = check_health(
        plan,
        statistics,
        results.compared,
        complete=moment.complete,
        dropped=provenance.dropped,
        days=blocks,
        arrivals=provenance.arrivals,
        overlaps=provenance.overlaps,
        recomputed=provenance.recomputed,
        asked=moment.complete or provenance.asked_at is not None,
        always_valid=always_valid,
    )
    segments = segment_results(
        plan,
        moment,
        statistics,
        provenance.deviations,
        provenance.locked,
        as_before=provenance.segments_as_before,
    )
    until = provenance.asked_at or provenance.ended_at or provenance.generated_at
    ages = by_age(
        plan,
        asked_ages(plan, began, until, always_valid=bool(always_valid)),
        statistics.ages,
        asked=moment.complete or bool(always_valid),
        always_valid=always_valid,
        of_file=provenance.revision is None,
    )
    if provenance.asked_at is not None:
        health, ages = _as_of(health, ages, to_the_minute(timestamp(provenance.asked_at)))
    concluded = provenance.concluded
    if concluded is not None:
        health, segments = concluded.health(health), [concluded.segment(each) for each in segments]
        ages = of_last_look(ages, concluded)
    population = _population(statistics)
    repeat = None
    recommendation = _recommendation(plan, moment, results, health, provenance)
    if provenance.repeat is not None:
        failed = CheckStatus.FAILED in quality_of(health).values()
        repeat = repeat_of(plan, provenance.repeat, metrics, failed=failed)
        recommendation = nothing_recommended("outcome.repeat", variant=repeat.decided.variant)
    elif provenance.holdback is not None:
        recommendation = nothing_recommended("outcome.holdback", control=plan.control)
    plan_document = plan.document
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "experiment": provenance.experiment,
        "revision": provenance.revision,
        "generated_at": timestamp(provenance.generated_at),
        "watermark": None if statistics.watermark is None else timestamp(statistics.watermark),
        "started_at": None if provenance.started_at is None else timestamp(provenance.started_at),
        "ended_at": None if provenance.ended_at is None else timestamp(provenance.ended_at),
        "traffic": provenance.traffic,
        "traffic_steps": None
        if provenance.steps is None
        else [each.model_dump(mode="json") for each in provenance.steps],
        "paused_seconds": provenance.paused,
        "plan": plan_document,
        "plan_digest": digest(plan_document),
        "locked": None
        if provenance.locked is None
        else provenance.locked.model_dump(mode="json", exclude_unset=True),
        "deviations": [each.model_dump(mode="json") for each in provenance.deviations],
        **_sources(plan, provenance),
        "asked_at": None if provenance.asked_at is None else timestamp(provenance.asked_at),
        "statistics_digest": found,
        # Of looks that were taken before there were more members, with those that they had.
        "looks": [look.model_dump(mode="json", exclude_unset=True) for look in looks],
        "progress": _progress(moment).model_dump(mode="json"),
        "arms": [arm.model_dump(mode="json") for arm in arms],
        "health": health.model_dump(mode="json"),
        "population": population.model_dump(mode="json"),
        "metrics": [metric.model_dump(mode="json") for metric in metrics],
        "segments": [each.model_dump(mode="json") for each in segments],
        "by_day": None if days is None else days.model_dump(mode="json"),
        "by_age": None if ages is None else ages.model_dump(mode="json"),
        "holdback": provenance.holdback,
        "repeat": None if repeat is None else repeat.model_dump(mode="json"),
        "stands_on": _stands_on(concluded, recommendation),
        "recommendation": recommendation.model_dump(mode="json"),
        "summary": summarise(
            plan,
            arms,
            health,
            metrics,
            recommendation,
            segments=segments,
            by_age=ages,
            population=population,
            deviations=provenance.deviations,
            repeat=repeat,
        ),
    }
    document["wording"] = wording()
    return sealed(document)


def _as_of(health: Health, ages: ByAge | None, at: str) -> tuple[Health, ByAge | None]:
    """The same, saying when it was asked."""
    check = health.interactions
    if check is not None and check.overlaps is not None:
        told = say("found.interactions.asked_at", text=check.number, at=at)
        health = health.model_copy(update={"interactions": check.model_copy(update={"number": told})})
    if ages is not None:
        ages = ages.model_copy(update={"text": say("ages.asked_at", text=ages.text, at=at)})
    return health, ages


def _is_looked_at_once(plan: Plan, provenance: Provenance, looks: Sequence[Look]) -> bool:
    """Whether a fixed-horizon plan is asked at one look only: where more may come, and somebody takes looks.

    What is repeated on a holdback is asked once, and so is what nobody locked: a file, and what earlier
    releases started.
    """
    is_asked_again = plan.method is Method.FIXED_HORIZON and plan.horizon is not None
    return is_asked_again and provenance.repeat is None and (provenance.locked is not None or bool(looks))


def _sources(plan: Plan, provenance: Provenance) -> dict[str, Any]:
    """The definitions that were read, of the sources that the plan names."""
    if not provenance.sources:
        return {}
    digests = {each.key: each.digest for each in provenance.sources}
    return {"sources": [{"key": key, "digest": digests.get(key)} for key in plan.sources]}


def _stands_on(concluded: Concluded | None, recommendation: Recommendation) -> Mapping[str, Any] | None:
    if concluded is None or concluded.is_found_anew(recommendation.treatments):
        return None
    return concluded.document


def timestamp(moment: datetime) -> str:
    """A time as readouts show it: RFC 3339, UTC, with a `Z`. A time without a zone is taken as UTC.

    Example:
        >>> timestamp(datetime(2026, 1, 31, 12))
        '2026-01-31T12:00:00Z'
    """
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return aware.isoformat().replace("+00:00", "Z")


def statistics_digest(plan: Plan, statistics: Statistics) -> str:
    """The digest of everything that the numbers of a readout follow from, whenever it was computed."""
    return digest(statistics_document(plan, statistics))


def statistics_document(plan: Plan, statistics: Statistics) -> dict[str, Any]:
    """Everything that the numbers of a readout follow from, as it is digested."""
    document: dict[str, Any] = {
        "units": {arm.variant: arm.units for arm in arms_of(plan, statistics.arms)},
        "crossovers": statistics.crossovers,
        "metrics": {
            metric.key: {
                "cut": statistics.cuts.get(metric.key, {}).get("y"),
                "cut_before": statistics.cuts.get(metric.key, {}).get("y_before"),
                "arms": _arms_out(plan, statistics.arms, metric.key),
                **_winsorized_out(plan, statistics, metric),
            }
            for metric in plan.metrics
        },
    }
    if plan.segments:
        document["segments"] = {
            segment: {
                part.label: {
                    "units": {arm.variant: arm.units for arm in arms_of(plan, part.arms)},
                    "crossovers": part.crossovers,
                    "metrics": {
                        metric.key: _arms_out(plan, part.arms, metric.key) for metric in plan.metrics
                    },
                }
                for part in parts
            }
            for segment, parts in statistics.segments.items()
        }
    return document


def _arms_out(plan: Plan, arms: Mapping[str, ArmStatistics], metric: str) -> dict[str, Any]:
    # Without third moments: looks from before they were collected are of the same facts.
    return {
        variant: statistics_out(side_of(arms, variant, plan, metric), third=False).model_dump(
            mode="json", exclude={"m3", "third"}
        )
        for variant in plan.weights
    }


def _winsorized_out(plan: Plan, statistics: Statistics, metric: PlannedMetric) -> dict[str, Any]:
    if metric.winsorize is None:
        return {}
    sides = (side_of(statistics.arms, variant, plan, metric.key) for variant in plan.weights)
    cuts = Cuts(statistics.cuts.get(metric.key, {})).named
    of_ratio = ("denominator_cut", "denominator_cut_before") if metric.denominator is not None else ()
    return {
        **{name: cuts[name] for name in of_ratio},
        "winsorized": {side.variant: side.winsorized for side in sides},
    }


def mature_units(plan: Plan, statistics: Statistics) -> dict[str, int]:
    """Units of the planned arms whose window has passed, by metric."""
    return {
        metric.key: sum(
            side_of(statistics.arms, variant, plan, metric.key).values.n for variant in plan.weights
        )
        for metric in plan.metrics
    }


def _population(statistics: Statistics) -> Population:
    joined = statistics.joined
    return Population(
        overridden=statistics.overridden,
        bots=statistics.bots,
        joined=None if joined is None else JoinedUnits(**asdict(joined)),
    )


def _daily_units(statistics: Statistics, provenance: Provenance) -> float | None:
    """Units a day at full traffic; None before a day has passed, and where the traffic is not known."""
    days, full_days = _days_run(provenance)
    units = sum(arm.units for arm in statistics.arms.values())
    return units / full_days if days >= 1 and full_days > 0 else None


def _days_run(provenance: Provenance) -> tuple[float, float]:
    """Days without pauses, and how many days of full traffic they are worth; 0 where that is not known."""
    if provenance.steps is not None:
        days = sum(each.seconds for each in provenance.steps) / _DAY
        return days, sum(each.seconds * each.traffic for each in provenance.steps) / _DAY
    if provenance.started_at is None or not provenance.traffic:
        return 0.0, 0.0
    until = provenance.ended_at or provenance.generated_at
    running = until - provenance.started_at - timedelta(seconds=provenance.paused or 0.0)
    days = running / timedelta(days=1)
    return days, days * provenance.traffic


def _progress(moment: Moment) -> Progress:
    return Progress(
        units=moment.units,
        fraction=moment.fraction,
        look=moment.looks[-1].number if moment.at_look else None,
        valid=moment.valid,
        reason=moment.reason,
        complete=moment.complete,
    )


def _recommendation(
    plan: Plan, moment: Moment, results: Results, health: Health, provenance: Provenance
) -> Recommendation:
    ends_at = None
    if plan.horizon is not None and plan.horizon.days is not None and provenance.started_at is not None:
        ends_at = timestamp(provenance.started_at + timedelta(days=plan.horizon.days))
    return recommend(
        plan,
        moment,
        results.questions,
        quality=quality_of(health),
        gains=results.gains,
        ends_at=ends_at,
        concluded=provenance.concluded,
    )
