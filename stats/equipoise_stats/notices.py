"""Every warning of this package: its code, and what it says.

Programs know a warning by its code and take its numbers from its details; the message is for who calls this
package from Python, and names the arguments that help. Who speaks to others, or in another language, has
sentences of their own for the codes of `NOTICE_MESSAGES`.
"""

from collections.abc import Mapping
from types import MappingProxyType

from equipoise_stats.results import Notice

NOTICE_MESSAGES: Mapping[str, str] = MappingProxyType(
    {
        # Of estimates.
        "few_events": (
            "An arm has only {events} events (of a proportion: successes or failures); the normal "
            "approximation is not reliable below {needed}."
        ),
        "overdispersed": (
            "Between units, {events!r} vary {factor:.1f} times as much as independent events would; use "
            "variance='robust'."
        ),
        "noisy_denominator": (
            "The mean of the denominator {denominator!r} is known only to ±{noise:.0%} (one standard error); "
            "the ratio's variance is not reliable above {limit:.0%}."
        ),
        "few_clusters": (
            "There are only {clusters} clusters; below {needed} the variance between them is poorly known, "
            "and a permutation test of cluster means is a good second opinion."
        ),
        "strata_collapsed": (
            "Strata in which an arm has fewer than {needed} units were taken together: {strata}."
        ),
        "not_adjusted": (
            "The covariates explain nothing that would pay for estimating their coefficients; the estimate "
            "is the unadjusted one."
        ),
        "few_units_for_adjustment": (
            "Fewer than {needed} degrees of freedom for each of {covariates} covariates: the interval may be "
            "too narrow; use fewer covariates."
        ),
        "unbalanced_covariates": (
            "The covariates differ between the arms by more than chance (p < 0.001): check the "
            "randomisation, and that they are measured before each unit's first exposure."
        ),
        # Of skewness.
        "skewed_unequal_arms": (
            "The values are too skewed for arms of such unequal size (κ₃/se³ = {skewness:.3g}, above "
            "{threshold:g}): Welch's test rejects too often in one tail. Use equal arms, winsorize, or the "
            "pooled variance."
        ),
        "skewness_unknown": "The skewness is not known: collect third moments of the column in both arms.",
        "skewness": (
            "The difference is skewed ({skewness:.3g}): one side is rejected too often. Use arms of equal "
            "size, or winsorize the metric."
        ),
        "few_degrees_of_freedom": (
            "The variance has only {df:.4g} degrees of freedom; use the anytime-valid t test, which takes "
            "that into account."
        ),
        # Of looks.
        "alpha_spent": (
            "An earlier look spent all that was left of alpha: this one cannot reject. The result of the "
            "look that spent it stands."
        ),
        "too_early_to_reject": (
            "At the information fraction {fraction:.4g} there is too little of alpha to spend; it is kept "
            "for later looks."
        ),
        # Of bandits and of many experiments.
        "small_probability": (
            "An arm had probability {probability:.4g} in a period; single units then weigh so much that the "
            "normal approximation is doubtful. Keep a floor of {floor}."
        ),
        "narrower_than_normal": (
            "The effects agree better than their standard errors let one expect, so this interval may be too "
            "narrow; compare it with hartung_knapp=False."
        ),
    }
)
"""The message of each code, with the names of its details in braces."""


def notice(code: str, **details: str | float) -> Notice:
    """A warning with its message.

    Args:
        code: One of `NOTICE_MESSAGES`.
        details: What its message names.

    Example:
        >>> found = notice("few_clusters", clusters=12, needed=40)
        >>> found.message[:30], found.details
        ('There are only 12 clusters; be', (('clusters', 12), ('needed', 40)))
    """
    return Notice(code, NOTICE_MESSAGES[code].format(**details), tuple(details.items()))
