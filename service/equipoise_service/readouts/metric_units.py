"""How many units a metric is measured of, in each arm, as `equipoise verify` expects it."""

from collections.abc import Mapping
from typing import Any


def apart(readout: Mapping[str, Any]) -> set[str]:
    """The metrics of other sources than the first metric's, whose arms the readout has.

    A source may have exposures of its own, and so other units.

    Args:
        readout: A whole readout.
    """
    sources = {metric["key"]: metric.get("source") for metric in readout["plan"]["metrics"]}
    first = next(iter(sources.values()), None)
    return {key for key, source in sources.items() if source != first}


def units_of_metrics(readout: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """For each metric the units of each arm, the immature ones among them.

    They are those of the readout's arms; of a metric that is `apart` those that its comparisons name first,
    so that these agree at least with each other.

    Args:
        readout: A whole readout.
    """
    arms = {arm["variant"]: arm["units"] for arm in readout["arms"]}
    others = apart(readout)
    return {
        result["metric"]: _named_first(result) if result["metric"] in others else arms
        for result in readout["metrics"]
    }


def _named_first(result: Mapping[str, Any]) -> dict[str, int]:
    units: dict[str, int] = {}
    for comparison in (*result["comparisons"], *result.get("between_treatments", ())):
        for side in ("variant", "baseline"):
            statistics = comparison["statistics"][side]
            units.setdefault(comparison[side], statistics["n"] + statistics["immature"])
    return units
