"""Every engine of Ibis: on which a source may be, why on others not, and what is said of each."""

import logging
import re
from dataclasses import replace
from datetime import UTC
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.operations as ops
import pyarrow as pa
import pytest
import sqlglot
from fastapi.testclient import TestClient
from ibis.backends.sql import SQLBackend, compilers
from tests.service.analysis.test_metrics import ADJUSTED, AS_OF, DEFINITIONS, named
from tests.service.sources.warehouses import source

from equipoise_service.analysis.properties import read_property
from equipoise_service.analysis.requests import Bots, Identity, Segment, StoreRequest
from equipoise_service.analysis.store import analyse_tables
from equipoise_service.plans.documents import PlannedMetric
from equipoise_service.sources.engines import ENGINES, KEPT_OUT
from equipoise_service.sources.mapping import event_table, exposure_table
from equipoise_service.sources.schemas import Events, Exposures

NAMES = sorted({name.replace("postgresql", "postgres") for name in ENGINES})
REFERENCE = Path(__file__).parents[3] / "docs/reference/sources.md"
# Nobody has such an engine here: what is said to it is looked at. The others' tests run on them.
UNSEEN = ["athena", "bigquery", "databricks", "snowflake", "trino"]


def has_driver(name: str) -> bool:
    try:
        import_module(f"ibis.backends.{name}")
    except ImportError:
        return False
    return True


def test_every_engine_of_ibis_is_admitted_or_kept_out_for_a_reason_that_is_documented() -> None:
    known = {each.name for each in entry_points(group="ibis.backends")}
    assert known == {*NAMES, *KEPT_OUT}
    documented = REFERENCE.read_text()
    for name in known:
        assert f"`{name}" in documented, name


