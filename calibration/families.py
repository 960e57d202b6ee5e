"""Margins, families of tests and the decision rule."""

from functools import partial

import numpy as np
from scipy.special import ndtr, ndtri

import equipoise_stats as es
from calibration.draws import Floats, normal_arms
from calibration.measure import Case, Cell, Row

SECTION = "Margins, families, decisions"


def margins(replications: int, generator: np.random.Generator, *, scale: es.Scale) -> list[Row]:
    """The truth lies on the margin: 2 % below the control's mean of 10."""
    treatment = normal_arms(generator, replications, n=500, mean=9.8, sd=1.0)
    control = normal_arms(generator, replications, n=500, mean=10.0, sd=1.0)
    margin = 0.02 if scale == "lift" else 0.2
    inferior, equivalent = 0, 0
    for t, c in zip(treatment, control, strict=True):
        compare = partial(es.fixed_horizon, es.mean_difference(treatment=t, control=c))
        finding = es.non_inferiority(compare, margin=margin, scale=scale, alpha=0.025)
        inferior += finding.outcome == es.MarginOutcome.SHOWN
        both = es.equivalence(compare, lower=-margin, upper=margin, scale=scale, alpha=0.05)
        equivalent += both.outcome == es.MarginOutcome.SHOWN
    condition = f"normal, the truth on the margin, as a {scale}"
    return [
        Case("non-inferiority, α = 0.025", condition, replications).exact(
            "size", inferior / replications, 0.025
        ),
        Case("equivalence, α = 0.05", condition, replications).at_most(
            "size", equivalent / replications, 0.05
        ),
    ]


def many_to_one(replications: int, generator: np.random.Generator, *, arms: int) -> list[Row]:
    """Dunnett's constant: 30 units an arm, one control; the error of any of the comparisons."""
    n = 30
    means = generator.normal(scale=1 / np.sqrt(n), size=(replications, arms + 1))
    df = (arms + 1) * (n - 1)
    pooled = generator.chisquare(df, size=replications) / df
    t = (means[:, 1:] - means[:, :1]) / np.sqrt(2 * pooled / n)[:, None]
    # A control as large as each treatment has half of the variance of each difference.
    critical = es.dunnett_critical([0.5] * arms, df=df)
    condition = f"{arms} treatments, one control, 30 units an arm"
    return [
        Case("Dunnett", condition, replications).exact(
            "error of any", float((np.abs(t).max(axis=1) > critical).mean()), 0.05
        ),
        Case("no correction", condition, replications, naive=True).at_most(
            "error of any", float((np.abs(t).max(axis=1) > 1.97).mean()), 0.05
        ),
    ]


def many_metrics(replications: int, generator: np.random.Generator, *, metrics: int) -> list[Row]:
    """Correlated metrics, half of which move: errors among those that do not."""
    common = generator.normal(size=(replications, 1))
    effects = np.where(np.arange(metrics) < metrics // 2, 0.0, 3.0)
    z = effects + np.sqrt(0.3) * common + np.sqrt(0.7) * generator.normal(size=(replications, metrics))
    p = 2 * ndtr(-np.abs(z))
    null = effects == 0
    rows = []
    condition = f"{metrics} correlated metrics, half of which move"
    for name, adjust in (("Bonferroni", es.bonferroni), ("Holm", es.holm), ("Hochberg", es.hochberg)):
        wrong = np.mean([(adjust(row)[null] <= 0.05).any() for row in p])
        rows.append(Case(name, condition, replications).at_most("error of any", float(wrong), 0.05))
    for name, adjust in (
        ("Benjamini–Hochberg", es.benjamini_hochberg),
        ("Benjamini–Yekutieli", es.benjamini_yekutieli),
    ):
        adjusted = np.array([adjust(row) for row in p]) <= 0.05
        share = adjusted[:, null].sum(axis=1) / np.maximum(adjusted.sum(axis=1), 1)
        reach = 3 * share.std() / np.sqrt(replications)
        case = Case(name, condition, replications)
        rows.append(case.between("false discovery rate", float(share.mean()), 0.0, 0.05 + reach))
    uncorrected = float((p[:, null] <= 0.05).any(axis=1).mean())
    rows.append(
        Case("no correction", condition, replications, naive=True).at_most("error of any", uncorrected, 0.05)
    )
    return rows


def ship(replications: int, generator: np.random.Generator, *, successes: int, guardrails: int) -> list[Row]:
    """A good change under the corrected rule, and what happens without its correction of β; a useless one."""
    levels = es.rule_levels(successes=successes, guardrails=guardrails)
    z = generator.normal(size=(replications, successes + guardrails))
    bound = np.array(
        [-ndtri(levels.success_alpha)] * successes + [-ndtri(levels.guardrail_alpha)] * guardrails
    )

    def shipped(drift: Floats) -> float:
        shown = z + drift > bound
        good = shown[:, :successes].any(axis=1) & shown[:, successes:].all(axis=1)
        return float(good.mean())

    # One success metric moves as planned; the guardrails do not move, at the planned power.
    moved = np.concatenate([[True], np.zeros(successes - 1, dtype=bool), np.ones(guardrails, dtype=bool)])
    good = np.where(moved, bound + ndtri(levels.power), 0.0)
    uncorrected = np.where(moved, bound + ndtri(0.8), 0.0)
    useless = np.where(np.arange(good.size) < successes, 0.0, 10.0)
    condition = f"{successes} success metrics, {guardrails} guardrails, independent"
    case = Case("decision rule", condition, replications)
    predicted = es.ship_probability(
        successes=[levels.power] + [levels.success_alpha] * (successes - 1),
        guardrails=[levels.power] * guardrails,
    )
    rows = [
        case.exact("good changes shipped", shipped(good), predicted),
        case.at_least("good changes shipped, of the 80 % promised", shipped(good), 0.8),
        case.at_most("useless changes shipped", shipped(useless), 0.05),
    ]
    if guardrails:
        harmful = good.copy()
        harmful[-1] = 0.0
        rows.append(case.at_most("harmful changes shipped", shipped(harmful), 0.05))
        naive = Case("decision rule without β/(G + 1)", condition, replications, naive=True)
        rows.append(naive.at_least("good changes shipped", shipped(uncorrected), 0.8))
    return rows


CELLS = (
    Cell(SECTION, "margin difference", partial(margins, scale="difference"), full=10_000, short=1_500),
    Cell(SECTION, "margin lift", partial(margins, scale="lift"), full=10_000, short=1_500),
    *(
        Cell(
            SECTION,
            f"dunnett {arms}",
            partial(many_to_one, arms=arms),
            full=50_000,
            short=10_000 if arms == 4 else None,
        )
        for arms in (2, 4, 8)
    ),
    *(
        Cell(
            SECTION,
            f"metrics {metrics}",
            partial(many_metrics, metrics=metrics),
            full=10_000,
            short=1_500 if metrics == 8 else None,
        )
        for metrics in (8, 40)
    ),
    *(
        Cell(
            SECTION,
            f"rule {successes} {guardrails}",
            partial(ship, successes=successes, guardrails=guardrails),
            full=100_000,
            short=20_000,
        )
        for successes, guardrails in ((1, 0), (1, 1), (1, 3), (3, 5), (1, 10))
    ),
)
