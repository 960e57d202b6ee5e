"""What is said of effects by days since exposure."""

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "ages.day": "day {first}",
        "ages.days": "days {first} to {last}",
        "ages.at": "{effect} on {age}",
        # How an effect changes.
        "ages.fading": (
            "The effect of {variant} on {metric} fades with the days since exposure (novelty): {first}, "
            "{last} (corrected p {p})."
        ),
        "ages.growing": (
            "The effect of {variant} on {metric} grows with the days since exposure (primacy): {first}, "
            "{last} (corrected p {p})."
        ),
        "ages.reversing": (
            "The effect of {variant} on {metric} turns with the days since exposure: {first}, {last} "
            "(corrected p {p})."
        ),
        "ages.fading.means": "What lasts is less than the effect of the whole time.",
        "ages.growing.means": "What lasts may be more than the effect of the whole time.",
        "ages.reversing.means": "The effect of the whole time says nothing about what lasts.",
        "ages.left_out": "{metric} itself leaves out the first {hours} hours.",
        "ages.asked_at": "{text} (As of {at}.)",
        "ages.alike": "No effect on {metrics} is shown to change with the days since exposure.",
        # Why nothing is said.
        "ages.unknown": "Whether effects change with the days since exposure is not known: {reason}",
        "ages.too_few": "too few units have been exposed for that long, or did anything then.",
        "ages.at_once": (
            "nearly all of it is of the first age, as it is where one row a unit says what a unit did, and "
            "not when."
        ),
        "ages.at_the_end": (
            "it is tested once, at the planned end; asked every day, it would find something sooner or later."
        ),
        "ages.not_asked": "No effect is followed over the days since exposure.",
        "ages.not_asked.source": (
            "It is read from {source}, which was not read once more for this, or not in time."
        ),
        "ages.not_asked.type": (
            "Only shares of units, sums and counts are followed: of these, what is done on one day can be "
            "compared with what is done on another."
        ),
        "ages.not_asked.window": "Its window is shorter than {days} days.",
        "ages.not_asked.ran": (
            "It has no window, and the experiment ran for less than {days} days, half of which are followed."
        ),
        # A heading.
        "terminal.ages": "days since exposure",
        # The figure.
        "figure.ages": "{metric} by days since exposure",
        "figure.ages.of": "{metric} by days since exposure: {variant}",
        "figure.ages.over": (
            "Difference from {control} of the {units} that were exposed for that long; {level} intervals, "
            "each by itself."
        ),
        "figure.ages.axis": "difference",
        "figure.ages.axis.share": "difference, in percentage points",
        "figure.ages.none": "no interval",
    }
)
