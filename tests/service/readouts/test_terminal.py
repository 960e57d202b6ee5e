"""What a person sees in a terminal."""

from dataclasses import replace
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from rich.console import Console
from tests.service.readouts.documents import (
    CONVERTED,
    LOAD_TIME,
    PROVENANCE,
    converted,
    measured_readout,
    plan,
    rich_readout,
    statistics,
)
from tests.service.readouts.repeated import numbers, repeated_readout

from equipoise_service.plans.schemas import Horizon, Method
from equipoise_service.readouts.building import build_readout
from equipoise_service.readouts.terminal import draw
from equipoise_stats import Counts, Moments


def drawn(readout: dict[str, Any], width: int) -> str:
    output = StringIO()
    draw(readout, Console(file=output, width=width, force_terminal=False))
    return output.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_the_numbers_are_there_and_fit(width: int) -> None:
    text = drawn(converted((17_468, 144_300), (17_268, 144_389), crossovers=1_895), width)
    assert max(map(len, text.splitlines())) <= width
    for part in (
        "new-landing-page, revision 1",
        "17,468 of 144,300",
        "−0.38 to +0.09",
        "−3.1 to +0.8",
        "0.228",
        "p 0.868",
        "1,895 units (0.65 %)",
    ):
        assert part in text


@pytest.mark.parametrize("width", [80, 120])
def test_what_became_of_the_effects_stands_before_the_results(width: int) -> None:
    text = drawn(repeated_readout(then=numbers(0.3, 0.2, 0.4)), width)
    assert max(map(len, text.splitlines())) <= width
    assert text.index("Since the ship") < text.index("converted  proportion")
    for part in ("+30.0 %", "+20.0 to +40.0", "+10.0 %", "−20.0 pp", "has faded", "30 days since the ship"):
        assert part in text
    assert "Since the ship" not in drawn(rich_readout(), width)


@pytest.mark.parametrize(
    ("horizon", "shown"),
    [
        (Horizon(days=1), "180 mature units; the plan ends 1 day after its start."),
        (Horizon(days=14), "180 mature units; the plan ends 14 days after its start."),
        (Horizon(units=2_000, days=14), "180 of 2,000 mature units."),
        (None, "180 mature units; the plan has no end."),
    ],
)
def test_where_the_plan_stands(horizon: Horizon | None, shown: str) -> None:
    method = Method.FIXED_HORIZON if horizon is not None else Method.CONFIDENCE_SEQUENCE
    assert shown in drawn(converted((9, 90), (8, 90), method=method, horizon=horizon), 120)


def test_a_repeat_without_intervals_is_drawn() -> None:
    assert "cannot be told" in drawn(repeated_readout(), 120)


def test_the_summary_comes_first() -> None:
    text = drawn(rich_readout(), 200)
    assert text.index("a raises converted") < text.index("Units") < text.index("Sample ratio")


def test_what_was_cut_and_what_it_comes_to_at_full_traffic_is_said() -> None:
    text = " ".join(drawn(measured_readout(), 300).split())
    assert "Values above 250 were set to it: 4 units of control (0.40 %) and 7 units of treatment" in text
    # 1,000 and 1,050 of 10,000 in seven days, a quarter of the traffic: 20,000 / 7 × 4 units a day.
    found = statistics(
        control={"converted": Counts(10_000, 1_000)}, treatment={"converted": Counts(10_000, 1_050)}
    )
    provenance = replace(PROVENANCE, started_at=PROVENANCE.generated_at - timedelta(days=7), traffic=0.25)
    readout = build_readout(plan(CONVERTED), found, provenance)
    (comparison,) = readout["metrics"][0]["comparisons"]
    assert comparison["impact"]["per_day"] == pytest.approx(0.005 * 20_000 * 4 / 7)
    text = " ".join(drawn(readout, 300).split())
    assert "treatment would change converted by +57 units a day (−39 to +153)" in text
    assert "+1,710 units in 30 days: if 11,429 units a day come, as so far, and the effect stays" in text


def test_names_are_not_markup() -> None:
    found = statistics(control={"converted": Counts(50, 5)})
    readout = build_readout(plan(CONVERTED, variants=("control", "[red]b[/red]")), found, PROVENANCE)
    assert "[red]b[/red]" in drawn({**readout, "experiment": "[bold]x"}, 100)
    assert "[bold]x" in drawn({**readout, "experiment": "[bold]x"}, 100)


def test_a_name_does_not_command_the_terminal() -> None:
    arms: dict[str, Any] = {name: {"converted": Counts(50, 5)} for name in ("control", "b\x1b[2J\x9b1m")}
    text = drawn(build_readout(plan(CONVERTED), statistics(**arms), PROVENANCE), 100)
    assert "b\ufffd[2J\ufffd1m" in text
    assert not set(text) & {"\x1b", "\x9b"}


def test_a_share_is_in_percent_with_a_pre_period_too() -> None:
    metric = CONVERTED.model_copy(update={"pre_period_days": 7})
    arms: dict[str, Any] = {
        name: {"converted": Moments(n, ("y", "y_before"), (share, 0.2), ((90.0, 20.0), (20.0, 160.0)))}
        for name, n, share in (("control", 1000, 0.1), ("treatment", 1001, 0.1234))
    }
    text = drawn(build_readout(plan(metric), statistics(**arms), PROVENANCE), 120)
    assert "12.34 %" in text
    assert "0.1234" not in text


def test_no_units_at_all_can_be_drawn() -> None:
    text = drawn(build_readout(plan(CONVERTED, LOAD_TIME), statistics(), PROVENANCE), 80)
    assert "nothing to read" in text
    assert "too few units" in text
