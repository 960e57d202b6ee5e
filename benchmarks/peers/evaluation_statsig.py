"""statsig-python-core: a Rust core; logging is off."""

import json
from collections.abc import Sequence
from typing import Any

from statsig_python_core import DataStore, ExperimentEvaluationOptions, Statsig, StatsigOptions, StatsigUser
from statsig_python_core.data_store import DataStoreResponse

from benchmarks.peers.scene import ARMS, COUNTRIES, FLAG, HERE, OFF, Peer

TIME = 1_700_000_000_000


class _Specs(DataStore):  # type: ignore[misc] # it has no types
    def get(self, key: str) -> Any:  # noqa: ARG002 - one document, whatever is asked for
        """Return the configuration."""
        return DataStoreResponse(result=json.dumps(_document()), time=TIME)


def unlogged() -> Peer:
    """No exposures; the time includes making the user, who is another one each call."""
    options = StatsigOptions()
    options.disable_network = True
    options.disable_all_logging = True
    options.data_store = _Specs()
    options.output_log_level = "error"
    client = Statsig("secret-none", options)
    client.initialize().wait()
    silent = ExperimentEvaluationOptions(disable_exposure_logging=True)

    def run(units: Sequence[str]) -> None:
        for unit in units:
            user = StatsigUser(user_id=unit, country=HERE)
            client.get_experiment(user, FLAG, silent).get_string("arm", OFF)

    def arm(unit: str, country: str) -> object:
        user = StatsigUser(user_id=unit, country=country)
        return client.get_experiment(user, FLAG, silent).get_string("arm", OFF)

    return Peer("statsig-python-core: no exposures", run, arm, lambda: client.shutdown().wait())


def _document() -> dict[str, Any]:
    control, treatment = ARMS
    experiment = {
        "type": "dynamic_config",
        "salt": "arms",
        "enabled": True,
        "defaultValue": {"arm": OFF},
        "idType": "userID",
        "entity": "experiment",
        "version": 1,
        "isActive": True,
        "hasSharedParams": False,
        "rules": [_rule("elsewhere", OFF), _rule("first-half", control), _rule("rest", treatment)],
    }
    bucket = {"type": "user_bucket", "operator": "lt", "additionalValues": {"salt": "arms"}}
    return {
        "dynamic_configs": {FLAG: experiment},
        "feature_gates": {},
        "layer_configs": {},
        "layers": {},
        "experiment_to_layer": {},
        "condition_map": {
            "elsewhere": _condition(operator="none", field="country", targetValue=list(COUNTRIES)),
            "first-half": _condition(**bucket, targetValue=500),
            "rest": _condition(**bucket, targetValue=1_000),
        },
        "id_lists": {},
        "has_updates": True,
        "time": TIME,
        "response_format": "dcs-v2",
    }


def _rule(condition: str, arm: str) -> dict[str, Any]:
    return {
        "name": condition,
        "id": condition,
        "salt": condition,
        "passPercentage": 100,
        "conditions": [condition],
        "returnValue": {"arm": arm},
        "idType": "userID",
        "isExperimentGroup": arm != OFF,
    }


def _condition(**members: Any) -> dict[str, Any]:
    return {
        "type": "user_field",
        "field": None,
        "operator": None,
        "targetValue": None,
        "additionalValues": {},
        "idType": "userID",
        **members,
    }
