"""Unit-level data with covariates, and what is estimated from them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from equipoise_stats import (
    Covariate,
    Estimate,
    Moments,
    NoEstimate,
    adjusted_difference,
)

Columns = dict[str, NDArray[np.float64]]


def units(seed: int, n: int, shift: float = 0.0, slope: float = 1.0, covariates: int = 2) -> Columns:
    generator = np.random.default_rng(seed)
    x = generator.normal(3.0, 2.0, (covariates, n))
    y = 5.0 + shift + slope * x.sum(axis=0) + generator.normal(0, 1.5, n)
    return {"y": y} | {f"x{i}": row for i, row in enumerate(x)}


def adjust(treatment: Columns, control: Columns, covariates: Sequence[Covariate]) -> Estimate | NoEstimate:
    arms = [Moments.from_arrays(arm) for arm in (treatment, control)]
    return adjusted_difference(treatment=arms[0], control=arms[1], covariates=covariates, column="y")
