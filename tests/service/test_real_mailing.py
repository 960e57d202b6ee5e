"""Three arms of a real mailing, 64,000 customers: over HTTP and from the file, against references."""

import csv
import gzip
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.multitest import multipletests
from tests.service.running import RunningService, running_service
from typer.testing import CliRunner

from equipoise_service.cli import app
from equipoise_service.readouts.verification import verify_readout

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "hillstrom.csv.gz"

pytestmark = pytest.mark.skipif(
    not DATA.exists(), reason=f"the real data set {DATA.name} is not beside the repository: it has no licence"
)

ARMS = {"no-mail": "No E-Mail", "mens": "Mens E-Mail", "womens": "Womens E-Mail"}
TREATMENTS = ("mens", "womens")
VISIT = {"key": "visit", "type": "proportion", "event": "visit"}
SPEND = {"key": "spend", "type": "mean", "event": "spend"}
CONVERSION = {"key": "conversion", "type": "proportion", "event": "conversion", "role": "deterioration"}


def experiment(multiplicity: str, *metrics: dict[str, Any], **plan: Any) -> dict[str, Any]:
    return {
        "key": "mailing",
        "name": "E-mail to customers of the last year",
        "variants": [{"key": key, "control": key == "no-mail"} for key in ARMS],
        "metrics": list(metrics),
        "plan": {"method": "fixed-horizon", "multiplicity": multiplicity, **plan},
    }


@cache
def columns() -> dict[str, np.ndarray[Any, Any]]:
    """Every column of the file, as it is."""
    with gzip.open(DATA, "rt", newline="") as lines:
        rows = list(csv.DictReader(lines))
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def values(column: str, arm: str) -> np.ndarray[Any, Any]:
    data = columns()
    found: np.ndarray[Any, Any] = data[column][data["segment"] == ARMS[arm]].astype(float)
    return found


def run(*arguments: str | Path) -> Any:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "120"})
    assert result.exit_code == 0, result.output
    return result


def analyze(directory: Path, body: dict[str, Any], *more: str | Path) -> Any:
    file = directory / "experiment.json"
    file.write_text(json.dumps(body))
    arms = [word for key, text in ARMS.items() for word in ("--arm", f"{key}={text}")]
    events = [
        "--event",
        "visit: visit",
        "--event",
        "spend: value(spend)",
        "--event",
        "conversion: conversion",
    ]
    return run("analyze", DATA, "--experiment", file, "--variant", "segment", *arms, *events, *more)


def comparisons(readout: dict[str, Any], metric: str) -> dict[str, Any]:
    found = next(each for each in readout["metrics"] if each["metric"] == metric)
    return {each["variant"]: each for each in found["comparisons"]}


def raw_p(metric: str, arm: str) -> float:
    """Welch's t test of the values themselves."""
    return float(stats.ttest_ind(values(metric, arm), values(metric, "no-mail"), equal_var=False).pvalue)


@pytest.mark.parametrize("multiplicity", ["holm", "benjamini-hochberg", "dunnett"])
def test_effects_and_corrections_agree_with_independent_ones(tmp_path: Path, multiplicity: str) -> None:
    readout = json.loads(analyze(tmp_path, experiment(multiplicity, VISIT, SPEND), "--json").stdout)
    assert verify_readout(readout) == []
    assert {arm["variant"]: arm["units"] for arm in readout["arms"]} == {
        key: len(values("visit", key)) for key in ARMS
    }
    visit, spend = comparisons(readout, "visit"), comparisons(readout, "spend")
    assert [visit[arm]["difference"]["estimate"] for arm in TREATMENTS] == pytest.approx(
        [0.07659, 0.04523], abs=5e-6
    )
    assert [spend[arm]["difference"]["estimate"] for arm in TREATMENTS] == pytest.approx(
        [0.770, 0.424], abs=5e-4
    )
    assert [spend[arm]["difference"]["p_value"] for arm in TREATMENTS] == pytest.approx(
        [raw_p("spend", arm) for arm in TREATMENTS], rel=1e-6
    )
    assert [spend[arm]["difference"]["p_value"] for arm in TREATMENTS] == pytest.approx(
        [1.16e-7, 0.00113], rel=0.01
    )
    assert all(visit[arm]["corrected"]["p_value"] < 1e-40 for arm in TREATMENTS)
    corrected = [spend[arm]["corrected"]["p_value"] for arm in TREATMENTS]
    # So far out, a normal tail differs from one of t with 42,000 degrees of freedom by half a percent.
    assert corrected == pytest.approx(_reference(multiplicity), rel=0.01)


