"""Write evaluation.json: one configuration document and what units get from it.

Run `python -m tests.vectors.generate_evaluation`. It shares no code with the SDK: the expectations are
those of `specification.py`. Running it again writes the same bytes.
"""

from collections.abc import Iterator
from pathlib import Path

from tests.vectors.specification import Json, evaluate, written

LAYER, OTHER_LAYER = "0f3c5a7b9d1e2f40", "77aa0011bbcc2233"
SALT, SECOND_SALT = "9ab1c3d4e5f60718", "1122334455667788"
ROLLOUT, HOLDOUT = "5e0f5e0f5e0f5e0f", "abcdef0123456789"
HALVES = [["control", 0, 5000], ["treatment", 5000, 10000]]
GERMAN = {"attribute": "country", "operator": "equals", "value": "DE"}
DACH = {"attribute": "country", "operator": "in", "value": ["DE", "AT", "CH"]}
ADULT = {"attribute": "age", "operator": "at_least", "value": 18}


def experiment(flag: str, **changes: Json) -> dict[str, Json]:
    """Return a running experiment with two equal arms on every slot, changed as given."""
    return {
        "status": "running",
        "unit_type": "user",
        "flag": flag,
        "variants": ["control", "treatment"],
        "control": "control",
        "layer_salt": LAYER,
        "slots": [[0, 10000]],
        "revision": 1,
        "salt": SALT,
        "ranges": HALVES,
    } | changes


def flag(flag_type: str, control: Json, treatment: Json, *experiments: str) -> dict[str, Json]:
    """Return a flag with two variants and a rule for each experiment."""
    return {
        "type": flag_type,
        "variants": {"control": control, "treatment": treatment},
        "default": "control",
        "rules": [{"experiment": key} for key in experiments],
    }


def ruled(*rules: Json, **changes: Json) -> dict[str, Json]:
    """Return a string flag with these rules, changed as given."""
    return flag("string", "old", "new") | {"rules": list(rules)} | changes


def rollout(end: int, start: int = 0, **more: Json) -> dict[str, Json]:
    """Return a rule that rolls the treatment out to the buckets from start to end."""
    return {"rollout": {"salt": ROLLOUT, "ranges": [["treatment", start, end]], **more}}


def needs(key: str, *variants: str) -> list[Json]:
    """Return a list of one prerequisite."""
    return [{"flag": key, "variants": list(variants)}]


def plain_flags() -> dict[str, Json]:
    """Return the flags of experiments alone; each experiment has the key that its flag's rule names."""
    one_each = "draft paused stopped tenth half scattered other-half nobody uneven all-treatment restarted"
    return {
        "landing-page": flag("string", "old", "new", "landing-page"),
        "boolean": flag("boolean", False, True, "boolean"),
        "integer": flag("integer", 0, 9007199254740991, "integer"),
        "number": flag("number", 1.0, 2.5, "number"),
        "object": flag("object", {}, {"colour": "žlta", "sizes": [1, 2.5, None, {"deep": True}]}, "object"),
        "empty-text": flag("string", "", " ", "empty-text"),
        **{key: flag("string", "old", "new", key) for key in one_each.split()},
        "three-arms": {
            "type": "string",
            "variants": {"control": "a", "b": "b", "c": "c", "spare": "d"},
            "default": "spare",
            "rules": [{"experiment": "three-arms"}],
        },
        "no-rules": flag("string", "old", "new"),
        "two-rules": flag("string", "old", "new", "first", "second"),
        "stopped-then-running": flag("string", "old", "new", "was", "is"),
    }


