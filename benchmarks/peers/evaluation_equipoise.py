"""This SDK, offline; `variant` logs each exposure once and `assign` never does."""

from collections.abc import Sequence
from typing import Any

from benchmarks.peers.scene import ARMS, COUNTRIES, FLAG, HERE, OFF, Peer
from equipoise import Client


def document(others: int = 0, flags: int = 0) -> dict[str, Any]:
    """A configuration with the flag that is measured, and others beside it.

    Args:
        others: Experiments like it, each with a flag of its own.
        flags: Further flags, each with an audience and a percentage rollout.
    """
    keys = [FLAG, *(f"experiment-{number}" for number in range(others))]
    condition = {"attribute": "country", "operator": "in", "value": list(COUNTRIES)}
    definitions: dict[str, Any] = {
        key: {
            "type": "string",
            "variants": {**{arm: arm for arm in ARMS}, OFF: OFF},
            "default": OFF,
            "rules": [{"experiment": key, "audience": condition}],
        }
        for key in keys
    }
    for number in range(flags):
        rollout = {"salt": f"{number:016x}", "ranges": [["on", 0, 2_500]]}
        definitions[f"flag-{number}"] = {
            "type": "boolean",
            "variants": {"on": True, "off": False},
            "default": "off",
            "rules": [{"audience": condition, "rollout": rollout}],
        }
    return {
        "schema": "equipoise.config/2",
        "project": "shop",
        "environment": "production",
        "version": 1,
        "flags": definitions,
        "experiments": {key: _experiment(key, number) for number, key in enumerate(keys)},
    }


def _experiment(key: str, number: int) -> dict[str, Any]:
    return {
        "status": "running",
        "unit_type": "user",
        "flag": key,
        "variants": list(ARMS),
        "control": ARMS[0],
        "layer_salt": f"{2 * number:016x}",
        "slots": [[0, 10_000]],
        "revision": 1,
        "salt": f"{2 * number + 1:016x}",
        "ranges": [[ARMS[0], 0, 5_000], [ARMS[1], 5_000, 10_000]],
    }


def logged(configuration: dict[str, Any] | None = None) -> Peer:
    """`variant`: exposures are deduplicated, and the new ones go nowhere but into a count."""
    client = Client.from_config(configuration or document())

    def run(units: Sequence[str]) -> None:
        attributes = {"country": HERE}
        for unit in units:
            client.variant(FLAG, unit, OFF, attributes)

    def arm(unit: str, country: str) -> object:
        return client.variant(FLAG, unit, OFF, {"country": country}).value

    return Peer("equipoise: variant, exposures deduplicated", run, arm, client.close)


def unlogged() -> Peer:
    """`assign`: no exposure."""
    client = Client.from_config(document())

    def run(units: Sequence[str]) -> None:
        attributes = {"country": HERE}
        for unit in units:
            client.assign(FLAG, unit, OFF, attributes)

    def arm(unit: str, country: str) -> object:
        return client.assign(FLAG, unit, OFF, {"country": country}).value

    return Peer("equipoise: assign, no exposures", run, arm, client.close)
