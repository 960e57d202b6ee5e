"""Schemathesis over the OpenAPI document of a real service: no generated request finds a 5xx."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.service.running import running_service

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
)
EXAMPLES = "400" if os.environ.get("EQUIPOISE_TEST_FULL") else "15"
# The run's own key could be revoked in the middle of it.
REVOKE = r"/v1/keys/\{id\}/revoke"
# These answer for as long as somebody listens, or in events, each of which is no text by itself.
STREAMS = r"/v1/config/stream|/ofrep/v1/changes|/v1/events/tail|/v1/jobs/\{id\}/events"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("selection", "paths"),
    [("--exclude-path-regex", f"^({REVOKE}|{STREAMS})$"), ("--include-path-regex", f"^{REVOKE}$")],
)
def test_generated_requests_find_no_fault(tmp_path: Path, selection: str, paths: str) -> None:
    with running_service(tmp_path) as service:
        done = subprocess.run(
            [
                str(Path(sys.executable).with_name("schemathesis")),
                "run",
                f"{service.url}/openapi.json",
                "--header",
                f"Authorization: Bearer {service.key}",
                "--checks",
                ",".join(CHECKS),
                "--max-examples",
                EXAMPLES,
                selection,
                paths,
                # How fast requests are generated says nothing of the service, and depends on what else runs.
                "--suppress-health-check=too_slow",
                "--no-color",
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=1800,
            check=False,
        )
        print(done.stdout)
        assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
        tried = re.search(r"([\d,]+) generated", done.stdout)
        assert tried, "nothing was tried"
        assert int(tried[1].replace(",", "")) > 20
        assert service.request("GET", "/readyz").status_code == 200
