"""What replays of a history show, each figure with the band that it must fall into."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from calibration.measure import Case, Cell, Row
from calibration.replays import history
from calibration.replays.history import History
from calibration.replays.replay import Replay, replay
from equipoise_service.experiments.schemas import ExperimentIn
from equipoise_service.readouts.ad_hoc import plan_of

SECTION = "A/A experiments replayed from real data"
RUNS = 500
SHORT = 40
_PLANTED_PER_NULL = 5

# With so many units these are effects of some four standard errors of the whole experiment.
PLANTED = {"landing page": 0.006, "game": 0.0135, "mailing": 0.55}


@dataclass(frozen=True, slots=True)
class Shares:
    """What became of experiments, as shares of all of them.

    Attributes:
        shipped: A look recommended to ship.
        early: And it was not the last one.
        decided: The readout of the last look said something other than to keep running.
        once: On the last day, and looked at then only, p < 0.05 with the treatment ahead.
        any_better: On some day p < 0.05 with the treatment ahead.
        any_day: On some day p < 0.05.
    """

    shipped: float
    early: float
    decided: float
    once: float
    any_better: float
    any_day: float


def shares(replays: list[Replay], days: int) -> Shares:
    """Counts what became of experiments."""

    def share(holds: Callable[[Replay], bool]) -> float:
        return float(np.mean([holds(each) for each in replays]))

    return Shares(
        share(lambda each: each.shipped),
        share(lambda each: each.shipped and len(each.outcomes) < days),
        share(lambda each: each.outcomes[-1] != "keep_running"),
        share(lambda each: each.naive[-1] < 0.05 and each.better[-1]),
        share(lambda each: each.naively_shipped),
        share(lambda each: each.naively_different),
    )


def measured(replications: int, generator: np.random.Generator, *, make: Callable[[], History]) -> list[Row]:
    """A/A experiments, and a fifth as many with an effect that was planted."""
    came = make()
    plan = plan_of(ExperimentIn.model_validate(came.body))
    null = shares([replay(came, plan, generator) for _ in range(replications)], came.days)
    few = replications // _PLANTED_PER_NULL
    gain = PLANTED[came.name]
    effect = shares([replay(came, plan, generator, planted=gain) for _ in range(few)], came.days)
    condition = f"{came.name}, {came.day.size:,} units in {came.days} days"
    planned, ends = Case("the plan, a look a day", condition, replications), plan.alpha / 2
    once = Case("p < 0.05 with the treatment ahead, on the last day only", condition, replications)
    ahead = Case("p < 0.05 with the treatment ahead, on any day", condition, replications, naive=True)
    either = Case("p < 0.05, on any day", condition, replications, naive=True)
    return [
        planned.at_most("shipped", null.shipped, ends),
        planned.between("decided by the last look", null.decided, 1.0, 1.0),
        once.at_most("would have shipped", null.once, ends),
        ahead.at_most("would have shipped", null.any_better, ends),
        either.at_most("would have been called different", null.any_day, plan.alpha),
        Case("the plan, a look a day", f"{condition}, a gain planted", few).at_least(
            "shipped", effect.shipped, 0.9
        ),
    ]


CELLS = tuple(
    Cell(SECTION, name, partial(measured, make=make), full=RUNS, short=SHORT)
    for name, make in history.HISTORIES.items()
)
