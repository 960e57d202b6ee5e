"""optimizely-sdk: pure Python; decision events are off."""

import json
from collections.abc import Sequence
from typing import Any

from optimizely.decision.optimizely_decide_option import OptimizelyDecideOption
from optimizely.optimizely import Optimizely

from benchmarks.peers.scene import ARMS, COUNTRIES, FLAG, HERE, Peer


class _NoDispatcher:
    @staticmethod
    def dispatch_event(event: object) -> None:
        """Send nothing."""


def unlogged() -> Peer:
    """No decision events; the time includes making the user context, which is another one each call."""
    client = Optimizely(json.dumps(_document()), event_dispatcher=_NoDispatcher)
    options = [OptimizelyDecideOption.DISABLE_DECISION_EVENT]

    def run(units: Sequence[str]) -> None:
        attributes = {"country": HERE}
        for unit in units:
            client.create_user_context(unit, attributes).decide(FLAG, options)

    def arm(unit: str, country: str) -> object:
        return client.create_user_context(unit, {"country": country}).decide(FLAG, options).variation_key

    return Peer("optimizely-sdk: no decision events", run, arm, client.close)


def _document() -> dict[str, Any]:
    countries = [
        {"match": "exact", "name": "country", "type": "custom_attribute", "value": country}
        for country in COUNTRIES
    ]
    ends = (5_000, 10_000)
    experiment = {
        "id": "1",
        "key": "experiment",
        "status": "Running",
        "layerId": "2",
        "audienceIds": ["3"],
        "audienceConditions": ["or", "3"],
        "forcedVariations": {},
        "variations": [{"id": arm, "key": arm, "featureEnabled": True, "variables": []} for arm in ARMS],
        "trafficAllocation": [
            {"entityId": arm, "endOfRange": end} for arm, end in zip(ARMS, ends, strict=True)
        ],
    }
    return {
        "version": "4",
        "revision": "1",
        "accountId": "1",
        "projectId": "1",
        "anonymizeIP": True,
        "botFiltering": False,
        "experiments": [experiment],
        "featureFlags": [
            {"id": "4", "key": FLAG, "experimentIds": ["1"], "rolloutId": "5", "variables": []},
        ],
        "rollouts": [{"id": "5", "experiments": []}],
        "typedAudiences": [{"id": "3", "name": "audience", "conditions": ["or", *countries]}],
        "audiences": [{"id": "3", "name": "audience", "conditions": json.dumps(["or", *countries])}],
        "attributes": [{"id": "6", "key": "country"}],
        "groups": [],
        "events": [],
        "variables": [],
    }
