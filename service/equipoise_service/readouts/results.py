"""The results of every metric, and the questions that the decision asks of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from equipoise_service.metrics.schemas import Aggregation, Direction, MetricType, Role
from equipoise_service.plans.documents import Plan, PlannedMetric
from equipoise_service.plans.schemas import Method
from equipoise_service.readouts import inference
from equipoise_service.readouts.comparisons import describe
from equipoise_service.readouts.found import CHECK_ALPHA
from equipoise_service.readouts.health import Compared
from equipoise_service.readouts.inference import Corrected, Member
from equipoise_service.readouts.notes import with_notes
from equipoise_service.readouts.pairs import Pair
from equipoise_service.readouts.progress import Moment
from equipoise_service.readouts.recorded import TrafficStep
from equipoise_service.readouts.schemas import Impact, MetricResult, Posterior, Winsorized
from equipoise_service.readouts.sides import Cuts, moments_of
from equipoise_service.texts.saying import say
from equipoise_stats import Alternative, Compare, Estimate, NormalBelief, normal_posterior
from equipoise_stats import Comparison as Conclusion

_COUNTS = (MetricType.PROPORTION, MetricType.COUNT_DISTINCT)
_ADDITIVE = (Aggregation.SUM, Aggregation.COUNT)


@dataclass(frozen=True, slots=True)
class Results:
    """What was found.

    Attributes:
        metrics: The results, as the readout shows them.
        questions: For each treatment and metric of the rule, the inference as the decision asks it.
        compared: Every comparison with the control, as the checks need it.
        gains: For each treatment its estimated gain on the first success metric.
    """

    metrics: list[MetricResult]
    questions: dict[str, dict[str, Compare]]
    compared: list[Compared]
    gains: dict[str, float]


def results_of(
    plan: Plan, moment: Moment, pairs: Mapping[str, Sequence[Pair]], *, daily_units: float | None
) -> Results:
    """Computes every comparison.

    Args:
        plan: The plan.
        moment: Where it stands.
        pairs: For each metric, each treatment and the control, in the plan's order, then the treatments
            against each other.
        daily_units: Units a day at full traffic; None where unknown.
    """
    compares = {
        (key, i): inference.remembered(inference.planned(plan, key, pair.found, moment))
        for key, found in pairs.items()
        for i, pair in enumerate(found)
    }
    corrected = _corrected(plan, moment, pairs, compares)
    results = Results([], {variant: {} for variant in plan.treatments}, [], {})
    against_control = len(plan.treatments)
    for metric in plan.metrics:
        shown = [
            describe(
                pair,
                compares[metric.key, i],
                alpha=plan.alpha,
                valid=moment.valid,
                no_p_value=no_p_value(plan, moment),
                corrected=corrected.get((metric.key, pair.variant.variant))
                if i < len(plan.treatments)
                else None,
                posterior=_posterior(plan, moment, pair),
                impact=_impact(metric, compares[metric.key, i](alpha=plan.alpha), daily_units),
            )
            for i, pair in enumerate(pairs[metric.key])
        ]
        cuts = pairs[metric.key][0].cuts if pairs[metric.key] else Cuts()
        results.metrics.append(
            with_notes(
                metric,
                MetricResult(
                    metric=metric.key,
                    role=metric.role,
                    **cuts.named,
                    winsorized=_winsorized(metric, pairs[metric.key]),
                    comparisons=shown[:against_control],
                    between_treatments=shown[against_control:],
                ),
                plan.prior,
            )
        )
        for i, pair in enumerate(pairs[metric.key][:against_control]):
            _ask(plan, moment, metric, pair, compares[metric.key, i], corrected, results)
    return results


def _winsorized(metric: PlannedMetric, pairs: Sequence[Pair]) -> list[Winsorized] | None:
    """How much of each arm was cut, the control first; None where the metric is not winsorized."""
    if metric.winsorize is None:
        return None
    sides = {side.variant: side for pair in pairs for side in (pair.baseline, pair.variant)}
    return [
        Winsorized(
            variant=variant,
            units=side.winsorized,
            share=side.winsorized / side.values.n if side.values.n else None,
        )
        for variant, side in sides.items()
    ]


def _corrected(
    plan: Plan,
    moment: Moment,
    pairs: Mapping[str, Sequence[Pair]],
    compares: Mapping[tuple[str, int], Compare],
) -> dict[Member, Corrected]:
    """The family of the success metrics and the treatments, where it may be concluded from."""
    if not inference.concluding(plan, moment):
        return {}
    members = {
        (metric.key, pair.variant.variant): (compares[metric.key, i], pair.found)
        for metric in plan.metrics
        if metric.role is Role.SUCCESS
        for i, pair in enumerate(pairs[metric.key][: len(plan.treatments)])
    }
    family = {member: compare for member, (compare, _) in members.items()}
    return inference.correct(plan, moment, family, {member: found for member, (_, found) in members.items()})


def _ask(
    plan: Plan,
    moment: Moment,
    metric: PlannedMetric,
    pair: Pair,
    claim: Compare,
    corrected: Mapping[Member, Corrected],
    results: Results,
) -> None:
    """Adds one comparison to what the decision and the checks ask."""
    variant = pair.variant.variant
    harm = inference.harm(plan, pair.found)
    differs = None
    if metric.role is Role.QUALITY:
        differs = harm(alpha=CHECK_ALPHA).test.rejected
    else:
        better: Alternative = "greater" if metric.direction is Direction.INCREASE else "less"
        results.questions[variant][metric.key] = inference.decided(
            claim, harm, corrected.get((metric.key, variant)), better=better, valid=moment.valid
        )
    estimate = pair.found if isinstance(pair.found, Estimate) else None
    results.compared.append(
        Compared(metric.key, moments_of(pair.variant), moments_of(pair.baseline), estimate, differs)
    )
    if metric.role is Role.SUCCESS and estimate is not None and len(results.metrics) == _first_success(plan):
        sign = 1.0 if metric.direction is Direction.INCREASE else -1.0
        results.gains[variant] = sign * estimate.difference


def _first_success(plan: Plan) -> int:
    """Place of the first success metric, counted from 1."""
    return next(i for i, metric in enumerate(plan.metrics, 1) if metric.role is Role.SUCCESS)


def no_p_value(plan: Plan, moment: Moment) -> str | None:
    """Why no p-value is shown at this moment; None where one may be."""
    if plan.method is Method.BAYESIAN:
        return say("no_p_value.bayesian")
    return moment.reason


def _posterior(plan: Plan, moment: Moment, pair: Pair) -> Posterior | None:
    if plan.prior is None or not moment.valid:
        return None
    prior = NormalBelief(plan.prior.mean, plan.prior.standard_deviation)
    found = normal_posterior(pair.found, prior=prior, scale="lift", alpha=plan.alpha)
    if found.probability_above is None:
        return None
    return Posterior(
        probability_above=found.probability_above,
        probability_below=found.probability_below,
        loss_if_lower=found.loss_of_treatment,
        loss_if_higher=found.loss_of_control,
    )


def _adds_up(metric: PlannedMetric) -> bool:
    """Whether values of several units add up to something: seconds, or largest values, do not."""
    if metric.role is Role.QUALITY:
        return False
    return metric.type in _COUNTS or (metric.type is MetricType.MEAN and metric.aggregation in _ADDITIVE)


def why_no_impact(plan: Plan, result: MetricResult, steps: Sequence[TrafficStep] | None) -> list[str]:
    """That nothing is projected, as nobody knows at which traffic units came; nothing else to say.

    Args:
        plan: The plan.
        result: What was found of a metric.
        steps: The traffic over time; empty where it is not on record.
    """
    metric = next(each for each in plan.metrics if each.key == result.metric)
    found = any(each.difference.interval is not None for each in result.comparisons)
    unknown = steps is not None and not steps
    return [say("impact.unknown")] if unknown and found and _adds_up(metric) else []


def _impact(metric: PlannedMetric, found: Conclusion, daily_units: float | None) -> Impact | None:
    effect = found.difference
    if daily_units is None or not _adds_up(metric) or effect.interval is None or effect.estimate is None:
        return None
    return Impact(
        daily_units=daily_units,
        per_day=effect.estimate * daily_units,
        interval=[effect.interval.lower * daily_units, effect.interval.upper * daily_units],
    )
