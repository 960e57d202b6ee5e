"""A process with an SDK client that logs exposures and events at a given pace.

It reads a line of JSON for each stretch of traffic, `{"units_per_second": N or null, "seconds": N}`, and
answers with what became of it once everything is delivered. Null is as fast as the service takes it.
"""

import json
import os
import sys
import time

from tests.service.load.scene import EVENTS_A_UNIT, EXPERIMENT

from equipoise import Client


def main(url: str, key: str) -> None:
    """Do what the lines say."""
    with Client(url, key, when_full="block", block_seconds=60.0, poll_interval=1.0) as client:
        assert client.wait_ready(60)
        number = 0
        for line in sys.stdin:
            told = json.loads(line)
            pace, seconds = told["units_per_second"], told["seconds"]
            before = client.counters
            begin = time.monotonic()
            first = number
            while (elapsed := time.monotonic() - begin) < seconds:
                due = 100 if pace is None else int(elapsed * pace) - (number - first)
                for _ in range(due):
                    unit = f"{os.getpid()}-{number}"
                    client.variant(EXPERIMENT, unit)
                    for value in range(EVENTS_A_UNIT):
                        client.track("spent", unit, value=value)
                    number += 1
                if pace is not None:
                    time.sleep(0.02)
            client.flush(120)
            after = client.counters
            answer = {
                "units": number - first,
                "accepted": after.accepted - before.accepted,
                "dropped": sum(after.dropped.values()) - sum(before.dropped.values()),
                "refused": after.refused - before.refused,
                "pending": after.pending,
                "seconds": time.monotonic() - begin,
            }
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
