import json
import re
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import Request
from fastapi.testclient import TestClient
from sqlmodel import Session

from equipoise_service.accounts import repository
from equipoise_service.accounts.principals import Principals, Scope
from equipoise_service.accounts.schemas import KeyIn
from equipoise_service.accounts.service import make_key, revoke_key
from equipoise_service.database import Database
from equipoise_service.errors import Unauthenticated
from equipoise_service.resources import open_database
from equipoise_service.settings import Settings


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    with open_database(settings) as database:
        yield database


def make(client: TestClient, **changes: Any) -> Any:
    payload = {"name": "backend", "scopes": ["evaluate"], **changes}
    return client.post("/v1/keys", json=payload)


def test_a_key_is_shown_once_and_stored_hashed(client: TestClient, settings: Settings) -> None:
    made = make(client).json()
    text = made["key"]
    assert re.fullmatch(r"eq_[0-9a-f]{16}_[0-9a-f]{64}", text)
    listed = client.get("/v1/keys").json()["items"]
    assert made["id"] in {each["id"] for each in listed}
    assert all("key" not in each for each in listed)
    secret = text.split("_")[2].encode()
    client.app.state.database.close()  # type: ignore[attr-defined]
    for file in Path(settings.data_dir).iterdir():
        assert secret not in file.read_bytes(), f"the secret stands in {file.name}"


