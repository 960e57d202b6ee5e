"""`equipoise apply`, `export` and `source test`, as they are typed, against a real service."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.service.running import RunningService, command, running_service

from equipoise_service.cli.definitions.api import Api
from equipoise_service.cli.definitions.files import read_files, written
from equipoise_service.cli.definitions.kinds import KINDS
from equipoise_service.cli.definitions.planning import Action, carry_out, make_steps
from equipoise_service.cli.failures import Failure

FILE = """
kind: metric
key: revenue
name: Revenue per user
type: mean
event: order
source: shop
window_hours: 168
---
kind: source
key: shop
name: Shop
connection: SHOP
events:
  table: orders
  columns: {unit: u, time: t, value: v}
  name: order
  time_zone: UTC
---
kind: segment
key: everywhere
name: Both
condition: {any: [{segment: dach}, {attribute: beta, operator: equals, value: true}]}
---
kind: segment
key: dach
name: DACH
condition: {attribute: country, operator: in, value: [DE, "NO", AT]}
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    directory = tmp_path_factory.mktemp("definitions")
    warehouse = directory / "shop.duckdb"
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute(
            "CREATE TABLE orders AS SELECT 'a' AS u, TIMESTAMPTZ '2026-01-31 12:00:00Z' AS t, 1 AS v"
        )
    with running_service(directory, EQUIPOISE_SOURCE_SHOP_URL=f"duckdb://{warehouse}") as service:
        yield service


@pytest.fixture
def service(running: RunningService) -> RunningService:
    """The service, without definitions."""
    for path in ("/v1/metrics", "/v1/segments", "/v1/sources"):
        items = running.request("GET", f"{path}?limit=500").json()["items"]
        for each in sorted(items, key=lambda each: "segment" not in str(each.get("condition"))):
            if path == "/v1/metrics" and each["archived_at"] is None:
                running.request("POST", f"{path}/{each['key']}/archive?in_use=true")
            elif path == "/v1/segments":
                running.request("DELETE", f"{path}/{each['key']}")
    return running


def equipoise(
    service: RunningService, directory: Path, *arguments: str, key: str = ""
) -> tuple[int, str, str]:
    started = command(
        *arguments, directory=directory, EQUIPOISE_URL=service.url, EQUIPOISE_KEY=key or service.key
    )
    out, err = started.communicate(timeout=60)
    return started.returncode, out, err


def test_from_a_file_to_the_service_and_back(service: RunningService, tmp_path: Path) -> None:
    file = tmp_path / "metrics.yaml"
    file.write_text(FILE)
    planned = equipoise(service, tmp_path, "apply", "-f", str(file), "--plan")
    assert planned[0] == 3, planned
    status, out, err = equipoise(service, tmp_path, "apply", "-f", str(file))
    assert (status, "say --yes" in err) == (2, True)
    assert service.request("GET", "/v1/segments/dach").status_code == 404
    status, out, err = equipoise(service, tmp_path, "apply", "-f", str(file), "--yes")
    assert status == 0, err
    assert "create metric revenue" in out or "restore metric revenue" in out
    assert "Applied 4 of 4." in out or "Applied 3 of 3." in out
    segment = service.request("GET", "/v1/segments/dach").json()
    assert segment["condition"]["value"] == ["DE", "NO", "AT"]
    version = service.request("GET", "/v1/metrics/revenue").json()["version"]
    status, out, _ = equipoise(service, tmp_path, "apply", "-f", str(file), "--yes")
    assert (status, out) == (0, "4 unchanged.\n")
    assert service.request("GET", "/v1/metrics/revenue").json()["version"] == version
    for extra in ((), ("--json",)):
        status, out, err = equipoise(service, tmp_path, "export", *extra)
        assert status == 0, err
        exported = tmp_path / "exported"
        exported.write_text(out)
        status, out, err = equipoise(service, tmp_path, "apply", "-f", str(exported), "--yes", "--prune")
        assert (status, out) == (0, "4 unchanged.\n"), err
    file.write_text(FILE.replace("window_hours: 168", "window_hours: 24"))
    status, out, err = equipoise(service, tmp_path, "apply", "-f", str(file), "--yes")
    assert "~ change metric revenue\n    window_hours: 168 -> 24\n1 to change, 3 unchanged." in out
    assert service.request("GET", "/v1/metrics/revenue").json()["version"] == version + 1


