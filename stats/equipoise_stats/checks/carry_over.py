"""Carry-over: do units still feel the arm that they had in an earlier experiment?"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from equipoise_stats.inference.settings import check_alpha
from equipoise_stats.moments import Moments
from equipoise_stats.results import CheckStatus, Serialisable
from equipoise_stats.wald import Cells, ChiSquareTest, crossed_cells, independence, wald_test


class CarryOverFinding(StrEnum):
    """What the check found."""

    DEPENDENT = "dependent"
    MODIFIED = "modified"
    RESIDUAL = "residual"


@dataclass(frozen=True, slots=True)
class CarryOver(Serialisable):
    """The outcome of the check.

    Attributes:
        status: `failed` for a dependent assignment, `warning` for the other findings, `ok`, or `unavailable`
            (too few units in a cell, or no variance).
        finding: The gravest: `dependent` (the arms of the two experiments are not independent: the earlier
            experiment biases this one), `modified` (the current effect differs by earlier arm), `residual`
            (the earlier arms still differ; harmless noise while the assignment is independent); None
            otherwise.
        reason: A sentence for a person, None when the status is `ok`.
        alpha: Level of each of the three tests.
        assignment: Pearson's test that the two assignments are independent.
        modification: Wald test that the current effect is the same for all earlier arms.
        residual: Wald test that the earlier arms have the same mean now, averaged over the current arms.
    """

    status: CheckStatus
    finding: CarryOverFinding | None
    reason: str | None
    alpha: float
    assignment: ChiSquareTest | None
    modification: ChiSquareTest | None = None
    residual: ChiSquareTest | None = None


def carry_over(
    cells: Mapping[tuple[str, str], Moments], *, column: str | None = None, alpha: float = 0.001
) -> CarryOver:
    """Checks what an earlier experiment on the same units does to this one.

    Re-used buckets are the usual cause: with a fresh salt for every experiment the assignments are
    independent, and what is left of the earlier effect falls on all current arms alike.

    Args:
        cells: Moments of the current metric by (arm in the earlier experiment, arm in the current one), every
            combination, of units that were in both.
        column: The column; may be left out when there is only one.
        alpha: Level of each test; small, because the check runs on every experiment.

    Raises:
        ValueError: A combination is missing, or alpha is out of range.

    Source:
        Kohavi et al. 2012, Trustworthy Online Controlled Experiments: Five Puzzling Outcomes Explained, KDD,
        section 3.5 (carryover effects).

    Example:
        >>> check = carry_over({
        ...     ("old", "control"): Moments.scalar(1000, 10.0, 9.0),
        ...     ("old", "treatment"): Moments.scalar(600, 10.0, 9.0),
        ...     ("new", "control"): Moments.scalar(600, 11.0, 9.0),
        ...     ("new", "treatment"): Moments.scalar(1000, 11.0, 9.0),
        ... })
        >>> check.status.value, check.finding.value
        ('failed', 'dependent')
    """
    check_alpha(alpha)
    table = crossed_cells(cells, column)
    assignment = independence(table.n)
    modification = residual = None
    if table.n.min() >= 2:
        modification, residual = _modification(table), _residual(table)
    status, finding = CheckStatus.OK, None
    if assignment is not None and assignment.p_value <= alpha:
        status, finding = CheckStatus.FAILED, CarryOverFinding.DEPENDENT
    elif modification is None or residual is None:
        return CarryOver(CheckStatus.UNAVAILABLE, None, _UNAVAILABLE, alpha, assignment)
    elif modification.p_value <= alpha:
        status, finding = CheckStatus.WARNING, CarryOverFinding.MODIFIED
    elif residual.p_value <= alpha:
        status, finding = CheckStatus.WARNING, CarryOverFinding.RESIDUAL
    reason = None if finding is None else _REASONS[finding]
    return CarryOver(status, finding, reason, alpha, assignment, modification, residual)


def _modification(table: Cells) -> ChiSquareTest | None:
    """All differences between earlier arms of differences between current arms."""
    r, c = table.n.shape
    contrasts = np.zeros(((r - 1) * (c - 1), r, c))
    for i in range(1, r):
        for j in range(1, c):
            contrasts[(i - 1) * (c - 1) + j - 1, [i, 0], [j, 0]] = 1
            contrasts[(i - 1) * (c - 1) + j - 1, [i, 0], [0, j]] = -1
    return wald_test(contrasts.reshape(len(contrasts), -1), table.mean.ravel(), table.variance.ravel())


def _residual(table: Cells) -> ChiSquareTest | None:
    """All differences between earlier arms, averaged over current arms."""
    r, c = table.n.shape
    contrasts = np.zeros((r - 1, r, c))
    for i in range(1, r):
        contrasts[i - 1, i] = 1 / c
        contrasts[i - 1, 0] = -1 / c
    return wald_test(contrasts.reshape(r - 1, -1), table.mean.ravel(), table.variance.ravel())


_UNAVAILABLE = "Each combination of arms needs at least 2 units, and values that vary."
_REASONS = {
    CarryOverFinding.DEPENDENT: "The arms of the earlier and of this experiment are not independent: buckets "
    "were re-used. What the earlier experiment left behind biases this one; start again with a new salt.",
    CarryOverFinding.MODIFIED: "The effect differs by the arm that units had in the earlier experiment: it "
    "may not hold for units that were not in it.",
    CarryOverFinding.RESIDUAL: "Units still differ by the arm that they had in the earlier experiment. The "
    "effect here is not biased, as the assignments are independent; stratify by the earlier arm.",
}
