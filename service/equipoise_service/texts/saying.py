"""Sentences by their keys, with their fields filled in.

A text is a template with named fields. What is put in is a number in words already, a key, or another text.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from equipoise_service.texts import (
    ages,
    figures,
    findings,
    history,
    jobs,
    notebook,
    notices,
    planning,
    previews,
    progress,
    recommendation,
    repeats,
    report,
    results,
    summary,
    tables,
    things,
)
from equipoise_service.texts.plurals import form

SUBJECTS = (
    ages,
    figures,
    findings,
    history,
    jobs,
    notebook,
    notices,
    planning,
    previews,
    progress,
    recommendation,
    repeats,
    report,
    results,
    summary,
    tables,
    things,
)

TEXTS: Mapping[str, str] = MappingProxyType(
    {key: text for subject in SUBJECTS for key, text in subject.TEXTS.items()}
)


def say(key: str, **fields: object) -> str:
    """A text with its fields filled in.

    Example:
        >>> say("reason.deteriorated", subject="revenue")
        'revenue is shown to be worse.'
    """
    return TEXTS[key].format(**fields)


def counted(key: str, number: int, **fields: object) -> str:
    """A text about so many, in the form that the number takes; the number is its field `count`.

    Example:
        >>> counted("units", 1), counted("units", 1895)
        ('1 unit', '1,895 units')
    """
    return say(f"{key}.{form(number)}", count=f"{number:,}", **fields)


def listing(items: Sequence[str]) -> str:
    """Items as a phrase.

    Example:
        >>> listing(["a"]), listing(["a", "b", "c"])
        ('a', 'a, b and c')
    """
    if len(items) == 1:
        return items[0]
    return say("list.last", items=say("list.between").join(items[:-1]), last=items[-1])
