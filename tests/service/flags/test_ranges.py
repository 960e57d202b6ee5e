from hypothesis import given
from hypothesis import strategies as st

from equipoise import BUCKETS
from equipoise_service.flags.ranges import Range, ranges_for, shares_of


@st.composite
def share_tables(draw: st.DrawFn) -> dict[str, int]:
    cuts = sorted(draw(st.lists(st.integers(0, BUCKETS), min_size=1, max_size=6)))
    names = draw(st.permutations("abcdefg"))
    starts = [0, *cuts]
    return {name: end - start for name, start, end in zip(names, starts, cuts, strict=False)}


def by_bucket(ranges: list[Range]) -> dict[int, str]:
    return {bucket: variant for variant, start, end in ranges for bucket in range(start, end)}


@given(st.lists(share_tables(), min_size=1, max_size=5))
def test_ranges_have_the_shares_are_disjoint_and_move_no_bucket_without_need(
    tables: list[dict[str, int]],
) -> None:
    ranges: list[Range] = []
    for shares in tables:
        before, ranges = by_bucket(ranges), ranges_for(shares, ranges)
        assert shares_of(ranges) == shares
        after = by_bucket(ranges)
        assert len(after) == sum(end - start for _, start, end in ranges), "ranges overlap"
        assert ranges == sorted(ranges, key=lambda each: each[1])
        held = {name: sum(variant == name for variant in before.values()) for name in shares}
        stayed = {
            name: sum(before.get(bucket) == name for bucket, each in after.items() if each == name)
            for name in shares
        }
        assert stayed == {name: min(held[name], shares[name]) for name in shares}


def test_a_growing_variant_takes_what_is_free_and_not_what_another_has() -> None:
    first = ranges_for({"a": 1000, "b": 1000})
    assert first == [("a", 0, 1000), ("b", 1000, 2000)]
    assert ranges_for({"a": 2000, "b": 1000}, first) == [*first, ("a", 2000, 3000)]
    full = ranges_for({"b": 8000, "a": 2000}, first)
    assert full == [("a", 0, 1000), ("b", 1000, 9000), ("a", 9000, 10_000)]
