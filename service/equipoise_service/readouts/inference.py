"""The plan's inference for one estimate: what it answers now, and at which level."""

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, partial

from equipoise_service.plans.documents import Plan
from equipoise_service.plans.looks import passed, spending_of
from equipoise_service.plans.schemas import Method, Multiplicity
from equipoise_service.readouts.progress import Moment
from equipoise_stats import (
    Alternative,
    Compare,
    Comparison,
    Effect,
    Estimate,
    HypothesisTest,
    NoEstimate,
    NormalBelief,
    Scale,
    at_looks,
    confidence_sequence,
    dunnett,
    fixed_horizon,
    holm,
    normal_posterior,
    simultaneous,
)

Found = Estimate | NoEstimate

WAITING = "not_valid_yet"
"""The method of a claim that may not be made at this moment: the decision rule counts it as waiting."""


def monitoring(plan: Plan, estimate: Found) -> Compare:
    """The confidence sequence of an estimate: valid at any moment, whenever and however often one looks."""
    return partial(confidence_sequence, estimate, tuning_units=plan.tuning_units, tuning_alpha=plan.alpha)


def planned(plan: Plan, metric: str, estimate: Found, moment: Moment) -> Compare:
    """The inference that claims rest on; where it says nothing at this moment, the monitoring."""
    is_stopped = moment.at_look and moment.stopped is not None
    if is_stopped or (plan.method is Method.GROUP_SEQUENTIAL and moment.at_look):
        looked = passed(moment.looks, metric)
        if looked is not None:
            return at_looks(
                estimate,
                fractions=looked.information,
                spending=spending_of(plan),
                final=looked.final,
                spending_times=looked.times,
            )
    if plan.method is Method.FIXED_HORIZON and moment.valid:
        return partial(fixed_horizon, estimate)
    if plan.method is Method.BAYESIAN and moment.valid and plan.prior is not None:
        prior = NormalBelief(plan.prior.mean, plan.prior.standard_deviation)
        return partial(_posterior_comparison, estimate, prior)
    return monitoring(plan, estimate)


def remembered(compare: Compare) -> Compare:
    """Answers each question once: several parts of a readout ask the same ones."""

    @cache
    def answer(alpha: float, alternative: Alternative, null: float, scale: Scale) -> Comparison:
        return compare(alpha=alpha, alternative=alternative, null=null, scale=scale)

    def ask(
        *,
        alpha: float = 0.05,
        alternative: Alternative = "two-sided",
        null: float = 0.0,
        scale: Scale = "difference",
    ) -> Comparison:
        return answer(alpha, alternative, null, scale)

    return ask


def harm(plan: Plan, estimate: Found) -> Compare:
    """The inference of tests for harm: at any moment, but for a file, which is looked at once."""
    if plan.method is Method.FIXED_HORIZON and plan.horizon is None:
        return partial(fixed_horizon, estimate)
    return monitoring(plan, estimate)


def concluding(plan: Plan, moment: Moment) -> bool:
    """Whether p-values of the planned inference may be shown and claimed from now."""
    return moment.valid and plan.method is not Method.BAYESIAN


def one_sided(compare: Compare) -> Compare:
    """Answers a one-sided question at a level by the two-sided inference at twice the level.

    So what is decided agrees with the intervals that are shown.
    """

    def ask(
        *,
        alpha: float = 0.05,
        alternative: Alternative = "two-sided",
        null: float = 0.0,
        scale: Scale = "difference",
    ) -> Comparison:
        if alternative == "two-sided":
            return compare(alpha=alpha, null=null, scale=scale)
        both = compare(alpha=2 * alpha, null=null, scale=scale)
        effect = both.difference if scale == "difference" else both.lift
        if both.test.rejected is None or effect.estimate is None:
            return both
        side = effect.estimate > null if alternative == "greater" else effect.estimate < null
        return replace(
            both, test=replace(both.test, alternative=alternative, rejected=both.test.rejected and side)
        )

    return ask


@dataclass(frozen=True, slots=True)
class Corrected:
    """A comparison of a family, corrected for its size.

    Attributes:
        p_value: The adjusted p-value; None where there is no test.
        interval: The interval of the family; None where its correction has none that agrees.
        rejected: Whether the adjusted p-value is at most alpha.
    """

    p_value: float | None
    interval: tuple[float, float] | None
    rejected: bool | None


Member = tuple[str, str]
"""A metric and a treatment."""


