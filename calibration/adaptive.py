"""Bandits: inference after Thompson sampling, and the bias of naive means."""

import numpy as np

import equipoise_stats as es
from calibration.draws import normal_arms
from calibration.measure import Case, Cell, Row

SECTION = "Bandits"

PERIODS, UNITS = 10, 200


def thompson(replications: int, generator: np.random.Generator) -> list[Row]:
    """Two equal arms, allocated by Thompson sampling with a floor of 5 %, looked at after every period."""
    covered, errors, weighted = 0, [], []
    for _ in range(replications):
        held, periods, final = _bandit(generator)
        covered += held
        errors.append(final)
        weighted.append(periods)
    bias = np.mean(errors) / (np.std(errors) / np.sqrt(replications))
    unbiased = np.mean(weighted) / (np.std(weighted) / np.sqrt(replications))
    condition = f"two equal arms, Thompson sampling, {PERIODS} periods of {UNITS} units, floor 5 %"
    case = Case("adaptive confidence sequence", condition, replications)
    return [
        case.at_least("coverage at all looks", covered / replications, 0.95),
        Case("inverse weighting", condition, replications).between(
            "bias of an arm's mean, in standard errors", unbiased, -3.0, 3.0
        ),
        Case("naive mean of an arm", condition, replications, naive=True).between(
            "bias of an arm's mean, in standard errors", bias, -3.0, 3.0
        ),
    ]


def _bandit(generator: np.random.Generator) -> tuple[bool, float, float]:
    """Whether all looks covered 0; the error of the weighted and of the naive mean of one arm."""
    prior = es.ArmBelief(0.0, 1.0)
    probabilities = {"a": 0.5, "b": 0.5}
    seen = {arm: es.Moments.empty(("y",)) for arm in probabilities}
    periods: list[es.AllocationPeriod] = []
    held = True
    for _ in range(PERIODS):
        n_a = int(generator.binomial(UNITS, probabilities["a"]))
        sizes = {"a": max(2, min(UNITS - 2, n_a))}
        sizes["b"] = UNITS - sizes["a"]
        drawn = {arm: normal_arms(generator, 1, n=n, mean=0.0, sd=1.0)[0] for arm, n in sizes.items()}
        periods.append(es.AllocationPeriod(drawn, probabilities))
        seen = {arm: moments.merge(drawn[arm]) for arm, moments in seen.items()}
        look = es.adaptive_confidence_sequence(
            periods,
            treatment="b",
            control="a",
            tuning_units=PERIODS * UNITS / 2,
            tuning_variance=4.0,
        )
        interval = look.difference.interval
        held = held and (interval is None or not interval.excludes(0.0))
        beliefs = {arm: es.arm_belief(moments, prior=prior) for arm, moments in seen.items()}
        allocation = es.thompson_allocation(beliefs, floor=0.05)
        probabilities = {arm.arm: arm.weight for arm in allocation.arms}
    weighted = look.treatment.value
    return held, weighted if weighted is not None else 0.0, seen["b"].mean[0]


CELLS = (Cell(SECTION, "thompson", thompson, full=1_000, short=None),)
