"""A rehearsal from its first day to its last: all experiments run beside each other, as in a company."""

import json
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from equipoise_service.readouts.scheduling import TICK_SECONDS
from rehearsal.clock import Clock
from rehearsal.house import Houses, open_houses
from rehearsal.kinds import Kind
from rehearsal.people import Item
from rehearsal.registering import STEP_DAYS, Rehearsed, definition, environment_of, start

MOST_DAYS = 27

_DAY = timedelta(days=1)
_POLL_SECONDS = 1.0
# A machine that is busy with other things may be this slow.
_MOST_SECONDS = 600.0

Tell = Callable[[str], None]


def rehearse(kinds: Sequence[Kind], directory: Path, *, seed: int, tell: Tell) -> list[Rehearsed]:
    """Run experiments through a service, day by day, and follow what it recommends.

    Args:
        kinds: The kind of each experiment.
        directory: Where the service's data, its log and its clock are.
        seed: How people behave; whom the service puts into which arm is its own chance.
        tell: Told how it goes.
    """
    clock = Clock(directory)
    settings = {"EQUIPOISE_READOUT_SECONDS": "86400", "EQUIPOISE_ANALYSIS_MEMORY_MB": "1024"}
    with open_houses(directory, clock, settings) as houses:
        generators = np.random.default_rng(seed).spawn(len(kinds))
        begun = time.perf_counter()
        planned: dict[tuple[bool, int], int] = {}
        places = [environment_of(kind, i) for i, kind in enumerate(kinds)]
        # Those of environments of their own last: a flag is published in every environment that there is.
        order = sorted(range(len(kinds)), key=lambda i: places[i] != "production")
        all_of_them = [
            start(houses[places[i]], clock, places[i], kinds[i], i, generators[i], planned) for i in order
        ]
        tell(f"{len(kinds)} experiments started after {time.perf_counter() - begun:.0f} s")
        _Days(clock, houses, all_of_them, tell).run()
    return all_of_them


@dataclass(slots=True)
class _Days:
    """The days as they pass."""

    clock: Clock
    houses: Houses
    rehearsed: list[Rehearsed]
    tell: Tell
    later: dict[tuple[str, int], list[Item]] = field(default_factory=lambda: defaultdict(list))

    def run(self) -> None:
        for day in range(0, MOST_DAYS, STEP_DAYS):
            began = time.perf_counter()
            begin = self.clock.now()
            self._change(day)
            self.clock.move(STEP_DAYS * _DAY)
            sent = sum(self._send(day + each, begin + each * _DAY) for each in range(STEP_DAYS))
            sending = time.perf_counter() - began
            self._read(day + STEP_DAYS, begin + STEP_DAYS * _DAY)
            live = sum(each.decided is None for each in self.rehearsed)
            self.tell(
                f"day {day + STEP_DAYS}: {sent:,} items in {sending:.0f} s, readouts in "
                f"{time.perf_counter() - began - sending:.0f} s; {live} experiments go on"
            )
            waiting = any(self.later[key] for key in self.later if key[1] >= day + STEP_DAYS)
            if not live and not waiting:
                break
        self._close()

    def _change(self, day: int) -> None:
        """What people change while experiments run."""
        for each in self._live():
            house, kind = self.houses[each.environment], each.kind
            if kind.ramp_day and day == kind.ramp_day:
                house.patch(each.key, {"traffic": 10_000})
            if kind.weights_day and day == kind.weights_day:
                variants = definition(each.key, kind)["variants"]
                house.patch(each.key, {"variants": [{**one, "weight": 5_000} for one in variants]})

    def _send(self, day: int, begin: datetime) -> int:
        """Everybody's exposures and events of a day, and what is late from the days before."""
        sent = 0
        for name, house in self.houses.open.items():
            configuration = house.configuration()
            for each in self.rehearsed:
                if each.environment != name:
                    continue
                if each.decided is None:
                    for item in each.people.come(day, begin, configuration):
                        self.later[name, item.day].append(item)
            due = self.later.pop((name, day), [])
            house.send(due)
            sent += len(due)
        for each in self._live():
            if each.people.dropped:
                self.houses[each.environment].report(each.people.sender, each.people.dropped)
        return sent

    def _live(self) -> list[Rehearsed]:
        return [each for each in self.rehearsed if each.decided is None]

    def _read(self, day: int, since: datetime) -> None:
        """Wait for the readouts of the day, which the service computes by itself, and follow them."""
        # A scheduler that looks every few seconds has looked, as it has within any real day.
        time.sleep(TICK_SECONDS + 1)
        waiting = self._live()
        deadline = time.monotonic() + _MOST_SECONDS
        while waiting:
            rest: list[Rehearsed] = []
            for each in waiting:
                readout = self.houses[each.environment].readout(each.key)
                if readout is None or datetime.fromisoformat(readout["generated_at"]) < since:
                    rest.append(each)
                elif each.take(readout):
                    self._follow(each, readout, day)
            if rest and time.monotonic() > deadline:
                raise TimeoutError(f"no readout of {', '.join(each.key for each in rest)} on day {day}")
            waiting = rest
            if waiting:
                time.sleep(_POLL_SECONDS)

    def _follow(self, each: Rehearsed, readout: dict[str, Any], day: int) -> None:
        """Do what is recommended, at once."""
        recommended = readout["recommendation"]
        if recommended["outcome"] == "keep_running":
            return
        each.decided, each.day = readout, day
        house, path = self.houses[each.environment], f"/v1/experiments/{each.key}"
        decision = {
            "outcome": recommended["outcome"],
            "variant": recommended["variant"],
            "reason": "As recommended.",
            "readout_digest": readout["digest"],
        }
        answer = house.ask("POST", f"{path}/decisions", json=decision)
        if answer["against"] or answer["status"] != "in_effect":
            raise RuntimeError(f"a decision as recommended is not in effect: {json.dumps(answer)}")
        if recommended["outcome"] == "investigate":
            house.ask("POST", f"{path}/stop")

    def _close(self) -> None:
        """After the last windows: the readouts that stay."""
        self.clock.move(7 * _DAY)
        for each in self.rehearsed:
            # What came late came after the last readout that the service computes by itself.
            if each.kind.late_days and each.decided is not None:
                self.houses[each.environment].ask("GET", f"/v1/experiments/{each.key}/readout?wait=60")
        deadline = time.monotonic() + _MOST_SECONDS
        waiting = list(self.rehearsed)
        while waiting and time.monotonic() < deadline:
            rest: list[Rehearsed] = []
            for each in waiting:
                readout = self.houses[each.environment].readout(each.key)
                if readout is not None and _is_last(each, readout):
                    each.take(readout)
                else:
                    rest.append(each)
            waiting = rest
            if waiting:
                time.sleep(_POLL_SECONDS)
        if waiting:
            raise TimeoutError(f"no last readout of {', '.join(each.key for each in waiting)}")
        self.tell("the last readouts are there")


def _is_last(each: Rehearsed, readout: dict[str, Any]) -> bool:
    """Whether a readout is of after the end, with every window passed."""
    if readout["ended_at"] is None:
        return each.decided is None
    longest = timedelta(days=7 if each.kind.late_days else 4 if each.kind.fades else 1)
    return datetime.fromisoformat(readout["generated_at"]) > (
        datetime.fromisoformat(readout["ended_at"]) + longest
    )
