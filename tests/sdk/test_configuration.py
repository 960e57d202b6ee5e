"""Reading the configuration document: what is taken, and how what is not is refused by place."""

import copy
import gc
import json
import weakref
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sdk.fake_service import FLAG, document

from equipoise import ConfigurationError
from equipoise.configuration import SCHEMA, load, parse
from equipoise.evaluation import evaluate

FLAG_PLACE = f"flags.{FLAG}"
EXPERIMENT_PLACE = f"experiments.{FLAG}"


def changed(path: str, value: Any) -> dict[str, Any]:
    """Return the document with one member changed; `...` removes it."""
    result = copy.deepcopy(document())
    *parents, last = path.replace("KEY", FLAG).split("/")
    target: Any = result
    for name in parents:
        target = target[name]
    if value is ...:
        del target[last]
    else:
        target[last] = value
    return result


def test_a_document_is_read() -> None:
    configuration = load(json.dumps(document(version=9)).encode())
    assert (configuration.project, configuration.environment, configuration.version) == (
        "default",
        "production",
        9,
    )
    flag = configuration.flags[FLAG]
    assert (flag.type, dict(flag.variants), flag.default) == (
        "string",
        {"control": "old", "treatment": "new"},
        "control",
    )
    experiment = configuration.experiments[FLAG]
    assert (experiment.unit_type, experiment.slots) == ("account", ((0, 10000),))
    assert experiment.ranges == (("control", 0, 5000), ("treatment", 5000, 10000))


def test_unknown_members_are_ignored() -> None:
    extended = changed("flags/KEY/tags", ["x"])
    extended["segments"] = {}
    extended["experiments"][FLAG]["owner"] = None
    extended["flags"][FLAG]["rules"][0]["note"] = 1
    assert parse(extended) == parse(document())


def test_whole_numbers_are_read_up_to_where_every_language_reads_them_exactly() -> None:
    source = changed("flags/KEY/type", "object")
    source["flags"][FLAG]["variants"] = {"control": {"a": [2**53 - 1]}, "treatment": {"a": 1 - 2**53}}
    read = load(json.dumps(source).encode()).flags[FLAG].variants
    assert dict(read) == {"control": {"a": [9007199254740991]}, "treatment": {"a": -9007199254740991}}


def test_a_draft_has_no_randomisation_yet() -> None:
    draft = document(status="draft", slots=[], revision=None, salt=None, ranges=[])
    experiment = parse(draft).experiments[FLAG]
    assert (experiment.revision, experiment.salt, experiment.ranges) == (None, None, ())


def test_what_the_caller_changes_later_changes_nothing() -> None:
    source = changed("flags/KEY/type", "object")
    source["flags"][FLAG]["variants"] = {"control": {"a": [1]}, "treatment": {}}
    configuration = parse(source)
    source["flags"][FLAG]["variants"]["control"]["a"].append(2)
    assert configuration.flags[FLAG].variants["control"] == {"a": [1]}
    with pytest.raises(TypeError):
        configuration.flags["other"] = configuration.flags[FLAG]  # type: ignore[index]


