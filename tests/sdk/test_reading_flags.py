"""Reading flags through a client: attributes, types, other unit types, explanations, offline and in tests."""

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.sdk.fake_service import FLAG, KEY, FakeService, document

from equipoise import Assignment, Client, ConfigurationError, Reason, evaluate
from equipoise.configuration import parse
from equipoise.testing import FakeClient

TYPES: dict[str, list[Any]] = {
    "boolean": [False, True],
    "string": ["a", "b"],
    "integer": [1, 2],
    "number": [1.0, 2.5],
    "object": [{"n": [1]}, {"n": [2]}],
}


def typed_document() -> dict[str, Any]:
    """Return a configuration with a running experiment on a flag of each type, `the-<type>`."""
    made = document()
    flag, experiment = made["flags"].pop(FLAG), made["experiments"].pop(FLAG)
    for kind, (control, treatment) in TYPES.items():
        key = f"the-{kind}"
        made["flags"][key] = flag | {
            "type": kind,
            "variants": {"control": control, "treatment": treatment},
            "rules": [{"experiment": key}],
        }
        made["experiments"][key] = experiment | {"flag": key}
    return made


def for_adults() -> dict[str, Any]:
    """Return a configuration whose experiment is for those of 18 and more."""
    made = document()
    made["flags"][FLAG]["rules"] = [
        {"experiment": FLAG, "audience": {"attribute": "age", "operator": "at_least", "value": 18}}
    ]
    return made


def by_account() -> dict[str, Any]:
    """Return a configuration whose flag is asked for users and whose experiment randomises accounts."""
    made = document()
    made["flags"][FLAG]["unit_type"] = "user"
    return made


def test_attributes_decide(service: FakeService) -> None:
    service.publish(for_adults())
    with Client(service.url, KEY) as client:
        assert client.wait_ready(10)
        assert client.variant(FLAG, "user-1", attributes={"age": 30}).reason is Reason.SPLIT
        assert client.variant(FLAG, "user-2", attributes={"age": 12}).reason is Reason.DEFAULT
        assert client.variant(FLAG, "user-3").reason is Reason.DEFAULT
        assert client.string(FLAG, "user-4", "x", {"age": 18}).reason is Reason.SPLIT
        assert client.assign(FLAG, "user-5", None, {"age": 18}).reason is Reason.SPLIT
        client.flush(10)
    assert [exposure["unit"] for exposure in service.stored("exposures")] == ["user-1", "user-4"]


@pytest.mark.parametrize("kind", TYPES)
def test_a_typed_read_is_variant_for_its_type_and_an_error_for_others(kind: str) -> None:
    client = Client.from_config(typed_document())
    for asked in TYPES:
        default = TYPES[asked][0]
        got: Assignment[Any] = getattr(client, asked)(f"the-{kind}", "user-1", default)
        if asked == kind:
            assert got == evaluate(parse(typed_document()), f"the-{kind}", "user-1")
            assert type(got.value) is type(TYPES[kind][0])
        else:
            assert got == Assignment(f"the-{kind}", None, None, default, Reason.ERROR, None)
    assert client.counters.logged == 1, "the read of the right type exposes, the others do not"
    getattr(client, kind)(f"the-{kind}", "user-1", TYPES[kind][0])
    client.variant(f"the-{kind}", "user-1")
    assert client.counters.logged == 1
    getattr(client, kind)(f"the-{kind}", "user-2", TYPES[kind][0])
    assert client.counters.logged == 2


def test_a_typed_read_of_an_unknown_flag_or_unit_gives_the_default() -> None:
    client = Client.from_config(typed_document())
    assert client.integer("no-such-flag", "user-1", 7) == Assignment(
        "no-such-flag", None, None, 7, Reason.ERROR, None
    )
    assert client.boolean("the-boolean", "", True).reason is Reason.ERROR
    assert client.boolean([], "user-1", True).value is True  # type: ignore[arg-type]


def test_a_wrong_type_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    client = Client.from_config(typed_document())
    for n in range(5):
        client.boolean("the-string", f"user-{n}", True)
    assert [record.getMessage() for record in caplog.records] == [
        "The flag the-string is of type string, not boolean"
    ]


def test_an_object_is_the_callers_own(service: FakeService) -> None:
    client = Client.from_config(typed_document())
    first = client.object("the-object", "user-1", {})
    first.value["n"].append("changed")
    assert client.object("the-object", "user-1", {}).value in TYPES["object"]


