"""Text that a database may not be able to hold."""

import pytest
from fastapi.testclient import TestClient
from tests.service.flags.flags import flag


def test_the_character_nul_is_kept_or_refused_and_no_fault(client: TestClient) -> None:
    answer = client.post("/v1/flags", json=flag(description="before\0after"))
    if answer.status_code == 201:
        assert answer.json()["description"] == "before\0after"
        assert client.get("/v1/flags/search-engine").json()["description"] == "before\0after"
    else:
        assert answer.status_code == 422
        assert answer.json()["type"] == "urn:equipoise:problem:invalid-payload"
        assert client.get("/v1/flags/search-engine").status_code == 404
        assert client.post("/v1/flags", json=flag()).status_code == 201


@pytest.mark.parametrize("path", ["/v1/flags/a%00b", "/v1/experiments/a%00b", "/v1/segments/%00"])
def test_nothing_is_found_under_nul(client: TestClient, path: str) -> None:
    assert client.get(path).status_code in (404, 422)
