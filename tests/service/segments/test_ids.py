import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.service.conftest import Service
from tests.service.flags.flags import make, rule, served

from equipoise import evaluate
from equipoise_service.app import create_app
from equipoise_service.settings import Settings

PATH = "/v1/segments/beta/ids"


def beta(client: TestClient, ids: list[str], **more: Any) -> Any:
    return client.post("/v1/segments", json={"key": "beta", "name": "Beta", "ids": ids, **more})


def use(client: TestClient) -> None:
    make(client, rules=[rule("members", {"variant": "new"}, {"segment": "beta"})])


def test_ids_are_of_the_unit_where_no_attribute_is_named(client: TestClient) -> None:
    shown = beta(client, ["u2", "u1", "u2"]).json()
    assert (shown["attribute"], shown["ids_count"], shown["condition"]) == ("$unit", 2, None)
    assert client.get(PATH).json() == {"attribute": "$unit", "ids": ["u1", "u2"]}
    use(client)
    got = {unit: evaluate(served(client), "search-engine", unit).variant for unit in ("u1", "u2", "u3")}
    assert got == {"u1": "new", "u2": "new", "u3": "old"}


def test_ids_of_another_attribute(client: TestClient) -> None:
    beta(client, ["acme"], attribute="account")
    use(client)
    configuration = served(client)
    assert evaluate(configuration, "search-engine", "u", attributes={"account": "acme"}).variant == "new"
    assert evaluate(configuration, "search-engine", "acme", attributes={}).variant == "old"


def test_ids_come_and_go_and_are_replaced(client: TestClient) -> None:
    made = beta(client, ["a", "b"])
    answer = client.post(PATH, json={"add": ["c", "a"], "remove": ["b", "z"]})
    assert (answer.status_code, answer.json()["ids_count"]) == (200, 2)
    assert answer.headers["ETag"] != made.headers["ETag"]
    assert client.get(PATH).json()["ids"] == ["a", "c"]
    again = client.post(PATH, json={"add": ["c", "a"], "remove": ["b", "z"]})
    assert again.headers["ETag"] == answer.headers["ETag"]
    stale = client.post(PATH, json={"add": ["d"]}, headers={"If-Match": made.headers["ETag"]})
    assert stale.status_code == 412
    patched = client.patch(
        "/v1/segments/beta", json={"ids": ["x"]}, headers={"If-Match": answer.headers["ETag"]}
    )
    assert patched.json()["ids_count"] == 1
    assert client.get(PATH).json()["ids"] == ["x"]
    both = client.post(PATH, json={"add": ["q"], "remove": ["q"]})
    assert both.status_code == 422


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(st.tuples(st.sets(st.text("abcé", min_size=1, max_size=2)), st.sets(st.sampled_from("abcé"))))
)
def test_any_sequence_of_changes_is_that_of_sets(
    client: TestClient, changes: list[tuple[set[str], set[str]]]
) -> None:
    client.delete("/v1/segments/beta")
    assert beta(client, []).status_code == 201
    expected: set[str] = set()
    for add, remove in changes:
        body = {"add": list(add - remove), "remove": list(remove)}
        expected = (expected | add) - remove
        assert client.post(PATH, json=body).json()["ids_count"] == len(expected)
    assert client.get(PATH).json()["ids"] == sorted(expected)


@pytest.fixture
def roomy(tmp_path: Path) -> Iterator[TestClient]:
    """A service with the limits that it has by itself."""
    own = Settings(data_dir=tmp_path / "roomy", refresh_seconds=0.05)
    with TestClient(create_app(own)) as client:
        client.headers.update(Service(client, own).key())
        yield client


def test_a_list_of_a_hundred_thousand_ids_is_served_and_evaluated(roomy: TestClient) -> None:
    ids = [f"0191f3a2-7c4b-7def-8a{index:010d}" for index in range(100_000)]
    assert beta(roomy, ids[:99_999]).json()["ids_count"] == 99_999
    assert roomy.post(PATH, json={"add": ids[99_999:]}).json()["ids_count"] == 100_000
    use(roomy)
    configuration = served(roomy)
    assert len(configuration.segments["beta"].ids) == 100_000
    for unit in (ids[0], ids[54_321], ids[-1]):
        assert evaluate(configuration, "search-engine", unit).variant == "new"
        assert evaluate(configuration, "search-engine", f"{unit}x").variant == "old"
    units = [ids[7], "somebody"]
    over_http = roomy.post("/v1/assignments", json={"flag": "search-engine", "units": units}).json()
    assert [each["variant"] for each in over_http["assignments"]] == ["new", "old"]


def test_two_hundred_thousand_ids_at_most_in_a_body_that_may_be_large(roomy: TestClient) -> None:
    ids = [f"{index:0100d}" for index in range(200_001)]
    body = json.dumps({"key": "beta", "name": "Beta", "ids": ids[:-1]}).encode()
    assert len(body) > Settings().max_body_bytes
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    made = roomy.post("/v1/segments", content=gzip.compress(body, 1), headers=headers)
    assert (made.status_code, made.json()["ids_count"]) == (201, 200_000)
    full = roomy.post(PATH, json={"add": ids[-1:]})
    assert full.status_code == 422
    assert full.json()["errors"][0]["pointer"] == "/add"
    assert roomy.post(PATH, json={"add": ids[-1:], "remove": ids[:1]}).status_code == 200
    assert (
        roomy.post("/v1/flags", content=body, headers={"Content-Type": "application/json"}).status_code == 413
    )


def test_the_routes_of_segments_have_a_limit_too(settings: Settings) -> None:
    own = settings.model_copy(update={"max_segment_bytes": 300_000})
    with TestClient(create_app(own)) as client:
        client.headers.update(Service(client, own).key())
        for size, status in ((250_000, 422), (300_001, 413)):
            answer = client.post("/v1/segments", content=b" " * size)
            assert answer.status_code == status
        assert answer.json()["limit_bytes"] == 300_000
