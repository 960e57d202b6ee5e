"""Non-inferiority, superiority by a margin and equivalence, with several inferences."""

import importlib
import json
import math
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from equipoise_stats import (
    ArmEstimate,
    Compare,
    Comparison,
    Counts,
    Estimate,
    Interval,
    MarginFinding,
    MarginOutcome,
    Moments,
    Scale,
    Status,
    equivalence,
    fixed_horizon,
    mean_difference,
    miettinen_nurminen,
    newcombe,
    non_inferiority,
    score_test,
    superiority,
)


def effect(difference: float, se: float = 1.0, control: float = 10.0) -> Compare:
    half = se * se / 2
    return partial(
        fixed_horizon,
        Estimate("any", ArmEstimate(9, control + difference, half), ArmEstimate(9, control, half)),
    )


def bounds(finding: MarginFinding) -> tuple[float, float]:
    assert finding.effect.interval is not None
    return finding.effect.interval.lower, finding.effect.interval.upper


def test_non_inferiority_by_hand() -> None:
    # z = (−0.5 + 3) / 1 = 2.5; the bounds are −0.5 ± 1.644854.
    finding = non_inferiority(effect(-0.5), margin=3.0)
    assert finding.outcome is MarginOutcome.SHOWN
    assert finding.p_value == pytest.approx(0.006209665, rel=1e-6)
    assert finding.log_p_value == pytest.approx(math.log(0.006209665), rel=1e-6)
    assert bounds(finding) == pytest.approx((-2.144854, 1.144854), abs=1e-6)
    assert finding.effect.estimate == -0.5
    assert finding.effect.standard_error == 1.0
    (test,) = finding.tests
    assert (test.null, test.alternative, test.statistic) == (-3.0, "greater", 2.5)
    assert (finding.question, finding.scale, finding.alpha) == ("non_inferiority", "difference", 0.05)
    assert non_inferiority(effect(-0.5), margin=2.0).outcome is MarginOutcome.INCONCLUSIVE
    assert non_inferiority(effect(-0.5), margin=2.2).outcome is MarginOutcome.SHOWN
    assert non_inferiority(effect(-0.5), margin=2.2, alpha=0.025).outcome is MarginOutcome.INCONCLUSIVE
    assert non_inferiority(effect(-4.0), margin=2.0).outcome is MarginOutcome.REFUTED


def test_lower_is_better_mirrors() -> None:
    up = non_inferiority(effect(-0.5), margin=3.0)
    down = non_inferiority(effect(0.5), margin=3.0, better="lower")
    assert down.outcome is MarginOutcome.SHOWN
    assert down.p_value == up.p_value
    assert bounds(down) == tuple(-end for end in reversed(bounds(up)))
    assert (down.tests[0].null, down.tests[0].alternative) == (3.0, "less")
    assert non_inferiority(effect(4.0), margin=2.0, better="lower").outcome is MarginOutcome.REFUTED
    gain = superiority(effect(-4.0), margin=2.0, better="lower")
    assert (gain.outcome, gain.tests[0].null) == (MarginOutcome.SHOWN, -2.0)


def test_superiority_by_hand() -> None:
    finding = superiority(effect(4.0), margin=2.0)
    assert (finding.question, finding.outcome) == ("superiority", MarginOutcome.SHOWN)
    assert (finding.tests[0].null, finding.tests[0].alternative) == (2.0, "greater")
    assert finding.p_value == pytest.approx(0.022750132, rel=1e-6)
    assert superiority(effect(2.5), margin=2.0).outcome is MarginOutcome.INCONCLUSIVE
    assert superiority(effect(0.0), margin=2.0).outcome is MarginOutcome.REFUTED


