"""launchdarkly-server-sdk: pure Python; events are off."""

from collections.abc import Sequence
from typing import Any

from ldclient import Context, LDClient
from ldclient.config import Config
from ldclient.feature_store import InMemoryFeatureStore
from ldclient.versioned_data_kind import FEATURES, SEGMENTS

from benchmarks.peers.scene import ARMS, COUNTRIES, FLAG, HERE, OFF, Peer


def unlogged() -> Peer:
    """No events; the time includes making the context, which is another one each call."""
    store = InMemoryFeatureStore()
    store.init({FEATURES: {FLAG: _flag()}, SEGMENTS: {}})
    client = LDClient(Config("none", feature_store=store, use_ldd=True, send_events=False))

    def run(units: Sequence[str]) -> None:
        for unit in units:
            context = Context.builder(unit).set("country", HERE).build()
            client.variation(FLAG, context, OFF)

    def arm(unit: str, country: str) -> object:
        return client.variation(FLAG, Context.builder(unit).set("country", country).build(), OFF)

    return Peer("launchdarkly-server-sdk: no events", run, arm, client.close)


def _flag() -> dict[str, Any]:
    clause = {
        "contextKind": "user",
        "attribute": "country",
        "op": "in",
        "values": list(COUNTRIES),
        "negate": False,
    }
    halves = [{"variation": number, "weight": 50_000, "untracked": False} for number in (1, 2)]
    rollout = {"kind": "experiment", "seed": 61, "variations": halves}
    return {
        "key": FLAG,
        "version": 1,
        "on": True,
        "salt": "arms",
        "variations": [OFF, *ARMS],
        "offVariation": 0,
        "fallthrough": {"variation": 0},
        "rules": [{"id": "rule", "clauses": [clause], "rollout": rollout}],
    }
