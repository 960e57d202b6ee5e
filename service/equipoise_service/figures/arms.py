"""One colour and one shape for each arm, the same in every figure of a readout."""

from collections.abc import Sequence

import altair as alt

from equipoise_service.figures.theme import ARM_SHAPES, ARMS
from equipoise_service.readouts.schemas import Readout


def variants_of(readout: Readout) -> list[str]:
    """The arms, the control first, then the others in the plan's order, then those that were not planned."""
    planned = [readout.plan.control, *readout.plan.treatments]
    return list(dict.fromkeys([*planned, *(arm.variant for arm in readout.arms)]))


def colours_of(variants: Sequence[str], shown: Sequence[str]) -> list[str]:
    """The colour of each arm that is shown.

    Args:
        variants: All arms.
        shown: Those that the figure shows.
    """
    return [ARMS[variants.index(each) % len(ARMS)] for each in shown]


def shapes_of(variants: Sequence[str], shown: Sequence[str]) -> list[str]:
    """The shape of each arm that is shown; where colours come again, they have other shapes."""
    places = [variants.index(each) for each in shown]
    return [ARM_SHAPES[(place + place // len(ARMS)) % len(ARM_SHAPES)] for place in places]


def colour_scale(variants: Sequence[str], shown: Sequence[str]) -> alt.Scale:
    """Colours for arms that are shown by their own names."""
    return alt.Scale(domain=list(shown), range=colours_of(variants, shown))


def shape_scale(variants: Sequence[str], shown: Sequence[str]) -> alt.Scale:
    """Shapes for arms that are shown by their own names."""
    return alt.Scale(domain=list(shown), range=shapes_of(variants, shown))
