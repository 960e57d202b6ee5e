"""A readout as one HTML file, with its figures inside: from the decision to its grounds."""

from collections.abc import Mapping, Sequence
from typing import Any

from equipoise_service.exports.markup import Markup
from equipoise_service.exports.report.page import drawn, page, section
from equipoise_service.exports.report.provenance import provenance
from equipoise_service.exports.report.results import results, segments
from equipoise_service.exports.report.verdict import heading, health, verdict
from equipoise_service.exports.report.wording import say
from equipoise_service.figures.catalogue import figures_of
from equipoise_service.readouts.reading import readout_of
from equipoise_service.readouts.schemas import Readout
from equipoise_service.readouts.verification import verify_readout

_HEALTH = ("sample-ratio",)
_RESULTS = ("lifts", "beliefs", "funnel")
_SEGMENTS = ("segment",)


def html_of(document: Mapping[str, Any], earlier: Sequence[Readout] = ()) -> str:
    """The report; it loads nothing from outside and runs no script.

    The readout is verified; where it disagrees with its statistics, the report begins with that.

    Args:
        document: The readout, as its JSON parses.
        earlier: Readouts of the same revision from before; with them there are figures over time.

    Raises:
        NotAReadout: It is none, or its statistics are impossible.
    """
    disagreements = verify_readout(document)
    readout = readout_of(document)
    figures = figures_of(readout, earlier)

    def those(*names: str) -> list[Markup]:
        return [drawn(each) for each in figures if each.name.startswith(names)]

    course = [drawn(each) for each in figures if not each.name.startswith((*_HEALTH, *_RESULTS, *_SEGMENTS))]
    return page(
        say("title", experiment=readout.experiment),
        heading(readout, disagreements),
        verdict(readout),
        health(readout, *those(*_HEALTH)),
        results(readout, *those(*_RESULTS)),
        *([section(say("course"), *course)] if course else []),
        *segments(readout, *those(*_SEGMENTS)),
        provenance(readout, agrees=not disagreements),
    )
