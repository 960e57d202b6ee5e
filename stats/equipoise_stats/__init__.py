"""Statistics for online experiments: pure functions on sufficient statistics.

Two layers combine freely. *Estimates* turn the sufficient statistics of two arms into an effect, its
variance and degrees of freedom; *inference* turns any estimate into intervals, a p-value and a verdict.

Example:
    >>> import equipoise_stats as es
    >>> effect = es.mean_difference(
    ...     treatment=es.Moments.scalar(1000, 10.4, 9.0), control=es.Moments.scalar(1000, 10.0, 9.0)
    ... )
    >>> result = es.fixed_horizon(effect)
    >>> result.test.rejected, round(result.lift.estimate, 3)
    (True, 0.04)
"""

from equipoise_stats.bandits.allocation import (
    ArmAllocation,
    BanditAllocation,
    thompson_allocation,
    top_two_allocation,
)
from equipoise_stats.bandits.best_arm import (
    ArmBelief,
    arm_belief,
    best_arm_log_probabilities,
    best_arm_probabilities,
)
from equipoise_stats.bandits.inference import (
    AllocationPeriod,
    adaptive_confidence_sequence,
    inverse_weighted_difference,
)
from equipoise_stats.checks.balance import CovariateBalance, PreExposureBalance, pre_exposure_balance
from equipoise_stats.checks.carry_over import CarryOver, CarryOverFinding, carry_over
from equipoise_stats.checks.denominators import MovedDenominator, moved_denominator
from equipoise_stats.checks.novelty import EffectAtAge, Novelty, NoveltyFinding, novelty
from equipoise_stats.checks.sample_ratio import ArmShare, SampleRatio, SampleRatioFinding, sample_ratio
from equipoise_stats.checks.sequential_sample_ratio import (
    AllocationEpoch,
    SequentialSampleRatio,
    sequential_sample_ratio,
)
from equipoise_stats.checks.skewness import SkewnessGuard, guarded_mean_difference, skewness_guard
from equipoise_stats.counts import Counts
from equipoise_stats.decision.decide import decide
from equipoise_stats.decision.looks import at_looks
from equipoise_stats.decision.outcome import (
    ClaimOutcome,
    DecisionOutcome,
    MetricFinding,
    Reason,
    ReasonCode,
    Recommendation,
)
from equipoise_stats.decision.rule import DecisionMetric, DecisionRule, Role
from equipoise_stats.estimates.adjusted import Covariate, adjusted_difference
from equipoise_stats.estimates.cluster import cluster_difference
from equipoise_stats.estimates.estimate import ArmEstimate, ArmSummary, Detail, Estimate, NoEstimate
from equipoise_stats.estimates.mean import mean_difference
from equipoise_stats.estimates.proportion import proportion_difference
from equipoise_stats.estimates.quantile import ArmQuantile, arm_quantile, order_ranks, quantile_difference
from equipoise_stats.estimates.rate import rate_difference
from equipoise_stats.estimates.ratio import ratio_difference
from equipoise_stats.estimates.stratified import stratified_difference
from equipoise_stats.estimates.winsorized import Cut, pooled_cut, winsorized
from equipoise_stats.frames import clusters_by_arm, counts_by_arm, moments_by_arm, moments_by_stratum
from equipoise_stats.inference.anytime.anytime_t import anytime_t
from equipoise_stats.inference.anytime.mixture import (
    normal_mixture_critical,
    normal_mixture_log_p,
    optimal_mixture_ratio,
)
from equipoise_stats.inference.anytime.running import running_comparison
from equipoise_stats.inference.anytime.sequence import confidence_sequence, mixture_units, sequence_critical
from equipoise_stats.inference.anytime.sprt import mixture_sprt
from equipoise_stats.inference.bayes.belief import NormalBelief
from equipoise_stats.inference.bayes.beta_binomial import BetaBelief, beta_binomial_posterior
from equipoise_stats.inference.bayes.normal import EffectPosterior, normal_posterior
from equipoise_stats.inference.change import change_of_effect
from equipoise_stats.inference.compare import Compare
from equipoise_stats.inference.comparison import (
    Alternative,
    Comparison,
    Effect,
    HypothesisTest,
    Interval,
    Method,
    Scale,
)
from equipoise_stats.inference.fixed import fixed_horizon
from equipoise_stats.inference.group_sequential.analysis import group_sequential
from equipoise_stats.inference.group_sequential.constants import obrien_fleming_constant, pocock_constant
from equipoise_stats.inference.group_sequential.exits import (
    ExitProbabilities,
    drift_for_power,
    exit_probabilities,
    inflation_factor,
)
from equipoise_stats.inference.group_sequential.final import stage_wise
from equipoise_stats.inference.group_sequential.futility import (
    conditional_power,
    futility_bounds,
    futility_drift,
    predictive_power,
)
from equipoise_stats.inference.group_sequential.looks import Look, LookHistory, plan_looks
from equipoise_stats.inference.group_sequential.p_values import PValue, repeated_p_value, sequential_p_value
from equipoise_stats.inference.group_sequential.spending import Spending, SpendingFamily
from equipoise_stats.inference.lift_intervals import fixed_horizon_lift, lift_effect_by
from equipoise_stats.margins import (
    MarginFinding,
    MarginOutcome,
    equivalence,
    non_inferiority,
    superiority,
)
from equipoise_stats.missing import fill_missing
from equipoise_stats.moments import Moments, merge_moments
from equipoise_stats.multinomial import dirichlet_multinomial_log_e
from equipoise_stats.multiplicity.adjust import (
    benjamini_hochberg,
    benjamini_yekutieli,
    bonferroni,
    hochberg,
    holm,
)
from equipoise_stats.multiplicity.dunnett import dunnett, dunnett_critical, dunnett_step_down
from equipoise_stats.multiplicity.pooled import pooled_differences
from equipoise_stats.multiplicity.preferential import preferential_weights
from equipoise_stats.multiplicity.simultaneous import Simultaneous, simultaneous
from equipoise_stats.notices import NOTICE_MESSAGES
from equipoise_stats.power.designs import (
    Design,
    confidence_sequence_design,
    fixed_design,
    group_sequential_design,
)
from equipoise_stats.power.duration import Duration, planned_duration
from equipoise_stats.power.outcome import Outcome
from equipoise_stats.power.outcomes import (
    mean_outcome,
    moments_outcome,
    observed_outcome,
    proportion_outcome,
    quantile_outcome,
    rate_outcome,
)
from equipoise_stats.power.planned import PlannedTest
from equipoise_stats.power.rule import RuleLevels, RuleSize, rule_levels, rule_sample_size, ship_probability
from equipoise_stats.power.size import MinimumEffect, SampleSize, minimum_effect, planned_power, sample_size
from equipoise_stats.program.anytime_heterogeneity import anytime_heterogeneity
from equipoise_stats.program.anytime_independence import anytime_independence
from equipoise_stats.program.false_positive_risk import false_positive_risk, success_rate_from_wins
from equipoise_stats.program.heterogeneity import Heterogeneity, SegmentEffect, heterogeneity
from equipoise_stats.program.interactions import (
    Interaction,
    InteractionEffect,
    interaction_difference,
    interaction_test,
)
from equipoise_stats.program.meta_analysis import MetaAnalysis, meta_analysis
from equipoise_stats.program.priors import EffectPrior, ProportionPrior, effect_prior, proportion_prior
from equipoise_stats.program.shrinkage import ShrunkenEffect, shrink
from equipoise_stats.program.winners_curse import (
    ConditionalEstimate,
    DesignErrors,
    TotalEffect,
    conditional_estimate,
    design_errors,
    shipped_total,
)
from equipoise_stats.proportions.boschloo import boschloo
from equipoise_stats.proportions.conversion_process import ConversionComparison, conversion_process
from equipoise_stats.proportions.fisher import OddsRatioComparison, fisher_exact
from equipoise_stats.proportions.homogeneity import Homogeneity, proportion_homogeneity
from equipoise_stats.proportions.newcombe import newcombe
from equipoise_stats.proportions.one_arm import clopper_pearson, wilson
from equipoise_stats.proportions.score import miettinen_nurminen, score_test
from equipoise_stats.results import CheckStatus, Notice, Status
from equipoise_stats.simulation.populations import (
    BernoulliPopulation,
    EmpiricalPopulation,
    NormalPopulation,
    Population,
    RatioPopulation,
    RevenuePopulation,
)
from equipoise_stats.simulation.replicate import Replications, replicate
from equipoise_stats.simulation.simulate import Simulation, simulate
from equipoise_stats.wald import ChiSquareTest, independence

