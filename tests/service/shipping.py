"""Shipping in tests: a decision on the readout of now, confirmed by a second key where it has to be."""

from typing import Any

from fastapi.testclient import TestClient

from equipoise_service.accounts.principals import Scope
from equipoise_service.accounts.service import make_key


def ship(
    client: TestClient,
    key: str,
    variant: str,
    *,
    headers: dict[str, str] | None = None,
    environment: str = "production",
    **more: Any,
) -> Any:
    """The answer that shows the shipped experiment, or the first one that refuses."""
    path = f"/v1/experiments/{key}"
    answer = client.post(f"{path}/ship", json={"variant": variant}, headers=headers)
    if not answer.json()["type"].endswith(":decision-needed"):
        return answer
    digest = client.get(f"{path}/readout?wait=60", headers=headers).json()["digest"]
    body = {"variant": variant, "reason": "A test ships it.", "readout_digest": digest, **more}
    answer = client.post(f"{path}/ship", json=body, headers=headers)
    if answer.status_code != 202:
        return answer
    with client.app.state.database.write() as session:  # type: ignore[attr-defined]
        made = make_key(
            session, name="second", project="default", environment=environment, scopes=tuple(Scope)
        )
    number = client.get(f"{path}/decisions", headers=headers).json()[-1]["number"]
    confirmed = client.post(
        f"{path}/decisions/{number}/confirm",
        json={"reason": "I agree."},
        headers={"Authorization": f"Bearer {made.key}"},
    )
    return client.get(path, headers=headers) if confirmed.status_code == 200 else confirmed
