"""flagsmith-flag-engine: pure Python; it knows no exposures."""

from collections.abc import Sequence
from typing import Any

from flag_engine.engine import get_evaluation_result

from benchmarks.peers.scene import ARMS, COUNTRIES, FLAG, HERE, OFF, Peer


def unlogged() -> Peer:
    """The engine as its SDK calls it: a context for each evaluation, of which only the identity is new."""
    environment = {"key": "environment", "name": "production"}
    flag: dict[str, Any] = {"key": "1", "name": FLAG, "enabled": True, "value": OFF}
    variants = [
        {"key": arm, "value": arm, "weight": 50, "priority": number} for number, arm in enumerate(ARMS)
    ]
    condition = {"property": "country", "operator": "IN", "value": ",".join(COUNTRIES)}
    segment = {
        "key": "2",
        "name": "audience",
        "rules": [{"type": "ALL", "conditions": [condition]}],
        "overrides": [{**flag, "variants": variants}],
    }
    segments, features = {"2": segment}, {FLAG: flag}

    def run(units: Sequence[str]) -> None:
        traits = {"country": HERE}
        for unit in units:
            context = {
                "environment": environment,
                "identity": {"identifier": unit, "key": unit, "traits": traits},
                "segments": segments,
                "features": features,
            }
            get_evaluation_result(context)["flags"][FLAG]["value"]

    def arm(unit: str, country: str) -> object:
        identity = {"identifier": unit, "key": unit, "traits": {"country": country}}
        context = {
            "environment": environment,
            "identity": identity,
            "segments": segments,
            "features": features,
        }
        return get_evaluation_result(context)["flags"][FLAG]["value"]

    return Peer("flagsmith-flag-engine: no exposures", run, arm)
