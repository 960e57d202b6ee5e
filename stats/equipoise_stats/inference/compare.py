"""What margins and families of tests ask of an inference: a comparison at any level, side and null value."""

from typing import Protocol

from equipoise_stats.inference.comparison import Alternative, Comparison, Scale


class Compare(Protocol):
    """An inference with its data bound, so that it can be asked several questions.

    Example:
        >>> from functools import partial
        >>> from equipoise_stats import Counts, fixed_horizon, miettinen_nurminen, proportion_difference
        >>> arms = {"treatment": Counts(900, 90), "control": Counts(900, 80)}
        >>> one: Compare = partial(fixed_horizon, proportion_difference(**arms))
        >>> other: Compare = partial(miettinen_nurminen, **arms)
        >>> one(alpha=0.05).test.rejected, other(alpha=0.05).test.rejected
        (False, False)
    """

    def __call__(
        self,
        *,
        alpha: float = 0.05,
        alternative: Alternative = "two-sided",
        null: float = 0.0,
        scale: Scale = "difference",
    ) -> Comparison:
        """The comparison; see `fixed_horizon` for the four arguments."""
        ...
