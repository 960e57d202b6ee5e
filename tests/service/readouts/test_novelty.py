"""Effects by days since exposure: what is found, when, and against plain numpy."""

import csv
import io
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from html import escape
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console
from scipy.stats import norm, ttest_ind
from tests.service.readouts.documents import CONVERTED, PER_VIEW, PROVENANCE, START, plan, statistics
from tests.service.readouts.test_verification import edited, is_refused, leaves, with_value

from equipoise_service.analysis.statistics import ArmValues, NotFinite, Statistics
from equipoise_service.exports.report.report import html_of
from equipoise_service.exports.tables import csv_of
from equipoise_service.figures.catalogue import figures_of
from equipoise_service.metrics.schemas import MetricType
from equipoise_service.plans.documents import PlannedMetric
from equipoise_service.plans.looks import next_look
from equipoise_service.plans.schemas import Horizon, Method
from equipoise_service.readouts.building import build_readout, mature_units, statistics_digest
from equipoise_service.readouts.reading import NotAReadout, readout_of
from equipoise_service.readouts.standing import concluded_by
from equipoise_service.readouts.terminal import draw
from equipoise_service.readouts.verification import verify_readout
from equipoise_stats import Counts, Moments

WEEK = CONVERTED.model_copy(update={"window_hours": 168})
SPENT = WEEK.model_copy(update={"key": "spent", "type": MetricType.MEAN})
FALLING = np.array([0.5, 0.3, 0.2, 0.15, 0.1, 0.1, 0.1])
FADING = (0.12, 0.06, 0.03, 0.02, 0.0, 0.0, 0.0)
Rows = NDArray[np.float64]


def acts(random: np.random.Generator, chances: Sequence[float] | Rows, units: int = 3_000) -> Rows:
    """Whether each unit acts at each age."""
    return (random.random((units, len(chances))) < np.asarray(chances)).astype(float)


def moments(rows: Rows) -> Moments:
    named = {f"a{age}": rows[:, age] for age in range(rows.shape[1])}
    return Moments.from_arrays(named, third=False)


def seen(control: Rows, *treatments: Rows, metric: str = "converted") -> Statistics:
    """Statistics of arms with these units, a column an age."""
    arms = dict(zip(("control", "treatment", "other"), (control, *treatments), strict=False))
    counts: dict[str, dict[str, ArmValues]] = {
        arm: {
            metric: Counts(len(rows), int(rows.any(axis=1).sum()))
            if metric == "converted"
            else Moments.scalar(len(rows), float(rows.sum(axis=1).mean()), 1.0)
        }
        for arm, rows in arms.items()
    }
    ages: dict[str, dict[str, ArmValues]] = {metric: {arm: moments(rows) for arm, rows in arms.items()}}
    return replace(statistics(0, **counts), ages=ages)


def read(
    found: Statistics, metric: PlannedMetric = WEEK, *, days: int = 14, variants: int = 2
) -> dict[str, Any]:
    """The readout after 14 days, of a plan of so many."""
    arms = ("control", "treatment", "other")[:variants]
    asked = plan(metric, variants=arms, method=Method.FIXED_HORIZON, horizon=Horizon(days=days))
    readout = build_readout(asked, found, replace(PROVENANCE, started_at=START))
    assert verify_readout(readout) == []
    return readout


