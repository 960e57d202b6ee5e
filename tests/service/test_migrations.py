"""What an earlier release stored is still there, and still runs, after the migrations."""

import json
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from fastapi.testclient import TestClient
from sqlalchemy import text

from equipoise_service.accounts.principals import Scope
from equipoise_service.accounts.service import make_key
from equipoise_service.app import create_app
from equipoise_service.database import Database, migrations_directory
from equipoise_service.settings import Settings

EARLIER = "2026-03-01 12:00:00.000000"


def migrate(database: Database, revision: str) -> None:
    """Bring a database to a revision of the past."""
    config = Config()
    config.set_main_option("script_location", str(migrations_directory()))
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def insert(database: Database, table: str, **row: Any) -> None:
    columns = ", ".join(f'"{name}"' for name in row)
    values = ", ".join(f":{name}" for name in row)
    encoded = {name: json.dumps(v) if isinstance(v, list | dict) else v for name, v in row.items()}
    with database.engine.begin() as connection:
        connection.execute(text(f"INSERT INTO {table} ({columns}) VALUES ({values})"), encoded)


def fill(database: Database, **of_flag: Any) -> None:
    """A running experiment with 40 % of the traffic, a variant of which was taken out, and a stopped one.

    Args:
        database: Where; of whatever revision that has what is inserted.
        of_flag: What later revisions want of a flag.
    """
    insert(database, "project", id=1, key="default", created_at=EARLIER)
    insert(database, "environment", id=1, project_id=1, key="production", created_at=EARLIER)
    for id, key, status in ((1, "live", "running"), (2, "over", "stopped")):
        values = {"control": "old", "treatment": "new", "gone": "x"}
        insert(
            database,
            "flag",
            id=id,
            project_id=1,
            key=key,
            type="string",
            values=values,
            default_variant="control",
            created_at=EARLIER,
            **of_flag,
        )
        insert(database, "layer", id=id, project_id=1, key=key, salt=f"{id:016x}", created_at=EARLIER)
        insert(
            database,
            "experiment",
            id=id,
            project_id=1,
            flag_id=id,
            layer_id=id,
            key=key,
            name=key,
            hypothesis="",
            unit_type="user",
            traffic=4000,
            arms=[
                {"key": "control", "weight": 5000, "control": True},
                {"key": "treatment", "weight": 5000, "control": False},
            ],
            metrics=[],
            version=3,
            created_at=EARLIER,
            updated_at=EARLIER,
        )
        insert(
            database,
            "run",
            id=id,
            experiment_id=id,
            environment_id=1,
            status=status,
            version=2,
            started_at=EARLIER,
        )
        for number in (1, 2):
            insert(
                database,
                "revision",
                run_id=id,
                number=number,
                salt=f"{id}{number:015x}",
                slots=[[0, 2000 * number]],
                ranges=[["control", 0, 5000], ["treatment", 5000, 10_000]],
                control="control",
                started_at=EARLIER,
            )


@pytest.fixture
def upgraded(tmp_path: Path) -> Settings:
    """Settings of a service whose database the first release filled."""
    settings = Settings(data_dir=tmp_path / "data", refresh_seconds=5)
    with closing(Database(settings.metadata_url)) as database:
        migrate(database, "20261122_first_tables")
        fill(database)
        database.migrate()
        with database.write() as session:
            made = make_key(
                session, name="t", project="default", environment="production", scopes=list(Scope)
            )
        assert made.key
        (tmp_path / "key").write_text(made.key)
    return settings


def test_what_ran_before_the_upgrade_runs_on_with_its_slots(upgraded: Settings, tmp_path: Path) -> None:
    with TestClient(create_app(upgraded)) as client:
        client.headers["Authorization"] = f"Bearer {(tmp_path / 'key').read_text()}"
        layers = {each["key"]: each for each in client.get("/v1/layers").json()["items"]}
        assert layers["live"]["holders"] == [{"experiment": "live", "slots": 4000}]
        assert (layers["over"]["holders"], layers["over"]["name"]) == ([], "over")
        document = client.get("/v1/config").json()["experiments"]
        assert document["live"]["slots"] == [[0, 4000]]
        assert document["live"]["variants"] == ["control", "treatment", "gone"]
        assert (document["live"]["revision"], document["over"]["status"]) == (2, "stopped")
        path = "/v1/experiments/live"
        etag = {"If-Match": client.get(path).headers["ETag"]}
        assert client.patch(path, json={"traffic": 6000}, headers=etag).status_code == 200
        slots = client.get("/v1/config").json()["experiments"]["live"]["slots"]
        assert slots == [[0, 6000]]
        assert client.post("/v1/experiments/over/start").json()["revision"] == 3


def test_a_pause_that_began_before_the_upgrade_is_on_record_from_then_on_and_ends(
    tmp_path: Path,
) -> None:
    settings = Settings(data_dir=tmp_path / "data", refresh_seconds=5)
    begun = datetime.now(UTC)
    with closing(Database(settings.metadata_url)) as database:
        migrate(database, "20261122_first_tables")
        fill(database)
        with database.engine.begin() as connection:
            connection.execute(text("UPDATE run SET status = 'paused' WHERE id = 1"))
        database.migrate()
        with database.write() as session:
            made = make_key(
                session, name="t", project="default", environment="production", scopes=list(Scope)
            )
    with TestClient(create_app(settings)) as client:
        client.headers["Authorization"] = f"Bearer {made.key}"
        assert client.get("/v1/experiments/over").json()["pauses"] == []
        (shown,) = client.get("/v1/experiments/live").json()["pauses"]
        assert begun <= datetime.fromisoformat(shown["started_at"]) <= datetime.now(UTC)
        assert (shown["started_by"], shown["ended_at"]) == (None, None)
        (shown,) = client.post("/v1/experiments/live/resume").json()["pauses"]
        assert shown["started_at"] < shown["ended_at"]


