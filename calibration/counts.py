"""Counts, watched all the time: conversions under a rate that swings with the day, sample ratios."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

import equipoise_stats as es
from calibration.draws import Floats, in_chunks
from calibration.measure import Case, Cell, Row

SECTION = "Counts, watched all the time"


def conversions(replications: int, generator: np.random.Generator, *, share: float, rate: float) -> list[Row]:
    """Hourly looks at two weeks of conversions whose rate swings by a factor of five over the day."""
    hours = np.arange(14 * 24)
    rates = rate * np.exp(np.log(5) / 2 * np.sin(2 * np.pi * hours / 24))
    concentration = 1000.0
    process, naive = [], []
    for size in in_chunks(replications, 2_000):
        treatment = generator.poisson(rates * share, size=(size, hours.size)).cumsum(axis=1)
        control = generator.poisson(rates * (1 - share), size=(size, hours.size)).cumsum(axis=1)
        log_e = es.dirichlet_multinomial_log_e(
            np.stack([treatment, control], axis=-1),
            null=[share, 1 - share],
            prior=[concentration * share, concentration * (1 - share)],
        )
        process.append((log_e >= np.log(1 / 0.05)).any(axis=1))
        total = np.maximum(treatment + control, 1)
        z = (treatment - total * share) / np.sqrt(total * share * (1 - share))
        naive.append((np.abs(z) > 1.959964).any(axis=1))
    condition = f"{rate:g} conversions an hour, ×5 over the day, {share:.0%} treated, 336 looks"
    return [
        Case("conversion process", condition, replications).at_most(
            "size over all looks", float(np.concatenate(process).mean()), 0.05
        ),
        Case("fixed-horizon test of the counts", condition, replications, naive=True).at_most(
            "size over all looks", float(np.concatenate(naive).mean()), 0.05
        ),
    ]


def sample_ratio_size(replications: int, generator: np.random.Generator) -> list[Row]:
    """A look after every 100 units, up to 20,000; equal shares, as planned."""
    done, naive = [], []
    for size in in_chunks(replications, 5_000):
        treatment = generator.binomial(100, 0.5, size=(size, 200)).cumsum(axis=1)
        total = 100 * np.arange(1, 201, dtype=np.float64)
        done.append((_sample_ratio_log_e(treatment, total) >= np.log(100)).any(axis=1))
        z = (treatment - total / 2) / np.sqrt(total / 4)
        naive.append((np.abs(z) > 2.575829).any(axis=1))
    condition = "50/50, a look every 100 units up to 20,000, α = 0.01"
    return [
        Case("sequential sample ratio", condition, replications).at_most(
            "size over all looks", float(np.concatenate(done).mean()), 0.01
        ),
        Case("chi-square test at every look", condition, replications, naive=True).at_most(
            "size over all looks", float(np.concatenate(naive).mean()), 0.01
        ),
    ]


def sample_ratio_delay(replications: int, generator: np.random.Generator) -> list[Row]:
    """Units until a shift of one percentage point is found at α = 0.001."""
    found = []
    for size in in_chunks(replications, 500):
        treatment = generator.binomial(200, 0.51, size=(size, 1_500)).cumsum(axis=1)
        total = 200 * np.arange(1, 1_501, dtype=np.float64)
        hit = _sample_ratio_log_e(treatment, total) >= np.log(1000)
        found.append(np.where(hit.any(axis=1), total[hit.argmax(axis=1)], np.inf))
    median = float(np.median(np.concatenate(found)))
    case = Case("sequential sample ratio", "51/49 instead of 50/50, a look every 200 units", replications)
    return [case.between("median units until found", median, 45_100 * 0.85, 45_100 * 1.15)]


def _sample_ratio_log_e(treatment: NDArray[np.int64], total: Floats) -> Floats:
    return es.dirichlet_multinomial_log_e(
        np.stack([treatment, total - treatment], axis=-1), null=[0.5, 0.5], prior=[500.0, 500.0]
    )


CELLS = (
    *(
        Cell(
            SECTION,
            f"conversions {share} {rate}",
            partial(conversions, share=share, rate=rate),
            full=10_000,
            short=1_500 if rate == 5 else None,
        )
        for share, rate in ((0.5, 5.0), (0.1, 50.0))
    ),
    Cell(SECTION, "sample ratio", sample_ratio_size, full=20_000, short=4_000),
    Cell(SECTION, "sample ratio delay", sample_ratio_delay, full=1_000),
)