def _reference(multiplicity: str) -> Sequence[float]:
    """The corrected p-values of spend, beside the two of visits."""
    if multiplicity == "dunnett":
        return [2 * _dunnett(arm) for arm in TREATMENTS]  # Bonferroni over the two metrics
    raw = [raw_p(metric, arm) for metric in ("visit", "spend") for arm in TREATMENTS]
    method = {"holm": "holm", "benjamini-hochberg": "fdr_bh"}[multiplicity]
    found: list[float] = multipletests(raw, method=method)[1].tolist()[2:]
    return found


def _dunnett(arm: str) -> float:
    """Two-sided, from the bivariate normal distribution of both differences.

    `scipy.stats.dunnett` takes one variance for all arms, and these arms' differ.
    """
    control, *treated = (values("spend", key).var(ddof=1) / values("spend", key).size for key in ARMS)
    correlation = control / np.sqrt((control + treated[0]) * (control + treated[1]))
    means = values("spend", arm).mean() - values("spend", "no-mail").mean()
    z = abs(means) / np.sqrt(control + treated[TREATMENTS.index(arm)])
    both = stats.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]])
    # The chance that either exceeds z: that of each, less that of both at once.
    outside = 4 * stats.norm.cdf(-z)
    together = 2 * (both.cdf([-z, -z]) + stats.norm.cdf(-z) - both.cdf([-z, z]))
    return float(outside - together)


def test_adjusting_for_history_brings_next_to_nothing_and_that_is_said(tmp_path: Path) -> None:
    adjusted = ["--covariate", "spend: history"]
    body = experiment("holm", VISIT, SPEND)
    readout = json.loads(analyze(tmp_path, body, *adjusted, "--json").stdout)
    assert verify_readout(readout) == []
    spend = comparisons(readout, "spend")
    for arm in TREATMENTS:
        without = spend[arm]["without_covariates"]
        assert 0 < without["variance_removed"] < 0.01
        assert spend[arm]["difference"]["estimate"] == pytest.approx(_regressed(arm), rel=1e-3)
        raw = values("spend", arm).mean() - values("spend", "no-mail").mean()
        assert without["estimate"] == pytest.approx(raw, rel=1e-9)
    shown = " ".join(analyze(tmp_path, body, *adjusted).stdout.split())
    said = "removes less than 1 % of the variance for mens and womens: it changes next to nothing"
    assert said in shown
    assert said not in " ".join(analyze(tmp_path, body).stdout.split())
    analyze(tmp_path, body, *adjusted, "--output", tmp_path / "report.html")
    assert said in " ".join((tmp_path / "report.html").read_text().split())


def _regressed(arm: str) -> float:
    """The difference of spend at equal history, by least squares with a slope of each arm's own."""
    outcome = np.concatenate([values("spend", "no-mail"), values("spend", arm)])
    before = np.concatenate([values("history", "no-mail"), values("history", arm)])
    treated = np.arange(outcome.size) >= values("spend", "no-mail").size
    centred = before - before.mean()
    design = np.column_stack([np.ones(outcome.size), treated, centred, centred * treated])
    return float(OLS(outcome, design).fit().params[1])


