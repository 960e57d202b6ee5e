"""Many simulated experiments under one design: size, power, coverage, bias and time to stop."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

from equipoise_stats.inference.comparison import Scale
from equipoise_stats.inference.settings import check_null
from equipoise_stats.power.designs import Design
from equipoise_stats.results import Serialisable
from equipoise_stats.simulation.populations import Population
from equipoise_stats.simulation.sums import Counts, Floats, arm_values

_CHUNK = 2_000_000
"""Random numbers drawn at a time for each arm; bounds the memory."""

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Simulation(Serialisable):
    """What a design did. Shares are of all replications.

    Attributes:
        design: Name of the design's inference.
        replications: Number of simulated experiments.
        seed: The seed.
        truth: The true effect on the scale of the null value.
        rejected: Share that rejected, on either side: the size where the truth is the null value.
        rejected_above: Share that found the effect to be above the null value.
        rejected_below: Share that found it below.
        coverage: Share whose interval, at the look where it stopped, covered the truth.
        coverage_throughout: Share whose intervals covered it at all looks up to the last.
        unanswered: Share without an answer at the look where it stopped (no variance, or a lift of a control
            that is not positive); it neither rejects nor errs.
        units: Units of both arms at the stop, on average.
        estimate: Estimate at the stop, on average, on the scale of the null value, of those with an answer;
            None if there are none.
        stops: Share that stopped by rejecting, for each look.
    """

    design: str
    replications: int
    seed: int
    truth: float
    rejected: float
    rejected_above: float
    rejected_below: float
    coverage: float
    coverage_throughout: float
    unanswered: float
    units: float
    estimate: float | None
    stops: tuple[float, ...]

    def standard_error(self, share: float) -> float:
        """Monte Carlo standard error of a share, √(p (1 − p) / replications).

        Args:
            share: The share that is expected, or one of this result.
        """
        return math.sqrt(share * (1 - share) / self.replications)


@dataclass(frozen=True, slots=True, eq=False)
class _Tally:
    """Of each replication of a chunk, at the look where it stopped."""

    above: Flags
    below: Flags
    covered: Flags
    throughout: Flags
    answered: Flags
    look: NDArray[np.intp]
    estimate: Floats


def simulate(
    design: Design,
    *,
    treatment: Population,
    control: Population,
    units: int,
    seed: int,
    replications: int = 10_000,
    treatment_share: float = 0.5,
    null: float = 0.0,
    scale: Scale = "difference",
    burn_in: int = 0,
) -> Simulation:
    """Simulates experiments under a design: each is looked at as planned and stops when it rejects.

    The estimate is that of `mean_difference`, `proportion_difference` or `ratio_difference`, and the test
    that of the design's inference, critical values by t included where they are used; all replications are
    computed at once.

    Args:
        design: The looks and their critical values.
        treatment: Population of the treatment arm.
        control: Population of the control arm; of the same kind.
        units: Units of both arms together at the end.
        seed: Seed; the same one gives the same result.
        replications: Number of experiments.
        treatment_share: Share of the treatment.
        null: The null value.
        scale: Its scale; `lift` tests the linear form, whose inversion is Fieller's interval.
        burn_in: Units that each arm needs before a look can reject.

    Returns:
        What happened. With populations of equal value it is the size of the test, with others its power.

    Raises:
        ValueError: An arm has fewer than two units at the first look, a look adds none, or another argument
            is out of range.

    Example:
        >>> from equipoise_stats import NormalPopulation, fixed_design
        >>> same = NormalPopulation(10.0, 2.0)
        >>> result = simulate(fixed_design(), treatment=same, control=same, units=40, seed=1)
        >>> abs(result.rejected - 0.05) < 3 * result.standard_error(0.05)
        True
    """
    check_null(null, scale)
    if replications < 1:
        raise ValueError(f"There are {replications} replications; ask for one at least.")
    if not 0 < treatment_share < 1:
        raise ValueError(f"treatment_share is {treatment_share!r}; it must lie between 0 and 1.")
    truth = treatment.value - control.value
    if scale == "lift":
        if not control.value > 0:
            raise ValueError(f"The control's value is {control.value!r}; a lift needs a positive one.")
        truth /= control.value
    n_t, n_c = _sizes(design, units, treatment_share)
    critical = np.where(np.minimum(n_t, n_c) >= burn_in, design.critical, math.inf)
    trial = _Trial(design, treatment, control, n_t, n_c, critical, null, truth, scale)
    generator = np.random.default_rng(seed)
    draws = max(treatment.draws_per_unit, control.draws_per_unit) * units
    chunk = max(1, int(_CHUNK / max(draws, 8.0 * n_t.size)))
    parts = [
        _run(trial, generator, min(chunk, replications - start)) for start in range(0, replications, chunk)
    ]
    return _summary(trial, parts, replications, seed)


@dataclass(frozen=True, slots=True, eq=False)
class _Trial:
    design: Design
    treatment: Population
    control: Population
    n_t: Counts
    n_c: Counts
    critical: Floats
    null: float
    truth: float
    scale: Scale

    @property
    def proportions(self) -> bool:
        """Whether the estimate is that of two proportions, whose reference is normal."""
        return self.treatment.exact_proportion and self.control.exact_proportion


def _sizes(design: Design, units: int, treatment_share: float) -> tuple[Counts, Counts]:
    """The units of each arm at each look."""
    both = np.rint(np.array(design.fractions) * units).astype(np.int64)
    n_t = np.rint(both * treatment_share).astype(np.int64)
    for n in (n_t, both - n_t):
        if n[0] < 2 or (np.diff(n) < 1).any():
            raise ValueError(
                f"An arm has {n.tolist()} units at the looks; it needs two at the first one and more at each "
                "other. Ask for more units or fewer looks."
            )
    return n_t, both - n_t


def _run(trial: _Trial, generator: np.random.Generator, replications: int) -> _Tally:
    steps_t, steps_c = np.diff(trial.n_t, prepend=0), np.diff(trial.n_c, prepend=0)
    m_t, v_t = arm_values(trial.treatment.sums(generator, replications, steps_t).accumulated(), trial.n_t)
    m_c, v_c = arm_values(trial.control.sums(generator, replications, steps_c).accumulated(), trial.n_c)
    if trial.proportions:
        v_t, v_c = v_t * (trial.n_t - 1) / trial.n_t, v_c * (trial.n_c - 1) / trial.n_c
    critical = _critical(trial, v_t, v_c)
    distance, answered = _statistic(trial, trial.null, m_t, v_t, m_c, v_c)
    side = trial.design.alternative
    above = answered & (distance > critical) & (side != "less")
    below = answered & (distance < -critical) & (side != "greater")
    from_truth, known = _statistic(trial, trial.truth, m_t, v_t, m_c, v_c)
    missed = (from_truth > critical) & (side != "less") | (from_truth < -critical) & (side != "greater")
    covered = np.asarray(~(missed & known))
    stopped = above | below
    look = np.where(stopped.any(axis=1), stopped.argmax(axis=1), trial.n_t.size - 1)
    at = np.arange(replications), look
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate = m_t / m_c - 1 if trial.scale == "lift" else m_t - m_c
    return _Tally(
        above[at], below[at], covered[at], np.asarray(covered.all(axis=1)), answered[at], look, estimate[at]
    )


def _statistic(
    trial: _Trial, null: float, m_t: Floats, v_t: Floats, m_c: Floats, v_c: Floats
) -> tuple[Floats, Flags]:
    """Standardised distances from a null value, 0 where there is none, and where there is one."""
    if trial.scale == "difference":
        distance, variance, possible = m_t - m_c - null, v_t + v_c, np.isfinite(m_t + m_c)
    else:
        form = 1 + null
        distance, variance, possible = m_t - form * m_c, v_t + form * form * v_c, m_c > 0
    answered = possible & (variance > 0)
    root = np.sqrt(variance, where=answered, out=np.ones_like(variance))
    return np.where(answered, distance, 0.0) / root, answered


def _critical(trial: _Trial, v_t: Floats, v_c: Floats) -> Floats:
    """Critical values of the statistic: by t, through the tail probability, where the inference does so."""
    normal = np.broadcast_to(trial.critical, v_t.shape)
    if trial.design.name == "confidence_sequence" or trial.proportions:
        return normal
    variance = v_t + v_c
    share = np.divide(v_t, variance, out=np.full_like(variance, 0.5), where=variance > 0)
    df = 1 / (share**2 / (trial.n_t - 1) + (1 - share) ** 2 / (trial.n_c - 1))
    return np.asarray(np.where(np.isinf(normal), math.inf, -stdtrit(df, ndtr(-normal))))


def _summary(trial: _Trial, parts: list[_Tally], replications: int, seed: int) -> Simulation:
    def share(flags: list[Flags]) -> float:
        return float(sum(int(part.sum()) for part in flags) / replications)

    above, below = share([part.above for part in parts]), share([part.below for part in parts])
    looks = np.concatenate([part.look for part in parts])
    stopped = np.concatenate([part.above | part.below for part in parts])
    answered = np.concatenate([part.answered for part in parts])
    estimates = np.concatenate([part.estimate for part in parts])[answered]
    stops = np.bincount(looks[stopped], minlength=trial.n_t.size) / replications
    return Simulation(
        design=trial.design.name,
        replications=replications,
        seed=seed,
        truth=trial.truth,
        rejected=above + below,
        rejected_above=above,
        rejected_below=below,
        coverage=share([part.covered for part in parts]),
        coverage_throughout=share([part.throughout for part in parts]),
        unanswered=1 - float(answered.mean()),
        units=float((trial.n_t + trial.n_c)[looks].mean()),
        estimate=float(estimates.mean()) if estimates.size else None,
        stops=tuple(stops.tolist()),
    )
