"""The released Python client of OFREP against a real service."""

from collections.abc import Iterator
from typing import Any

import pytest
from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagEvaluationDetails
from tests.service.conftest import experiment
from tests.service.ofrep.conftest import VALUES
from tests.service.running import RunningService

from equipoise import evaluate
from equipoise.configuration import load
from equipoise_service.accounts.principals import Scope

FALLBACKS: dict[str, Any] = {
    "boolean": False,
    "string": "f",
    "integer": -1,
    "number": -1.5,
    "object": {"f": 1},
}


@pytest.fixture(autouse=True)
def _fresh_api() -> Iterator[None]:
    yield
    api.shutdown()


def ask(
    service: RunningService,
    kind: str,
    flag: str,
    context: EvaluationContext,
    headers: dict[str, str] | None = None,
) -> FlagEvaluationDetails[Any]:
    given = headers or {"Authorization": f"Bearer {service.key}"}
    provider = OFREPProvider(service.url, headers_factory=lambda: given)
    try:
        api.set_provider_and_wait(provider)
        method = getattr(api.get_client(), f"get_{'float' if kind == 'number' else kind}_details")
        answered: FlagEvaluationDetails[Any] = method(flag, FALLBACKS[kind], context)
        return answered
    finally:
        provider.session.close()


@pytest.mark.parametrize("kind", VALUES)
def test_every_type(typed_service: RunningService, kind: str) -> None:
    configuration = load(typed_service.request("GET", "/v1/config").content)
    for unit in ("user-0", "user-1", "user-2"):
        answer = ask(typed_service, kind, kind, EvaluationContext(unit, {"country": "FR", "tags": ["a"]}))
        expected = evaluate(configuration, kind, unit)
        assert answer.error_code is None, answer
        assert (answer.value, answer.variant, answer.reason) == (expected.value, expected.variant, "SPLIT")
        assert type(answer.value) is type(VALUES[kind][0])
        assert answer.flag_metadata == {
            "flagSetId": "default/production",
            "version": configuration.version,
            "inExperiment": True,
            "experiment": kind,
            "revision": 1,
        }


@pytest.mark.parametrize(
    ("kind", "flag", "context", "code"),
    [
        ("string", "none", EvaluationContext("u"), ErrorCode.FLAG_NOT_FOUND),
        # The client encodes nothing, so this one is another route.
        ("string", "../../../../v1/config", EvaluationContext("u"), ErrorCode.GENERAL),
        ("string", "string", EvaluationContext(), ErrorCode.TARGETING_KEY_MISSING),
        ("string", "string", EvaluationContext("u" * 513), ErrorCode.INVALID_CONTEXT),
        ("boolean", "string", EvaluationContext("u"), ErrorCode.TYPE_MISMATCH),
        ("integer", "number", EvaluationContext("u"), ErrorCode.TYPE_MISMATCH),
        ("number", "integer", EvaluationContext("u"), ErrorCode.TYPE_MISMATCH),
    ],
)
def test_what_cannot_be_evaluated_gives_the_fallback_and_says_why(
    typed_service: RunningService, kind: str, flag: str, context: EvaluationContext, code: ErrorCode
) -> None:
    answer = ask(typed_service, kind, flag, context)
    assert (answer.value, answer.reason, answer.error_code) == (FALLBACKS[kind], "ERROR", code)
    assert answer.error_message


def test_a_wrong_key_gives_the_fallback(typed_service: RunningService) -> None:
    answer = ask(typed_service, "string", "string", EvaluationContext("u"), {"X-API-Key": "eq_wrong_key"})
    assert (answer.value, answer.error_code, answer.error_message) == ("f", ErrorCode.GENERAL, "unauthorized")
    ingest = {"X-API-Key": typed_service.make_key(Scope.INGEST)}
    answer = ask(typed_service, "string", "string", EvaluationContext("u"), ingest)
    assert (answer.value, answer.error_message) == ("f", "forbidden")
    answer = ask(
        typed_service,
        "string",
        "string",
        EvaluationContext("u"),
        {"X-API-Key": typed_service.make_key(Scope.EVALUATE)},
    )
    assert answer.reason == "SPLIT"


def test_attributes_decide_the_audience(typed_service: RunningService) -> None:
    audience = {"attribute": "country", "operator": "in", "value": ["FR", "DE"]}
    typed_service.start_experiment(experiment("audience", audience=audience))
    french = EvaluationContext("u", {"country": "FR"})
    assert ask(typed_service, "string", "audience", french).reason == "SPLIT"
    other = ask(typed_service, "string", "audience", EvaluationContext("u", {"country": "IT"}))
    assert (other.value, other.reason, other.flag_metadata["inExperiment"]) == ("old", "DEFAULT", False)


def test_a_draft_is_disabled(typed_service: RunningService) -> None:
    assert typed_service.request("POST", "/v1/experiments", json=experiment("draft")).status_code == 201
    answer = ask(typed_service, "string", "draft", EvaluationContext("u"))
    assert (answer.value, answer.variant, answer.reason) == ("old", "control", "DISABLED")
