"""The two parts of a ratio: means by arm, differences and their intervals, wherever a readout is shown."""

import csv
import io
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from scipy.stats import norm
from tests.service.readouts.documents import CONVERTED, PER_VIEW, PROVENANCE, plan, statistics
from tests.service.readouts.test_verification import is_refused

from equipoise_service.analysis.statistics import ArmValues
from equipoise_service.exports.report.report import html_of
from equipoise_service.exports.tables import csv_of
from equipoise_service.plans.schemas import Horizon, Method
from equipoise_service.readouts.building import build_readout
from equipoise_service.readouts.reading import readout_of
from equipoise_service.readouts.sealing import sealed
from equipoise_service.readouts.terminal import draw
from equipoise_service.readouts.verification import verify_readout
from equipoise_stats import Counts, Moments

RANDOM = np.random.default_rng(2)
ARMS = {arm: RANDOM.poisson((1.0, 4.0), (900, 2)).astype(float) for arm in ("control", "treatment")}
ARMS["treatment"][:, 1] += 1.0


def ratio_readout() -> dict[str, Any]:
    """A ratio whose denominator a treatment raises, beside a metric that is none."""
    values: dict[str, dict[str, ArmValues]] = {
        arm: {
            "per-view": Moments.from_arrays({"y": rows[:, 0], "d": rows[:, 1]}, third=False),
            "converted": Counts(900, 90),
        }
        for arm, rows in ARMS.items()
    }
    asked = plan(PER_VIEW, CONVERTED, method=Method.FIXED_HORIZON, horizon=Horizon(units=1_000))
    return build_readout(asked, statistics(0, **values), PROVENANCE)


def test_the_parts_are_those_of_plain_numpy() -> None:
    readout = ratio_readout()
    assert verify_readout(readout) == []
    ratio, share = (metric["comparisons"][0] for metric in readout["metrics"])
    assert share["parts"] is None
    for column, name in enumerate(("numerator", "denominator")):
        part = ratio["parts"][name]
        treatment, control = (ARMS[arm][:, column] for arm in ("treatment", "control"))
        difference = treatment.mean() - control.mean()
        reach = norm.ppf(0.975) * np.sqrt(treatment.var(ddof=1) / 900 + control.var(ddof=1) / 900)
        assert (part["variant"], part["baseline"]) == pytest.approx((treatment.mean(), control.mean()))
        assert part["difference"] == pytest.approx(difference)
        assert part["interval"] == pytest.approx([difference - reach, difference + reach], rel=1e-2)


def test_without_an_interval_of_the_ratio_there_is_none_of_its_parts() -> None:
    nothing = Moments(9, ("y", "d"), (1.0, 0.0), ((2.0, 0.0), (0.0, 0.0)))
    found = statistics(control={"per-view": nothing}, treatment={"per-view": nothing})
    readout = build_readout(plan(PER_VIEW), found, PROVENANCE)
    assert verify_readout(readout) == []
    parts = readout["metrics"][0]["comparisons"][0]["parts"]
    assert parts["numerator"] == {"variant": 1.0, "baseline": 1.0, "difference": 0.0, "interval": None}
    empty = build_readout(plan(PER_VIEW), statistics(control={}, treatment={}), PROVENANCE)
    assert empty["metrics"][0]["comparisons"][0]["parts"] is None


def test_terminal_and_page_and_table_have_them() -> None:
    readout = ratio_readout()
    parts = readout["metrics"][0]["comparisons"][0]["parts"]
    console = Console(width=140, file=io.StringIO())
    draw(readout, console)
    page = html_of(readout)
    for text in (console.file.getvalue(), page):  # type: ignore[attr-defined]
        assert "buy per unit" in text
        assert "view per unit" in text
        under = parts["denominator"]
        assert f"{under['variant']:.3f} against {under['baseline']:.3f}" in text
    first, second = csv.DictReader(io.StringIO(csv_of(readout_of(readout)).decode()))
    assert float(first["denominator_lower"]) == parts["denominator"]["interval"][0]
    assert float(first["baseline_numerator"]) == parts["numerator"]["baseline"]
    assert second["numerator"] == ""


def test_a_readout_of_an_earlier_release_may_lack_them_and_one_of_this_may_not() -> None:
    lacking = deepcopy(ratio_readout())
    del lacking["metrics"][0]["comparisons"][0]["parts"]
    assert is_refused(_signed(lacking))
    lacking["wording"] = "sha256:" + "0" * 64
    assert verify_readout(_signed(lacking)) == []
    edited = deepcopy(ratio_readout())
    edited["metrics"][0]["comparisons"][0]["parts"]["denominator"]["variant"] += 1
    assert is_refused(_signed(edited))
    edited["wording"] = lacking["wording"]
    assert is_refused(_signed(edited))


def _signed(readout: dict[str, Any]) -> dict[str, Any]:
    return sealed(readout)
