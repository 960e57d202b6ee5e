"""The audit: exposures whose variant is not the unit's are found, with an example, in every revision."""

import json
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from tests.service.running import command, running_service

from equipoise_service.accounts.principals import Scope
from equipoise_service.recomputation.audit import MOST_EXAMPLES, Logged, Randomisation, audit

URL = "/v1/experiments/new-landing-page"


def exposure(unit: str, variant: str, revision: int) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()),
        "time": datetime.now(UTC).isoformat(),
        "unit": unit,
        "experiment": "new-landing-page",
        "variant": variant,
        "revision": revision,
    }


def assigned(client: TestClient, units: list[str]) -> list[dict[str, Any]]:
    """Exposures as a correct client logs them."""
    answer = client.post("/v1/assignments", json={"flag": "new-landing-page", "units": units}).json()
    return [exposure(each["unit"], each["variant"], each["revision"]) for each in answer["assignments"]]


def send(client: TestClient, exposures: list[dict[str, Any]]) -> None:
    answer = client.post("/v1/events", json={"exposures": exposures, "events": []})
    assert answer.json()["accepted"] == len(exposures), answer.text


@pytest.fixture
def running(client: TestClient, payload: Any) -> TestClient:
    assert client.post("/v1/experiments", json=payload()).status_code == 201
    assert client.post(f"{URL}/start").status_code == 200
    return client


def test_what_the_service_assigned_agrees_in_every_revision(running: TestClient) -> None:
    send(running, assigned(running, [f"user-{i}" for i in range(300)]))
    weights = [
        {"key": "control", "weight": 2000, "value": "old", "control": True},
        {"key": "treatment", "weight": 8000, "value": "new"},
    ]
    etag = running.get(URL).headers["ETag"]
    changed = running.patch(URL, json={"variants": weights}, headers={"If-Match": etag})
    assert changed.status_code == 200, changed.text
    send(running, assigned(running, [f"user-{i}" for i in range(200, 400)]))
    answer = running.get(f"{URL}/audit")
    assert answer.status_code == 200
    assert answer.json() == {
        "experiment": "new-landing-page",
        "environment": "production",
        "exposures": 500,
        "agree": 500,
        "disagree": 0,
        "unknown_revision": 0,
        "examples": [],
    }


def test_a_client_that_logs_another_variant_is_found(running: TestClient) -> None:
    exposures = assigned(running, [f"user-{i}" for i in range(100)])
    other = {"control": "treatment", "treatment": "control"}
    wrong = [exposure(each["unit"], other[each["variant"]], 1) for each in exposures[:3]]
    send(running, exposures[3:] + wrong + [exposure(wrong[0]["unit"], wrong[0]["variant"], 1)])
    found = running.get(f"{URL}/audit").json()
    assert (found["exposures"], found["agree"], found["disagree"]) == (101, 97, 4)
    examples = {each["unit"]: each for each in found["examples"]}
    assert set(examples) == {each["unit"] for each in wrong}
    first = examples[wrong[0]["unit"]]
    assert (first["logged"], first["recomputed"]) == (wrong[0]["variant"], exposures[0]["variant"])
    assert (first["revision"], first["exposures"]) == (1, 2)


def test_nothing_logged_and_nothing_there(running: TestClient, service: Any) -> None:
    assert running.get(f"{URL}/audit").json()["exposures"] == 0
    assert running.get("/v1/experiments/other/audit").status_code == 404
    assert running.get(f"{URL}/audit", headers=service.key(Scope.EVALUATE)).status_code == 403


@given(
    st.lists(
        st.tuples(
            st.text(min_size=1, max_size=5), st.integers(1, 3), st.sampled_from("ab"), st.integers(1, 9)
        ),
        max_size=60,
    )
)
def test_every_exposure_is_counted_once(rows: list[tuple[str, int, str, int]]) -> None:
    halves = (("a", 0, 5000), ("b", 5000, 10_000))
    revisions = {1: Randomisation("9ab1c3d4e5f60718", halves), 2: Randomisation("0000000000000000", halves)}
    rows = [row for row in rows if row[0].isprintable()]
    found = audit([Logged(*row) for row in rows], revisions)
    assert found.agree + found.disagree + found.unknown_revision == sum(row[3] for row in rows)
    assert found.unknown_revision == sum(row[3] for row in rows if row[1] == 3)
    assert len(found.examples) <= MOST_EXAMPLES
    assert all(each.logged.variant != each.recomputed for each in found.examples)


@pytest.mark.slow
def test_the_commands(tmp_path: Path) -> None:
    with running_service(tmp_path) as service:
        variants = [{"key": "control", "control": True}, {"key": "treatment"}]
        service.start_experiment({"key": "new-landing-page", "name": "Page", "variants": variants})
        environ = {"EQUIPOISE_URL": service.process.url, "EQUIPOISE_KEY": service.key}
        client: Any = service

        def run(*arguments: str) -> tuple[int, str]:
            process = command(*arguments, directory=tmp_path, **environ)
            out, err = process.communicate(timeout=60)
            return process.returncode, out + err

        code, said = run("audit", "new-landing-page")
        assert (code, said.strip()) == (0, "No exposure to new-landing-page in production is logged.")
        asked = {"flag": "new-landing-page", "units": [f"user-{i}" for i in range(50)]}
        answers = client.request("POST", "/v1/assignments", json=asked).json()["assignments"]
        sent = [exposure(each["unit"], each["variant"], 1) for each in answers]
        sent[0]["variant"] = "control" if sent[0]["variant"] == "treatment" else "treatment"
        client.request("POST", "/v1/events", json={"exposures": sent, "events": []})
        code, said = run("audit", "new-landing-page")
        assert code == 1
        assert "49 of 50 exposures" in said
        assert "unit user-0, revision 1" in said
        code, said = run("audit", "new-landing-page", "--json")
        assert (code, json.loads(said)["disagree"]) == (1, 1)
        code, said = run("audit", "other")
        assert (code, "other" in said) == (2, True)
        code, query = run(
            "sql", "assignment", "new-landing-page", "--engine", "duckdb", "--table", "t", "--unit", "u"
        )
        assert code == 0
        assert 'FROM "t"' in query
        code, said = run("sql", "assignment", "other", "--engine", "spark")
        assert (code, "no experiment other" in said) == (2, True)
