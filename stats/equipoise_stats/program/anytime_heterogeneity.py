"""Heterogeneity at any moment: does the effect differ between segments, however often one looks?"""

from collections.abc import Mapping
from functools import partial

import numpy as np

from equipoise_stats.estimates.estimate import Estimate, NoEstimate
from equipoise_stats.inference.anytime.sequence import mixture_units
from equipoise_stats.program.heterogeneity import Heterogeneity, heterogeneity_by
from equipoise_stats.program.studies import Floats


def anytime_heterogeneity(
    segments: Mapping[str, Estimate | NoEstimate],
    *,
    tuning_units: float,
    tuning_alpha: float | None = None,
    burn_in: int = 100,
    alpha: float = 0.05,
) -> Heterogeneity:
    """Compares the effects of disjoint segments so that one may look after every unit and stop at any time.

    The segments have no unit in common, so the product of their e-values at one effect is an e-value of "all
    of them have this effect". Its smallest value over all effects is one of "they have one effect, whichever
    it is". With e-values of the confidence sequence that smallest value is a closed form: it is at least 1/α
    exactly when no common effect lies in the joint confidence sequence of all segments.

    Which segments differ is asked as in `heterogeneity`, each against all others together. Their p-values are
    inverses of e-values, of which the adjustment by Benjamini and Hochberg holds whatever their dependence.

    Args:
        segments: The estimate of the effect in each segment, as in `heterogeneity`.
        tuning_units: As in `confidence_sequence`, units of all segments and both arms together.
        tuning_alpha: Level for which it is tightest there; the test's own unless given.
        burn_in: Units that each arm of a segment needs before the segment counts, because the e-values are
            asymptotic. With fewer than two such segments the p-value is 1.
        alpha: Level over all looks.

    Returns:
        The outcome at this look. p-values are valid at any moment; Q and the best guesses are those of
        `heterogeneity`.

    Raises:
        ValueError: An argument is out of range.

    Source:
        E-values: Waudby-Smith et al. 2024, see `confidence_sequence`. The smallest over a composite null
        hypothesis: Ramdas, Grünwald, Vovk and Shafer 2023, Statistical Science 38, 576–601. Adjustment: Wang
        and Ramdas 2022, J. R. Stat. Soc. B 84, 822–852.

    Example:
        >>> from equipoise_stats import Moments, mean_difference
        >>> control = Moments.scalar(4000, 10.0, 9.0)
        >>> outcome = anytime_heterogeneity(
        ...     {
        ...         country: mean_difference(treatment=Moments.scalar(4000, mean, 9.0), control=control)
        ...         for country, mean in {"DE": 10.1, "FR": 10.2, "IT": 10.1, "UK": 10.2, "US": 10.8}.items()
        ...     },
        ...     tuning_units=40_000,
        ... )
        >>> outcome.detected, [each.segment for each in outcome.segments if each.differs]
        (True, ['US'])
    """
    if burn_in < 0:
        raise ValueError(f"burn_in is {burn_in!r}; it must be 0 or more units an arm, for example 100.")
    precision = mixture_units(tuning_units, alpha if tuning_alpha is None else tuning_alpha)
    return heterogeneity_by(
        partial(_log_p, precision=precision), segments, alpha=alpha, burn_in=max(burn_in, 1)
    )


def _log_p(effects: Floats, errors: Floats, units: Floats, precision: float) -> float:
    """By the product of the normal mixtures of this precision in units, at the worst common effect."""
    ratios = units / precision
    # ln ∏ E = ½ Σ w (effect − common)²/se² − ½ Σ ln(1 + r), with w = r/(1 + r): smallest at a mean.
    weights = ratios / (1 + ratios) / (errors * errors)
    if np.count_nonzero(weights) < 2:
        return 0.0
    offsets = effects - effects[0]
    common = float(weights @ offsets) / float(weights.sum())
    log_e = 0.5 * float(weights @ (offsets - common) ** 2 - np.log1p(ratios).sum())
    return min(0.0, -log_e)
