"""The published schema: a standard one with a name and a version, which every readout meets."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for
from tests.service.readouts.documents import (
    bayesian_readout,
    daily_readout,
    looked_readout,
    measured_readout,
    segmented_readout,
    spread_readout,
    viewless_readout,
)
from tests.service.readouts.overlapping import overlapping_readout

DOCUMENTS = [
    bayesian_readout(),
    daily_readout(),
    looked_readout(),
    measured_readout(),
    overlapping_readout(),
    segmented_readout(),
    spread_readout(),
    viewless_readout(),
]


@pytest.fixture
def schema(client: TestClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/v1/schemas/readout").json()
    return found


def test_it_names_its_dialect_itself_and_its_version(schema: dict[str, Any]) -> None:
    assert validator_for(schema, default=None) is Draft202012Validator
    Draft202012Validator.check_schema(schema)
    name, _, version = schema["properties"]["schema"]["const"].partition("/")
    assert schema["$id"] == f"urn:{name.replace('.', ':schema:')}:{version}"


def test_every_readout_meets_it_and_another_version_does_not(schema: dict[str, Any]) -> None:
    validator = Draft202012Validator(schema)
    for document in DOCUMENTS:
        validator.validate(document)
    (error,) = validator.iter_errors(DOCUMENTS[0] | {"schema": "equipoise.readout/1"})
    assert list(error.path) == ["schema"]
    (error,) = validator.iter_errors(DOCUMENTS[0] | {"more": 1})
    assert "'more'" in error.message
