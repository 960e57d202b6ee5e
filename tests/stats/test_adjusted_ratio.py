"""Regression adjustment of ratios: by their pre-period, and what they need."""

import numpy as np
import pytest
from tests.stats.estimates import codes, details, known
from tests.stats.units import Columns, adjust

from equipoise_stats import (
    Moments,
    NoEstimate,
    Status,
    adjusted_difference,
    ratio_difference,
)


def sessions(seed: int, n: int) -> Columns:
    generator = np.random.default_rng(seed)
    habit, taste = generator.gamma(2, 2, n), generator.beta(2, 5, n)
    d0, d1 = generator.poisson(habit) + 1, generator.poisson(habit) + 1
    return {
        "y": generator.binomial(d1, taste).astype(float),
        "d": d1.astype(float),
        "y0": generator.binomial(d0, taste).astype(float),
        "d0": d0.astype(float),
    }


def test_a_ratio_is_adjusted_by_its_pre_period() -> None:
    """The scores as plain columns: the same by the adjustment of means."""
    treatment, control = sessions(1, 800), sessions(2, 1200)
    pair = [Moments.from_arrays(arm) for arm in (treatment, control)]
    e = known(
        adjusted_difference(
            treatment=pair[0], control=pair[1], covariates=[("y0", "d0")], column="y", denominator="d"
        )
    )
    assert e.estimator == "adjusted_ratio"
    y0, d0 = (np.concatenate([arm[name] for arm in (treatment, control)]) for name in ("y0", "d0"))
    before = y0.sum() / d0.sum()
    scores = []
    for arm in (treatment, control):
        r = arm["y"].sum() / arm["d"].sum()
        scores.append(
            {
                "y": r + (arm["y"] - r * arm["d"]) / arm["d"].mean(),
                "x": (arm["y0"] - before * arm["d0"]) / d0.mean(),
            }
        )
    mean = known(adjust(scores[0], scores[1], ["x"]))
    assert e.difference == pytest.approx(mean.difference, rel=1e-9)
    assert e.variance == pytest.approx(mean.variance, rel=1e-9)
    assert e.covariance == pytest.approx(mean.covariance, rel=1e-9)
    assert e.df == pytest.approx(mean.df, rel=1e-9)
    assert details(e)["coefficient.y0/d0"] == pytest.approx(details(mean)["coefficient.x"], rel=1e-9)
    plain = known(ratio_difference(treatment=pair[0], control=pair[1], numerator="y", denominator="d"))
    assert e.variance < 0.95 * plain.variance
    assert details(e)["variance_removed"] == pytest.approx(1 - e.variance / plain.variance, rel=1e-9)


def test_a_ratio_needs_its_denominator() -> None:
    good = sessions(3, 50)
    bad = good | {"d": np.zeros(50)}
    answer = adjusted_difference(
        treatment=Moments.from_arrays(bad),
        control=Moments.from_arrays(good),
        covariates=["y0"],
        column="y",
        denominator="d",
    )
    assert isinstance(answer, NoEstimate)
    assert answer.status == Status.DENOMINATOR_NOT_POSITIVE
    few = {name: column[:6] for name, column in sessions(4, 50).items()}
    noisy = Moments.from_arrays(few | {"d": np.array([1.0, 1, 1, 1, 1, 40])})
    warned = adjusted_difference(
        treatment=noisy, control=noisy, covariates=["y0"], column="y", denominator="d"
    )
    assert codes(warned)[0] == "noisy_denominator"
