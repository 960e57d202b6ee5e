"""Times of items as a column in UTC, whatever their offset and year."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from equipoise_service.events.stores.times import utc_column

OFFSETS = st.one_of(
    st.just(UTC), st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
)
# Mostly times that are written alike; whole seconds; the ends of what 64 bits hold, and what lies outside.
TIMES = st.one_of(
    st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1), timezones=OFFSETS),
    st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1), timezones=OFFSETS).map(
        lambda time: time.replace(microsecond=0)
    ),
    st.datetimes(datetime(1969, 12, 30), datetime(1970, 1, 3), timezones=OFFSETS),
    st.datetimes(datetime(2514, 5, 28), datetime(2514, 6, 3), timezones=OFFSETS),
    st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=OFFSETS),
)


@given(st.one_of(st.lists(TIMES), st.lists(TIMES, min_size=15, max_size=17)))
def test_times_are_brought_to_utc(times: list[datetime]) -> None:
    assert utc_column(times).to_pylist() == [each.astimezone(UTC).replace(tzinfo=None) for each in times]


def test_a_long_column() -> None:
    first = datetime(2026, 3, 1, 12, 0, 0, 999_000, tzinfo=UTC)
    times = [first + timedelta(milliseconds=each) for each in range(70_000)]
    assert utc_column(times).to_pylist() == [each.replace(tzinfo=None) for each in times]