def test_only_prune_takes_away_and_it_says_what_is_used(service: RunningService, tmp_path: Path) -> None:
    file = tmp_path / "metrics.yaml"
    file.write_text(
        "[{kind: metric, key: used, name: U, type: mean, event: e}, "
        "{kind: metric, key: stays, name: S, type: mean, event: e}]"
    )
    assert equipoise(service, tmp_path, "apply", "-f", str(file), "--yes")[0] == 0
    experiment = {
        "key": "page",
        "name": "Page",
        "variants": [{"key": "a", "control": True}, {"key": "b"}],
        "metrics": [{"metric": "used"}],
    }
    assert service.request("POST", "/v1/experiments", json=experiment).status_code == 201
    file.write_text("{kind: metric, key: stays, name: S, type: mean, event: e}")
    assert "1 unchanged." in equipoise(service, tmp_path, "apply", "-f", str(file), "--yes")[1]
    status, out, err = equipoise(service, tmp_path, "apply", "-f", str(file), "--yes", "--prune")
    assert status == 0, err
    assert "- archive metric used, which page uses\n1 to archive, 1 unchanged." in out
    assert service.request("GET", "/v1/metrics/used").json()["archived_at"] is not None
    file.write_text("{kind: metric, key: used, name: New, type: mean, event: e}")
    status, out, err = equipoise(service, tmp_path, "apply", "-f", str(file), "--yes")
    assert "~ restore metric used" in out, err
    restored = service.request("GET", "/v1/metrics/used").json()
    assert (restored["archived_at"], restored["name"]) == (None, "New")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: flag", "kind is 'flag'"),
        ("- 5", "a document is a mapping"),
        ("{kind: metric, key: a, name: A, type: mean}", "document 1: event: Field required"),
        ("{kind: metric, key: a, name: A, type: mean, event: e, evnt: x}", "evnt: Extra inputs"),
        ("a: &a [x]\nb: *a", "aliases are not taken"),
        ("!!python/object/apply:os.system ['true']", "neither YAML nor JSON"),
        ("{kind: [", "neither YAML nor JSON"),
        ("[" * 5000, "nests too deeply"),
        (
            "[{kind: metric, key: a, name: A, type: mean, event: e}, "
            "{kind: metric, key: a, name: B, type: mean, event: e}]",
            "stands in",
        ),
    ],
)
def test_a_file_that_cannot_be_taken_is_refused_in_words(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "metrics.yaml"
    file.write_text(text)
    with pytest.raises(Failure) as refused:
        read_files([file])
    assert said in str(refused.value)


def test_deep_nesting_is_refused_whatever_the_depth_that_python_allows(tmp_path: Path) -> None:
    file = tmp_path / "metrics.yaml"
    file.write_text("kind: " + "[" * 300 + "]" * 300)
    allowed = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)
    try:
        with pytest.raises(Failure, match="nests too deeply, more than 50 levels"):
            read_files([file])
    finally:
        sys.setrecursionlimit(allowed)


