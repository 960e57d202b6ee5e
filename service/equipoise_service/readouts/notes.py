"""What is said of a metric below its comparisons: adjustment, beliefs, winsorization, projections."""

from collections.abc import Sequence

from equipoise_service.metrics.schemas import Covariate, Direction, MetricType
from equipoise_service.plans.documents import PlannedMetric
from equipoise_service.plans.schemas import Prior
from equipoise_service.readouts.numerals import decimals_for, number, percent
from equipoise_service.readouts.schemas import Comparison, Impact, MetricResult, Posterior, Winsorized
from equipoise_service.texts.saying import counted, listing, say

_LITTLE = 0.01
_MONTH = 30


def with_notes(metric: PlannedMetric, result: MetricResult, prior: Prior | None) -> MetricResult:
    """A result with what is said of it.

    Args:
        metric: The metric.
        result: What was found.
        prior: What a Bayesian plan believed before; None of other plans.
    """
    notes = _of_adjustment(metric, result.comparisons)
    if prior is not None:
        notes += [
            _of_belief(metric, each, each.posterior, prior) for each in result.comparisons if each.posterior
        ]
    if result.winsorized and (result.cut is not None or result.denominator_cut is not None):
        notes.append(_of_winsorization(metric, result, result.winsorized))
    for each in result.comparisons:
        if each.impact is not None:
            notes.append(_of_projection(metric, each.variant, each.impact))
    return result.model_copy(update={"notes": notes})


def little_adjusted(metric: PlannedMetric, comparisons: Sequence[Comparison]) -> str | None:
    """That adjusting for a covariate brought next to nothing; None where it did, or there is none."""
    little = [
        each.variant
        for each in comparisons
        if each.without_covariates is not None and each.without_covariates.variance_removed < _LITTLE
    ]
    if not little:
        return None
    return say("adjusted.little", covariate=_covariate(metric.covariate), variants=listing(little))


def _of_adjustment(metric: PlannedMetric, comparisons: Sequence[Comparison]) -> list[str]:
    little = little_adjusted(metric, comparisons)
    return ([little] if little else []) + [
        say(
            "adjusted",
            covariate=_covariate(metric.covariate),
            share=percent(each.without_covariates.variance_removed, decimals=1),
            variants=each.variant,
        )
        for each in comparisons
        if each.without_covariates is not None and each.without_covariates.variance_removed >= _LITTLE
    ]


def _covariate(named: Covariate | None) -> str:
    """What is adjusted for, in words; without a name it is the same metric before."""
    if named is None:
        return say("adjusted.for_itself")
    days = counted("days", named.pre_period_days)
    if named.property is not None:
        return say("adjusted.for_kinds", property=named.property, event=named.event, days=days)
    return say(f"adjusted.for_{named.aggregation}", event=named.event, days=days)


def _of_belief(metric: PlannedMetric, found: Comparison, posterior: Posterior, prior: Prior) -> str:
    """How probable it is that a variant is better, and what choosing either loses on average."""
    better, lost, missed = posterior.probability_above, posterior.loss_if_lower, posterior.loss_if_higher
    if metric.direction is Direction.DECREASE:
        better, lost, missed = posterior.probability_below, missed, lost
    scale, unit = (100.0, f" {say('percentage_points')}") if metric.type.is_share else (1.0, "")
    decimals = decimals_for([scale * max(lost, missed), 0.0])
    losses = [number(scale * loss, decimals=decimals) + unit for loss in (lost, missed)]
    return say(
        "belief",
        variant=found.variant,
        baseline=found.baseline,
        probability=percent(better, decimals=1),
        lost=losses[0],
        missed=losses[1],
        mean=f"{100 * prior.mean:g} %",
        deviation=f"{100 * prior.standard_deviation:g} %",
    )


def _of_winsorization(metric: PlannedMetric, result: MetricResult, winsorized: Sequence[Winsorized]) -> str:
    arms = [
        say(
            "winsorized.arm",
            units=counted("units", each.units),
            variant=each.variant,
            share=percent(each.share or 0.0, decimals=2),
        )
        for each in winsorized
    ]
    if metric.denominator is None:
        return say("winsorized", cut=f"{result.cut:,g}", arms=listing(arms))
    cuts = {"winsorized.numerators": result.cut, "winsorized.denominators": result.denominator_cut}
    above = [say(name, cut=f"{cut:,g}") for name, cut in cuts.items() if cut is not None]
    return say("winsorized.ratio", above=listing(above), arms=listing(arms))


def _of_projection(metric: PlannedMetric, variant: str, impact: Impact) -> str:
    decimals = decimals_for(impact.interval)
    values = [impact.per_day, *impact.interval]
    per_day, low, high = (number(value, decimals=decimals, signed=True) for value in values)
    of_month = decimals_for([_MONTH * value for value in impact.interval])
    per_month = number(_MONTH * impact.per_day, decimals=of_month, signed=True)

    def measured(value: str) -> str:
        return say("impact.units", number=value) if metric.type is MetricType.PROPORTION else value

    return say(
        "impact",
        variant=variant,
        metric=metric.key,
        per_day=measured(per_day),
        low=low,
        high=high,
        per_month=measured(per_month),
        units=number(impact.daily_units, decimals=0),
    )
