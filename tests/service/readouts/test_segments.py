"""Segments under each method: what is asked when, what is corrected for what, and what was declared."""

import math
from dataclasses import replace
from typing import Any

import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import norm
from statsmodels.stats.multitest import multipletests
from tests.service.readouts.documents import CONVERTED, PROVENANCE, START, WATERMARK, plan

from equipoise_service.analysis.segments import segment_label
from equipoise_service.analysis.statistics import ArmStatistics, SegmentStatistics, Statistics
from equipoise_service.canonical import digest
from equipoise_service.plans.population import PlannedSegment
from equipoise_service.plans.schemas import Horizon, Method, Prior
from equipoise_service.readouts.building import build_readout
from equipoise_service.readouts.provenance import Provenance
from equipoise_service.readouts.reading import readout_of
from equipoise_service.readouts.recorded import Deviation, Locked
from equipoise_service.readouts.verification import verify_readout
from equipoise_stats import Counts, mixture_units

Cells = dict[str, tuple[tuple[int, int], tuple[int, int]]]
"""By value: units and how many of them converted, in control and treatment."""

COUNTRY = PlannedSegment(key="country", event="signed_up", property="country")
DEVICE = PlannedSegment(key="device", event="signed_up", property="device")
SAME: Cells = {"DE": ((4000, 400), (4000, 440)), "FR": ((3000, 330), (3000, 345))}
OTHER: Cells = {"DE": ((4000, 400), (4000, 440)), "US": ((3000, 330), (3000, 540))}
UNITS = 10_000
RUNNING = replace(PROVENANCE, started_at=START, traffic=1.0)
ENDED = replace(RUNNING, ended_at=PROVENANCE.generated_at)


def arms(control: tuple[int, int], treatment: tuple[int, int]) -> dict[str, ArmStatistics]:
    both = {"control": Counts(*control), "treatment": Counts(*treatment)}
    return {variant: ArmStatistics(found.n, {"converted": found}) for variant, found in both.items()}


def read(provenance: Provenance, *segments: tuple[PlannedSegment, Cells], **more: Any) -> dict[str, Any]:
    """The readout of segments, each with its values; the units are those of the first."""
    cells = segments[0][1].values()
    total = [(sum(c[i][0] for c in cells), sum(c[i][1] for c in cells)) for i in (0, 1)]
    found = Statistics(
        arms(*total),
        0,
        WATERMARK,
        segments={
            segment.key: [
                SegmentStatistics(segment_label(value, others=False), arms(*sides), 0)
                for value, sides in values.items()
            ]
            for segment, values in segments
        },
    )
    return build_readout(plan(CONVERTED, segments=[each for each, _ in segments], **more), found, provenance)


def answer_of(readout: dict[str, Any], segment: int = 0) -> dict[str, Any]:
    (answer,) = readout["segments"][segment]["heterogeneity"]
    assert verify_readout(readout) == []
    return dict(answer)


def effect(cell: tuple[tuple[int, int], tuple[int, int]]) -> tuple[float, float, int]:
    """The difference, its unpooled standard error, and the units."""
    (n0, x0), (n1, x1) = cell
    p0, p1 = x0 / n0, x1 / n1
    return p1 - p0, math.sqrt(p0 * (1 - p0) / (n0 - 1) + p1 * (1 - p1) / (n1 - 1)), n0 + n1


def always_valid(cells: Cells) -> float:
    """One over the product of the normal mixtures of all values, where that is smallest."""
    precision = mixture_units(UNITS)

    def log_e(common: float) -> float:
        total = 0.0
        for difference, error, units in map(effect, cells.values()):
            mixed = norm.logpdf(difference, common, error * math.sqrt(1 + units / precision))
            total += float(mixed - norm.logpdf(difference, common, error))
        return total

    found = minimize_scalar(log_e, bounds=(-0.2, 0.3), method="bounded", options={"xatol": 1e-10})
    return min(1.0, math.exp(-found.fun))


def seal(readout: dict[str, Any]) -> None:
    """Write a fitting digest into an edited readout; those of its parts are optional."""
    readout.pop("digests", None)
    readout["digest"] = digest({name: value for name, value in readout.items() if name != "digest"})


SEQUENCE = {"method": Method.CONFIDENCE_SEQUENCE, "tuning_units": UNITS}


@pytest.mark.parametrize("provenance", [RUNNING, ENDED])
def test_beside_confidence_sequences_it_is_asked_at_any_moment(provenance: Provenance) -> None:
    readout = read(provenance, (COUNTRY, OTHER), **SEQUENCE)
    answer = answer_of(readout)
    assert readout["segments"][0]["test"] == "always_valid"
    assert answer["p_value"] == pytest.approx(always_valid(OTHER), rel=0.02)
    assert answer["corrected_p_value"] == answer["p_value"]
    assert (answer["reason"], answer["detected"]) == (None, True)
    assert [part["differs"] for part in answer["parts"]] == [True, True]
    assert "differs between the values of country" in readout["segments"][0]["text"]
    assert readout["segments"][0]["text"] in readout["summary"]
    alike = read(provenance, (COUNTRY, SAME), **SEQUENCE)
    assert answer_of(alike)["detected"] is False
    assert alike["segments"][0]["text"] == "No effect is shown to differ between the values of country."


