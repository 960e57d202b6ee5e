"""A real experiment by country: no country differs, and the page says so without inviting a hunt."""

import csv
import gzip
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from tests.service.running import RunningService, command, running_service
from typer.testing import CliRunner

from equipoise_service.cli import app
from equipoise_service.readouts.verification import verify_readout

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
ROWS, COUNTRIES = DATA / "ab_data.csv.gz", DATA / "countries.csv.gz"
ALIKE = "No effect is shown to differ between the values of country."

pytestmark = pytest.mark.skipif(
    not (ROWS.exists() and COUNTRIES.exists()),
    reason="the real data sets are not beside the repository: they have no licence",
)


def lines(path: Path) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt", newline="") as file:
        yield from csv.DictReader(file)


@cache
def countries() -> dict[str, str]:
    return {row["user_id"]: row["country"] for row in lines(COUNTRIES)}


@cache
def reference() -> dict[str, dict[str, tuple[int, int]]]:
    """By country and arm: units and converted ones, without those that met both pages' groups."""
    groups: dict[str, set[str]] = {}
    converted: set[str] = set()
    for row in lines(ROWS):
        groups.setdefault(row["user_id"], set()).add(row["group"])
        if row["converted"] == "1":
            converted.add(row["user_id"])
    found: dict[str, dict[str, list[int]]] = {}
    for user, met in groups.items():
        if len(met) == 1:
            cell = found.setdefault(countries()[user], {}).setdefault(next(iter(met)), [0, 0])
            cell[0] += 1
            cell[1] += user in converted
    return {
        country: {arm: (cell[0], cell[1]) for arm, cell in arms.items()} for country, arms in found.items()
    }


def check(readout: dict[str, Any]) -> None:
    assert verify_readout(readout) == []
    (segment,) = readout["segments"]
    found = {
        part["value"]: {
            arm["variant"]: (arm["units"], statistics["successes"])
            for arm, statistics in zip(
                part["arms"],
                (
                    part["metrics"][0]["comparisons"][0]["statistics"][side]
                    for side in ("baseline", "variant")
                ),
                strict=True,
            )
        }
        for part in segment["parts"]
    }
    assert found == reference()
    (tested,) = segment["heterogeneity"]
    assert tested["detected"] is False
    assert tested["p_value"] == pytest.approx(_cochran(), rel=0.01)
    assert ALIKE in readout["summary"]
    # Told once, and no country by its name: none of them is a finding.
    assert readout["summary"].count("country") == 1
    assert not re.search(r"\b(US|UK|CA)\b", readout["summary"])
    assert [part["differs"] for part in tested["parts"]] == [False] * 3


def _cochran() -> float:
    """Cochran's Q over the differences of the countries."""
    differences, variances = [], []
    for arms in reference().values():
        (n, x), (m, y) = arms["treatment"], arms["control"]
        differences.append(x / n - y / m)
        variances.append(x / n * (1 - x / n) / n + y / m * (1 - y / m) / m)
    weights = 1 / np.array(variances)
    mean = (weights * differences).sum() / weights.sum()
    return float(stats.chi2.sf((weights * (np.array(differences) - mean) ** 2).sum(), len(differences) - 1))


def run(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, [str(each) for each in arguments], env={"COLUMNS": "120"})
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def test_straight_from_the_file(tmp_path: Path) -> None:
    joined = tmp_path / "joined.csv"
    with joined.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["user_id", "group", "timestamp", "converted", "country"])
        writer.writerows(
            [row["user_id"], row["group"], row["timestamp"], row["converted"], countries()[row["user_id"]]]
            for row in lines(ROWS)
        )
    columns = ("--unit", "user_id", "--variant", "group", "--time", "timestamp", "--segment", "country")
    given = (joined, *columns, "--control", "control", "--metric", "converted: proportion(converted)")
    readout, report = tmp_path / "readout.json", tmp_path / "page.html"
    run("analyze", *given, "-o", readout)
    check(json.loads(readout.read_bytes()))
    run("readout", readout, "-o", report)
    terminal = run("readout", readout)
    for page in (terminal, report.read_text()):
        assert ALIKE in " ".join(page.split())
    # The terminal's table by country has lifts with their intervals, and nothing that ranks them.
    table = terminal.split("country  segment")[1].split("Sample ratio")[0]
    assert all(name in table for name in ("US", "UK", "CA", "202,268"))
    assert not re.search(r"\bp\b|\*", table)


@pytest.mark.slow
def test_over_http(tmp_path: Path) -> None:
    experiment = {
        "key": "new-landing-page",
        "name": "New landing page",
        "variants": [{"key": "control", "control": True}, {"key": "treatment"}],
        "metrics": [{"key": "converted", "type": "proportion", "event": "converted"}],
        "plan": {
            "method": "fixed-horizon",
            "horizon": {"units": sum(n for arms in reference().values() for n, _ in arms.values())},
            "segments": [{"key": "country", "event": "seen-in", "property": "country"}],
        },
    }
    with running_service(tmp_path) as service:
        service.start_experiment(experiment)
        send_countries(service)
        process = command(
            *("import", str(ROWS), "--experiment", "new-landing-page", "--unit", "user_id", "--json"),
            *("--time", "timestamp", "--variant", "group", "--event", "converted: converted"),
            directory=tmp_path,
            EQUIPOISE_URL=service.url,
            EQUIPOISE_KEY=service.key,
        )
        _, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        answer = service.request("POST", "/v1/experiments/new-landing-page/looks?wait=60")
        assert answer.status_code == 201, answer.text
        check(answer.json())


def send_countries(service: RunningService) -> None:
    """Where each user was seen, the day before the experiment."""
    users = list(countries().items())
    for first in range(0, len(users), 10_000):
        events = [
            {
                "id": f"01900000-0000-7000-8000-{first + i:012x}",
                "time": "2017-01-01T00:00:00Z",
                "unit_type": "user",
                "unit": user,
                "name": "seen-in",
                "properties": {"country": country},
            }
            for i, (user, country) in enumerate(users[first : first + 10_000])
        ]
        answer = service.request("POST", "/v1/events", json={"exposures": [], "events": events})
        assert answer.status_code == 200, answer.text
        assert {each["status"] for each in answer.json()["events"]} == {"accepted"}
