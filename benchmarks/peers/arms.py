"""The same two arms, in the words of each library."""

from dataclasses import dataclass

import numpy as np
from gbstats.models.statistics import RegressionAdjustedStatistic, SampleMeanStatistic
from tea_tasting.aggr import Aggregates

import equipoise_stats as es


@dataclass(frozen=True, slots=True)
class Arm:
    """Moments of an outcome y and a column x (a covariate or a denominator) in one arm.

    Attributes:
        n: Units.
        means: Means of y and x.
        variances: Sample variances of y and x.
        covariance: Sample covariance of y and x.
    """

    n: int
    means: tuple[float, float]
    variances: tuple[float, float]
    covariance: float

    def ours(self) -> es.Moments:
        """For this engine."""
        return es.Moments.from_aggregates(
            self.n,
            dict(zip("yx", self.means, strict=True)),
            dict(zip("yx", self.variances, strict=True)),
            {("y", "x"): self.covariance},
        )

    def tea_tasting(self) -> Aggregates:
        """For tea-tasting."""
        return Aggregates(
            self.n,
            dict(zip("yx", self.means, strict=True)),
            dict(zip("yx", self.variances, strict=True)),
            {("x", "y"): self.covariance},
        )

    def gbstats(self, i: int = 0) -> SampleMeanStatistic:
        """For gbstats: one column as raw sums."""
        squares = (self.n - 1) * self.variances[i] + self.n * self.means[i] ** 2
        return SampleMeanStatistic(n=self.n, sum=self.n * self.means[i], sum_squares=squares)

    def products(self) -> float:
        """Raw sum of products of y and x."""
        return (self.n - 1) * self.covariance + self.n * self.means[0] * self.means[1]

    def gbstats_adjusted(self) -> RegressionAdjustedStatistic:
        """For gbstats: y with the covariate x."""
        return RegressionAdjustedStatistic(
            n=self.n,
            post_statistic=self.gbstats(0),
            pre_statistic=self.gbstats(1),
            post_pre_sum_of_products=self.products(),
            theta=0.0,
        )


def random_arms(rng: np.random.Generator) -> tuple[Arm, Arm]:
    """Treatment and control: 50 to 100,000 units, a small effect, a correlation from 0.1 to 0.9."""
    mean, base = rng.uniform(5, 50), rng.uniform(5, 50)
    spread = rng.uniform(0.1, 0.5)
    correlation = rng.uniform(0.1, 0.9)

    def arm() -> Arm:
        n = int(10 ** rng.uniform(1.7, 5))
        sd_y, sd_x = spread * mean * rng.uniform(0.8, 1.25), spread * base
        return Arm(
            n,
            (mean + sd_y * rng.normal() * 1.5 / n**0.5, base + sd_x * rng.normal() / n**0.5),
            (sd_y**2, sd_x**2),
            correlation * sd_y * sd_x,
        )

    return arm(), arm()
