"""`equipoise readout KEY`: from a running service, with its looks."""

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.service.running import command, running_service

from equipoise_service.exports.opened import read
from equipoise_service.readouts.reading import read_document
from equipoise_service.readouts.verification import verify_readout

KEY = "checkout-button"
DEFINITION = {
    "key": KEY,
    "name": "Checkout button",
    "hypothesis": "A larger button converts more.",
    "variants": [
        {"key": "control", "value": False, "weight": 5000, "control": True},
        {"key": "treatment", "value": True, "weight": 5000},
    ],
    "metrics": [{"key": "converted", "type": "proportion", "event": "converted"}],
    "plan": {"horizon": {"units": 400}, "looks": {"count": 2}},
}


@pytest.mark.slow
def test_it_is_asked_of_a_service_and_its_looks_are_drawn_too(tmp_path: Path) -> None:
    with running_service(tmp_path) as service:
        service.start_experiment(DEFINITION)

        def run(*arguments: str, code: int = 0) -> str:
            process = command(
                "readout",
                *arguments,
                directory=tmp_path,
                EQUIPOISE_URL=service.url,
                EQUIPOISE_KEY=service.key,
            )
            out, err = process.communicate(timeout=120)
            assert process.returncode == code, err
            return out + err

        now = datetime.now(UTC) - timedelta(minutes=5)
        exposures, events = [], []
        for i in range(240):
            variant = ("control", "treatment")[i % 2]
            fact = {"id": str(uuid.uuid4()), "time": now.isoformat(), "unit": f"u{i}"}
            exposures.append({**fact, "experiment": KEY, "variant": variant})
            if i % 6 < 1 + 3 * (i % 2):
                later = (now + timedelta(minutes=1)).isoformat()
                events.append({**fact, "id": str(uuid.uuid4()), "time": later, "name": "converted"})
        sent = service.request("POST", "/v1/events", json={"exposures": exposures, "events": events})
        assert sent.status_code == 200
        look = service.request("POST", f"/v1/experiments/{KEY}/looks?wait=60")
        assert look.status_code == 201, look.text
        assert service.request("GET", f"/v1/experiments/{KEY}/readout?wait=60").status_code == 200

        assert f"{KEY}, revision 1" in run(KEY)
        run(KEY, "--revision", "1", "-o", "readout.json")
        assert verify_readout(read_document(tmp_path / "readout.json")) == []
        assert read(tmp_path / "readout.json").progress.look == 1
        run(KEY, "--format", "svg", "-o", "figures")
        names = {path.stem for path in (tmp_path / "figures").iterdir()}
        # The readout is as new as its look, or newer: the look is then one of those from before.
        assert {"lifts", "bounds", "sample-ratio"} <= names
        assert "no experiment other" in run("other", code=2)
        assert "no revision 7" in run(KEY, "--revision", "7", code=2)
