"""When a refresh keeps its result as the new base."""

from pathlib import Path

import pytest
from tests.service.aggregates.test_refresh import (
    SPENT,
    assert_same,
    full,
    met,
    opened,
    send,
    spent,
    variant_of,
)

from equipoise_service.aggregates.bases import newest
from equipoise_service.aggregates.names import digest_of
from equipoise_service.aggregates.service import Keeping, analyse

HALF = Keeping(smallest=0, fold_at=0.5)


@pytest.mark.parametrize(
    ("of", "folded"),
    [
        pytest.param([0, 1], False, id="few"),
        pytest.param([1, *range(20, 60)], False, id="many, nearly all of units that were not exposed"),
        pytest.param(range(5), True, id="many"),
    ],
)
def test_a_base_is_made_anew_where_many_of_its_own_units_have_something_new(
    tmp_path: Path, of: list[int], folded: bool
) -> None:
    def base() -> str:
        with store.workspace() as workspace:
            found = newest(workspace, digest_of(SPENT))
        assert found is not None
        return found.name

    with opened(tmp_path) as store:
        send(store, [met(i, variant_of(i)) for i in range(8)], [spent(i, 10.0 + i) for i in range(8)])
        analyse(store, SPENT, HALF)
        before = base()
        # One unit meets the other variant, another one is exposed for the first time.
        send(store, [met(1, "control"), met(9, "treatment")], [spent(i, 3.0 + i) for i in of])
        assert_same(analyse(store, SPENT, HALF), full(store, SPENT))
        assert (base() != before) is folded
