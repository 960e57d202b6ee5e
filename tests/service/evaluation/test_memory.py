"""What publications leave in memory."""

import gc
from typing import Any

from fastapi.testclient import TestClient

IDS = 1_237
"""Of the segment, so that its sets are known among all others."""


def test_configurations_that_were_replaced_leave_memory_without_the_garbage_collector(
    client: TestClient,
) -> None:
    """Their segments are large, and the garbage collector's look at everything comes late."""
    ids = [f"user-{number}" for number in range(IDS)]
    segment = {"key": "beta", "name": "Beta", "ids": ids}
    assert client.post("/v1/segments", json=segment).status_code == 201
    flag: dict[str, Any] = {
        "name": "Flag",
        "type": "boolean",
        "unit_type": "user",
        "variants": [{"key": "on", "value": True}, {"key": "off", "value": False}],
        "default": "off",
        "rules": [{"key": "r", "variant": "on", "audience": {"segment": "beta"}}],
    }
    for key, needed in (("base", []), ("top", [{"flag": "base", "variants": ["on"]}])):
        answer = client.post("/v1/flags", json={**flag, "key": key, "prerequisites": needed})
        assert answer.status_code == 201, answer.text

    def publish(times: int) -> None:
        for number in range(times):
            etag = client.get("/v1/flags/top").headers["ETag"]
            change = {"default": ("on", "off")[number % 2]}
            answer = client.patch("/v1/flags/top", json=change, headers={"If-Match": etag})
            assert answer.status_code == 200, answer.text

    gc.collect()
    gc.disable()
    try:
        publish(6)
        before = _sets_of_ids()
        publish(6)
        assert 0 < _sets_of_ids() <= before
    finally:
        gc.enable()
    assert client.post("/v1/assignments", json={"flag": "top", "unit": "user-7"}).status_code == 200


def _sets_of_ids() -> int:
    return sum(isinstance(each, frozenset) and len(each) == IDS for each in gc.get_objects())
