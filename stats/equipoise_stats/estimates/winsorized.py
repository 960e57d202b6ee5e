"""Winsorization: a cut for extreme values, found blind to the arms, applied to both, and recorded."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from equipoise_stats.estimates.estimate import Detail, Estimate, NoEstimate
from equipoise_stats.results import Serialisable


@dataclass(frozen=True, slots=True)
class Cut(Serialisable):
    """Where values are cut off: what lies beyond an end is set to that end.

    Attributes:
        lower: Lower end, in the metric's unit; minus infinity where nothing is cut below.
        upper: Upper end; infinity where nothing is cut above.
        capped_share: Share of the pooled values that it changed; None for a cut set by hand.
        capped_mass: What it took away, as a share of the sum of the pooled absolute values; None likewise.

    Raises:
        ValueError: An end is NaN, or the lower end is not below the upper one.

    Example:
        >>> Cut(upper=100.0).apply([3.0, 250.0]).tolist()
        [3.0, 100.0]
    """

    lower: float = -math.inf
    upper: float = math.inf
    capped_share: float | None = None
    capped_mass: float | None = None

    def __post_init__(self) -> None:
        if not self.lower < self.upper:
            raise ValueError(f"The cut from {self.lower!r} to {self.upper!r} leaves no values.")

    def apply(self, values: ArrayLike) -> NDArray[np.float64]:
        """The values with those beyond an end set to it, of the same shape.

        Raises:
            ValueError: A value is NaN.
        """
        data = np.asarray(values, dtype=np.float64)
        if np.isnan(data).any():
            raise ValueError("values holds NaN; decide what it means first.")
        return np.clip(data, self.lower, self.upper)


def pooled_cut(
    arms: Mapping[str, ArrayLike],
    *,
    upper: float | None = 0.999,
    lower: float | None = None,
    zeros: bool = False,
) -> Cut:
    """Finds a cut at quantiles of all arms' values together, so that it cannot favour one.

    Find it once and keep it: a cut found anew at each look changes the metric between looks.

    Args:
        arms: The values of the units of each arm, each of shape (n,).
        upper: The quantile above which values are cut; None cuts none.
        lower: The quantile below which values are cut, for metrics of both signs; None (default) cuts none.
        zeros: Whether zeros count in the quantiles. By default they do not: where most units spend nothing,
            the quantile is one of those who do.

    Returns:
        The cut at observed values (the ⌈qn⌉-th smallest), with the share of values and of mass that it caps.
        Without any values to find it from, it is open.

    Raises:
        ValueError: No arm is given, a quantile is not between 0 and 1 or they are out of order, values are
            not finite, or so many values are equal that the two ends coincide.

    Source:
        Kohavi, Tang and Xu 2020, Trustworthy Online Controlled Experiments, chapter 22 (capping).

    Example:
        >>> cut = pooled_cut({"control": [0, 0, 5, 7], "treatment": [0, 6, 8, 900]}, upper=0.8)
        >>> cut.upper, cut.capped_share, round(cut.capped_mass, 3)
        (8.0, 0.125, 0.963)
    """
    if not arms:
        raise ValueError("There are no arms; give the values of each.")
    for name, q in (("upper", upper), ("lower", lower)):
        if q is not None and not 0 < q < 1:
            raise ValueError(f"{name} is {q!r}; a quantile lies between 0 and 1, for example 0.999.")
    if upper is not None and lower is not None and not lower < upper:
        raise ValueError(f"lower is {lower!r} and upper is {upper!r}; lower must be the smaller one.")
    pooled = np.concatenate([_checked(name, values) for name, values in arms.items()])
    basis = pooled if zeros else pooled[pooled != 0]
    if basis.size == 0:
        return Cut(capped_share=0.0, capped_mass=0.0)
    ends = [
        open_end if q is None else float(np.quantile(basis, q, method="inverted_cdf"))
        for q, open_end in ((lower, -math.inf), (upper, math.inf))
    ]
    if not ends[0] < ends[1]:
        raise ValueError(
            f"Both ends of the cut are {ends[1]!r}: too many values are equal to cut at quantiles."
        )
    cut = Cut(*ends)
    taken = np.abs(pooled - cut.apply(pooled))
    mass = float(np.abs(pooled).sum())
    return replace(
        cut,
        capped_share=float((taken > 0).mean()),
        capped_mass=float(taken.sum()) / mass if mass > 0 else 0.0,
    )


def winsorized(estimate: Estimate | NoEstimate, cut: Cut) -> Estimate | NoEstimate:
    """Records in an estimate the cut that its data went through; every result repeats it.

    Args:
        estimate: An estimate from moments of values to which `cut.apply` (or `least(y, cut)` in SQL) was
            applied in both arms.
        cut: That cut.

    Returns:
        The estimate with `winsorized_` before its name and the details `cut_lower`, `cut_upper` and, where
        known, `capped_share` and `capped_mass`.

    Example:
        >>> from equipoise_stats import Moments, mean_difference
        >>> arms = {"treatment": [1.0, 4.0, 90.0], "control": [2.0, 3.0, 5.0]}
        >>> cut = Cut(upper=6.0)
        >>> t, c = (Moments.from_arrays({"y": cut.apply(values)}) for values in arms.values())
        >>> e = winsorized(mean_difference(treatment=t, control=c), cut)
        >>> e.estimator, round(e.difference, 3), [d.name for d in e.details]
        ('winsorized_mean_welch', 0.333, ['cut_lower', 'cut_upper'])
    """
    named = (
        ("cut_lower", cut.lower),
        ("cut_upper", cut.upper),
        ("capped_share", cut.capped_share),
        ("capped_mass", cut.capped_mass),
    )
    figures = tuple(Detail(name, value) for name, value in named if value is not None)
    return replace(estimate, estimator=f"winsorized_{estimate.estimator}", details=estimate.details + figures)


def _checked(name: str, values: ArrayLike) -> NDArray[np.float64]:
    data = np.asarray(values, dtype=np.float64)
    if data.ndim != 1:
        raise ValueError(f"The values of arm {name!r} have shape {data.shape}; one value a unit is needed.")
    if not np.isfinite(data).all():
        raise ValueError(f"Arm {name!r} holds values that are not finite; decide what they mean first.")
    return data
