"""Independence of two assignments at any moment, however often one looks."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln

from equipoise_stats.multinomial import dirichlet_multinomial_log_e


def anytime_independence(
    units: ArrayLike, *, shares: Sequence[float], concentration: float = 1000.0
) -> float | None:
    """Tests that the units of each row fell into the columns by the same shares, whichever these are.

    Of each row the likelihood of a Dirichlet mixture around the planned shares is an e-value against any
    given shares, and the product over the rows is one against "all rows have these". Its smallest value over
    all shares, which is at those of all rows together, is an e-value of "all rows have the same".

    Args:
        units: Units, shape (rows, columns): say, the variants of another experiment, and those of this one.
        shares: The planned share of each column, in any unit, positive, fixed before the data came. They
            shape what is found early, never whether the test is valid.
        concentration: Weight of each mixture, in units, see `sequential_sample_ratio`.

    Returns:
        The natural logarithm of the p-value, valid at any moment; None where fewer than two rows have units.

    Raises:
        ValueError: The shapes disagree, a count is negative, a share is not positive, or the concentration is
            out of range.

    Source:
        The e-value: Lindon and Malek 2022, Anytime-valid inference for multinomial count data, NeurIPS 35.
        The smallest over a composite null hypothesis: Ramdas, Grünwald, Vovk and Shafer 2023, Statistical
        Science 38, 576–601.

    Example:
        >>> round(anytime_independence([[6000, 4000], [4000, 6000]], shares=[1, 1]), 1)
        -363.3
        >>> anytime_independence([[6000, 4000], [3000, 2000]], shares=[1, 1])
        0.0
    """
    n, planned = np.asarray(units, dtype=np.float64), np.asarray(shares, dtype=np.float64)
    if n.ndim != 2 or planned.shape != (n.shape[1],):
        raise ValueError(
            f"units has the shape {n.shape} and there are {planned.size} shares; each column needs its share."
        )
    if not (n >= 0).all():
        raise ValueError("A count of units is negative or no number.")
    if not ((planned > 0) & np.isfinite(planned)).all():
        raise ValueError(f"The shares are {planned.tolist()}; each must be a positive number.")
    if not 1 <= concentration <= 1e9:
        raise ValueError(
            f"concentration is {concentration!r}; it must lie between 1 and 1e9 units, for example 1000."
        )
    rows = n[n.sum(axis=1) > 0]
    if len(rows) < 2:
        return None
    used = rows.sum(axis=0) > 0
    together = rows.sum(axis=0)[used] / rows.sum()
    prior = concentration * planned / planned.sum()
    log_e = dirichlet_multinomial_log_e(rows[:, used], null=together, prior=prior[used])
    if not used.all():
        # The mixture was fixed over all columns, also over those that nobody fell into.
        total, of_used, of_all = rows.sum(axis=1), prior[used].sum(), prior.sum()
        log_e += gammaln(of_used + total) - gammaln(of_used) + gammaln(of_all) - gammaln(of_all + total)
    return min(0.0, -float(log_e.sum()))
