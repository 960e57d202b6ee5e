"""Which segments a condition refers to."""

from collections.abc import Iterator, Mapping
from typing import Any


def referred(condition: Mapping[str, Any]) -> Iterator[str]:
    """The keys of the segments that a well-formed condition names, in its order, perhaps several times.

    Example:
        >>> list(referred({"any": [{"segment": "beta"}, {"not": {"segment": "staff"}}]}))
        ['beta', 'staff']
    """
    if "segment" in condition:
        yield condition["segment"]
    elif "not" in condition:
        yield from referred(condition["not"])
    else:
        for each in condition.get("all", condition.get("any", ())):
            yield from referred(each)