def ruled_flags() -> dict[str, Json]:
    """Return the flags with audiences, rollouts, prerequisites, holdouts, overrides and unit types."""
    both = [["control", 0, 2500], ["treatment", 7500, 10000]]
    return {
        "off": ruled({"variant": "treatment"}, enabled=False),
        "on": ruled({"variant": "treatment"}, enabled=True),
        "shipped-to-germans": ruled({"variant": "treatment", "audience": GERMAN}),
        "first-match-wins": ruled(
            {"key": "adults", "variant": "control", "audience": ADULT},
            {"key": "dach", "variant": "treatment", "audience": DACH},
            {"key": "rest", **rollout(5000)},
        ),
        "segments": ruled({"variant": "treatment", "audience": {"segment": "adult-germans-and-testers"}}),
        "rollout-0": ruled(rollout(0)),
        "rollout-10": ruled(rollout(1000)),
        "rollout-50": ruled(rollout(5000)),
        "rollout-100": ruled(rollout(10000)),
        "rollout-one-bucket": ruled(rollout(8097, 8096)),
        "rollout-gaps": ruled({"rollout": {"salt": ROLLOUT, "ranges": both}}, {"variant": "treatment"}),
        "rollout-to-dach": ruled({"audience": DACH, **rollout(5000)}),
        "rollout-by-account": ruled(rollout(5000, unit_type="account")),
        "rollout-then-rollout": ruled(rollout(2000), {"audience": ADULT, **rollout(8000)}),
        "account-flag": ruled({"experiment": "account-flag"}, rollout(7000), unit_type="account"),
        "by-account": ruled({"experiment": "by-account"}),
        "by-account-all": ruled({"experiment": "by-account-all"}),
        "to-dach": ruled({"experiment": "to-dach", "audience": DACH}),
        "to-dach-then-rollout": ruled({"experiment": "also-dach", "audience": DACH}, rollout(5000)),
        "paused-to-dach": ruled({"experiment": "paused-to-dach", "audience": DACH}),
        "paused-then-rule": ruled({"experiment": "paused-too"}, {"variant": "treatment", "audience": GERMAN}),
        "held-out": ruled({"experiment": "held-out"}),
        "held-out-of-nothing": ruled({"experiment": "held-out-of-nothing"}),
        "held-out-by-account": ruled({"experiment": "held-out-by-account"}),
        "held-out-twice": ruled({"experiment": "held-out-twice", "audience": DACH}, rollout(10000)),
        "overridden": ruled({"experiment": "overridden", "audience": DACH}),
        "overridden-draft": ruled({"experiment": "overridden-draft"}),
        "overridden-paused": ruled({"experiment": "overridden-paused"}),
        "overridden-account": ruled({"experiment": "overridden-account"}),
        "ramp-10": ruled({"experiment": "ramp-10"}),
        "ramp-50": ruled({"experiment": "ramp-50"}),
        "layer-a": ruled({"experiment": "layer-a"}),
        "layer-b": ruled({"experiment": "layer-b"}),
        "after-shipped": ruled(
            {"variant": "treatment"}, prerequisites=needs("shipped-to-germans", "treatment")
        ),
        "after-off": ruled({"variant": "treatment"}, prerequisites=needs("off", "control")),
        "after-off-unmet": ruled({"variant": "treatment"}, prerequisites=needs("off", "treatment")),
        "after-experiment": ruled(rollout(5000), prerequisites=needs("landing-page", "treatment")),
        "after-two": ruled(
            prerequisites=needs("on", "treatment") + needs("rollout-50", "treatment", "control")
        ),
        "after-chain": ruled(
            {"experiment": "after-chain"},
            prerequisites=needs("after-shipped", "treatment") + needs("on", "treatment"),
        ),
        "after-nothing-will-do": ruled({"variant": "treatment"}, prerequisites=needs("on")),
        "integer-rollout": flag("integer", -1, 7) | {"rules": [rollout(5000)]},
        "number-rollout": flag("number", 1, 2) | {"rules": [rollout(5000)]},
        "object-rule": flag("object", {"a": []}, {"a": [1.0, 1]}) | {"rules": [{"variant": "treatment"}]},
    }


