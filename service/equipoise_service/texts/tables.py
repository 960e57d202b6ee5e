"""The heads of tables, in a terminal and in the report."""

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "column.arm": "Arm",
        "column.units": "Units",
        "column.share": "Share",
        "column.planned": "Planned",
        "column.value": "Value",
        "column.difference": "Difference",
        "column.lift": "Lift",
        "column.p": "p",
        "column.p_corrected": "p corrected",
        "column.conclusion": "Conclusion",
        "column.check": "Check",
        "column.status": "Status",
        "column.number": "Figure",
        "column.found": "What it means, and what to do",
        "column.difference_at": "Difference ({level})",
        "column.lift_at": "Lift ({level})",
        "column.lift_of": "Lift of {variant} on {metric}",
        # Headings of a terminal.
        "terminal.revision": ", revision {revision}",
        "terminal.metric": "{type}, {role} metric",
        "terminal.segment": "segment",
        "terminal.segment.exploratory": "segment, exploratory",
    }
)
