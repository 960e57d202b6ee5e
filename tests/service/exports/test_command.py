"""`equipoise readout`: every form, from a file and from a service."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import nbformat
import pyarrow.parquet as pq
import pytest
from tests.service.figures.readouts import watched
from tests.service.readouts.documents import converted
from typer.testing import CliRunner

from equipoise_service.cli import app
from equipoise_service.cli.failures import Failure
from equipoise_service.exports.opened import charts, read, results
from equipoise_service.figures import installed

DAYS = watched(3)


def run(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, ["readout", *map(str, arguments)], env={"COLUMNS": "100"})


def failure(*arguments: str | Path) -> str:
    result = run(*arguments)
    assert isinstance(result.exception, Failure), result.output
    return str(result.exception)


def written(path: Path, document: dict[str, Any]) -> Path:
    path.write_text(json.dumps(document))
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return written(tmp_path / "readout.json", DAYS[-1])


def test_without_a_form_it_is_drawn_in_the_terminal(file: Path) -> None:
    result = run(file)
    assert result.exit_code == 0
    assert result.stderr == ""
    assert "new-landing-page, revision 1" in result.stdout
    assert "Sample ratio" in result.stdout


def test_the_ending_of_the_output_is_the_form(file: Path, tmp_path: Path) -> None:
    for ending in ("json", "csv", "parquet", "html", "ipynb", "txt"):
        result = run(file, "--output", tmp_path / f"out.{ending}")
        assert (result.exit_code, result.stdout) == (0, "")
    assert json.loads((tmp_path / "out.json").read_bytes()) == DAYS[-1]
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 6
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 7
    assert (tmp_path / "out.html").read_text().startswith("<!doctype html>")
    nbformat.validate(json.loads((tmp_path / "out.ipynb").read_bytes()))
    assert "Sample ratio" in (tmp_path / "out.txt").read_text()
    assert run(file, "--format", "csv").stdout_bytes == (tmp_path / "out.csv").read_bytes()


def test_figures_go_into_a_directory_or_one_into_a_file(file: Path, tmp_path: Path) -> None:
    earlier = [
        part
        for i, day in enumerate(DAYS[:-1])
        for part in ("--earlier", written(tmp_path / f"{i}.json", day))
    ]
    result = run(file, "--format", "svg", "--output", tmp_path / "figures", *earlier)
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert result.stdout.split() == [
        str(tmp_path / "figures" / Path(each).name) for each in result.stdout.split()
    ]
    assert names == {
        "lifts.svg",
        "bounds.svg",
        "effect-over-time-new.svg",
        "effect-over-time-bold.svg",
        "effect-over-time-load-time-new.svg",
        "effect-over-time-load-time-bold.svg",
        "sample-ratio.svg",
        "sample-ratio-over-time.svg",
    }
    assert run(file, "--figure", "lifts", "--output", tmp_path / "one.png").exit_code == 0
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")
    assert "It has: lifts, bounds, sample-ratio" in failure(file, "--format", "svg", "--figure", "nothing")


def test_what_does_not_fit_together_is_said(file: Path, tmp_path: Path) -> None:
    assert "--format parquet needs --output" in failure(file, "--format", "parquet")
    assert "--format svg needs --output" in failure(file, "--format", "svg")
    assert "--figure picks a figure" in failure(file, "--figure", "lifts")
    assert "--revision and --after are for an experiment's key" in failure(file, "--revision", "1")
    assert "Name the figure, as --figure lifts" in failure(file, "--output", tmp_path / "x.svg")
    assert not (tmp_path / "x.svg").exists()
    broken = tmp_path / "broken.json"
    broken.write_text('{"schema": "equipoise.readout/2"}')
    assert "This is not a readout" in failure(broken)
    broken.write_text("{")
    assert "is not JSON" in failure(broken)


def test_an_edited_file_is_drawn_and_called_that(tmp_path: Path) -> None:
    document = deepcopy(converted((100, 1_000), (130, 1_000)))
    document["metrics"][0]["comparisons"][0]["lift"]["estimate"] = 0.9
    result = run(written(tmp_path / "edited.json", document))
    assert result.exit_code == 0
    assert "disagrees with its own statistics" in result.stderr
    assert "/metrics/0/comparisons/0/lift/estimate" in result.stderr


def test_without_the_extra_tables_work_and_figures_say_how_to_get_them(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installed, "find_spec", lambda _: None)
    assert run(file, "--format", "csv").exit_code == 0
    assert 'pip install "equipoise-service[figures]"' in failure(file, "--format", "html")


def test_in_python_the_file_gives_frames_and_charts(file: Path) -> None:
    readout = read(file)
    frame = results(readout).to_pandas()
    assert list(frame[frame.against_control]["arm"]) == ["new", "bold", "new", "bold"]
    drawn = charts(readout)
    assert set(drawn) == {"lifts", "bounds", "sample-ratio"}
    assert drawn["lifts"].to_dict()["layer"]


class Busy(BaseHTTPRequestHandler):
    """A service whose next readout takes longer than anybody waits, beside the one that is stored, if any."""

    stored: bytes | None = json.dumps(DAYS[-1]).encode()

    def do_GET(self) -> None:
        body = None if "wait" in self.path else self.stored
        self.send_response(202 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"{}")))
        self.end_headers()
        self.wfile.write(body or b"{}")

    def log_message(self, *args: object) -> None:
        """Nothing of it belongs into the output."""


class New(Busy):
    """One that has none yet."""

    stored = None


@contextmanager
def serving(handler: type[Busy]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_while_a_newer_one_is_computed_the_stored_one_is_shown() -> None:
    for more in ([], ["--revision", "1"]):
        with serving(Busy) as url:
            result = run("new-landing-page", "--url", url, "--key", "eq_1_2", *more)
        assert result.exit_code == 0, result.exception
        assert "new-landing-page, revision 1" in result.stdout
        assert f"This is the readout of {DAYS[-1]['generated_at']}; a newer one" in result.stderr
    with serving(New) as url:
        assert "not computed yet" in failure("new-landing-page", "--url", url, "--key", "eq_1_2")