def test_an_exposure_is_of_the_id_that_was_randomised(service: FakeService) -> None:
    service.publish(by_account())
    with Client(service.url, KEY) as client:
        assert client.wait_ready(10)
        for user in range(3):
            for account in ("a", "b"):
                got = client.variant(FLAG, f"user-{user}", attributes={"account": account})
                assert got == evaluate(parse(by_account()), FLAG, "user-9", None, {"account": account})
        assert client.string(FLAG, "user-1", "x", {"account": "c"}).reason is Reason.SPLIT
        assignment = client.assign(FLAG, "user-1", attributes={"account": "d"})
        client.expose(assignment, "user-1", {"account": "d"})
        client.expose(assignment, "user-1", {"account": "d"})
        assert client.variant(FLAG, "user-1").reason is Reason.DEFAULT
        assert client.flush(10).accepted == 4
        client.expose(assignment, "user-1")
        assert client.counters.dropped == {"invalid": 1}
    exposures = service.stored("exposures")
    assert [(each["unit_type"], each["unit"]) for each in exposures] == [
        ("account", account) for account in "abcd"
    ]


def test_explanations_agree_with_assignments() -> None:
    client = Client.from_config(for_adults())
    for attributes in ({"age": 30}, {"age": 3}, None):
        explained = client.explain(FLAG, "user-1", attributes)
        assert explained.assignment == client.assign(FLAG, "user-1", attributes=attributes)
        json.dumps(explained.to_dict())
    assert client.counters.logged == 0


def test_an_explanation_before_the_configuration_says_so(service: FakeService) -> None:
    service.stop()
    with Client(service.url, KEY) as client:
        explained = client.explain(FLAG, "user-1")
        assert explained.assignment.reason is Reason.ERROR
        assert explained.problem == "There is no configuration yet."
        client.close(0.1)


def test_offline_there_is_no_thread_and_everything_is_counted(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(document()))
    before = threading.active_count()
    for given in (document(), file, str(file)):
        client = Client.from_config(given)
        file.unlink(missing_ok=True) if given is str(file) else None
        assert client.wait_ready(0)
        for _ in range(2):
            for n in range(100):
                got = client.variant(FLAG, f"user-{n}")
                assert got == evaluate(parse(document()), FLAG, f"user-{n}")
        client.track("seen", "user-1")
        client.track("", "user-1")
        for _ in range(2):
            assert client.counters.dropped == {"offline": 101, "invalid": 1}
            assert (client.counters.logged, client.counters.pending) == (102, 0)
        assert client.flush(1).dropped == {}
        client.close()
        assert client.variant(FLAG, "user-1").reason is Reason.SPLIT
        assert repr(client) == "Client('offline')"
    assert threading.active_count() == before


def test_an_offline_client_in_a_forked_child(tmp_path: Path) -> None:
    script = f"""
import json, os
from equipoise import Client
client = Client.from_config(json.loads({json.dumps(document())!r}))
client.variant({FLAG!r}, "user-1")
if os.fork() == 0:
    client.variant({FLAG!r}, "user-1")
    os._exit(0 if client.counters.logged == 1 else 1)
assert os.wait()[1] == 0
assert client.counters.logged == 1
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True, timeout=30)


def test_an_unusable_configuration_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="schema"):
        Client.from_config({})
    with pytest.raises(FileNotFoundError):
        Client.from_config(tmp_path / "none.json")
    file = tmp_path / "config.json"
    file.write_text("{")
    with pytest.raises(ConfigurationError, match="not a JSON document"):
        Client.from_config(file)


def test_exposures_of_many_threads_are_counted_exactly() -> None:
    client = Client.from_config(document())

    def work() -> None:
        for n in range(2000):
            client.variant(FLAG, f"user-{n}")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.counters.dropped == {"offline": 2000}


def test_a_unit_that_is_an_odd_string_is_hashed_by_its_text() -> None:
    class Odd(str):
        def __hash__(self) -> int:
            raise RuntimeError("odd")

        def __eq__(self, other: object) -> bool:
            raise RuntimeError("odd")

    client = FakeClient(document())
    for _ in range(2):
        assert client.variant(FLAG, Odd("user-1")) == client.assign(FLAG, "user-1")
        client.string(FLAG, Odd("user-1"), "x")
    client.variant(FLAG, "user-1")
    assert [exposure.unit for exposure in client.exposures] == ["user-1"]
    assert type(client.exposures[0].unit) is str


def test_a_unit_in_steady_use_is_logged_again_when_it_changes_its_arm() -> None:
    configuration = document()
    configuration["flags"][FLAG]["rules"] = [
        {"experiment": FLAG, "audience": {"attribute": "age", "operator": "at_least", "value": 18}},
        {"experiment": "other"},
    ]
    configuration["experiments"]["other"] = configuration["experiments"][FLAG] | {"revision": 4}
    client = FakeClient(configuration)
    for age in (20, 20, 20, 3, 3, 3, 20, 3):
        client.variant(FLAG, "user-1", attributes={"age": age})
    assert [(each.experiment, each.revision) for each in client.exposures] == [(FLAG, 1), ("other", 4)]
