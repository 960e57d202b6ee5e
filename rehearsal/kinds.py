"""The kinds of experiments that are rehearsed: what is true, and which recommendations are right.

Everything here is said before an experiment runs.
"""

from dataclasses import dataclass
from enum import StrEnum

ALPHA = 0.05
POWER = 0.8
MDE = 0.20
"""Lift of the success metric that the plan wants found, and that a winner has."""
MARGIN = 0.05
"""Loss on the guardrail that is acceptable."""

# A sound experiment ends as it should but for the tests for harm and of the checks, each with its own level.
_ALARMS = 0.01 + 0.002


class Broken(StrEnum):
    """What is broken in the data of an experiment, so that nothing may be shipped on them."""

    RATIO = "ratio"
    CROSSOVERS = "crossovers"
    DROPPED_UNITS = "dropped units"
    DROPPED_EVENTS = "dropped events"

    @property
    def is_dropped(self) -> bool:
        """Whether a sender gives something up, and says how much."""
        return self in (Broken.DROPPED_UNITS, Broken.DROPPED_EVENTS)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of experiment.

    Attributes:
        name: What it is called.
        share: How many of 200 experiments are of it.
        story: What happens in it.
        right: What is right to recommend.
        planned: The least probability of a right recommendation that the plan promises.
        lift: The true lift of the success metric that the treatment causes.
        slower: The true lift of the guardrail, load time, which should not rise.
        broken: What is broken, if anything.
        hit: Share of the units that what is broken, or what is late, concerns.
        late_days: What is late comes so many days late at most.
        fades: Whether the effect lasts for a unit's first day only, where the plan counts from its fourth.
        ramp_day: The day on which the traffic is raised from a fifth to all; 0: never.
        weights_day: The day on which the weights change from 9 to 1 into equal ones; 0: never.
    """

    name: str
    share: int
    story: str
    right: str
    planned: float
    lift: float = 0.0
    slower: float = 0.0
    broken: Broken | None = None
    hit: float = 0.0
    late_days: int = 0
    fades: bool = False
    ramp_day: int = 0
    weights_day: int = 0

    @property
    def may_ship(self) -> float:
        """The largest probability to recommend shipping that the plan allows."""
        if self.broken is not None:
            return 0.0
        return 1.0 if self.right == "ship" else ALPHA / 2


KINDS = (
    Kind(
        "winner",
        32,
        f"The treatment raises conversion by {100 * MDE:.0f} %, as planned.",
        "ship",
        POWER,
        lift=MDE,
    ),
    Kind(
        "loser",
        18,
        f"It lowers conversion by {100 * MDE:.0f} %.",
        "do_not_ship",
        1 - ALPHA / 2 - _ALARMS,
        lift=-MDE,
    ),
    Kind("flat", 40, "It changes nothing.", "do_not_ship", 1 - ALPHA / 2 - _ALARMS),
    Kind(
        "harmful guardrail",
        18,
        f"It raises conversion by {100 * MDE:.0f} %, and the load time by 8 %, of which {100 * MARGIN:.0f} % "
        "are acceptable.",
        "do_not_ship",
        1 - ALPHA / 2 - _ALARMS,
        lift=MDE,
        slower=0.08,
    ),
    Kind(
        "broken ratio",
        16,
        "A winner, but 30 % of the treatment's exposures are lost.",
        "investigate",
        0.99,
        lift=MDE,
        broken=Broken.RATIO,
        hit=0.3,
    ),
    Kind(
        "crossovers",
        16,
        "A winner, but 10 % of the units meet both variants.",
        "investigate",
        0.99,
        lift=MDE,
        broken=Broken.CROSSOVERS,
        hit=0.1,
    ),
    Kind(
        "dropped units",
        6,
        "A winner, but the treatment's sender has too short a queue: it gives up all of 30 % of its units, "
        "and says how much.",
        "investigate",
        0.99,
        lift=MDE,
        broken=Broken.DROPPED_UNITS,
        hit=0.3,
    ),
    Kind(
        "dropped events",
        6,
        "It changes nothing, but the control's sender gives up the purchases of 40 % of its units, and says "
        "how many: the treatment looks far better.",
        "investigate",
        0.99,
        broken=Broken.DROPPED_EVENTS,
        hit=0.4,
    ),
    Kind(
        "novelty",
        12,
        "Twice the planned effect on a unit's first day, none later; the plan counts from the fourth day on.",
        "do_not_ship",
        1 - ALPHA / 2 - _ALARMS,
        lift=2 * MDE,
        fades=True,
    ),
    Kind(
        "ramp in the middle",
        12,
        "A winner, which a fifth of the units meet until day 6, then all.",
        "ship",
        POWER,
        lift=MDE,
        ramp_day=6,
    ),
    Kind(
        "weights changed",
        12,
        "Nothing changes, but weights go from 9 to 1 to equal on day 3, when everybody begins to convert "
        "more: counted together, the treatment would look far better.",
        "do_not_ship",
        1 - ALPHA / 2 - _ALARMS,
        weights_day=3,
    ),
    Kind(
        "late data",
        12,
        "A winner; a fifth of all exposures and events arrive one to three days late.",
        "ship",
        POWER,
        lift=MDE,
        hit=0.2,
        late_days=3,
    ),
)


def planned_kinds(experiments: int) -> list[Kind]:
    """The kind of each of so many experiments, in the shares of the kinds, each kind at least once.

    Raises:
        ValueError: There are fewer experiments than kinds.

    Example:
        >>> [kind.name for kind in planned_kinds(200)].count("flat")
        40
    """
    if experiments < len(KINDS):
        raise ValueError(f"There are {len(KINDS)} kinds of experiments; rehearse as many at least.")
    whole = sum(kind.share for kind in KINDS)
    counts = {kind: max(1, experiments * kind.share // whole) for kind in KINDS}
    # What rounding left over, or took, is made up for where the share is missed by most.
    while (left := experiments - sum(counts.values())) != 0:
        step = 1 if left > 0 else -1
        missed = {kind: step * (experiments * kind.share / whole - counts[kind]) for kind in KINDS}
        able = [kind for kind in KINDS if counts[kind] + step > 0]
        counts[max(able, key=lambda kind: missed[kind])] += step
    return [kind for kind in KINDS for _ in range(counts[kind])]
