"""The report: what a person reads first, nothing from outside, and no name that is more than a text."""

import json
import re
from copy import deepcopy
from html.parser import HTMLParser
from typing import Any

import pytest
from tests.service.figures.readouts import HOSTILE, hostile, watched
from tests.service.readouts.documents import (
    CONVERTED,
    PROVENANCE,
    bayesian_readout,
    converted,
    looked_readout,
    measured_readout,
    plan,
    rich_readout,
    segmented_readout,
    statistics,
)
from tests.service.readouts.repeated import numbers, repeated_readout

from equipoise_service.exports.making import Export, export
from equipoise_service.exports.report.report import html_of
from equipoise_service.figures.catalogue import figures_of
from equipoise_service.readouts.building import build_readout
from equipoise_service.readouts.reading import readout_of
from equipoise_service.texts.saying import TEXTS

VOID = {"meta"}


class Page(HTMLParser):
    """The elements and the text of a page; it fails where elements are not closed in order."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text.append(data.strip())

    @property
    def words(self) -> str:
        return " ".join(filter(None, self.text))


DOCUMENTS = {
    "looked": looked_readout(),
    "rich": rich_readout(),
    "segmented": segmented_readout(),
    "bayesian": bayesian_readout(),
    "measured": measured_readout(),
    "hostile": hostile(),
    "broken": converted((1_000, 10_000), (1_150, 11_000)),
    "empty": build_readout(plan(CONVERTED), statistics(), PROVENANCE),
    "repeated": repeated_readout(then=numbers(0.3, 0.2, 0.4)),
}


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_it_loads_nothing_runs_nothing_and_holds_every_figure(document: dict[str, Any]) -> None:
    source = html_of(document)
    page = Page(source)
    names = {name for name, _ in page.elements}
    assert not names & {"script", "link", "img", "iframe", "object", "embed", "form", "a", "image", "use"}
    for _, attributes in page.elements:
        assert not any(name.startswith("on") or name in ("src", "href") for name in attributes)
    # Names of namespaces are no addresses that anything is loaded from.
    addresses = set(re.findall(r"(?:https?:|//)[^\s\"'<)]+", source)) - {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert addresses == set()
    assert "@import" not in source
    assert "url(" not in re.sub(r'clip-path="url\(#\w+\)"', "", source)
    policy = next(each for _, each in page.elements if each.get("http-equiv"))
    assert (policy["content"] or "").startswith("default-src 'none'")
    labels = [each["aria-label"] or "" for name, each in page.elements if name == "figure"]
    figures = figures_of(readout_of(document))
    assert sorted(labels) == sorted(f"{each.title}. {each.text}" for each in figures)


def test_it_says_what_to_do_first_then_whether_to_believe_it_then_what_happened() -> None:
    document = segmented_readout()
    words = Page(html_of(document)).words
    said = document["summary"].removeprefix(document["recommendation"]["text"]).strip()
    places = [
        words.index(each)
        for each in (
            document["recommendation"]["text"],
            said,
            TEXTS["report.health"],
            TEXTS["report.results"],
            TEXTS["report.segments"],
            TEXTS["report.provenance"],
            document["digest"],
        )
    ]
    assert places == sorted(places)
    for number in ("13.19 %", "120 of 910", "+3.2 pp", "+0.2 to +6.1", "0.0339", "5 units (0.28 %)"):
        assert number in words
    assert TEXTS["report.recomputed"] in words
    assert f"country {document['segments'][0]['text']}" in words


def test_a_repeat_says_what_became_of_the_effects_before_all_else() -> None:
    words = Page(html_of(DOCUMENTS["repeated"])).words
    told = (
        "Nothing is recommended",
        "has faded",
        "Since the ship",
        "+20.0 to +40.0",
        "−20.0 pp",
        TEXTS["report.health"],
    )
    places = [words.index(each) for each in told]
    assert places == sorted(places)
    assert "Since the ship" not in Page(html_of(DOCUMENTS["measured"])).words


def test_over_time_needs_the_readouts_from_before() -> None:
    *earlier, last = watched(3)
    assert "over time: new" not in Page(html_of(last)).words
    words = Page(html_of(last, [readout_of(each) for each in earlier])).words
    assert "converted over time: new" in words
    # Those of the other metrics are figures to be had, and no part of the page.
    assert "load-time over time" not in words


def test_a_look_that_another_release_took_does_not_keep_the_report_from_being_made() -> None:
    *earlier, last = watched(3)
    del earlier[0]["population"]
    bodies = [json.dumps(each).encode() for each in (last, *earlier)]
    made = export(Export.HTML, bodies[0], bodies[1:], None)
    assert made is not None
    assert "over time: new" in Page(made.decode()).words


def test_a_failed_check_is_said_before_and_above_the_results() -> None:
    words = Page(html_of(DOCUMENTS["broken"])).words
    assert words.index("Do not rely on these results") < words.index(TEXTS["report.health"])
    failed = words.index(TEXTS["report.results.failed"])
    assert words.index(TEXTS["report.results"]) < failed < words.index("10.45 %")
    assert TEXTS["report.results.failed"] not in Page(html_of(DOCUMENTS["segmented"])).words


def test_an_edited_readout_is_called_that_before_anything_else() -> None:
    document = deepcopy(DOCUMENTS["segmented"])
    document["metrics"][0]["comparisons"][0]["difference"]["estimate"] = 0.5
    words = Page(html_of(document)).words
    assert words.index("was edited") < words.index(document["recommendation"]["text"])
    assert "/metrics/0/comparisons/0/difference/estimate" in words
    assert TEXTS["report.recomputed"] not in words


def test_names_from_outside_stay_texts() -> None:
    page = Page(html_of(DOCUMENTS["hostile"]))
    assert page.words.count(HOSTILE) > 5
    assert not any("alert" in name or "alert" in str(each.keys()) for name, each in page.elements)
