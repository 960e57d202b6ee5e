"""What a job is doing."""

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "job.waiting": "waiting for a worker",
        "job.waiting_again": "waiting for another worker",
        "job.starting": "starting",
        "job.reading": "reading the facts",
        "job.computing": "computing the readout",
        "job.storing": "storing the readout",
        "job.done": "done",
        "job.failed": "failed",
        "job.cancelled": "cancelled",
    }
)
