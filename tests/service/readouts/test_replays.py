"""The short form of `make replay`: real experiments with nothing to find are shipped as seldom as planned."""

import datetime

import numpy as np
import pytest
from calibration.measure import Cell, Row
from calibration.page import line
from calibration.replays import __main__ as replays
from calibration.replays import history
from calibration.replays.measured import CELLS, SHORT
from calibration.replays.replay import replay

from equipoise_service.experiments.schemas import ExperimentIn
from equipoise_service.readouts.ad_hoc import plan_of

pytestmark = pytest.mark.skipif(
    not history.available(), reason="the real data sets are not beside the repository: they have no licence"
)


@pytest.mark.parametrize(
    "cell",
    [
        pytest.param(cell, id=cell.name, marks=[pytest.mark.slow] if cell.name == "landing page" else [])
        for cell in CELLS
    ],
)
def test_nothing_is_shipped_more_often_than_planned_and_a_gain_is(cell: Cell) -> None:
    rows: dict[tuple[str, str], Row] = {}
    for row in cell.rows(SHORT):
        rows[row.method, row.quantity + (" a gain" if "planted" in row.condition else "")] = row
    wrong = [line(row) for row in rows.values() if not row.inside and not row.naive]
    assert not wrong, "\n".join(wrong)
    # What teams do instead ships more of the same experiments than the plan allows, and than the plan did.
    planned = rows["the plan, a look a day", "shipped"]
    naive = next(row for (_, quantity), row in rows.items() if row.naive and "shipped" in quantity)
    assert naive.measured > max(planned.measured, 0.025)
    assert rows["the plan, a look a day", "shipped a gain"].measured >= 0.75


def test_days_add_up_to_the_whole_file() -> None:
    came = history.landing_page()
    assert (came.days, came.day.size) == (22, 290_584)
    converted = {row["user_id"] for row in history.rows_of("ab_data") if row["converted"] == "1"}
    assert came.facts["converted"].sum.sum() == len(converted)
    views = came.facts["views"]
    assert views.sum.sum() == 294_478
    repeated = np.bincount(np.bincount(views.unit))
    assert views.squares.sum() == sum(k * k * n for k, n in enumerate(repeated.tolist()))


def test_a_replay_looks_every_day_until_it_ships() -> None:
    came = history.mailing()
    plan = plan_of(ExperimentIn.model_validate(came.body))
    nothing = replay(came, plan, np.random.default_rng(1))
    assert len(nothing.outcomes) == came.days
    assert set(nothing.outcomes[:-1]) == {"keep_running"}
    assert nothing.outcomes[-1] == "do_not_ship"
    gain = replay(came, plan, np.random.default_rng(1), planted=0.9)
    assert gain.outcomes[-1] == "ship"
    assert len(gain.outcomes) < came.days
    assert len(gain.naive) == came.days


def test_the_page_names_every_history() -> None:
    rows = [Row("a", "b", "c", 1, 0.0, 0.0, 1.0)]
    page = replays.page(rows, datetime.date(2026, 1, 1))
    assert all(f"| {name}, " in page for name in history.HISTORIES)
    assert "the file's order, cut into 14 equal days" in page
