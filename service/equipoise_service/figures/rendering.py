"""Specifications to SVG and PNG, by vl-convert: no browser, no network."""

import re
from typing import Any

import vl_convert

from equipoise_service.figures.figure import Figure
from equipoise_service.figures.theme import CONFIG, DARK

_NOWHERE: list[str] = []
"""Where a specification may load data from. Ours have theirs inside."""

_COLOUR = re.compile(r'\b(fill|stroke)="(#[0-9a-f]{6})"')


def svg(figure: Figure) -> str:
    """The figure as SVG, on a light ground."""
    drawn: str = vl_convert.vegalite_to_svg(figure.specification, config=CONFIG, allowed_base_urls=_NOWHERE)
    return drawn


def png(figure: Figure, *, scale: float = 2.0) -> bytes:
    """The figure as PNG, on a light ground.

    Args:
        figure: The figure.
        scale: Pixels for each point.
    """
    drawn: bytes = vl_convert.vegalite_to_png(
        figure.specification, scale=scale, config=CONFIG, allowed_base_urls=_NOWHERE
    )
    return drawn


def page_svg(figure: Figure) -> str:
    """The figure as SVG for a page, on the page's own ground.

    Its colours are CSS variables, see `colour_variables`, so that they follow the page's light or dark dress.
    """
    config: dict[str, Any] = {**CONFIG, "background": None}
    drawn: str = vl_convert.vegalite_to_svg(figure.specification, config=config, allowed_base_urls=_NOWHERE)
    return _COLOUR.sub(_variable, drawn)


def colour_variables(*, dark: bool) -> str:
    """The declarations of the CSS variables that `page_svg` uses."""
    pairs = ((light, other if dark else light) for light, other in DARK.items())
    return "".join(f"--c{light[1:]}:{colour};" for light, colour in pairs)


def _variable(found: re.Match[str]) -> str:
    attribute, colour = found.groups()
    return f'{attribute}="var(--c{colour[1:]})"' if colour in DARK else found[0]
