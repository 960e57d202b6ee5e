"""Which words a readout is written in: those of another release, or in another language, are other ones."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from equipoise_service.canonical import digest
from equipoise_service.texts.checks import CHECKS
from equipoise_service.texts.saying import TEXTS

NUMERALS = 2
"""Counts up when numbers are written otherwise, see `numerals`."""

_WORDS = frozenset(
    {
        "action",
        "causes",
        "meaning",
        "message",
        "notes",
        "number",
        "p_value_reason",
        "reason",
        "summary",
        "text",
        "would_change",
    }
)


@cache
def wording() -> str:
    """The digest of all words that a readout can be written in here."""
    checks = {name: [each.title, each.meaning, *each.causes, each.action] for name, each in CHECKS.items()}
    return digest({"texts": dict(TEXTS), "checks": checks, "numerals": NUMERALS})


def is_written_here(document: Mapping[str, Any]) -> bool:
    """Whether a readout is written in the words of today: only then its words can be recomputed."""
    return document.get("wording") == wording()


def is_of_words(pointer: str) -> bool:
    """Whether the member that a JSON pointer names is in words, for people.

    Example:
        >>> is_of_words("/recommendation/would_change/0"), is_of_words("/recommendation/outcome")
        (True, False)
    """
    return not _WORDS.isdisjoint(pointer.split("/"))
