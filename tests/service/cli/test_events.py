"""`equipoise events`: against a real service, as a person and as a program read it."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.service.events.items import body, event
from tests.service.running import RunningService, command, running_service


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with running_service(tmp_path_factory.mktemp("events")) as service:
        yield service


def said(service: RunningService, *arguments: str, directory: Path) -> tuple[int, str, str]:
    """Exit status and what `equipoise events` printed."""
    environ = {"EQUIPOISE_URL": service.url, "EQUIPOISE_KEY": service.key}
    process = command("events", *arguments, directory=directory, **environ)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_refused_items_and_counters_are_shown(running: RunningService, tmp_path: Path) -> None:
    bad = [event(name="\x1b[31mred", time=f"no {n}") for n in range(3)]
    running.request("POST", "/v1/events", content=body([], [event(), *bad, event(unit=7)]))
    status, shown, _ = said(running, "rejected", "--reason", "RFC3339", "--most", "2", directory=tmp_path)
    assert status == 0
    assert "/events/1/time" in shown
    assert "/events/4/unit" not in shown
    assert "There are more" in shown
    assert "\x1b" not in shown
    _, lines, _ = said(running, "rejected", "--json", directory=tmp_path)
    assert [json.loads(line)["pointer"] for line in lines.splitlines()] == [
        "/events/1/time",
        "/events/2/time",
        "/events/3/time",
        "/events/4/unit",
    ]
    _, counted, _ = said(running, "counters", "--json", directory=tmp_path)
    (row,) = (json.loads(line) for line in counted.splitlines())
    assert (row["kind"], row["accepted"], row["duplicate"], row["refused"]) == ("event", 1, 0, 4)


def test_the_tail_shows_what_comes_until_it_is_stopped(running: RunningService, tmp_path: Path) -> None:
    environ = {"EQUIPOISE_URL": running.url, "EQUIPOISE_KEY": running.key, "PYTHONUNBUFFERED": "1"}
    process = command("events", "tail", "--name", "buy", directory=tmp_path, **environ)
    assert process.stdout is not None
    items = [event(name="look"), event(name="buy", unit="\x1b[2Junit", value=2.5, properties={"a": "é"})]
    assert running.request("POST", "/v1/events", content=body([], items)).status_code == 200
    line = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, "", "")
    assert "buy 2.5" in line
    assert '{"a": "é"}' in line
    assert "\x1b" not in line


def test_what_cannot_be_asked_is_said_in_words(running: RunningService, tmp_path: Path) -> None:
    wrong = {"EQUIPOISE_URL": running.url, "EQUIPOISE_KEY": "eq_wrong"}
    for arguments in (("tail",), ("rejected",), ("counters",)):
        process = command("events", *arguments, directory=tmp_path, **wrong)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 2
        assert "valid API key" in err
    away = {"EQUIPOISE_URL": "http://127.0.0.1:9", "EQUIPOISE_KEY": running.key}
    process = command("events", "tail", directory=tmp_path, **away)
    assert "cannot be reached" in process.communicate(timeout=60)[1]
