"""How numbers are written: rounding never hides what an interval says."""

from hypothesis import given
from hypothesis import strategies as st

from equipoise_service.readouts.numerals import decimals_for, number

# Few percents are what most intervals span, and there digits are few.
ANY = st.floats(-1e9, 1e9, allow_subnormal=False) | st.integers(-300, 300).map(lambda tenths: tenths / 10)
ENDS = ANY.filter(lambda value: value == 0 or abs(value) > 1e-6)


@given(
    st.tuples(ENDS, ENDS).filter(lambda ends: abs(ends[0] - ends[1]) > 1e-6 * max(map(abs, ends))),
    st.floats(0, 1),
)
def test_rounding_moves_nothing_by_more_than_a_fiftieth_of_the_width(
    ends: tuple[float, float], place: float
) -> None:
    width = abs(ends[0] - ends[1])
    estimate = ends[0] + place * (ends[1] - ends[0])
    decimals = decimals_for(ends)
    for value in (*ends, estimate):
        assert abs(round(value, decimals) - value) <= width / 50 * (1 + 1e-9)
    for value in ends:
        assert value == 0 or round(value, decimals) != 0


def test_a_wide_interval_keeps_whole_percents() -> None:
    for low, high in ((-93.2, 5.6), (-180.0, 120.0), (-43.8, 956.0)):
        assert number(-43.8, decimals=decimals_for([low, high]), signed=True) == "−44"


def test_a_narrow_one_shows_no_more_than_it_knows() -> None:
    shown = [number(value, decimals=decimals_for([6.91, 9.84])) for value in (8.1234, 6.91, 9.84)]
    assert shown == ["8.1", "6.9", "9.8"]
