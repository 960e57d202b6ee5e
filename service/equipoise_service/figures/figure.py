"""A figure: a Vega-Lite specification with its name, its title and what it says in words."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import altair as alt

from equipoise_service.readouts.printable import printable

_LONGEST_NAME = 80


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of a readout.

    Attributes:
        name: Its name among the figures of the readout: lower-case letters, digits and hyphens.
        title: What it shows.
        text: What it says, in words, for those who do not see it.
        specification: The Vega-Lite specification, with its data inside and without colours of the page.
        leading: Whether it is of the leading metric, or of all of them: what a report has room for.
    """

    name: str
    title: str
    text: str
    specification: dict[str, Any]
    leading: bool = True


def name_of(*parts: str) -> str:
    """A name that can stand in a path, from texts of any kind.

    Example:
        >>> name_of("funnel", "Bought: once / ever")
        'funnel-bought-once-ever'
    """
    return re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")[:_LONGEST_NAME]


def distinct(figures: Iterable[Figure]) -> list[Figure]:
    """The figures, a number after each name that is taken already."""
    found: dict[str, Figure] = {}
    for figure in figures:
        name, number = figure.name, 2
        while name in found:
            name, number = f"{figure.name}-{number}", number + 1
        found[name] = replace(figure, name=name)
    return list(found.values())


def specification(chart: alt.TopLevelMixin) -> dict[str, Any]:
    """The chart as Vega-Lite, without the theme that Altair has in place, and texts that XML holds."""
    document: dict[str, Any] = printable(chart.to_dict())
    document.pop("config", None)
    return document
