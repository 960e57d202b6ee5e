import gzip
import json
import zlib
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from equipoise_service.errors import BadRequest, ContentTooLarge
from equipoise_service.http.compression import decompress

JSON = {"Content-Type": "application/json"}


def test_a_gzip_body_is_read_like_any_other(client: TestClient, payload: Any) -> None:
    body = gzip.compress(json.dumps(payload()).encode())
    answer = client.post("/v1/experiments", content=body, headers={**JSON, "Content-Encoding": "gzip"})
    assert answer.status_code == 201


@pytest.mark.parametrize("path", ["/v1/experiments", "/v1/events", "/v1/assignments", "/v1/keys"])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_413_with_the_limit(client: TestClient, path: str, chunked: bool) -> None:
    large = b" " * 200_001
    answer = client.post(path, content=iter([large]) if chunked else large, headers=JSON)
    assert answer.status_code == 413
    assert answer.json()["limit_bytes"] == 200_000


def test_a_gzip_bomb_is_413(client: TestClient) -> None:
    bomb = gzip.compress(b"0" * 50_000_000)
    assert len(bomb) < 200_000
    answer = client.post("/v1/events", content=bomb, headers={**JSON, "Content-Encoding": "gzip"})
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("encoding", "body", "status"),
    [
        ("gzip", b"not gzip", 400),
        ("gzip", gzip.compress(b"{}", mtime=0)[:-4], 400),
        ("br", b"{}", 415),
        ("deflate", zlib.compress(b"{}"), 415),
    ],
)
def test_a_body_that_cannot_be_decoded(client: TestClient, encoding: str, body: bytes, status: int) -> None:
    answer = client.post("/v1/events", content=body, headers={**JSON, "Content-Encoding": encoding})
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"


@given(st.lists(st.binary(max_size=2000), min_size=1, max_size=4), st.integers(0, 9000))
def test_decompression_gives_all_members_or_refuses(members: list[bytes], limit: int) -> None:
    whole = b"".join(members)
    data = b"".join(gzip.compress(member) for member in members)
    if len(whole) <= limit:
        assert decompress(data, limit) == whole
    else:
        with pytest.raises(ContentTooLarge):
            decompress(data, limit)
    with pytest.raises(BadRequest):
        decompress(data[:-1], len(whole))


def test_a_body_of_countless_empty_members_is_refused_at_once(client: TestClient) -> None:
    members = gzip.compress(b"") * 9_000
    answer = client.post("/v1/events", content=members, headers={**JSON, "Content-Encoding": "gzip"})
    assert answer.status_code == 400
    assert "members" in answer.json()["detail"]
    assert decompress(gzip.compress(b"a") * 100, 100) == b"a" * 100
