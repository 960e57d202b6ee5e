"""Write conditions.json: conditions, attributes, and whether they hold.

Run `python -m tests.vectors.generate_conditions`. It shares no code with the SDK: the expectations are those
of `specification.py`. Running it again writes the same bytes.
"""

from collections.abc import Iterator
from pathlib import Path

from tests.vectors.specification import Json, holds, written

ABSENT = object()

ORDINARY: list[Json] = [
    *(ABSENT, None, "", "DE", "de", "DEU", "1", "true", 0, 1, 1.0, 2, 10, 10.5, -3, True, False),
    *([], ["DE"], ["FR", "DEU"], [1, 2], [True], ["1", None, 10]),
]
"""What every condition is asked about: nothing, null, every type, and lists of them."""

VERSIONS = ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11"]
VERSIONS += [
    "1.0.0-rc.1",
    "1.0.0",
    "v1.0.0",
    "1",
    "1.0",
    "1.0.0+build.5",
    "1.0.1",
    "1.2",
    "1.10.0",
    "v2",
    "10",
]
VERSIONS += ["1.0.0.0", "01.0.0", "1.0.0-", "1.0.0-01", "latest", " 1.0.0", "V1.0.0", "1.0.0-rc..1"]

MOMENTS = ["2026-03-01", "2026-03-01T00:00:00Z", "2026-02-28T23:59:59.999Z", "2026-03-01T00:00:00.001Z"]
MOMENTS += [
    "2026-03-01T01:00:00+01:00",
    "2026-02-28T19:00:00-05:00",
    "2026-03-01T00:30:00+01:00",
    "2024-02-29",
]
MOMENTS += ["2026-03-01T00:00:00", "2026-02-30", "2026-3-1", "yesterday", "2026-03-01T24:00:00Z", "20260301"]


def condition(operator: str, value: Json, name: str = "x") -> dict[str, Json]:
    """Return a single condition."""
    return {"attribute": name, "operator": operator, "value": value}


SINGLE: dict[str, tuple[list[Json], list[Json]]] = {
    "equals": (["DE", "", "1", 1, 1.0, 0, 10.5, True, False], ["DÉ", "DE\u0301", " DE"]),
    "not_equals": (["DE", 1, True], ["DÉ"]),
    "in": ([["DE", "FR"], [], [1, "1", True], [0, False], [10.5, -3]], ["FR", "AT"]),
    "not_in": ([["DE", "FR"], [], [1]], ["FR", "AT"]),
    "less_than": ([1, 10.5], [10.499, 9007199254740991]),
    "at_most": ([1, 10.5], [10.501]),
    "greater_than": ([1, -3], [-2.999]),
    "at_least": ([1, 10.5], [10.499]),
    "between": ([[1, 10], [10.5, 10.5], [-5, 0.5]], [0.999, 10.001]),
    "starts_with": (["DE", "", "d"], ["XDE", "DE-x"]),
    "ends_with": (["E", "", "EU"], ["DE ", "xDE"]),
    "contains": (["E", "", "DE", 1, 1.0, True], ["xDEx", "ED"]),
    "matches": (
        ["^D", "E$", "^(de|fr)$", "(?i)^deu?$", "[0-9]+", r"\d{2}", "", "a.c", "^[^D]+$", "x{2,3}y", "žen"],
        ["a\nc", "abc", "xxy", "xy", "٣", "2026", "žena", "DE\n"],
    ),
    "version_equals": (["1.0.0", "v2"], VERSIONS),
    "version_less_than": (["1.0.0-beta.2", "1.10"], VERSIONS),
    "version_at_most": (["1.0.0"], VERSIONS),
    "version_greater_than": (["1.0.0-rc.1"], VERSIONS),
    "version_at_least": (["1.2.0"], VERSIONS),
    "before": (["2026-03-01", "2026-03-01T00:00:00Z"], MOMENTS),
    "after": (["2026-03-01T00:00:00Z", "2024-02-28T22:00:00-01:00"], MOMENTS),
    "exists": ([True, False], []),
    "is_type": (["boolean", "string", "integer", "number", "list"], [1.5, 1e300]),
}
"""For every operator the values that it is tried with, and attributes that are tried beside the ordinary."""

SEGMENTS: dict[str, Json] = {
    "germans": {"condition": condition("equals", "DE", "country")},
    "grown-up-germans": {"condition": {"all": [{"segment": "germans"}, condition("at_least", 18, "age")]}},
    "testers": {"attribute": "$unit", "ids": ["user-1", "user-7", "žena"]},
    "accounts": {"attribute": "account", "ids": ["acme", "1"]},
    "nobody": {"attribute": "$unit", "ids": []},
}

