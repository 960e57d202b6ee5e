"""Sets of characters, as a pattern names them: ranges, negated or not, with or without case."""

from typing import Final

Ranges = tuple[tuple[str, str], ...]
"""Inclusive ranges of characters."""

DIGITS: Final[Ranges] = (("0", "9"),)
WORDS: Final[Ranges] = (("0", "9"), ("A", "Z"), ("_", "_"), ("a", "z"))
SPACES: Final[Ranges] = (("\t", "\r"), (" ", " "))
LAST: Final = chr(0x10FFFF)


class CharacterSet:
    """A set of characters; two of them are equal when they are the same object.

    Args:
        exact: ranges that are compared as they stand.
        folded: ranges that a character also meets with another case form of it.
        negated: whether the set holds what the ranges do not.
    """

    __slots__ = ("_exact", "_folded", "_negated")

    def __init__(self, exact: Ranges, folded: Ranges = (), negated: bool = False) -> None:
        self._exact = exact
        self._folded = folded
        self._negated = negated

    def holds(self, character: str) -> bool:
        """Return whether the character is in the set."""
        found = _within(self._exact, character)
        if not found and self._folded:
            found = any(_within(self._folded, form) for form in _forms(character))
        return found is not self._negated


def complement(ranges: Ranges) -> Ranges:
    """Return the ranges of all other characters; `ranges` are sorted and disjoint."""
    starts = ["\0", *(chr(ord(high) + 1) for _, high in ranges)]
    ends = [*(chr(ord(low) - 1) for low, _ in ranges), LAST]
    return tuple(zip(starts, ends, strict=True))


def fold(character: str) -> str:
    """Return the simple case folding of a character, which is one character.

    Where the full folding (Unicode's CaseFolding.txt, status F) has several characters, the simple one
    (status S) is the lower-case form, if there is any.
    """
    return next((form for form in (character.casefold(), character.lower()) if len(form) == 1), character)


def _forms(character: str) -> set[str]:
    """Return the character and the case forms of it that fold alike."""
    folded, upper = fold(character), character.upper()
    forms = {folded, character.lower(), upper, upper.lower()}
    return {character} | {form for form in forms if len(form) == 1 and fold(form) == folded}


def _within(ranges: Ranges, character: str) -> bool:
    return any(low <= character <= high for low, high in ranges)
