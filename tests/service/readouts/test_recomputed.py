"""Units that met another variant than their id gives them are found by every readout, at a bounded price."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.service.aggregates.test_refresh import opened, send
from tests.service.assigned import assigned_units
from tests.service.readouts.documents import CONVERTED, PROVENANCE, plan, seal, statistics
from tests.service.readouts.test_endpoint import exposure
from tests.service.readouts.test_endpoint import send as send_over_http

from equipoise.identifiers import uuid7
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.statistics import Statistics
from equipoise_service.events.schemas import ExposureIn
from equipoise_service.readouts.building import build_readout
from equipoise_service.readouts.recomputed import Recomputation, recomputation_of
from equipoise_service.readouts.verification import verify_readout
from equipoise_service.recomputation.audit import Randomisation
from equipoise_service.recomputation.drawn import (
    MOST_DRAWN,
    Recomputed,
    counting,
    halvings_of,
    recompute_drawn,
)
from equipoise_service.recomputation.engines import Engine
from equipoise_service.sources.schemas import SourceIn
from equipoise_stats import Counts

NOW = datetime(2026, 3, 2, 15, tzinfo=UTC)
HALVES = Randomisation("9ab1c3d4e5f60718", (("control", 0, 5_000), ("treatment", 5_000, 10_000)))
ASKED = StoreRequest("default/a", "page", 1, "user", (), NOW)
OTHER = {"control": "treatment", "treatment": "control"}


def winner(known: Recomputation | None) -> dict[str, Any]:
    """The readout of a treatment that looks far better."""
    found = statistics(control={"converted": Counts(5_000, 500)}, treatment={"converted": Counts(5_000, 730)})
    readout = build_readout(plan(CONVERTED), found, replace(PROVENANCE, recomputed=known))
    assert verify_readout(json.loads(json.dumps(readout))) == []
    return readout


@pytest.mark.parametrize(
    ("found", "status", "outcome"),
    [
        (Recomputed(0, 0, 0), "ok", "ship"),
        (Recomputed(0, 10_000, 10), "ok", "ship"),
        (Recomputed(0, 10_000, 11), "warning", "ship"),
        (Recomputed(0, 10_000, 100), "warning", "ship"),
        (Recomputed(3, 10_000, 101), "failed", "investigate"),
        # A few tell nothing.
        (Recomputed(0, 90, 9), "warning", "ship"),
        (Recomputed(0, 7_530, 58), "warning", "ship"),
        # Half of all: as many as where another system assigned everybody. Swapped names are more.
        (Recomputed(3, 8_000, 3_960), "warning", "ship"),
        (Recomputed(3, 8_000, 3_000), "failed", "investigate"),
        (Recomputed(3, 8_000, 8_000), "failed", "investigate"),
    ],
)
def test_many_that_disagree_block_shipping(found: Recomputed, status: str, outcome: str) -> None:
    readout = winner(Recomputation(found))
    check = readout["health"]["recomputed_assignments"]
    assert (check["status"], readout["recommendation"]["outcome"]) == (status, outcome)
    assert (check["reason"] is None) is (status == "ok")
    assert readout["summary"].startswith("Do not rely on these results") == (status == "failed")


def test_a_part_that_was_drawn_has_an_interval_and_says_so() -> None:
    whole, part = (
        winner(Recomputation(Recomputed(halvings, 8_000, 40)))["health"]["recomputed_assignments"]
        for halvings in (0, 3)
    )
    assert (whole["share"], whole["interval"]) == (0.005, None)
    assert whole["number"] == "40 of 8,000 units (0.50 %)"
    # Wilson's interval at level 0.999, z = 3.2905.
    assert part["interval"] == pytest.approx([0.00297, 0.00842], abs=2e-4)
    assert part["number"] == "40 of 8,000 units (0.50 %); one unit in 8 was drawn"


@pytest.mark.parametrize("obstacle", ["hashed", "elsewhere"])
def test_what_cannot_be_recomputed_says_why_and_blocks_nothing(obstacle: Any) -> None:
    readout = winner(Recomputation(None, obstacle))
    check = readout["health"]["recomputed_assignments"]
    assert (check["status"], check["obstacle"]) == ("unavailable", obstacle)
    assert check["reason"]
    assert readout["recommendation"]["outcome"] == "ship"


def test_edited_numbers_are_found_and_older_readouts_agree() -> None:
    for member, value in (("units", 7_000), ("disagreeing", 3), ("halvings", 2), ("share", 0.001)):
        readout = winner(Recomputation(Recomputed(3, 8_000, 40)))
        readout["health"]["recomputed_assignments"][member] = value
        seal(readout)
        assert verify_readout(readout), member
    older = winner(None)
    del older["health"]["recomputed_assignments"]
    seal(older)
    assert verify_readout(older) == []


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.text(min_size=1, max_size=3), st.sampled_from(["it's", "treatment"])),
        max_size=50,
    ),
    st.sampled_from(["9ab1c3d4e5f60718", "it's"]),
    st.integers(0, 10_000),
)
def test_every_unit_counts_once(met: Sequence[tuple[str, str]], salt: str, split: int) -> None:
    drawn = Randomisation(salt, (("it's", 0, split), ("none", split, split), ("treatment", split, 10_000)))
    with duckdb.connect() as connection:
        rows = {"unit": [unit for unit, _ in met], "variant": [variant for _, variant in met]}
        text = pa.string()
        connection.register("met", pa.table(rows, schema=pa.schema([("unit", text), ("variant", text)])))
        found = connection.execute(counting(Engine.DUCKDB, "SELECT * FROM met", drawn)).fetchall()
    units = {unit for unit, _ in met}
    right = {unit for unit in units if {each for one, each in met if one == unit} == {drawn.variant(unit)}}
    assert found == [(len(units), len(units) - len(right))]


@pytest.mark.parametrize("units", [0, 1, MOST_DRAWN, MOST_DRAWN + 1, 2_000_000, 10**9])
def test_few_enough_are_drawn_and_no_fewer_than_needed(units: int) -> None:
    halvings = halvings_of(units)
    assert units / 2**halvings <= MOST_DRAWN
    assert halvings == 0 or units / 2 ** (halvings - 1) > MOST_DRAWN


def shown(unit: str, variant: str, *, revision: int = 1, days: int = 0, type_: str = "user") -> ExposureIn:
    time = NOW - timedelta(hours=1) + timedelta(days=days)
    return ExposureIn(
        id=uuid7(),
        time=time,
        unit=unit,
        unit_type=type_,
        experiment="page",
        variant=variant,
        revision=revision,
    )


def test_the_units_of_the_revision_are_drawn_by_their_ids(tmp_path: Path) -> None:
    units = [f"user-{i}" for i in range(3_000)]
    wrong = set(units[:60])
    exposures = [
        shown(unit, OTHER[HALVES.variant(unit)] if unit in wrong else HALVES.variant(unit))
        for unit in units
        for _ in range(2)
    ]
    # None of these is a unit of the revision that met a variant by chance before its end.
    strays = [
        shown("chosen", OTHER[HALVES.variant("chosen")]),
        shown("before", OTHER[HALVES.variant("before")], revision=2),
        shown("device", OTHER[HALVES.variant("device")], type_="device"),
        shown("after", OTHER[HALVES.variant("after")], days=3),
    ]
    asked = replace(ASKED, left_out=("chosen",), until=NOW + timedelta(days=1))
    with opened(tmp_path) as store:
        send(store, exposures + strays, [])
        assert recompute_drawn(store, asked, HALVES, 3_000) == Recomputed(0, 3_000, 60)
        drawn = [recompute_drawn(store, asked, HALVES, MOST_DRAWN * 2**k) for k in (1, 3)]
        assert drawn == [recompute_drawn(store, asked, HALVES, MOST_DRAWN * 2**k) for k in (1, 3)]
    for k, found in zip((1, 3), drawn, strict=True):
        assert found.halvings == k
        # Five standard deviations of a binomial number.
        share = 2.0**-k
        assert abs(found.units - 3_000 * share) < 5 * (3_000 * share * (1 - share)) ** 0.5
        assert 0 < found.disagreeing < 60


def test_a_warehouse_s_exposures_are_nobody_s_to_recompute(tmp_path: Path) -> None:
    asked = plan(CONVERTED.model_copy(update={"source": "warehouse"}))
    events = {"table": "facts", "columns": {"unit": "unit", "time": "at"}, "name": "converted"}
    source = {"key": "warehouse", "name": "Warehouse", "connection": "WAREHOUSE", "events": events}
    columns = {"unit": "unit", "time": "at", "experiment": "experiment", "variant": "variant"}
    exposures = {"table": "shown", "columns": columns}
    own, ours = (SourceIn.model_validate(each) for each in (source | {"exposures": exposures}, source))
    with opened(tmp_path) as store:
        send(store, [shown("a", HALVES.variant("a"))], [])
        found = [
            recomputation_of(store, asked, ASKED, {"warehouse": each}, HALVES, Statistics({}, 0, None))
            for each in (own, ours)
        ]
    assert found == [Recomputation(None, "elsewhere"), Recomputation(Recomputed(0, 1, 0))]


def test_a_client_that_logs_another_variant_is_found_in_the_readout(client: TestClient, payload: Any) -> None:
    url = "/v1/experiments/new-landing-page"
    assert client.post("/v1/experiments", json=payload()).status_code == 201
    assert client.post(f"{url}/start").status_code == 200
    units = assigned_units(client, "new-landing-page", 40)
    send_over_http(client, [exposure(unit, arm) for arm in OTHER for unit in units[arm][:30]], [])

    def check() -> dict[str, Any]:
        readout = client.get(f"{url}/readout?wait=60").json()
        assert verify_readout(readout) == []
        found: dict[str, Any] = readout["health"]["recomputed_assignments"]
        return found

    assert (check()["status"], check()["units"], check()["disagreeing"]) == ("ok", 60, 0)
    send_over_http(client, [exposure(unit, OTHER[arm]) for arm in OTHER for unit in units[arm][30:36]], [])
    found = check()
    assert (found["status"], found["units"], found["disagreeing"]) == ("failed", 72, 12)
    assert client.get(f"{url}/audit").json()["disagree"] == 12
