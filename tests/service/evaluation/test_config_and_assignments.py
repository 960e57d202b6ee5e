import json
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlmodel import select

from equipoise import evaluate
from equipoise.configuration import load
from equipoise_service.evaluation import publication
from equipoise_service.evaluation.models import PublishedConfiguration

PATH = "/v1/experiments/new-landing-page"


def started(client: TestClient, payload: Any, **changes: Any) -> None:
    assert client.post("/v1/experiments", json=payload(**changes)).status_code == 201
    assert client.post(f"{PATH}/start").status_code == 200


def test_the_configuration_has_a_strong_etag_that_changes_with_the_version(
    client: TestClient, payload: Any
) -> None:
    first = client.get("/v1/config")
    assert first.headers["ETag"].startswith('"')
    again = client.get("/v1/config", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    client.post("/v1/experiments", json=payload())
    after = client.get("/v1/config", headers={"If-None-Match": first.headers["ETag"]})
    assert after.status_code == 200
    assert after.headers["ETag"] != first.headers["ETag"]
    assert after.json()["version"] == first.json()["version"] + 1


def test_what_does_not_change_the_document_publishes_nothing(client: TestClient, payload: Any) -> None:
    client.post("/v1/experiments", json=payload())
    before = client.get("/v1/config").headers["ETag"]
    etag = client.get(PATH).headers["ETag"]
    client.patch(PATH, json={"hypothesis": "Another"}, headers={"If-Match": etag})
    client.post("/v1/keys", json={"name": "n", "scopes": ["read"]})
    assert client.get("/v1/config").headers["ETag"] == before


def test_the_document_holds_nothing_secret(client: TestClient, payload: Any) -> None:
    client.post("/v1/experiments", json=payload())
    text = client.get("/v1/config").text
    assert payload()["hypothesis"] not in text
    assert "converted" not in text


def test_http_and_local_evaluation_agree(client: TestClient, payload: Any) -> None:
    started(client, payload, traffic=7000)
    units = [f"unit-{index}" for index in range(2000)] + ["ünï", "0", "a:b", " "]
    answer = client.post("/v1/assignments", json={"flag": "new-landing-page", "units": units}).json()
    configuration = load(client.get("/v1/config").content)
    assert answer["version"] == configuration.version
    for unit, assigned in zip(units, answer["assignments"], strict=True):
        local = evaluate(configuration, "new-landing-page", unit)
        assert assigned == {
            "unit": unit,
            "experiment": local.experiment,
            "variant": local.variant,
            "value": local.value,
            "reason": local.reason,
            "revision": local.revision,
        }
    assert {each["reason"] for each in answer["assignments"]} == {"SPLIT", "DEFAULT"}


def test_one_unit(client: TestClient, payload: Any) -> None:
    started(client, payload)
    answer = client.post("/v1/assignments", json={"flag": "new-landing-page", "unit": "u1"})
    (only,) = answer.json()["assignments"]
    assert (only["unit"], only["experiment"], only["revision"]) == ("u1", "new-landing-page", 1)


@pytest.mark.parametrize(("moves", "reason"), [([], "DISABLED"), (["start", "pause"], "DISABLED")])
def test_an_experiment_that_does_not_run_serves_the_control(
    client: TestClient, payload: Any, moves: list[str], reason: str
) -> None:
    client.post("/v1/experiments", json=payload())
    for move in moves:
        client.post(f"{PATH}/{move}")
    body = {"flag": "new-landing-page", "units": [f"u{i}" for i in range(50)]}
    for each in client.post("/v1/assignments", json=body).json()["assignments"]:
        assert (each["experiment"], each["value"], each["reason"]) == (None, "old", reason)


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        (b"{", 400, None),
        (b"\xff\xfe", 400, None),
        (b'{"flag": "f", "unit": NaN}', 400, None),
        (b"[]", 422, ""),
        (b"{}", 422, ""),
        (b'{"flag": "f"}', 422, ""),
        (b'{"flag": "f", "unit": "u", "units": ["u"]}', 422, ""),
        (b'{"flag": "f", "unit": 7}', 422, "/unit"),
        (b'{"flag": "f", "unit": ""}', 422, "/unit"),
        (b'{"flag": "f", "unit": "a\\u0000b"}', 422, "/unit"),
        (b'{"flag": "f", "units": []}', 422, "/units"),
        (b'{"flag": "f", "units": ["a", 1]}', 422, "/units/1"),
        (b'{"flag": "f", "surprise": 1}', 422, ""),
        (json.dumps({"flag": "f", "unit": "x" * 10_000}).encode(), 422, "/unit"),
        (json.dumps({"flag": "f", "units": ["x"] * 10_001}).encode(), 422, "/units"),
        (b'{"flag": "none", "unit": "u"}', 404, None),
    ],
)
def test_bad_requests_have_a_clear_answer(
    client: TestClient, body: bytes, status: int, pointer: str | None
) -> None:
    answer = client.post("/v1/assignments", content=body)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    if pointer is not None:
        assert [each["pointer"] for each in answer.json()["errors"]] == [pointer]


def test_old_versions_are_forgotten_and_the_present_one_stays(
    client: TestClient, payload: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publication, "KEPT_VERSIONS", 3)
    started(client, payload)
    for move in ("pause", "resume") * 5:
        assert client.post(f"{PATH}/{move}").status_code == 200
    present = client.get("/v1/config").json()["version"]
    with client.app.state.database.read() as session:  # type: ignore[attr-defined]
        kept = sorted(session.exec(select(PublishedConfiguration.version)).all())
    assert kept == [present - 3, present - 2, present - 1, present]
