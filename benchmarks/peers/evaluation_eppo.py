"""eppo-server-sdk: a Rust core."""

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

import eppo_client

from benchmarks.peers.scene import ARMS, COUNTRIES, FLAG, HERE, OFF, Peer

UNLOGGED = f"{FLAG}-unlogged"


class _NoLogger(eppo_client.AssignmentLogger):  # type: ignore[misc] # it has no types
    def log_assignment(self, event: Any) -> None:
        """Log nothing."""


def logged() -> Peer:
    """Each assignment is given to a logger that does nothing."""
    return _peer("eppo-server-sdk: logger that does nothing", FLAG)


def unlogged() -> Peer:
    """The configuration says that assignments are not logged."""
    return _peer("eppo-server-sdk: no exposures", UNLOGGED)


@cache
def _client() -> Any:
    """There is one client a process."""
    document = {
        "createdAt": "2026-01-01T00:00:00.000Z",
        "format": "SERVER",
        "environment": {"name": "production"},
        "flags": {FLAG: _flag(FLAG, logs=True), UNLOGGED: _flag(UNLOGGED, logs=False)},
        "bandits": {},
    }
    return eppo_client.init(
        eppo_client.ClientConfig(
            api_key="none",
            assignment_logger=_NoLogger(),
            poll_interval_seconds=None,
            initial_configuration=eppo_client.Configuration(
                flags_configuration=json.dumps(document).encode()
            ),
        )
    )


def _peer(name: str, flag: str) -> Peer:
    client = _client()

    def run(units: Sequence[str]) -> None:
        attributes = {"country": HERE}
        for unit in units:
            client.get_string_assignment(flag, unit, attributes, OFF)

    def arm(unit: str, country: str) -> object:
        return client.get_string_assignment(flag, unit, {"country": country}, OFF)

    return Peer(name, run, arm, client.shutdown)


def _flag(key: str, *, logs: bool) -> dict[str, Any]:
    halves = [{"start": 0, "end": 5_000}, {"start": 5_000, "end": 10_000}]
    allocation = {
        "key": "experiment",
        "rules": [
            {"conditions": [{"attribute": "country", "operator": "ONE_OF", "value": list(COUNTRIES)}]},
        ],
        "splits": [
            {"variationKey": arm, "shards": [{"salt": "arms", "ranges": [half]}]}
            for arm, half in zip(ARMS, halves, strict=True)
        ],
        "doLog": logs,
    }
    return {
        "key": key,
        "enabled": True,
        "variationType": "STRING",
        "variations": {arm: {"key": arm, "value": arm} for arm in ARMS},
        "totalShards": 10_000,
        "allocations": [allocation],
    }
