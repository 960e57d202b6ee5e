"""Backups that are not whole, or not what they were, become no data directory."""

import shutil
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from tests.service.conftest import Service

from equipoise_service.app import create_app
from equipoise_service.housekeeping import backups
from equipoise_service.housekeeping.manifests import EVENTS, MANIFEST, METADATA, NoBackup
from equipoise_service.housekeeping.restoring import restore
from equipoise_service.settings import Settings


@pytest.fixture
def backup(client: TestClient) -> Path:
    """A backup of a service with something in it."""
    assert client.post("/v1/events", json={"events": [{"name": "a"}]}).json()["refused"] == 1
    answer = client.post("/v1/backups")
    assert answer.status_code == 201, answer.text
    return Path(answer.json()["directory"])


def test_half_a_backup_and_a_changed_one_are_refused(backup: Path, tmp_path: Path) -> None:
    target = Settings(data_dir=tmp_path / "target")

    def refused(name: str, match: str) -> None:
        with pytest.raises(NoBackup, match=match):
            restore(tmp_path / name, target)

    half = tmp_path / "half"
    half.mkdir()
    shutil.copy(backup / EVENTS, half)
    refused("half", "interrupted")
    for name in (EVENTS, METADATA):
        changed = tmp_path / f"changed-{name}"
        shutil.copytree(backup, changed)
        content = bytearray((changed / name).read_bytes())
        content[len(content) // 2] ^= 1
        (changed / name).write_bytes(content)
        refused(changed.name, "digest differs")
        (changed / name).write_bytes(content[:-1])
        refused(changed.name, "digest differs")
        (changed / name).unlink()
        refused(changed.name, "is missing")
    manifest = (backup / MANIFEST).read_text()
    for text, match in (
        (manifest.replace("backup/1", "backup/2"), "backup/2"),
        (manifest[:-5], "cannot be read"),
        (manifest.replace(METADATA, "../metadata.db"), "reads equipoise.backup/1"),
    ):
        (half / MANIFEST).write_text(text)
        refused("half", match)
    # None of these left anything behind.
    assert not target.data_dir.exists()
    assert not [each for each in tmp_path.iterdir() if "restoring" in each.name]
    restore(backup, target)
    assert sorted(each.name for each in target.data_dir.iterdir()) == [EVENTS, METADATA]
    with TestClient(create_app(target)) as client:
        assert client.get("/readyz").status_code == 200
    with pytest.raises(NoBackup, match="not empty"):
        restore(backup, target)
    with pytest.raises(NoBackup, match="unset"):
        restore(
            backup, Settings(data_dir=tmp_path / "new", event_store_url="postgresql://nobody@localhost/a")
        )


def test_a_backup_that_fails_leaves_nothing(
    service: Service, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backups, "write_manifest", full)
    assert client.post("/v1/backups").status_code == 503
    assert list(service.settings.backup_path.iterdir()) == []
    monkeypatch.undo()
    assert client.post("/v1/backups").status_code == 201


def test_servers_are_backed_up_with_their_own_tools(tmp_path: Path, postgres_url: str) -> None:
    settings = Settings(data_dir=tmp_path, event_store_url=postgres_url)
    with TestClient(create_app(settings)) as client:
        service = Service(client, settings)
        answer = client.post("/v1/backups", headers=service.key())
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:equipoise:problem:not-embedded"
    assert not settings.backup_path.exists()
