"""Alpha-spending functions: how much of an error rate may be spent by which fraction of the information."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from scipy.special import log_ndtr, ndtr, ndtri, ndtri_exp

from equipoise_stats.results import Serialisable

SpendingFamily = Literal["obrien_fleming", "pocock", "hwang_shih_decani", "power"]
"""The families of spending functions; see `Spending`."""

_PARAMETERS = {"hwang_shih_decani": ("gamma", -40.0, 40.0), "power": ("the exponent", 0.01, 50.0)}

_NO_GAMMA = 1e-20
"""Below it γ changes no digit of what is spent, and its product with a fraction may underflow."""


@dataclass(frozen=True, slots=True)
class Spending(Serialisable):
    """A spending function α*(t) of an error rate α on one side and the information fraction t.

    - `obrien_fleming`: 2 − 2 Φ(z(1 − α/2) / √t). Spends late: the last bound is close to the fixed one.
    - `pocock`: α ln(1 + (e − 1) t). Spends evenly: the bounds are nearly level.
    - `hwang_shih_decani`: α (1 − e^(−γt)) / (1 − e^(−γ)), for γ = 0 α t. Like the first at γ = −4, like the
      second at γ = 1.
    - `power`: α t^ρ. Like the first at ρ = 3, like the second at ρ = 1.

    From t = 1 on, all of α is spent.

    Attributes:
        family: Name of the family.
        parameter: γ between −40 and 40, ρ between 0.01 and 50; None for the first two families.

    Raises:
        ValueError: The family is unknown, or the parameter is missing, superfluous or out of range.

    Source:
        Lan and DeMets 1983 (Biometrika 70, 659–663) for the first two; Hwang, Shih and DeCani 1990 (Stat.
        Med. 9, 1439–1445); Kim and DeMets 1987 (Biometrika 74, 149–154) for the power family.

    Example:
        >>> round(Spending("hwang_shih_decani", -4.0).spent(0.5, alpha=0.025), 6)
        0.00298
    """

    family: SpendingFamily = "obrien_fleming"
    parameter: float | None = None

    def __post_init__(self) -> None:
        if self.family not in get_args(SpendingFamily):
            families = ", ".join(get_args(SpendingFamily))
            raise ValueError(f"The spending family is {self.family!r}; it must be one of {families}.")
        if self.family not in _PARAMETERS:
            if self.parameter is not None:
                raise ValueError(f"The spending family {self.family!r} takes no parameter; leave it out.")
            return
        name, low, high = _PARAMETERS[self.family]
        if self.parameter is None or not low <= self.parameter <= high:
            raise ValueError(
                f"The spending family {self.family!r} needs {name} between {low:g} and {high:g}; "
                f"it is {self.parameter!r}."
            )

    def spent(self, fraction: float, *, alpha: float) -> float:
        """The error rate spent by an information fraction.

        Args:
            fraction: Information fraction, positive; 1 and beyond is the planned end.
            alpha: The error rate to spend, between 0 and 1. A two-sided test spends half of its α on each
                side: hand in α/2 and count the answer twice.

        Raises:
            ValueError: fraction or alpha is out of range.

        Example:
            >>> round(Spending().spent(0.5, alpha=0.025), 6)
            0.001525
        """
        if not 0 < alpha < 1:
            raise ValueError(f"alpha is {alpha!r}; it must lie between 0 and 1.")
        if not fraction > 0:
            raise ValueError(f"The information fraction is {fraction!r}; it must be positive.")
        log_alpha = math.log(alpha)
        return alpha * math.exp(self.log_spent(fraction, log_alpha) - log_alpha)

    def alpha(self, fraction: float, *, spent: float) -> float:
        """The error rate of which so much is spent by an information fraction: the inverse of `spent`.

        So a p-value of one look that comes early becomes one of the whole analysis. At most 1.

        Args:
            fraction: Information fraction, positive; 1 and beyond is the planned end.
            spent: What is spent by then, from 0 to 1.

        Raises:
            ValueError: fraction or spent is out of range.

        Example:
            >>> round(Spending().alpha(0.5, spent=0.001525), 5)
            0.025
        """
        if not 0 <= spent <= 1:
            raise ValueError(f"spent is {spent!r}; it must lie between 0 and 1.")
        if not fraction > 0:
            raise ValueError(f"The information fraction is {fraction!r}; it must be positive.")
        if fraction >= 1 or spent == 0:
            return spent
        if self.family == "obrien_fleming":
            return 2 * float(ndtr(math.sqrt(fraction) * ndtri(spent / 2)))
        # The others spend the same share of every alpha.
        return min(1.0, math.exp(math.log(spent) - self.log_spent(fraction, 0.0)))

    def log_spent(self, fraction: float, log_alpha: float) -> float:
        """The natural logarithm of `spent`, from that of α: exact where α itself is below every double."""
        if fraction >= 1:
            return log_alpha
        if self.family == "obrien_fleming":
            quantile = float(ndtri_exp(log_alpha - math.log(2)))
            return math.log(2) + float(log_ndtr(quantile / math.sqrt(fraction)))
        if self.family == "pocock":
            return log_alpha + math.log(math.log1p((math.e - 1) * fraction))
        parameter = self.parameter or 0.0
        if self.family == "power" or abs(parameter) < _NO_GAMMA:
            return log_alpha + (parameter if self.family == "power" else 1.0) * math.log(fraction)
        return log_alpha + math.log(math.expm1(-parameter * fraction) / math.expm1(-parameter))
