"""Moved denominators, novelty and primacy, carry-over."""

import json
import math

import numpy as np
import pytest
from scipy import stats

from equipoise_stats import (
    CarryOverFinding,
    CheckStatus,
    Moments,
    NoveltyFinding,
    carry_over,
    confidence_sequence,
    mean_difference,
    moved_denominator,
    novelty,
)

DAYS = {f"day{d}": float(d) for d in range(7)}


def views(mean: float, n: int = 1000) -> Moments:
    return Moments.scalar(n, mean, 25.0, column="views")


def test_a_moved_denominator_warns() -> None:
    check = moved_denominator(treatment=views(9.0), control=views(10.0), denominator="views")
    assert check.status == CheckStatus.WARNING
    assert "'views'" in str(check.reason)
    assert "from 10 to 9" in str(check.reason)
    theirs = stats.ttest_ind_from_stats(9, 5, 1000, 10, 5, 1000, equal_var=False)
    assert check.comparison.test.p_value == pytest.approx(float(theirs.pvalue), rel=1e-9)
    assert check.comparison.test.alpha == 0.01
    same = moved_denominator(treatment=views(10.0), control=views(10.1), denominator="views")
    assert (same.status, same.reason) == (CheckStatus.OK, None)
    # The same difference warns at a laxer level only.
    close = {"treatment": views(10.5), "control": views(10.0), "denominator": "views"}
    assert moved_denominator(**close).status == CheckStatus.OK  # type: ignore[arg-type]
    assert moved_denominator(**close, alpha=0.05).status == CheckStatus.WARNING  # type: ignore[arg-type]
    none = moved_denominator(treatment=views(1.0, 1), control=views(1.0), denominator="views")
    assert none.status == CheckStatus.UNAVAILABLE
    assert none.reason is not None
    with pytest.raises(KeyError, match="no column 'clicks'"):
        moved_denominator(treatment=views(1.0), control=views(1.0), denominator="clicks")
    json.dumps(check.to_dict(), allow_nan=False)


def cohort(seed: int, effects: list[float], n: int = 800) -> dict[str, np.ndarray]:
    """A unit's days are correlated: a part of its own stays."""
    generator = np.random.default_rng(seed)
    own = generator.normal(5, 2, n)
    return {f"day{d}": own + effect + generator.normal(0, 1, n) for d, effect in enumerate(effects)}


def test_the_slope_is_that_of_each_units_regression() -> None:
    t, c = cohort(1, [0.9, 0.5, 0.4, 0.3, 0.2, 0.2, 0.1]), cohort(2, [0.0] * 7)
    check = novelty(treatment=Moments.from_arrays(t), control=Moments.from_arrays(c), ages=DAYS)
    time = np.log1p(np.arange(7))
    slopes = [np.polyfit(time, np.array(list(arm.values())), 1)[0] for arm in (t, c)]
    theirs = stats.ttest_ind(*slopes, equal_var=False)
    assert check.slope.test.statistic == pytest.approx(float(theirs.statistic), rel=1e-8)
    assert check.slope.test.p_value == pytest.approx(float(theirs.pvalue), rel=1e-6)
    halves = [
        np.array(list(arm.values()))[4:].mean(axis=0) - np.array(list(arm.values()))[:3].mean(axis=0)
        for arm in (t, c)
    ]
    paired = stats.ttest_ind(*halves, equal_var=False)
    assert check.late_minus_early.test.statistic == pytest.approx(float(paired.statistic), rel=1e-8)
    assert (check.status, check.finding) == (CheckStatus.WARNING, NoveltyFinding.FADING)
    for d, each in enumerate(check.ages):
        assert each.age == d
        assert each.effect == pytest.approx(t[f"day{d}"].mean() - c[f"day{d}"].mean(), rel=1e-9)
        assert each.standard_error is not None
    json.dumps(check.to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("effects", "finding"),
    [
        ([1.0, 0.5, 0.4, 0.3, 0.2, 0.2, 0.1], NoveltyFinding.FADING),
        ([-1.0, -0.5, -0.4, -0.3, -0.2, -0.2, -0.1], NoveltyFinding.FADING),
        ([0.1, 0.2, 0.4, 0.5, 0.7, 0.8, 1.0], NoveltyFinding.GROWING),
        ([-0.1, -0.2, -0.4, -0.5, -0.7, -0.8, -1.0], NoveltyFinding.GROWING),
        ([-0.6, -0.3, 0.0, 0.2, 0.4, 0.5, 0.6], NoveltyFinding.REVERSING),
        # The line through these ends far below 0, where the effects do not.
        ([4.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], NoveltyFinding.FADING),
    ],
)
def test_findings(effects: list[float], finding: NoveltyFinding) -> None:
    t, c = Moments.from_arrays(cohort(3, effects)), Moments.from_arrays(cohort(4, [0.0] * 7))
    check = novelty(treatment=t, control=c, ages=DAYS)
    assert (check.status, check.finding) == (CheckStatus.WARNING, finding)
    swapped = novelty(treatment=c, control=t, ages=DAYS)
    assert swapped.finding == finding
    # Neither the order of the columns nor the unit of the metric matters.
    shuffled = novelty(treatment=t, control=c, ages=dict(reversed(DAYS.items())))
    assert shuffled.slope.test.statistic == pytest.approx(check.slope.test.statistic, rel=1e-12)
    assert [each.age for each in shuffled.ages] == list(range(7))


