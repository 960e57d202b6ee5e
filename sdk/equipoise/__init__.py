"""The Equipoise SDK: evaluate experiments locally, log exposures and events. Standard library only."""

from equipoise._client import Client
from equipoise._ledger import Counters, DeliveryReport
from equipoise.assignment import Assignment, Reason
from equipoise.bucketing import BUCKETS, bucket
from equipoise.configuration import Configuration
from equipoise.errors import ConfigurationError, EquipoiseError
from equipoise.evaluation import assign_many, evaluate
from equipoise.explanation import Explanation, explain

__all__ = [
    "BUCKETS",
    "Assignment",
    "Client",
    "Configuration",
    "ConfigurationError",
    "Counters",
    "DeliveryReport",
    "EquipoiseError",
    "Explanation",
    "Reason",
    "assign_many",
    "bucket",
    "evaluate",
    "explain",
]
