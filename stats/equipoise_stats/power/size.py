"""Power at a size, the size for a power, and the smallest effect that a size can find."""

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

from equipoise_stats.inference.bayes.belief import NormalBelief
from equipoise_stats.inference.comparison import Scale
from equipoise_stats.power.designs import Design, fixed_design
from equipoise_stats.power.outcome import OF_PROPORTIONS, Outcome
from equipoise_stats.power.planned import (
    PlannedTest,
    Precision,
    check_power,
    exits_at,
    needed_drift,
    power_at,
    precision,
)
from equipoise_stats.power.prior import units_with_prior
from equipoise_stats.results import Serialisable, Status

Direction = Literal["increase", "decrease"]
"""The direction of the effects that a two-sided design is asked for."""

_LEAST_PER_ARM = 2.0
_ROUNDING = 1e-9
_ALMOST = 1 - 1e-9
_FARTHEST = 1e9
_FIXED = fixed_design()


@dataclass(frozen=True, slots=True)
class SampleSize(Serialisable):
    """The size of an experiment.

    Attributes:
        units: Units of both arms together at the end, exact and not rounded; with a prior, from these on the
            power is reached, and 0 where the prior gives it by itself.
        treatment: Units of the treatment arm, rounded up.
        control: Units of the control arm, rounded up.
        power: The power asked for.
        expected_units: Units at the stop, on average, if the effect is the planned one.
        expected_units_null: Units at the stop, on average, if the effect is the null value.
        fixed_units: Units that one analysis at the end would need, with a normal reference and no prior.
        prior_units: Units that tell as much as the prior does; 0 without one.
    """

    units: float
    treatment: int
    control: int
    power: float
    expected_units: float
    expected_units_null: float
    fixed_units: float
    prior_units: float = 0.0

    @property
    def inflation(self) -> float:
        """Largest size over that of one analysis at the end."""
        return self.units / self.fixed_units


@dataclass(frozen=True, slots=True)
class MinimumEffect(Serialisable):
    """The smallest effect that a planned test finds.

    Attributes:
        status: `ok`, or `out_of_reach` where no possible effect is found with that power.
        power: The power asked for.
        reason: A sentence for a person, None when the status is `ok`.
        difference: The effect as a difference in the metric's unit.
        lift: The effect as a fraction of the baseline; None where the baseline is not positive.
    """

    status: Status
    power: float
    reason: str | None = None
    difference: float | None = None
    lift: float | None = None


def planned_power(test: PlannedTest, *, units: float) -> float:
    """The probability that a planned test rejects in the direction of the effect, by its end.

    Not to be asked after the data with the effect that was seen: that is the p-value in other words.

    Args:
        test: The planned test.
        units: Units of both arms together at the end, at least two in each arm (clusters, if clusters are
            randomised).

    Returns:
        The power. For a fixed design and a mean it is exact by the noncentral t distribution; else the
        statistic is taken for normal. Rejecting in the other direction does not count (as in R; statsmodels
        counts it).

    Raises:
        ValueError: The size or the effect is out of range.

    Source:
        R's `power.t.test` and `power.prop.test`; Jennison and Turnbull 2000, chapter 19 (several looks).

    Example:
        >>> from equipoise_stats import mean_outcome
        >>> round(planned_power(PlannedTest(mean_outcome(mean=0.0, sd=1.0), effect=1.0), units=40), 6)
        0.868953
    """
    _check_units(test, units)
    return power_at(test, precision(test), units)