__all__ = [
    "NOTICE_MESSAGES",
    "AllocationEpoch",
    "AllocationPeriod",
    "Alternative",
    "ArmAllocation",
    "ArmBelief",
    "ArmEstimate",
    "ArmQuantile",
    "ArmShare",
    "ArmSummary",
    "BanditAllocation",
    "BernoulliPopulation",
    "BetaBelief",
    "CarryOver",
    "CarryOverFinding",
    "CheckStatus",
    "ChiSquareTest",
    "ClaimOutcome",
    "Compare",
    "Comparison",
    "ConditionalEstimate",
    "ConversionComparison",
    "Counts",
    "Covariate",
    "CovariateBalance",
    "Cut",
    "DecisionMetric",
    "DecisionOutcome",
    "DecisionRule",
    "Design",
    "DesignErrors",
    "Detail",
    "Duration",
    "Effect",
    "EffectAtAge",
    "EffectPosterior",
    "EffectPrior",
    "EmpiricalPopulation",
    "Estimate",
    "ExitProbabilities",
    "Heterogeneity",
    "Homogeneity",
    "HypothesisTest",
    "Interaction",
    "InteractionEffect",
    "Interval",
    "Look",
    "LookHistory",
    "MarginFinding",
    "MarginOutcome",
    "MetaAnalysis",
    "Method",
    "MetricFinding",
    "MinimumEffect",
    "Moments",
    "MovedDenominator",
    "NoEstimate",
    "NormalBelief",
    "NormalPopulation",
    "Notice",
    "Novelty",
    "NoveltyFinding",
    "OddsRatioComparison",
    "Outcome",
    "PValue",
    "PlannedTest",
    "Population",
    "PreExposureBalance",
    "ProportionPrior",
    "RatioPopulation",
    "Reason",
    "ReasonCode",
    "Recommendation",
    "Replications",
    "RevenuePopulation",
    "Role",
    "RuleLevels",
    "RuleSize",
    "SampleRatio",
    "SampleRatioFinding",
    "SampleSize",
    "Scale",
    "SegmentEffect",
    "SequentialSampleRatio",
    "ShrunkenEffect",
    "Simulation",
    "Simultaneous",
    "SkewnessGuard",
    "Spending",
    "SpendingFamily",
    "Status",
    "TotalEffect",
    "adaptive_confidence_sequence",
    "adjusted_difference",
    "anytime_heterogeneity",
    "anytime_independence",
    "anytime_t",
    "arm_belief",
    "arm_quantile",
    "at_looks",
    "benjamini_hochberg",
    "benjamini_yekutieli",
    "best_arm_log_probabilities",
    "best_arm_probabilities",
    "beta_binomial_posterior",
    "bonferroni",
    "boschloo",
    "carry_over",
    "change_of_effect",
    "clopper_pearson",
    "cluster_difference",
    "clusters_by_arm",
    "conditional_estimate",
    "conditional_power",
    "confidence_sequence",
    "confidence_sequence_design",
    "conversion_process",
    "counts_by_arm",
    "decide",
    "design_errors",
    "dirichlet_multinomial_log_e",
    "drift_for_power",
    "dunnett",
    "dunnett_critical",
    "dunnett_step_down",
    "effect_prior",
    "equivalence",
    "exit_probabilities",
    "false_positive_risk",
    "fill_missing",
    "fisher_exact",
    "fixed_design",
    "fixed_horizon",
    "fixed_horizon_lift",
    "futility_bounds",
    "futility_drift",
    "group_sequential",
    "group_sequential_design",
    "guarded_mean_difference",
    "heterogeneity",
    "hochberg",
    "holm",
    "independence",
    "inflation_factor",
    "interaction_difference",
    "interaction_test",
    "inverse_weighted_difference",
    "lift_effect_by",
    "mean_difference",
    "mean_outcome",
    "merge_moments",
    "meta_analysis",
    "miettinen_nurminen",
    "minimum_effect",
    "mixture_sprt",
    "mixture_units",
    "moments_by_arm",
    "moments_by_stratum",
    "moments_outcome",
    "moved_denominator",
    "newcombe",
    "non_inferiority",
    "normal_mixture_critical",
    "normal_mixture_log_p",
    "normal_posterior",
    "novelty",
    "obrien_fleming_constant",
    "observed_outcome",
    "optimal_mixture_ratio",
    "order_ranks",
    "plan_looks",
    "planned_duration",
    "planned_power",
    "pocock_constant",
    "pooled_cut",
    "pooled_differences",
    "pre_exposure_balance",
    "predictive_power",
    "preferential_weights",
    "proportion_difference",
    "proportion_homogeneity",
    "proportion_outcome",
    "proportion_prior",
    "quantile_difference",
    "quantile_outcome",
    "rate_difference",
    "rate_outcome",
    "ratio_difference",
    "repeated_p_value",
    "replicate",
    "rule_levels",
    "rule_sample_size",
    "running_comparison",
    "sample_ratio",
    "sample_size",
    "score_test",
    "sequence_critical",
    "sequential_p_value",
    "sequential_sample_ratio",
    "ship_probability",
    "shipped_total",
    "shrink",
    "simulate",
    "simultaneous",
    "skewness_guard",
    "stage_wise",
    "stratified_difference",
    "success_rate_from_wins",
    "superiority",
    "thompson_allocation",
    "top_two_allocation",
    "wilson",
    "winsorized",
]
