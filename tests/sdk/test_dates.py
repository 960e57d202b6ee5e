"""Dates of conditions: RFC 3339's own examples, and the standard library as the reference."""

from datetime import UTC, date, datetime, timedelta, timezone, tzinfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from equipoise._dates import parse

ZONES = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(timezones=ZONES)


class Nowhere(tzinfo):
    """A zone that does not know its offset: what carries it is naive."""

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        return None

    def dst(self, moment: datetime | None) -> timedelta | None:
        return None

    def tzname(self, moment: datetime | None) -> str | None:
        return None


@given(MOMENTS, st.sampled_from("Tt "))
@example(datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC), "T")
@example(datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))), "T")
def test_a_moment_is_the_same_however_it_is_given(moment: datetime, separator: str) -> None:
    seconds = moment.timestamp()
    assert parse(moment) == seconds
    assert parse(moment.isoformat(separator)) == seconds
    assert parse(moment.isoformat(separator, "microseconds")) == seconds
    if moment.utcoffset() == timedelta(0):
        assert parse(moment.isoformat().replace("+00:00", "Z")) == seconds


@given(st.dates())
def test_a_date_is_midnight_utc(day: date) -> None:
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
    assert parse(day) == parse(day.isoformat()) == parse(f"{day.isoformat()}T00:00:00z") == midnight


@pytest.mark.parametrize(
    ("text", "seconds"),
    [  # RFC 3339, section 5.8, with the seconds that `date --date=… +%s` of GNU coreutils gives
        ("1985-04-12T23:20:50.52Z", 482196050.52),
        ("1996-12-19T16:39:57-08:00", 851042397.0),
        ("1996-12-20T00:39:57Z", 851042397.0),
        ("1990-12-31T23:59:60Z", 662688000.0),
        ("1990-12-31T15:59:60-08:00", 662688000.0),
        ("1937-01-01T12:00:27.87+00:20", -1041337172.13),
        ("1970-01-01T00:00:00-00:00", 0.0),
        ("2026-11-22T00:00:00.1234567899999Z", 1795305600.123456789),
        ("1970-01-01T00:00:00." + "1" * 5_000 + "Z", 0.111111111),
    ],
)
def test_the_standard_s_examples(text: str, seconds: float) -> None:
    assert parse(text) == seconds


@pytest.mark.parametrize(
    "value",
    [
        "",
        "2026",
        "2026-11",
        "20261122",
        "2026-W47-7",
        "2026-11-22T",
        "2026-11-22Z",
        "2026-11-22T08:30:00",  # no zone
        "2026-11-22 08:30:00",
        "2026-11-22T08:30Z",
        "2026-11-22T08:30+01:00",
        "2026-11-22T083000Z",
        "2026-11-22T08:30:00+0100",
        "2026-11-22T08:30:00+01",
        "2026-11-22T08:30:00+01.00",
        "2026-11-22T08:30:00 01:00",
        "2026-11-22T08:30:00+24:00",
        "2026-11-22T08:30:00+01:60",
        "2026-11-22T24:00:00Z",
        "2026-11-22T08:60:00Z",
        "2026-11-22T08:30:61Z",
        "2026-11-22T08:30:00.Z",
        "2026-11-22T08:30:00,5Z",
        "2026-11-22T08:30:00.5.5Z",
        "2026-11-22T08:30:00.5eZ",
        "2026-11-22T08:30:0Z",
        "2026-11-22X08:30:00Z",
        "2026-11-22T08-30:00Z",
        "2026-11-22T08:30-00Z",
        "2026/11/22",
        "2026-11/22",
        "2026-02-29",
        "2026-13-01",
        "2026-00-01",
        "2026-11-31T00:00:00Z",
        "0000-01-01",
        "+026-11-22",
        " 2026-11-22",
        "2026-11-22 ",
        "2026-11-22\n",
        "２026-11-22",
        "2026-1１-22",
        "2026-11-²2",
        None,
        True,
        0,
        1795305600.0,
        ["2026-11-22"],
        datetime(2026, 11, 22),
        datetime(2026, 11, 22, tzinfo=Nowhere()),
    ],
)
def test_what_names_no_moment(value: object) -> None:
    assert parse(value) is None


@given(st.text(alphabet="0123456789-:TZ+. ", max_size=26) | st.text(max_size=26))
def test_anything_is_a_moment_or_none(text: str) -> None:
    moment = parse(text)
    assert moment is None or isinstance(moment, float)


def test_seconds_that_datetime_reads_are_the_same() -> None:
    """Python 3.11 reads all of RFC 3339 but the leap second."""
    for text in ("2024-02-29T23:59:59.999999+05:45", "2000-02-29T00:00:00-23:59"):
        assert parse(text) == datetime.fromisoformat(text).timestamp()
