"""All cells, in the order of the table."""

from calibration import (
    adaptive,
    adjusted,
    beliefs,
    checks,
    counts,
    families,
    looks,
    means,
    peeking,
    planned,
    proportions,
    real,
    units,
)
from calibration.measure import Cell


def all_cells() -> list[Cell]:
    """Every cell; those on real data only where the data are."""
    simulated = (
        means,
        proportions,
        units,
        adjusted,
        looks,
        peeking,
        counts,
        families,
        checks,
        beliefs,
        adaptive,
        planned,
    )
    cells = [cell for module in simulated for cell in module.CELLS]
    return cells + list(real.CELLS) if real.available() else cells