def test_a_repeated_request_makes_one_key_and_does_not_repeat_the_secret(client: TestClient) -> None:
    headers = {"Idempotency-Key": "one"}
    payload = {"name": "backend", "scopes": ["read"]}
    first = client.post("/v1/keys", json=payload, headers=headers)
    again = client.post("/v1/keys", json=payload, headers=headers)
    assert again.status_code == 201
    assert again.json() == {**first.json(), "key": None}
    assert again.headers["Idempotency-Replayed"] == "true"
    other = client.post("/v1/keys", json={**payload, "name": "other"}, headers=headers)
    assert other.status_code == 409
    assert other.json()["type"] == "urn:equipoise:problem:idempotency-conflict"


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"Authorization": "Bearer nonsense"},
        {"Authorization": "Basic dXNlcjpwYXNz"},
        {"Authorization": f"Bearer eq_{'0' * 16}_{'0' * 64}"},
        {"X-API-Key": "eq_é_ü".encode()},
        {"Authorization": "Bearer " + "x" * 5000},
    ],
)
def test_without_a_valid_key_every_answer_is_the_same_401(service: Any, header: dict[str, Any]) -> None:
    answers = [
        service.client.get("/v1/experiments", headers=header),
        service.client.get("/v1/config", headers=header),
        service.client.post("/v1/assignments", headers=header, content=b"{"),
        service.client.post("/v1/events", headers=header, content=b"{"),
        service.client.post("/v1/experiments", headers=header, json={}),
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert {answer.headers["WWW-Authenticate"] for answer in answers} == {"Bearer"}
    assert len({answer.content for answer in answers}) == 1


def test_the_right_id_with_a_wrong_secret_is_401(service: Any) -> None:
    text = service.key(Scope.READ)["Authorization"]
    wrong = text[:-1] + ("0" if text[-1] != "0" else "1")
    assert service.client.get("/v1/experiments", headers={"Authorization": wrong}).status_code == 401


def test_x_api_key_works_too(service: Any) -> None:
    text = service.key(Scope.READ)["Authorization"].removeprefix("Bearer ")
    assert service.client.get("/v1/experiments", headers={"X-API-Key": text}).status_code == 200


@pytest.mark.parametrize(
    ("scope", "method", "path"),
    [
        (Scope.EVALUATE, "GET", "/v1/config"),
        (Scope.EVALUATE, "POST", "/v1/assignments"),
        (Scope.INGEST, "POST", "/v1/events"),
        (Scope.READ, "GET", "/v1/experiments"),
        (Scope.READ, "GET", "/v1/experiments/x"),
        (Scope.READ, "GET", "/v1/experiments/x/readout"),
        (Scope.WRITE, "POST", "/v1/experiments"),
        (Scope.WRITE, "PATCH", "/v1/experiments/x"),
        (Scope.WRITE, "POST", "/v1/experiments/x/start"),
        (Scope.ADMIN, "GET", "/v1/keys"),
        (Scope.ADMIN, "POST", "/v1/keys"),
        (Scope.ADMIN, "POST", "/v1/keys/x/revoke"),
    ],
)
def test_each_route_needs_its_scope(service: Any, scope: Scope, method: str, path: str) -> None:
    without = service.key(*(set(Scope) - {scope}))
    answer = service.client.request(method, path, headers=without)
    assert answer.status_code == 403
    assert scope not in answer.text
    enough = service.client.request(method, path, headers=service.key(scope))
    assert enough.status_code not in (401, 403)


def test_an_expired_key_is_401(service: Any) -> None:
    headers = service.key(Scope.READ, expires_at=datetime.now(UTC) + timedelta(seconds=0.3))
    assert service.client.get("/v1/experiments", headers=headers).status_code == 200
    time.sleep(0.35)
    assert service.client.get("/v1/experiments", headers=headers).status_code == 401


def test_a_revoked_key_is_401_at_once_and_stays_listed(client: TestClient) -> None:
    made = make(client, scopes=["read"]).json()
    headers = {"Authorization": f"Bearer {made['key']}"}
    assert client.get("/v1/experiments", headers=headers).status_code == 200
    revoked = client.post(f"/v1/keys/{made['id']}/revoke")
    assert revoked.json()["revoked_at"] is not None
    assert client.get("/v1/experiments", headers=headers).status_code == 401
    again = client.post(f"/v1/keys/{made['id']}/revoke")
    assert again.json() == revoked.json()


def test_a_key_revoked_by_another_process_ends_within_the_refresh_time(
    service: Any, settings: Settings
) -> None:
    from equipoise_service.accounts.service import revoke_key

    headers = service.key(Scope.READ)
    public_id = headers["Authorization"].split("_")[1]
    with open_database(settings) as other, other.write() as session:
        revoke_key(session, public_id)
    deadline = time.monotonic() + 5
    while service.client.get("/v1/experiments", headers=headers).status_code == 200:
        assert time.monotonic() < deadline, "the revocation was never noticed"
        time.sleep(0.02)


def test_keys_of_other_projects_are_out_of_reach(service: Any) -> None:
    mine, theirs = service.key(), service.key(project="theirs")
    their_id = theirs["Authorization"].split("_")[1]
    listed = service.client.get("/v1/keys", headers=mine).json()["items"]
    assert {each["project"] for each in listed} == {"default"}
    assert service.client.post(f"/v1/keys/{their_id}/revoke", headers=mine).status_code == 404
    assert service.client.get("/v1/experiments", headers=theirs).status_code == 200


def test_the_first_start_makes_one_admin_key_and_shows_it_once(
    settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    from equipoise_service.app import create_app

    with TestClient(create_app(settings)) as client:
        shown = re.findall(r"eq_[0-9a-f]{16}_[0-9a-f]{64}", capfd.readouterr().err)
        assert len(shown) == 1
        headers = {"Authorization": f"Bearer {shown[0]}"}
        assert client.get("/v1/keys", headers=headers).status_code == 200
    with TestClient(create_app(settings)) as client:
        assert "eq_" not in capfd.readouterr().err
        assert client.get("/v1/keys", headers=headers).status_code == 200


def test_a_request_reads_the_same_in_every_process() -> None:
    # Sets have another order in every process, and an Idempotency-Key outlives the process.
    asked = KeyIn(name="all", scopes=set(Scope))
    assert json.loads(asked.model_dump_json())["scopes"] == sorted(Scope)


def test_what_was_read_before_a_revocation_never_brings_the_key_back(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.write() as session:
        made = make_key(session, name="n", project="p", environment="e", scopes=[Scope.READ])
    principals = Principals(database)
    has_read, may_go_on = threading.Event(), threading.Event()
    read_keys = repository.valid_keys

    def read_slowly(session: Session) -> Any:
        rows = list(read_keys(session))
        if not has_read.is_set():
            has_read.set()
            assert may_go_on.wait(10)
        return rows

    monkeypatch.setattr(repository, "valid_keys", read_slowly)
    slow = threading.Thread(target=principals.refresh)
    slow.start()
    assert has_read.wait(10)
    with database.write() as session:
        revoke_key(session, made.id)
    quick = threading.Thread(target=principals.refresh)
    quick.start()
    quick.join(0.3)
    may_go_on.set()
    slow.join(10)
    quick.join(10)
    request = Request({"type": "http", "headers": [(b"authorization", f"Bearer {made.key}".encode())]})
    with pytest.raises(Unauthenticated):
        principals.authenticate(request, Scope.READ)
