"""Sticky assignment: who has an arm keeps it; with a store in memory, and one in a real Redis."""

import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st
from redis.backoff import NoBackoff
from redis.retry import Retry
from tests.sdk.fake_service import FLAG, document

from equipoise import Client, Reason, evaluate
from equipoise.configuration import parse
from equipoise.sticky import Kept, MemoryStickyStore, RedisStickyStore, StickyStore

UNITS = [f"user-{n}" for n in range(200)]


def sticky(**experiment: Any) -> dict[str, Any]:
    return document(**{"sticky": True, **experiment})


def later(**experiment: Any) -> dict[str, Any]:
    """Return what the experiment may have become: another revision with other weights and less traffic."""
    return sticky(
        **{
            "revision": 2,
            "salt": "1122334455667788",
            "slots": [[0, 1000]],
            "ranges": [["control", 0, 9000], ["treatment", 9000, 10000]],
            **experiment,
        }
    )


@pytest.fixture(scope="module")
def redis_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis server of our own; the path of its socket."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("there is no redis-server (Debian: apt-get install redis-server)")
    socket = tmp_path_factory.mktemp("redis") / "s"
    server = subprocess.Popen(
        [program, "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(socket.parent)],
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 20
        while True:
            with suppress(redis.ConnectionError), redis.Redis(unix_socket_path=str(socket)) as client:
                client.ping()
                break
            assert time.monotonic() < deadline, "the Redis server does not answer"
            time.sleep(0.05)
        yield str(socket)
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture(params=["memory", "redis", "redis as text"])
def store(request: pytest.FixtureRequest) -> Iterator[StickyStore]:
    if request.param == "memory":
        yield MemoryStickyStore()
        return
    path = request.getfixturevalue("redis_socket")
    with redis.Redis(unix_socket_path=path, decode_responses="text" in request.param) as client:
        client.flushall()
        yield RedisStickyStore(client)


def test_units_keep_their_arm_and_its_revision(store: StickyStore) -> None:
    before = Client.from_config(sticky(), sticky=store)
    first = {unit: before.variant(FLAG, unit) for unit in UNITS}
    assert first == {unit: evaluate(parse(sticky()), FLAG, unit) for unit in UNITS}, "the first time, as ever"
    after = Client.from_config(later(), sticky=store)
    assert {unit: after.variant(FLAG, unit) for unit in UNITS} == first
    assert {unit: after.string(FLAG, unit, "x") for unit in UNITS} == first
    fresh = [f"new-{n}" for n in range(200)]
    expected = {unit: evaluate(parse(later()), FLAG, unit) for unit in fresh}
    assert {unit: after.assign(FLAG, unit) for unit in fresh} == expected
    assert {each.revision for each in expected.values()} == {2, None}


def test_without_a_store_or_without_the_mark_nothing_sticks(store: StickyStore) -> None:
    for configuration, given_store in ((later(), None), (later(sticky=False), store)):
        for unit in UNITS:
            store.put(FLAG, unit, Kept("treatment", 1))
        client = Client.from_config(configuration, sticky=given_store)
        for unit in UNITS:
            assert client.assign(FLAG, unit) == evaluate(parse(configuration), FLAG, unit)


def test_what_else_serves_the_unit_goes_first(store: StickyStore) -> None:
    for unit in UNITS:
        store.put(FLAG, unit, Kept("treatment", 1))
    overridden = Client.from_config(later(overrides={"user-1": "control"}), sticky=store)
    assert overridden.assign(FLAG, "user-1").reason is Reason.TARGETING_MATCH
    assert overridden.assign(FLAG, "user-2").variant == "treatment"
    for status in ("paused", "stopped"):
        paused = Client.from_config(later(status=status), sticky=store)
        assert paused.assign(FLAG, "user-1").reason is Reason.DISABLED
    shipped = later()
    shipped["flags"][FLAG]["rules"].insert(0, {"variant": "control"})
    assert Client.from_config(shipped, sticky=store).assign(FLAG, "user-1").reason is Reason.STATIC
    off = later()
    off["flags"][FLAG]["enabled"] = False
    assert Client.from_config(off, sticky=store).assign(FLAG, "user-1").reason is Reason.DISABLED


def test_a_prerequisite_that_is_not_met_goes_first(store: StickyStore) -> None:
    for unit in UNITS:
        store.put(FLAG, unit, Kept("treatment", 1))
    configuration = later()
    configuration["flags"]["switch"] = {
        "type": "boolean",
        "unit_type": "account",
        "variants": {"on": True, "off": False},
        "default": "off",
        "rules": [],
    }
    configuration["flags"][FLAG]["prerequisites"] = [{"flag": "switch", "variants": ["on"]}]
    client = Client.from_config(configuration, sticky=store)
    assert client.assign(FLAG, "user-1").reason is Reason.DEFAULT
    configuration["flags"]["switch"]["default"] = "on"
    client = Client.from_config(configuration, sticky=store)
    assert client.assign(FLAG, "user-1").variant == "treatment"


def test_an_audience_that_narrows_loses_nobody(store: StickyStore) -> None:
    first = {unit: Client.from_config(sticky(), sticky=store).assign(FLAG, unit) for unit in UNITS}
    narrowed = sticky()
    narrowed["flags"][FLAG]["rules"] = [
        {"experiment": FLAG, "audience": {"attribute": "plan", "operator": "equals", "value": "pro"}}
    ]
    client = Client.from_config(narrowed, sticky=store)
    assert {unit: client.assign(FLAG, unit) for unit in UNITS} == first
    assert client.assign(FLAG, "new").reason is Reason.DEFAULT


def test_a_variant_that_is_gone_is_drawn_anew(store: StickyStore) -> None:
    store.put(FLAG, "user-1", Kept("blue", 1))
    client = Client.from_config(sticky(), sticky=store)
    got = client.assign(FLAG, "user-1")
    assert got == evaluate(parse(sticky()), FLAG, "user-1")
    assert store.get(FLAG, "user-1") == Kept(str(got.variant), 1)


def test_the_randomised_id_sticks(store: StickyStore) -> None:
    configuration = sticky()
    configuration["flags"][FLAG]["unit_type"] = "user"
    client = Client.from_config(configuration, sticky=store)
    got = client.variant(FLAG, "user-1", attributes={"account": "a"})
    assert store.get(FLAG, "a") == Kept(str(got.variant), 1)
    assert store.get(FLAG, "user-1") is None
    assert client.variant(FLAG, "user-1").reason is Reason.DEFAULT


def test_a_store_that_fails_is_done_without(caplog: pytest.LogCaptureFixture) -> None:
    down = RedisStickyStore(
        redis.Redis(unix_socket_path="/nonexistent/redis.sock", retry=Retry(NoBackoff(), 0))
    )
    client = Client.from_config(sticky(), sticky=down)
    for unit in UNITS[:10]:
        assert client.variant(FLAG, unit) == evaluate(parse(sticky()), FLAG, unit)
    assert client.counters.logged == 10
    assert len([each for each in caplog.records if "sticky store failed" in each.getMessage()]) == 1


class Failing(MemoryStickyStore):
    """A store that is down or not; how long it takes to find that out."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds
        self.down = True
        self.asked = 0

    def get(self, experiment: str, unit: str) -> Kept | None:
        self.asked += 1
        if self.down:
            time.sleep(self.seconds)
            raise ConnectionError("down")
        return super().get(experiment, unit)


def test_a_store_that_is_slow_to_fail_is_left_alone_for_a_while() -> None:
    store = Failing(0.02)
    client = Client.from_config(sticky(), sticky=store)
    begun, reads = time.monotonic(), 0
    while time.monotonic() < begun + 1:
        assert client.variant(FLAG, "user-1") == evaluate(parse(sticky()), FLAG, "user-1")
        reads += 1
    assert store.asked <= 6, "each 0.02 s or longer, and ten times that between"
    assert reads > 10 * store.asked
    store.down = False
    store.put(FLAG, "user-1", Kept("treatment", 7))
    while client.variant(FLAG, "user-1").revision != 7:
        assert time.monotonic() < begun + 60, "it is asked again"


def test_a_store_that_fails_at_once_for_one_unit_serves_the_others() -> None:
    store = Failing(0.0)
    client = Client.from_config(sticky(), sticky=store)
    store.put(FLAG, "user-2", Kept("treatment", 7))
    for _ in range(20):
        store.down = True
        client.variant(FLAG, "user-1")
        store.down = False
        assert client.variant(FLAG, "user-2").revision == 7


def test_redis_keeps_for_a_limited_time(redis_socket: str) -> None:
    with redis.Redis(unix_socket_path=redis_socket) as client:
        client.flushall()
        store = RedisStickyStore(client, prefix="p:", seconds=100)
        store.put("e", "ž:1", Kept("a:b", 3))
        assert store.get("e", "ž:1") == Kept("a:b", 3)
        (name,) = client.keys()
        assert name == "p:e:ž:1".encode()
        client.expire(name, 5)
        store.get("e", "ž:1")
        assert 90 < client.ttl(name) <= 100, "who comes back stays"


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=60))
def test_memory_forgets_the_least_recently_used(steps: list[tuple[bool, int]]) -> None:
    store = MemoryStickyStore(size=3)
    model: dict[int, Kept] = {}
    for number, (put, unit) in enumerate(steps):
        if put:
            model.pop(unit, None)
            model[unit] = Kept("v", number)
            store.put("e", str(unit), model[unit])
            if len(model) > 3:
                del model[next(iter(model))]
        else:
            assert store.get("e", str(unit)) == model.get(unit)
            if unit in model:
                model[unit] = model.pop(unit)


def test_memory_in_many_threads() -> None:
    store = MemoryStickyStore(size=50)

    def work(thread: int) -> None:
        for n in range(2000):
            store.put("e", str(n % 70), Kept("v", thread))
            store.get("e", str((n * 7) % 70))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(store.get("e", str(n)) is not None for n in range(70)) == 50
