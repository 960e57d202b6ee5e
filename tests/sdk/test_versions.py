"""Versions of conditions: the examples of Semantic Versioning 2.0, and its rules on any version."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise._versions import Version, parse

# semver.org, section 11: the examples of precedence, and of the numbers' order
ORDERED = [
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
    "1.0.0",
    "2.0.0",
    "2.1.0",
    "2.1.1",
    "2.10.0",
    "10.0.0",
]

# The valid and invalid versions that semver.org's FAQ gives as the test cases of its regular expression,
# save those that lack a number, and some of our own
VALID = """0.0.4 1.2.3 10.20.30 1.1.2-prerelease+meta 1.1.2+meta 1.1.2+meta-valid 1.0.0-alpha 1.0.0-beta
1.0.0-alpha.beta 1.0.0-alpha.beta.1 1.0.0-alpha.1 1.0.0-alpha0.valid 1.0.0-alpha.0valid
1.0.0-alpha-a.b-c-somethinglong+build.1-aef.1-its-okay 1.0.0-rc.1+build.1 2.0.0-rc.1+build.123
1.2.3-beta 10.2.3-DEV-SNAPSHOT 1.2.3-SNAPSHOT-123 1.0.0 2.0.0 1.1.7 2.0.0+build.1848
2.0.1-alpha.1227 1.0.0-alpha+beta 1.2.3----RC-SNAPSHOT.12.9.1--.12+788 1.2.3----R-S.12.9.1--.12+meta
1.2.3----RC-SNAPSHOT.12.9.1--.12 1.0.0+0.build.1-rc.10000aaa-kk-0.1
99999999999999999999999.999999999999999999.99999999999999999 1.0.0-0A.is.legal""".split()  # noqa: SIM905 (one a line would be a page)
INVALID = """1.2.3-0123 1.2.3-0123.0123 1.1.2+.123 +invalid -invalid -invalid+invalid -invalid.01 alpha
alpha.beta alpha.beta.1 alpha.1 alpha+beta alpha_beta alpha. alpha.. beta 1.0.0-alpha_beta -alpha.
1.0.0-alpha.. 1.0.0-alpha..1 1.0.0-alpha...1 1.0.0-alpha....1 01.1.1 1.01.1 1.1.01 1.2.3.DEV
1.2.31.2.3----RC-SNAPSHOT.12.09.1--..12+788 1.2.31----RC-SNAPSHOT.12.09.1--..12+788
-1.0.3-gamma+b7718 +justmeta 9.8.7+meta+meta 9.8.7-whatever+meta+meta
99999999999999999999999.999999999999999999.99999999999999999----RC-SNAPSHOT.12.09.1----------------..12
v vv1 1. .1 1..2 1.2.3.4 1.0.0- 1.0.0+ 1.0.0-a+ 1.0.0-ä ٣.0.0 1.0.0+٣ 1.0.0-²""".split()  # noqa: SIM905 (one a line would be a page)

NUMBERS = st.integers(0, 10**30)
WORDS = st.from_regex(r"[0-9]{0,3}[a-zA-Z-][0-9a-zA-Z-]{0,3}", fullmatch=True)
IDENTIFIERS = st.lists(NUMBERS | WORDS, max_size=4)
VERSIONS = st.tuples(NUMBERS, NUMBERS, NUMBERS, IDENTIFIERS)
Parts = tuple[int, int, int, list[int | str]]


def written(parts: Parts) -> str:
    core = ".".join(map(str, parts[:3]))
    return core + ("-" + ".".join(map(str, parts[3])) if parts[3] else "")


def read(text: object) -> Version:
    version = parse(text)
    assert version is not None
    return version


def less_than(one: Parts, other: Parts) -> bool:
    """Section 11, sentence by sentence."""
    if one[:3] != other[:3]:
        return one[:3] < other[:3]
    if not one[3] or not other[3]:
        return bool(one[3]) and not other[3]
    for mine, yours in zip(one[3], other[3], strict=False):
        if mine == yours:
            continue
        if isinstance(mine, int) and isinstance(yours, int):
            return mine < yours
        if isinstance(mine, str) and isinstance(yours, str):
            return mine < yours
        return isinstance(mine, int)
    return len(one[3]) < len(other[3])


def test_the_standard_s_examples_are_in_order() -> None:
    for lower, higher in combinations(ORDERED, 2):
        assert read(lower) < read(higher), (lower, higher)
        assert not read(higher) <= read(lower)


@pytest.mark.parametrize("text", VALID)
def test_what_the_standard_holds_valid(text: str) -> None:
    assert parse(text) is not None


@pytest.mark.parametrize(
    "text", [*INVALID, "", " 1.0.0", "1.0.0\n", "1.0.0 ", "V1", None, 1, 1.0, True, ["1.0.0"]]
)
def test_what_is_no_version(text: object) -> None:
    assert parse(text) is None


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("v1.2.3", "1.2.3"),
        ("1", "1.0.0"),
        ("v1.2", "1.2.0"),
        ("2-rc.1", "2.0.0-rc.1"),
        ("1.2+build", "1.2.0"),
        ("1.2.3+a", "1.2.3+b.7"),
    ],
)
def test_what_is_tolerated_and_ignored(text: str, same: str) -> None:
    assert read(text) == read(same)


@given(VERSIONS, VERSIONS)
def test_order_is_the_standard_s(one: Parts, other: Parts) -> None:
    assert (read(written(one)) < read(written(other))) is less_than(one, other)
    assert (read(written(one)) == read(written(other))) is (one == other)


@given(st.text(alphabet="v0123456789.-+ab", max_size=12) | st.text(max_size=12))
def test_anything_is_a_version_or_none(text: str) -> None:
    version = parse(text)
    assert version is None or version == parse(text + "+build" if "+" not in text else text)


def test_long_numbers_take_no_long() -> None:
    digits = "9" * 100_000
    assert read(f"1.0.{digits}") < read(f"1.1.{digits}")
    assert read(f"1.0.0-{digits}") < read("1.0.0-a")
