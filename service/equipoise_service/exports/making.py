"""What leaves the service in another form than JSON, made of stored bytes: a pure function of them."""

import json
from collections.abc import Sequence
from enum import StrEnum

from equipoise_service.readouts.reading import readable, readout_of


class Export(StrEnum):
    """The forms that a readout can be had in over HTTP, beside JSON."""

    CSV = "csv"
    PARQUET = "parquet"
    NOTEBOOK = "notebook"
    HTML = "html"
    SVG = "svg"
    PNG = "png"


MEDIA_TYPES = {
    Export.CSV: "text/csv; charset=utf-8",
    Export.PARQUET: "application/vnd.apache.parquet",
    Export.NOTEBOOK: "application/x-ipynb+json",
    Export.HTML: "text/html; charset=utf-8",
    Export.SVG: "image/svg+xml",
    Export.PNG: "image/png",
}
ENDINGS = {Export.NOTEBOOK: "ipynb"}
DRAWN = frozenset({Export.HTML, Export.SVG, Export.PNG})
"""Those that take the extra `figures`."""


def export(form: Export, body: bytes, earlier: Sequence[bytes], figure: str | None) -> bytes | None:
    """Makes an export.

    Args:
        form: Its form.
        body: The readout's JSON.
        earlier: The JSON of the readouts of its looks, for figures over time.
        figure: For a figure: its name.

    Returns:
        The export; None where the readout has no such figure.

    Raises:
        NotAReadout: The body is none of this release.
    """
    document = json.loads(body)
    if form is Export.NOTEBOOK:
        from equipoise_service.exports.notebook import notebook_of

        return notebook_of(document).encode()
    if form not in DRAWN:
        from equipoise_service.exports.tables import csv_of, parquet_of

        return (csv_of if form is Export.CSV else parquet_of)(readout_of(document))
    before = readable(json.loads(each) for each in earlier)
    if form is Export.HTML:
        from equipoise_service.exports.report.report import html_of

        return html_of(document, before).encode()
    from equipoise_service.figures.catalogue import figures_of
    from equipoise_service.figures.rendering import png, svg

    found = next((each for each in figures_of(readout_of(document), before) if each.name == figure), None)
    if found is None:
        return None
    return png(found) if form is Export.PNG else svg(found).encode()