def test_equivalence_by_hand() -> None:
    finding = equivalence(effect(0.25), lower=-2.0, upper=2.5)
    assert (finding.question, finding.outcome) == ("equivalence", MarginOutcome.SHOWN)
    assert [test.statistic for test in finding.tests] == [2.25, -2.25]
    assert finding.p_value == pytest.approx(0.012224473, rel=1e-6)
    assert bounds(finding) == pytest.approx((0.25 - 1.644854, 0.25 + 1.644854), abs=1e-6)
    # The larger p-value counts.
    assert equivalence(effect(0.5), lower=-2.0, upper=2.0).p_value == pytest.approx(0.0668072, rel=1e-6)
    assert equivalence(effect(-0.5), lower=-2.0, upper=2.0).p_value == pytest.approx(0.0668072, rel=1e-6)
    assert equivalence(effect(1.0), lower=-2.0, upper=2.0).outcome is MarginOutcome.INCONCLUSIVE
    assert equivalence(effect(4.0), lower=-2.0, upper=2.0).outcome is MarginOutcome.REFUTED
    assert equivalence(effect(-4.0), lower=-2.0, upper=2.0).outcome is MarginOutcome.REFUTED


def test_a_relative_margin_is_the_exact_linear_form() -> None:
    e = Estimate("any", ArmEstimate(9, 9.9, 0.005), ArmEstimate(9, 10.0, 0.005))
    finding = non_inferiority(partial(fixed_horizon, e), margin=0.03, scale="lift")
    z = (9.9 - 0.97 * 10) / math.sqrt(0.005 * (1 + 0.97**2))
    assert finding.tests[0].statistic == pytest.approx(z, rel=1e-12)
    assert finding.effect.estimate == pytest.approx(-0.01)
    assert bounds(finding)[0] > -0.03


def test_tost_is_that_of_statsmodels() -> None:
    weightstats = importlib.import_module("statsmodels.stats.weightstats")
    generator = np.random.default_rng(3)
    x, y = generator.normal(10.0, 1.0, 40), generator.normal(10.2, 2.0, 55)
    arms: dict[str, Any] = {
        "treatment": Moments.from_arrays({"y": x}),
        "control": Moments.from_arrays({"y": y}),
    }
    finding = equivalence(partial(fixed_horizon, mean_difference(**arms)), lower=-0.7, upper=0.9)
    p, first, second = weightstats.ttost_ind(x, y, -0.7, 0.9, usevar="unequal")
    assert finding.p_value == pytest.approx(float(p), rel=1e-9)
    assert [t.p_value for t in finding.tests] == pytest.approx([float(first[1]), float(second[1])], rel=1e-9)


@given(
    st.floats(-5, 5),
    st.floats(0.1, 3),
    st.floats(0.05, 4),
    st.sampled_from([0.01, 0.05, 0.2]),
    st.sampled_from(["difference", "lift"]),
    st.sampled_from(["higher", "lower"]),
)
def test_a_claim_is_shown_exactly_when_the_interval_lies_on_its_side(
    difference: float, se: float, margin: float, alpha: float, scale: Scale, better: Any
) -> None:
    margin = margin / 5 if scale == "lift" else margin
    compare = effect(difference, se, control=30.0)
    unit = 1.0 if better == "higher" else -1.0
    for ask, null in ((non_inferiority, -margin), (superiority, margin)):
        finding = ask(compare, margin=margin, better=better, scale=scale, alpha=alpha)
        json.dumps(finding.to_dict(), allow_nan=False)
        assert finding.p_value is not None
        assume(not math.isclose(finding.p_value, alpha, rel_tol=1e-9))
        lower, upper = sorted(unit * end for end in bounds(finding))
        assert (finding.outcome is MarginOutcome.SHOWN) is (finding.p_value <= alpha) is (lower > null)
        assert (finding.outcome is MarginOutcome.REFUTED) is (upper < null)
    both = equivalence(compare, lower=-margin, upper=2 * margin, scale=scale, alpha=alpha)
    lower, upper = bounds(both)
    assert (both.outcome is MarginOutcome.SHOWN) is (-margin < lower and upper < 2 * margin)
    assert (both.outcome is MarginOutcome.REFUTED) is (upper < -margin or lower > 2 * margin)
    assert both.p_value == max(test.p_value for test in both.tests if test.p_value is not None)


