"""Group-sequential bounds, corrections, pooled effects and sample sizes beside other libraries."""

import warnings
from functools import partial

import numpy as np
from scipy import stats
from spotify_confidence.analysis.frequentist.sequential_bound_solver import bounds
from statsmodels.stats.meta_analysis import combine_effects
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestIndPower

import equipoise_stats as es
from benchmarks.peers.agreement import Agreement, Pairs, agreement
from benchmarks.peers.answers import p_of

Generator = np.random.Generator

CORRECTIONS = {
    "bonferroni": es.bonferroni,
    "holm": es.holm,
    "simes-hochberg": es.hochberg,
    "fdr_bh": es.benjamini_hochberg,
    "fdr_by": es.benjamini_yekutieli,
}


def agreements() -> list[Agreement]:
    """Every row about designs and families."""
    return [
        agreement(
            "Group-sequential bounds, power spending t²",
            "Spotify `bounds` (a port of ldbounds)",
            _spotify_bounds,
            cases=5,
            reason="Spotify's integrates on a grid of step 0.05 and searches to 1e-7 of the probability; "
            "ours is exact to 1e-9, in milliseconds.",
        ),
        *(
            agreement(
                f"Corrected p-values: {name}",
                f"statsmodels `multipletests('{name}')`",
                partial(_corrected, name),
            )
            for name in CORRECTIONS
        ),
        agreement(
            "Dunnett, two-sided: p",
            "scipy `dunnett`",
            _dunnett,
            cases=10,
            reason="scipy integrates by random points, to about 1e-4; ours by quadrature.",
        ),
        agreement("Pooled effect, DerSimonian–Laird", "statsmodels `combine_effects`", _pooled),
        agreement("Power of Student's test, one-sided", "statsmodels `TTestIndPower`", _power),
        agreement(
            "Sample size, Student's test, one-sided",
            "statsmodels `TTestIndPower`",
            _size,
            cases=50,
            reason="statsmodels stops its root finder at about 1e-8 of the size.",
        ),
    ]


def _spotify_bounds(rng: Generator) -> Pairs:
    fractions = np.cumsum(rng.uniform(0.5, 1.5, 5))
    fractions /= fractions[-1]
    plan = es.plan_looks(fractions.tolist(), spending=es.Spending("power", 2.0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of pandas, about the peer's use of it
        theirs = bounds(fractions, 0.05, rho=2, ztrun=8, sides=2, max_nints=1000).df["zb"]
    return zip(plan.critical_values, theirs, strict=True)


def _corrected(name: str, rng: Generator) -> Pairs:
    p = rng.uniform(0, 1, 20) ** 3
    return zip(CORRECTIONS[name](p), multipletests(p, method=name)[1], strict=True)


def _dunnett(rng: Generator) -> Pairs:
    control, *treatments = (rng.normal(size, 2, 40) for size in (10, 10.5, 11, 10.2))
    moments = {f"arm{i}": es.Moments.from_arrays({"y": arm}) for i, arm in enumerate(treatments)}
    estimates = es.pooled_differences(moments, control=es.Moments.from_arrays({"y": control}))
    theirs = stats.dunnett(*treatments, control=control, rng=np.random.default_rng(1)).pvalue
    return zip((p_of(one) for one in es.dunnett(estimates).values()), theirs, strict=True)


def _pooled(rng: Generator) -> Pairs:
    # Spread enough for τ² > 0: statsmodels does not cut a negative one off at 0.
    effects, errors = rng.normal(0.1, 1.5, 8), rng.uniform(0.05, 0.3, 8)
    ours = es.meta_analysis(effects, errors, method="dersimonian_laird", hartung_knapp=False)
    theirs = combine_effects(effects, errors**2, method_re="chi2")
    error = float(np.sqrt(theirs.var_eff_w_re))
    return [(ours.effect or 0.0, theirs.mean_effect_re), (ours.standard_error or 0.0, error)]


def _planned(alternative: es.Alternative, effect: float, sd: float) -> es.PlannedTest:
    return es.PlannedTest(
        es.mean_outcome(mean=10.0, sd=sd, variance="pooled"),
        effect=effect,
        design=es.fixed_design(alternative=alternative),
    )


def _power(rng: Generator) -> Pairs:
    sd, effect, n = rng.uniform(1, 4), rng.uniform(0.3, 0.6), int(rng.integers(50, 500))
    ours = es.planned_power(_planned("greater", effect, sd), units=2 * n)
    return [(ours, TTestIndPower().power(effect / sd, n, 0.05, alternative="larger"))]


def _size(rng: Generator) -> Pairs:
    sd, effect = rng.uniform(1, 4), rng.uniform(0.3, 0.6)
    theirs = TTestIndPower().solve_power(effect / sd, None, 0.05, 0.8, alternative="larger")
    return [(es.sample_size(_planned("greater", effect, sd)).units, 2 * float(theirs))]
