"""What became of what was shipped: a readout that is repeated on those who were held back."""

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "outcome.repeat": (
            "Nothing is recommended: {variant} was shipped, and this asks whether it still does what it did."
        ),
        "outcome.holdback": (
            "Nothing is recommended: the decision was made, and some units are held back with {control} to "
            "see what comes of it."
        ),
        "repeat.head": (
            "{days} after {variant} was shipped, all who got it are compared with those who were held back."
        ),
        "repeat.stand": "{units} mature units in the {days} since the ship.",
        # One metric.
        "repeat.holds": "{metric}: the effect holds.",
        "repeat.faded": "{metric}: the effect has faded.",
        "repeat.turned": "{metric}: the effect has turned.",
        "repeat.appeared.better": "{metric}: better now, which was not shown then.",
        "repeat.appeared.worse": "{metric}: worse now, which was not shown then.",
        "repeat.cannot_tell": (
            "{metric}: whether the effect holds cannot be told, as too few were held back."
        ),
        "repeat.within": "{metric}: still shown to lose less than its margin of {margin}.",
        "repeat.within.turned": (
            "{metric}: worse now, and no longer shown to lose less than its margin of {margin}."
        ),
        "repeat.within.cannot_tell": (
            "{metric}: whether it still loses less than its margin of {margin} cannot be told."
        ),
        "repeat.harmless": "{metric}: not shown to be worse.",
        "repeat.failed": "{metric}: cannot be told, as a check failed.",
        "repeat.unknown": "{metric}: cannot be told, as there is no interval {when}.",
        "repeat.unknown.then": "of then",
        "repeat.unknown.now": "of now",
        "repeat.numbers": "Now {now}, then {then}.",
        "repeat.effect": "{effect} ({low} to {high})",
        # Headings.
        "repeat.title": "Since the ship",
        "repeat.metric": "Metric",
        "repeat.then": "Then",
        "repeat.now": "Now",
        "repeat.change": "Change",
        "repeat.finding": "Finding",
        "repeat.finding.holds": "holds",
        "repeat.finding.faded": "has faded",
        "repeat.finding.turned": "has turned",
        "repeat.finding.appeared": "is new",
        "repeat.finding.cannot_tell": "cannot be told",
    }
)
