"""A Chromium without a screen, spoken to over its own pipe by the DevTools protocol, no library between."""

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium")
_SECONDS = 60.0
# The protocol is spoken over the descriptors 3 and 4, whatever numbers they have here.
_AT_ITS_DESCRIPTORS = """
import fcntl, os, sys
high = [fcntl.fcntl(int(each), fcntl.F_DUPFD, 10) for each in sys.argv[1:3]]
for number, each in zip((3, 4), high):
    os.dup2(each, number)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Browser:
    """One page of it.

    Attributes:
        events: What it reported, oldest first.
    """

    def __init__(self, to: int, answers: int) -> None:
        self._to, self._answers, self._bytes, self._number = to, answers, b"", 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        # Files are no network: what is loaded from anywhere else fails.
        self.call(
            "Network.emulateNetworkConditions",
            offline=True,
            latency=0,
            downloadThroughput=-1,
            uploadThroughput=-1,
        )

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """What a method of the protocol answers."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        answer = self._until(lambda each: each.get("id") == self._number)
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def open(self, path: Path, *, width: int, height: int = 900) -> None:
        """Open a file in a window of a size, and wait until all of it is there."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        # Before the address, so that what is reported is of this page.
        self.events.clear()
        answer = self.call("Page.navigate", url=path.as_uri())
        assert "errorText" not in answer, answer
        if not any(each["method"] == "Page.loadEventFired" for each in self.events):
            self._until(lambda each: each.get("method") == "Page.loadEventFired")

    def value(self, expression: str) -> Any:
        """What an expression is on the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def photograph(self) -> bytes:
        """The whole page, as a PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        shot = self.call("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        return base64.b64decode(shot["data"])

    def reported(self, *methods: str) -> list[dict[str, Any]]:
        """The events of these names."""
        return [each["params"] for each in self.events if each["method"] in methods]

    def _until(self, is_it: Any) -> dict[str, Any]:
        ends_at = time.monotonic() + _SECONDS
        while True:
            while b"\0" in self._bytes:
                text, _, self._bytes = self._bytes.partition(b"\0")
                message: dict[str, Any] = json.loads(text)
                if "method" in message:
                    self.events.append(message)
                if is_it(message):
                    return message
            ready, _, _ = select.select([self._answers], [], [], max(0.0, ends_at - time.monotonic()))
            assert ready, f"the browser said nothing for {_SECONDS:g} seconds"
            more = os.read(self._answers, 1 << 16)
            assert more, "the browser ended"
            self._bytes += more


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A browser of its own, which ends with the block.

    Args:
        folder: Where it keeps what it keeps.
    """
    assert CHROMIUM is not None
    reads, to = os.pipe()
    answers, writes = os.pipe()
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", _AT_ITS_DESCRIPTORS, str(reads), str(writes)),
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            f"--user-data-dir={folder}",
            "--remote-debugging-pipe",
        ],
        pass_fds=(reads, writes),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(reads)
    os.close(writes)
    try:
        found = Browser(to, answers)
        yield found
    finally:
        os.close(to)
        os.close(answers)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