def send(service: RunningService, start: datetime) -> None:
    """The file as a team's backend sends it: what a customer spent before lies before the exposure."""
    data = {name: column.tolist() for name, column in columns().items()}
    keys = {text: key for key, text in ARMS.items()}
    before = (start - timedelta(days=1)).isoformat()
    now = start.isoformat()
    numbers = iter(range(1, 1 << 40))

    def item(row: int, time: str, **more: Any) -> dict[str, Any]:
        unique = f"{next(numbers):012x}"
        identifier = f"01900000-{unique[:4]}-7000-8000-{unique}"
        return {"id": identifier, "time": time, "unit_type": "user", "unit": str(row), **more}

    for first in range(0, len(data["visit"]), 1000):
        rows = range(first, min(first + 1000, len(data["visit"])))
        exposures, events = [], []
        for i in rows:
            exposures.append(item(i + 1, now, experiment="mailing", variant=keys[data["segment"][i]]))
            events.append(item(i + 1, before, name="spend", value=float(data["history"][i])))
            events.append(item(i + 1, before, name="channel", properties={"value": data["channel"][i]}))
            if data["visit"][i] == "1":
                events.append(item(i + 1, now, name="visit"))
            if data["conversion"][i] == "1":
                events.append(item(i + 1, now, name="conversion"))
                events.append(item(i + 1, now, name="spend", value=float(data["spend"][i])))
        answer = service.request("POST", "/v1/events", json={"exposures": exposures, "events": events})
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert {each["status"] for part in ("exposures", "events") for each in told[part]} == {"accepted"}


@pytest.mark.slow
def test_the_service_and_the_file_give_the_same_readout(tmp_path: Path) -> None:
    segment = {"key": "channel", "event": "channel", "property": "value"}
    spend = {**SPEND, "pre_period_days": 2}
    whole = {"horizon": {"units": len(columns()["visit"])}}
    body = experiment("holm", VISIT, spend, CONVERSION, segments=[segment], **whole)
    with running_service(tmp_path) as service:
        service.start_experiment(body)
        send(service, datetime.now(UTC))
        answer = service.request("POST", "/v1/experiments/mailing/looks?wait=60")
        assert answer.status_code == 201, answer.text
        over_http = answer.json()
    assert verify_readout(over_http) == []
    own = experiment("holm", VISIT, spend, CONVERSION, **whole)
    options = ("--covariate", "spend: history", "--segment", "channel", "--json")
    from_file = json.loads(analyze(tmp_path, own, *options).stdout)
    assert over_http["plan"] == from_file["plan"]
    for member in ("arms", "metrics", "segments", "recommendation", "summary"):
        sent, read = (almost(without_impact(each[member])) for each in (over_http, from_file))
        assert without_recomputed(sent) == read, member
    assert comparisons(over_http, "visit")["mens"]["difference"]["estimate"] == pytest.approx(
        0.07659, abs=5e-6
    )


def without_recomputed(found: Any) -> Any:
    """A part of a readout without the warning that others assigned these units: of a file nobody asks."""
    if isinstance(found, dict):
        return {name: without_recomputed(value) for name, value in found.items()}
    if not isinstance(found, list):
        return found
    return [
        without_recomputed(each)
        for each in found
        if not (isinstance(each, dict) and each.get("subject") == "recomputed_assignments")
        and not (isinstance(each, str) and "ecomputed assignments" in each)
    ]


def without_impact(found: Any) -> Any:
    """A part of a readout without what traffic a day would bring: a file has no days."""
    if isinstance(found, dict):
        return {name: without_impact(value) for name, value in found.items() if name != "impact"}
    return [without_impact(each) for each in found] if isinstance(found, list) else found


def almost(found: Any) -> Any:
    """Numbers to eight digits: engines add in an order of their own."""
    if isinstance(found, float):
        return float(f"{found:.8g}")
    if isinstance(found, dict):
        return {name: almost(value) for name, value in found.items()}
    return [almost(each) for each in found] if isinstance(found, list) else found
