"""The flag that is made with an experiment: what a change of the experiment does to it, and what it keeps."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from equipoise import evaluate
from equipoise.configuration import load

KEY = "new-landing-page"
PATH = f"/v1/experiments/{KEY}"
FLAG = f"/v1/flags/{KEY}"


def register(client: TestClient, body: dict[str, Any]) -> dict[str, Any]:
    answer = client.post("/v1/experiments", json=body)
    assert answer.status_code == 201, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def change(client: TestClient, path: str, **changes: Any) -> Any:
    return client.patch(path, json=changes, headers={"If-Match": client.get(path).headers["ETag"]})


def start(client: TestClient) -> None:
    assert client.post(f"{PATH}/start").status_code == 200


def flag_values(client: TestClient) -> dict[str, Any]:
    return {each["key"]: each["value"] for each in client.get(FLAG).json()["variants"]}


def arms(*pairs: tuple[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": value, "control": index == 0} for index, (key, value) in enumerate(pairs)]


def keys(*names: str) -> list[dict[str, Any]]:
    return [{"key": name, "control": index == 0} for index, name in enumerate(names)]


@pytest.mark.parametrize("started", [False, True])
def test_other_weights_leave_every_value_as_it_is(client: TestClient, payload: Any, started: bool) -> None:
    register(client, payload())
    if started:
        start(client)
    weights = [
        {"key": "control", "weight": 9000, "control": True},
        {"key": "treatment", "weight": 1000},
    ]
    changed = change(client, PATH, variants=weights)
    assert changed.status_code == 200, changed.text
    assert [each["value"] for each in changed.json()["variants"]] == ["old", "new"]
    if started:
        served = load(client.get("/v1/config").content)
        assert {evaluate(served, KEY, f"u{index}").value for index in range(200)} == {"old", "new"}


def test_only_a_new_variant_without_a_value_is_its_own_name(client: TestClient, payload: Any) -> None:
    register(client, payload())
    start(client)
    changed = change(
        client, PATH, variants=[*keys("control", "bold"), {"key": "treatment", "value": "newer"}]
    )
    assert changed.status_code == 200, changed.text
    assert flag_values(client) == {"control": "old", "treatment": "newer", "bold": "bold"}


def test_weights_of_a_boolean_experiment_change_while_it_runs(client: TestClient, payload: Any) -> None:
    register(client, payload(variants=arms(("off", False), ("on", True))))
    start(client)
    assert change(client, PATH, variants=keys("off", "on")).status_code == 200
    assert flag_values(client) == {"off": False, "on": True}


@pytest.mark.parametrize("started", [False, True])
def test_what_was_changed_on_the_flag_itself_stays(client: TestClient, payload: Any, started: bool) -> None:
    register(client, payload())
    third = [*client.get(FLAG).json()["variants"], {"key": "third", "value": "other"}]
    assert change(client, FLAG, variants=third, default="third").status_code == 200
    if started:
        start(client)
    changed = change(client, PATH, variants=arms(("treatment", "newer"), ("control", "old")))
    assert changed.status_code == 200, changed.text
    assert flag_values(client) == {"control": "old", "treatment": "newer", "third": "other"}
    assert client.get(FLAG).json()["default"] == "third"


def test_the_default_follows_the_control_where_it_was_the_control(client: TestClient, payload: Any) -> None:
    register(client, payload())
    assert client.get(FLAG).json()["default"] == "control"
    assert change(client, PATH, variants=keys("treatment", "control")).status_code == 200
    assert client.get(FLAG).json()["default"] == "treatment"
    assert change(client, FLAG, default="control").status_code == 200
    changed = change(client, PATH, variants=arms(("treatment", "newer"), ("control", "old")))
    assert changed.status_code == 200
    assert client.get(FLAG).json()["default"] == "control"


def test_a_draft_drops_its_own_variants_but_not_the_one_served_by_default(
    client: TestClient, payload: Any
) -> None:
    register(client, payload(variants=keys("a", "b", "c")))
    assert change(client, FLAG, default="b").status_code == 200
    refused = change(client, PATH, variants=keys("a", "c"))
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:equipoise:problem:in-use")
    assert "default" in refused.json()["detail"]
    assert change(client, PATH, variants=keys("a", "b")).status_code == 200
    assert flag_values(client) == {"a": "a", "b": "b"}
    assert client.get(FLAG).json()["default"] == "b"


@pytest.mark.parametrize("changed", ["value", "third", "default"])
def test_a_change_of_the_flag_makes_an_older_etag_of_the_experiment_412(
    client: TestClient, payload: Any, changed: str
) -> None:
    register(client, payload())
    seen = {"If-Match": client.get(PATH).headers["ETag"]}
    variants = client.get(FLAG).json()["variants"]
    possible: dict[str, dict[str, Any]] = {
        "value": {"variants": [{**variants[0], "value": "other"}, variants[1]]},
        "third": {"variants": [*variants, {"key": "third", "value": "third"}]},
        "default": {"default": "treatment"},
    }
    assert change(client, FLAG, **possible[changed]).status_code == 200
    assert client.patch(PATH, json={"name": "Mine"}, headers=seen).status_code == 412
    assert client.post(f"{PATH}/start", headers=seen).status_code == 412
    assert change(client, PATH, name="Mine").status_code == 200


def test_an_etag_stays_while_nothing_changes(client: TestClient, payload: Any) -> None:
    made = client.post("/v1/experiments", json=payload(variants=arms(("b", 1.0), ("a", 2))))
    register(client, payload("another"))
    assert client.get(PATH).headers["ETag"] == made.headers["ETag"]


def test_an_attached_experiment_randomises_what_the_maker_of_the_flag_does(
    client: TestClient, payload: Any
) -> None:
    register(client, payload(unit_type="device"))
    attached = payload("attached", flag=KEY, variants=keys("control", "treatment"))
    assert register(client, attached)["unit_type"] == client.get(FLAG).json()["unit_type"] == "device"
    other = payload("other", flag=KEY, variants=keys("control", "treatment"), unit_type="user")
    assert register(client, other)["unit_type"] == "user"


def test_whole_values_of_a_number_experiment_stay_numbers(client: TestClient, payload: Any) -> None:
    register(client, payload(variants=arms(("a", 0.5), ("b", 1.5))))
    assert change(client, PATH, variants=arms(("a", 1), ("b", 2))).status_code == 200
    assert client.get(FLAG).json()["type"] == "number"
    start(client)
    assert change(client, PATH, variants=arms(("a", 3), ("b", 4))).status_code == 200
    document = client.get("/v1/config")
    assert document.json()["flags"][KEY]["type"] == "number"
    assert '"a":3.0' in document.text
    refused = change(client, PATH, variants=arms(("a", "x"), ("b", "y")))
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:equipoise:problem:frozen-field")


def test_a_draft_takes_another_type_where_every_value_has_it(client: TestClient, payload: Any) -> None:
    register(client, payload())
    assert change(client, PATH, variants=arms(("control", False), ("treatment", True))).status_code == 200
    assert client.get(FLAG).json()["type"] == "boolean"
    third = [*client.get(FLAG).json()["variants"], {"key": "third", "value": True}]
    assert change(client, FLAG, variants=third).status_code == 200
    refused = change(client, PATH, variants=arms(("control", 1), ("treatment", 2)))
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/variants")
    assert flag_values(client) == {"control": False, "treatment": True, "third": True}


def test_a_registration_may_say_the_type(client: TestClient, payload: Any) -> None:
    register(client, payload(type="number", variants=arms(("a", 1), ("b", 2))))
    document = client.get("/v1/config")
    assert document.json()["flags"][KEY]["type"] == "number"
    assert '"a":1.0' in document.text
    start(client)
    assert change(client, PATH, variants=arms(("a", 1), ("b", 2.5))).status_code == 200


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"type": "integer", "variants": arms(("a", 1), ("b", 2.5))}, "/variants/1/value"),
        ({"type": "boolean", "variants": keys("a", "b")}, "/variants/0/value"),
        ({"type": "decimal"}, "/type"),
        ({"key": "attached", "flag": KEY, "type": "number"}, "/type"),
    ],
)
def test_a_type_that_the_values_do_not_have_is_422(
    client: TestClient, payload: Any, changes: dict[str, Any], pointer: str
) -> None:
    if "flag" in changes:
        register(client, payload())
    answer = client.post("/v1/experiments", json=payload(**changes))
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer
