"""Whoever translates the folder has translated a readout: no English word comes from elsewhere."""

import json
import re
from collections.abc import Callable, Iterator
from string import Formatter
from types import MappingProxyType
from typing import Any

import pytest
from tests.service.readouts.documents import (
    bayesian_readout,
    converted,
    gap_readout,
    looked_readout,
    measured_readout,
    rich_readout,
    segmented_readout,
)
from tests.service.readouts.repeated import numbers, repeated_readout

from equipoise_service.readouts.wording import is_of_words
from equipoise_service.texts import saying
from equipoise_service.texts.checks import CHECKS

DOCUMENTS: dict[str, Callable[[], dict[str, Any]]] = {
    "bayesian": bayesian_readout,
    "gap": gap_readout,
    "looked": looked_readout,
    "measured": measured_readout,
    "rich": rich_readout,
    "segmented": segmented_readout,
    "repeated": lambda: repeated_readout(then=numbers(0.3, 0.2, 0.4)),
    "repeated without intervals": repeated_readout,
    "few events": lambda: converted((3, 500), (60, 500)),
    "no units": lambda: converted((0, 0), (0, 0)),
    "too few units": lambda: converted((1, 1), (0, 1)),
    "no variance": lambda: converted((50, 50), (50, 50)),
    "no lift": lambda: converted((0, 500), (50, 500)),
    "shares": lambda: converted((100, 1_000), (100, 3_000)),
    "crossovers": lambda: converted((50, 500), (50, 500), crossovers=100),
}
# Their texts are no templates: they are translated where they stand.
OF_CHECKS = ("meaning", "causes", "action")
WORD = re.compile(r"[A-Za-z]{3,}")


def bare(text: str) -> str:
    """What is left of a text without its words: its fields, and spaces for the words."""
    fields = (name for _, name, _, _ in Formatter().parse(text) if name is not None)
    return " ".join(["", *(f"{{{name}}}" for name in fields), ""])


def members(document: Any, pointer: str = "") -> Iterator[tuple[str, str]]:
    """Every member that is a text, with the JSON pointer to it."""
    if isinstance(document, str):
        yield pointer, document
    elif isinstance(document, dict | list):
        of = document.items() if isinstance(document, dict) else enumerate(document)
        for name, value in of:
            yield from members(value, f"{pointer}/{name}")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_without_its_texts_a_readout_has_no_words(document: str, monkeypatch: pytest.MonkeyPatch) -> None:
    english = dict(members(DOCUMENTS[document]()))
    wordless = {key: bare(text) for key, text in saying.TEXTS.items()}
    monkeypatch.setattr(saying, "TEXTS", MappingProxyType(wordless))
    readout = DOCUMENTS[document]()
    # Keys and values are names, in any language; so are, here, the titles of checks.
    dropped = readout["health"]["dropped_items"] or {"reasons": {}}
    values = [part["value"] for each in readout["segments"] for part in each["parts"]]
    named = [readout["experiment"], readout["plan"], values, list(dropped["reasons"])]
    names = set(WORD.findall(json.dumps([named, [check.title for check in CHECKS.values()]])))
    read = {
        pointer: text
        for pointer, text in members(readout)
        if is_of_words(pointer) and pointer.split("/")[1] not in ("plan", "deviations")
    }
    said = {pointer: text for pointer, text in read.items() if not set(pointer.split("/")) & set(OF_CHECKS)}
    assert len(said) > 5
    assert any(WORD.findall(english[pointer]) for pointer in said)
    assert {pointer: text for pointer, text in said.items() if set(WORD.findall(text)) - names} == {}