def test_what_the_end_alone_would_show_is_not_shown_by_who_may_stop_at_any_time() -> None:
    """Between the two tests: Cochran's Q detects it, which holds at one moment that was planned."""
    between: Cells = {"DE": ((4000, 400), (4000, 400)), "US": ((4000, 400), (4000, 500))}
    once = answer_of(read(ENDED, (COUNTRY, between), method=Method.FIXED_HORIZON))
    any_time = answer_of(read(ENDED, (COUNTRY, between), **SEQUENCE))
    assert (once["detected"], any_time["detected"]) == (True, False)
    assert once["p_value"] < 0.05 < any_time["p_value"]


BELIEFS = {"method": Method.BAYESIAN, "prior": Prior(mean=0.0, standard_deviation=0.2)}


def test_a_bayesian_plan_is_asked_at_its_end_by_a_test_without_its_prior() -> None:
    horizon = Horizon(units=100_000)
    early = read(RUNNING, (COUNTRY, OTHER), horizon=horizon, **BELIEFS)
    assert answer_of(early)["p_value"] is None
    assert "at the planned end" in early["segments"][0]["text"]
    ended = read(ENDED, (COUNTRY, OTHER), horizon=horizon, **BELIEFS)
    fixed = read(ENDED, (COUNTRY, OTHER), method=Method.FIXED_HORIZON)
    assert answer_of(ended) == answer_of(fixed)
    assert ended["segments"][0]["test"] == "cochran_q"
    assert "without the plan's prior" in ended["segments"][0]["text"]
    assert "prior" not in fixed["segments"][0]["text"]
    alike = read(ENDED, (COUNTRY, SAME), horizon=horizon, **BELIEFS)
    assert "without the plan's prior" in alike["segments"][0]["text"]


def comparisons(readout: dict[str, Any], segment: int = 0) -> list[dict[str, Any]]:
    parts = readout["segments"][segment]["parts"]
    return [part["metrics"][0]["comparisons"][0] for part in parts]


TEN: Cells = {f"v{i}": ((1000, 100), (1000, 100 + 5 * i)) for i in range(9)} | {
    "odd": ((1000, 90), (1000, 150))
}


@pytest.mark.parametrize("more", [{"method": Method.FIXED_HORIZON}, SEQUENCE])
def test_what_a_part_detects_is_corrected_over_all_that_are_shown(more: dict[str, Any]) -> None:
    readout = read(ENDED, (COUNTRY, TEN), **more)
    assert verify_readout(readout) == []
    shown = comparisons(readout)
    p_values = [each["difference"]["p_value"] for each in shown]
    adjusted = multipletests(p_values, method="holm")[1].tolist()
    assert [each["corrected"]["p_value"] for each in shown] == pytest.approx(adjusted)
    assert [each["detected"] for each in shown] == [p <= 0.05 for p in adjusted]
    # Before there is anything to conclude, nothing is detected.
    early = read(RUNNING, (COUNTRY, TEN), method=Method.GROUP_SEQUENTIAL, horizon=Horizon(units=10**6))
    assert {(each["detected"], each["corrected"]) for each in comparisons(early)} == {(None, None)}


def test_what_a_bayesian_part_detects_is_that_of_a_wider_interval() -> None:
    wide_prior = BELIEFS | {"prior": Prior(mean=0.0, standard_deviation=1.0)}
    readout = read(ENDED, (COUNTRY, TEN), horizon=Horizon(units=100), **wide_prior)
    assert verify_readout(readout) == []
    shown = comparisons(readout)
    lone = [not each["difference"]["interval"][0] <= 0 <= each["difference"]["interval"][1] for each in shown]
    corrected = [each["corrected"]["interval"] for each in shown]
    assert [each["detected"] for each in shown] == [not low <= 0 <= high for low, high in corrected]
    assert sum(lone) > sum(each["detected"] for each in shown)
    for each, (low, high) in zip(shown, corrected, strict=True):
        narrow, wide = each["difference"]["interval"], (low, high)
        ratio = (wide[1] - wide[0]) / (narrow[1] - narrow[0])
        assert ratio == pytest.approx(norm.isf(0.05 / 10 / 2) / norm.isf(0.025), rel=0.1)