def experiments() -> dict[str, Json]:
    """Return every experiment."""
    never_started: dict[str, Json] = {
        "status": "draft",
        "slots": [],
        "revision": None,
        "salt": None,
        "ranges": [],
    }
    three = [["control", 0, 3334], ["b", 3334, 6667], ["c", 6667, 10000]]
    overrides = {"overrides": {"user-1": "treatment", "žena": "control", "acme": "treatment"}}
    plain = ("landing-page", "boolean", "integer", "number", "object", "empty-text", "to-dach", "after-chain")
    return {
        **{key: experiment(key) for key in plain},
        "draft": experiment("draft", **never_started),
        "paused": experiment("paused", status="paused"),
        "stopped": experiment("stopped", status="stopped"),
        "tenth": experiment("tenth", slots=[[0, 1000]]),
        "half": experiment("half", slots=[[0, 1000], [1000, 5000]]),
        "scattered": experiment("scattered", slots=[[500, 700], [2000, 2001], [7000, 9999]]),
        "other-half": experiment("other-half", slots=[[5000, 10000]]),
        "nobody": experiment("nobody", slots=[]),
        "uneven": experiment("uneven", ranges=[["control", 0, 9999], ["treatment", 9999, 10000]]),
        "all-treatment": experiment("all-treatment", ranges=[["control", 0, 0], ["treatment", 0, 10000]]),
        "restarted": experiment("restarted", revision=2, salt=SECOND_SALT),
        "three-arms": experiment("three-arms", variants=["control", "b", "c"], ranges=three),
        "first": experiment("two-rules", slots=[[0, 3000]]),
        "second": experiment("two-rules", slots=[[3000, 6000]], revision=4, salt=SECOND_SALT),
        "was": experiment("stopped-then-running", status="stopped"),
        "is": experiment("stopped-then-running", slots=[[0, 5000]]),
        "account-flag": experiment("account-flag", unit_type="account", slots=[[0, 5000]]),
        "by-account": experiment("by-account", unit_type="account", slots=[[0, 8000]]),
        "by-account-all": experiment("by-account-all", unit_type="account"),
        "also-dach": experiment("to-dach-then-rollout", slots=[[0, 5000]]),
        "paused-to-dach": experiment("paused-to-dach", status="paused"),
        "paused-too": experiment("paused-then-rule", status="paused"),
        "held-out": experiment("held-out", holdouts=["third"]),
        "held-out-of-nothing": experiment("held-out-of-nothing", holdouts=["empty"]),
        "held-out-by-account": experiment("held-out-by-account", holdouts=["accounts"]),
        "held-out-twice": experiment("held-out-twice", holdouts=["third", "accounts"], slots=[[0, 9000]]),
        "overridden": experiment("overridden", slots=[[0, 5000]], holdouts=["third"], **overrides),
        "overridden-draft": experiment("overridden-draft", **never_started, **overrides),
        "overridden-paused": experiment("overridden-paused", status="paused", **overrides),
        "overridden-account": experiment("overridden-account", unit_type="account", **overrides),
        "ramp-10": experiment("ramp-10", layer_salt=OTHER_LAYER, slots=[[0, 1000]], sticky=True),
        "ramp-50": experiment("ramp-50", layer_salt=OTHER_LAYER, slots=[[0, 1000], [2000, 6000]]),
        "layer-a": experiment("layer-a", layer_salt=OTHER_LAYER, slots=[[0, 2000], [6000, 9000]]),
        "layer-b": experiment("layer-b", layer_salt=OTHER_LAYER, slots=[[2000, 6000]], salt=SECOND_SALT),
    }


def document() -> dict[str, Json]:
    """Return the configuration that every case is evaluated on."""
    return {
        "schema": "equipoise.config/2",
        "project": "default",
        "environment": "production",
        "version": 3,
        "segments": {
            "testers": {"attribute": "$unit", "ids": ["user-3", "žena"]},
            "adult-germans-and-testers": {
                "condition": {"any": [{"all": [GERMAN, ADULT]}, {"segment": "testers"}]}
            },
        },
        "holdouts": {
            "third": {"unit_type": "user", "salt": HOLDOUT, "slots": [[0, 1000], [4000, 6333]]},
            "empty": {"unit_type": "user", "salt": HOLDOUT, "slots": []},
            "accounts": {"unit_type": "account", "salt": HOLDOUT, "slots": [[0, 5000]]},
        },
        "flags": plain_flags() | ruled_flags(),
        "experiments": experiments(),
        "a-member-of-the-future": {"is": "ignored"},
    }


UNITS = ["user-1", "user-2", "user-3", "user-4", "12", " ", "žena", "zena\u030c", "😀:😀", "x" * 500]
ATTRIBUTES: list[dict[str, Json]] = [
    {},
    {"country": "DE", "age": 30, "account": "acme"},
    {"country": "AT", "age": 17, "account": "initech"},
    {"country": ["DE"], "age": "30", "account": 7, "user": "user-1"},
]


def questions() -> Iterator[tuple[str, str, Json, dict[str, Json]]]:
    """Return flag, unit, default and attributes of every case."""
    for key in plain_flags():
        for unit in UNITS:
            yield key, unit, None, {}
    for key in ruled_flags():
        for unit in UNITS[:7]:
            for attributes in ATTRIBUTES:
                yield key, unit, None, attributes
        yield key, "", "fallback", ATTRIBUTES[1]
    for flag_key, unit in (
        ("landing-page", ""),
        ("no-such-flag", "user-1"),
        ("", "user-1"),
        ("Landing-Page", "user-1"),
    ):
        yield flag_key, unit, "fallback", {}
    for default in (None, False, 0, 1.5, {"a": [1]}):
        yield "no-such-flag", "user-1", default, {"country": "DE"}


def vectors() -> dict[str, Json]:
    """Return the whole file."""
    configuration = document()
    return {
        "schema": "equipoise.vectors.evaluation/2",
        "configuration": configuration,
        "cases": [
            {
                "flag": key,
                "unit": unit,
                "default": default,
                "attributes": attributes,
                "assignment": evaluate(configuration, key, unit, default, attributes),
            }
            for key, unit, default, attributes in questions()
        ],
    }


def main() -> None:
    """Write the file beside this script."""
    path = Path(__file__).with_name("evaluation.json")
    path.write_text(written(vectors()), encoding="ascii")
    print(f"{path.name} written")


if __name__ == "__main__":
    main()
