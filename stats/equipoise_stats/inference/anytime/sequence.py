"""The asymptotic confidence sequence: an interval that holds at all looks together, for any estimate."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from equipoise_stats.estimates.estimate import Estimate, NoEstimate
from equipoise_stats.inference.anytime.mixture import normal_mixture_critical, optimal_mixture_ratio
from equipoise_stats.inference.anytime.mixture_comparison import conclude_mixture
from equipoise_stats.inference.anytime.normality import normality_doubts
from equipoise_stats.inference.comparison import Alternative, Comparison, Method, Scale
from equipoise_stats.inference.conclude import unanswered
from equipoise_stats.inference.settings import check_alpha, check_null, tail_alpha


def confidence_sequence(
    estimate: Estimate | NoEstimate,
    *,
    tuning_units: float,
    tuning_alpha: float | None = None,
    burn_in: int = 100,
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
    null: float = 0.0,
    scale: Scale = "difference",
) -> Comparison:
    """Compares two arms so that one may look after every unit and stop at any time.

    The intervals of all looks hold together with probability 1 − α, asymptotically. The tuning constants
    shape *when* the sequence is tight, never whether it is valid, **provided that they were fixed before the
    data came**: write them into the analysis plan.

    Args:
        estimate: Any estimate.
        tuning_units: Units of both arms together at which the sequence is tightest. Half of the largest size
            that the experiment may reach is a good choice.
        tuning_alpha: Level for which it is tightest there; the test's own unless given. Give it where one
            p-value will be held against several levels (Holm, a family of metrics): the p-value depends on
            it, and on no other level.
        burn_in: Units that each arm needs before anything can be rejected, because the sequence is
            asymptotic.
        alpha: Level over all looks. Two-sided, both sides share it; one-sided, all of it lies on that side.
        alternative: `two-sided`, `greater` or `less`.
        null: The null value.
        scale: Whether the null value is a difference in the metric's unit or a lift, above −1.

    Returns:
        The comparison at this look. p ≤ α exactly when the interval on the null value's scale excludes it.
        Before the burn-in ends, p is 1 and the intervals are `unbounded`. Few degrees of freedom
        and skewness are reported as warnings.

    Raises:
        ValueError: An argument is out of range.

    Source:
        Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2024, Time-uniform central limit theory and asymptotic
        confidence sequences, Annals of Statistics 52, 2613–2640.

    Example:
        >>> from equipoise_stats import Counts, proportion_difference
        >>> look = confidence_sequence(
        ...     proportion_difference(treatment=Counts(45489, 8279), control=Counts(44700, 8502)),
        ...     tuning_units=50_000,
        ... )
        >>> round(look.difference.interval.lower, 5), round(look.difference.interval.upper, 5)
        (-0.01612, -0.00028)
        >>> round(look.test.p_value, 4), look.test.rejected
        (0.0366, True)
    """
    tail_alpha(check_alpha(alpha), alternative)
    check_null(null, scale)
    if burn_in < 0:
        raise ValueError(f"burn_in is {burn_in!r}; it must be 0 or more units an arm, for example 100.")
    precision = mixture_units(tuning_units, alpha if tuning_alpha is None else tuning_alpha, alternative)
    method = Method(
        "confidence_sequence",
        1,
        (
            ("alpha", alpha),
            ("alternative", alternative),
            ("null", null),
            ("scale", scale),
            ("tuning_units", tuning_units),
            ("tuning_alpha", alpha if tuning_alpha is None else tuning_alpha),
            ("burn_in", burn_in),
        ),
    )
    if isinstance(estimate, NoEstimate):
        return unanswered(
            estimate, method=method, alpha=alpha, alternative=alternative, null=null, scale=scale
        )
    burn_in_is_over = min(estimate.treatment.n, estimate.control.n) >= max(burn_in, 1)
    return conclude_mixture(
        estimate,
        method=method,
        alpha=alpha,
        alternative=alternative,
        null=null,
        scale=scale,
        ratio=estimate.n / precision if burn_in_is_over else None,
        warnings=normality_doubts(estimate),
    )


def sequence_critical(
    units: ArrayLike,
    *,
    tuning_units: float,
    tuning_alpha: float | None = None,
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
) -> NDArray[np.float64]:
    """The critical values of the confidence sequence at given sizes, for planning and simulation.

    Args:
        units: Units of both arms together, of any shape; positive.
        tuning_units: As in `confidence_sequence`.
        tuning_alpha: As there.
        alpha: Level over all looks.
        alternative: `two-sided`, `greater` or `less`.

    Returns:
        Multiples of the standard error, in the shape of `units`.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> sequence_critical([5_000, 10_000, 20_000], tuning_units=10_000).round(4).tolist()
        [3.0787, 3.0351, 3.064]
    """
    precision = mixture_units(tuning_units, alpha if tuning_alpha is None else tuning_alpha, alternative)
    return normal_mixture_critical(
        np.asarray(units, dtype=np.float64) / precision, alpha=alpha, alternative=alternative
    )


def mixture_units(
    tuning_units: float, tuning_alpha: float = 0.05, alternative: Alternative = "two-sided"
) -> float:
    """The precision ρ of the mixture in units, N*/κ, that makes a boundary tightest at N* units.

    Other software asks for it directly: it is 1/ρ² of Waudby-Smith et al., g of the anytime-valid t test.

    Args:
        tuning_units: Units of both arms together, N*.
        tuning_alpha: Level for which the boundary is tightest there.
        alternative: `two-sided`, `greater` or `less`.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> round(mixture_units(10_000), 3)
        1217.735
    """
    if not (tuning_units > 0 and math.isfinite(tuning_units)):
        raise ValueError(
            f"tuning_units is {tuning_units!r}; it must be a positive number of units, for example half of "
            "the largest size that the experiment may reach."
        )
    return tuning_units / optimal_mixture_ratio(tuning_alpha, alternative)