@pytest.mark.parametrize("method", [score_test, miettinen_nurminen, newcombe])
def test_proportions_by_their_own_tests(method: Any) -> None:
    arms: dict[str, Any] = {"treatment": Counts(200, 165), "control": Counts(200, 170)}
    finding = non_inferiority(partial(method, **arms), margin=0.1)
    direct: Comparison = method(**arms, null=-0.1, alternative="greater")
    assert finding.p_value == direct.test.p_value
    assert finding.outcome is (MarginOutcome.SHOWN if direct.test.rejected else MarginOutcome.INCONCLUSIVE)
    both = method(**arms, alpha=0.1)
    assert bounds(finding) == (both.difference.interval.lower, both.difference.interval.upper)


def test_farrington_and_manning_is_that_of_statsmodels_for_ratios() -> None:
    # Its score test of a difference is wrong (issue 10269), that of a ratio is right.
    proportion = importlib.import_module("statsmodels.stats.proportion")
    theirs = proportion.test_proportions_2indep(
        165, 200, 170, 200, value=0.9, compare="ratio", method="score", correction=False, alternative="larger"
    )
    arms: dict[str, Any] = {"treatment": Counts(200, 165), "control": Counts(200, 170)}
    finding = non_inferiority(partial(score_test, **arms), margin=0.1, scale="lift")
    assert finding.p_value == pytest.approx(float(theirs.pvalue), rel=1e-9)


def test_where_there_is_no_test() -> None:
    nothing = mean_difference(treatment=Moments.scalar(1, 1.0, 0.0), control=Moments.scalar(5, 1.0, 1.0))
    negative = Estimate("any", ArmEstimate(9, 1.0, 0.5), ArmEstimate(9, -1.0, 0.5))
    for finding in (
        non_inferiority(partial(fixed_horizon, nothing), margin=0.1),
        superiority(partial(fixed_horizon, nothing), margin=0.1),
        equivalence(partial(fixed_horizon, nothing), lower=-0.1, upper=0.1),
        non_inferiority(partial(fixed_horizon, negative), margin=0.1, scale="lift"),
    ):
        assert finding.outcome is MarginOutcome.UNAVAILABLE
        assert finding.p_value is None
        assert finding.log_p_value is None
        assert finding.effect.interval is None
        assert finding.tests[0].reason
        assert json.dumps(finding.to_dict(), allow_nan=False)


def test_a_lift_with_a_lower_limit_only() -> None:
    arms: dict[str, Any] = {"treatment": Counts(100, 9), "control": Counts(100, 0)}
    finding = non_inferiority(partial(score_test, **arms), margin=0.1, scale="lift")
    assert finding.outcome is MarginOutcome.SHOWN
    assert finding.effect.status == Status.UNBOUNDED
    assert finding.effect.interval is not None
    assert finding.effect.interval == Interval(finding.effect.interval.lower, math.inf)


def test_impossible_margins_are_refused() -> None:
    for margin in (0.0, -0.1, math.nan, math.inf):
        with pytest.raises(ValueError, match="a positive number"):
            non_inferiority(effect(0.0), margin=margin)
        with pytest.raises(ValueError, match="a positive number"):
            superiority(effect(0.0), margin=margin)
    with pytest.raises(ValueError, match="better is 'more'"):
        non_inferiority(effect(0.0), margin=0.1, better="more")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="must lie above -1"):
        non_inferiority(effect(0.0), margin=1.0, scale="lift")
    for lower, upper in ((0.1, 0.2), (-0.1, 0.0), (0.0, 0.1), (-math.inf, 0.1), (-0.1, math.nan)):
        with pytest.raises(ValueError, match="lie around 0"):
            equivalence(effect(0.0), lower=lower, upper=upper)


def test_the_size_at_the_margin() -> None:
    """At the margin a claim is shown with probability alpha."""
    generator = np.random.default_rng(8)
    draws = generator.normal(-1.5, 1.0, 4000)
    shown = sum(
        non_inferiority(effect(float(draw)), margin=1.5, alpha=0.05).outcome is MarginOutcome.SHOWN
        for draw in draws
    )
    assert abs(shown / 4000 - 0.05) < 3 * math.sqrt(0.05 * 0.95 / 4000)
