"""Statistics for online experiments: pure functions on sufficient statistics.

Two layers combine freely. *Estimates* turn the sufficient statistics of two arms into an effect, its
variance and degrees of freedom; *inference* turns any estimate into intervals, a p-value and a verdict.

Example:
    >>> import equipoise_stats as es
    >>> effect = es.mean_difference(
    ...     treatment=es.Moments.scalar(1000, 10.4, 9.0), control=es.Moments.scalar(1000, 10.0, 9.0)
    ... )
    >>> result = es.fixed_horizon(effect)
    >>> result.test.rejected, round(result.lift.estimate, 3)
    (True, 0.04)
"""

from equipoise_stats.checks.sample_ratio import ArmShare, SampleRatio, SampleRatioFinding, sample_ratio
from equipoise_stats.counts import Counts
from equipoise_stats.estimates.estimate import ArmEstimate, ArmSummary, Detail, Estimate, NoEstimate
from equipoise_stats.estimates.mean import mean_difference
from equipoise_stats.estimates.proportion import proportion_difference
from equipoise_stats.inference.comparison import (
    Alternative,
    Comparison,
    Effect,
    HypothesisTest,
    Interval,
    Method,
    Scale,
)
from equipoise_stats.inference.fixed import fixed_horizon
from equipoise_stats.moments import Moments, merge_moments
from equipoise_stats.results import CheckStatus, Notice, Status

__all__ = [
    "Alternative",
    "ArmEstimate",
    "ArmShare",
    "ArmSummary",
    "CheckStatus",
    "Comparison",
    "Counts",
    "Detail",
    "Effect",
    "Estimate",
    "HypothesisTest",
    "Interval",
    "Method",
    "Moments",
    "NoEstimate",
    "Notice",
    "SampleRatio",
    "SampleRatioFinding",
    "Scale",
    "Status",
    "fixed_horizon",
    "mean_difference",
    "merge_moments",
    "proportion_difference",
    "sample_ratio",
]
