"""What `equipoise serve` says when it cannot start: one line, exit status 2, no traceback."""

from pathlib import Path

import pytest
from sqlalchemy import text
from tests.service.running import command, running_service

from equipoise_service.resources import open_database
from equipoise_service.settings import Settings


def serve(directory: Path, **environ: str) -> str:
    process = command("serve", "--port", "0", directory=directory, **environ)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2, err
    assert "Traceback" not in err
    return err


@pytest.mark.slow
def test_a_second_service_on_the_same_data_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    with running_service(tmp_path) as service:
        said = serve(tmp_path, EQUIPOISE_DATA_DIR=str(service.process.data_dir))
        assert "events.duckdb" in said
        assert service.request("GET", "/readyz").status_code == 200


def test_a_data_directory_that_is_a_file(tmp_path: Path) -> None:
    place = tmp_path / "data"
    place.write_text("not a directory")
    assert str(place) in serve(tmp_path, EQUIPOISE_DATA_DIR=str(place))


def test_metadata_that_are_no_database(tmp_path: Path) -> None:
    (tmp_path / "metadata.db").write_bytes(b"not a database" * 1000)
    assert "metadata database" in serve(tmp_path, EQUIPOISE_DATA_DIR=str(tmp_path))


def test_metadata_of_a_newer_release(tmp_path: Path) -> None:
    with open_database(Settings(data_dir=tmp_path)) as database, database.write() as session:
        session.connection().execute(text("UPDATE alembic_version SET version_num = 'from_the_future'"))
    assert "newer release" in serve(tmp_path, EQUIPOISE_DATA_DIR=str(tmp_path))


def test_a_port_in_use(tmp_path: Path) -> None:
    with running_service(tmp_path / "one") as service:
        process = command(
            "serve", "--port", str(service.process.port), directory=tmp_path, EQUIPOISE_DATA_DIR=str(tmp_path)
        )
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "another port" in err
    assert "admin key" not in err, "a key was made by a service that could not start"