def late(*changes: list[str]) -> dict[str, Any]:
    """A lock of the segment country alone, and deviations since."""
    then = plan(CONVERTED, segments=[COUNTRY], method=Method.FIXED_HORIZON).document
    now = plan(CONVERTED, segments=[COUNTRY, DEVICE], method=Method.FIXED_HORIZON).document
    return {
        "locked": Locked(at="2026-02-22T12:30:00Z", digest=digest(then), plan=then),
        "deviations": [
            Deviation(at="2026-03-01T00:00:00Z", by="k", reason="r", changed=each, digest=digest(now))
            for each in changes
        ],
    }


def late_readout() -> dict[str, Any]:
    """A readout with a segment that a deviation brought."""
    provenance = replace(ENDED, **late(["/segments"]))
    return read(provenance, (COUNTRY, OTHER), (DEVICE, SAME), method=Method.FIXED_HORIZON)


def test_what_is_asked_late_costs_what_was_declared_nothing() -> None:
    alone = answer_of(read(ENDED, (COUNTRY, OTHER), method=Method.FIXED_HORIZON))
    readout = late_readout()
    assert [each["declared"] for each in readout["segments"]] == [True, False]
    declared, exploratory = answer_of(readout), answer_of(readout, 1)
    assert declared == alone
    p_values = [declared["p_value"], exploratory["p_value"]]
    assert exploratory["corrected_p_value"] == pytest.approx(multipletests(p_values, method="holm")[1][1])
    assert "exploratory" not in readout["segments"][0]["text"]
    assert "exploratory" in readout["segments"][1]["text"]
    both = read(ENDED, (COUNTRY, OTHER), (DEVICE, SAME), method=Method.FIXED_HORIZON)
    assert answer_of(both)["corrected_p_value"] == pytest.approx(2 * alone["p_value"])


def test_a_lock_that_is_not_the_one_that_was_taken_is_found() -> None:
    readout = late_readout()
    readout["locked"]["plan"]["segments"].append(DEVICE.model_dump(mode="json"))
    seal(readout)
    found = {each.pointer for each in verify_readout(readout)}
    assert {"/locked/digest", "/segments/1/declared"} <= found
    # Where no segment was changed it says nothing, and does not belong there.
    needless = replace(ENDED, **late(["/alpha"]))
    readout = read(needless, (COUNTRY, OTHER), (DEVICE, SAME), method=Method.FIXED_HORIZON)
    assert {each.pointer for each in verify_readout(readout)} == {"/locked/plan"}


def stored(readout: dict[str, Any], why_not: str | None) -> dict[str, Any]:
    """A readout as an earlier release stored it: parts by themselves, nothing asked before the end."""
    for segment in readout["segments"]:
        del segment["test"]
        for part in segment["parts"]:
            for metric in part["metrics"]:
                for each in metric["comparisons"]:
                    low, high = each["difference"]["interval"]
                    each |= {"detected": not low <= 0 <= high, "corrected": None}
        for answer in segment["heterogeneity"] if why_not else ():
            answer |= {"p_value": None, "corrected_p_value": None, "detected": None, "reason": why_not}
            for part in answer["parts"]:
                part |= {"p_value": None, "differs": None}
    readout["wording"] = "sha256:" + "0" * 64
    seal(readout)
    return readout


def test_readouts_from_before_are_read_and_verified() -> None:
    early = stored(read(RUNNING, (COUNTRY, OTHER), **SEQUENCE), "it is tested once, at the planned end")
    beliefs = stored(
        read(ENDED, (COUNTRY, OTHER), horizon=Horizon(units=100), **BELIEFS), "it has beliefs instead"
    )
    once = stored(read(ENDED, (COUNTRY, TEN), method=Method.FIXED_HORIZON), None)
    for readout in (early, beliefs, once):
        assert readout_of(readout).segments[0].test is None
        assert verify_readout(readout) == []
    # At the end of a confidence sequence it was Cochran's Q.
    ended = read(ENDED, (COUNTRY, OTHER), **SEQUENCE)
    ended["segments"][0]["heterogeneity"] = answer_list(
        read(ENDED, (COUNTRY, OTHER), method=Method.FIXED_HORIZON)
    )
    assert verify_readout(stored(ended, None)) == []
    ended["segments"][0]["heterogeneity"][0]["p_value"] /= 2
    seal(ended)
    assert {each.pointer for each in verify_readout(ended)} == {"/segments/0/heterogeneity/0/p_value"}


def answer_list(readout: dict[str, Any]) -> list[dict[str, Any]]:
    return list(readout["segments"][0]["heterogeneity"])


def test_all_segments_were_exploratory_where_the_lock_did_not_say_which_it_had() -> None:
    known = late(["/segments"])
    provenance = replace(ENDED, locked=Locked(at="2026-02-22T12:30:00Z", digest=known["locked"].digest))
    provenance = replace(provenance, deviations=known["deviations"])
    readout = read(provenance, (COUNTRY, OTHER), (DEVICE, SAME), method=Method.FIXED_HORIZON)
    assert [each["declared"] for each in readout["segments"]] == [False, False]
    assert verify_readout(stored(readout, None)) == []