def test_the_line_is_read_at_its_ends() -> None:
    """Ages far apart: the line crosses 0 between the last two, so only the last one has the other sign."""

    def arm(means: list[float]) -> Moments:
        return Moments.from_aggregates(
            1000,
            dict(zip("abc", means, strict=True)),
            dict.fromkeys("abc", 1.0),
            {("a", "b"): 0.0, ("a", "c"): 0.0, ("b", "c"): 0.0},
        )

    check = novelty(
        treatment=arm([1.0, 1.0, -1.0]), control=arm([0.0] * 3), ages={"a": 0.0, "b": 1.0, "c": 1000.0}
    )
    assert check.finding == NoveltyFinding.REVERSING


def test_a_steady_effect_is_no_novelty() -> None:
    check = novelty(
        treatment=Moments.from_arrays(cohort(5, [0.5] * 7)),
        control=Moments.from_arrays(cohort(6, [0.0] * 7)),
        ages=DAYS,
    )
    assert (check.status, check.finding, check.reason) == (CheckStatus.OK, None, None)


def test_novelty_without_an_answer() -> None:
    constant = Moments.from_arrays({f"day{d}": np.ones(9) for d in range(7)})
    check = novelty(treatment=constant, control=constant, ages=DAYS)
    assert check.status == CheckStatus.UNAVAILABLE
    assert check.reason is not None
    assert (check.ages[0].effect, check.ages[0].standard_error) == (0.0, None)


@pytest.mark.parametrize(
    ("ages", "message"),
    [
        ({"day0": 0.0, "day1": 1.0}, "three different"),
        ({"day0": 0.0, "day1": 1.0, "day2": 1.0}, "three different"),
        ({"day0": -1.0, "day1": 1.0, "day2": 2.0}, "'day0' is -1.0"),
        ({"day0": 0.0, "day1": 1.0, "day2": math.inf}, "'day2' is inf"),
    ],
)
def test_impossible_ages_are_refused(ages: dict[str, float], message: str) -> None:
    arm = Moments.from_arrays(cohort(7, [0.0] * 7, 20))
    with pytest.raises(ValueError, match=message):
        novelty(treatment=arm, control=arm, ages=ages)


def test_size_of_the_novelty_check() -> None:
    warned = sum(
        novelty(
            treatment=Moments.from_arrays(cohort(2 * seed, [0.3] * 7, 120)),
            control=Moments.from_arrays(cohort(2 * seed + 1, [0.0] * 7, 60)),
            ages=DAYS,
            alpha=0.05,
        ).status
        == CheckStatus.WARNING
        for seed in range(1500)
    )
    assert abs(warned / 1500 - 0.05) < 3 * math.sqrt(0.05 * 0.95 / 1500)


def crossed(n: list[list[int]], means: list[list[float]]) -> dict[tuple[str, str], Moments]:
    return {
        (f"earlier{i}", f"now{j}"): Moments.scalar(n[i][j], means[i][j], 4.0 if n[i][j] > 1 else None)
        for i in range(len(n))
        for j in range(len(n[0]))
    }


EVEN = [[1000, 1000], [1000, 1000], [1000, 1000]]
FLAT = [[1.0, 1.5], [1.0, 1.5], [1.0, 1.5]]


