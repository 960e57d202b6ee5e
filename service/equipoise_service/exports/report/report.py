"""A readout as one HTML file, with its figures inside: from the decision to its grounds."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from equipoise_service.exports.markup import Markup, tag
from equipoise_service.exports.report.page import drawn, page, section
from equipoise_service.exports.report.provenance import provenance
from equipoise_service.exports.report.results import results, segments
from equipoise_service.exports.report.verdict import heading, health, since, verdict
from equipoise_service.figures.catalogue import figures_of
from equipoise_service.readouts.reading import readout_of
from equipoise_service.readouts.schemas import Readout
from equipoise_service.readouts.verification import verify_readout
from equipoise_service.texts.saying import say

_RESULTS = ("lifts", "beliefs", "funnel-", "values-")
_SEGMENTS = "segment-"
_HEALTH = ("sample-ratio", "sample-ratio-by-day")


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
    figures = [each for each in figures_of(readout, earlier) if each.leading]

    def those(place: Callable[[str], bool]) -> list[Markup]:
        return [drawn(each) for each in figures if place(each.name)]

    told = [] if readout.by_age is None else [tag("p", readout.by_age.text)]
    course = those(lambda name: not name.startswith((*_RESULTS, _SEGMENTS)) and name not in _HEALTH)
    return page(
        say("report.title", experiment=readout.experiment),
        heading(readout, disagreements),
        verdict(readout),
        *since(readout),
        health(readout, *those(lambda name: name in _HEALTH)),
        results(readout, *those(lambda name: name.startswith(_RESULTS))),
        *([section(say("report.course"), *told, *course)] if told or course else []),
        *segments(readout, *those(lambda name: name.startswith(_SEGMENTS))),
        provenance(readout, agrees=not disagreements),
    )