def sample_size(test: PlannedTest, *, power: float = 0.8) -> SampleSize:
    """The units that a planned test needs.

    Args:
        test: The planned test.
        power: Probability of rejecting in the direction of the effect, above alpha.

    Returns:
        The size of both arms, and the sizes to expect where the design can stop earlier. By t, never
        below two units (or clusters) in an arm.

    Raises:
        ValueError: The effect is the null value or lies where the design cannot reject, or another argument
            is out of range.

    Source:
        R's `power.t.test` and `power.prop.test`; Farrington and Manning 1990, Stat. Med. 9, 1447–1454 (score
        test with a margin); Jennison and Turnbull 2000, chapters 2 and 19 (several looks); Spiegelhalter,
        Abrams and Myles 2004, Bayesian Approaches to Clinical Trials and Health-Care Evaluation, chapter 6
        (a prior: hybrid classical-Bayesian power).

    Example:
        >>> from equipoise_stats import group_sequential_design, proportion_outcome
        >>> outcome = proportion_outcome(0.5, test="score")
        >>> size = sample_size(PlannedTest(outcome, effect=0.25), power=0.9)
        >>> round(size.units / 2, 4), size.treatment
        (76.7069, 77)
        >>> looked = PlannedTest(outcome, effect=0.25, design=group_sequential_design(5))
        >>> sample_size(looked, power=0.9).treatment
        79

        A sceptical prior costs units:

        >>> from equipoise_stats import NormalBelief
        >>> fixed = PlannedTest(proportion_outcome(0.2), effect=0.01)
        >>> sceptical = PlannedTest(proportion_outcome(0.2), effect=0.01, prior=NormalBelief(0.0, 0.01))
        >>> sample_size(fixed).treatment, sample_size(sceptical).treatment
        (25580, 27670)
    """
    check_power(power, test.design)
    if not test.findable:
        raise ValueError(
            f"The effect is {test.effect!r} and the null value {test.null!r}; a {test.design.alternative} "
            "test needs the effect on its side of the null value."
        )
    per_unit = precision(test)
    units = _units(test, per_unit, power)
    return SampleSize(
        units=units,
        treatment=_rounded_up(units * test.treatment_share),
        control=_rounded_up(units * (1 - test.treatment_share)),
        power=power,
        expected_units=units * _expected_fraction(test, per_unit, per_unit.drift * math.sqrt(units)),
        expected_units_null=units * _expected_fraction(test, per_unit, 0.0),
        fixed_units=_fixed_normal_units(test, per_unit, power),
        prior_units=per_unit.prior_ratio**-2,
    )


def minimum_effect(
    outcome: Outcome,
    *,
    units: float,
    power: float = 0.8,
    design: Design = _FIXED,
    direction: Direction = "increase",
    null: float = 0.0,
    scale: Scale = "difference",
    treatment_share: float = 0.5,
    prior: NormalBelief | None = None,
) -> MinimumEffect:
    """The smallest effect that an experiment of a given size finds with a given power (MDE).

    Args:
        outcome: The metric.
        units: Units of both arms together at the end.
        power: Probability of rejecting in the direction of the effect, above alpha.
        design: The looks and their critical values.
        direction: For a two-sided design, whether the effect is an increase or a decrease; a one-sided one
            has its own.
        null: The null value: 0, or a margin.
        scale: Scale of the null value, and of the linear form that is tested.
        treatment_share: Share of the treatment.
        prior: What is believed of the effect before the data, on the scale of the null value.

    Returns:
        The effect on both scales; the null value where a prior shows even that with this power;
        `out_of_reach` where even the largest possible one is not found (a proportion ends at 1, and a fall to
        0 is the largest of a positive metric).

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> from equipoise_stats import mean_outcome
        >>> found = minimum_effect(mean_outcome(mean=20.0, sd=35.0), units=100_000)
        >>> round(found.difference, 4), round(found.lift, 4)
        (0.6202, 0.031)
    """
    check_power(power, design)
    if direction not in get_args(Direction):
        raise ValueError(f"direction is {direction!r}; it must be 'increase' or 'decrease'.")
    side = design.alternative
    up = direction == "increase" if side == "two-sided" else side == "greater"
    start = PlannedTest(outcome, null, null, scale, design, treatment_share, prior)
    if prior is not None:
        # At the null value itself a two-sided test has no direction, and its prior neither.
        start = replace(start, design=replace(design, alternative="greater" if up else "less"))
    _check_units(start, units)
    effect = _smallest(start, units, power, up)
    if effect is None:
        return MinimumEffect(
            Status.OUT_OF_REACH,
            power,
            f"With {units:.6g} units not even the largest possible {'increase' if up else 'decrease'} of "
            f"{outcome.baseline:.6g} is found with a power of {power:g}.",
        )
    difference = replace(start, effect=effect).difference
    lift = difference / outcome.baseline if outcome.baseline > 0 else None
    return MinimumEffect(Status.OK, power, None, difference, lift)


