"""A readout says which definitions of sources it read, and what was found under others does not stand."""

from dataclasses import replace
from typing import Any

import pytest
from tests.service.readouts.documents import CONVERTED, PROVENANCE, START, plan, statistics

from equipoise_service.canonical import digest
from equipoise_service.plans.schemas import Method
from equipoise_service.readouts.building import build_readout
from equipoise_service.readouts.recorded import Deviation, SourceRead
from equipoise_service.readouts.standing import concluded_by, reads_the_same
from equipoise_service.readouts.verification import verify_readout
from equipoise_stats import Counts

SHOP, STOCK = CONVERTED.model_copy(update={"source": "shop"}), {"source": "a-stock", "key": "left"}
SOURCED = plan(SHOP, CONVERTED.model_copy(update=STOCK), method=Method.CONFIDENCE_SEQUENCE)
READ = [SourceRead(key="shop", digest=digest({"is": 1})), SourceRead(key="a-stock", digest=digest({}))]
OTHERS = [SourceRead(key="shop", digest=digest({"is": 2})), READ[1]]


def deviation(*changed: str) -> Deviation:
    when = "2026-03-01T12:00:00Z"
    return Deviation(at=when, by="me", reason="Why", changed=list(changed), digest=digest(SOURCED.document))


def readout(**more: Any) -> dict[str, Any]:
    found = statistics(
        control={"converted": Counts(5000, 500), "left": Counts(5000, 500)},
        treatment={"converted": Counts(5000, 900), "left": Counts(5000, 900)},
    )
    return build_readout(SOURCED, found, replace(PROVENANCE, started_at=START, **more), [])


def test_the_definitions_stand_in_the_order_of_their_keys_and_verify() -> None:
    found = readout(sources=READ)
    assert [each["key"] for each in found["sources"]] == ["a-stock", "shop"]
    assert verify_readout(found) == []
    found["sources"].pop()
    assert "/sources" in [each.pointer for each in verify_readout(found)]


def test_without_them_there_is_no_such_member_and_a_readout_from_before_verifies() -> None:
    found = readout()
    assert "sources" not in found
    assert verify_readout(found) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ((), ""),
        ((["/alpha"],), "The plan was changed once after the start."),
        (
            (["/sources/shop/events/query"], ["/sources/shop/connection"]),
            "What is read from shop was changed after the start.",
        ),
        (
            (["/alpha"], ["/sources/shop/events"], ["/metrics/0/role"], ["/sources/a-stock/exposures"]),
            "The plan was changed 2 times after the start. What is read from a-stock and shop was changed "
            "after the start.",
        ),
    ],
)
def test_the_summary_tells_changes_of_the_plan_from_those_of_what_it_reads(
    changed: tuple[list[str], ...], said: str
) -> None:
    found = readout(sources=READ, deviations=[deviation(*each) for each in changed])
    assert verify_readout(found) == []
    assert found["summary"].endswith(said)
    assert found["summary"].count("changed") == said.count("changed")


def test_what_was_shipped_under_another_definition_does_not_stand() -> None:
    in_order = sorted(READ, key=lambda each: each.key)
    shipped = concluded_by(readout(sources=READ))
    assert shipped is not None
    assert reads_the_same(in_order, [], shipped)
    assert not reads_the_same(
        sorted(OTHERS, key=lambda each: each.key), [deviation("/sources/shop")], shipped
    )
    # Changed and taken back: it is the same again.
    assert reads_the_same(in_order, [deviation("/sources/shop"), deviation("/sources/shop")], shipped)


def test_what_was_shipped_before_readouts_said_it_stands_until_a_source_changes() -> None:
    shipped = concluded_by(readout())
    assert shipped is not None
    assert reads_the_same(READ, [deviation("/alpha")], shipped)
    assert not reads_the_same(READ, [deviation("/sources/shop/events")], shipped)
