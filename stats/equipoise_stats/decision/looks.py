"""A group-sequential inference that answers at any level and side, as a decision rule asks."""

from collections.abc import Sequence

from equipoise_stats.estimates.estimate import Estimate, NoEstimate
from equipoise_stats.inference.compare import Compare
from equipoise_stats.inference.comparison import Alternative, Comparison, Scale
from equipoise_stats.inference.group_sequential.analysis import group_sequential
from equipoise_stats.inference.group_sequential.looks import O_BRIEN_FLEMING, plan_looks
from equipoise_stats.inference.group_sequential.spending import Spending


def at_looks(
    estimate: Estimate | NoEstimate,
    *,
    fractions: Sequence[float],
    spending: Spending = O_BRIEN_FLEMING,
    final: bool = False,
    spending_times: Sequence[float] | None = None,
) -> Compare:
    """Binds an estimate to the looks at which it was looked at.

    A critical value depends on the level and the side, so a rule that asks for several of them cannot work
    with one `LookHistory`. The bounds follow from the fractions alone; they are the same at every call.

    Args:
        estimate: The estimate at the last look.
        fractions: Information fractions of all looks so far, this one last.
        spending: The spending function.
        final: Whether this is the last look though the planned information is not reached: all that is left
            of α is spent. To be decided before looking.
        spending_times: Where the spending function is read at each look, as `LookHistory.next_look` takes it;
            None: at the fractions.

    Returns:
        A function of alpha, alternative, null and scale, like the other inferences with their data bound.

    Raises:
        ValueError: There is no look, or the fractions are out of range.

    Example:
        >>> from equipoise_stats import Counts, proportion_difference
        >>> effect = proportion_difference(treatment=Counts(5000, 480), control=Counts(5000, 400))
        >>> compare = at_looks(effect, fractions=[0.25, 0.5])
        >>> looked = compare(alpha=0.05, alternative="greater")
        >>> round(looked.test.critical, 4), looked.test.rejected
        (2.5399, True)
    """
    if not fractions:
        raise ValueError("There is no look; give the information fraction of each one so far.")
    before = len(fractions) - final
    times = None if spending_times is None else spending_times[:before]

    def compare(
        *,
        alpha: float = 0.05,
        alternative: Alternative = "two-sided",
        null: float = 0.0,
        scale: Scale = "difference",
    ) -> Comparison:
        history = plan_looks(
            fractions[:before], spending=spending, alpha=alpha, alternative=alternative, spending_times=times
        )
        if final:
            history = history.next_look(fractions[-1], final=True)
        return group_sequential(
            estimate, history=history, alpha=alpha, alternative=alternative, null=null, scale=scale
        )

    return compare
