"""All tables of the metadata database, in one place for the migrations."""

from equipoise_service.accounts.models import ApiKey, Environment, Project
from equipoise_service.database import Change
from equipoise_service.decisions.models import Decision, Prediction
from equipoise_service.evaluation.models import PublishedConfiguration
from equipoise_service.experiments.models import Experiment, OverriddenUnit, Pause, Ramp, Revision, Run
from equipoise_service.flags.models import Flag, FlagState
from equipoise_service.holdouts.models import HeldOutExperiment, Holdout
from equipoise_service.http.idempotency import IdempotentAnswer
from equipoise_service.jobs.models import Job
from equipoise_service.layers.models import Holding, Layer
from equipoise_service.metrics.models import MetricUse, MetricVersion, StoredMetric
from equipoise_service.plans.models import LockedPlan, PlanDeviation, RepeatedReadout, TakenLook
from equipoise_service.privacy.models import Erasure, UnitKeeping
from equipoise_service.readouts.models import ReadoutSchedule, StoredReadout
from equipoise_service.rollouts.models import Rollout
from equipoise_service.segments.models import Segment, SegmentIds
from equipoise_service.sources.models import Source

__all__ = [
    "ApiKey",
    "Change",
    "Decision",
    "Environment",
    "Erasure",
    "Experiment",
    "Flag",
    "FlagState",
    "HeldOutExperiment",
    "Holding",
    "Holdout",
    "IdempotentAnswer",
    "Job",
    "Layer",
    "LockedPlan",
    "MetricUse",
    "MetricVersion",
    "OverriddenUnit",
    "Pause",
    "PlanDeviation",
    "Prediction",
    "Project",
    "PublishedConfiguration",
    "Ramp",
    "ReadoutSchedule",
    "RepeatedReadout",
    "Revision",
    "Rollout",
    "Run",
    "Segment",
    "SegmentIds",
    "Source",
    "StoredMetric",
    "StoredReadout",
    "TakenLook",
    "UnitKeeping",
]
