"""What is odd about a metric's events, before the metric is used."""

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "preview.no_events": "there are no events at all",
        "preview.no_such_event": "there is no event {event} in this time; {more}",
        "preview.near": "did you mean {event}?",
        "preview.there_are": "there are {events}",
        "preview.nothing_meets_all": (
            "none of the {count} events {event} meets all filters; a filter is false where the property is "
            "missing or of another type"
        ),
        "preview.nothing_meets": "none of the events {event} meets its filters",
        "preview.no_values": (
            "all of the {count} events {event} have no value and add nothing; aggregation `count` counts "
            "events instead"
        ),
        "preview.values_missing": (
            "{missing} of the {count} events {event} have no value and add nothing; aggregation `count` "
            "counts events instead"
        ),
        "preview.large_values": (
            "the largest value, {largest}, is far above the 99th percentile, {high}; winsorize keeps one "
            "unit from deciding the result"
        ),
    }
)
