"""Normal–normal: a normal prior of the effect, an estimate with its standard error, the posterior."""

import math
from dataclasses import dataclass, replace

from equipoise_stats.distributions import normal_upper_quantile
from equipoise_stats.distributions import p_value_from_log as number_from_log
from equipoise_stats.estimates.estimate import ArmEstimate, ArmSummary, Detail, Estimate, NoEstimate
from equipoise_stats.inference.bayes.belief import NormalBelief
from equipoise_stats.inference.comparison import Effect, Interval, Method, Scale
from equipoise_stats.inference.intervals import CONTROL_NOT_POSITIVE, lift_effect
from equipoise_stats.inference.settings import check_alpha, check_null
from equipoise_stats.results import Notice, Serialisable, Status


@dataclass(frozen=True, slots=True)
class EffectPosterior(Serialisable):
    """What is believed of an effect after the data.

    Where small values of the metric are good, read it mirrored: the probability to beat is then
    `probability_below`, and the two losses change places.

    Attributes:
        method: The inference, its version and parameters.
        status: `ok`, or why there is no posterior.
        reason: A sentence for a person, None when the status is `ok`.
        treatment: The treatment arm: its posterior value and standard deviation.
        control: The control arm.
        difference: Posterior mean, standard deviation and credible interval of treatment − control.
        lift: The same for treatment / control − 1.
        probability_above: Probability that treatment − control is above 0 (the treatment beats the control).
        log_probability_above: Its natural logarithm.
        probability_below: Probability that it is below 0.
        log_probability_below: Its natural logarithm.
        loss_of_treatment: E[max(control − treatment, 0)]: what choosing the treatment loses on average, in
            the metric's unit.
        loss_of_control: E[max(treatment − control, 0)]: what keeping the control loses on average.
        probability_in_rope: Probability that the effect is within the region of practical equivalence; None
            when none was given.
        warnings: Notices of the estimator and of the inference.
        details: Figures of the estimator.
    """

    method: Method
    status: Status
    reason: str | None
    treatment: ArmSummary
    control: ArmSummary
    difference: Effect
    lift: Effect
    probability_above: float | None = None
    log_probability_above: float | None = None
    probability_below: float | None = None
    log_probability_below: float | None = None
    loss_of_treatment: float | None = None
    loss_of_control: float | None = None
    probability_in_rope: float | None = None
    warnings: tuple[Notice, ...] = ()
    details: tuple[Detail, ...] = ()


