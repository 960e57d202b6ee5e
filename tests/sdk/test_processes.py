"""Clients in processes that fork, spawn and end: each script runs in an interpreter of its own."""

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from tests.sdk.fake_service import KEY, FakeService

START = f"""
import multiprocessing, os, sys, threading, time
from equipoise import Client
FLAG = "new-landing-page"
client = Client(sys.argv[1], {KEY!r}, flush_interval=60)
"""


def run(service: FakeService, tmp_path: Path, script: str, seconds: float = 30, says: str = "") -> str:
    """Run a script that has a client of the service and logs only what it `says`; return what it printed."""
    path = tmp_path / "script.py"
    path.write_text(START + textwrap.dedent(script))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(path), service.url],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert says in done.stderr if says else done.stderr == ""
    return done.stdout


def units(items: list[dict[str, Any]]) -> list[str]:
    return sorted(item["unit"] for item in items)


def test_a_clean_exit_sends_what_is_queued(service: FakeService, tmp_path: Path) -> None:
    run(service, tmp_path, "for n in range(50): client.track('seen', f'user-{n}')")
    assert len(service.items) == 50


def test_an_exit_by_exception_sends_what_is_queued(service: FakeService, tmp_path: Path) -> None:
    run(service, tmp_path, "client.track('seen', 'user-1')\nsys.exit(0)")
    assert len(service.items) == 1


def test_an_exit_is_not_held_up_by_a_service_that_is_down(service: FakeService, tmp_path: Path) -> None:
    service.stop()
    run(service, tmp_path, "client.track('seen', 'user-1')", seconds=15, says="cannot be reached")


def test_fork(service: FakeService, tmp_path: Path) -> None:
    """The parent has sent some and queued some; parent and children go on."""
    run(
        service,
        tmp_path,
        """
        assert client.wait_ready(10)
        client.track("seen", "parent-before")
        children = []
        for child in range(4):
            pid = os.fork()
            if pid == 0:
                assert client.counters.logged == 0
                assert client.variant(FLAG, f"child-{child}").reason == "SPLIT"
                client.track("seen", f"child-{child}")
                report = client.close(10)
                os._exit(0 if (report.accepted, report.pending) == (2, 0) else 1)
            children.append(pid)
        assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 4
        client.track("seen", "parent-after")
        assert client.flush(10).accepted == 2
        """,
    )
    assert units(service.stored("events")) == sorted(
        ["parent-before", "parent-after", *(f"child-{n}" for n in range(4))]
    )
    assert units(service.stored("exposures")) == [f"child-{n}" for n in range(4)]
    assert set(service.arrivals.values()) == {1}


def test_fork_while_threads_log_and_a_flush_is_under_way(service: FakeService, tmp_path: Path) -> None:
    printed = run(
        service,
        tmp_path,
        """
        assert client.wait_ready(10)
        stop = threading.Event()
        logged = [0] * 4
        def work(number):
            while not stop.is_set():
                client.track("seen", f"parent-{number}-{logged[number]}")
                logged[number] += 1
                if logged[number] % 50 == 0:
                    client.flush(5)
        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads: thread.start()
        for child in range(20):
            time.sleep(0.02)
            pid = os.fork()
            if pid == 0:
                client.track("seen", f"child-{child}")
                os._exit(0 if client.close(20).accepted == 1 else 1)
            assert os.waitpid(pid, 0)[1] == 0
        stop.set()
        for thread in threads: thread.join()
        client.close(20)
        print(sum(logged), client.counters.accepted)
        """,
        seconds=60,
    )
    logged, accepted = map(int, printed.split())
    arrived = units(service.stored("events"))
    assert logged == accepted == sum(unit.startswith("parent") for unit in arrived)
    assert sum(unit.startswith("child") for unit in arrived) == 20
    assert set(service.arrivals.values()) == {1}


def test_fork_at_once_after_the_first_use(service: FakeService, tmp_path: Path) -> None:
    """The parent's thread has hardly begun; whatever it was doing, the child can do all of it."""
    run(
        service,
        tmp_path,
        """
        for child in range(20):
            client = Client(sys.argv[1], client._worker.settings.key)
            client.track("seen", f"parent-{child}")
            if os.fork() == 0:
                client.track("seen", f"child-{child}")
                os._exit(0 if client.close(10).accepted == 1 else 1)
            assert os.wait()[1] == 0
            client.close(10)
        """,
    )
    assert len(service.stored("events")) == 40


def test_ids_differ_between_forks(service: FakeService, tmp_path: Path) -> None:
    printed = run(
        service,
        tmp_path,
        """
        from equipoise.identifiers import uuid7
        uuid7()
        for child in range(4):
            if os.fork() == 0:
                sys.stdout.write("".join(uuid7() + "\\n" for _ in range(1000)))
                sys.stdout.flush()
                os._exit(0)
        for child in range(4): os.wait()
        """,
    )
    ids = printed.split()
    assert len(ids) == len(set(ids)) == 4000


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(service: FakeService, tmp_path: Path, method: str) -> None:
    """Children leave without closing: what they queued is sent nevertheless."""
    run(
        service,
        tmp_path,
        f"""
        def work(child):
            for n in range(10):
                client.track("seen", f"child-{{child}}-{{n}}")

        if __name__ == "__main__":
            client.track("seen", "parent")
            context = multiprocessing.get_context({method!r})
            children = [context.Process(target=work, args=(n,)) for n in range(3)]
            for child in children: child.start()
            for child in children: child.join()
            assert [child.exitcode for child in children] == [0, 0, 0]
        """,
        seconds=60,
    )
    assert len(service.stored("events")) == 31
    assert set(service.arrivals.values()) == {1}


def test_a_closed_client_stays_closed_in_a_child(service: FakeService, tmp_path: Path) -> None:
    run(
        service,
        tmp_path,
        """
        client.close()
        if os.fork() == 0:
            client.track("seen", "user-1")
            os._exit(0 if client.counters.dropped == {"closed": 1} else 1)
        assert os.wait()[1] == 0
        """,
        says="after close()",
    )
    assert service.connections == 0
