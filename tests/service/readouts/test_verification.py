"""Verification: a readout agrees with itself, and nobody can change a number in it unnoticed."""

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from statistics import NormalDist
from typing import Any

import pytest
from tests.service.readouts.by_day import three_days
from tests.service.readouts.documents import (
    CONVERTED,
    LOAD_TIME,
    PROVENANCE,
    START,
    WATERMARK,
    bayesian_readout,
    daily_readout,
    looked_readout,
    measured_readout,
    moments,
    plan,
    rich_readout,
    seal,
    segmented_readout,
    statistics,
)

from equipoise_service.analysis.statistics import ArmStatistics, ArmValues, Statistics
from equipoise_service.plans.looks import Look, next_look
from equipoise_service.plans.schemas import Horizon, Method
from equipoise_service.readouts.building import build_readout, mature_units, statistics_digest
from equipoise_service.readouts.cells import stand
from equipoise_service.readouts.reading import NotAReadout
from equipoise_service.readouts.schemas import Readout
from equipoise_service.readouts.verification import verify_readout
from equipoise_stats import Counts

Path = tuple[str | int, ...]

# What no statistic determines: who asked for what, and when. The digest alone protects it.
FREE = {("experiment",), ("wording",), ("revision",), ("generated_at",), ("watermark",)} | {
    ("started_at",),
    ("ended_at",),
    ("traffic",),
    ("paused_seconds",),
    ("locked", "at"),
    ("locked", "digest"),
    ("deviations", 0, "at"),
    ("deviations", 0, "by"),
    ("deviations", 0, "reason"),
    ("deviations", 0, "changed", 0),
    *(("population", name) for name in ("overridden", "bots")),
    *(
        ("population", "joined", name)
        for name in ("anonymous", "joined", "conflicts", "left_out", "crossovers")
    ),
    ("looks", 0, "taken_at"),
    ("looks", 1, "taken_at"),
    # The statistics of an earlier look are in its own readout.
    ("looks", 0, "statistics_digest"),
}


