"""`equipoise analyze --experiment`: what the service does with a plan, done with a file or a warehouse."""

import csv
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from typer.main import get_command
from typer.testing import CliRunner

from equipoise_service.cli import app
from equipoise_service.cli.failures import Failure
from equipoise_service.readouts.verification import verify_readout

START = datetime(2026, 1, 1, tzinfo=UTC)
UNITS = 400
ARMS = {"control": "old page", "treatment": "new page"}
COLUMNS = ("user", "page", "at", "bought", "amount", "views", "before", "country", "device")
PLAN: dict[str, Any] = {"method": "fixed-horizon"}


def rows(units: int = UNITS) -> list[dict[str, Any]]:
    """Every unit is exposed with its first row, and some buy later: rows without a page."""
    random = Random(20261122)
    found: list[dict[str, Any]] = []
    for i in range(units):
        met = START + timedelta(hours=i)
        user = f"u{i}"
        of_user = {"user": user, "country": random.choice(["DE", "FR", ""]), "before": i % 11}
        found.append(
            {**of_user, "page": ARMS["treatment" if i % 2 else "control"], "at": met, "views": 1 + i % 4}
        )
        for day in (1, 9):
            if random.random() < 0.4:
                amount = round(random.uniform(1, 50) + 10 * (i % 11), 2)
                device = random.choice(["phone", "desk"])
                at = met + timedelta(days=day)
                found.append({**of_user, "at": at, "bought": 1, "amount": amount, "device": device})
    return found


