"""The difference of two means: Welch (each arm its own variance) and Student (one pooled variance)."""

import sys
from typing import Literal

from equipoise_stats.estimates.estimate import (
    ArmEstimate,
    Estimate,
    NoEstimate,
    contrast,
    too_few_units,
    welch_satterthwaite,
)
from equipoise_stats.estimates.skewness import difference_skewness
from equipoise_stats.moments import Moments

VarianceModel = Literal["welch", "pooled"]

_ROUNDING = 8 * sys.float_info.epsilon


def mean_difference(
    *,
    treatment: Moments,
    control: Moments,
    column: str | None = None,
    variance: VarianceModel = "welch",
) -> Estimate | NoEstimate:
    """Estimates the difference of the means of a column, treatment − control.

    Args:
        treatment: Moments of the treatment arm.
        control: Moments of the control arm.
        column: The column; may be left out when there is only one.
        variance: `welch` (default) or `pooled` (Student: assumes equal variances).

    Returns:
        The estimate in the column's unit, or `NoEstimate` (`too_few_units`, `no_variance`). A spread below
        the rounding error of the mean counts as none.

    Source:
        Welch 1947, Biometrika 34, 28–35; Student 1908, Biometrika 6, 1–25.

    Example:
        >>> e = mean_difference(
        ...     treatment=Moments.scalar(50, 11.0, 4.0), control=Moments.scalar(50, 10.0, 4.0)
        ... )
        >>> e.difference, e.standard_error, round(e.df, 9)
        (1.0, 0.4, 98.0)
    """
    estimator = f"mean_{variance}"
    if treatment.n < 2 or control.n < 2:
        return too_few_units(estimator, treatment=treatment.n, control=control.n)
    i, j = treatment.index(column), control.index(column)
    squares_t, squares_c = centred_squares(treatment, i), centred_squares(control, j)
    df: float
    if variance == "welch":
        v_t = squares_t / (treatment.n - 1) / treatment.n
        v_c = squares_c / (control.n - 1) / control.n
        df = welch_satterthwaite(v_t, treatment.n - 1, v_c, control.n - 1) if v_t + v_c > 0 else 1.0
    else:
        df = treatment.n + control.n - 2
        pooled = (squares_t + squares_c) / df
        v_t, v_c = pooled / treatment.n, pooled / control.n
    return contrast(
        estimator,
        treatment=ArmEstimate(treatment.n, treatment.mean[i], v_t),
        control=ArmEstimate(control.n, control.mean[j], v_c),
        df=df,
        skewness=difference_skewness(
            treatment.n,
            control.n,
            squares=squares_t + squares_c,
            third=None
            if treatment.third is None or control.third is None
            else treatment.third_moment(i, i, i) + control.third_moment(j, j, j),
        ),
    )


def centred_squares(arm: Moments, i: int) -> float:
    """The centred sum of squares of a column, 0 where it is nothing but the rounding error of the mean.

    Args:
        arm: Moments of the arm.
        i: Position of the column.

    Example:
        >>> centred_squares(Moments.scalar(1000, 0.1, 1e-34), 0)
        0.0
    """
    squares = arm.comoments[i][i]
    return squares if squares > arm.n * (_ROUNDING * arm.mean[i]) ** 2 else 0.0
