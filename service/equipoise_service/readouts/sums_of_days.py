"""That the days of a readout hold every unit once: their sums are the readout's."""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from equipoise_service.readouts.metric_units import apart, units_of_metrics
from equipoise_stats import Moments, order_ranks

_TOLERANCE = 1e-10
"""Relative: the sums of all units are those of the days, so they differ in their last digits only."""


def expect_days(expected: dict[str, Any]) -> None:
    """Puts into the last day of an expected readout what all units leave of the days before.

    Args:
        expected: The recomputed readout, changed in place.
    """
    found = expected["by_day"]
    if found is None:
        return
    units = [day["units"] for day in found["days"]]
    left = {arm["variant"]: arm["units"] for arm in expected["arms"]}
    for day in units[:-1]:
        for variant, number in day.items():
            left[variant] = left.get(variant, 0) - number
    units[-1].update({variant: number for variant, number in left.items() if number or variant in units[-1]})
    totals = {result["metric"]: _sides(result) for result in expected["metrics"]}
    others, all_units = apart(expected), units_of_metrics(expected)
    for metric in found["metrics"]:
        for arm in metric["arms"]:
            variant, days = arm["variant"], arm["statistics"]
            total = totals.get(metric["metric"], {}).get(variant)
            if total is None:
                continue
            numbers = [day.get(variant, 0) for day in units]
            so_far = "quantile" in total
            if metric["metric"] in others:
                before = [day["n"] + day["immature"] for day in days[:-1]]
                whole = all_units[metric["metric"]][variant]
                numbers = [*before, whole if so_far else whole - sum(before)]
            elif so_far:
                numbers = list(accumulate(numbers))
            (_expect_so_far if so_far else _expect_arm)(days, numbers, total)


def _sides(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The statistics of each arm on one metric."""
    return {
        comparison[side]: comparison["statistics"][side]
        for comparison in result["comparisons"]
        for side in ("baseline", "variant")
    }


def _expect_so_far(days: Sequence[dict[str, Any]], units: Sequence[int], total: dict[str, Any]) -> None:
    """Of a quantile each day holds what is known of all units so far, and so the last one the readout's."""
    for day, number in zip(days, units, strict=True):
        _expect_quantile(day)
        day["n"] = number - day["immature"]
    days[-1].update(total)
    for before, day in reversed(list(pairwise(days))):
        # Who came before is still there.
        for name in ("n", "immature"):
            before[name] = min(before[name], day[name])


def _expect_quantile(day: dict[str, Any]) -> None:
    """No more units have values than there are, and where the ends lie says whether there are any."""
    day["acting"] = min(day["acting"], day["n"])
    if day["means"] is not None and day["comoments"] is not None and not _ends_fit(day):
        day["means"] = day["comoments"] = None


def _ends_fit(day: dict[str, Any]) -> bool:
    events = day["means"][1]
    if events < 1:
        return False
    counts = Moments(
        day["acting"], ("below", "events"), tuple(day["means"]), tuple(map(tuple, day["comoments"]))
    )
    lower, upper = order_ranks(counts, day["quantile"])
    beyond = [lower < 1, upper > round(day["acting"] * events)]
    return beyond == [day["lower"] is None, day["upper"] is None]


def _expect_arm(days: Sequence[dict[str, Any]], units: Sequence[int], total: dict[str, Any]) -> None:
    *before, last = days
    last["immature"] = total["immature"] - sum(day["immature"] for day in before)
    for day, number in zip(days, units, strict=True):
        day["n"] = number - day["immature"]
    if "successes" in total:
        last["successes"] = total["successes"] - sum(day["successes"] for day in before)
    if "steps" in total:
        reached = zip(*(day["steps"] for day in before), strict=True)
        sums = [sum(step) for step in reached] or [0] * len(total["steps"])
        last["steps"] = [whole - part for whole, part in zip(total["steps"], sums, strict=True)]
    means, comoments = ("means", "comoments") if "means" in total else ("mean", "m2")
    if total.get(means) is None or any(day[means] is None for day in days):
        return
    if not _agree(days, total, means, comoments):
        last[means] = last[comoments] = None
    elif not _third_agree(days, total):
        last["m3"] = None


def _third_agree(days: Sequence[dict[str, Any]], total: dict[str, Any]) -> bool:
    """Whether the sums of third powers of the days of a mean, where they are known, are that of all units."""
    if total.get("m3") is None or any(day.get("m3") is None for day in days):
        return True
    n, mean, m2, m3 = (np.array([day[name] for day in days], float) for name in ("n", "mean", "m2", "m3"))
    away = mean - total["mean"]
    parts = np.concatenate([m3, 3 * away * m2, n * away**3])
    digits = 4 * np.finfo(float).eps * abs(total["mean"])
    room = _TOLERANCE * (np.abs(parts).sum() + total["m2"] ** 1.5) + 3 * digits * total["m2"]
    return bool(abs(parts.sum() - total["m3"]) <= room)


def _agree(days: Sequence[dict[str, Any]], total: dict[str, Any], means: str, comoments: str) -> bool:
    """Whether the moments of the days are those of all units."""
    n = np.array([day["n"] for day in days], float)
    mean = np.array([np.atleast_1d(day[means]) for day in days])
    squares = np.array([np.atleast_2d(day[comoments]) for day in days])
    whole_mean, whole = np.atleast_1d(total[means]), np.atleast_2d(total[comoments])
    if not n.sum():
        return True
    away = mean - whole_mean
    both = squares.sum(axis=0) + np.einsum("i,ij,ik->jk", n, away, away)
    spread = np.sqrt(np.diag(whole))
    size = np.abs(whole_mean)
    # A mean is known to its last digit only, and each unit's distance from it no better.
    digits = 4 * np.finfo(float).eps * size * np.sqrt(n.sum())
    room = (
        _TOLERANCE * np.outer(spread, spread) + np.outer(spread, digits) + np.outer(digits, spread + digits)
    )
    near = _TOLERANCE * (spread / np.sqrt(n.sum()) + size)
    return bool(np.all(np.abs(n @ away) / n.sum() <= near) and np.all(np.abs(both - whole) <= room))
