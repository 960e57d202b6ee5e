"""UnleashClient and its Rust core, yggdrasil-engine; metrics are off."""

import json
import tempfile
from collections.abc import Sequence
from typing import Any

from UnleashClient import UnleashClient
from UnleashClient.cache import FileCache
from yggdrasil_engine.engine import UnleashEngine

from benchmarks.peers.scene import ARMS, COUNTRIES, FLAG, HERE, Peer


def unlogged() -> Peer:
    """The client."""
    directory = tempfile.TemporaryDirectory()
    cache = FileCache("benchmark", directory=directory.name)
    cache.bootstrap_from_dict(_document())
    client = UnleashClient(
        "http://127.0.0.1:9/api", "benchmark", disable_metrics=True, disable_registration=True, cache=cache
    )
    client.initialize_client(fetch_toggles=False)

    def run(units: Sequence[str]) -> None:
        for unit in units:
            client.get_variant(FLAG, {"userId": unit, "country": HERE})

    def arm(unit: str, country: str) -> object:
        return client.get_variant(FLAG, {"userId": unit, "country": country})["name"]

    def close() -> None:
        client.destroy()
        directory.cleanup()

    return Peer("UnleashClient: no metrics", run, arm, close)


def engine() -> Peer:
    """The engine alone, asked without counting for metrics."""
    unleash = UnleashEngine()
    unleash.take_state(json.dumps(_document()))

    def run(units: Sequence[str]) -> None:
        properties = {"country": HERE}
        for unit in units:
            unleash.check_variant(FLAG, {"userId": unit, "properties": properties})

    def arm(unit: str, country: str) -> object:
        context = {"userId": unit, "properties": {"country": country}}
        return unleash.check_variant(FLAG, context).variant.name

    return Peer("yggdrasil-engine: no metrics", run, arm)


def _document() -> dict[str, Any]:
    strategy = {
        "name": "flexibleRollout",
        "parameters": {"rollout": "100", "stickiness": "userId", "groupId": FLAG},
        "constraints": [{"contextName": "country", "operator": "IN", "values": list(COUNTRIES)}],
        "variants": [
            {"name": arm, "weight": 500, "weightType": "fix", "stickiness": "userId"} for arm in ARMS
        ],
    }
    feature = {"name": FLAG, "type": "experiment", "enabled": True, "stale": False, "strategies": [strategy]}
    return {"version": 2, "features": [feature]}
