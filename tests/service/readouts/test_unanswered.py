"""Where there is no number, or a doubtful one, a readout says so in its own words."""

import re
from collections.abc import Iterator
from string import Formatter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.service.readouts.documents import (
    CONVERTED,
    LOAD_TIME,
    PER_VIEW,
    PROVENANCE,
    converted,
    plan,
    statistics,
)

from equipoise_service.analysis.statistics import QuantileValues
from equipoise_service.plans.documents import PlannedMetric
from equipoise_service.readouts.building import build_readout
from equipoise_service.readouts.unanswered import notice_text
from equipoise_service.texts.saying import TEXTS
from equipoise_stats import Counts, Moments, Notice, arm_quantile

SLOWEST = PlannedMetric.model_validate(
    {
        "key": "slowest",
        "type": "quantile",
        "role": "success",
        "direction": "decrease",
        "event": "page",
        "quantile": 0.5,
        "level": "event",
    }
)
STARTS = ("notice.", "no_result.", "no_lift.", "no_p_value.", "found.", "segments.", "reason.", "not_valid.")


def pattern(text: str) -> str:
    return "".join(re.escape(said) + (".+" if name else "") for said, name, _, _ in Formatter().parse(text))


KNOWN = [
    re.compile(pattern(text))
    for key, text in TEXTS.items()
    if key.startswith(STARTS) and not text.startswith("{variant}: ")
]


def words(document: Any, name: str = "") -> Iterator[str]:
    """What a readout says of missing and of doubtful numbers."""
    if isinstance(document, dict):
        for key, value in document.items():
            yield from words(value, key)
    elif isinstance(document, list):
        for value in document:
            yield from words(value)
    elif isinstance(document, str) and name in ("message", "reason", "p_value_reason"):
        yield document


arms = st.integers(0, 9).flatmap(lambda n: st.builds(Counts, st.just(n), st.integers(0, n)))


@given(arms, arms)
def test_every_reason_and_every_warning_is_one_of_the_texts(control: Counts, treatment: Counts) -> None:
    found = statistics(control={"converted": control}, treatment={"converted": treatment})
    readout = build_readout(plan(CONVERTED), found, PROVENANCE)
    said = list(words(readout))
    assert said
    assert [each for each in said if not any(known.fullmatch(each) for known in KNOWN)] == []


def compared(metric: PlannedMetric, control: Any, treatment: Any) -> dict[str, Any]:
    found = statistics(control={metric.key: control}, treatment={metric.key: treatment})
    (comparison,) = build_readout(plan(metric), found, PROVENANCE)["metrics"][0]["comparisons"]
    return dict(comparison)


@pytest.mark.parametrize(
    ("metric", "control", "treatment", "part", "key"),
    [
        (CONVERTED, Counts(1, 1), Counts(9, 3), "difference", "no_result.too_few_units"),
        (CONVERTED, Counts(9, 0), Counts(9, 0), "difference", "no_result.no_variance"),
        (CONVERTED, Counts(9, 0), Counts(9, 3), "lift", "no_result.control_not_positive"),
        (CONVERTED, Counts(99, 1), Counts(99, 50), "lift", "no_lift.unbounded"),
        (CONVERTED, Counts(99, 50), Counts(99, 0), "lift", "no_lift.no_variance"),
        (
            SLOWEST,
            QuantileValues(9, 0.5, arm_quantile([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0], q=0.5)),
            QuantileValues(9, 0.5, None),
            "difference",
            "no_result.too_few_values",
        ),
    ],
)
def test_a_missing_number_says_what_is_missing(
    metric: PlannedMetric, control: Any, treatment: Any, part: str, key: str
) -> None:
    assert compared(metric, control, treatment)[part]["reason"] == TEXTS[key]


def test_a_warning_says_its_figures() -> None:
    noisy = Moments(4, ("y", "d"), (1.0, 5.0), ((3.0, 1.0), (1.0, 27.0)))
    (warning,) = compared(PER_VIEW, noisy, noisy)["warnings"]
    assert warning["code"] == "noisy_denominator"
    assert "known to ±30 % only; above ±10 %" in warning["message"]
    (few,) = compared(CONVERTED, Counts(9000, 4), Counts(9000, 90))["warnings"]
    assert "In one arm only 4 units did this" in few["message"]
    assert "fewer than 5," in few["message"]


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [("factor", 2.54, "2.5"), ("factor", 12.25, "12.2"), ("clusters", 1200, "1,200"), ("covariates", 3, "3")],
)
def test_figures_are_written_as_everywhere(name: str, value: float, shown: str) -> None:
    code = {"factor": "overdispersed", "clusters": "few_clusters", "covariates": "few_units_for_adjustment"}
    said = notice_text(Notice(code[name], "", (("needed", 40), (name, value))))
    assert f" {shown} " in said


def test_what_a_metric_lacks_is_said_with_the_recommendation() -> None:
    (reason,) = converted((0, 9), (0, 9))["recommendation"]["reasons"]
    assert reason["code"] == "no_answer"
    assert reason["message"] == f"converted has no answer yet: {TEXTS['no_result.no_variance']}"


def test_units_in_an_arm_without_a_share_are_counted() -> None:
    found = statistics(
        control={"load-time": Moments.scalar(500, 1.0, 1.0)},
        treatment={"load-time": Moments.scalar(500, 1.0, 1.0)},
        ghost={"load-time": Moments.scalar(1, 1.0, 0.0)},
    )
    health = build_readout(plan(LOAD_TIME), found, PROVENANCE)["health"]
    for check in ("sample_ratio", "sequential_sample_ratio"):
        assert health[check]["reason"].startswith(
            "Units came to arms whose planned share is 0 (1 unit in ghost):"
        )