def normal_posterior(
    estimate: Estimate | NoEstimate,
    *,
    prior: NormalBelief,
    scale: Scale = "difference",
    rope: float | None = None,
    alpha: float = 0.05,
) -> EffectPosterior:
    """Updates a normal prior of the effect by an estimate.

    The control's value has a flat prior and is independent of the effect, so control and effect have a
    bivariate normal posterior. Everything comes from that one: probabilities and losses from the effect, the
    lift's interval by Fieller's inversion, so that the two intervals agree about 0. With a flat prior both
    are those of the fixed horizon with a normal reference.

    Args:
        estimate: Any estimate. Its variance is taken as known: with few units use more than this.
        prior: The belief before the data, **fixed in advance** (see `effect_prior` for one from past
            experiments).
        scale: What `prior` and `rope` are about: a difference in the metric's unit, or a lift, which is
            turned into a difference by the control's estimate.
        rope: Half the width of the region of practical equivalence, (−rope, rope); positive.
        alpha: The credible intervals hold 1 − α, with α/2 on each side.

    Returns:
        The posterior, or the status of an estimate without an answer, or `control_not_positive` for a prior
        about lifts.

    Raises:
        ValueError: An argument is out of range.

    Source:
        Gelman et al. 2013, Bayesian Data Analysis, section 2.5; losses: Stucchio 2015, Bayesian A/B Testing
        at VWO; calibration: Deng 2015, Objective Bayesian Two Sample Hypothesis Testing, WWW.

    Example:
        >>> from equipoise_stats import Moments, mean_difference
        >>> effect = mean_difference(
        ...     treatment=Moments.scalar(1000, 10.4, 9.0), control=Moments.scalar(1000, 10.0, 9.0)
        ... )
        >>> posterior = normal_posterior(effect, prior=NormalBelief(0.0, 0.03), scale="lift", rope=0.01)
        >>> round(posterior.probability_above, 4), round(posterior.loss_of_treatment, 5)
        (0.9968, 0.00012)
        >>> round(posterior.difference.estimate, 4), round(posterior.probability_in_rope, 4)
        (0.3333, 0.0282)
    """
    check_alpha(alpha)
    check_null(0.0, scale)
    if rope is not None and not 0 < rope < math.inf:
        raise ValueError(f"rope is {rope!r}; it must be a positive number, half the width of the region.")
    method = Method(
        "normal_posterior",
        1,
        (
            ("alpha", alpha),
            ("prior_mean", prior.mean),
            ("prior_standard_deviation", prior.standard_deviation),
            ("scale", scale),
            ("rope", rope),
        ),
    )
    if isinstance(estimate, NoEstimate):
        return _unanswered(method, estimate, estimate.status, estimate.reason)
    unit = 1.0 if scale == "difference" else estimate.control.value
    if unit <= 0:
        return _unanswered(
            method, estimate, Status.CONTROL_NOT_POSITIVE, CONTROL_NOT_POSITIVE.format(value=unit)
        )
    belief = prior.scaled(unit).updated(estimate.difference, estimate.standard_error)
    joint = _joint(estimate, belief)
    above, below = belief.log_probability_above(0.0), belief.log_probability_below(0.0)
    return EffectPosterior(
        method=method,
        status=Status.OK,
        reason=None,
        treatment=joint.treatment.summary(),
        control=joint.control.summary(),
        difference=_credible(belief, normal_upper_quantile(alpha / 2)),
        lift=lift_effect(joint, normal_upper_quantile(alpha / 2)),
        probability_above=number_from_log(above),
        log_probability_above=above,
        probability_below=number_from_log(below),
        log_probability_below=below,
        loss_of_treatment=number_from_log(belief.log_expected_shortfall()),
        loss_of_control=number_from_log(belief.log_expected_excess()),
        probability_in_rope=(
            None
            if rope is None
            else number_from_log(belief.log_probability_between(-rope * unit, rope * unit))
        ),
        warnings=estimate.warnings,
        details=estimate.details,
    )


def _credible(belief: NormalBelief, critical: float) -> Effect:
    radius = critical * belief.standard_deviation
    return Effect(
        Status.OK,
        None,
        belief.mean,
        belief.standard_deviation,
        Interval(belief.mean - radius, belief.mean + radius),
    )


def _joint(estimate: Estimate, belief: NormalBelief) -> Estimate:
    """The bivariate normal posterior of both arms' values.

    Given the effect δ, the control's value is m_c + β (δ − d) + noise, β = Cov(m_c, d) / Var(d): only the
    distribution of δ changes.
    """
    v_c = estimate.control.variance
    variance = estimate.variance
    with_effect = estimate.covariance - v_c
    slope = with_effect / variance
    noise = max(0.0, v_c - slope * with_effect)
    shift = belief.mean - estimate.difference
    spread = belief.standard_deviation**2
    control = estimate.control.value + slope * shift
    new_v_c = noise + slope * slope * spread
    new_v_t = noise + (1 + slope) ** 2 * spread
    return replace(
        estimate,
        treatment=ArmEstimate(estimate.treatment.n, control + belief.mean, new_v_t),
        control=ArmEstimate(estimate.control.n, control, new_v_c),
        covariance=noise + slope * (1 + slope) * spread,
        df=math.inf,
        skewness=None,
    )


def _unanswered(
    method: Method, estimate: Estimate | NoEstimate, status: Status, reason: str
) -> EffectPosterior:
    effect = Effect(status, reason)
    arms = (
        (estimate.treatment, estimate.control)
        if isinstance(estimate, NoEstimate)
        else (estimate.treatment.summary(), estimate.control.summary())
    )
    return EffectPosterior(
        method, status, reason, *arms, effect, effect, warnings=estimate.warnings, details=estimate.details
    )