def at(hour: int) -> str:
    return f"2026-03-02 {hour:02}:00:00.000000"


def publish(database: Database, version: int, hour: int, **experiments: tuple[int, int]) -> None:
    """A version of the configuration: for each experiment its revision and how many slots it had."""
    document = {
        "experiments": {
            key: {"revision": revision, "slots": [[0, slots]]}
            for key, (revision, slots) in experiments.items()
        }
    }
    insert(
        database,
        "published_configuration",
        environment_id=1,
        version=version,
        content_digest="x",
        document=json.dumps(document).encode(),
        published_at=at(hour),
    )


def ramps(database: Database) -> dict[int, list[tuple[str, int]]]:
    """The ramps of each revision: since when it had how many slots."""
    found: dict[int, list[tuple[str, int]]] = {}
    with database.engine.connect() as connection:
        rows = connection.execute(
            text("SELECT revision_id, since, slots FROM ramp ORDER BY revision_id, number")
        )
        for revision_id, since, slots in rows:
            found.setdefault(revision_id, []).append((str(since)[:19], slots))
    return found


def test_ramps_from_before_they_were_on_record_are_those_that_can_be_told(tmp_path: Path) -> None:
    """Revisions 1 and 2 are those of the running experiment, 3 and 4 those of the one that is over."""
    with closing(Database(f"sqlite:///{tmp_path / 'metadata.db'}")) as database:
        migrate(database, "20261122_pauses")
        fill(database, updated_at=EARLIER)
        # The first of them is not kept any more.
        publish(database, 7, 1, over=(2, 4000))
        publish(database, 8, 2, live=(2, 1000), over=(2, 4000))
        publish(database, 9, 3, live=(2, 1000), over=(2, 4000))
        publish(database, 10, 4, live=(2, 4000), over=(2, 4000))
        for revision_id, hour, slots in ((3, 1, 2000), (4, 9, 3000)):
            steps = [
                {"since": "2026-03-01T12:00:00Z", "traffic": 0.1},
                {"since": "2026-03-01T18:30:00.250000Z", "traffic": slots / 10_000},
            ]
            insert(
                database,
                "stored_readout",
                revision_id=revision_id,
                generated_at=at(hour),
                digest="x",
                body=json.dumps({"traffic_steps": steps}).encode(),
            )
        database.migrate()
        start, later = EARLIER[:19], "2026-03-01 18:30:00"
        assert ramps(database) == {
            # 1: neither a version nor a readout tells anything.
            2: [(start, 1000), (at(4)[:19], 4000)],
            3: [(start, 1000), (later, 2000)],
            # What the readout had last is what the kept versions before it had not: they count from then on.
            4: [(start, 1000), (later, 3000), (at(1)[:19], 4000)],
        }


def test_what_became_another_traffic_nobody_knows_when_has_no_ramps(tmp_path: Path) -> None:
    with closing(Database(f"sqlite:///{tmp_path / 'metadata.db'}")) as database:
        migrate(database, "20261122_pauses")
        fill(database, updated_at=EARLIER)
        publish(database, 7, 5, live=(2, 4000))
        insert(
            database,
            "stored_readout",
            revision_id=2,
            generated_at=at(4),
            digest="x",
            body=json.dumps({"traffic_steps": [{"since": "2026-03-01T12:00:00Z", "traffic": 0.1}]}).encode(),
        )
        database.migrate()
        assert ramps(database) == {}


def test_a_ramp_after_the_upgrade_goes_on_from_what_was_told(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", refresh_seconds=5)
    with closing(Database(settings.metadata_url)) as database:
        migrate(database, "20261122_pauses")
        fill(database, updated_at=EARLIER)
        publish(database, 1, 1, live=(2, 4000))
        database.migrate()
        with database.write() as session:
            made = make_key(
                session, name="t", project="default", environment="production", scopes=list(Scope)
            )
    with TestClient(create_app(settings)) as client:
        client.headers["Authorization"] = f"Bearer {made.key}"
        path = "/v1/experiments/live"
        etag = {"If-Match": client.get(path).headers["ETag"]}
        assert client.patch(path, json={"traffic": 6000}, headers=etag).status_code == 200
        ((first, _), (_, second)) = ramps(client.app.state.database)[2]  # type: ignore[attr-defined]
        assert (first, second) == (EARLIER[:19], 6000)


def test_references_hold_again_after_the_migrations(upgraded: Settings) -> None:
    with closing(Database(upgraded.metadata_url)) as database, database.engine.connect() as connection:
        assert connection.execute(text("PRAGMA foreign_keys")).scalar_one() == 1
        assert connection.execute(text("PRAGMA foreign_key_check")).all() == []


def test_a_migration_that_breaks_a_reference_is_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Database(f"sqlite:///{tmp_path / 'metadata.db'}")) as database:
        migrate(database, "20261122_first_tables")
        fill(database)
        upgrade = command.upgrade

        def upgrade_and_break(config: Config, revision: str) -> None:
            upgrade(config, revision)
            config.attributes["connection"].execute(text("DELETE FROM layer WHERE id = 1"))

        monkeypatch.setattr(command, "upgrade", upgrade_and_break)
        with pytest.raises(RuntimeError, match="broken references"):
            database.migrate()
        assert database.schema_revision() == "20261122_first_tables"
        monkeypatch.undo()
        assert database.migrate()[0] == "20261122_first_tables"
