"""Dunnett's comparison of several treatments with one control, from estimates."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from equipoise_stats.distributions import p_value_from_log, t_upper_quantile
from equipoise_stats.estimates.estimate import Estimate, NoEstimate
from equipoise_stats.inference.comparison import Alternative, Comparison, HypothesisTest, Method, Scale
from equipoise_stats.inference.conclude import conclude, unanswered
from equipoise_stats.inference.intervals import statistic
from equipoise_stats.inference.settings import check_alpha, check_null, tail_alpha
from equipoise_stats.multiplicity.many_to_one import log_tail_of_largest


def dunnett_critical(
    control_shares: Sequence[float],
    *,
    df: float = math.inf,
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
) -> float:
    """The value that the largest of several comparisons with one control exceeds with probability alpha.

    Args:
        control_shares: For each of the k comparisons the control's share of its variance, v_c / (v_t + v_c):
            1/2 for arms of equal size.
        df: Degrees of freedom of the common variance estimate.
        alpha: Level.
        alternative: `two-sided`, or one side.

    Raises:
        ValueError: There is no comparison, a share lies outside [0, 1], df is not positive, or alpha or
            alternative is out of range.

    Source:
        Dunnett 1955, J. Am. Stat. Assoc. 50, 1096–1121; Dunnett 1964, Biometrics 20, 482–491 (tables).

    Example:
        >>> round(dunnett_critical([0.5, 0.5, 0.5], df=20), 2)
        2.54
    """
    from scipy.optimize import brentq  # a third of this package's import time

    shares = list(control_shares)
    if not shares or not all(0 <= share <= 1 for share in shares):
        raise ValueError(f"The control's shares of the variances are {shares}; each lies between 0 and 1.")
    if not df > 0:
        raise ValueError(f"There are {df!r} degrees of freedom; they must be positive.")
    tail = tail_alpha(check_alpha(alpha), alternative)
    single = t_upper_quantile(tail, df)
    if len(shares) == 1:
        return single
    log_alpha = math.log(alpha)
    return float(
        brentq(
            lambda c: log_tail_of_largest(c, shares, df=df, two_sided=alternative == "two-sided") - log_alpha,
            single - 1e-6 * (1 + abs(single)),
            t_upper_quantile(tail / len(shares), df) * (1 + 1e-6),
            xtol=1e-13,
        )
    )


def dunnett(
    estimates: Mapping[str, Estimate | NoEstimate],
    *,
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
    null: float = 0.0,
    scale: Scale = "difference",
) -> dict[str, Comparison]:
    """Compares several treatments with one control in a single step: simultaneous p-values and intervals.

    The family-wise error is at most alpha and all intervals hold together with confidence 1 − alpha. As the
    comparisons share their control, this is sharper than Bonferroni's correction.

    Args:
        estimates: For each treatment its estimate against the one control that all share. For the classical
            test use `pooled_differences`. Where degrees of freedom differ, the smallest are used for all.
        alpha: Level of the family.
        alternative: `two-sided`, `greater` or `less`.
        null: The null value of every comparison.
        scale: The scale of the null value. Its correlations are those of the differences on both scales.

    Returns:
        For each treatment the comparison, with the adjusted p-value and intervals that agree with it. A
        treatment without an estimate keeps its reason and leaves the family.

    Raises:
        ValueError: The controls have different numbers of units, or alpha, alternative, null or scale is out
            of range.

    Source:
        Dunnett 1955, J. Am. Stat. Assoc. 50, 1096–1121; Hasler and Hothorn 2008, Biom. J. 50, 793–800
        (unequal variances).

    Example:
        >>> from equipoise_stats import Moments, mean_difference
        >>> control = Moments.scalar(500, 10.0, 4.0)
        >>> arms = {"a": Moments.scalar(500, 10.28, 4.0), "b": Moments.scalar(500, 10.1, 4.0)}
        >>> effects = {name: mean_difference(treatment=arm, control=control) for name, arm in arms.items()}
        >>> {name: round(result.test.p_value, 4) for name, result in dunnett(effects).items()}
        {'a': 0.0502, 'b': 0.6441}
    """
    tail_alpha(check_alpha(alpha), alternative)
    check_null(null, scale)
    known = _known(estimates)
    parameters = (("alpha", alpha), ("alternative", alternative), ("null", null), ("scale", scale))
    method = Method("dunnett", 1, parameters)
    shares, df = _shares(list(known.values())), _df(list(known.values()))
    critical = dunnett_critical(shares, df=df, alpha=alpha, alternative=alternative) if known else math.nan
    results = {}
    for name, estimate in estimates.items():
        if isinstance(estimate, NoEstimate):
            results[name] = unanswered(
                estimate, method=method, alpha=alpha, alternative=alternative, null=null, scale=scale
            )
            continue
        distance = statistic(estimate, null, scale)
        results[name] = conclude(
            estimate,
            method=method,
            alpha=alpha,
            alternative=alternative,
            null=null,
            scale=scale,
            statistic=distance,
            critical=critical,
            log_p=None if distance is None else _log_p(distance, shares, df, alternative),
            df=df,
        )
    return results


def dunnett_step_down(
    estimates: Mapping[str, Estimate | NoEstimate],
    *,
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
    null: float = 0.0,
    scale: Scale = "difference",
) -> dict[str, HypothesisTest]:
    """Dunnett's test in steps: after the most extreme comparison is rejected, the others face fewer rivals.

    It rejects whatever the single step rejects, and more. No intervals belong to it, as none agree with its
    p-values in both directions; those of `dunnett` hold.

    Args:
        estimates: For each treatment its estimate against the one control that all share.
        alpha: Level of the family.
        alternative: `two-sided`, `greater` or `less`.
        null: The null value of every comparison.
        scale: The scale of the null value.

    Returns:
        For each treatment the test, with the adjusted p-value; `critical` is what its step compares with. A
        treatment without a test keeps its reason and leaves the family.

    Raises:
        ValueError: As `dunnett`.

    Source:
        Dunnett and Tamhane 1991, Stat. Med. 10, 939–947; Marcus, Peritz and Gabriel 1976, Biometrika 63,
        655–660.

    Example:
        >>> from equipoise_stats import Moments, mean_difference
        >>> control = Moments.scalar(500, 10.0, 4.0)
        >>> arms = {"a": Moments.scalar(500, 10.3, 4.0), "b": Moments.scalar(500, 10.26, 4.0)}
        >>> effects = {name: mean_difference(treatment=arm, control=control) for name, arm in arms.items()}
        >>> {name: test.rejected for name, test in dunnett_step_down(effects).items()}
        {'a': True, 'b': True}
        >>> {name: result.test.rejected for name, result in dunnett(effects).items()}
        {'a': True, 'b': False}
    """
    single = dunnett(estimates, alpha=alpha, alternative=alternative, null=null, scale=scale)
    known = _known(estimates)
    df = _df(list(known.values()))
    tests = {name: result.test for name, result in single.items()}
    found = [(name, test.statistic) for name, test in tests.items() if test.statistic is not None]
    left = sorted(found, key=lambda one: _extremity(one[1], alternative), reverse=True)
    log_p, rejecting = -math.inf, True
    while left:
        name, distance = left[0]
        shares = _shares([known[other] for other, _ in left])
        log_p = max(log_p, _log_p(distance, shares, df, alternative))
        critical = dunnett_critical(shares, df=df, alpha=alpha, alternative=alternative)
        rejecting = rejecting and _extremity(distance, alternative) > critical
        tests[name] = replace(
            tests[name],
            critical=critical,
            p_value=p_value_from_log(log_p),
            log_p_value=log_p,
            rejected=rejecting,
        )
        left = left[1:]
    return tests


def _extremity(distance: float, alternative: Alternative) -> float:
    """What is compared with the critical value."""
    return {"greater": distance, "less": -distance}.get(alternative, abs(distance))


def _known(estimates: Mapping[str, Estimate | NoEstimate]) -> dict[str, Estimate]:
    known = {name: estimate for name, estimate in estimates.items() if isinstance(estimate, Estimate)}
    sizes = sorted({estimate.control.n for estimate in known.values()})
    if len(sizes) > 1:
        raise ValueError(
            f"The controls have {sizes} units; the comparisons of one family must share one control."
        )
    return known


def _shares(estimates: Sequence[Estimate]) -> list[float]:
    """The control's share of each variance: what it has in common with the others' variances."""
    return [min(1.0, max(0.0, (one.control.variance - one.covariance) / one.variance)) for one in estimates]


def _df(estimates: Sequence[Estimate]) -> float:
    return min((estimate.df for estimate in estimates), default=math.inf)


def _log_p(distance: float, shares: Sequence[float], df: float, alternative: Alternative) -> float:
    two_sided = alternative == "two-sided"
    return log_tail_of_largest(_extremity(distance, alternative), shares, df=df, two_sided=two_sided)
