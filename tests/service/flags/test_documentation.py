"""The requests of docs/how-to/roll-out-a-flag.md, sent in their order."""

import re
from pathlib import Path

from fastapi.testclient import TestClient
from tests.service.flags.flags import served, variants

from equipoise import evaluate

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "roll-out-a-flag.md"
REQUEST = re.compile(r"^```http\n(POST|PATCH) (\S+)\n(.*?)```$", re.DOTALL | re.MULTILINE)


def test_every_request_of_the_guide_is_answered_as_it_says(client: TestClient) -> None:
    requests = REQUEST.findall(PAGE.read_text())
    before: dict[str, str | None] = {}
    assert len(requests) == PAGE.read_text().count("```http")
    for method, path, body in requests:
        if path.endswith("/rollouts"):
            before = variants(served(client))
        headers = {"If-Match": client.get(path).headers["ETag"]} if method == "PATCH" else {}
        answer = client.request(
            method, path, content=body, headers={"Content-Type": "application/json", **headers}
        )
        assert answer.status_code in (200, 201), (path, answer.text)
        if path.endswith("/rollouts"):
            configuration = served(client)
            after = variants(configuration)
            kept = {unit for unit, variant in before.items() if variant == "new"}
            assert kept
            assert all(after[unit] == "new" for unit in kept)
            for unit, attributes in (("user-99", {}), ("user-1", {"email": "ada@shop.example"})):
                got = evaluate(configuration, "search-engine", unit, attributes=attributes)
                assert (got.value, got.reason) == ("vespa", "TARGETING_MATCH")
            assert evaluate(configuration, "search-engine", "user-17").reason == "SPLIT"
    off = evaluate(served(client), "search-engine", "user-99")
    assert (off.value, off.reason) == ("solr", "DISABLED")
