"""A short rehearsal through a real service, and that what judges rehearsals finds what is wrong."""

import copy
import random
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rehearsal.__main__ import PAGE, conclude, run
from rehearsal.bounds import least, most
from rehearsal.clock import Clock, missing
from rehearsal.elsewhere import PLACES, edit
from rehearsal.judging import summary_faults
from rehearsal.kinds import KINDS, planned_kinds
from scipy.stats import binom

needs_a_clock = pytest.mark.skipif(missing() is not None, reason=f"days cannot pass: {missing()}")


@needs_a_clock
@pytest.mark.slow
def test_experiments_of_every_kind_come_out_as_planned_and_verify_elsewhere(tmp_path: Path) -> None:
    told: list[str] = []
    rehearsed, checked = run(len(KINDS), tmp_path, seed=1, tell=told.append)
    lines, faults = conclude(rehearsed, checked)
    assert faults == []
    assert [line.number for line in lines if not line.several] == [1] * len(KINDS)
    assert checked.agreed == checked.readouts > len(rehearsed)
    assert checked.edited == checked.told
    assert sum(checked.edited.values()) == checked.readouts
    for each in rehearsed:
        outcome = each.decided and each.decided["recommendation"]["outcome"]
        assert each.kind.broken is None or outcome == "investigate"
    _the_rules_can_fail([readout for each in rehearsed for readout in each.readouts])


def _the_rules_can_fail(readouts: list[dict[str, Any]]) -> None:
    """Each lie in a summary is found in at least one of the readouts, and nothing is found without one."""
    lies: list[tuple[str, Callable[[str], str]]] = [
        (
            "it begins with another recommendation",
            lambda text: text.replace("Do not ship.", "Ship treatment."),
        ),
        (
            "a failed check is passed over",
            lambda text: text.replace("Do not rely on these results", "Ship it"),
        ),
        ("worse is called better", lambda text: text.replace("which is worse", "which is better")),
        (
            "an effect is called none",
            lambda text: text.replace("treatment raises converted by", "no effect,"),
        ),
        ("no effect is called one", lambda text: text.replace("do not differ detectably", "differ")),
        ("a share is another", lambda text: text.replace(" % against ", "1 % against ")),
        ("crossovers are passed over", lambda text: text.replace("met several variants", "came")),
        ("losses are passed over", lambda text: text.replace("Senders gave up", "Senders sent")),
        ("a broken ratio is not told", lambda text: text.replace("(planned ", "(")),
        ("the guardrail is passed over", lambda text: text.replace("load_time is shown", "all is")),
        ("an ended one is to go on", lambda text: f"{text} Keep running."),
    ]

    def faults(readout: dict[str, Any]) -> list[str]:
        dropped = readout["health"]["dropped_items"]["items"]
        return summary_faults(
            readout,
            first_day=len(readout["metrics"]) == 3,
            dropped=dropped,
            ended=readout["ended_at"] is not None,
        )

    assert [fault for readout in readouts for fault in faults(readout)] == []
    followed = next(readout for readout in readouts if readout["by_age"] and readout["by_age"]["metrics"])
    changed = deepcopy(followed)
    changed["by_age"]["metrics"][0]["effects"][0] |= {"detected": True, "finding": "growing"}
    assert any("grows" in fault for fault in faults(changed))
    for what, lie in lies:
        found = [
            fault
            for readout in readouts
            if (text := lie(readout["summary"])) != readout["summary"]
            for fault in faults({**readout, "summary": text})
        ]
        assert found, what


@needs_a_clock
def test_the_clock_moves_for_a_process_that_runs_and_timers_keep_their_pace(tmp_path: Path) -> None:
    clock = Clock(tmp_path)
    script = (
        "import datetime, sys, threading, time\n"
        "for line in sys.stdin:\n"
        "    begin = time.monotonic(); threading.Event().wait(0.05); time.sleep(0.05)\n"
        "    print(datetime.datetime.now(datetime.UTC).isoformat(), time.monotonic() - begin, flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        env=clock.environ(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for days in (0, 1, 400):
            clock.move(timedelta(days=days, microseconds=600_000))
            before = clock.now()
            process.stdin.write("\n")
            process.stdin.flush()
            shown, waited = process.stdout.readline().split()
            assert before <= datetime.fromisoformat(shown) <= clock.now()
            assert 0.1 <= float(waited) < 3600
        process.stdin.close()
    assert clock.now() - datetime.now(UTC) > timedelta(days=401)


@pytest.mark.parametrize(("number", "probability"), [(1, 0.8), (12, 0.8), (56, 0.8), (40, 0.963), (200, 0.5)])
@pytest.mark.parametrize("level", [1e-3, 4e-5])
def test_bounds_fail_by_chance_at_most_at_their_level_and_are_the_tightest(
    number: int, probability: float, level: float
) -> None:
    found = least(number, probability, level=level)
    assert binom.cdf(found - 1, number, probability) <= level < binom.cdf(found, number, probability)
    assert most(number, 1 - probability, level=level) == number - found


def test_what_is_broken_is_never_to_be_shipped_by_any_bound() -> None:
    broken = [kind for kind in KINDS if kind.broken is not None]
    assert len(broken) == 4
    assert all(most(1_000, kind.may_ship, level=1e-6) == 0 for kind in broken)


@pytest.mark.parametrize("experiments", [len(KINDS), 13, 24, 200, 1000])
def test_every_kind_is_rehearsed(experiments: int) -> None:
    found = planned_kinds(experiments)
    assert len(found) == experiments
    assert set(found) == set(KINDS)


@pytest.mark.parametrize("place", PLACES)
def test_an_edit_changes_one_place(place: Any) -> None:
    from tests.service.readouts.documents import looked_readout

    readout = looked_readout()
    edited = copy.deepcopy(readout)
    chance = random.Random(3)
    while (made := place(edited, chance)) is None:
        edited = copy.deepcopy(readout)
    assert edited != readout
    assert made[1].startswith("/")
    whole = edit(readout, random.Random(4)).document
    assert whole["digest"] != readout["digest"]


def test_the_page_tells_of_the_kinds_that_there_are() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for kind in KINDS:
        assert f"| {kind.name} | {kind.story} | `{kind.right}` |" in text
