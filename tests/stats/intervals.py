"""Intervals of which a test knows that they are there."""

from equipoise_stats import Effect, Interval


def interval_of(interval: Interval | None) -> Interval:
    assert interval is not None
    return interval


def ends(effect: Effect) -> tuple[float, float]:
    interval = interval_of(effect.interval)
    return interval.lower, interval.upper
