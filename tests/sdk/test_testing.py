"""What the SDK offers to the tests of applications."""

from contextlib import suppress
from typing import Any

import pytest
from tests.sdk.fake_service import FLAG, document

from equipoise import Client, Reason
from equipoise.testing import FakeClient, RecordedExposure

pytest_plugins = ["pytester"]


def test_it_is_a_client_that_records_what_would_be_sent() -> None:
    client = FakeClient(document())
    assert isinstance(client, Client)
    for _ in range(2):
        got = client.variant(FLAG, "user-1")
    client.track("purchased", "user-1", 12, {"currency": "EUR"})
    client.track("", "user-1")
    assert client.exposures == [RecordedExposure("user-1", FLAG, str(got.variant), 1, "account")]
    (event,) = client.events
    assert (event.name, event.unit, event.value, event.properties) == (
        "purchased",
        "user-1",
        12,
        {"currency": "EUR"},
    )
    assert client.counters.dropped == {"offline": 2, "invalid": 1}


@pytest.mark.parametrize("variant", ["control", "treatment"])
def test_overriding_by_a_variant_is_as_if_it_had_been_drawn(variant: str) -> None:
    client = FakeClient(document(status="draft", revision=None, salt=None, slots=[], ranges=[]))
    assert client.variant(FLAG, "user-0").reason is Reason.DISABLED
    with client.override(FLAG, variant):
        for n in range(20):
            got = client.variant(FLAG, f"user-{n}")
            assert (got.variant, got.reason, got.experiment) == (variant, Reason.SPLIT, FLAG)
            assert client.string(FLAG, f"user-{n}", "x").value == got.value
        assert client.variant(FLAG, "").reason is Reason.ERROR
    assert client.variant(FLAG, "user-0").reason is Reason.DISABLED
    assert [(each.unit, each.variant) for each in client.exposures] == [
        (f"user-{n}", variant) for n in range(20)
    ]


@pytest.mark.parametrize(
    ("method", "value", "default"),
    [
        ("boolean", True, False),
        ("string", "a", ""),
        ("integer", 3, 0),
        ("number", 2.5, 0.0),
        ("object", {"a": [1]}, {}),
    ],
)
def test_overriding_by_a_value_needs_no_flag(method: str, value: Any, default: Any) -> None:
    client = FakeClient()
    read = getattr(client, method)
    assert read("new", "user-1", default).reason is Reason.ERROR
    with client.override("new", value=value):
        assert read("new", "user-1", default).value == value
        assert client.assign("new", "user-1").value == value
    assert read("new", "user-1", default).value == default
    assert client.exposures == []


def test_overrides_nest_and_end_with_their_block() -> None:
    client = FakeClient(document())
    with client.override(FLAG, "control"), client.override("other", value=1):
        with suppress(KeyError), client.override(FLAG, "treatment"):
            assert client.variant(FLAG, "user-1").variant == "treatment"
            raise KeyError
        assert client.variant(FLAG, "user-1").variant == "control"
        assert client.integer("other", "user-1", 0).value == 1
    assert client.integer("other", "user-1", 0).value == 0
    assert client.assign(FLAG, "user-1") == Client.from_config(document()).assign(FLAG, "user-1")


@pytest.mark.parametrize(
    ("arguments", "named", "problem"),
    [
        ((FLAG, "blue"), {}, "no variant 'blue'"),
        (("nothing", "control"), {}, "no flag 'nothing'"),
        ((FLAG,), {}, "either a variant or a value"),
        ((FLAG, "control"), {"value": 1}, "either a variant or a value"),
        ((FLAG,), {"value": 7}, "string"),
    ],
)
def test_an_override_that_cannot_be_is_an_error(
    arguments: tuple[str, ...], named: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem), FakeClient(document()).override(*arguments, **named):
        pass


def test_the_fixtures_come_by_themselves(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        f"""
        import pytest
        @pytest.fixture
        def equipoise_configuration():
            return {document()!r}
        """
    )
    pytester.makepyfile(
        f"""
        def test_recorded(equipoise_client):
            with equipoise_client.override({FLAG!r}, "treatment"):
                assert equipoise_client.variant({FLAG!r}, "user-1").value == "new"
            assert [each.unit for each in equipoise_client.exposures] == ["user-1"]

        def test_each_test_has_its_own(equipoise_client):
            assert equipoise_client.exposures == []
            equipoise_client.track("seen", "user-1")
            assert len(equipoise_client.events) == 1
        """
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=2)
