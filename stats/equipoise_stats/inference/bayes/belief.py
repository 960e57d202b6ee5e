"""Normal beliefs about an effect: how they learn, and what follows from them, in closed form."""

import math
from dataclasses import dataclass

from scipy.special import erfcx, log_ndtr, ndtri_exp

from equipoise_stats.results import Serialisable

_SERIES_FROM = 16.0
_LOG_ROOT_2_PI = 0.5 * math.log(2 * math.pi)


@dataclass(frozen=True, slots=True)
class NormalBelief(Serialisable):
    """A normal distribution of what an effect may be.

    Attributes:
        mean: Its mean, in the unit of the effect (for a lift a fraction).
        standard_deviation: Its standard deviation; infinite for a flat prior, which knows nothing.

    Raises:
        ValueError: The mean is not finite, or the standard deviation not positive.

    Example:
        >>> NormalBelief(0.0, 0.05).updated(0.04, 0.05)
        NormalBelief(mean=0.02, standard_deviation=0.035355339059327376)
    """

    mean: float
    standard_deviation: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and self.standard_deviation > 0):
            raise ValueError(
                f"A belief with mean {self.mean!r} and standard deviation {self.standard_deviation!r} is "
                "impossible; the mean must be finite, the standard deviation positive (infinite: flat)."
            )

    def updated(self, estimate: float, standard_error: float) -> "NormalBelief":
        """The belief after an estimate with a known standard error (normal–normal).

        Args:
            estimate: The estimate, in the unit of the belief.
            standard_error: Its standard error, positive and finite.

        Raises:
            ValueError: A number is out of range.
        """
        if not (math.isfinite(estimate) and 0 < standard_error < math.inf):
            raise ValueError(
                f"An estimate of {estimate!r} with standard error {standard_error!r} teaches nothing; the "
                "estimate must be finite, the standard error positive and finite."
            )
        if math.isinf(self.standard_deviation):
            return NormalBelief(estimate, standard_error)
        noise = standard_error / self.standard_deviation
        smaller, larger = sorted((standard_error, self.standard_deviation))
        return NormalBelief(
            self.mean + (estimate - self.mean) / (1 + noise * noise),
            smaller / math.hypot(1.0, smaller / larger),
        )

    def scaled(self, factor: float) -> "NormalBelief":
        """The belief in another unit: a lift times the control's value is a difference.

        Args:
            factor: Positive.

        Example:
            >>> NormalBelief(0.01, 0.05).scaled(20.0)
            NormalBelief(mean=0.2, standard_deviation=1.0)
        """
        return NormalBelief(self.mean * factor, self.standard_deviation * factor)

    def log_probability_above(self, value: float) -> float:
        """The natural logarithm of the probability that the effect is above a value.

        Example:
            >>> round(NormalBelief(-40.0, 1.0).log_probability_above(0.0), 3)
            -804.608
        """
        return float(log_ndtr((self.mean - value) / self._proper()))

    def log_probability_below(self, value: float) -> float:
        """The natural logarithm of the probability that the effect is below a value."""
        return float(log_ndtr((value - self.mean) / self._proper()))

    def log_probability_between(self, lower: float, upper: float) -> float:
        """The natural logarithm of the probability that the effect lies between two values.

        Args:
            lower: Lower value.
            upper: Upper value, above it.

        Raises:
            ValueError: They are not in order.

        Example:
            >>> round(math.exp(NormalBelief(0.0, 1.0).log_probability_between(-1.0, 1.0)), 6)
            0.682689
        """
        if not lower < upper:
            raise ValueError(f"The lower value {lower!r} must lie below the upper value {upper!r}.")
        low = (lower - self.mean) / self._proper()
        high = (upper - self.mean) / self._proper()
        if low > 0:
            low, high = -high, -low
        # Now the larger of the two tails lies below `high`, so that nothing cancels.
        log_high, log_low = float(log_ndtr(high)), float(log_ndtr(low))
        return log_high + math.log(-math.expm1(log_low - log_high)) if log_low < log_high else -math.inf

    def log_expected_shortfall(self, value: float = 0.0) -> float:
        """The natural logarithm of E[max(value − effect, 0)]: what choosing the treatment loses on average.

        Example:
            >>> round(math.exp(NormalBelief(0.0, 1.0).log_expected_shortfall()), 6)
            0.398942
        """
        sd = self._proper()
        return math.log(sd) + normal_log_loss((self.mean - value) / sd)

    def log_expected_excess(self, value: float = 0.0) -> float:
        """The natural logarithm of E[max(effect − value, 0)]: what keeping the control loses on average."""
        sd = self._proper()
        return math.log(sd) + normal_log_loss((value - self.mean) / sd)

    def quantile(self, log_probability: float) -> float:
        """The effect below which the belief puts a probability, given by its natural logarithm.

        Example:
            >>> round(NormalBelief(0.0, 1.0).quantile(math.log(0.975)), 6)
            1.959964
        """
        return self.mean + self._proper() * float(ndtri_exp(log_probability))

    def _proper(self) -> float:
        if math.isinf(self.standard_deviation):
            raise ValueError("A flat belief has no probabilities; update it with an estimate first.")
        return self.standard_deviation


def normal_log_loss(z: float) -> float:
    """The natural logarithm of the unit normal loss φ(z) − z Φ(−z) = E[max(X − z, 0)], X standard normal.

    Args:
        z: Any number; the difference is never formed where it cancels.

    Source:
        Raiffa and Schlaifer 1961, Applied Statistical Decision Theory; for large z the asymptotic series
        φ(z)/z² (1 − 3/z² + 15/z⁴ − …), DLMF 7.12.1.

    Example:
        >>> round(normal_log_loss(0.0), 6), round(normal_log_loss(40.0), 6)
        (-0.918939, -808.298568)
    """
    if z < 0:
        # E[max(X − z, 0)] = −z + E[max(z − X, 0)], both positive.
        mirrored = normal_log_loss(-z)
        return (
            math.log(-z) + math.log1p(math.exp(mirrored) / -z)
            if mirrored < math.log(-z)
            else (mirrored + math.log1p(-z * math.exp(-mirrored)))
        )
    log_density = -0.5 * z * z - _LOG_ROOT_2_PI
    if z < _SERIES_FROM:
        mills = math.sqrt(math.pi / 2) * float(erfcx(z / math.sqrt(2)))
        return log_density + math.log1p(-z * mills)
    total, term = 0.0, 1.0
    for k in range(1, 20):
        total += term
        term *= -(2 * k + 1) / (z * z)
    return log_density - 2 * math.log(z) + math.log(total)
