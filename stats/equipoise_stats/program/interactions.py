"""Interactions: does the effect of one experiment depend on the arm of another?"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from equipoise_stats.estimates.estimate import ArmEstimate, ArmSummary, Estimate, NoEstimate, contrast
from equipoise_stats.estimates.mean import centred_squares
from equipoise_stats.inference.settings import check_alpha
from equipoise_stats.moments import Moments
from equipoise_stats.results import Serialisable, Status
from equipoise_stats.wald import ChiSquareTest, crossed_cells, independence, wald_test

_INDEPENDENCE_ALPHA = 0.001


def interaction_difference(
    *, both: Moments, first_only: Moments, second_only: Moments, neither: Moments, column: str | None = None
) -> Estimate | NoEstimate:
    """Estimates how much more two treatments do together than the sum of what each does alone.

    The effect is m_both − m_first − m_second + m_neither; as an `Estimate` it goes into any inference. Its
    baseline (`control`) is the mean of the units with neither treatment, so a lift is a share of that.

    Args:
        both: Moments of the units in the treatment arms of both experiments.
        first_only: Those in the first experiment's treatment and the second's control.
        second_only: Those in the second's treatment and the first's control.
        neither: Those in both controls.
        column: The column; may be left out when there is only one.

    Returns:
        The estimate in the column's unit, or `NoEstimate` (`too_few_units`, `no_variance`).

    Source:
        Degrees of freedom: Satterthwaite 1946.

    Example:
        >>> e = interaction_difference(
        ...     both=Moments.scalar(100, 13.0, 4.0), first_only=Moments.scalar(100, 11.0, 4.0),
        ...     second_only=Moments.scalar(100, 11.0, 4.0), neither=Moments.scalar(100, 10.0, 4.0),
        ... )
        >>> e.difference, round(e.standard_error, 9)
        (1.0, 0.4)
    """
    cells = (both, first_only, second_only, neither)
    others = both.n + first_only.n + second_only.n
    if min(cell.n for cell in cells) < 2:
        return NoEstimate(
            "interaction",
            Status.TOO_FEW_UNITS,
            f"Each of the four cells needs at least 2 units; they have {', '.join(str(c.n) for c in cells)}.",
            ArmSummary(others),
            ArmSummary(neither.n),
        )
    means = [cell.mean[cell.index(column)] for cell in cells]
    variances = [centred_squares(cell, cell.index(column)) / (cell.n - 1) / cell.n for cell in cells]
    effect = (means[0] - means[1]) - (means[2] - means[3])
    whole = sum(variances)
    df = (
        1 / sum((v / whole) ** 2 / (cell.n - 1) for v, cell in zip(variances, cells, strict=True))
        if whole > 0
        else 1.0
    )
    return contrast(
        "interaction",
        treatment=ArmEstimate(others, means[3] + effect, whole + 3 * variances[3]),
        control=ArmEstimate(neither.n, means[3], variances[3]),
        covariance=2 * variances[3],
        df=df,
    )


@dataclass(frozen=True, slots=True)
class InteractionEffect(Serialisable):
    """The interaction of one pair of arms.

    Attributes:
        first: Arm of the first experiment.
        second: Arm of the second experiment.
        effect: What both do more than the sum of each alone, in the metric's unit.
        standard_error: Its standard error.
    """

    first: str
    second: str
    effect: float
    standard_error: float


@dataclass(frozen=True, slots=True)
class Interaction(Serialisable):
    """Whether two experiments interact.

    Attributes:
        status: `ok`, or why there is no test.
        reason: A sentence for a person, None when the status is `ok`.
        alpha: Level of the test.
        test: Wald test that no pair of arms interacts; None when there is none.
        detected: Whether it rejects: p ≤ α.
        assignment: Pearson's test that the two assignments are independent.
        assignment_dependent: Whether it rejects at 0.001: then units reached the cells other than by two
            independent randomisations, and no comparison of them can be trusted.
        effects: The interaction of every pair of arms other than the controls.
    """

    status: Status
    reason: str | None
    alpha: float
    test: ChiSquareTest | None = None
    detected: bool | None = None
    assignment: ChiSquareTest | None = None
    assignment_dependent: bool | None = None
    effects: tuple[InteractionEffect, ...] = ()


def interaction_test(
    cells: Mapping[tuple[str, str], Moments],
    *,
    first_control: str,
    second_control: str,
    column: str | None = None,
    alpha: float = 0.01,
) -> Interaction:
    """Tests whether two experiments with any number of arms interact (Wald test on the means of the cells).

    For many pairs of experiments adjust the p-values with `benjamini_hochberg`.

    Args:
        cells: Moments of the units by (arm of the first experiment, arm of the second), every combination.
        first_control: The first experiment's control.
        second_control: The second's.
        column: The column; may be left out when there is only one.
        alpha: Level.

    Returns:
        The outcome, or the status `too_few_units` or `no_variance`.

    Raises:
        ValueError: A combination is missing, or a control is not among the arms.

    Source:
        Kohavi, Tang and Xu 2020, Trustworthy Online Controlled Experiments, chapter 4; Wald 1943.

    Example:
        >>> means = {("off", "old"): 10.0, ("on", "old"): 11.0, ("off", "new"): 11.0, ("on", "new"): 9.0}
        >>> outcome = interaction_test(
        ...     {arms: Moments.scalar(100, mean, 4.0) for arms, mean in means.items()},
        ...     first_control="off", second_control="old",
        ... )
        >>> outcome.detected, outcome.effects[0].effect, round(outcome.test.statistic, 6)
        (True, -3.0, 56.25)
    """
    check_alpha(alpha)
    table = crossed_cells(cells, column)
    for name, levels in ((first_control, table.rows), (second_control, table.columns)):
        if name not in levels:
            raise ValueError(f"The control {name!r} is not among the arms {levels}.")
    assignment = independence(table.n)
    dependent = None if assignment is None else assignment.p_value <= _INDEPENDENCE_ALPHA
    if table.n.min() < 2:
        return Interaction(
            Status.TOO_FEW_UNITS,
            "Each combination of arms needs at least 2 units.",
            alpha,
            assignment=assignment,
            assignment_dependent=dependent,
        )
    i0, j0 = table.rows.index(first_control), table.columns.index(second_control)
    pairs = [(i, j) for i in range(len(table.rows)) for j in range(len(table.columns)) if i != i0 and j != j0]
    contrasts = np.zeros((len(pairs), *table.n.shape))
    for row, (i, j) in enumerate(pairs):
        contrasts[row, [i, i0], [j, j0]] = 1
        contrasts[row, [i, i0], [j0, j]] = -1
    flat = contrasts.reshape(len(pairs), -1)
    means, variances = table.mean.ravel(), table.variance.ravel()
    test = wald_test(flat, means, variances)
    if test is None:
        return Interaction(
            Status.NO_VARIANCE,
            "All units of a cell have the same value, in all cells: nothing measures the uncertainty.",
            alpha,
            assignment=assignment,
            assignment_dependent=dependent,
        )
    effects = tuple(
        InteractionEffect(
            table.rows[i],
            table.columns[j],
            float(weights @ (means - means[0])),
            math.sqrt(float(weights**2 @ variances)),
        )
        for (i, j), weights in zip(pairs, flat, strict=True)
    )
    return Interaction(Status.OK, None, alpha, test, test.p_value <= alpha, assignment, dependent, effects)