def correct(
    plan: Plan, moment: Moment, family: Mapping[Member, Compare], estimates: Mapping[Member, Found]
) -> dict[Member, Corrected]:
    """Corrects the comparisons of all success metrics and treatments as the plan says.

    Args:
        plan: The plan.
        moment: Where it stands.
        family: The inference of each comparison.
        estimates: The estimate of each.
    """
    if plan.multiplicity is Multiplicity.DUNNETT:
        return _dunnett(plan, moment, estimates)
    if plan.multiplicity is Multiplicity.BENJAMINI_HOCHBERG:
        names = {f"{i}": member for i, member in enumerate(family)}
        asked = {name: family[member] for name, member in names.items()}
        found = simultaneous(asked, correction="benjamini_hochberg", alpha=plan.alpha)
        return {
            names[name]: Corrected(each.p_value, _ends(each.effect), each.rejected)
            for name, each in found.items()
        }
    answers = {member: compare(alpha=plan.alpha) for member, compare in family.items()}
    logs = [0.0 if each.test.log_p_value is None else each.test.log_p_value for each in answers.values()]
    several = plan.multiplicity is Multiplicity.HOLM and len(logs) > 1
    adjusted = holm(logs, log=True).tolist() if several else logs
    corrected = {}
    for (member, answer), log_p in zip(answers.items(), adjusted, strict=True):
        # As the statistics print a p-value: never 0.
        p = None if answer.test.p_value is None else max(math.exp(log_p), sys.float_info.min)
        interval = None if several else _ends(answer.difference)
        corrected[member] = Corrected(p, interval, None if p is None else p <= plan.alpha)
    return corrected


def _dunnett(plan: Plan, moment: Moment, estimates: Mapping[Member, Found]) -> dict[Member, Corrected]:
    """Dunnett over the treatments of a metric, Bonferroni over the metrics.

    Where the experiment was stopped, a p-value is the alpha of which as much is spent by then.
    """
    metrics = list(dict.fromkeys(metric for metric, _ in estimates))
    corrected = {}
    for metric in metrics:
        arms = {variant: each for (name, variant), each in estimates.items() if name == metric}
        passed_by = _stopped_at(moment, metric)
        spending, level = spending_of(plan), plan.alpha / len(metrics)
        for variant, answer in dunnett(arms, alpha=2 * spending.spent(passed_by, alpha=level / 2)).items():
            p = answer.test.p_value
            p = None if p is None else min(1.0, 2 * spending.alpha(passed_by, spent=p / 2) * len(metrics))
            corrected[metric, variant] = Corrected(p, _ends(answer.difference), answer.test.rejected)
    return corrected


def _stopped_at(moment: Moment, metric: str) -> float:
    """The part of the horizon at which the spending function is read: all of it, where nobody stopped."""
    looked = passed(moment.looks, metric) if moment.at_look and moment.stopped is not None else None
    if looked is None:
        return 1.0
    return (looked.information if looked.times is None else looked.times)[-1]


def decided(
    claim: Compare, harm: Compare, corrected: Corrected | None, *, better: Alternative, valid: bool
) -> Compare:
    """One metric's inference, as the decision rule asks it.

    Args:
        claim: What superiority and non-inferiority rest on.
        harm: What the test for harm rests on.
        corrected: Of a success metric: the corrected comparison, which its claim rests on.
        better: The side that is better; questions of the other side are the test for harm.
        valid: Whether anything may be claimed at this moment; otherwise claims wait.
    """

    def ask(
        *,
        alpha: float = 0.05,
        alternative: Alternative = "two-sided",
        null: float = 0.0,
        scale: Scale = "difference",
    ) -> Comparison:
        question = {"alpha": alpha, "null": null}
        if alternative != better:
            return one_sided(harm)(alternative=alternative, scale=scale, **question)
        answer = one_sided(claim)(alternative=alternative, scale=scale, **question)
        if not valid:
            return replace(answer, method=replace(answer.method, name=WAITING))
        estimate = answer.difference.estimate
        if corrected is None or estimate is None:
            return answer
        side = estimate > 0 if better == "greater" else estimate < 0
        rejected = None if corrected.rejected is None else corrected.rejected and side
        return replace(answer, test=replace(answer.test, rejected=rejected))

    return ask


def _posterior_comparison(
    estimate: Found,
    prior: NormalBelief,
    *,
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
    null: float = 0.0,
    scale: Scale = "difference",
) -> Comparison:
    """The credible intervals as a comparison: what they exclude counts as rejected; there is no p-value."""
    belief = normal_posterior(estimate, prior=prior, scale="lift", alpha=alpha)
    effect = belief.difference if scale == "difference" else belief.lift
    rejected = None if effect.interval is None else effect.interval.excludes(null)
    # A lift may have no interval where the difference that is believed in has one.
    why = effect if belief.reason is None else belief
    test = HypothesisTest(why.status, scale, null, alternative, alpha, why.reason, rejected=rejected)
    name = estimate.estimator
    return Comparison(
        belief.method,
        name,
        belief.treatment,
        belief.control,
        belief.difference,
        belief.lift,
        test,
        belief.warnings,
        belief.details,
    )


def _ends(effect: Effect) -> tuple[float, float] | None:
    return None if effect.interval is None else (effect.interval.lower, effect.interval.upper)
