"""The skewness guard: where unequal arms and skewed values together make Welch's test err."""

import math
from dataclasses import dataclass

from equipoise_stats.distributions import normal_upper_quantile
from equipoise_stats.estimates.estimate import Estimate, NoEstimate
from equipoise_stats.estimates.mean import mean_difference
from equipoise_stats.inference.settings import check_alpha
from equipoise_stats.moments import Moments
from equipoise_stats.notices import notice
from equipoise_stats.results import CheckStatus, Notice, Serialisable

SKEWNESS_THRESHOLD = 0.06
"""The |κ₃/se³| above which the guard warns: a one-sided 2.5 % test errs by half a percent there."""


@dataclass(frozen=True, slots=True)
class SkewnessGuard(Serialisable):
    """The outcome of the guard.

    Attributes:
        status: `ok`, `warning`, or `unavailable` where the skewness is not known.
        reason: A sentence for a person, None when the status is `ok`.
        threshold: The |skewness| above which it warns.
        skewness: Third cumulant of the difference over the cube of its standard error, κ₃/se³; of means and
            ratios as it is if both arms have the distribution of all units.
        upper_error: By how much the size of a one-sided test of the upper tail exceeds α/2, to first order.
        lower_error: The same of the lower tail: its negative.
    """

    status: CheckStatus
    reason: str | None
    threshold: float
    skewness: float | None = None
    upper_error: float | None = None
    lower_error: float | None = None


def skewness_guard(
    estimate: Estimate | NoEstimate, *, threshold: float = SKEWNESS_THRESHOLD, alpha: float = 0.05
) -> SkewnessGuard:
    """Checks whether the difference of means is too skewed for its t or z reference.

    Equal arms cancel each other's skewness; a 10/90 split of revenue does not, and Welch's test rejects two
    or three times too often, in one tail. An Edgeworth expansion gives the size of each tail: α/2 minus or
    plus κ₃/se³ (2 z² + 1) φ(z)/6.

    Args:
        estimate: An estimate that knows its skewness: of shares and rates, and of means and ratios, adjusted
            or not, from moments with third moments.
        threshold: The |κ₃/se³| above which to warn; positive.
        alpha: Two-sided level for which the errors of the tails are given.

    Raises:
        ValueError: An argument is out of range.

    Source:
        Hall 1992, The Bootstrap and Edgeworth Expansion, section 2.6; for one sample and equal arms the rule
        n > 355 s² of Kohavi, Deng, Longbotham and Xu 2014, Seven Rules of Thumb for Web Site Experimenters.

    Example:
        >>> buyers = Moments.from_arrays({"y": [0.0] * 95 + [40.0, 50.0, 60.0, 80.0, 200.0]})
        >>> everyone = Moments.scalar(9000, 4.0, 600.0, 9000 * 60_000.0)
        >>> guard = skewness_guard(mean_difference(treatment=buyers, control=everyone))
        >>> guard.status.value, round(guard.skewness, 2)
        ('warning', 0.4)
    """
    check_alpha(alpha)
    if not 0 < threshold < math.inf:
        raise ValueError(f"threshold is {threshold!r}; it must be a positive number, for example 0.06.")
    if isinstance(estimate, NoEstimate):
        return SkewnessGuard(CheckStatus.UNAVAILABLE, estimate.reason, threshold)
    if estimate.skewness is None:
        return SkewnessGuard(
            CheckStatus.UNAVAILABLE,
            notice("skewness_unknown").message,
            threshold,
        )
    z = normal_upper_quantile(alpha / 2)
    density = math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    # Where the difference is skewed to the right, a large difference comes with a large standard error:
    # the upper tail rejects too seldom, the lower one too often.
    error = estimate.skewness * (2 * z * z + 1) * density / 6
    skewed = abs(estimate.skewness) > threshold
    return SkewnessGuard(
        CheckStatus.WARNING if skewed else CheckStatus.OK,
        _skewed(estimate.skewness, threshold).message if skewed else None,
        threshold,
        estimate.skewness,
        -error,
        error,
    )


def guarded_mean_difference(
    *, treatment: Moments, control: Moments, column: str | None = None, threshold: float = SKEWNESS_THRESHOLD
) -> Estimate | NoEstimate:
    """Estimates a difference of means by Welch, and where the guard warns by the pooled variance.

    With one pooled variance (Student) the two-sided size holds if the arms have the same distribution, which
    is what the null hypothesis says of most metrics; the tails stay asymmetric, and winsorizing is better.

    Args:
        treatment: Moments of the treatment arm, with third moments.
        control: Moments of the control arm, with third moments.
        column: The column; may be left out when there is only one.
        threshold: The |κ₃/se³| above which the pooled variance is used.

    Returns:
        The estimate; the fallback says so in the warning `skewed_unequal_arms`. Without third moments Welch's
        stays, with the warning `skewness_unknown`.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> few = Moments.from_arrays({"y": [0.0] * 95 + [40.0, 50.0, 60.0, 80.0, 200.0]})
        >>> many = Moments.scalar(9000, 4.0, 600.0, 9000 * 60_000.0)
        >>> e = guarded_mean_difference(treatment=few, control=many)
        >>> e.estimator, e.warnings[0].code
        ('mean_pooled', 'skewed_unequal_arms')
    """
    estimate = mean_difference(treatment=treatment, control=control, column=column)
    pooled = mean_difference(treatment=treatment, control=control, column=column, variance="pooled")
    if isinstance(estimate, NoEstimate) or isinstance(pooled, NoEstimate):
        return estimate  # neither or both have an answer
    guard = skewness_guard(estimate, threshold=threshold)
    if guard.status == CheckStatus.OK:
        return estimate
    if guard.skewness is None:
        return estimate.with_warning(notice("skewness_unknown"))
    return pooled.with_warning(_skewed(guard.skewness, threshold))


def _skewed(skewness: float, threshold: float) -> Notice:
    return notice("skewed_unequal_arms", skewness=skewness, threshold=threshold)
