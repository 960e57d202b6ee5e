"""CORS: which pages may ask."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.service.conftest import Service

from equipoise_service.accounts.principals import Scope
from equipoise_service.app import create_app
from equipoise_service.ofrep import endpoints
from equipoise_service.settings import Settings, SettingsError, load_settings

SHOP = "https://shop.example.com"
FLAGS = "/ofrep/v1/evaluate/flags"
NEEDED = {"authorization", "x-api-key", "content-type", "if-none-match"}


@pytest.fixture
def page(tmp_path: Path) -> Iterator[TestClient]:
    """A client with the header Origin, of a service that admits two origins."""
    settings = Settings(data_dir=tmp_path, cors_origins=f"{SHOP}  http://localhost:3000", max_body_bytes=2000)
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        client.headers.update(Service(client, settings).key(Scope.EVALUATE) | {"Origin": SHOP})
        yield client


def preflight(client: TestClient, path: str, origin: str = SHOP, method: str = "POST") -> Any:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": ", ".join(sorted(NEEDED)),
    }
    return client.options(path, headers=asked)


@pytest.mark.parametrize("origin", [SHOP, "http://localhost:3000"])
@pytest.mark.parametrize("path", [FLAGS, f"{FLAGS}/any", "/v1/events"])
def test_a_preflight_of_an_admitted_origin_is_answered(page: TestClient, path: str, origin: str) -> None:
    answer = preflight(page, path, origin)
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    allowed = {each.strip().lower() for each in answer.headers["Access-Control-Allow-Headers"].split(",")}
    assert allowed >= NEEDED
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]


def test_another_origin_is_not_admitted(page: TestClient) -> None:
    for origin in ("https://evil.example.com", f"{SHOP}.evil.com", "https://shop.example.com:444", "null"):
        assert "Access-Control-Allow-Origin" not in preflight(page, FLAGS, origin).headers
        answer = page.post(FLAGS, json={"context": {"targetingKey": "u"}}, headers={"Origin": origin})
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_the_rest_of_the_api_stays_closed_to_pages(page: TestClient) -> None:
    for path in ("/v1/config", "/v1/keys", "/v1/experiments", "/v1/assignments"):
        assert "Access-Control-Allow-Origin" not in preflight(page, path).headers
        assert "Access-Control-Allow-Origin" not in page.get(path).headers


def test_answers_show_what_clients_need_and_errors_are_seen_too(page: TestClient) -> None:
    body = {"context": {"targetingKey": "u"}}
    answers = [
        page.post(FLAGS, json=body),
        page.post(FLAGS, json={}),
        page.post(f"{FLAGS}/none", json=body),
        page.post(FLAGS, json=body, headers={"Authorization": ""}),
        page.post(FLAGS, content=b" " * 3000),
        page.get("/ofrep/v1/changes", params={"ticket": "wrong"}),
    ]
    assert [answer.status_code for answer in answers] == [200, 400, 404, 401, 413, 401]
    for answer in answers:
        assert answer.headers["Access-Control-Allow-Origin"] == SHOP
        shown = {each.strip() for each in answer.headers["Access-Control-Expose-Headers"].split(",")}
        assert shown >= {"ETag", "Retry-After"}
        assert "Access-Control-Allow-Credentials" not in answer.headers


def test_a_page_sees_that_the_service_failed(page: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("out of order")

    monkeypatch.setattr(endpoints, "read_context", broken)
    answer = page.post(FLAGS, json={"context": {"targetingKey": "u"}})
    assert answer.status_code == 500
    assert answer.json()["errorCode"] == "GENERAL"
    assert "out of order" not in answer.text
    assert answer.headers["Access-Control-Allow-Origin"] == SHOP


def test_without_the_setting_no_page_is_admitted(service: Service) -> None:
    answer = preflight(service.client, FLAGS)
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]


def test_all_origins_can_be_admitted(tmp_path: Path) -> None:
    with TestClient(create_app(Settings(data_dir=tmp_path, cors_origins="*"))) as client:
        assert preflight(client, FLAGS, "https://any.example").headers["Access-Control-Allow-Origin"] in (
            "*",
            "https://any.example",
        )


@pytest.mark.parametrize(
    "value",
    [
        "shop.example.com",
        "https://shop.example.com/",
        "https://Shop.example.com",
        "https://*.example.com",
        "null",
    ],
)
def test_what_is_no_origin_stops_the_start(value: str) -> None:
    with pytest.raises(SettingsError, match="EQUIPOISE_CORS_ORIGINS"):
        load_settings({"EQUIPOISE_CORS_ORIGINS": f"{SHOP} {value}"})
