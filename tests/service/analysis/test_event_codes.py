"""The names of events as numbers, on an engine that has a function for it and on one that has not."""

from collections.abc import Callable
from typing import Any

import ibis
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise_service.analysis.event_codes import code_of_name, have_names

_NAMES = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=6) | st.sampled_from(
    ["it's", "a,b", '"quoted"', "['x']", "%", "\\", "ü", "é"]
)


@pytest.mark.parametrize("connect", [ibis.duckdb.connect, ibis.sqlite.connect], ids=["duckdb", "sqlite"])
@given(events=st.lists(_NAMES, min_size=1), asked=st.lists(_NAMES, min_size=1, max_size=5, unique=True))
def test_each_event_has_the_place_of_its_name(
    connect: Callable[[], Any], events: list[str], asked: list[str]
) -> None:
    backend = connect()
    table = backend.create_table("events", pa.table({"place": range(len(events)), "name": events}))
    named = table.filter(have_names(table, asked))
    query = named.select("place", code=code_of_name(named, asked))
    assert dict(backend.raw_sql(backend.compile(query)).fetchall()) == {
        place: asked.index(name) for place, name in enumerate(events) if name in asked
    }