def leaves(node: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    if isinstance(node, dict):
        for name, each in node.items():
            yield from leaves(each, (*path, name))
    elif isinstance(node, list) and node:
        for index, each in enumerate(node):
            yield from leaves(each, (*path, index))
    else:
        yield path, node


def edited(value: Any) -> list[Any]:
    """Other values of the same kind, near and far."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, value * 2 + 7]
    if isinstance(value, float):
        return [value * (1 + 1e-7) or 1e-9, -value or 1.0, value * 1.5 or 0.5]
    if isinstance(value, str):
        return [value + "x", value[:-1]]
    return [0.25, "x"] if value is None else [["x"]]


def with_value(document: dict[str, Any], path: Path, value: Any, *, forged: bool) -> dict[str, Any]:
    """The document with one leaf changed; forged: by somebody who recomputed the digest."""
    changed = copy.deepcopy(document)
    node: Any = changed
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    if forged and path[0] not in ("digest", "digests"):
        seal(changed)
    return changed


def is_refused(document: dict[str, Any]) -> bool:
    try:
        return bool(verify_readout(document))
    except NotAReadout:
        return True


def test_a_readout_agrees_with_itself_also_after_a_journey_through_json() -> None:
    assert verify_readout(json.loads(json.dumps(rich_readout()))) == []


@pytest.mark.parametrize(
    "readout",
    [
        rich_readout(),
        measured_readout(),
        looked_readout(),
        daily_readout(days=(3.0, 7.0)),
        bayesian_readout(),
        segmented_readout(),
        three_days(),
    ],
    ids=["rich", "measured", "looked", "daily", "bayesian", "segmented", "by day"],
)
@pytest.mark.parametrize("forged", [False, True])
def test_every_edited_leaf_is_found(forged: bool, readout: dict[str, Any]) -> None:
    missed = [
        (path, value)
        for path, old in leaves(readout)
        for value in edited(old)
        if not (forged and path in FREE)
        if not is_refused(with_value(readout, path, value, forged=forged))
    ]
    assert missed == []
    assert len(list(leaves(readout))) > 50


def test_every_missing_leaf_is_found() -> None:
    readout = rich_readout()
    for path, _ in leaves(readout):
        changed = copy.deepcopy(readout)
        node: Any = changed
        for step in path[:-1]:
            node = node[step]
        del node[path[-1]]
        assert is_refused(changed), path


def test_alpha_is_on_record_for_each_success_metric_and_recomputed() -> None:
    visits, orders = CONVERTED, CONVERTED.model_copy(update={"key": "orders"})
    planned = plan(visits, orders, method=Method.GROUP_SEQUENTIAL, horizon=Horizon(units=20_000))
    looks: list[Look] = []
    # No order was mature at the second look.
    for number, (seen, ordered) in enumerate([(2_000, 1_000), (4_000, 1_000), (5_000, 4_000)], 1):
        arm: dict[str, ArmValues] = {
            "converted": Counts(seen, seen // 10),
            "orders": Counts(ordered, ordered // 10),
        }
        of_arm = ArmStatistics(seen, arm, immature={"orders": seen - ordered})
        found = Statistics({"control": of_arm, "treatment": of_arm}, 0, WATERMARK)
        look = next_look(
            planned,
            mature_units(planned, found),
            looks,
            statistics_digest=statistics_digest(planned, found),
            taken_at=START + timedelta(days=7 * number),
            started_at=START,
            ended_at=None,
        )
        looks.append(look)
    provenance = replace(PROVENANCE, started_at=START, generated_at=START + timedelta(days=21))
    document = build_readout(planned, found, provenance, looks)
    times = {"converted": (0.2, 0.4, 0.5), "orders": (0.1, 0.1, 0.4)}
    for i, shown in enumerate(document["looks"]):
        assert list(shown["alpha"]) == list(times)
        for metric, alpha in shown["alpha"].items():
            # The O'Brien-Fleming type of Lan and DeMets, on each side at half of alpha.
            z = NormalDist().inv_cdf(1 - 0.025 / 2) / times[metric][i] ** 0.5
            assert alpha["spent"] == pytest.approx(4 * (1 - NormalDist().cdf(z)), rel=1e-6, abs=1e-12)
            assert alpha["left"] == pytest.approx(0.05 - alpha["spent"])
        assert shown["spent"] == shown["alpha"]["converted"]["spent"]
    assert verify_readout(document) == []
    assert stand(Readout.model_validate(document)) == (
        "Look 3 at 50 % of the horizon; 6.1 % of alpha is spent, 93.9 % is left. "
        "orders: 1.6 % spent, 98.4 % left."
    )
    path = ("looks", 1, "alpha", "orders", "left")
    assert [each.pointer for each in verify_readout(with_value(document, path, 0.04, forged=True))] == [
        "/looks/1/alpha/orders/left"
    ]


def test_looks_from_before_alpha_was_on_record_for_each_metric_still_agree() -> None:
    document = looked_readout()
    for look in document["looks"]:
        look.pop("alpha", None)
    seal(document)
    assert verify_readout(document) == []


def test_the_place_is_named_by_a_json_pointer() -> None:
    path = ("metrics", 0, "comparisons", 0, "difference", "estimate")
    (found,) = verify_readout(with_value(rich_readout(), path, 0.5, forged=True))
    assert found.pointer == "/metrics/0/comparisons/0/difference/estimate"
    assert found.found == 0.5
    assert found.expected == pytest.approx(1150 / 10_050 - 0.1)


def test_an_edited_readout_without_a_new_digest_is_found_by_its_digest_too() -> None:
    found = verify_readout(with_value(rich_readout(), ("summary",), "Ship it.", forged=False))
    assert [each.pointer for each in found] == ["/summary", "/digests/members/summary", "/digest"]


def test_an_edited_plan_is_found_by_its_digest() -> None:
    found = verify_readout(with_value(rich_readout(), ("plan", "unit_type"), "device", forged=True))
    assert [each.pointer for each in found] == ["/plan_digest"]


def test_numbers_may_differ_in_the_last_digits() -> None:
    readout = rich_readout()
    path = ("metrics", 0, "comparisons", 0, "difference", "p_value")
    old = readout["metrics"][0]["comparisons"][0]["difference"]["p_value"]
    assert verify_readout(with_value(readout, path, old * (1 + 1e-12), forged=True)) == []


@pytest.mark.parametrize(
    "document",
    [None, [], {}, "readout", {"schema": "equipoise.readout/1"}, {"schema": "equipoise.readout/2"}],
)
def test_what_is_no_readout_is_said(document: Any) -> None:
    with pytest.raises(NotAReadout, match=r"not a readout of schema equipoise\.readout/2"):
        verify_readout(document)


def test_a_forged_number_of_winsorized_units_is_found() -> None:
    path = ("metrics", 2, "winsorized", 1, "units")
    pointers = [each.pointer for each in verify_readout(with_value(measured_readout(), path, 8, forged=True))]
    assert pointers == ["/statistics_digest", "/metrics/2/winsorized/1/share", "/metrics/2/notes/1"]


def test_impossible_statistics_are_said() -> None:
    path = ("metrics", 0, "comparisons", 0, "statistics", "variant", "successes")
    with pytest.raises(NotAReadout, match="20000 successes among 10050 units"):
        verify_readout(with_value(rich_readout(), path, 20_000, forged=True))


def test_an_end_close_to_zero_may_differ_as_the_numbers_that_it_is_made_of() -> None:
    mean = 10.5
    for _ in range(3):  # the lower end follows the mean, so it is soon next to nothing
        found = statistics(
            control={"load-time": moments(1_000, 10.0, 2.0)},
            treatment={"load-time": moments(1_000, mean, 2.0)},
        )
        readout = build_readout(plan(LOAD_TIME), found, PROVENANCE)
        low, high = readout["metrics"][0]["comparisons"][0]["difference"]["interval"]
        mean -= low
    assert abs(low) < 1e-14
    assert high > 0.1
    path: Path = ("metrics", 0, "comparisons", 0, "difference", "interval", 0)
    for apart, agrees in ((1e-14, True), (-1e-14, True), (1e-11, False), (-1e-9, False)):
        changed = with_value(readout, path, low + apart * high, forged=True)
        disagreements = [each.pointer for each in verify_readout(changed)]
        assert disagreements == ([] if agrees else ["/" + "/".join(map(str, path))])
    # The larger end is held to its own size.
    changed = with_value(readout, (*path[:-1], 1), high * (1 + 1e-8), forged=True)
    assert len(verify_readout(changed)) == 1
