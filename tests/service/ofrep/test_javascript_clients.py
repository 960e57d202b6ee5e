"""The released JavaScript clients, on servers and in browsers, against a real service."""

import json
import os
import queue
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.service.ofrep.conftest import SCRIPTS, VALUES
from tests.service.running import RunningService

from equipoise import Configuration, evaluate
from equipoise.configuration import load
from equipoise_service.accounts.principals import Scope

FALLBACKS: dict[str, Any] = {
    "boolean": False,
    "string": "fallback",
    "integer": -1,
    "number": -1.5,
    "object": {"fallback": True},
}
UNITS = [f"user-{index}" for index in range(6)]


def question(flag: str, context: Any = None, asked_as: str | None = None) -> dict[str, Any]:
    kind = "number" if flag == "integer" else flag
    known = FALLBACKS.get(asked_as or flag, "fallback")
    return {"type": asked_as or kind, "flag": flag, "fallback": known, "context": context}


def environ(modules: Path, service: RunningService, **more: str) -> dict[str, str]:
    headers = [["Authorization", f"Bearer {service.key}"]]
    return {
        "PATH": os.environ["PATH"],
        "MODULES": str(modules),
        "URL": service.url,
        "HEADERS": json.dumps(headers),
        **more,
    }


def configuration(service: RunningService) -> Configuration:
    return load(service.request("GET", "/v1/config").content)


def server_answers(modules: Path, service: RunningService, questions: list[Any], **more: str) -> list[Any]:
    done = subprocess.run(
        ["node", str(SCRIPTS / "server.mjs"), json.dumps(questions)],
        env=environ(modules, service, **more),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers: list[Any] = json.loads(done.stdout)
    return answers


def test_the_server_sdk_gets_every_type(node_modules: Path, typed_service: RunningService) -> None:
    local = configuration(typed_service)
    asked = [(flag, unit) for flag in VALUES for unit in UNITS]
    questions = [question(flag, {"targetingKey": unit, "country": "FR"}) for flag, unit in asked]
    answers = server_answers(node_modules, typed_service, questions)
    for (flag, unit), answer in zip(asked, answers, strict=True):
        expected = evaluate(local, flag, unit)
        assert "errorCode" not in answer, answer
        assert (answer["value"], answer["variant"]) == (expected.value, expected.variant)
        assert answer["reason"] == "SPLIT"
        assert answer["flagMetadata"] == {
            "flagSetId": "default/production",
            "version": local.version,
            "inExperiment": True,
            "experiment": flag,
            "revision": 1,
        }
    assert {answer["variant"] for answer in answers} == {"control", "treatment"}


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (question("none", {"targetingKey": "u"}, "string"), "FLAG_NOT_FOUND"),
        (question("no/flag", {"targetingKey": "u"}, "string"), "FLAG_NOT_FOUND"),
        (question("string", {"country": "FR"}), "TARGETING_KEY_MISSING"),
        (question("string", {"targetingKey": 7}), "INVALID_CONTEXT"),
        (question("string", {"targetingKey": "u"}, "boolean"), "TYPE_MISMATCH"),
    ],
)
def test_the_server_sdk_is_told_what_was_wrong(
    node_modules: Path, typed_service: RunningService, asked: Any, code: str
) -> None:
    (answer,) = server_answers(node_modules, typed_service, [asked])
    assert (answer["value"], answer["reason"], answer["errorCode"]) == (asked["fallback"], "ERROR", code)


@pytest.mark.parametrize("scopes", [None, (Scope.INGEST,)])
def test_the_server_sdk_with_a_wrong_key_falls_back(
    node_modules: Path, typed_service: RunningService, scopes: Any
) -> None:
    key = typed_service.make_key(*scopes) if scopes else "eq_wrong_key"
    headers = json.dumps([["X-API-Key", key]])
    asked = [question("string", {"targetingKey": "u"})]
    (answer,) = server_answers(node_modules, typed_service, asked, HEADERS=headers)
    assert (answer["value"], answer["reason"], answer["errorCode"]) == ("fallback", "ERROR", "GENERAL")
    # Of another key, in the other header, it is answered.
    headers = json.dumps([["X-API-Key", typed_service.make_key(Scope.EVALUATE)]])
    (answer,) = server_answers(node_modules, typed_service, asked, HEADERS=headers)
    assert answer["reason"] == "SPLIT"


