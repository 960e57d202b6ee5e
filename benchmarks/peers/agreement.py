"""How far this engine and another library are apart on the same random cases."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

SAME = 1e-9
"""What two computations of one method may differ by, relative to the numbers."""

Pairs = Iterable[tuple[float, float]]
"""Numbers of this engine and of the peer that answer one question."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """One row of the table.

    Attributes:
        method: What is compared, in this engine's words.
        peer: The library, with the function that was asked.
        numbers: Numbers compared.
        gap: The largest relative difference among them.
        reason: Why they differ; None where the method is the same and `gap` must be below `SAME`.
    """

    method: str
    peer: str
    numbers: int
    gap: float
    reason: str | None = None

    def holds(self) -> bool:
        """Whether the numbers agree where they should."""
        return self.reason is not None or self.gap <= SAME


def agreement(
    method: str,
    peer: str,
    case: Callable[[np.random.Generator], Pairs],
    *,
    cases: int = 200,
    reason: str | None = None,
) -> Agreement:
    """Asks both on random cases.

    Args:
        method: What is compared.
        peer: With what.
        case: Draws one case and answers with pairs of numbers; an infinite one must have its like.
        cases: Number of cases.
        reason: Why a difference is to be expected.
    """
    rng = np.random.default_rng(20_260)
    gaps = [_gap(*pair) for _ in range(cases) for pair in case(rng)]
    return Agreement(method, peer, len(gaps), max(gaps), reason)


def _gap(ours: float, theirs: float) -> float:
    if ours == theirs:
        return 0.0
    if not (math.isfinite(ours) and math.isfinite(theirs)):
        return math.inf
    return abs(ours - theirs) / max(abs(ours), abs(theirs))
