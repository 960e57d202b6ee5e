"""Exports over HTTP: made of the stored readout, drawn beside the service, and known again by their ETags."""

import io
import json
import os
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import nbformat
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient
from sqlmodel import select

from equipoise_service.exports.making import Export
from equipoise_service.exports.report.report import html_of
from equipoise_service.exports.tables import csv_of
from equipoise_service.figures import installed
from equipoise_service.readouts.models import StoredReadout
from equipoise_service.readouts.reading import readout_of

URL = "/v1/experiments/new-landing-page"


@pytest.fixture
def running(client: TestClient, payload: Any) -> TestClient:
    metrics = [{"key": "converted", "type": "proportion", "event": "converted"}]
    assert client.post("/v1/experiments", json=payload(metrics=metrics)).status_code == 201
    assert client.post(f"{URL}/start").status_code == 200
    now = datetime.now(UTC) - timedelta(minutes=5)
    exposures = [
        {
            "id": str(uuid.uuid4()),
            "time": now.isoformat(),
            "unit": f"{variant}{i}",
            "experiment": "new-landing-page",
            "variant": variant,
        }
        for variant in ("control", "treatment")
        for i in range(30)
    ]
    events = [
        {
            "id": str(uuid.uuid4()),
            "time": (now + timedelta(minutes=1)).isoformat(),
            "unit": f"{variant}{i}",
            "name": "converted",
        }
        for variant, hits in (("control", 9), ("treatment", 12))
        for i in range(hits)
    ]
    assert client.post("/v1/events", json={"exposures": exposures, "events": events}).status_code == 200
    return client


def asked(client: TestClient, form: str, **more: Any) -> Any:
    return client.get(f"{URL}/readout/export", params={"format": form, **more})


def test_every_form_is_made_of_the_stored_readout(running: TestClient) -> None:
    assert asked(running, "csv").json()["status"] == 409
    document = running.get(f"{URL}/readout?wait=60").json()
    csv = asked(running, "csv")
    assert csv.content == csv_of(readout_of(document))
    assert csv.headers["content-type"] == "text/csv; charset=utf-8"
    assert csv.headers["content-disposition"] == 'attachment; filename="new-landing-page-1.csv"'
    assert csv.headers["content-security-policy"].startswith("sandbox")
    table = pq.read_table(io.BytesIO(asked(running, "parquet").content))
    assert table.schema.metadata[b"readout"].decode() == document["digest"]
    nbformat.validate(asked(running, "notebook").json())
    assert asked(running, "html").text == html_of(document)
    svg = asked(running, "svg", figure="sample-ratio")
    assert (svg.status_code, svg.headers["content-type"]) == (200, "image/svg+xml")
    assert svg.text.startswith("<svg")
    assert asked(running, "png", figure="sample-ratio").content.startswith(b"\x89PNG")


def test_figures_are_drawn_by_another_process_that_ends_with_the_service(running: TestClient) -> None:
    running.get(f"{URL}/readout?wait=60")
    drawing: Any = running.app.state.drawing  # type: ignore[attr-defined]
    assert asked(running, "parquet").status_code == 200
    assert not drawing._pool
    assert asked(running, "svg", figure="sample-ratio").status_code == 200
    [process] = drawing._pool._processes
    assert process != os.getpid()
    os.kill(process, 9)
    again = [asked(running, "svg", figure="sample-ratio").status_code for _ in range(2)]
    assert again[-1] == 200
    [process] = drawing._pool._processes.values()
    drawing.close()
    process.join(10)
    assert not process.is_alive()


def test_an_export_is_known_again_and_those_of_other_forms_are_not(running: TestClient) -> None:
    running.get(f"{URL}/readout?wait=60")
    etag = asked(running, "csv").headers["etag"]
    for form, status in (("csv", 304), ("parquet", 200)):
        answer = running.get(
            f"{URL}/readout/export", params={"format": form}, headers={"If-None-Match": etag}
        )
        assert answer.status_code == status


def test_a_readout_of_another_release_is_said_to_be_that(running: TestClient) -> None:
    document = running.get(f"{URL}/readout?wait=60").json()
    del document["population"]
    database: Any = running.app.state.database  # type: ignore[attr-defined]
    with database.write() as session:
        stored = session.exec(select(StoredReadout)).one()
        stored.body = json.dumps(document).encode()
        session.add(stored)
    for form in ("csv", "html"):
        answer = asked(running, form)
        assert answer.status_code == 409
        assert "?wait=60" in answer.json()["detail"]
    assert running.get(f"{URL}/readout?wait=60").status_code == 200
    assert asked(running, "csv").status_code == 200


def test_no_name_gets_into_a_header(running: TestClient) -> None:
    running.get(f"{URL}/readout?wait=60")
    answer = running.get(
        f"{URL}/readout/export",
        params={"format": "svg", "figure": 'x"\r\nSet-Cookie: \u0142'},
        headers={"If-None-Match": "*"},
    )
    assert answer.status_code == 304
    assert "%22%0D%0ASet-Cookie%3A%20%C5%82" in answer.headers["etag"]


def test_what_there_is_not_is_said(running: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    running.get(f"{URL}/readout?wait=60")
    for params in ({"figure": 'x"\r\ny'}, {"figure": "beliefs"}):
        answer = asked(running, "svg", **params)
        assert (answer.status_code, answer.json()["status"]) == (404, 404)
    assert asked(running, "pdf").status_code == 422
    assert running.get("/v1/experiments/other/readout/export?format=csv").status_code == 404
    monkeypatch.setattr(installed, "find_spec", lambda _: None)
    answer = asked(running, Export.HTML)
    assert answer.status_code == 409
    assert "equipoise-service[figures]" in answer.json()["detail"]


@pytest.mark.parametrize("form", ["svg", "png"])
def test_a_picture_of_no_figure_says_which_parameter_is_missing(running: TestClient, form: str) -> None:
    refused = asked(running, form)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "query/figure"
    assert "say which" in refused.json()["detail"]
