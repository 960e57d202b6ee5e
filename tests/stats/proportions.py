"""Arms that the tests of proportions draw."""

from hypothesis import strategies as st

from equipoise_stats import Counts


def counts(most: int) -> st.SearchStrategy[Counts]:
    return st.integers(1, most).flatmap(lambda n: st.builds(Counts, st.just(n), st.integers(0, n)))