def test_what_somebody_changed_meanwhile_is_not_overwritten(service: RunningService, tmp_path: Path) -> None:
    file = tmp_path / "metrics.yaml"
    file.write_text("{kind: metric, key: contested, name: A, type: mean, event: e}")
    api = Api(service.url, service.key)
    for step in make_steps(api, read_files([file]), prune=False):
        carry_out(api, step)
    file.write_text("{kind: metric, key: contested, name: Mine, type: mean, event: e}")
    (step,) = make_steps(api, read_files([file]), prune=False)
    assert step.action is Action.CHANGE
    etag = service.request("GET", "/v1/metrics/contested").headers["ETag"]
    theirs = {"name": "Theirs"}
    answer = service.request("PATCH", "/v1/metrics/contested", json=theirs, headers={"If-Match": etag})
    assert answer.status_code == 200
    with pytest.raises(Failure, match="changed since you read it"):
        carry_out(api, step)
    assert service.request("GET", "/v1/metrics/contested").json()["name"] == "Theirs"


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)
NAMES = TEXT.filter(lambda text: len(text) > 0) | st.sampled_from(
    ["yes", "no", "null", "~", "1.0", "2026-01-31", "- x", "a: b", "#", "'", '"', "|", "\n", "\u2028", "é"]
)
CONDITIONS = st.builds(
    lambda property, value: {"property": property, "operator": "equals", "value": value},
    st.sampled_from(["plan", "no", "null"]),
    TEXT | st.booleans() | st.floats(allow_nan=False, allow_infinity=False),
)
COVARIATES = st.fixed_dictionaries(
    {"event": NAMES, "pre_period_days": st.integers(1, 366)},
    optional={
        "aggregation": st.sampled_from(["sum", "count", "maximum", "last"]),
        "filters": st.lists(CONDITIONS, max_size=3),
    },
)
METRICS = st.fixed_dictionaries(
    {"kind": st.just("metric"), "name": NAMES, "type": st.just("mean"), "event": NAMES},
    optional={
        "description": TEXT,
        "aggregation": st.sampled_from(["sum", "count", "maximum", "last"]),
        "filters": st.lists(CONDITIONS, max_size=3),
        "window_hours": st.none() | st.integers(25, 8784),
        "delay_hours": st.integers(0, 24),
        "winsorize": st.none() | st.floats(0.5, 0.999),
        "pre_period_days": st.none() | st.integers(1, 366),
        "covariate": st.none() | COVARIATES,
        "role": st.sampled_from(["success", "guardrail"]),
        "direction": st.sampled_from(["increase", "decrease"]),
    },
).filter(lambda metric: not (metric.get("pre_period_days") and metric.get("covariate")))
SEGMENTS = st.fixed_dictionaries(
    {"kind": st.just("segment"), "name": NAMES},
    optional={"description": TEXT},
).flatmap(
    lambda base: st.one_of(
        TEXT.map(lambda v: {**base, "condition": {"attribute": "a", "operator": "equals", "value": v}}),
        st.lists(NAMES, max_size=4).map(lambda ids: {**base, "ids": ids}),
        st.lists(NAMES, max_size=4).map(lambda ids: {**base, "attribute": "team", "ids": ids}),
    )
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(
    documents=[
        {"kind": "metric", "name": " \x85 ", "type": "mean", "event": "\x85", "description": "a\x85b"}
    ],
    as_json=False,
)
@given(documents=st.lists(METRICS | SEGMENTS, min_size=1, max_size=5), as_json=st.booleans())
def test_applying_an_export_changes_nothing(
    running: RunningService, tmp_path: Path, documents: list[dict[str, Any]], as_json: bool
) -> None:
    given = [{**each, "key": f"{each['kind']}-{i}"} for i, each in enumerate(documents)]
    file = tmp_path / "given.json"
    file.write_text(json.dumps(given))
    api = Api(running.url, running.key)
    for step in make_steps(api, read_files([file]), prune=True):
        if step.action in (Action.CHANGE,) and step.kind.name == "segment":
            # A segment of ids stays one.
            api.send("DELETE", f"{step.kind.path}/{step.key}")
            api.create(step.kind.path, {k: v for k, v in (step.after or {}).items() if v is not None})
            continue
        carry_out(api, step)
    found = {
        name: {
            body["key"]: kind.normal(kind.of_service(api, body))
            for body in api.all(kind.path)
            if body.get("archived_at") is None
        }
        for name, kind in KINDS.items()
    }
    exported = tmp_path / "exported"
    exported.write_text(written(found, as_json=as_json), encoding="utf-8")
    again = make_steps(api, read_files([exported]), prune=True)
    assert [step.key for step in again if step.action is not Action.UNCHANGED] == []
    assert {each["key"] for each in given} <= {step.key for step in again}
    if not as_json:
        assert all("kind" in each for each in yaml.safe_load_all(exported.read_text(encoding="utf-8")))


def test_a_source_is_tested_from_the_command_line(service: RunningService, tmp_path: Path) -> None:
    file = tmp_path / "sources.yaml"
    good = FILE.split("---")[1]
    file.write_text(f"{good}---{good.replace('key: shop', 'key: wrong').replace('unit: u', 'unit: uu')}")
    assert equipoise(service, tmp_path, "apply", "-f", str(file), "--yes")[0] == 0
    status, out, err = equipoise(service, tmp_path, "source", "test", "shop")
    assert status == 0, err
    assert "The source shop on duckdb can be read" in out
    assert "Events: 1 rows of 1 units, 2026-01-31T12:00:00+00:00" in out
    status, out, _ = equipoise(service, tmp_path, "source", "test", "wrong")
    assert status == 1
    assert "error: /events/columns/unit: there is no column uu." in out
    assert equipoise(service, tmp_path, "source", "test", "nothing")[0] == 2
    assert json.loads(equipoise(service, tmp_path, "source", "test", "shop", "--json")[1])["ok"] is True


def test_a_source_that_a_started_experiment_reads_changes_with_a_reason(
    service: RunningService, tmp_path: Path
) -> None:
    file = tmp_path / "sources.yaml"
    definition = FILE.split("---")[1].replace("shop\n", "read\n", 1)
    file.write_text(definition)
    assert equipoise(service, tmp_path, "apply", "-f", str(file), "--yes")[0] == 0
    experiment = {
        "key": "reads-it",
        "name": "Page",
        "variants": [{"key": "a", "control": True}, {"key": "b"}],
        "metrics": [{"key": "m", "type": "mean", "event": "order", "source": "read"}],
    }
    assert service.request("POST", "/v1/experiments", json=experiment).status_code == 201
    # Before the start there is nothing that could deviate.
    file.write_text(definition.replace("name: order", "name: purchase"))
    status, out, err = equipoise(service, tmp_path, "apply", "-f", str(file), "--yes")
    assert (status, "recorded" in out) == (0, False), err
    assert service.request("POST", "/v1/experiments/reads-it/start").status_code == 200
    file.write_text(definition)
    planned = equipoise(service, tmp_path, "apply", "-f", str(file), "--plan")
    assert planned[0] == 3, planned
    assert "    recorded in the readouts of reads-it in production; needs --reason\n" in planned[1]
    status, _, err = equipoise(service, tmp_path, "apply", "-f", str(file), "--yes")
    assert (status, "Nothing was changed" in err, "--reason" in err) == (2, True, True), err
    assert service.request("GET", "/v1/sources/read").json()["events"]["name"] == "purchase"
    arguments = ("apply", "-f", str(file), "--yes", "--reason", "Renamed there.")
    status, out, err = equipoise(service, tmp_path, *arguments)
    assert status == 0, err
    assert "    recorded in the readouts of reads-it in production; because: Renamed there.\n" in out
    assert service.request("GET", "/v1/sources/read").json()["events"]["name"] == "order"
    history = service.request("GET", "/v1/experiments/reads-it/history").json()
    told = [each["text"] for each in history if each["kind"] == "deviated"]
    assert told == ["/sources/read/events/name: Renamed there."]
    # Who it is called by others is nobody's reason.
    file.write_text(definition.replace("name: Shop", "name: The shop"))
    status, out, err = equipoise(service, tmp_path, "apply", "-f", str(file), "--yes")
    assert (status, "recorded" in out) == (0, False), err
