"""All tables of the metadata database, in one place for the migrations."""

from equipoise_service.accounts.models import ApiKey, Environment, Project
from equipoise_service.database import Change
from equipoise_service.evaluation.models import PublishedConfiguration
from equipoise_service.experiments.models import Experiment, Revision, Run
from equipoise_service.flags.models import Flag
from equipoise_service.http.idempotency import IdempotentAnswer
from equipoise_service.layers.models import Layer

__all__ = [
    "ApiKey",
    "Change",
    "Environment",
    "Experiment",
    "Flag",
    "IdempotentAnswer",
    "Layer",
    "Project",
    "PublishedConfiguration",
    "Revision",
    "Run",
]
