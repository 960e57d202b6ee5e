"""What happened to an experiment, in its history."""

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        # What was chosen.
        "choice.ship": "ship {variant}",
        "choice.do_not_ship": "do not ship",
        "choice.keep_running": "keep running",
        "choice.investigate": "investigate",
        "choice.open": "open",
        "choice.holdback": "{choice}, holding back {share}",
        "choice.against": "{choice} (recommended: {recommended})",
        # An entry.
        "history.why": "{what}: {why}",
        "history.locked": "the plan is locked",
        "history.not_locked": "without a locked plan",
        "history.held_back": "{share} of the units are held back and go on with {control}",
        "history.paused": "everybody gets the control",
        "history.resumed": "units get their arms again",
        "history.looked": "look {number}, {spent} of alpha spent",
        "history.settled": "decision {number}, {choice}",
        "history.repeated": "the readout is repeated {days} days after the ship",
        "history.ended": "the revision ends",
        "history.ended_undecided": "the revision ends without a decision",
        "history.nobody_held_back": "nobody is held back any more",
    }
)
