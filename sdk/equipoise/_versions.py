"""Versions as Semantic Versioning 2.0 orders them (semver.org, sections 9 to 11)."""

Version = tuple[tuple[int, str], tuple[int, str], tuple[int, str], bool, tuple[tuple[int, str], ...]]
"""Major, minor and patch number, whether it is a release, and the identifiers of a pre-release.

A number is its length and its digits, and a word's "length" is greater than any number's can be, so that
versions compare as Python compares tuples, however long their numbers are.
"""

_ZERO = (1, "0")
_WORD = 1 << 62


def parse(text: object) -> Version | None:
    """Return a version in a form that compares by precedence, or None where `text` is no version.

    A leading `v` and a missing minor or patch number (`v2`, `2.1-beta`) are tolerated, the build (`+…`) is
    ignored, and everything else is as strict as the standard: no leading zeros, no empty identifiers.

    >>> parse("1.0.0-rc.2") < parse("1.0.0-rc.11") < parse("v1") == parse("1.0.0+build.7")
    True
    """
    if not isinstance(text, str) or not text.isascii():
        return None
    rest, plus, build = text.partition("+")
    core, hyphen, before = rest.partition("-")
    numbers = [_number(part) for part in core.removeprefix("v").split(".")]
    identifiers = [_identifier(part) for part in before.split(".")] if hyphen else []
    if plus and not all(_is_word(part) for part in build.split(".")):
        return None
    if len(numbers) > 3 or None in numbers or None in identifiers:
        return None
    major, minor, patch = (number or _ZERO for number in (*numbers, None, None)[:3])
    return major, minor, patch, not hyphen, tuple(each for each in identifiers if each)


def _number(text: str) -> tuple[int, str] | None:
    return (len(text), text) if text.isdigit() and (text[0] != "0" or text == "0") else None


def _identifier(text: str) -> tuple[int, str] | None:
    if text.isdigit():
        return _number(text)
    return (_WORD, text) if _is_word(text) else None


def _is_word(text: str) -> bool:
    return text.replace("-", "0").isalnum()
