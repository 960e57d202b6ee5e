"""The normal-mixture sequential probability ratio test (mSPRT)."""

import math

from equipoise_stats.estimates.estimate import Estimate, NoEstimate
from equipoise_stats.inference.anytime.mixture_comparison import conclude_mixture
from equipoise_stats.inference.anytime.normality import normality_doubts
from equipoise_stats.inference.comparison import Alternative, Comparison, Method, Scale
from equipoise_stats.inference.conclude import unanswered
from equipoise_stats.inference.settings import check_alpha, check_null, tail_alpha


def mixture_sprt(
    estimate: Estimate | NoEstimate,
    *,
    effect_sd: float,
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
    null: float = 0.0,
    scale: Scale = "difference",
) -> Comparison:
    """Tests an effect by its likelihood ratio averaged over N(0, τ²), at as many looks as one likes.

    The same boundary as the confidence sequence, tuned by the size of effects that are expected rather than
    by a number of units: time is the information 1/se², and the mixture ratio τ²/se².

    Args:
        estimate: Any estimate.
        effect_sd: Standard deviation τ of the effects to expect, in the metric's unit, **fixed before the
            data came** and never computed from them or from the running number of units: the smallest effect
            of interest, or the spread of past experiments' true effects.
        alpha: Level over all looks. Two-sided, both sides share it; one-sided, all of it lies on that side
            and the mixture is the half normal distribution there.
        alternative: `two-sided`, `greater` or `less`.
        null: The null value.
        scale: Whether the null value is a difference in the metric's unit or a lift, above −1.

    Returns:
        The comparison at this look. p ≤ α exactly when the interval on the null value's scale excludes it.

    Raises:
        ValueError: An argument is out of range.

    Source:
        Robbins 1970; Johari, Koomen, Pekelis and Walsh 2022, Always valid inference: continuous monitoring of
        A/B tests, Operations Research 70, 1806–1821.

    Example:
        >>> from equipoise_stats import Moments, mean_difference
        >>> look = mixture_sprt(
        ...     mean_difference(
        ...         treatment=Moments.scalar(1000, 10.5, 9.0), control=Moments.scalar(1000, 10.0, 9.0)
        ...     ),
        ...     effect_sd=0.3,
        ... )
        >>> round(look.test.p_value, 5), round(look.difference.interval.lower, 4)
        (0.00751, 0.09)
    """
    tail_alpha(check_alpha(alpha), alternative)
    check_null(null, scale)
    if not (effect_sd > 0 and math.isfinite(effect_sd)):
        raise ValueError(
            f"effect_sd is {effect_sd!r}; it must be a positive number in the metric's unit, for example the "
            "smallest effect of interest."
        )
    method = Method(
        "mixture_sprt",
        1,
        (
            ("alpha", alpha),
            ("alternative", alternative),
            ("null", null),
            ("scale", scale),
            ("effect_sd", effect_sd),
        ),
    )
    if isinstance(estimate, NoEstimate):
        return unanswered(
            estimate, method=method, alpha=alpha, alternative=alternative, null=null, scale=scale
        )
    standardised = effect_sd / estimate.standard_error
    return conclude_mixture(
        estimate,
        method=method,
        alpha=alpha,
        alternative=alternative,
        null=null,
        scale=scale,
        ratio=standardised * standardised,
        warnings=normality_doubts(estimate),
    )
