"""The report, opened from a file in a real browser that reaches no network."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.service.exports.browser import CHROMIUM, Browser, browser
from tests.service.figures.readouts import hostile, watched
from tests.service.readouts.documents import looked_readout, segmented_readout

from equipoise_service.exports.report.report import html_of
from equipoise_service.figures.catalogue import figures_of
from equipoise_service.readouts.reading import readout_of

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Debian's chromium is not installed")

DOCUMENTS = {
    "watched": watched(3)[-1],
    "looked": looked_readout(),
    "segmented": segmented_readout(),
    "hostile": hostile(),
}
_TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("chromium")) as found:
        yield found


def faults(page: Browser) -> list[dict[str, Any]]:
    """What a developer would see in red, blocked loads among it, and whatever was asked of a network."""
    said = page.reported("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")
    asked = [
        each
        for each in page.reported("Network.requestWillBeSent")
        if not each["request"]["url"].startswith("file:")
    ]
    return [*said, *page.reported("Network.loadingFailed"), *asked]


@pytest.mark.parametrize("width", [1_000, 400])
@pytest.mark.parametrize("name", DOCUMENTS)
def test_it_is_whole_in_a_browser(name: str, width: int, chromium: Browser, tmp_path: Path) -> None:
    document = DOCUMENTS[name]
    path = tmp_path / "report.html"
    path.write_text(html_of(document), encoding="utf-8")
    chromium.open(path, width=width)
    figures = chromium.value(
        "[...document.querySelectorAll('figure svg')].map(each => each.getBoundingClientRect())"
        ".map(box => [box.width, box.height])"
    )
    assert faults(chromium) == []
    assert len(figures) == len(list(figures_of(readout_of(document))))
    assert all(wide > 150 and high > 60 for wide, high in figures), figures
    shown = " ".join(chromium.value("document.body.innerText").split())
    assert " ".join(document["recommendation"]["text"].split()) in shown
    assert chromium.value("getComputedStyle(document.querySelector('.verdict')).borderLeftWidth") == "6px"
    # What is wider than the page, a table of many columns, scrolls in its own place.
    chromium.value("window.scrollTo(9999, 0)")
    assert chromium.value("window.scrollX") == 0
    assert chromium.value(_TOO_WIDE) == 0


def test_on_a_narrow_page_figures_are_smaller_as_far_as_they_can_be_read(
    chromium: Browser, tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    path.write_text(html_of(DOCUMENTS["watched"]), encoding="utf-8")
    found: dict[int, list[tuple[float, float, float]]] = {}
    for width in (1_000, 400):
        chromium.open(path, width=width)
        found[width] = chromium.value(
            "[...document.querySelectorAll('figure')].map(each => "
            "[each.clientWidth, each.firstElementChild.getBoundingClientRect()])"
            ".map(([room, box]) => [room, box.width, box.height])"
        )
    assert found[400]
    for (_, wide, high), (room, narrow, low) in zip(found[1_000], found[400], strict=True):
        assert narrow == pytest.approx(max(room, 7 / 12 * wide), abs=1)
        assert narrow / low == pytest.approx(wide / high, rel=0.01)
    # That of the looks needs no scrolling.
    assert any(narrow == room for room, narrow, _ in found[400])


@pytest.mark.parametrize("fault", ["<img src='https://example.org/a.png'>", "<script>1</script>"])
def test_what_is_blocked_would_be_found(fault: str, chromium: Browser, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(html_of(DOCUMENTS["looked"]).replace("</main>", f"{fault}</main>"), encoding="utf-8")
    chromium.open(path, width=400)
    assert faults(chromium)


def test_what_is_too_wide_would_be_found(chromium: Browser, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    wide = "<pre style='width:900px'>wide</pre></main>"
    path.write_text(html_of(DOCUMENTS["looked"]).replace("</main>", wide), encoding="utf-8")
    chromium.open(path, width=400)
    assert chromium.value(_TOO_WIDE) > 0
