"""What figures look like: colours that colour-blind people tell apart, each with a shape of its own.

Blue and vermilion are Okabe and Ito's (Color Universal Design, 2008). No colour says anything alone: outcomes
differ by shape and words, arms by shape.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from equipoise_service.readouts.outcomes import Outcome
from equipoise_service.texts.saying import say

INK, MUTED, GRID, SURFACE = "#1f2328", "#59636e", "#d8dee4", "#fefefe"
BETTER, WORSE, FLAT = "#0072b2", "#d55e00", "#6e7780"
BAND = "#e7edf3"
ARMS = (FLAT, BETTER, WORSE, "#00795c", "#a64594", "#8a6d00")
ARM_SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")

OUTCOMES: Mapping[Outcome, tuple[str, str, str, str]] = MappingProxyType(
    {
        # The words, the line, the fill and the shape.
        Outcome.BETTER: (say("outcome_of.better"), BETTER, BETTER, "triangle-up"),
        Outcome.WORSE: (say("outcome_of.worse"), WORSE, WORSE, "triangle-down"),
        Outcome.FLAT: (say("outcome_of.flat"), FLAT, FLAT, "circle"),
        Outcome.WAITING: (say("outcome_of.waiting"), FLAT, SURFACE, "circle"),
        Outcome.UNKNOWN: (say("outcome_of.unknown"), FLAT, SURFACE, "square"),
    }
)

DARK: Mapping[str, str] = MappingProxyType(
    {
        INK: "#e6edf3",
        MUTED: "#9aa5b1",
        GRID: "#30363d",
        SURFACE: "#0d1117",
        BAND: "#1c2530",
        BETTER: "#58b3f0",
        WORSE: "#ff9457",
        FLAT: "#a2acb6",
        ARMS[3]: "#3fc79f",
        ARMS[4]: "#e08fd0",
        ARMS[5]: "#d9b740",
    }
)
"""For each colour its counterpart on a dark page."""

FONT = "Helvetica Neue, Helvetica, Arial, Liberation Sans, sans-serif"

_TEXT = {"labelColor": INK, "titleColor": MUTED, "labelFontSize": 12, "titleFontSize": 12}

CONFIG: dict[str, Any] = {
    "background": SURFACE,
    "font": FONT,
    "padding": 12,
    "view": {"stroke": None},
    "axis": {
        **_TEXT,
        "titleFontWeight": "normal",
        "gridColor": GRID,
        "domainColor": GRID,
        "tickColor": GRID,
        "titlePadding": 10,
    },
    # Nobody should tilt their head.
    "axisY": {
        "titleAngle": 0,
        "titleAlign": "left",
        "titleAnchor": "end",
        "titleX": 0,
        "titleY": -12,
        "titleBaseline": "bottom",
    },
    "legend": {
        **_TEXT,
        "orient": "bottom",
        "title": None,
        "symbolSize": 90,
        "symbolOpacity": 1,
        "symbolStrokeWidth": 2,
        "labelLimit": 240,
        "offset": 8,
    },
    "title": {
        "anchor": "start",
        "frame": "group",
        "color": INK,
        "fontSize": 15,
        "fontWeight": 600,
        "subtitleColor": MUTED,
        "subtitleFontSize": 12,
        "subtitlePadding": 6,
        "offset": 14,
    },
    "text": {"color": INK, "fontSize": 12},
}
