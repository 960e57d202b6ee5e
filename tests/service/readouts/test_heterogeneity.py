"""Segments in a readout: whether effects differ, tested first, corrected and once, and who got which arm."""

import copy
import math
from pathlib import Path
from typing import Any

import duckdb
import pytest
from scipy.stats import chi2, norm
from tests.service.readouts.documents import (
    CONVERTED,
    PROVENANCE,
    WATERMARK,
    plan,
    seal,
    segmented_readout,
)

from equipoise_service.analysis.segments import NO_VALUE, OTHER, segment_label
from equipoise_service.analysis.statistics import ArmStatistics, SegmentStatistics, Statistics
from equipoise_service.canonical import digest
from equipoise_service.plans.population import PlannedSegment
from equipoise_service.plans.schemas import Horizon, Method
from equipoise_service.readouts.building import build_readout
from equipoise_service.readouts.provenance import Provenance
from equipoise_service.readouts.recorded import Deviation
from equipoise_service.readouts.verification import verify_readout
from equipoise_stats import Counts

DATA = Path(__file__).parents[4] / "shared" / "data"
COUNTRY = PlannedSegment(key="country", event="signed_up", property="country")
BOUGHT = CONVERTED.model_copy(update={"key": "bought"})
Cell = tuple[int, int]
"""Units, and how many of them converted."""


def segmented(
    values: dict[str, tuple[dict[str, Cell], dict[str, Cell]]],
    provenance: Provenance = PROVENANCE,
    **more: Any,
) -> dict[str, Any]:
    """The readout of values, each with control and treatment, each with units and successes by metric."""
    metrics = [metric for metric in (CONVERTED, BOUGHT) if metric.key in next(iter(values.values()))[0]]

    def arms(sides: tuple[dict[str, Cell], dict[str, Cell]]) -> dict[str, ArmStatistics]:
        counted = [{key: Counts(*cell) for key, cell in side.items()} for side in sides]
        return {
            variant: ArmStatistics(side["converted"].n, dict(side))
            for variant, side in zip(("control", "treatment"), counted, strict=True)
        }

    def total(i: int) -> dict[str, Cell]:
        sides = [value[i] for value in values.values()]
        return {key: (sum(s[key][0] for s in sides), sum(s[key][1] for s in sides)) for key in sides[0]}

    found = Statistics(
        arms((total(0), total(1))),
        0,
        WATERMARK,
        segments={
            "country": [
                SegmentStatistics(
                    value if value in (OTHER, NO_VALUE) else segment_label(value, others=False),
                    arms(sides),
                    0,
                )
                for value, sides in values.items()
            ]
        },
    )
    readout = build_readout(plan(*metrics, segments=[COUNTRY], **more), found, provenance)
    assert verify_readout(readout) == []
    return readout


def one(control: Cell, treatment: Cell) -> tuple[dict[str, Cell], dict[str, Cell]]:
    return {"converted": control}, {"converted": treatment}


ALIKE = {
    "DE": one((4000, 400), (4000, 440)),
    "FR": one((3000, 330), (3000, 345)),
    "US": one((2000, 190), (2000, 215)),
}
DIFFERING = ALIKE | {"US": one((600, 57), (600, 115))}


def effect(sides: tuple[dict[str, Cell], dict[str, Cell]], metric: str) -> tuple[float, float]:
    """The difference and its variance, unpooled."""
    (n0, x0), (n1, x1) = (side[metric] for side in sides)
    p0, p1 = x0 / n0, x1 / n1
    return p1 - p0, p0 * (1 - p0) / (n0 - 1) + p1 * (1 - p1) / (n1 - 1)


def cochran(values: dict[str, tuple[dict[str, Cell], dict[str, Cell]]], metric: str) -> float:
    effects = [effect(sides, metric) for sides in values.values()]
    weights = [1 / variance for _, variance in effects]
    mean = sum(w * d for w, (d, _) in zip(weights, effects, strict=True)) / sum(weights)
    q = sum(w * (d - mean) ** 2 for w, (d, _) in zip(weights, effects, strict=True))
    return float(chi2.sf(q, len(effects) - 1))


