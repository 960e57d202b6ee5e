"""A readout in Python, from the file alone: frames and charts.

Example:
    >>> from equipoise_service.exports.opened import charts, read, results  # doctest: +SKIP
    >>> readout = read("readout.json")  # doctest: +SKIP
    >>> results(readout).to_pandas()  # doctest: +SKIP
    >>> charts(readout)["lifts"]  # doctest: +SKIP
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from equipoise_service.exports.tables import table_of
from equipoise_service.figures.installed import need_figures
from equipoise_service.readouts.reading import read_document, readout_of
from equipoise_service.readouts.schemas import Readout

if TYPE_CHECKING:
    import altair as alt


def read(file: str | Path) -> Readout:
    """The readout in a file, with everything in it as attributes.

    It is not verified; `equipoise verify` does that.

    Raises:
        NotAReadout: The file cannot be read, or is no readout.
    """
    return readout_of(read_document(Path(file)))


def results(readout: Readout) -> pa.Table:
    """The results, a row for each metric, arm, comparison and part of a segment.

    `.to_pandas()` makes a frame of it.
    """
    return table_of(readout)


def charts(readout: Readout, earlier: Sequence[Readout] = ()) -> "dict[str, alt.Chart | alt.LayerChart]":
    """The figures as Altair charts, by name.

    Args:
        readout: The readout.
        earlier: Readouts of the same revision from before; with them there are figures over time.

    Raises:
        FiguresMissing: The extra `figures` is not installed.
    """
    need_figures()

    import altair as alt

    from equipoise_service.figures.catalogue import figures_of
    from equipoise_service.figures.theme import CONFIG

    return {
        figure.name: alt.Chart.from_dict(figure.specification | {"config": CONFIG})
        for figure in figures_of(readout, earlier)
    }