def write(path: Path, lines: list[dict[str, Any]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(lines)
    return path


def experiment(*metrics: Mapping[str, Any], plan: Mapping[str, Any] = PLAN, **more: Any) -> dict[str, Any]:
    return {
        "key": "page",
        "name": "Page",
        "variants": [{"key": "control", "control": True}, {"key": "treatment"}],
        "metrics": list(metrics),
        "plan": dict(plan),
        **more,
    }


BOUGHT = {"key": "bought", "type": "proportion", "event": "bought"}
AMOUNT = {"key": "amount", "type": "mean", "event": "amount"}
OF_FILE = (
    *("--unit", "user", "--variant", "page", "--time", "at"),
    *("--arm", "control=old page", "--arm", "treatment=new page"),
)
EVENTS = ("--event", "bought: bought", "--event", "amount: value(amount)", "--event", "views: value(views)")


def run(*arguments: str | Path, **environ: str) -> Any:
    return CliRunner().invoke(
        app, ["analyze", *map(str, arguments)], env={"COLUMNS": "120", **environ}, catch_exceptions=True
    )


class Bench:
    """A directory with the file, and the command."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.file = write(directory / "page.csv", rows())

    def document(self, body: Mapping[str, Any], name: str = "experiment.json") -> Path:
        path = self.directory / name
        path.write_text(json.dumps(body))
        return path

    def readout(self, body: Mapping[str, Any], *more: str | Path, file: Path | None = None) -> dict[str, Any]:
        given = (file or self.file, "--experiment", self.document(body), *OF_FILE, *EVENTS)
        result = run(*given, *more, "--json")
        assert result.exit_code == 0, (result.output, result.exception)
        found: dict[str, Any] = json.loads(result.stdout)
        assert verify_readout(found) == []
        return found

    def failure(self, body: Mapping[str, Any], *more: str | Path) -> str:
        result = run(self.file, "--experiment", self.document(body), *OF_FILE, *EVENTS, *more)
        assert isinstance(result.exception, Failure), (result.output, result.exception)
        return str(result.exception)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def sides(readout: Mapping[str, Any], metric: str) -> dict[str, Any]:
    found = next(each for each in readout["metrics"] if each["metric"] == metric)
    statistics = found["comparisons"][0]["statistics"]
    return {"control": statistics["baseline"], "treatment": statistics["variant"]}


def value(side: Mapping[str, Any]) -> float:
    """The mean of an arm, or the ratio of its two."""
    if "mean" in side:
        return float(side["mean"])
    over, under = side["means"]
    return float(over / under)


def per_unit(arm: str, value: Any, *, days: float = 1e6) -> list[float]:
    """By plain Python: for each unit of an arm, the sum of a value over its rows within some days."""
    met = {row["user"]: row["at"] for row in rows() if row.get("page") == ARMS[arm]}
    sums = dict.fromkeys(met, 0.0)
    for row in rows():
        if row["user"] in met and row["at"] < met[row["user"]] + timedelta(days=days):
            sums[row["user"]] += value(row)
    return list(sums.values())


def test_metrics_of_every_role_and_kind_are_as_plain_python_has_them(bench: Bench) -> None:
    views = {"event": "views"}
    phone = {"key": "by-phone", "type": "mean", "event": "amount", "role": "quality"}
    phone["filters"] = [{"property": "device", "operator": "equals", "value": "phone"}]  # type: ignore[assignment]
    ratio = {"key": "per-view", "type": "ratio", "event": "amount", "denominator": views, "role": "guardrail"}
    week = {**AMOUNT, "key": "week", "window_hours": 168, "role": "deterioration"}
    body = experiment(BOUGHT, ratio, week, phone, plan={**PLAN, "targets": {"per-view": {"margin": 0.2}}})
    readout = bench.readout(body, "--property", "device")
    for arm in ARMS:
        bought = per_unit(arm, lambda row: row.get("bought", 0))
        assert sides(readout, "bought")[arm]["successes"] == sum(each > 0 for each in bought)
        amounts = per_unit(arm, lambda row: row.get("amount", 0))
        seen = per_unit(arm, lambda row: row.get("views", 0))
        assert value(sides(readout, "per-view")[arm]) == pytest.approx(sum(amounts) / sum(seen))
        by_phone = per_unit(arm, lambda row: row.get("amount", 0) if row.get("device") == "phone" else 0)
        assert value(sides(readout, "by-phone")[arm]) == pytest.approx(sum(by_phone) / len(by_phone))
    assert {each["role"] for each in readout["plan"]["metrics"]} == {
        *("success", "guardrail", "deterioration", "quality")
    }
    # The last facts are some nine days after the last exposures, so every window has passed.
    for arm in ARMS:
        early = per_unit(arm, lambda row: row.get("amount", 0), days=7)
        assert value(sides(readout, "week")[arm]) == pytest.approx(sum(early) / len(early))
    assert readout["recommendation"]["outcome"] is not None


def test_windows_that_have_not_passed_wait_and_facts_end_when_it_is_read(bench: Bench) -> None:
    week = {**AMOUNT, "window_hours": 168}
    moment = START + timedelta(days=10)
    readout = bench.readout(experiment(week), "--as-of", moment.isoformat())
    met = [row for row in rows() if row.get("page") and row["at"] < moment]
    assert sum(arm["units"] for arm in readout["arms"]) == len(met)
    mature = sum(row["at"] <= moment - timedelta(days=7) for row in met)
    assert sum(side["n"] for side in sides(readout, "amount").values()) == mature
    assert sum(side["immature"] for side in sides(readout, "amount").values()) == len(met) - mature > 0
    assert readout["generated_at"] == "2026-01-11T00:00:00Z"


def test_segments_and_covariates_are_columns(bench: Bench) -> None:
    options = ("--segment", "land: country", "--covariate", "amount: before")
    readout = bench.readout(experiment(AMOUNT), *options)
    (segment,) = readout["segments"]
    of = {row["user"]: row["country"] for row in rows()}
    units = {part["value"]: sum(arm["units"] for arm in part["arms"]) for part in segment["parts"]}
    assert units == {(name or None): sum(each == name for each in of.values()) for name in ("DE", "FR", "")}
    removed = readout["metrics"][0]["comparisons"][0]["without_covariates"]["variance_removed"]
    assert removed > 0.05
    plain = ("--control", "old page", "--metric", "amount: mean(amount)")
    quick = run(bench.file, *OF_FILE[:6], *plain, *options, "--json")
    without = json.loads(quick.stdout)["metrics"][0]["comparisons"][0]["without_covariates"]
    assert without["variance_removed"] == pytest.approx(removed, rel=1e-9)
    drawn = run(bench.file, *OF_FILE[:6], *plain, *options).stdout
    assert f"removes {100 * removed:.1f} % of the variance for new page" in " ".join(drawn.split())
    assert "less than 1 %" not in drawn


def test_a_covariate_of_another_event_is_a_column_too(bench: Bench) -> None:
    usual = {"event": "usual", "pre_period_days": 14}
    plain = bench.readout(experiment(AMOUNT), "--covariate", "amount: before")["metrics"][0]
    found = bench.readout(experiment({**AMOUNT, "covariate": usual}), "--covariate", "amount: before")
    (metric,) = found["metrics"]
    for part in ("difference", "lift", "without_covariates"):
        assert metric["comparisons"][0][part] == almost(plain["comparisons"][0][part])
    assert metric["notes"][0].startswith(
        "Adjusting for the sum of usual in the 14 days before exposure removes"
    )
    # In the rows themselves the events are after the exposure, and nothing is adjusted for.
    rows_only = bench.readout(experiment({**AMOUNT, "covariate": {**usual, "event": "views"}}))
    assert rows_only["metrics"][0]["comparisons"][0]["without_covariates"][
        "variance_removed"
    ] == pytest.approx(0, abs=1e-12)
    counted = {**AMOUNT, "covariate": {**usual, "aggregation": "count"}}
    assert "No --event makes 'usual', which the metric amount" in bench.failure(experiment(counted))
    said = bench.failure(experiment(counted), "--covariate", "amount: before")
    assert "that of amount counts, or has filters" in said


def test_looks_follow_each_other_and_spend_alpha_once(bench: Bench) -> None:
    plan = {"horizon": {"units": UNITS}, "looks": {"count": 2}}
    body = experiment(BOUGHT, plan=plan)
    half = write(bench.directory / "half.csv", [row for row in rows() if int(row["user"][1:]) < UNITS // 2])
    idle = bench.readout(body, file=half)
    assert idle["looks"] == []
    assert idle["metrics"][0]["comparisons"][0]["difference"]["p_value"] is None
    first = bench.readout(body, "--look", file=half)
    assert [look["fractions"] for look in first["looks"]] == [{"bought": 0.5}]
    saved = bench.document(first, "first.json")
    assert "no unit of bought has become mature since" in failure_of(
        bench, half, body, "--look", "--earlier", saved
    )
    second = bench.readout(body, "--look", "--earlier", saved)
    assert second["looks"][0] == first["looks"][0]
    assert [look["fractions"]["bought"] for look in second["looks"]] == [0.5, 1.0]
    assert second["looks"][1]["spent"] == pytest.approx(0.05)
    assert second["recommendation"]["outcome"] in ("ship", "do_not_ship")
    other = experiment(BOUGHT, plan={**plan, "alpha": 0.1})
    assert "is of another plan" in bench.failure(other, "--look", "--earlier", saved)


def failure_of(bench: Bench, file: Path, body: Mapping[str, Any], *more: str | Path) -> str:
    result = run(file, "--experiment", bench.document(body), *OF_FILE, *EVENTS, *more)
    assert isinstance(result.exception, Failure), (result.output, result.exception)
    return str(result.exception)


def test_it_is_written_in_every_form(bench: Bench) -> None:
    given = (bench.file, "--experiment", bench.document(experiment(BOUGHT)), *OF_FILE, *EVENTS)
    for ending in ("json", "csv", "parquet", "ipynb", "html", "txt"):
        result = run(*given, "-o", bench.directory / f"out.{ending}")
        assert (result.exit_code, result.stdout) == (0, ""), result.exception
    assert verify_readout(json.loads((bench.directory / "out.json").read_bytes())) == []
    assert pq.read_table(bench.directory / "out.parquet").num_rows > 0
    assert "page" in (bench.directory / "out.html").read_text()
    assert "Sample ratio" in (bench.directory / "out.txt").read_text()


SOURCE = {
    "kind": "source",
    "key": "shop",
    "name": "Shop",
    "connection": "SHOP",
    "events": {
        "query": "SELECT user_id, happened, amount FROM buys WHERE amount > 0",
        "columns": {"unit": "user_id", "time": "happened", "value": "amount"},
        "name": "amount",
    },
    "exposures": {
        "table": "met",
        "columns": {"unit": "user_id", "time": "happened", "experiment": "test", "variant": "arm"},
    },
}


def test_a_warehouse_gives_what_the_file_gives(bench: Bench) -> None:
    path = bench.directory / "shop.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "CREATE TABLE met (user_id VARCHAR, happened TIMESTAMP, test VARCHAR, arm VARCHAR)"
        )
        connection.execute("CREATE TABLE buys (user_id VARCHAR, happened TIMESTAMP, amount DOUBLE)")
        keys = {text: key for key, text in ARMS.items()}
        for row in rows():
            at = row["at"].replace(tzinfo=None)
            if row.get("page"):
                connection.execute(
                    "INSERT INTO met VALUES (?, ?, 'page', ?)", [row["user"], at, keys[row["page"]]]
                )
            if row.get("amount"):
                connection.execute("INSERT INTO buys VALUES (?, ?, ?)", [row["user"], at, row["amount"]])
    stored = {"kind": "metric", "name": "Amount", **AMOUNT, "source": "shop"}
    definitions = bench.directory / "definitions.yaml"
    definitions.write_text(json.dumps([SOURCE, stored]))
    body = experiment({"metric": "amount"})
    given = (
        "--experiment",
        bench.document(body),
        "--definitions",
        definitions,
        "--as-of",
        "2026-03-01",
        "--json",
    )
    result = run(*given, EQUIPOISE_SOURCE_SHOP_URL=f"duckdb://{path}")
    assert result.exit_code == 0, (result.output, result.exception)
    there = json.loads(result.stdout)
    assert verify_readout(there) == []
    here = bench.readout(experiment(AMOUNT))
    assert sides(there, "amount") == {
        arm: pytest.approx(found) if isinstance(found, float) else almost(found)
        for arm, found in sides(here, "amount").items()
    }
    assert there["started_at"] == "2026-01-01T00:00:00Z"
    bench.document(body)
    assert "EQUIPOISE_SOURCE_SHOP_URL" in str(run(*given).exception)
    without = run("--experiment", bench.document(experiment(AMOUNT)), "--definitions", definitions)
    assert "amount names no source" in str(without.exception)
    lost = run("--experiment", bench.document(experiment({**AMOUNT, "source": "shop"})))
    assert "no definition of the source shop is given" in str(lost.exception)


def almost(found: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: pytest.approx(value, rel=1e-9)
        if isinstance(value, int | float | list) and name != "columns"
        else value
        for name, value in found.items()
    }


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ({}, ("--control", "old page"), "--control is what the --experiment says"),
        ({"variants": []}, (), "is no experiment as POST /v1/experiments takes it. /variants"),
        ({"metrics": [{"metric": "revenue"}]}, (), "no definition of the metrics revenue is given"),
        (
            {"metrics": [{**BOUGHT, "event": "paid"}]},
            (),
            r"No --event makes 'paid', which the metric bought is",
        ),
        ({"metrics": [{**BOUGHT, "source": "shop"}]}, (), "bought would be read from a source and not from"),
        ({}, ("--arm", "other=x"), "--arm names 'other'; the variants are: control, treatment"),
        ({}, ("--segment", "Country of birth"), "'Country of birth' is no name of a segment"),
        ({}, ("--covariate", "spend: before"), "--covariate names 'spend'; the metrics are: bought"),
        ({"metrics": [AMOUNT]}, ("--covariate", "amount: amount"), "have several values in column 'amount'"),
        ({}, ("--as-of", "yesterday"), "--as-of yesterday: this is no time"),
        ({}, ("--look",), "it has no looks"),
        ({"plan": {"targets": {"bought": {"margin": 0.1}}}}, (), "only a guardrail has a margin"),
        ({"unit_type": "user", "status": "draft"}, ("--event", "bought: amount"), "needs a name of its own"),
    ],
)
def test_what_does_not_fit_is_said(
    bench: Bench, change: dict[str, Any], arguments: tuple[str, ...], message: str
) -> None:
    assert re.search(message, bench.failure({**experiment(BOUGHT), **change}, *arguments))


def test_variants_that_nobody_planned_are_said(bench: Bench) -> None:
    lines = [*rows(), {"user": "x", "page": "third page", "at": START}]
    result = run(
        write(bench.directory / "third.csv", lines),
        *("--experiment", bench.document(experiment(BOUGHT)), *OF_FILE, *EVENTS),
    )
    assert "third page" in str(result.exception)
    assert isinstance(result.exception, Failure)


def test_an_answer_of_the_service_is_an_experiment_too(bench: Bench) -> None:
    answer = {**experiment(BOUGHT), "status": "running", "environment": "production", "revision": 3}
    assert bench.readout(answer)["experiment"] == "page"


def test_windows_need_times(bench: Bench) -> None:
    body = bench.document(experiment({**AMOUNT, "window_hours": 24}))
    timeless = ("--unit", "user", "--variant", "page", "--event", "amount: value(amount)")
    result = run(bench.file, "--experiment", body, *timeless)
    assert "the windows of amount need the times of the rows" in str(result.exception)


def test_a_file_without_times_has_no_days(bench: Bench) -> None:
    body = bench.document(experiment(BOUGHT))
    arms = OF_FILE[6:]
    timeless = ("--unit", "user", "--variant", "page", *arms, "--event", "bought: bought", "--json")
    readout = json.loads(run(bench.file, "--experiment", body, *timeless).stdout)
    assert readout["watermark"] is None
    assert "2000-01-01" not in json.dumps(readout)


def test_what_belongs_to_a_plan_or_to_a_file_is_not_taken_elsewhere(bench: Bench) -> None:
    quick = ("--variant", "page", "--control", "old page", "--metric", "bought: proportion(bought)")
    assert "--look belongs to an --experiment" in str(run(bench.file, *quick, "--look").exception)
    assert "Give --variant, --control and --metric" in str(run(bench.file).exception)
    assert "Name a file, or an --experiment" in str(run(*quick).exception)
    sources = run("--experiment", bench.document(experiment(BOUGHT)), "--unit", "user")
    assert "Columns are of a file" in str(sources.exception)


def test_every_option_is_documented_and_no_other() -> None:
    group = get_command(app)
    command = group.commands["analyze"]  # type: ignore[attr-defined] # a group has its commands by name
    options = {name for each in command.params for name in each.opts if name.startswith("--")}
    page = Path(__file__).parents[3] / "docs" / "how-to" / "analyse-without-a-service.md"
    assert set(re.findall(r"--[a-z][a-z-]*", page.read_text())) == options
