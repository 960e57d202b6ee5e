"""The last step of every inference by the normal mixture: they differ in the mixture ratio alone."""

import math

from equipoise_stats.estimates.estimate import Estimate
from equipoise_stats.inference.anytime.mixture import normal_mixture_critical, normal_mixture_log_p
from equipoise_stats.inference.comparison import Alternative, Comparison, Method, Scale
from equipoise_stats.inference.conclude import conclude
from equipoise_stats.inference.intervals import statistic
from equipoise_stats.results import Notice


def conclude_mixture(
    estimate: Estimate,
    *,
    method: Method,
    alpha: float,
    alternative: Alternative,
    null: float,
    scale: Scale,
    ratio: float | None,
    warnings: tuple[Notice, ...] = (),
) -> Comparison:
    """Puts an anytime-valid comparison together.

    Args:
        estimate: The estimate at this look.
        method: The inference that calls.
        alpha: Level over all looks.
        alternative: Which departures count.
        null: The null value.
        scale: Its scale.
        ratio: The mixture ratio at this look, positive; None where nothing can be rejected yet: p is 1, and
            the intervals are `unbounded`.
        warnings: Notices beside those of the estimate.

    Raises:
        ValueError: The ratio is not positive and finite.
    """
    distance = statistic(estimate, null, scale)
    critical, log_p = math.inf, 0.0
    if ratio is not None:
        critical = float(normal_mixture_critical(ratio, alpha=alpha, alternative=alternative))
        if distance is not None:
            log_p = float(normal_mixture_log_p(distance, ratio, alternative=alternative))
    return conclude(
        estimate,
        method=method,
        alpha=alpha,
        alternative=alternative,
        null=null,
        scale=scale,
        statistic=distance,
        critical=critical,
        log_p=log_p,
        df=math.inf,
        warnings=warnings,
    )
