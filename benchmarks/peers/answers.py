"""The numbers in this engine's answers; a random case without an answer is an error of the comparison."""

import equipoise_stats as es
from benchmarks.peers.agreement import Pairs


def estimated(answer: es.Estimate | es.NoEstimate) -> es.Estimate:
    """The estimate."""
    if isinstance(answer, es.NoEstimate):
        raise ValueError(f"A random case has no estimate: {answer.reason}")
    return answer


def p_of(result: es.Comparison) -> float:
    """The p-value."""
    if result.test.p_value is None:
        raise ValueError(f"A random case has no p-value: {result.test.reason}")
    return result.test.p_value


def ends(effect: es.Effect) -> tuple[float, float]:
    """The ends of the interval."""
    if effect.interval is None:
        raise ValueError(f"A random case has no interval: {effect.reason}")
    return effect.interval.lower, effect.interval.upper


def width(lower: float, upper: float) -> float:
    """The width of an interval."""
    return upper - lower


def p_and_ends(result: es.Comparison, p: float, lower: float, upper: float) -> Pairs:
    """The p-value and the interval of the difference beside a peer's."""
    ours = ends(result.difference)
    return [(p_of(result), p), (ours[0], lower), (ours[1], upper)]