def test_a_value_is_called_different_only_where_effects_differ_at_all() -> None:
    readout = segmented(DIFFERING)
    (answer,) = readout["segments"][0]["heterogeneity"]
    assert answer["p_value"] == pytest.approx(cochran(DIFFERING, "converted"), rel=0.02)
    assert answer["detected"] is True
    assert [part["differs"] for part in answer["parts"]] == [False, False, True]
    own, variance = effect(DIFFERING["US"], "converted")
    rest = [effect(DIFFERING[key], "converted") for key in ("DE", "FR")]
    weight = sum(1 / v for _, v in rest)
    others = sum(d / v for d, v in rest) / weight
    us = answer["parts"][2]
    assert us["deviation"] == pytest.approx(own - others, rel=0.01)
    p = 2 * norm.sf(abs(own - others) / math.sqrt(variance + 1 / weight))
    assert us["p_value"] == pytest.approx(3 * p, rel=0.05)
    assert others < us["best_guess"] < own
    assert "differs between the values of country" in readout["summary"]
    assert "it is another one for US" in readout["segments"][0]["text"]


def test_where_nothing_differs_it_says_so_and_names_no_value() -> None:
    # By itself, one part shows a difference; that is what a hunt would find. Corrected for three, none does.
    values = ALIKE | {"US": one((2000, 190), (2000, 230))}
    readout = segmented(values)
    (answer,) = readout["segments"][0]["heterogeneity"]
    shown = [part["metrics"][0]["comparisons"][0] for part in readout["segments"][0]["parts"]]
    assert [each["difference"]["p_value"] <= 0.05 for each in shown] == [False, False, True]
    assert [each["detected"] for each in shown] == [False, False, False]
    assert answer["detected"] is False
    assert not any(part["differs"] for part in answer["parts"])
    assert readout["segments"][0]["text"] == "No effect is shown to differ between the values of country."
    assert readout["segments"][0]["text"] in readout["summary"]


def test_the_question_is_corrected_for_how_often_it_is_asked() -> None:
    values = {
        "DE": (
            {"converted": (4000, 400), "bought": (4000, 200)},
            {"converted": (4000, 440), "bought": (4000, 210)},
        ),
        "US": (
            {"converted": (2000, 190), "bought": (2000, 100)},
            {"converted": (2000, 262), "bought": (2000, 104)},
        ),
    }
    first, second = segmented(values)["segments"][0]["heterogeneity"]
    assert first["p_value"] == pytest.approx(cochran(values, "converted"), rel=0.02)
    assert 0.025 < first["p_value"] < 0.05
    assert first["corrected_p_value"] == pytest.approx(2 * first["p_value"])
    assert second["corrected_p_value"] == pytest.approx(max(2 * first["p_value"], second["p_value"]))
    assert first["detected"] is False


def test_before_the_end_nothing_is_tested() -> None:
    readout = segmented(DIFFERING, method=Method.GROUP_SEQUENTIAL, horizon=Horizon(units=100_000))
    (answer,) = readout["segments"][0]["heterogeneity"]
    assert (answer["p_value"], answer["corrected_p_value"], answer["detected"]) == (None, None, None)
    assert (
        {part["p_value"] for part in answer["parts"]}
        == {part["differs"] for part in answer["parts"]}
        == {None}
    )
    assert "at the planned end" in answer["reason"]
    assert "is not known" in readout["segments"][0]["text"]
    assert "country" not in readout["summary"]


def test_what_was_not_declared_is_exploratory_in_every_text() -> None:
    document = plan(CONVERTED, segments=[COUNTRY]).model_dump(mode="json")
    later = Deviation(
        at="2026-03-01T00:00:00Z", by="k", reason="r", changed=["/segments"], digest=digest(document)
    )
    provenance = Provenance(PROVENANCE.experiment, 1, PROVENANCE.generated_at, deviations=[later])
    for values in (ALIKE, DIFFERING):
        readout = segmented(values, provenance)
        assert readout["segments"][0]["text"].endswith("before relying on it.")
        assert "exploratory" in readout["summary"]


