"""How an experiment of a rehearsal is planned, registered and started, over HTTP."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from rehearsal.clock import Clock
from rehearsal.house import House
from rehearsal.kinds import ALPHA, MARGIN, MDE, POWER, Kind
from rehearsal.people import (
    CONTROL,
    ENROLMENT_DAYS,
    LATER_RATE,
    LOAD_DEVIATION,
    LOAD_SECONDS,
    LOADED,
    PURCHASE,
    RATE,
    TREATMENT,
    People,
)

STEP_DAYS = 3
"""The clock is moved by so many days at a time."""
LOOK_HOURS = 24 * STEP_DAYS
PLANNED_DAYS = 21
SUCCESS, GUARDRAIL, FIRST_DAY = "converted", "load_time", "converted_at_once"

# A few units more than planned: where the last ones are missing, the end waits for the planned days.
_SPARE = 1.03


@dataclass(slots=True)
class Rehearsed:
    """An experiment of the rehearsal and what came of it.

    Attributes:
        people: Who took part, and the truth.
        environment: Where it ran.
        units: The horizon that the service planned.
        started_at: When it started, by the service's clock.
        readouts: Every readout that was there to be read, the oldest first, each once.
        decided: The first readout that recommended anything but to keep running.
        day: On which day that was.
    """

    people: People
    environment: str
    units: int
    started_at: datetime
    readouts: list[dict[str, Any]] = field(default_factory=list)
    decided: dict[str, Any] | None = None
    day: int = 0

    @property
    def key(self) -> str:
        """The experiment's key."""
        return self.people.key

    @property
    def kind(self) -> Kind:
        """What happens in it."""
        return self.people.kind

    def take(self, readout: dict[str, Any] | None) -> bool:
        """Keep a readout; whether it is a new one."""
        if readout is None or (self.readouts and readout["digest"] == self.readouts[-1]["digest"]):
            return False
        self.readouts.append(readout)
        return True


def environment_of(kind: Kind, index: int) -> str:
    """Where it runs: what senders give up is told of a whole environment, so such ones have their own."""
    return f"senders-{index}" if kind.broken is not None and kind.broken.is_dropped else "production"


def definition(key: str, kind: Kind) -> dict[str, Any]:
    """An experiment of a kind, as it is registered, but for its horizon."""
    converted = {"key": SUCCESS, "type": "proportion", "event": PURCHASE, "window_hours": 24}
    metrics: list[dict[str, Any]] = [
        converted,
        {
            "key": GUARDRAIL,
            "type": "mean",
            "event": LOADED,
            "aggregation": "last",
            "role": "guardrail",
            "direction": "decrease",
        },
    ]
    if kind.fades:
        # The plan of people who know that what is new is tried out.
        converted |= {"delay_hours": 72, "window_hours": 96}
        metrics.append(
            {
                "key": FIRST_DAY,
                "type": "proportion",
                "event": PURCHASE,
                "window_hours": 24,
                "role": "deterioration",
            }
        )
    weights = (9_000, 1_000) if kind.weights_day else (5_000, 5_000)
    return {
        "key": key,
        "name": key,
        "variants": [
            {"key": CONTROL, "value": "old", "control": True, "weight": weights[0]},
            {"key": TREATMENT, "value": "new", "weight": weights[1]},
        ],
        "traffic": 2_000 if kind.ramp_day else 10_000,
        "metrics": metrics,
    }


def plan(units: int) -> dict[str, Any]:
    """The plan of every experiment."""
    return {
        "alpha": ALPHA,
        "power": POWER,
        "horizon": {"units": units, "days": PLANNED_DAYS},
        "looks": {"every_hours": LOOK_HOURS},
        "targets": {SUCCESS: {"mde": MDE}, GUARDRAIL: {"margin": MARGIN}},
    }


def _units(house: House, metrics: list[dict[str, Any]], kind: Kind) -> int:
    """How many units such a plan needs, by the service itself."""
    rate = LATER_RATE if kind.weights_day else RATE
    question = {
        "metrics": metrics,
        "plan": plan(5_000),
        "traffic_of": {"daily_units": 400},
        "baselines": {
            SUCCESS: {"value": rate},
            GUARDRAIL: {"value": LOAD_SECONDS, "standard_deviation": LOAD_DEVIATION},
            **({FIRST_DAY: {"value": rate}} if kind.fades else {}),
        },
    }
    return int(house.ask("POST", "/v1/plans/power", json=question)["units"])


def start(
    house: House,
    clock: Clock,
    environment: str,
    kind: Kind,
    index: int,
    random: np.random.Generator,
    planned: dict[tuple[bool, int], int],
) -> Rehearsed:
    """Register and start an experiment; `planned` holds the units of the plans that were asked for."""
    key = f"{kind.name.replace(' ', '-')}-{index}"
    wanted = definition(key, kind)
    if (kind.fades, kind.weights_day) not in planned:
        planned[kind.fades, kind.weights_day] = _units(house, wanted["metrics"], kind)
    units = planned[kind.fades, kind.weights_day]
    house.ask("POST", "/v1/experiments", json={**wanted, "plan": plan(units)})
    house.ask("POST", f"/v1/experiments/{key}/start")
    days: float = ENROLMENT_DAYS - kind.weights_day
    if kind.ramp_day:
        days = ENROLMENT_DAYS - 0.8 * kind.ramp_day
    people = People(key, kind, int(units * _SPARE / days) + 1, random)
    return Rehearsed(people, environment, units, clock.now())
