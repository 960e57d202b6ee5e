"""`equipoise analyze` and `equipoise verify`, as a person runs them, on real and on broken files."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.service.readouts.documents import converted
from typer.testing import CliRunner

from equipoise_service.cli import app
from equipoise_service.cli.failures import Failure
from equipoise_service.readouts.verification import verify_readout

DATA = Path(__file__).parents[4] / "shared" / "data"
LANDING_PAGE = DATA / "ab_data.csv.gz"
COOKIE_CATS = DATA / "cookie_cats.csv.gz"

SMALL = "user,arm,at,bought,spent\n" + "".join(
    f"{i},{'b' if i % 2 else 'control'},2026-01-01 00:00:{i % 60:02},{int(i % 5 == 0)},{i % 7}\n"
    for i in range(200)
)


def data(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"{path} is absent: the data have no stated licence and are not in the repository")
    return path


def run(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "100"})


def failure(*arguments: str | Path) -> str:
    result = run(*arguments)
    assert isinstance(result.exception, Failure), result.output
    return str(result.exception)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.csv"
    path.write_text(SMALL)
    return path


def analyze(path: Path, *more: str, metric: str = "bought: proportion(bought)") -> list[str | Path]:
    return [
        "analyze",
        path,
        "--unit",
        "user",
        "--variant",
        "arm",
        "--control",
        "control",
        "--metric",
        metric,
        *more,
    ]


def test_the_landing_page_experiment() -> None:
    path = data(LANDING_PAGE)
    options = ["--unit", "user_id", "--variant", "group", "--control", "control"]
    result = run("analyze", path, *options, "--metric", "converted: proportion(converted)", "--json")
    assert result.exit_code == 0, result.output
    readout = json.loads(result.stdout)
    assert verify_readout(readout) == []
    assert [(arm["variant"], arm["units"]) for arm in readout["arms"]] == [
        ("control", 144_300),
        ("treatment", 144_389),
    ]
    crossovers = readout["health"]["crossovers"]
    assert (crossovers["status"], crossovers["units"]) == ("warning", 1_895)
    assert sum(arm["units"] for arm in readout["arms"]) + crossovers["units"] == 290_584
    (comparison,) = readout["metrics"][0]["comparisons"]
    assert comparison["statistics"]["baseline"]["successes"] == 17_468
    assert comparison["statistics"]["variant"]["successes"] == 17_268
    assert comparison["difference"]["estimate"] == pytest.approx(-0.001460, abs=5e-7)
    assert comparison["difference"]["interval"] == pytest.approx([-0.00383, 0.00091], abs=5e-6)
    assert comparison["difference"]["p_value"] == pytest.approx(0.2280, abs=5e-5)
    assert readout["health"]["sample_ratio"]["p_value"] == pytest.approx(0.868, abs=5e-4)


def test_cookie_cats() -> None:
    path = data(COOKIE_CATS)
    options = ["--unit", "userid", "--variant", "version", "--control", "gate_30"]
    result = run("analyze", path, *options, "--metric", "retention_7: proportion(retention_7)", "--json")
    readout = json.loads(result.stdout)
    (comparison,) = readout["metrics"][0]["comparisons"]
    assert comparison["statistics"] == {
        "baseline": {"n": 44_700, "immature": 0, "successes": 8_502},
        "variant": {"n": 45_489, "immature": 0, "successes": 8_279},
    }
    assert 0.00155 <= comparison["difference"]["p_value"] <= 0.00156
    assert readout["health"]["sample_ratio"]["p_value"] == pytest.approx(0.00861, abs=5e-6)


def test_analyze_draws_for_people(small: Path) -> None:
    result = run(*analyze(small, "--metric", "spent: mean(spent)", "--time", "at"))
    assert result.exit_code == 0, result.output
    assert "small" in result.stdout.splitlines()[0]
    for part in ("do not differ detectably", "20 of 100", "100 units", "Sample ratio"):
        assert part in result.stdout


def test_shares_are_the_plan(small: Path) -> None:
    shares = ["--share", "control=0.9", "--share", "b=0.1", "--json"]
    readout = json.loads(run(*analyze(small, *shares)).stdout)
    assert [arm["expected_share"] for arm in readout["arms"]] == [0.9, pytest.approx(0.1)]
    assert readout["health"]["sample_ratio"]["status"] == "failed"
    assert readout["watermark"] is None


def test_time_gives_the_watermark(small: Path) -> None:
    readout = json.loads(run(*analyze(small, "--time", "at", "--json")).stdout)
    assert readout["watermark"] == "2026-01-01T00:00:59Z"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--metric", "x"], "--metric 'x' cannot be read. Write NAME: TYPE"),
        (["--metric", "x: median(bought)"], "--metric 'x: median.* cannot be read"),
        (["--metric", "bought: mean(spent)"], "--metric names 'bought' twice"),
        (["--metric", "x: mean(spend)"], "has no column 'spend'. Did you mean 'spent'"),
        (["--share", "control"], "--share 'control' cannot be read. Write NAME=SHARE"),
        (["--share", "control=2"], "--share 'control=2' cannot be read"),
        (["--share", "control=nan"], "--share 'control=nan' cannot be read"),
        (["--share", "control=0.5"], "The shares sum to 0.5. Name every variant"),
        (["--share", "control=0.5", "--share", "control=0.5"], "--share names 'control' twice"),
        (["--share", "b=1"], "The control 'control' is not in the planned shares"),
        (["--control", "old"], "The control 'old' is not in column 'arm' of .*: 'b', 'control'"),
        (["--unit", "account"], "has no column 'account'"),
        (["--time", "bought"], "has 200 values that are not times"),
    ],
)
def test_what_cannot_be_analysed_is_said(small: Path, arguments: list[str], message: str) -> None:
    assert re.search(message, failure(*analyze(small, *arguments)))


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    assert "There is no file" in failure(*analyze(tmp_path / "absent.csv"))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "readout.json"
    path.write_text(json.dumps(converted((100, 1_000), (130, 1_000))))
    return path


def test_verify_agrees_with_a_readout(saved: Path) -> None:
    result = run("verify", saved)
    assert result.exit_code == 0
    assert "agrees" in result.stdout
    assert json.loads(run("verify", saved, "--json").stdout) == {
        "agrees": True,
        "words_compared": True,
        "disagreements": [],
    }


def test_several_readouts_are_verified_at_once_and_the_one_that_was_edited_is_named(saved: Path) -> None:
    readout = json.loads(saved.read_text())
    readout["summary"] = "Ship it."
    edited = saved.with_name("edited.json")
    edited.write_text(json.dumps(readout))
    result = run("verify", saved, edited)
    assert result.exit_code == 1
    assert f"{saved} agrees" in result.stdout
    assert f"{edited} disagrees with its own statistics in 3 places" in result.stderr
    found = json.loads(run("verify", saved, edited, "--json").stdout)
    assert not found["agrees"]
    assert [(each["file"], each["agrees"]) for each in found["readouts"]] == [
        (str(saved), True),
        (str(edited), False),
    ]
    assert run("verify", saved, saved).exit_code == 0


def test_verify_says_which_number_was_edited(saved: Path) -> None:
    readout = json.loads(saved.read_text())
    readout["metrics"][0]["comparisons"][0]["difference"]["p_value"] = 0.01
    saved.write_text(json.dumps(readout))
    result = run("verify", saved)
    assert result.exit_code == 1
    assert (
        "/metrics/0/comparisons/0/difference/p_value: the readout says 0.01, recomputed 0.03" in result.stdout
    )
    found = run("verify", saved, "--json")
    assert found.exit_code == 1
    pointers = [each["pointer"] for each in json.loads(found.stdout)["disagreements"]]
    assert pointers == [
        "/metrics/0/comparisons/0/difference/p_value",
        "/digests/members/metrics",
        "/digests/metrics/0",
        "/digest",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b'{"a": NaN}', "NaN is no JSON number"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"schema": "equipoise.readout/2"}', r"is not a readout of schema equipoise\.readout/2"),
        (None, "cannot be read"),
    ],
)
def test_what_verify_cannot_read_is_said(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "file.json"
    if content is not None:
        path.write_bytes(content)
    assert re.search(message, failure("verify", path))
