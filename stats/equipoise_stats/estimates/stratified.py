"""Post-stratification: differences within strata, weighted by the strata's shares of all units."""

from collections.abc import Mapping
from typing import Literal, get_args

from equipoise_stats.estimates.estimate import (
    ArmEstimate,
    Detail,
    Estimate,
    NoEstimate,
    contrast,
    too_few_units,
)
from equipoise_stats.estimates.mean import centred_squares
from equipoise_stats.moments import Moments, merge_moments
from equipoise_stats.notices import notice
from equipoise_stats.results import Notice

Target = Literal["population", "sample"]
"""Whom the average effect is about: those from whom the units came, or these strata with these shares."""

_FEWEST = 2


def stratified_difference(
    *,
    treatment: Mapping[str, Moments],
    control: Mapping[str, Moments],
    column: str | None = None,
    target: Target = "population",
) -> Estimate | NoEstimate:
    """Estimates a difference of means within strata, τ = Σ w_k (ȳ_tk − ȳ_ck), treatment − control.

    w_k is the stratum's share of all units of both arms. What differs between strata is no longer noise, so
    the variance is at most that of the plain difference, nearly; the strata must be known before exposure.

    Args:
        treatment: Moments of each stratum (country, platform, entry day) of the treatment arm.
        control: Moments of each stratum of the control arm.
        column: The column; may be left out when there is only one.
        target: `population` (default) counts the chance in the strata's shares too: Σ w_k (τ_k − τ)²/n more
            for the difference, and what belongs to it for each arm, so that lifts are right. `sample` takes
            the shares as given: Var = Σ w_k² (s²_tk/n_tk + s²_ck/n_ck).

    Returns:
        The estimate in the column's unit with the detail `strata`, or `NoEstimate` (`too_few_units`,
        `no_variance`). Strata in which an arm has fewer than two units are taken together, with the next
        smallest if need be, and named in the warning `strata_collapsed`.

    Raises:
        ValueError: No stratum is given, or `target` is unknown.

    Source:
        Miratrix, Sekhon and Yu 2013, J. R. Stat. Soc. B 75, 369–396; degrees of freedom: Satterthwaite 1946.

    Example:
        >>> e = stratified_difference(
        ...     treatment={"web": Moments.scalar(400, 5.0, 4.0), "app": Moments.scalar(100, 9.0, 4.0)},
        ...     control={"web": Moments.scalar(100, 4.0, 4.0), "app": Moments.scalar(400, 8.0, 4.0)},
        ... )
        >>> round(e.difference, 9), round(e.standard_error, 4)
        (1.0, 0.1581)
    """
    if target not in get_args(Target):
        raise ValueError(f"target is {target!r}; it must be one of {', '.join(get_args(Target))}.")
    if not treatment and not control:
        raise ValueError("There are no strata; give the moments of at least one for each arm.")
    cells, collapsed = _strata(treatment, control)
    if not cells:
        return too_few_units(
            "stratified",
            treatment=sum(cell.n for cell in treatment.values()),
            control=sum(cell.n for cell in control.values()),
        )
    n = sum(t.n + c.n for t, c in cells)
    shares = [(t.n + c.n) / n for t, c in cells]
    means = [(t.mean[t.index(column)], c.mean[c.index(column)]) for t, c in cells]
    value_t, value_c = (sum(w * m[arm] for w, m in zip(shares, means, strict=True)) for arm in (0, 1))
    parts = [
        [w * w * _variance(cell[arm], column) for w, cell in zip(shares, cells, strict=True)]
        for arm in (0, 1)
    ]
    v_t, v_c = sum(parts[0]), sum(parts[1])
    covariance = 0.0
    degrees = [cell[arm].n - 1 for arm in (0, 1) for cell in cells]
    df = _satterthwaite(parts[0] + parts[1], degrees) if v_t + v_c > 0 else 1.0
    if target == "population" and v_t + v_c > 0:
        away = [(m_t - value_t, m_c - value_c) for m_t, m_c in means]
        v_t += sum(w * a * a for w, (a, _) in zip(shares, away, strict=True)) / n
        v_c += sum(w * b * b for w, (_, b) in zip(shares, away, strict=True)) / n
        covariance = sum(w * a * b for w, (a, b) in zip(shares, away, strict=True)) / n
    return contrast(
        "stratified",
        treatment=ArmEstimate(sum(t.n for t, _ in cells), value_t, v_t),
        control=ArmEstimate(sum(c.n for _, c in cells), value_c, v_c),
        covariance=covariance,
        df=df,
        warnings=_collapsed(collapsed),
        details=(Detail("strata", len(cells)),),
    )


def _strata(
    treatment: Mapping[str, Moments], control: Mapping[str, Moments]
) -> tuple[list[tuple[Moments, Moments]], list[str]]:
    """The strata with enough units in both arms, small ones merged, and the names of those merged."""
    example = next(iter((treatment or control).values()))
    nobody = Moments.empty(example.columns)
    cells = [
        (name, treatment.get(name, nobody), control.get(name, nobody))
        for name in dict.fromkeys([*treatment, *control])
    ]
    # Smallest first: what a small stratum joins is decided by sizes and names alone, never by outcomes or by
    # which arm is called the treatment.
    cells.sort(key=lambda cell: (min(cell[1].n, cell[2].n) >= _FEWEST, cell[1].n + cell[2].n, cell[0]))
    small = sum(min(t.n, c.n) < _FEWEST for _, t, c in cells)
    if small == 0:
        return [(t, c) for _, t, c in cells], []
    while small <= len(cells):
        t = merge_moments(cell[1] for cell in cells[:small])
        c = merge_moments(cell[2] for cell in cells[:small])
        if min(t.n, c.n) >= _FEWEST:
            return [(t, c), *((t, c) for _, t, c in cells[small:])], [cell[0] for cell in cells[:small]]
        small += 1
    return [], []


def _variance(cell: Moments, column: str | None) -> float:
    """Sampling variance of the mean of a cell."""
    return centred_squares(cell, cell.index(column)) / (cell.n - 1) / cell.n


def _satterthwaite(variances: list[float], degrees: list[int]) -> float:
    """Degrees of freedom of a sum of independent variance estimates."""
    total = sum(variances)
    return 1 / sum((part / total) ** 2 / df for part, df in zip(variances, degrees, strict=True))


def _collapsed(names: list[str]) -> tuple[Notice, ...]:
    if not names:
        return ()
    return (notice("strata_collapsed", needed=_FEWEST, strata=", ".join(sorted(names))),)
