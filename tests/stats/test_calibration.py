"""The short form of `make calibrate`: every method at its level, naive counterparts failing, in seconds."""

import datetime
from dataclasses import replace

import numpy as np
import pytest
from calibration import real
from calibration.__main__ import PAGE, conclude, main
from calibration.cells import all_cells
from calibration.draws import arms_of_columns, in_chunks, normal_arms, revenue_arms
from calibration.measure import Case, Cell, Row, margin, shares
from calibration.page import line, number, page, summary

import equipoise_stats as es

CELLS = {f"{cell.section}/{cell.name}": cell for cell in all_cells()}


@pytest.mark.parametrize("name", [name for name, cell in CELLS.items() if cell.short is not None])
def test_a_method_holds_and_its_naive_counterpart_does_not(name: str) -> None:
    cell = CELLS[name]
    rows = cell.rows(cell.short or 0)
    assert rows
    # A naive method needs the runs of the full form to be told apart where it errs by a little.
    wrong = [line(row) for row in rows if not row.inside and not row.naive]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "name",
    [
        "Means, one analysis/revenue 1000/9000 log-sd 1.5",
        "Ratios and quantiles of correlated events, one analysis/ratio 500/500",
        "Ratios and quantiles of correlated events, one analysis/quantile 0.9",
        "Adjustment, strata and clusters, one analysis/clusters 50",
        "Group-sequential/naive",
        "Looking after every 20 units, up to 10,000/normal",
        "Counts, watched all the time/sample ratio",
        "Margins, families, decisions/dunnett 4",
        "Margins, families, decisions/rule 1 3",
    ],
)
def test_naive_counterparts_are_seen_to_fail(name: str) -> None:
    cell = CELLS[name]
    naive = [row for row in cell.rows(cell.short or 0) if row.naive]
    assert naive
    assert [row.verdict for row in naive] == ["fails, as known"] * len(naive)


def test_real_metrics_are_part_of_it_where_the_data_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real, "available", lambda: False)
    simulated = all_cells()
    assert not any(cell.section == real.SECTION for cell in simulated)
    monkeypatch.setattr(real, "available", lambda: True)
    assert all_cells() == simulated + list(real.CELLS)


def test_names_of_cells_are_distinct_so_that_their_seeds_are() -> None:
    assert len(CELLS) == len(all_cells())


def test_a_cell_gives_the_same_rows_again_and_another_cell_others() -> None:
    def run(replications: int, generator: np.random.Generator) -> list[Row]:
        return [Case("m", "c", replications).exact("size", float(generator.random()), 0.05)]

    cell = Cell("Section", "name", run, full=10)
    assert cell.rows(10) == cell.rows(10)
    assert cell.rows(10)[0].measured != replace(cell, name="other").rows(10)[0].measured


def test_bands_are_three_standard_errors_wide() -> None:
    assert margin(0.05, 10_000) == pytest.approx(3 * (0.05 * 0.95 / 10_000) ** 0.5)
    case = Case("m", "c", 10_000)
    reach = margin(0.05, 10_000)
    exact = case.exact("size", 0.05, 0.05)
    assert (exact.low, exact.high) == pytest.approx((0.05 - reach, 0.05 + reach))
    most = case.at_most("size", 0.05, 0.05)
    assert (most.low, most.high) == pytest.approx((0.0, 0.05 + reach))
    least = case.at_least("coverage", 0.95, 0.95)
    assert (least.low, least.high) == pytest.approx((0.95 - reach, 1.0))


@pytest.mark.parametrize(
    ("measured", "naive", "as_claimed", "verdict"),
    [
        (0.05, False, True, "holds"),
        (0.08, False, False, "DOES NOT HOLD"),
        (0.08, True, True, "fails, as known"),
        (0.05, True, False, "holds, though shown as naive"),
    ],
)
def test_verdicts(measured: float, naive: bool, as_claimed: bool, verdict: str) -> None:
    row = Case("m", "c", 10_000, naive).exact("size", measured, 0.05)
    assert (row.as_claimed, row.verdict) == (as_claimed, verdict)
    assert ("**" in line(row)) is not as_claimed
    assert line(row).startswith("| *naive:* m |" if naive else "| m |")


def test_shares_count_by_weight() -> None:
    def arm(mean: float) -> es.Moments:
        return es.Moments.scalar(100, mean, 1.0)

    up, down, same = (
        es.fixed_horizon(es.mean_difference(treatment=arm(mean), control=arm(10.0)))
        for mean in (11.0, 9.0, 10.0)
    )
    none = es.fixed_horizon(es.mean_difference(treatment=es.Moments.scalar(1, 1.0, None), control=arm(10.0)))
    done = shares([up, down, same, none], difference=1.0, lift=0.1, weights=[1, 2, 3, 4])
    assert (done.rejected, done.above, done.unanswered) == pytest.approx((0.3, 0.1, 0.4))
    assert (done.covered, done.lift_covered) == pytest.approx((0.5, 0.5))
    assert shares([up, same]).rejected == 0.5


def test_drawn_arms_have_the_moments_of_their_units() -> None:
    generator = np.random.default_rng(1)
    values = {"y": generator.normal(size=(3, 50)), "x": generator.normal(size=(3, 50))}
    for index, arm in enumerate(arms_of_columns(values)):
        direct = es.Moments.from_arrays({name: column[index] for name, column in values.items()})
        assert arm.mean == pytest.approx(direct.mean)
        assert np.array(arm.comoments) == pytest.approx(np.array(direct.comoments))
    arms = normal_arms(generator, 20_000, n=5, mean=3.0, sd=2.0)
    assert np.mean([arm.mean[0] for arm in arms]) == pytest.approx(3.0, abs=0.03)
    assert np.mean([arm.variance() for arm in arms]) == pytest.approx(4.0, abs=0.1)


