"""Units by the variant that the service assigns them, so that what tests log is what was assigned."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from fastapi.testclient import TestClient

_AT_ONCE = 500


def assigned_units(client: TestClient, flag: str, least: int) -> Mapping[str, Sequence[str]]:
    """The first units `u0`, `u1`, … of each variant, so many at least of each of two that have equal weights.

    Args:
        client: The service.
        flag: The flag of an experiment that everybody takes part in.
        least: How many units of the smaller arm are needed.
    """
    units: dict[str, list[str]] = defaultdict(list)
    asked = 0
    while len(units) < 2 or min(map(len, units.values())) < least:
        names = [f"u{i}" for i in range(asked, asked + _AT_ONCE)]
        answer = client.post("/v1/assignments", json={"flag": flag, "units": names})
        assert answer.status_code == 200, answer.text
        for each in answer.json()["assignments"]:
            units[each["variant"]].append(each["unit"])
        asked += _AT_ONCE
        assert asked <= 100 * max(least, _AT_ONCE), units.keys()
    return units
