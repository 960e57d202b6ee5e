"""What is asked most, and stored readouts, against bare FastAPI routes in the same process."""

import json

import httpx2

from benchmarks.load import requests_per_second
from benchmarks.paired import paired, row
from benchmarks.server import KEY, Running, running_service

CONNECTIONS = 8
SECONDS = 1.5
ROUNDS = 7


def main() -> None:
    """Print the ratios of requests a second."""
    print("serving: requests a second, beside a bare FastAPI route in the same process")
    with running_service() as running:
        document = httpx2.get(f"{running.url}/v1/config", headers={"Authorization": f"Bearer {running.key}"})
    with running_service(bare_bytes=len(document.content) - 2) as running:
        etag = httpx2.get(f"{running.url}/v1/config", headers={"Authorization": f"Bearer {running.key}"})
        one = json.dumps({"flag": KEY, "unit": "user-1"}).encode()
        bare = running.request("GET", "/bare/bytes")
        echo = running.request("POST", "/bare/echo", one)
        _compare(
            running, "GET /v1/config, 200, against a route of as many bytes", "GET", "/v1/config", b"", bare
        )
        _compare(
            running,
            "GET /v1/config, 304, against the same",
            "GET",
            "/v1/config",
            b"",
            bare,
            If_None_Match=etag.headers["ETag"],
        )
        _compare(
            running,
            "POST /v1/assignments, one unit, against a JSON echo",
            "POST",
            "/v1/assignments",
            one,
            echo,
        )
        context = json.dumps({"context": {"targetingKey": "user-1", "country": "FR"}}).encode()
        _compare(
            running,
            "OFREP, one flag, against a JSON echo",
            "POST",
            f"/ofrep/v1/evaluate/flags/{KEY}",
            context,
            echo,
        )
        all_flags = "/ofrep/v1/evaluate/flags"
        etag = httpx2.post(
            f"{running.url}{all_flags}",
            content=context,
            headers={"Authorization": f"Bearer {running.key}"},
        )
        _compare(
            running,
            "OFREP, all flags, 304, against a JSON echo",
            "POST",
            all_flags,
            context,
            echo,
            If_None_Match=etag.headers["ETag"],
        )
    _readouts()


def _readouts() -> None:
    path = f"/v1/experiments/{KEY}/readout"
    with running_service() as running:
        headers = {"Authorization": f"Bearer {running.key}"}
        stored = httpx2.get(f"{running.url}{path}?wait=60", headers=headers, timeout=90).raise_for_status()
    with running_service(bare_bytes=len(stored.content) - 2) as running:
        headers = {"Authorization": f"Bearer {running.key}"}
        stored = httpx2.get(f"{running.url}{path}?wait=60", headers=headers, timeout=90).raise_for_status()
        bare = running.request("GET", "/bare/bytes")
        _compare(running, "GET of a stored readout, against a route of as many bytes", "GET", path, b"", bare)
        etag = stored.headers["ETag"]
        _compare(
            running,
            "GET of a stored readout, 304, against the same",
            "GET",
            path,
            b"",
            bare,
            If_None_Match=etag,
        )


def _compare(
    running: Running, name: str, method: str, path: str, body: bytes, floor: bytes, **headers: str
) -> None:
    address = (running.host, running.port)
    request = running.request(method, path, body, **headers)

    def rate(of: bytes) -> float:
        return requests_per_second(address, of, connections=CONNECTIONS, seconds=SECONDS)

    measured, bare, ratios = paired(lambda: rate(request), lambda: rate(floor), ROUNDS)
    row(name, f"{measured:,.0f}/s", f"{bare:,.0f}/s", ratios)
