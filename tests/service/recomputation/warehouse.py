"""A configuration and the units of a warehouse, with what the SDK gives each unit."""

import json
from pathlib import Path
from typing import Any

from equipoise.bucketing import BUCKETS
from equipoise.configuration import Configuration, parse
from equipoise.evaluation import evaluate

_VECTORS = Path(__file__).parents[2] / "vectors" / "bucketing.json"

# What breaks a string that is quoted by hand, in one engine or another.
NASTY = [
    "o'brien",
    'say "hi"',
    "back\\slash",
    "ends with \\",
    "\\'; DROP TABLE units; --",
    "{0}",
    "%s",
    "żółć",
]


def units() -> list[str]:
    """Distinct unit ids: ordinary ones, all of the bucketing vectors, and nasty ones."""
    vectors = [case["unit"] for case in json.loads(_VECTORS.read_text())["cases"]]
    # NUL cannot be stored by PostgreSQL, and the service refuses it.
    return list(
        dict.fromkeys(
            [*(f"user-{i}" for i in range(2_000)), *NASTY, *(u for u in vectors if u and "\0" not in u)]
        )
    )


def configuration(*, holdout: str = "user", **experiment: Any) -> Configuration:
    """One experiment with everything that decides without attributes.

    Args:
        holdout: The unit type of its holdout.
        experiment: Members of the experiment that are to be others.
    """
    variants = {"control": "old", "o'clock": "new", "back\\slash": "newer", "none": "never"}
    document: dict[str, Any] = {
        "schema": "equipoise.config/2",
        "project": "default",
        "environment": "production",
        "version": 7,
        "holdouts": {"everybody": {"unit_type": holdout, "salt": "00112233445566aa", "slots": [[0, 1_000]]}},
        "flags": {
            "page": {
                "type": "string",
                "variants": variants,
                "default": "control",
                "rules": [{"experiment": "page"}],
            }
        },
        "experiments": {
            "page": {
                "status": "running",
                "unit_type": "user",
                "flag": "page",
                "variants": list(variants),
                "control": "control",
                "layer_salt": "a1b2c3d4e5f60718",
                "slots": [[0, 2_000], [5_000, 9_500]],
                "revision": 3,
                "salt": "9ab1c3d4e5f60718",
                "ranges": [
                    ["control", 0, 3_333],
                    ["o'clock", 3_333, 6_000],
                    ["none", 6_000, 6_000],
                    ["back\\slash", 6_000, BUCKETS],
                ],
                "holdouts": ["everybody"],
                "overrides": {"user-1": "back\\slash", **dict.fromkeys(NASTY, "o'clock")},
                **experiment,
            }
        },
    }
    return parse(document)


def expected() -> list[tuple[str, bool, str | None]]:
    """Unit, whether it is in the experiment, and its variant, as the SDK evaluates them; sorted."""
    found = configuration()
    rows: list[tuple[str, bool, str | None]] = []
    for unit in units():
        assignment = evaluate(found, "page", unit)
        placed = assignment.reason != "DEFAULT"
        rows.append((unit, assignment.experiment == "page", assignment.variant if placed else None))
    return sorted(rows)
