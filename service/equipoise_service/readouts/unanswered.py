"""What the statistics say beside a number or instead of one, in the words of readouts.

The statistics speak to who programs with them. Here their codes choose among the texts, and what they give as
data is filled in.
"""

from equipoise_service.readouts.numerals import decimals_for, number
from equipoise_service.texts.saying import say
from equipoise_stats import Comparison, NoEstimate, Notice, Status

NO_ESTIMATOR = "none"
"""The estimator of a comparison whose numbers are not finite."""

_SHARES = frozenset({"floor", "fraction", "limit", "noise", "probability"})


def notice_text(notice: Notice) -> str:
    """A warning in words.

    Example:
        >>> notice_text(Notice("few_clusters", "…", (("clusters", 12), ("needed", 40))))
        'There are only 12 groups of units; with fewer than 40, intervals and p-values are rough.'
    """
    fields = {name: _in_words(name, value) for name, value in notice.details}
    return say(f"notice.{notice.code}", **fields)


def why_no_estimate(found: NoEstimate) -> str:
    """Why nothing is estimated."""
    return _why(found.status, found.estimator)


def why_no_difference(comparison: Comparison) -> str | None:
    """Why there is no difference, or no interval of it; None where there is one."""
    return _unless_ok(comparison.difference.status, comparison)


def why_no_lift(comparison: Comparison) -> str | None:
    """Why there is no lift; None where there is one."""
    status = comparison.lift.status
    if status is comparison.difference.status:
        return _unless_ok(status, comparison)
    # The difference has an answer, so the reason is one of lifts.
    if status in (Status.UNBOUNDED, Status.NO_VARIANCE):
        return say(f"no_lift.{status}")
    return _unless_ok(status, comparison)


def why_no_test(comparison: Comparison) -> str | None:
    """Why nothing is tested; None where something is."""
    test = comparison.test
    if test.scale == "lift" and test.status is comparison.lift.status:
        return why_no_lift(comparison)
    return _unless_ok(test.status, comparison)


def _unless_ok(status: Status, comparison: Comparison) -> str | None:
    return None if status is Status.OK else _why(status, comparison.estimator)


def _why(status: Status, estimator: str) -> str:
    if estimator == NO_ESTIMATOR:
        return say("no_result.not_finite")
    if estimator == "quantile" and status is Status.TOO_FEW_UNITS:
        return say("no_result.too_few_values")
    return say(f"no_result.{status}")


def _in_words(name: str, value: str | float) -> str:
    if isinstance(value, str):
        return value
    if name in _SHARES:
        return f"{100 * value:.3g} %"
    return f"{value:,}" if isinstance(value, int) else number(value, decimals=decimals_for([value, 0.0]))