TRUE: dict[str, Json] = {"all": []}
FALSE: dict[str, Json] = {"any": []}
GERMAN, ADULT = condition("equals", "DE", "country"), condition("at_least", 18, "age")

COMPOUND: list[Json] = [
    *(TRUE, FALSE, {"not": TRUE}, {"not": {"not": GERMAN}}, {"all": [GERMAN]}, {"any": [GERMAN]}),
    *({"all": [GERMAN, ADULT]}, {"any": [GERMAN, ADULT]}, {"not": {"all": [GERMAN, ADULT]}}),
    *({"all": [GERMAN, ADULT, TRUE]}, {"all": [GERMAN, ADULT, FALSE]}, {"any": [FALSE, FALSE, ADULT]}),
    {
        "all": [
            {"any": [GERMAN, condition("equals", "AT", "country")]},
            {"not": condition("exists", True, "age")},
        ]
    },
    *({"segment": key} for key in SEGMENTS),
    {"all": [{"segment": "germans"}, {"not": {"segment": "testers"}}]},
    *(condition("equals", "user-1", "$unit"), condition("in", ["user-7", "x"], "$unit")),
    *(condition("starts_with", "user-", "$unit"), condition("exists", False, "$unit")),
    *(condition("not_equals", "user-1", "$unit"), condition("is_type", "string", "$unit")),
    {"not": {"not": {"not": {"not": {"not": {"not": {"not": {"not": {"not": GERMAN}}}}}}}}},
]

PEOPLE: list[tuple[str, dict[str, Json]]] = [
    ("user-1", {}),
    ("user-1", {"country": "DE"}),
    ("user-2", {"country": "DE", "age": 18}),
    ("user-2", {"country": "AT", "age": 17.5}),
    ("user-7", {"country": ["DE"], "age": "18", "account": "acme"}),
    ("žena", {"country": None, "age": True, "account": 1, "$unit": "user-1"}),
    ("zena", {"country": "AT", "account": ["x", "acme"]}),
]

REFUSED: list[Json] = [
    *(
        None,
        [],
        "DE",
        {},
        {"none": []},
        {"all": {}},
        {"any": None},
        {"not": []},
        {"segment": 7},
        {"segment": ""},
    ),
    *({"all": [], "any": []}, {"all": [{}]}, {"attribute": "x"}, {"attribute": "x", "operator": "equals"}),
    *(condition("is", 1), condition("Equals", 1), condition("equals", 1, ""), condition("equals", None)),
    *(condition("equals", []), condition("equals", {}), condition("in", "DE"), condition("in", [["DE"]])),
    *(condition("in", [None]), condition("less_than", "1"), condition("less_than", True)),
    *(condition("between", [1]), condition("between", [2, 1]), condition("between", ["a", "b"])),
    *(condition("starts_with", 1), condition("ends_with", None), condition("contains", ["a"])),
    *(condition("matches", "("), condition("matches", "(a)\\1"), condition("matches", "a(?=b)")),
    *(condition("matches", "a" * 257), condition("equals", "a" * 1001), condition("equals", 1, "a" * 1001)),
    *(condition("version_equals", "one"), condition("version_less_than", 1), condition("before", "soon")),
    *(condition("after", "2026-03-01T00:00:00"), condition("after", 0), condition("exists", 1)),
    *(condition("exists", "true"), condition("is_type", "float"), condition("is_type", None)),
    {"not": {"not": {"not": {"not": {"not": {"not": {"not": {"not": {"not": {"not": TRUE}}}}}}}}}},
]


def cases() -> Iterator[dict[str, Json]]:
    """Return every case."""
    for operator, (values, more) in SINGLE.items():
        for value in values:
            for attribute in ORDINARY + more:
                attributes = {} if attribute is ABSENT else {"x": attribute}
                yield case(operator, condition(operator, value), "user-1", attributes)
    for asked in COMPOUND:
        for unit, attributes in PEOPLE:
            yield case("compound", asked, unit, attributes)


def case(group: str, asked: Json, unit: str, attributes: dict[str, Json]) -> dict[str, Json]:
    """Return one case."""
    said = holds(asked, unit, attributes, SEGMENTS)
    return {"group": group, "condition": asked, "unit": unit, "attributes": attributes, "holds": said}


def vectors() -> dict[str, Json]:
    """Return the whole file."""
    return {
        "schema": "equipoise.vectors.conditions/1",
        "segments": SEGMENTS,
        "cases": list(cases()),
        "refused": REFUSED,
    }


def main() -> None:
    """Write the file beside this script."""
    path = Path(__file__).with_name("conditions.json")
    path.write_text(written(vectors()), encoding="ascii")
    print(f"{path.name} written")


if __name__ == "__main__":
    main()
