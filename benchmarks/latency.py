"""How long acknowledgements take at half the top load, and assignments beside that load and a readout."""

import itertools
import json
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from benchmarks.ingestion import BATCH, CONNECTIONS, bodies
from benchmarks.load import seconds_to_send
from benchmarks.open_loop import Stream, quantile, send
from benchmarks.server import KEY, Running, running_service
from equipoise.identifiers import uuid7

ROUNDS = 3
SECONDS = 8.0
TOP_BATCHES = 300
UNITS = 20_000
ASSIGNMENTS_A_SECOND = 100
MOST_SECONDS = 0.150


def main() -> None:
    """Print both figures beside their limits."""
    with running_service() as running:
        address = running.host, running.port
        _expose(running)
        # The first readout imports what it needs; a service has done so long before.
        seconds_to_send(address, [_readout(running)], connections=1)
        top = max(_top_load(running) for _ in range(ROUNDS))
        print(
            f"latency: a batch of {BATCH} events is due {top / 2 / BATCH:.0f} times a second,"
            f" half the top load of {top:,.0f} events/s",
            flush=True,
        )
        acknowledged: list[float] = []
        beside_readouts: list[float] = []
        from_due, from_sent = _Figures(), _Figures()
        for _ in range(ROUNDS):
            alone = Stream(_assignments(running), 1 / ASSIGNMENTS_A_SECOND)
            send(address, [alone], SECONDS)
            only = Stream(_batches(running, top / 2 / BATCH), BATCH / (top / 2))
            send(address, [only], SECONDS)
            acknowledged.append(quantile(only.seconds, 0.99))
            batches = Stream(_batches(running, top / 2 / BATCH), BATCH / (top / 2))
            beside = Stream(_assignments(running), 1 / ASSIGNMENTS_A_SECOND)
            readouts = Stream(itertools.repeat(_readout(running)), None)
            # A route that does nothing: what the machine and the load itself make everybody wait.
            nothing = Stream(
                itertools.repeat(running.request("GET", "/bare/bytes")), 1 / ASSIGNMENTS_A_SECOND
            )
            send(address, [batches, beside, readouts, nothing], SECONDS)
            beside_readouts.append(quantile(batches.seconds, 0.99))
            from_due.add(alone.seconds, beside.seconds)
            from_sent.add(alone.since_sent, beside.since_sent)
            print(
                f"    acknowledgements p50 {_ms(quantile(only.seconds, 0.5))}, p99 {_ms(acknowledged[-1])},"
                f" beside readouts {_ms(quantile(batches.seconds, 0.5))}, {_ms(beside_readouts[-1])};"
                f" assignments p99 {_ms(from_due.idle[-1])} idle, {_ms(from_due.loaded[-1])} loaded"
                f" ({_ms(quantile(nothing.seconds, 0.99))} a route that does nothing),"
                f" {_ms(from_sent.idle[-1])} and {_ms(from_sent.loaded[-1])} from when they were sent;"
                f" {len(readouts.seconds)} readouts, {_ms(statistics.median(readouts.seconds))} each",
                flush=True,
            )
    for name, found in (
        ("p99 of an acknowledgement", acknowledged),
        ("p99 of an acknowledgement, readouts going on beside it", beside_readouts),
    ):
        limit = [each / MOST_SECONDS for each in found]
        _figure(name, _ms(statistics.median(found)), _ms(MOST_SECONDS), limit)
    for name, figures in (("since it was due", from_due), ("since it was sent", from_sent)):
        _figure(
            f"p99 of an assignment beside it and a readout, {name}",
            _ms(statistics.median(figures.idle)),
            "3 x idle",
            [loaded / idle for loaded, idle in zip(figures.loaded, figures.idle, strict=True)],
        )


@dataclass
class _Figures:
    """The 99th percentiles of the rounds."""

    idle: list[float] = field(default_factory=list)
    loaded: list[float] = field(default_factory=list)

    def add(self, alone: list[float], beside: list[float]) -> None:
        """Add those of a round."""
        self.idle.append(quantile(alone, 0.99))
        self.loaded.append(quantile(beside, 0.99))


def _figure(name: str, measured: str, limit: str, ratios: list[float]) -> None:
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
    print(f"  {name:<62} {measured:>12} {limit:>12}   ratio {statistics.median(ratios):.2f} ({spread})")


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.1f} ms"


def _top_load(running: Running) -> float:
    requests = [running.request("POST", "/v1/events", body) for body in bodies(TOP_BATCHES)]
    seconds = seconds_to_send((running.host, running.port), requests, connections=CONNECTIONS)
    return TOP_BATCHES * BATCH / seconds


def _batches(running: Running, a_second: float) -> Iterator[bytes]:
    """As many as become due, made beforehand: making them takes longer than storing them."""
    made = bodies(int(a_second * SECONDS) + 1)
    return iter([running.request("POST", "/v1/events", body) for body in made])


def _assignments(running: Running) -> Iterator[bytes]:
    for number in itertools.count():
        asked = json.dumps({"flag": KEY, "unit": f"user-{number}"}).encode()
        yield running.request("POST", "/v1/assignments", asked)


def _readout(running: Running) -> bytes:
    return running.request("GET", f"/v1/experiments/{KEY}/readout?wait=60")


def _expose(running: Running) -> None:
    """Expose units, so that the readout has something to read."""
    now = datetime.now(UTC).isoformat()
    items = [
        {"id": uuid7(), "time": now, "unit": f"user-{unit}", "experiment": KEY, "variant": variant}
        for unit in range(UNITS)
        for variant in [("control", "treatment")[unit % 2]]
    ]
    parts = [items[start : start + 5000] for start in range(0, UNITS, 5000)]
    requests = [
        running.request("POST", "/v1/events", json.dumps({"exposures": part}).encode()) for part in parts
    ]
    seconds_to_send((running.host, running.port), requests, connections=1)
