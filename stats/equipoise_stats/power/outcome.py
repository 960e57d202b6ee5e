"""What planning has to know of a metric: where it stands and how much its units vary.

An `Outcome` is to planning what an `Estimate` is to inference: every kind of metric becomes one, and every
design accepts any.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

from equipoise_stats.results import Serialisable

Response = Literal["constant", "linear", "quadratic", "bernoulli"]
"""How the variance of a treated unit follows the treated value: not at all (a shift), in proportion to it (a
count), to its square (every unit is multiplied), or as p(1 − p)."""

Reference = Literal["normal", "welch", "pooled", "score", "baseline"]
"""The test that is planned for: normal with the variance of both arms as they are, Welch's or Student's t,
the score test of proportions (variance at the null value), or the variance of the control in both arms."""

OF_PROPORTIONS = ("score", "baseline")
"""The tests that divide by another standard error than the true one."""


@dataclass(frozen=True, slots=True)
class Outcome(Serialisable):
    """A metric as planning sees it.

    Build one with `mean_outcome`, `proportion_outcome`, `rate_outcome`, `ratio_outcome`, `quantile_outcome`,
    or, from an estimate of past data of whatever kind, `observed_outcome`.

    Attributes:
        kind: Name of the metric's kind.
        baseline: The control's value, in the metric's unit.
        variance: Variance of one control unit (of its linearised score, for ratios and quantiles), in that
            unit squared: n times the sampling variance of the arm's value.
        response: How a treated unit's variance follows the treated value.
        reference: The test that is planned for.
        variance_ratio: Variance of a treated unit over that of a control unit when there is no effect.
        factor: Multiplies both: a design effect, or what a regression adjustment leaves.
        cluster_size: Units that one independent observation holds, for degrees of freedom.

    Raises:
        ValueError: A number is out of range.

    Example:
        >>> outcome = Outcome("mean", baseline=10.0, variance=4.0)
        >>> outcome.adjusted(0.5).unit_variances(0.3)
        (2.0, 2.0)
    """

    kind: str
    baseline: float
    variance: float
    response: Response = "constant"
    reference: Reference = "normal"
    variance_ratio: float = 1.0
    factor: float = 1.0
    cluster_size: float = 1.0

    def __post_init__(self) -> None:
        if self.response not in get_args(Response):
            raise ValueError(
                f"response is {self.response!r}; it must be one of {', '.join(get_args(Response))}."
            )
        if self.reference not in get_args(Reference):
            raise ValueError(
                f"The test is {self.reference!r}; it must be one of {', '.join(get_args(Reference))}."
            )
        if not math.isfinite(self.baseline):
            raise ValueError(f"The baseline is {self.baseline!r}; it must be a finite number.")
        for name, value in (
            ("variance", self.variance),
            ("ratio of variances", self.variance_ratio),
            ("factor of the variance", self.factor),
        ):
            if not (value > 0 and math.isfinite(value)):
                raise ValueError(f"The {name} is {value!r}; it must be a positive number.")
        if self.response != "constant" and not self.baseline > 0:
            raise ValueError(
                f"The baseline is {self.baseline!r}; a variance that follows the value needs a positive one."
            )
        if self.response == "bernoulli" and not self.baseline < 1:
            raise ValueError(f"The baseline is {self.baseline!r}; a proportion lies between 0 and 1.")
        if self.reference in OF_PROPORTIONS and self.response != "bernoulli":
            raise ValueError(f"The test {self.reference!r} is one of proportions.")
        if not (self.cluster_size >= 1 and math.isfinite(self.cluster_size)):
            raise ValueError(f"The cluster size is {self.cluster_size!r}; it must be 1 or more units.")

    def adjusted(self, variance_removed: float) -> "Outcome":
        """The outcome after regression adjustment (CUPED) or post-stratification.

        Args:
            variance_removed: Share of the variance that the covariates explain, R² = ρ² for one covariate:
                what `adjusted_difference` reports as `variance_removed`.

        Raises:
            ValueError: It does not lie in [0, 1).

        Source:
            Deng, Xu, Kohavi and Walker 2013, WSDM, section 3.

        Example:
            >>> Outcome("mean", baseline=10.0, variance=4.0).adjusted(0.7**2).factor
            0.51
        """
        if not 0 <= variance_removed < 1:
            raise ValueError(
                f"variance_removed is {variance_removed!r}; it must lie in [0, 1), for example 0.4."
            )
        return replace(self, factor=self.factor * (1 - variance_removed))

    def clustered(self, size: float, correlation: float, *, size_variation: float = 0.0) -> "Outcome":
        """The outcome when whole clusters (cities, schools, accounts) are randomised.

        The variance grows by the design effect 1 + ((cv² + 1) m − 1) ICC; units stay units, and degrees of
        freedom are those of the clusters.

        Args:
            size: Mean number of units m of a cluster, 1 or more.
            correlation: Intracluster correlation ICC, from 0 to 1.
            size_variation: Coefficient of variation cv of the cluster sizes, not negative.

        Raises:
            ValueError: An argument is out of range.

        Source:
            Kish 1965, Survey Sampling, section 5.4; Eldridge, Ashby and Kerry 2006, Int. J. Epidemiol. 35,
            1292–1300 (unequal sizes).

        Example:
            >>> Outcome("mean", baseline=10.0, variance=4.0).clustered(21, 0.05).factor
            2.0
        """
        if not (size >= 1 and math.isfinite(size)):
            raise ValueError(f"The cluster size is {size!r}; it must be 1 or more units.")
        if not 0 <= correlation <= 1:
            raise ValueError(f"The intracluster correlation is {correlation!r}; it must lie in [0, 1].")
        if not (size_variation >= 0 and math.isfinite(size_variation)):
            raise ValueError(
                f"size_variation is {size_variation!r}; a coefficient of variation is 0 or more."
            )
        effect = 1 + ((size_variation**2 + 1) * size - 1) * correlation
        return replace(self, factor=self.factor * effect, cluster_size=self.cluster_size * size)

    def unit_variances(self, effect: float) -> tuple[float, float]:
        """Variances of one treated and of one control unit, under an effect.

        Args:
            effect: Treatment − control, in the metric's unit.

        Returns:
            The treated unit's and the control unit's, the factor included.

        Raises:
            ValueError: The treated value is impossible: a proportion outside (0, 1), or not positive where
                the variance follows it.

        Example:
            >>> Outcome("mean", baseline=10.0, variance=4.0, response="quadratic").unit_variances(5.0)
            (9.0, 4.0)
        """
        control, treated = self.variance * self.factor, self.baseline + effect
        base = control * self.variance_ratio
        if self.response == "constant":
            return base, control
        if not treated > 0 or (self.response == "bernoulli" and not treated < 1):
            room = "between 0 and 1" if self.response == "bernoulli" else "above 0"
            raise ValueError(
                f"An effect of {effect!r} on {self.baseline!r} makes the treated value {treated!r}; it must "
                f"lie {room}."
            )
        if self.response == "bernoulli":
            return base * (treated * (1 - treated)) / (self.baseline * (1 - self.baseline)), control
        power = 1 if self.response == "linear" else 2
        return base * (treated / self.baseline) ** power, control
