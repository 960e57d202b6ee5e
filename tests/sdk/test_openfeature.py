"""The native OpenFeature provider, driven through the released OpenFeature SDK."""

import json
import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import EventDetails, ProviderEvent
from openfeature.exception import ErrorCode, OpenFeatureError
from openfeature.flag_evaluation import FlagEvaluationDetails, FlagEvaluationOptions
from openfeature.hook import Hook, HookContext, HookHints
from openfeature.track import TrackingEventDetails
from tests.sdk.fake_service import FLAG, KEY, FakeService, Reply, document

from equipoise import Client, evaluate
from equipoise.configuration import parse
from equipoise.openfeature import EXPOSURE_HINT, EquipoiseProvider

VALUES: dict[str, Any] = {
    "boolean": True,
    "string": "text",
    "integer": 7,
    "number": 1.0,
    "object": {"colour": "red", "sizes": [1, 2.5]},
}
UNIT = EvaluationContext("user-1")


def types() -> dict[str, Any]:
    """A document with a flag of each type, and one with an audience."""
    flags: dict[str, Any] = {
        kind: {"type": kind, "variants": {"only": value}, "default": "only", "rules": []}
        for kind, value in VALUES.items()
    }
    flags["audience"] = {
        "type": "string",
        "variants": {"off": "off", "on": "on"},
        "default": "off",
        "rules": [
            {"audience": {"attribute": "country", "operator": "in", "value": ["FR", "DE"]}, "variant": "on"}
        ],
    }
    return {**document(), "flags": {**document()["flags"], **flags}}


@pytest.fixture(autouse=True)
def _fresh_api() -> Iterator[None]:
    yield
    api.shutdown()
    api.clear_hooks()


@pytest.fixture
def client(service: FakeService) -> Client:
    """An OpenFeature client over a provider that has a configuration."""
    service.configuration = json.dumps(types()).encode()
    equipoise = Client(service.url, KEY, poll_interval=0.1, flush_interval=0.05)
    api.set_provider_and_wait(EquipoiseProvider(equipoise))
    return equipoise


DEFAULTS: dict[str, Any] = {"boolean": False, "string": "", "integer": 0, "number": 0.5, "object": {}}


def details(kind: str, flag: str, context: EvaluationContext, **options: Any) -> FlagEvaluationDetails[Any]:
    ask = getattr(api.get_client(), f"get_{'float' if kind == 'number' else kind}_details")
    given: FlagEvaluationDetails[Any] = ask(flag, DEFAULTS[kind], context, FlagEvaluationOptions(**options))
    return given


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("flag", VALUES)
def test_every_type_is_given_exactly_or_refused(kind: str, flag: str) -> None:
    given = details(kind, flag, UNIT)
    if kind == flag:
        assert (given.value, given.variant, given.reason) == (VALUES[kind], "only", "STATIC")
        assert type(given.value) is type(VALUES[kind])
        assert given.flag_metadata == {"inExperiment": False}
    else:
        assert (given.error_code, given.reason) == (ErrorCode.TYPE_MISMATCH, "ERROR")
        assert given.value is DEFAULTS[kind]