deep: Any = 1
for _ in range(40):
    deep = [deep]


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        ("schema", "equipoise.config/3", "schema"),
        ("schema", ..., "the document"),
        ("version", -1, "version"),
        ("version", True, "version"),
        ("version", "3", "version"),
        ("project", "", "project"),
        ("environment", None, "environment"),
        ("flags", [], "flags"),
        ("flags", {"\ud800": {}}, "flags.'\\ud800'"),
        ("experiments", ..., "the document"),
        ("flags/KEY/type", "float", f"{FLAG_PLACE}.type"),
        ("flags/KEY/type", [], f"{FLAG_PLACE}.type"),
        ("flags/KEY/variants", {}, f"{FLAG_PLACE}.default"),
        ("flags/KEY/variants/control", 1, f"{FLAG_PLACE}.variants.control"),
        ("flags/KEY/default", "third", f"{FLAG_PLACE}.default"),
        ("flags/KEY/rules", None, f"{FLAG_PLACE}.rules"),
        ("flags/KEY/rules", [{}], f"{FLAG_PLACE}.rules[0]"),
        ("flags/KEY/rules", [{"experiment": "other"}], f"{FLAG_PLACE}.rules[0].experiment"),
        ("experiments/KEY/status", "archived", f"{EXPERIMENT_PLACE}.status"),
        ("experiments/KEY/flag", "other", f"{EXPERIMENT_PLACE}.flag"),
        ("experiments/KEY/variants", ["control", "third"], f"{EXPERIMENT_PLACE}.variants[1]"),
        ("experiments/KEY/control", "third", f"{EXPERIMENT_PLACE}.control"),
        ("experiments/KEY/unit_type", 7, f"{EXPERIMENT_PLACE}.unit_type"),
        ("experiments/KEY/layer_salt", "", f"{EXPERIMENT_PLACE}.layer_salt"),
        ("experiments/KEY/layer_salt", "\ud800", f"{EXPERIMENT_PLACE}.layer_salt"),
        ("experiments/KEY/salt", None, EXPERIMENT_PLACE),
        ("experiments/KEY/revision", None, EXPERIMENT_PLACE),
        ("experiments/KEY/ranges", [], EXPERIMENT_PLACE),
        ("experiments/KEY/slots", [[0]], f"{EXPERIMENT_PLACE}.slots[0]"),
        ("experiments/KEY/slots", [[0, 10001]], f"{EXPERIMENT_PLACE}.slots[0]"),
        ("experiments/KEY/slots", [[5, 1]], f"{EXPERIMENT_PLACE}.slots[0]"),
        ("experiments/KEY/slots", [[0, 10], [9, 20]], f"{EXPERIMENT_PLACE}.slots"),
        ("experiments/KEY/slots", [[0.5, 10]], f"{EXPERIMENT_PLACE}.slots[0]"),
        ("experiments/KEY/ranges", [["control", 0, 9999]], f"{EXPERIMENT_PLACE}.ranges"),
        (
            "experiments/KEY/ranges",
            [["control", 0, 5001], ["treatment", 5000, 10000]],
            f"{EXPERIMENT_PLACE}.ranges",
        ),
        (
            "experiments/KEY/ranges",
            [["control", 0, 4999], ["treatment", 5000, 10000]],
            f"{EXPERIMENT_PLACE}.ranges",
        ),
        ("experiments/KEY/ranges", [["third", 0, 10000]], f"{EXPERIMENT_PLACE}.ranges[0]"),
        ("experiments/KEY/ranges", [["control", 0]], f"{EXPERIMENT_PLACE}.ranges[0]"),
    ],
)
def test_a_malformed_document_is_refused_by_place(path: str, value: Any, place: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(changed(path, value))
    assert str(caught.value).startswith(f"{place}: ")


@pytest.mark.parametrize(
    ("flag_type", "value"),
    [
        ("boolean", 1),
        ("boolean", "true"),
        ("string", 1),
        ("integer", True),
        ("integer", 1.0),
        ("number", "1"),
        ("number", True),
        ("number", 10**400),
        ("number", float("inf")),
        ("object", []),
        ("object", None),
        ("object", {"a": float("nan")}),
        ("object", {"a": deep}),
        ("object", {"a": {1, 2}}),
        ("integer", 2**53),
        ("integer", -(2**53)),
        ("object", {"a": [{"b": 2**53}]}),
    ],
)
def test_a_value_must_be_of_the_flags_type(flag_type: str, value: Any) -> None:
    source = changed("flags/KEY/type", flag_type)
    source["flags"][FLAG]["variants"] = {"control": value, "treatment": value}
    with pytest.raises(ConfigurationError, match=rf"^flags\.{FLAG}\.variants\.control"):
        parse(source)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff", b"nul", b"[]", b"7", b'"x"', b"[" * 100_000, b'{"version": NaN}', b"9" * 5000],
    ids=lambda content: repr(content[:10]),
)
def test_bytes_that_are_no_document_are_refused(content: bytes) -> None:
    with pytest.raises(ConfigurationError):
        load(content)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3)
    ),
    max_leaves=8,
)
PATHS = [
    *("schema", "version", "flags", "experiments", "flags/KEY", "experiments/KEY", "flags/KEY/rules"),
    *(f"flags/KEY/{name}" for name in ("type", "variants", "default")),
    *(f"experiments/KEY/{name}" for name in document()["experiments"][FLAG]),
]


@given(path=st.sampled_from(PATHS), value=JSON)
def test_anything_anywhere_is_read_or_refused(path: str, value: Any) -> None:
    with suppress(ConfigurationError):
        parse(changed(path, value))


def test_a_configuration_that_is_replaced_leaves_memory_at_once() -> None:
    """Its segments are large; the garbage collector's look at everything may come late or never."""
    flag = {
        "type": "boolean",
        "unit_type": "user",
        "enabled": True,
        "variants": {"on": True, "off": False},
        "default": "off",
        "rules": [{"variant": "on", "audience": {"segment": "known"}}],
    }
    document = {
        "schema": SCHEMA,
        "project": "p",
        "environment": "e",
        "version": 1,
        "segments": {"known": {"attribute": "$unit", "ids": ["a", "b"]}},
        "flags": {
            "last": {**flag, "prerequisites": [{"flag": "middle", "variants": ["on"]}]},
            "first": flag,
            "middle": {**flag, "prerequisites": [{"flag": "first", "variants": ["on"]}]},
        },
        "experiments": {},
    }
    gc.disable()
    try:
        configuration = parse(document)
        ids = weakref.ref(configuration.segments["known"].ids)
        assert [evaluate(configuration, "last", unit).value for unit in ("a", "c")] == [True, False]
        del configuration
        assert ids() is None
    finally:
        gc.enable()