def effect_of(readout: dict[str, Any], place: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = readout["by_age"]["metrics"][0]["effects"][place]
    return found


def aged_readout() -> dict[str, Any]:
    """A readout in which an effect fades, of a metric with a window, and another one is not asked about."""
    random = np.random.default_rng(5)
    found = seen(acts(random, FALLING), acts(random, FALLING + FADING))
    return read(found)


def test_an_effect_that_fades_is_said_in_the_summary() -> None:
    readout = aged_readout()
    effect = effect_of(readout)
    assert (effect["status"], effect["finding"], effect["detected"]) == ("warning", "fading", True)
    assert readout["by_age"]["metrics"][0]["ages"][-1] == {"first": 6, "last": 6}
    text = readout["by_age"]["text"]
    assert text.startswith(
        "The effect of treatment on converted fades with the days since exposure (novelty)"
    )
    assert "on day 0" in text
    assert text in readout["summary"]
    (figure,) = [each for each in figures_of(readout_of(readout)) if each.name == "ages-converted"]
    assert figure.text.startswith("day 0: +12")
    console = Console(width=1_000, file=io.StringIO())
    draw(readout, console)
    assert text in console.file.getvalue().split("days since exposure\n", 1)[1]  # type: ignore[attr-defined]
    assert f"<p>{escape(text)}</p>" in html_of(readout)
    (row,) = csv.DictReader(io.StringIO(csv_of(readout_of(readout)).decode()))
    assert (row["age_finding"], row["age_detected"]) == ("fading", "true")


def test_an_effect_that_grows_is_said() -> None:
    random = np.random.default_rng(7)
    found = seen(acts(random, [0.2] * 7), acts(random, np.linspace(0.2, 0.35, 7)))
    readout = read(found)
    assert effect_of(readout)["finding"] == "growing"
    assert "grows with the days since exposure (primacy)" in readout["summary"]


@pytest.mark.parametrize(
    "treated", [FALLING * 1.3, FALLING + 0.05, FALLING], ids=["the same lift", "the same difference", "none"]
)
def test_what_the_base_does_by_itself_is_no_novelty(treated: Rows) -> None:
    random = np.random.default_rng(11)
    readout = read(seen(acts(random, FALLING, 20_000), acts(random, treated, 20_000)))
    effect = effect_of(readout)
    assert (effect["status"], effect["finding"], effect["detected"]) == ("ok", None, False)
    assert readout["by_age"]["text"] == (
        "No effect on converted is shown to change with the days since exposure."
    )
    assert "since exposure" not in readout["summary"]


def test_the_numbers_are_those_of_plain_numpy() -> None:
    random = np.random.default_rng(13)
    control, treatment = acts(random, FALLING, 900), acts(random, FALLING + FADING, 800)
    effect = effect_of(read(seen(control, treatment)))
    for age, each in enumerate(effect["at"]):
        of_age = ttest_ind(treatment[:, age], control[:, age], equal_var=False)
        interval = of_age.confidence_interval(0.95)
        assert each["difference"] == pytest.approx(treatment[:, age].mean() - control[:, age].mean())
        assert each["interval"] == pytest.approx([interval.low, interval.high], rel=1e-3)
    times = np.log1p(np.arange(7.0))
    slopes = [np.polyfit(times, rows.T, 1)[0] for rows in (treatment, control)]
    as_difference = ttest_ind(*slopes, equal_var=False).pvalue
    ratios, scores = [], []
    for rows in (treatment, control):
        done, late = rows.sum(axis=1), rows @ times
        ratios.append(late.sum() / done.sum())
        scores.append((late - ratios[-1] * done) / done.mean())
    error = np.sqrt(sum(each.var(ddof=1) / len(each) for each in scores))
    as_share = 2 * norm.sf(abs(ratios[0] - ratios[1]) / error)
    assert effect["p_value"] == pytest.approx(max(as_difference, as_share), rel=0.02)
    assert effect["p_value"] > min(as_difference, as_share) * 2


def test_alarms_without_a_change_are_rare() -> None:
    """On a base that falls, with the same lift at all ages: a hundredth at most, but for chance."""
    random = np.random.default_rng(17)
    alarms = sum(
        effect_of(read(seen(acts(random, FALLING, 300), acts(random, FALLING * 1.2, 300))))["p_value"] <= 0.01
        for _ in range(400)
    )
    assert alarms <= 11


def test_several_treatments_are_corrected_together() -> None:
    random = np.random.default_rng(19)
    control = acts(random, FALLING)
    found = seen(control, acts(random, FALLING + FADING), acts(random, FALLING))
    readout = read(found, variants=3)
    first, second = effect_of(readout), effect_of(readout, 1)
    assert first["corrected_p_value"] == pytest.approx(2 * first["p_value"])
    assert (first["detected"], second["detected"]) == (True, False)
    assert "other" not in readout["by_age"]["text"]


def test_before_the_end_nothing_is_tested() -> None:
    random = np.random.default_rng(23)
    found = seen(acts(random, FALLING), acts(random, FALLING + FADING))
    readout = read(found, days=20)
    effect = effect_of(readout)
    assert (effect["status"], effect["p_value"], effect["detected"]) == ("unavailable", None, None)
    assert all(each["interval"] is None for each in effect["at"])
    assert "at the planned end" in effect["reason"]
    assert "since exposure" not in readout["summary"]
    assert read(replace(found, ages=None), days=20)["by_age"] is None


def test_too_few_units_and_no_number_are_said() -> None:
    nobody = replace(seen(*[np.zeros((50, 7))] * 2), ages={"converted": {}})
    columns = tuple(f"a{age}" for age in range(7))
    huge_arm: ArmValues = NotFinite(50, columns)
    huge = {"converted": {"control": huge_arm, "treatment": huge_arm}}
    for found in (nobody, seen(*[np.zeros((50, 7))] * 2), replace(nobody, ages=huge)):
        readout = read(found)
        assert effect_of(readout)["status"] == "unavailable"
        assert "too few units" in readout["by_age"]["text"]


def unfollowed_readout() -> dict[str, Any]:
    """A readout at the end whose success metrics cannot be followed."""
    day = CONVERTED.model_copy(update={"key": "at-once", "window_hours": 48})
    far = CONVERTED.model_copy(update={"key": "far", "source": "warehouse", "window_hours": 168})
    counts = {each.key: Counts(100, 10) for each in (day, far)}
    ratio = Moments(100, ("y", "d"), (1.0, 2.0), ((50.0, 9.0), (9.0, 60.0)))
    values: dict[str, ArmValues] = {**counts, "per-view": ratio}
    found = replace(statistics(control=values, treatment=values), ages={})
    asked = plan(day, far, PER_VIEW, method=Method.FIXED_HORIZON, horizon=Horizon(days=14))
    readout: dict[str, Any] = build_readout(asked, found, replace(PROVENANCE, started_at=START))
    assert verify_readout(readout) == []
    return readout


def test_what_cannot_be_followed_is_named() -> None:
    readout = unfollowed_readout()
    assert readout["by_age"]["metrics"] == []
    reasons = {each["metric"]: each["reason"] for each in readout["by_age"]["not_asked"]}
    assert reasons.keys() == {"at-once", "far", "per-view"}
    assert "shorter than 3 days" in reasons["at-once"]
    assert "warehouse" in reasons["far"]
    assert "sums and counts" in reasons["per-view"]


def test_a_metric_without_a_window_is_followed_for_half_of_the_time() -> None:
    random = np.random.default_rng(29)
    found = seen(acts(random, FALLING), acts(random, FALLING))
    ages = read(found, CONVERTED)["by_age"]["metrics"][0]["ages"]
    assert [(each["first"], each["last"]) for each in ages] == [(day, day) for day in range(7)]
    early = replace(PROVENANCE, started_at=START, ended_at=START + timedelta(days=5))
    asked = plan(CONVERTED, method=Method.FIXED_HORIZON, horizon=Horizon(days=14))
    ended = build_readout(asked, replace(found, ages={}), early)
    assert "less than 6 days" in ended["by_age"]["not_asked"][0]["reason"]


def test_what_the_plan_leaves_out_is_said_beside_it() -> None:
    random = np.random.default_rng(31)
    found = seen(acts(random, FALLING), acts(random, FALLING + FADING))
    text = read(found, WEEK.model_copy(update={"delay_hours": 72}))["by_age"]["text"]
    assert text.endswith("converted itself leaves out the first 72 hours.")


def test_every_edited_leaf_is_found() -> None:
    readout = aged_readout()
    for path, value in leaves(readout["by_age"], ("by_age",)):
        for other in edited(value):
            assert is_refused(with_value(readout, path, other, forged=True)), (path, other)


def test_other_ages_than_the_plan_gives_are_refused() -> None:
    readout = deepcopy(aged_readout())
    metric = readout["by_age"]["metrics"][0]
    metric["ages"].pop()
    with pytest.raises(NotAReadout):
        verify_readout(readout)


def test_what_the_last_look_found_stands_in_newer_data() -> None:
    random = np.random.default_rng(37)
    look = seen(acts(random, FALLING), acts(random, FALLING + FADING))
    newer = replace(seen(acts(random, FALLING, 3_100), acts(random, FALLING, 3_100)), ages=None)
    asked = plan(WEEK, method=Method.GROUP_SEQUENTIAL, horizon=Horizon(units=6_000))
    began = replace(PROVENANCE, started_at=START)
    last = next_look(
        asked,
        mature_units(asked, look),
        [],
        statistics_digest=statistics_digest(asked, look),
        taken_at=PROVENANCE.generated_at,
        started_at=START,
        ended_at=None,
    )
    looked = build_readout(asked, look, began, [last])
    assert looked["by_age"]["text"] in looked["summary"]
    later = replace(began, generated_at=PROVENANCE.generated_at + timedelta(days=9))
    readout = build_readout(asked, newer, replace(later, concluded=concluded_by(looked)), [last])
    assert verify_readout(readout) == []
    assert readout["by_age"]["look"] == 1
    assert readout["by_age"]["metrics"] == looked["by_age"]["metrics"]
    assert looked["by_age"]["text"] in readout["summary"]
    changed = deepcopy(readout)
    changed["by_age"]["metrics"][0]["effects"][0]["finding"] = "growing"
    assert is_refused(changed)


def test_sums_are_told_in_their_own_unit() -> None:
    random = np.random.default_rng(41)
    control, treatment = (10 * acts(random, each) for each in (FALLING, FALLING + FADING))
    readout = read(seen(control, treatment, metric="spent"), SPENT)
    assert effect_of(readout)["finding"] == "fading"
    assert "percentage points" not in readout["by_age"]["text"]
