"""Write evaluation.json: one configuration document and what units get from it.

Run `python tests/vectors/generate_evaluation.py`. It shares no code with the SDK: the expectation follows the
words of the specification in README.md, step by step. Running it again writes the same bytes.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

LAYER = "0f3c5a7b9d1e2f40"
SALT = "9ab1c3d4e5f60718"
HALVES = [["control", 0, 5000], ["treatment", 5000, 10000]]


def experiment(flag: str, **changes: Any) -> dict[str, Any]:
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


def flag(flag_type: str, control: Any, treatment: Any, *experiments: str) -> dict[str, Any]:
    """Return a flag with two variants."""
    return {
        "type": flag_type,
        "variants": {"control": control, "treatment": treatment},
        "default": "control",
        "rules": [{"experiment": key} for key in experiments],
    }


def document() -> dict[str, Any]:
    """Return the configuration that every case is evaluated on."""
    never_started: dict[str, Any] = {
        "status": "draft",
        "slots": [],
        "revision": None,
        "salt": None,
        "ranges": [],
    }
    three = [["control", 0, 3334], ["b", 3334, 6667], ["c", 6667, 10000]]
    flags = {
        "landing-page": flag("string", "old", "new", "landing-page"),
        "boolean": flag("boolean", False, True, "boolean"),
        "integer": flag("integer", 0, 9007199254740991, "integer"),
        "number": flag("number", 1.0, 2.5, "number"),
        "object": flag("object", {}, {"colour": "žlta", "sizes": [1, 2.5, None, {"deep": True}]}, "object"),
        "empty-text": flag("string", "", " ", "empty-text"),
        "draft": flag("string", "old", "new", "draft"),
        "paused": flag("string", "old", "new", "paused"),
        "stopped": flag("string", "old", "new", "stopped"),
        "tenth": flag("string", "old", "new", "tenth"),
        "half": flag("string", "old", "new", "half"),
        "scattered": flag("string", "old", "new", "scattered"),
        "other-half": flag("string", "old", "new", "other-half"),
        "nobody": flag("string", "old", "new", "nobody"),
        "uneven": flag("string", "old", "new", "uneven"),
        "all-treatment": flag("string", "old", "new", "all-treatment"),
        "restarted": flag("string", "old", "new", "restarted"),
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
    experiments = {
        **{key: experiment(key) for key in ("landing-page", "boolean", "integer", "number", "object")},
        "empty-text": experiment("empty-text"),
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
        "restarted": experiment("restarted", revision=2, salt="1122334455667788"),
        "three-arms": experiment("three-arms", variants=["control", "b", "c"], ranges=three),
        "first": experiment("two-rules", slots=[[0, 3000]]),
        "second": experiment("two-rules", slots=[[3000, 6000]], revision=4, salt="1122334455667788"),
        "was": experiment("stopped-then-running", status="stopped"),
        "is": experiment("stopped-then-running", slots=[[0, 5000]]),
    }
    return {
        "schema": "equipoise.config/2",
        "project": "default",
        "environment": "production",
        "version": 3,
        "flags": flags,
        "experiments": experiments,
        "a-member-of-the-future": {"is": "ignored"},
    }


def bucket(salt: str, unit: str) -> int:
    """Compute the bucket as the definition says it."""
    return int(hashlib.sha256((salt + ":" + unit).encode("utf-8")).hexdigest()[0:13], 16) % 10000


def expected(configuration: dict[str, Any], key: str, unit: str, default: Any) -> dict[str, Any]:
    """Follow the specification."""
    result = {"experiment": None, "variant": None, "value": default, "reason": "ERROR", "revision": None}
    if unit == "" or key not in configuration["flags"]:
        return result
    asked = configuration["flags"][key]
    running = False
    for rule in asked["rules"]:
        ruled = configuration["experiments"][rule["experiment"]]
        if ruled["status"] != "running":
            continue
        running = True
        slot = bucket(ruled["layer_salt"], unit)
        if not any(slot in range(start, end) for start, end in ruled["slots"]):
            continue
        arm = bucket(ruled["salt"], unit)
        variant = next(name for name, start, end in ruled["ranges"] if arm in range(start, end))
        return {
            "experiment": rule["experiment"],
            "variant": variant,
            "value": asked["variants"][variant],
            "reason": "SPLIT",
            "revision": ruled["revision"],
        }
    result["variant"] = asked["default"]
    result["value"] = asked["variants"][asked["default"]]
    result["reason"] = "DEFAULT" if running else "DISABLED" if asked["rules"] else "STATIC"
    return result


def vectors() -> dict[str, Any]:
    """Return the whole file."""
    configuration = document()
    units = ["user-1", "user-2", "user-3", "user-4", "12", " ", "žena", "zena\u030c", "😀:😀", "x" * 500]
    questions: list[tuple[str, str, Any]] = [
        (key, unit, None) for key in configuration["flags"] for unit in units
    ]
    questions += [("landing-page", "", "fallback"), ("no-such-flag", "user-1", "fallback")]
    questions += [("no-such-flag", "user-1", default) for default in (None, False, 0, 1.5, {"a": [1]})]
    questions += [("", "user-1", "fallback"), ("Landing-Page", "user-1", "fallback"), ("draft", "", 7)]
    return {
        "schema": "equipoise.vectors.evaluation/1",
        "configuration": configuration,
        "cases": [
            {"flag": key, "unit": unit, "default": default}
            | {"assignment": expected(configuration, key, unit, default)}
            for key, unit, default in questions
        ],
    }


def main() -> None:
    """Write the file beside this script."""
    path = Path(__file__).with_name("evaluation.json")
    path.write_text(json.dumps(vectors(), indent=1, ensure_ascii=True) + "\n", encoding="ascii")
    print(f"{path.name} written")


if __name__ == "__main__":
    main()
