"""`POST /v1/explain`, and attributes in `POST /v1/assignments`."""

from typing import Any

import msgspec
import pytest
from fastapi.testclient import TestClient

from equipoise import explain
from equipoise.configuration import load
from equipoise_service.evaluation.explaining import EXAMPLE_OUT, ExplanationOut

KEY = "new-landing-page"
FRENCH = {"attribute": "country", "operator": "in", "value": ["FR", "BE"]}


@pytest.fixture
def asked(client: TestClient, payload: Any) -> TestClient:
    """A client of a service with an experiment among the French."""
    audience = {"all": [FRENCH, {"not": {"attribute": "plan", "operator": "equals", "value": "free"}}]}
    answer = client.post("/v1/experiments", json=payload(audience=audience, traffic=7000))
    assert answer.status_code == 201, answer.text
    assert client.post(f"/v1/experiments/{KEY}/start").status_code == 200
    return client


@pytest.mark.parametrize(
    "attributes", [{}, {"country": "DE"}, {"country": "FR"}, {"country": "FR", "plan": "free"}]
)
def test_it_says_what_local_explanation_says(asked: TestClient, attributes: Any) -> None:
    configuration = load(asked.get("/v1/config").content)
    outcomes = set()
    for unit in (f"unit-{index}" for index in range(30)):
        answer = asked.post("/v1/explain", json={"flag": KEY, "unit": unit, "attributes": attributes})
        assert answer.status_code == 200
        local = explain(configuration, KEY, unit, attributes)
        assert answer.json() == msgspec.json.decode(msgspec.json.encode(local.to_dict()))
        outcomes |= {rule.outcome for rule in local.rules}
    assert outcomes == ({"matched", "slot"} if attributes == {"country": "FR"} else {"audience"})


def test_the_answer_is_as_documented(asked: TestClient) -> None:
    answer = asked.post(
        "/v1/explain", json={"flag": KEY, "unit": "u", "attributes": {"country": "FR"}}
    ).json()
    for shown in (answer, EXAMPLE_OUT):
        read = msgspec.convert(shown, ExplanationOut, strict=True)
        assert msgspec.json.decode(msgspec.json.encode(read)) == shown
    condition = answer["rules"][0]["audience"]["members"][0]
    assert (condition["attribute"], condition["value"], condition["holds"]) == ("country", "FR", True)


def test_it_agrees_with_assignments(asked: TestClient) -> None:
    units = [f"unit-{index}" for index in range(50)]
    for attributes in ({"country": "FR"}, {"country": "DE"}):
        body = {"flag": KEY, "units": units, "attributes": attributes}
        assigned = asked.post("/v1/assignments", json=body).json()["assignments"]
        for unit, each in zip(units, assigned, strict=True):
            question = {"flag": KEY, "unit": unit, "attributes": attributes}
            explained = asked.post("/v1/explain", json=question).json()["assignment"]
            assert explained | {"unit": unit} == each | {"flag": KEY}
        assert {each["reason"] for each in assigned} == (
            {"SPLIT", "DEFAULT"} if attributes["country"] == "FR" else {"DEFAULT"}
        )


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        (b"{", 400, None),
        (b"{}", 422, ""),
        (b'{"flag": "f", "unit": ""}', 422, "/unit"),
        (b'{"flag": "f", "unit": "u", "attributes": []}', 422, "/attributes"),
        (b'{"flag": "f", "unit": "u", "surprise": 1}', 422, ""),
        (b'{"flag": "none", "unit": "u"}', 404, None),
    ],
)
def test_bad_requests_have_a_clear_answer(
    client: TestClient, body: bytes, status: int, pointer: str | None
) -> None:
    answer = client.post("/v1/explain", content=body)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    if pointer is not None:
        assert [each["pointer"] for each in answer.json()["errors"]] == [pointer]


def test_attributes_that_are_no_object_are_refused(asked: TestClient) -> None:
    answer = asked.post("/v1/assignments", json={"flag": KEY, "unit": "u", "attributes": "FR"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/attributes")