@pytest.mark.parametrize(
    ("n", "means", "status", "finding"),
    [
        (EVEN, FLAT, CheckStatus.OK, None),
        ([[1000, 700], [700, 1000], [900, 900]], FLAT, CheckStatus.FAILED, CarryOverFinding.DEPENDENT),
        (EVEN, [[1.0, 1.5], [1.0, 1.5], [1.0, 2.5]], CheckStatus.WARNING, CarryOverFinding.MODIFIED),
        (EVEN, [[1.0, 1.5], [1.0, 1.5], [2.0, 2.5]], CheckStatus.WARNING, CarryOverFinding.RESIDUAL),
        ([[1, 1], [1, 1], [1, 1]], FLAT, CheckStatus.UNAVAILABLE, None),
    ],
)
def test_carry_over_findings(
    n: list[list[int]], means: list[list[float]], status: CheckStatus, finding: CarryOverFinding | None
) -> None:
    check = carry_over(crossed(n, means))
    assert (check.status, check.finding) == (status, finding)
    assert (check.reason is None) is (status == CheckStatus.OK)
    json.dumps(check.to_dict(), allow_nan=False)


def test_carry_over_statistics() -> None:
    """By hand: all cells have variance 4/1000."""
    means = np.array([[1.0, 1.6], [1.1, 1.5], [1.3, 1.7]])
    check = carry_over(crossed(EVEN, means.tolist()))
    rows = means.mean(axis=1)
    residual = float(((rows - rows.mean()) ** 2).sum() / (0.004 / 2))
    assert check.residual is not None
    assert check.residual.statistic == pytest.approx(residual, rel=1e-9)
    assert check.residual.df == 2
    effects = means[:, 1] - means[:, 0]
    assert check.modification is not None
    modification = float(((effects - effects.mean()) ** 2).sum() / 0.008)
    assert check.modification.statistic == pytest.approx(modification, rel=1e-9)
    assert check.modification.p_value == pytest.approx(float(stats.chi2.sf(modification, 2)), rel=1e-9)
    assert check.assignment is not None
    assert check.assignment.p_value == 1.0


def test_carry_over_without_variance_or_with_few_units() -> None:
    constant = dict.fromkeys(crossed(EVEN, FLAT), Moments.scalar(9, 1.0, 0.0))
    assert carry_over(constant).status == CheckStatus.UNAVAILABLE
    # A dependent assignment is found even where the metric says nothing yet.
    check = carry_over(
        {
            ("a", "x"): Moments.scalar(100, 1.0, 1.0),
            ("a", "y"): Moments.scalar(1, 1.0, None),
            ("b", "x"): Moments.scalar(1, 1.0, None),
            ("b", "y"): Moments.scalar(100, 1.0, 1.0),
        }
    )
    assert (check.finding, check.residual, check.modification) == (CarryOverFinding.DEPENDENT, None, None)
    nobody = dict.fromkeys(crossed(EVEN, FLAT), Moments.empty(("y",)))
    assert carry_over(nobody).assignment is None
    with pytest.raises(ValueError, match="alpha is"):
        carry_over(constant, alpha=0.9)
    arm = Moments.from_arrays({"y": [1.0, 2.0], "x": [0.0, 3.0]})
    named = carry_over(dict.fromkeys(crossed(EVEN, FLAT), arm), column="x")
    assert named.status == CheckStatus.OK


def test_novelty_at_any_moment_is_a_confidence_sequence_of_units_own_slopes() -> None:
    generator = np.random.default_rng(8)
    days = np.log1p(np.arange(7))
    arms = [generator.normal(5, 2, (3_000, 7)) + np.linspace(effect, 0, 7) for effect in (0.9, 0.0)]
    t, c = (Moments.from_arrays({f"day{day}": arm[:, day] for day in range(7)}) for arm in arms)
    check = novelty(treatment=t, control=c, ages=DAYS, tuning_units=4_000)
    slopes = [Moments.from_arrays({"y": np.polyfit(days, arm.T, 1)[0]}) for arm in arms]
    theirs = confidence_sequence(
        mean_difference(treatment=slopes[0], control=slopes[1], column="y"), tuning_units=4_000, alpha=0.01
    )
    assert check.slope.test.log_p_value == pytest.approx(theirs.test.log_p_value, rel=1e-9)
    assert check.finding is NoveltyFinding.FADING
    once = novelty(treatment=t, control=c, ages=DAYS)
    assert once.slope.test.p_value is not None
    assert check.slope.test.p_value is not None
    assert check.slope.test.p_value > once.slope.test.p_value
    assert check.ages == once.ages