def test_drawn_revenue_has_its_moments() -> None:
    arms = revenue_arms(np.random.default_rng(2), 400, n=5_000, log_sd=0.5)
    mean = np.mean([arm.mean[0] for arm in arms])
    # E y = 1, E y² = e^{σ²} / 0.05, E y³ = e^{3σ²} / 0.05².
    second, third = np.exp(0.25) / 0.05, np.exp(0.75) / 0.05**2
    assert mean == pytest.approx(1.0, abs=0.01)
    assert np.mean([arm.variance() for arm in arms]) == pytest.approx(second - 1, rel=0.02)
    assert np.mean([arm.third[0] / arm.n for arm in arms if arm.third]) == pytest.approx(
        third - 3 * second + 2, rel=0.03
    )


def test_the_continuous_boundaries_are_those_of_the_inference() -> None:
    # What the simulation of many looks compares with at once is what the inference compares with at one.
    arm, other = es.Moments.scalar(400, 10.2, 4.0), es.Moments.scalar(400, 10.0, 4.0)
    look = es.confidence_sequence(es.mean_difference(treatment=arm, control=other), tuning_units=5_000)
    design = es.confidence_sequence_design([0.08, 1.0])
    assert look.test.critical == pytest.approx(design.critical[0], rel=1e-12)
    counts = es.conversion_process(treatment=60, control=40, concentration=1000.0)
    log_e = es.dirichlet_multinomial_log_e([60, 40], null=[0.5, 0.5], prior=[500.0, 500.0])
    assert counts.log_e_value == pytest.approx(float(log_e), abs=1e-12)
    check = es.sequential_sample_ratio([es.AllocationEpoch({"a": 60, "b": 40}, {"a": 1, "b": 1})])
    assert check.log_e_value == pytest.approx(float(log_e), abs=1e-12)


def test_a_small_arm_without_its_large_values_is_guarded() -> None:
    # The small arm's own values are symmetric, and the large one's skewness weighs little at its size.
    small, large = es.Moments.scalar(100, 1.0, 1.0, 0.0), es.Moments.scalar(900, 1.0, 25.0, 900 * 300.0)
    variance = (99 * 1.0 + 899 * 25.0) / 998 * (1 / 100 + 1 / 900)
    common = 900 * 300.0 / 1_000 * (1 / 100**2 - 1 / 900**2) / variance**1.5
    assert common == pytest.approx(0.2116, abs=0.0001)
    found = es.skewness_guard(es.mean_difference(treatment=small, control=large))
    assert found.status is es.CheckStatus.WARNING
    assert found.skewness == pytest.approx(common)
    for treatment, control in ((small, large), (large, small)):
        guarded = es.guarded_mean_difference(treatment=treatment, control=control, threshold=common * 0.9999)
        calm = es.guarded_mean_difference(treatment=treatment, control=control, threshold=common * 1.0001)
        assert (guarded.estimator, calm.estimator) == ("mean_pooled", "mean_welch")
        assert [notice.code for notice in guarded.warnings] == ["skewed_unequal_arms"]
        assert calm.warnings == ()


def test_the_page_has_every_row_once_under_its_heading() -> None:
    rows = [Case(f"m{i}", "c", 10_000).exact("size", 0.05, 0.05) for i in range(3)]
    text = page(
        [("One", rows[:1]), ("One", rows[1:2]), ("Two", rows[2:])],
        date=datetime.date(2024, 1, 2),
        real=False,
    )
    assert [part for part in text.splitlines() if part.startswith("## ")] == ["## One", "## Two"]
    assert [text.count(line(row)) for row in rows] == [1, 1, 1]
    assert "Run of 2024-01-02" in text
    assert "The real data were not there" in text
    assert "all as claimed" in text
    bad = Case("m", "c", 10_000).exact("size", 0.5, 0.05)
    assert summary([*rows, bad]) == "4 figures, of which 0 of naive methods; 1 not as claimed"


def test_the_command_runs_what_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    before = PAGE.read_bytes() if PAGE.exists() else None
    assert main(["decisions/RULE 1 0"]) == 0
    printed = capsys.readouterr().out
    assert "[1/1] Margins, families, decisions: rule 1 0" in printed
    assert (
        "| decision rule | 1 success metrics, 0 guardrails, independent | good changes shipped | 100,000 |"
        in (printed)
    )
    assert "3 figures, of which 0 of naive methods; all as claimed" in printed
    assert (PAGE.read_bytes() if PAGE.exists() else None) == before


def test_the_command_refuses_what_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["no such cell"]) == 2
    assert "no such cell" in capsys.readouterr().err


def test_a_figure_outside_its_band_makes_the_command_fail(capsys: pytest.CaptureFixture[str]) -> None:
    good = Case("good", "c", 10_000).exact("size", 0.05, 0.05)
    bad = Case("bad", "c", 10_000).exact("size", 0.07, 0.05)
    assert conclude([good]) == 0
    assert "NOT AS CLAIMED" not in capsys.readouterr().out
    assert conclude([good, bad]) == 1
    assert "NOT AS CLAIMED " + line(bad) in capsys.readouterr().out


def test_numbers_and_chunks() -> None:
    assert (number(0.05), number(45_100.0), number(-1.5)) == ("0.0500", "45,100", "-1.5000")
    assert in_chunks(25, 10) == [10, 10, 5]
    assert in_chunks(10, 10) == [10]