def test_no_country_of_real_data_differs() -> None:
    files = [DATA / name for name in ("ab_data.csv.gz", "countries.csv.gz")]
    if not all(file.exists() for file in files):
        pytest.skip("../shared/data has no ab_data.csv.gz and countries.csv.gz")
    rows = duckdb.execute(
        "SELECT country, count(*) FILTER (NOT treated), sum(converted) FILTER (NOT treated), "
        "count(*) FILTER (treated), sum(converted) FILTER (treated) "
        "FROM (SELECT user_id, min(converted) AS converted, min(\"group\") = 'treatment' AS treated "
        "FROM read_csv($1) WHERE (\"group\" = 'treatment') = (landing_page = 'new_page') GROUP BY 1) "
        "JOIN read_csv($2) USING (user_id) GROUP BY 1 ORDER BY 1",
        [str(file) for file in files],
    ).fetchall()
    values = {row[0]: one((row[1], int(row[2])), (row[3], int(row[4]))) for row in rows}
    assert len(values) == 3
    readout = segmented(values)
    (answer,) = readout["segments"][0]["heterogeneity"]
    assert answer["p_value"] == pytest.approx(cochran(values, "converted"), rel=0.01)
    assert readout["segments"][0]["text"] == "No effect is shown to differ between the values of country."


def test_a_sample_ratio_that_is_broken_in_one_value_blocks_shipping() -> None:
    # Together the arms have their shares; the losses of one value are made up for by another.
    readout = segmented({"DE": one((6000, 600), (5000, 600)), "FR": one((5000, 500), (6000, 720))})
    check = readout["health"]["segment_sample_ratio"]
    assert readout["health"]["sequential_sample_ratio"]["status"] == "ok"
    assert (check["status"], check["segment"], check["value"]) == ("failed", "country", "DE")
    assert check["p_value"] < 1e-10
    assert readout["recommendation"]["outcome"] == "investigate"
    assert "with the country DE" in readout["summary"]
    whole = segmented(ALIKE)["health"]["segment_sample_ratio"]
    assert (whole["status"], whole["p_value"]) == ("ok", 1.0)
    # An empty text is a value.
    empty = segmented({"": one((6000, 600), (5000, 600)), "FR": one((5000, 500), (6000, 720))})
    assert 'with the country "".' in empty["summary"]
    even = one((6000, 600), (6000, 600))
    for broken, said in ((OTHER, "with other values of country."), (NO_VALUE, "without a value of country.")):
        parts = {"DE": even, broken: one((6000, 600), (5000, 600)), "FR": one((5400, 500), (6000, 720))}
        assert said in segmented(parts)["summary"]


ANSWER = ("segments", 0, "heterogeneity", 0)


@pytest.mark.parametrize(
    "place",
    [
        ("segments", 0, "text"),
        (*ANSWER, "p_value"),
        (*ANSWER, "corrected_p_value"),
        (*ANSWER, "detected"),
        (*ANSWER, "parts", 0, "deviation"),
        (*ANSWER, "parts", 0, "p_value"),
        (*ANSWER, "parts", 0, "differs"),
        (*ANSWER, "parts", 0, "best_guess"),
        (*ANSWER, "parts", 0, "value"),
        ("health", "segment_sample_ratio", "p_value"),
        ("health", "segment_sample_ratio", "value"),
    ],
)
def test_an_edit_is_found(place: tuple[Any, ...]) -> None:
    edited = copy.deepcopy(segmented_readout())
    target: Any = edited
    for step in place[:-1]:
        target = target[step]
    old = target[place[-1]]
    target[place[-1]] = not old if isinstance(old, bool) else f"{old}x" if isinstance(old, str) else old / 2
    seal(edited)
    assert "/" + "/".join(map(str, place)) in {each.pointer for each in verify_readout(edited)}