@pytest.mark.usefixtures("client")
def test_attributes_reach_the_audience() -> None:
    assert (
        details("string", "audience", EvaluationContext("u", {"country": "FR"})).reason == "TARGETING_MATCH"
    )
    assert details("string", "audience", EvaluationContext("u", {"country": "IT"})).value == "off"
    assert details("string", "audience", EvaluationContext("u")).reason == "DEFAULT"


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize(
    ("flag", "context", "code"),
    [
        ("none", UNIT, ErrorCode.FLAG_NOT_FOUND),
        (FLAG, EvaluationContext(), ErrorCode.TARGETING_KEY_MISSING),
        (FLAG, EvaluationContext(""), ErrorCode.TARGETING_KEY_MISSING),
        (FLAG, EvaluationContext("\ud800"), ErrorCode.INVALID_CONTEXT),
        (FLAG, EvaluationContext(7), ErrorCode.INVALID_CONTEXT),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_evaluated_gives_the_default_and_says_why(
    flag: str, context: EvaluationContext, code: ErrorCode
) -> None:
    given = details("string", flag, context)
    assert (given.value, given.reason, given.error_code) == ("", "ERROR", code)
    assert given.error_message


def test_an_experiment_agrees_with_evaluation_and_is_exposed_once_a_unit(
    client: Client, service: FakeService
) -> None:
    configuration = parse(types())
    units = [f"user-{index}" for index in range(20)]
    for unit in units * 3:
        local = evaluate(configuration, FLAG, unit)
        given = details("string", FLAG, EvaluationContext(unit))
        assert (given.value, given.variant, given.reason) == (local.value, local.variant, "SPLIT")
        assert given.flag_metadata == {"inExperiment": True, "experiment": FLAG, "revision": 1}
    client.flush()
    exposures = service.stored("exposures")
    assert sorted(each["unit"] for each in exposures) == sorted(units)
    for each in exposures:
        expected = evaluate(configuration, FLAG, each["unit"])
        assert (each["experiment"], each["variant"]) == (expected.experiment, expected.variant)
        assert (each["revision"], each["unit_type"]) == (1, "account")


def test_a_hint_keeps_one_evaluation_from_being_an_exposure(client: Client, service: FakeService) -> None:
    details("string", FLAG, EvaluationContext("quiet"), hook_hints={EXPOSURE_HINT: False})
    details("string", FLAG, EvaluationContext("loud"), hook_hints={EXPOSURE_HINT: True})
    details("string", FLAG, EvaluationContext("plain"))
    client.flush()
    assert {each["unit"] for each in service.stored("exposures")} == {"loud", "plain"}


def test_a_wrong_type_is_no_exposure(client: Client, service: FakeService) -> None:
    assert details("boolean", FLAG, UNIT).error_code == ErrorCode.TYPE_MISMATCH
    client.flush()
    assert service.stored("exposures") == []


def test_the_unit_that_a_hook_sets_is_the_one_exposed(client: Client, service: FakeService) -> None:
    class Login(Hook):
        def before(self, hook_context: HookContext, hints: HookHints) -> EvaluationContext:
            return EvaluationContext("member")

    api.add_hooks([Login()])
    given = details("string", FLAG, EvaluationContext("guest"))
    assert given.value == evaluate(parse(types()), FLAG, "member").value
    client.flush()
    assert [each["unit"] for each in service.stored("exposures")] == ["member"]


def test_a_provider_without_exposures_logs_none(service: FakeService) -> None:
    with Client(service.url, KEY) as equipoise:
        api.set_provider_and_wait(EquipoiseProvider(equipoise, exposures=False))
        assert details("string", FLAG, UNIT).reason == "SPLIT"
        equipoise.flush()
    assert service.stored("exposures") == []


def test_track_sends_an_event_of_the_unit(client: Client, service: FakeService) -> None:
    value = TrackingEventDetails(49.5, {"currency": "EUR", "items": [1, 2]})
    api.get_client().track("purchase", UNIT, value)
    api.get_client().track("visit", UNIT)
    client.flush()
    events = {each["name"]: each for each in service.stored("events")}
    assert events["purchase"]["unit"] == "user-1"
    assert events["purchase"]["value"] == 49.5
    assert events["purchase"]["properties"] == {"currency": "EUR", "items": [1, 2]}
    assert events["visit"].get("value") is None


def test_track_without_a_unit_is_said_and_not_sent(
    client: Client, service: FakeService, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "equipoise"):
        api.get_client().track("purchase")
    assert "targeting key" in caplog.text
    client.flush()
    assert service.stored("events") == []


def test_a_tracked_event_has_the_providers_unit_type(service: FakeService) -> None:
    equipoise = Client(service.url, KEY)
    api.set_provider_and_wait(EquipoiseProvider(equipoise, unit_type="account"))
    api.get_client().track("visit", UNIT)
    equipoise.flush()
    assert [each["unit_type"] for each in service.stored("events")] == ["account"]


class Heard:
    """Collects one kind of event."""

    def __init__(self, kind: ProviderEvent) -> None:
        self.details: list[EventDetails] = []
        self.arrived = threading.Event()
        api.add_handler(kind, self)

    def __call__(self, given: EventDetails) -> None:
        self.details.append(given)
        self.arrived.set()


@pytest.mark.usefixtures("client")
def test_a_new_configuration_is_an_event(service: FakeService) -> None:
    heard = Heard(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED)
    time.sleep(0.5)
    assert heard.details == []
    changed = {**types(), "version": 2}
    changed["flags"]["string"]["variants"]["only"] = "other"
    service.configuration = json.dumps(changed).encode()
    assert heard.arrived.wait(10)
    assert heard.details[0].metadata == {"version": 2}
    assert details("string", "string", UNIT).value == "other"


def test_a_service_that_comes_late_makes_the_provider_ready(service: FakeService) -> None:
    service.always["/v1/config"] = Reply(status=503)
    equipoise = Client(service.url, KEY, poll_interval=0.1)
    with pytest.raises(OpenFeatureError):
        api.set_provider_and_wait(EquipoiseProvider(equipoise, ready_timeout=0.1))
    given = details("string", FLAG, UNIT)
    assert (given.value, given.error_code) == ("", ErrorCode.PROVIDER_NOT_READY)
    heard = Heard(ProviderEvent.PROVIDER_READY)
    service.always.clear()
    assert heard.arrived.wait(20)
    assert details("string", FLAG, UNIT).reason == "SPLIT"


def test_shutdown_sends_what_is_queued_and_ends_the_thread(service: FakeService) -> None:
    equipoise = Client(service.url, KEY, flush_interval=60.0)
    api.set_provider_and_wait(EquipoiseProvider(equipoise))
    details("string", FLAG, UNIT)
    assert "equipoise-openfeature" in {thread.name for thread in threading.enumerate()}
    api.shutdown()
    assert len(service.stored("exposures")) == 1
    assert "equipoise-openfeature" not in {thread.name for thread in threading.enumerate()}


async def _ask() -> FlagEvaluationDetails[str]:
    options = FlagEvaluationOptions(hook_hints={EXPOSURE_HINT: False})
    return await api.get_client().get_string_details_async(FLAG, "", EvaluationContext("quiet"), options)


def test_it_is_the_same_in_async_code(client: Client, service: FakeService) -> None:
    import asyncio

    assert asyncio.run(_ask()).reason == "SPLIT"
    client.flush()
    assert service.stored("exposures") == []