@pytest.mark.parametrize("name", [name for name in NAMES if not has_driver(name)])
def test_where_a_driver_is_not_installed_the_test_names_the_package(
    client: TestClient, name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    url = f"{name}://someone:hunter2@warehouse.internal/shop?access_token=hunter3&s3_staging_dir=s3://hunter4"
    monkeypatch.setenv("EQUIPOISE_SOURCE_SHOP_URL", url)
    assert client.post("/v1/sources", json=source()).status_code == 201
    answer = client.post("/v1/sources/warehouse/test")
    (finding,) = answer.json()["findings"]
    assert (finding["code"], finding["pointer"]) == ("no-driver", "/connection")
    assert f'pip install "ibis-framework[{name}]"' in finding["message"]
    assert "hunter" not in answer.text + caplog.text


@pytest.mark.parametrize("name", KEPT_OUT)
def test_why_an_engine_is_kept_out_is_said(
    client: TestClient, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EQUIPOISE_SOURCE_SHOP_URL", f"{name}://someone:hunter2@warehouse.internal")
    refused = client.post("/v1/sources", json=source())
    assert refused.status_code == 422
    assert KEPT_OUT[name] in refused.json()["detail"]
    assert "hunter2" not in refused.text


@pytest.mark.parametrize("name", ["materialize", "postgresql"])
def test_what_cannot_be_reached_loses_its_credentials(
    client: TestClient, name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("EQUIPOISE_SOURCE_SHOP_URL", f"{name}://someone:hunter2@127.0.0.1:1/shop")
    assert client.post("/v1/sources", json=source()).status_code == 201
    answer = client.post("/v1/sources/warehouse/test")
    assert answer.json()["findings"][0]["code"] == "no-connection"
    assert "hunter2" not in answer.text + caplog.text


class Listener(SQLBackend):  # type: ignore[misc]
    """An engine that nobody has: it writes down what Ibis would say to it, and answers with nothing."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name, self.compiler = name, getattr(compilers, name).compiler
        self.said: list[str] = []

    def table_of(self, name: str, **types: str) -> Any:
        return ops.DatabaseTable(name, ibis.schema(types), self, ops.Namespace(None, None)).to_expr()

    def to_pyarrow(self, query: Any, **_: Any) -> pa.Table:
        statement = str(self.compile(query))
        assert sqlglot.parse_one(statement, read=ENGINES[self.name].dialect)
        self.said.append(statement)
        names = query.columns
        if {"variant", "first"} & set(names):
            return pa.table({name: [] for name in names})
        return pa.table({name: [None if name == "watermark" else 0] for name in names})

    def __getattribute__(self, name: str) -> Any:
        if name in ("_register_udfs", "_run_pre_execute_hooks"):
            return lambda _: None
        return super().__getattribute__(name)

    def _unasked(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("nobody asks for it")

    create_table = do_connect = get_schema = list_tables = disconnect = _unasked
    _get_schema_using_query = _register_in_memory_table = _unasked
    version = ""


@pytest.mark.slow
@pytest.mark.parametrize("name", UNSEEN)
def test_ibis_can_say_all_of_a_readout_where_an_engine_computes(name: str) -> None:
    assert ENGINES[name].computes
    engine = Listener(name)
    columns = {"unit": "u", "time": "t", "unit_type": "k"}
    orders = engine.table_of("orders", u="string", t="timestamp", k="string", v="float64", p="string")
    met = engine.table_of("met", u="string", t="timestamp", k="string", test="string", arm="string")
    events = Events.model_validate(
        {"table": "orders", "name": "buy", "columns": {**columns, "value": "v", "properties": "p"}}
    )
    exposures = Exposures.model_validate(
        {"table": "met", "columns": {**columns, "experiment": "test", "variant": "arm"}}
    )
    facts = exposure_table(met, exposures, "a/b", 2), event_table(orders, events, "a/b")
    metrics = [named(each, i) for i, each in enumerate([*DEFINITIONS, *ADJUSTED])]
    measures = tuple(PlannedMetric.model_validate(each).measure for each in metrics)
    plain = StoreRequest("a/b", "exp", 2, "user", measures, AS_OF.replace(tzinfo=UTC))
    analyse_tables(engine, *facts, plain)
    asked = replace(
        plain,
        measures=measures[:2],
        segments=(Segment("country", "see", "country"),),
        bots=Bots(most_events=4),
        identity=Identity("device", "user", "see", "country"),
    )
    analyse_tables(engine, *facts, asked)
    assert len(engine.said) > 6


READS = {
    "athena": ["JSON_EXTRACT(p, '$.plan')", "JSON_EXTRACT_SCALAR(p, '$.plan')"],
    "bigquery": ["JSON_EXTRACT(p, '$.plan')", "JSON_EXTRACT_SCALAR(p, '$.plan')"],
    "databricks": ["TRY_VARIANT_GET(TRY_PARSE_JSON(p), '$.plan', 'variant')"],
    "snowflake": ["TO_JSON(GET(TRY_PARSE_JSON(p), 'plan'))"],
    "trino": ["JSON_FORMAT(JSON_EXTRACT(p, '$.plan'))", "JSON_EXTRACT_SCALAR(p, '$.plan')"],
}


@pytest.mark.parametrize("name", UNSEEN)
def test_a_property_is_taken_out_of_its_document_there(name: str) -> None:
    engine = Listener(name)
    given = read_property(engine.table_of("events", properties="string"), "plan")
    types = {"text": given.text, "number": given.number, "truth": given.truth}
    for kind, value in types.items():
        statement = str(engine.compile(value.as_table()))
        assert sqlglot.parse_one(statement, read=ENGINES[name].dialect)
        plain = re.sub(r'["`]t0["`].["`]properties["`]', "p", " ".join(statement.split()))
        for reads in READS[name]:
            assert reads in plain or kind != "text", plain
        assert "plan" in plain


@pytest.mark.parametrize(
    ("name", "writes"), [("athena", "JSON_FORMAT"), ("bigquery", "TO_JSON_STRING"), ("trino", "JSON_FORMAT")]
)
def test_documents_are_written_where_they_cannot_be_cast(name: str, writes: str) -> None:
    engine = Listener(name)
    orders = engine.table_of("orders", u="string", t="timestamp", p="json")
    events = Events.model_validate(
        {"table": "orders", "name": "buy", "columns": {"unit": "u", "time": "t", "properties": "p"}}
    )
    assert writes in str(engine.compile(event_table(orders, events, "a/b")))