class Page:
    """A page of the web SDK: what it says, line by line."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._said: queue.Queue[str] = queue.Queue()
        self._process = process
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self._said.put(line)

    def next(self, seconds: float = 20.0) -> Any:
        return json.loads(self._said.get(timeout=seconds))

    def close(self) -> None:
        """End it, and see that it ended well."""
        assert self._process.stdin
        self._process.stdin.close()
        try:
            assert self._process.wait(20) == 0
        finally:
            self._process.kill()
            self._thread.join(10)

    def silent(self, seconds: float) -> bool:
        try:
            self._said.get(timeout=seconds)
        except queue.Empty:
            return True
        return False


@contextmanager
def page(
    modules: Path, service: RunningService, context: Any, questions: list[Any], **more: str
) -> Iterator[Page]:
    process = subprocess.Popen(
        ["node", str(SCRIPTS / "web.mjs"), json.dumps(questions)],
        env=environ(modules, service, CONTEXT=json.dumps(context), **more),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        shown = Page(process)
        try:
            yield shown
        finally:
            shown.close()


def test_the_web_sdk_gets_every_type_and_304_for_the_same_again(
    node_modules: Path, typed_service: RunningService
) -> None:
    local = configuration(typed_service)
    questions = [*(question(flag) for flag in VALUES), question("none", None, "string")]
    for unit in UNITS[:3]:
        with page(node_modules, typed_service, {"targetingKey": unit, "country": "FR"}, questions) as shown:
            ready, again = shown.next(), shown.next()
            assert (ready["event"], ready["statuses"]) == ("ready", [200])
            assert (again["event"], again["statuses"]) == ("again", [304])
            for told in (ready, again):
                *answers, unknown = told["answers"]
                for flag, answer in zip(VALUES, answers, strict=True):
                    expected = evaluate(local, flag, unit)
                    assert (answer["value"], answer["variant"]) == (expected.value, expected.variant)
                    assert (answer["reason"], answer["flagMetadata"]["experiment"]) == ("SPLIT", flag)
                assert (unknown["value"], unknown["errorCode"]) == ("fallback", "FLAG_NOT_FOUND")


def test_a_change_reaches_the_web_sdk(node_modules: Path, typed_service: RunningService) -> None:
    with page(node_modules, typed_service, {"targetingKey": "user-1"}, [question("boolean")]) as shown:
        assert shown.next()["answers"][0]["reason"] == "SPLIT"
        assert shown.next()["event"] == "again"
        for move, reason in (("pause", "DISABLED"), ("resume", "SPLIT")):
            answer = typed_service.request("POST", f"/v1/experiments/boolean/{move}")
            assert answer.status_code == 200
            told = shown.next()
            assert (told["event"], told["answers"][0]["reason"], told["statuses"]) == (
                "changed",
                reason,
                [200],
            )
        assert shown.silent(0.5)


def test_the_web_sdk_finds_its_stream_again_after_a_restart(
    node_modules: Path, typed_service: RunningService
) -> None:
    with page(node_modules, typed_service, {"targetingKey": "user-1"}, [question("boolean")]) as shown:
        shown.next(), shown.next()
        typed_service.process.stop()
        typed_service.process.start()
        assert typed_service.request("POST", "/v1/experiments/boolean/pause").status_code == 200
        told = shown.next()
        assert (told["event"], told["answers"][0]["reason"]) == ("changed", "DISABLED")
        assert typed_service.request("POST", "/v1/experiments/boolean/resume").status_code == 200
        assert shown.next()["answers"][0]["reason"] == "SPLIT"


@pytest.mark.parametrize("wrong", ["key", "context"])
def test_the_web_sdk_is_told_what_was_wrong(
    node_modules: Path, typed_service: RunningService, wrong: str
) -> None:
    headers = {"HEADERS": json.dumps([["Authorization", "Bearer eq_wrong_key"]])} if wrong == "key" else {}
    context = {"targetingKey": "u"} if wrong == "key" else {"country": "FR"}
    with page(node_modules, typed_service, context, [], **headers) as shown:
        told = shown.next()
        assert told["event"] == "failed"
        assert told["statuses"] == ([401] if wrong == "key" else [400])
