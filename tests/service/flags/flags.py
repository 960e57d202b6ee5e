"""What the tests of flags, segments and rollouts share: payloads, and reading what is served."""

from typing import Any

from fastapi.testclient import TestClient

from equipoise import evaluate
from equipoise.configuration import Configuration, load

UNITS = [f"unit-{index}" for index in range(2_000)]


def flag(key: str = "search-engine", **changes: Any) -> dict[str, Any]:
    """A payload that makes a flag."""
    return {
        "key": key,
        "name": "Search engine",
        "type": "string",
        "variants": [{"key": "old", "value": "solr"}, {"key": "new", "value": "vespa"}],
        "default": "old",
        **changes,
    }


def make(client: TestClient, **changes: Any) -> dict[str, Any]:
    """Make a flag."""
    answer = client.post("/v1/flags", json=flag(**changes))
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def patch(client: TestClient, key: str = "search-engine", **changes: Any) -> Any:
    """Change a flag as it stands now."""
    path = f"/v1/flags/{key}"
    return client.patch(path, json=changes, headers={"If-Match": client.get(path).headers["ETag"]})


def served(client: TestClient) -> Configuration:
    """The configuration as a client reads it."""
    return load(client.get("/v1/config").content)


def variants(
    configuration: Configuration, key: str = "search-engine", attributes: dict[str, Any] | None = None
) -> dict[str, str | None]:
    """The variant of each of `UNITS`."""
    return {unit: evaluate(configuration, key, unit, attributes=attributes).variant for unit in UNITS}


def rule(key: str, serves: dict[str, Any], audience: dict[str, Any] | None = None) -> dict[str, Any]:
    """A rule."""
    return {"key": key, **serves, **({"audience": audience} if audience is not None else {})}


def percent(key: str, salt: str | None = None, **shares: int) -> dict[str, Any]:
    """A rule that serves variants to shares of the units."""
    rollout: dict[str, Any] = {
        "shares": [{"variant": name, "share": share} for name, share in shares.items()]
    }
    return rule(key, {"rollout": rollout if salt is None else {**rollout, "salt": salt}})


def where(attribute: str, value: Any, operator: str = "equals") -> dict[str, Any]:
    """A condition on one attribute."""
    return {"attribute": attribute, "operator": operator, "value": value}
