"""Rounds of a crash test: traffic, a kill at a random moment, a start, and everything is counted."""

import http.client
import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from tests.service.crash.ledger import Ledger, Sent
from tests.service.crash.lives import Service, exchange

SEED = 20260301
SENDERS = 4
Counts = Mapping[str, Mapping[str, tuple[int, int]]]


@dataclass
class Tally:
    """What the kills met; a suite whose kills meet nothing shows nothing."""

    kills: int = 0
    amid_a_request: int = 0
    stored_without_an_answer: int = 0
    amid_a_refresh: int = 0
    amid_a_copy: int = 0
    copies_refused: int = 0
    copies_whole: int = 0

    def __str__(self) -> str:
        return (
            f"{self.kills} kills; {self.amid_a_request} while batches waited, which left "
            f"{self.stored_without_an_answer} batches stored without an answer; "
            f"{self.amid_a_refresh} amid a refresh; {self.amid_a_copy} amid a copy, with "
            f"{self.copies_refused} refused and {self.copies_whole} found whole"
        )


@dataclass
class Rounds:
    """A service, what was sent to it, and when it is killed.

    Attributes:
        service: It.
        whole: Whether a batch is stored whole or not at all.
        ledger: What was sent.
        tally: What the kills met.
        moments: Chooses them.
        copy_seconds: How long it takes to copy what is stored.
    """

    service: Service
    whole: bool = True
    ledger: Ledger = field(default_factory=lambda: Ledger(SEED))
    tally: Tally = field(default_factory=Tally)

    moments: random.Random = field(default_factory=lambda: random.Random(SEED))
    copy_seconds: float = 1.0
    _refresh_seconds: float = 0.5

    def run(self, count: int, strike: Callable[["Rounds", int], None]) -> Tally:
        """Strike so many times; after each time everything acknowledged is there, once."""
        self.service.start()
        for number in range(count):
            strike(self, number)
            self.tally.kills += 1
            self.tally.amid_a_request += bool(self.ledger.pending())
            self.check(number)
        self.service.stop()
        return self.tally

    def check(self, number: int) -> None:
        """Count what is stored, send the rest again, count that, and compare the statistics."""
        # A second round of counting is cheap beside a refresh, and finds what sending again did twice.
        self._count()
        for sent in self.ledger.pending():
            answer = self.service.ask("POST", "/v1/events", sent.body)
            self._judge(sent, answer)
            assert sent.acknowledged, (sent.number, answer)
        self._count()
        begin = time.perf_counter()
        found = self.service.ask("GET", f"/crash/compared?kind={number}")
        self._refresh_seconds = (time.perf_counter() - begin) / 2
        assert not found["differences"], found["differences"]
        expected = {variant: pytest.approx(values) for variant, values in self.ledger.arms().items()}
        assert {variant: tuple(values) for variant, values in found["arms"].items()} == expected

    def amid_ingestion(self, number: int) -> None:
        """Kill while several senders send small batches."""
        with self.sending(SENDERS, 5, 20):
            time.sleep(self.moments.uniform(0, 0.4))
            self.service.kill()
        self.service.start()

    def amid_a_commit(self, number: int) -> None:
        """Kill while one large batch is being stored: as often before, in and after its commit."""
        self.send_alone(self.ledger.new(5, 20))
        begin = time.perf_counter()
        self.send_alone(self.ledger.new(400, 1600))
        seconds = time.perf_counter() - begin
        sent = self.ledger.new(400, 1600)
        sending = threading.Thread(target=self.send_alone, args=(sent,))
        sending.start()
        time.sleep(self.moments.uniform(0, 1.1 * seconds))
        self.service.kill()
        sending.join()
        self.service.start()

    def amid_a_refresh(self, number: int) -> None:
        """Kill while a base is read, folded and kept, and something new comes."""
        with self._refreshing(number):
            self.service.kill()
        self.service.start()

    def amid_a_crash(self, number: int, crash: Callable[[], None]) -> None:
        """Let the event store's server crash amid a refresh; the service goes on by itself."""
        with self._refreshing(number):
            crash()
        self.service.await_ready()

    @contextmanager
    def _refreshing(self, number: int) -> "Iterator[None]":
        """At a random moment of a refresh, while something new comes."""
        for _ in range(3):
            self.send_alone(self.ledger.new(5, 20))
        answered = threading.Event()

        def refresh() -> None:
            try:
                with self.service.connected() as connection:
                    exchange(connection, self.service.key, "POST", f"/crash/refresh?kind={number}")
                answered.set()
            except (OSError, http.client.HTTPException):
                return  # it was killed

        refreshing = threading.Thread(target=refresh)
        with self.sending(1, 5, 20):
            refreshing.start()
            time.sleep(self.moments.uniform(0, 1.1 * self._refresh_seconds))
            self.tally.amid_a_refresh += not answered.is_set()
            yield
        refreshing.join()

    @contextmanager
    def sending(self, senders: int, exposures: int, events: int) -> "Iterator[None]":
        """Send batches one after the other, from several senders, each until it meets no answer."""
        ended = threading.Event()

        def send() -> None:
            with self.service.connected() as connection:
                while not ended.is_set() and self._send(connection, self.ledger.new(exposures, events)):
                    pass

        threads = [threading.Thread(target=send) for _ in range(senders)]
        for each in threads:
            each.start()
        try:
            yield
        finally:
            ended.set()
            for each in threads:
                each.join()

    def send_alone(self, sent: Sent) -> None:
        """Send a batch."""
        with self.service.connected() as connection:
            self._send(connection, sent)

    def _send(self, connection: http.client.HTTPConnection, sent: Sent) -> bool:
        """Send a batch; whether there was an answer."""
        try:
            status, answer = exchange(connection, self.service.key, "POST", "/v1/events", sent.body)
        except (OSError, http.client.HTTPException):
            return False
        if status == 200:
            self._judge(sent, json.loads(answer))
        else:
            assert status == 503, answer
        return status == 200

    def _judge(self, sent: Sent, answer: dict[str, int]) -> None:
        assert answer["refused"] == 0, answer
        assert answer["accepted"] + answer["duplicate"] == sent.size, answer
        self.ledger.acknowledge(sent)

    def _count(self) -> None:
        found = self.service.ask("GET", "/crash/stored")
        unanswered = judge_counts(found, self.ledger, self.whole)
        self.tally.stored_without_an_answer += unanswered


def judge_counts(found: Counts, ledger: Ledger, whole: bool) -> int:
    """Hold what is stored of each batch against what must be; how many are whole without an answer.

    Args:
        found: For each kind and batch, how many rows, and how many distinct ids among them.
        ledger: What was sent and acknowledged.
        whole: Whether the others are there whole or not at all.
    """
    known = {each.code for each in ledger.batches}
    assert set(found["exposures"]) | set(found["events"]) <= known
    unanswered = 0
    for sent in ledger.batches:
        stored = [tuple(found[kind].get(sent.code, (0, 0))) for kind in ("exposures", "events")]
        right = [(sent.exposures,) * 2, (sent.events,) * 2]
        if sent.acknowledged:
            assert stored == right, f"batch {sent.number} was acknowledged: {stored}"
        elif whole:
            assert stored in (right, [(0, 0), (0, 0)]), f"batch {sent.number}: {stored}"
        else:
            for (rows, distinct), (most, _) in zip(stored, right, strict=True):
                assert rows == distinct <= most, f"batch {sent.number}: {stored}"
        unanswered += not sent.acknowledged and stored == right
    return unanswered