def _smallest(start: PlannedTest, units: float, power: float, up: bool) -> float | None:
    from scipy.optimize import brentq

    step = _standard_step(start, units) * (1 if up else -1)
    largest = _largest_steps(start, step)
    # Where the test divides by the true standard error, the drift that is needed is the same for all effects.
    same = start.outcome.reference not in OF_PROPORTIONS and not start.by_t and start.prior is None
    needed = needed_drift(start, precision(start), power) if same else math.nan

    def excess(steps: float) -> float:
        test = replace(start, effect=start.null + steps * step)
        per_unit = precision(test)
        if same:
            return per_unit.drift * math.sqrt(units) - needed
        return power_at(test, per_unit, units) - power

    if start.prior is not None and excess(0.0) >= 0:
        return start.null
    high = min(1.0, largest)
    while excess(high) < 0:
        if high >= largest:
            return None
        high = min(2 * high, largest)
    return start.null + step * float(brentq(excess, 0.0, high, xtol=1e-13, rtol=1e-13))


def _standard_step(test: PlannedTest, units: float) -> float:
    """The standard error of the test at the null value, on the test's scale: the unit of the search."""
    treated, control = test.outcome.unit_variances(test.difference)
    share = test.treatment_share
    error = math.sqrt((treated / share + control / (1 - share)) / units)
    return error / (test.outcome.baseline if test.scale == "lift" else 1.0)


def _largest_steps(test: PlannedTest, step: float) -> float:
    """The number of steps to the largest effect that there is."""
    outcome = test.outcome
    if outcome.response == "constant":
        return math.inf
    treated = outcome.baseline + test.difference
    unit = abs(step) * (outcome.baseline if test.scale == "lift" else 1.0)
    if step < 0:
        return treated / unit * _ALMOST
    if outcome.response == "bernoulli":
        return (1 - treated) / unit * _ALMOST
    return _FARTHEST * outcome.baseline / unit


def _units(test: PlannedTest, per_unit: Precision, power: float) -> float:
    from scipy.optimize import brentq

    if math.isfinite(per_unit.prior_ratio):
        return units_with_prior(per_unit, test.design.critical[0], power)
    normal = (needed_drift(test, per_unit, power) / per_unit.drift) ** 2
    if not test.by_t:
        return normal

    def shortfall(log_units: float) -> float:
        return power_at(test, per_unit, math.exp(log_units)) - power

    low = math.log(_least_units(test))
    if shortfall(low) >= 0:
        return _least_units(test)
    high = max(low, math.log(normal)) + 1
    while shortfall(high) < 0:
        high += 1
    return math.exp(float(brentq(shortfall, low, high, xtol=1e-14, rtol=1e-14)))


def _expected_fraction(test: PlannedTest, per_unit: Precision, drift: float) -> float:
    if len(test.design.critical) == 1:
        return 1.0
    return float(exits_at(test, per_unit, drift).expected_fraction)


def _fixed_normal_units(test: PlannedTest, per_unit: Precision, power: float) -> float:
    single = fixed_design(alpha=test.design.alpha, alternative=test.design.alternative)
    alone = replace(test, design=single, prior=None)
    return (needed_drift(alone, per_unit, power) / per_unit.drift) ** 2


def _least_units(test: PlannedTest) -> float:
    """The fewest units of both arms that have a variance in each; any number where none is estimated."""
    if not test.by_t:
        return 0.0
    return _LEAST_PER_ARM * test.outcome.cluster_size / min(test.treatment_share, 1 - test.treatment_share)


def _check_units(test: PlannedTest, units: float) -> None:
    if not (units > 0 and units >= _least_units(test) and math.isfinite(units)):
        raise ValueError(
            f"units is {units!r}; both arms together need a positive number, and {_least_units(test):.6g} at "
            "least."
        )


def _rounded_up(units: float) -> int:
    return math.ceil(units * (1 - _ROUNDING))
