"""Corrections for how often something is asked."""

import math
from collections.abc import Mapping
from typing import TypeVar

from equipoise_stats import holm

_Key = TypeVar("_Key")


def by_holm(logs: Mapping[_Key, float | None]) -> dict[_Key, float]:
    """P-values by Holm, from the natural logarithms of those that there are.

    Example:
        >>> found = by_holm({"a": math.log(0.01), "b": None, "c": math.log(0.04)})
        >>> {key: round(p, 4) for key, p in found.items()}
        {'a': 0.02, 'c': 0.04}
    """
    known = {key: log_p for key, log_p in logs.items() if log_p is not None}
    adjusted = holm(list(known.values()), log=True).tolist() if known else []
    return {key: math.exp(log_p) for key, log_p in zip(known, adjusted, strict=True)}
