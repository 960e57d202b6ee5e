"""All figures that a readout has the data for."""

from collections.abc import Sequence

from equipoise_service.figures.ages import effects_by_age
from equipoise_service.figures.beliefs import beliefs
from equipoise_service.figures.distributions import distributions
from equipoise_service.figures.figure import Figure, distinct
from equipoise_service.figures.funnels import funnels
from equipoise_service.figures.looks import bounds
from equipoise_service.figures.over_time import effects_over_time, shares_over_time
from equipoise_service.figures.population import sample_ratio
from equipoise_service.figures.results import forest
from equipoise_service.figures.segments import segment_forests
from equipoise_service.readouts.schemas import Readout


def figures_of(readout: Readout, earlier: Sequence[Readout] = ()) -> list[Figure]:
    """Draws everything that can be drawn, what matters most first.

    Args:
        readout: The readout.
        earlier: Readouts of the same revision from before, such as those of its looks, in any order. With
            them there are figures over time.
    """
    before = sorted(
        (
            each
            for each in earlier
            if (each.experiment, each.revision) == (readout.experiment, readout.revision)
            and each.generated_at < readout.generated_at
        ),
        key=lambda each: each.generated_at,
    )
    return distinct(
        [
            *forest(readout),
            *beliefs(readout),
            *bounds(readout, before),
            *effects_over_time(readout, before),
            *effects_by_age(readout),
            *funnels(readout),
            *distributions(readout),
            *segment_forests(readout),
            *sample_ratio(readout),
            *shares_over_time(readout, before),
        ]
    )
