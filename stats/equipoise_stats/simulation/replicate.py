"""The slow way: any analysis whatever, run many times."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from equipoise_stats.inference.comparison import Comparison
from equipoise_stats.results import Serialisable


@dataclass(frozen=True, slots=True)
class Replications(Serialisable):
    """What an analysis did. Shares are of all replications.

    Attributes:
        replications: How often it ran.
        seed: The seed.
        rejected: Share that rejected.
        coverage: Share whose interval on the scale of the null value did not exclude the truth; without an
            interval, nothing is excluded.
        unanswered: Share without a test.
        p_values: The p-values, of those with a test.
    """

    replications: int
    seed: int
    rejected: float
    coverage: float
    unanswered: float
    p_values: tuple[float, ...]


def replicate(
    analyse: Callable[[np.random.Generator], Comparison], *, truth: float, replications: int, seed: int
) -> Replications:
    """Runs an analysis on data that it draws itself, and counts how often it rejects and covers the truth.

    For whatever `simulate` does not know: other estimators (adjusted, clustered, quantiles), other
    inferences, exact methods.

    Args:
        analyse: Draws data with the generator it is given and returns the comparison.
        truth: The true effect on the scale of the comparison's null value.
        replications: How often to run it.
        seed: Seed.

    Raises:
        ValueError: There is nothing to run.

    Example:
        >>> from equipoise_stats import Counts, score_test
        >>> def analyse(generator: np.random.Generator) -> Comparison:
        ...     treated, untreated = generator.binomial(60, 0.3, size=2)
        ...     return score_test(treatment=Counts(60, int(treated)), control=Counts(60, int(untreated)))
        >>> replicate(analyse, truth=0.0, replications=400, seed=3).rejected < 0.05 + 3 * 0.011
        True
    """
    if replications < 1:
        raise ValueError(f"There are {replications} replications; ask for one at least.")
    generator = np.random.default_rng(seed)
    rejected, covered, p_values = 0, 0, []
    for _ in range(replications):
        comparison = analyse(generator)
        effect = comparison.difference if comparison.test.scale == "difference" else comparison.lift
        covered += effect.interval is None or not effect.interval.excludes(truth)
        if comparison.test.p_value is not None:
            p_values.append(comparison.test.p_value)
            rejected += bool(comparison.test.rejected)
    return Replications(
        replications,
        seed,
        rejected / replications,
        covered / replications,
        1 - len(p_values) / replications,
        tuple(p_values),
    )
