"""Strikes amid a backup: a copy that was cut is never taken for a whole one, which holds all that it must.

The embedded databases are copied by `equipoise backup`. Those of a server have tools of their own; what takes
their facts away is `equipoise export --parquet`.
"""

import json
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pyarrow import dataset
from tests.service.crash.lives import Command, Service, exchange
from tests.service.crash.rounds import Rounds, judge_counts

from equipoise_service.housekeeping.backups import PARTIAL
from equipoise_service.housekeeping.manifests import NoBackup
from equipoise_service.housekeeping.restoring import restore
from equipoise_service.settings import Settings

MEASURED_EVERY = 10


@dataclass
class Copy:
    """A copy that is made.

    Attributes:
        command: Makes it.
        acknowledged: The batches that were acknowledged before it began.
        reported: What the command said, when it said that the copy is done.
    """

    command: Command
    acknowledged: set[int]
    reported: str | None = None


def amid_a_backup(rounds: Rounds, number: int) -> None:
    """Kill the service while it is copied, and batches come."""
    _measure(rounds, number)
    with _copying(rounds) as copy:
        rounds.service.kill()
    rounds.service.start()
    _examine(rounds, number, copy)


def amid_a_backup_command(rounds: Rounds, number: int) -> None:
    """Kill the command that has the service copied, while batches come."""
    _measure(rounds, number)
    with _copying(rounds) as copy:
        copy.command.kill()
    _examine(rounds, number, copy)


def _measure(rounds: Rounds, number: int) -> None:
    """Let a copy be made that nothing cuts, as the store has grown: how long does it take?"""
    if number % MEASURED_EVERY == 0:
        with rounds.sending(1, 5, 20):
            copy = _begin(rounds)
            begin = time.perf_counter()
            _end(copy)
            rounds.copy_seconds = time.perf_counter() - begin
        assert copy.reported is not None
        _examine(rounds, number, copy)


@contextmanager
def _copying(rounds: Rounds) -> Iterator[Copy]:
    """At a random moment of a copy, while batches come."""
    with rounds.sending(1, 5, 20):
        copy = _begin(rounds)
        moment = rounds.moments.uniform(0, rounds.copy_seconds)
        time.sleep(moment)
        yield copy
    _end(copy)
    if copy.reported is not None:
        # It had ended before: kill the next ones earlier.
        rounds.copy_seconds = moment
    rounds.tally.amid_a_copy += copy.reported is None


def _begin(rounds: Rounds) -> Copy:
    for _ in range(3):
        rounds.send_alone(rounds.ledger.new(5, 20))
    acknowledged = rounds.ledger.acknowledged()
    told = ("backup", "--json") if _is_embedded(rounds) else ("export", "--parquet", str(_lake(rounds)))
    return Copy(rounds.service.command(*told), acknowledged)


def _end(copy: Copy) -> None:
    status, said = copy.command.ended()
    assert status in (0, 2, -9), said
    assert "Traceback" not in said
    copy.reported = said if status == 0 else None


def _is_embedded(rounds: Rounds) -> bool:
    return "EQUIPOISE_EVENT_STORE_URL" not in rounds.service.settings


def _lake(rounds: Rounds) -> Path:
    return rounds.service.directory / "lake"


def _examine(rounds: Rounds, number: int, copy: Copy) -> None:
    if _is_embedded(rounds):
        _examine_backups(rounds, number, copy)
    else:
        _examine_export(rounds, copy)


def _examine_backups(rounds: Rounds, number: int, copy: Copy) -> None:
    """A directory is refused, or restored to a service with all that was acknowledged before the backup."""
    _await_turn(rounds.service)
    backups = rounds.service.directory / "data" / "backups"
    reported = json.loads(copy.reported)["directory"] if copy.reported else None
    restored = Service(rounds.service.parent, rounds.service.directory / "restored", key=rounds.service.key)
    found = list(backups.iterdir())
    assert reported is None or Path(reported) in found
    for directory in found:
        restored.directory.mkdir()
        try:
            restore(directory, Settings(data_dir=restored.directory / "data"))
            is_whole = True
        except NoBackup:
            is_whole = False
            rounds.tally.copies_refused += 1
        assert is_whole or directory.name.startswith(PARTIAL), directory
        if is_whole:
            restored.start()
            Rounds(restored, ledger=rounds.ledger.looking_back(copy.acknowledged)).check(number)
            restored.kill()
            rounds.tally.copies_whole += 1
        shutil.rmtree(restored.directory)
        shutil.rmtree(directory)


def _await_turn(service: Service) -> None:
    """A service whose client has gone makes its backup to the end; then it makes another one."""
    status = 409
    while status == 409:
        with service.connected() as connection:
            status, answer = exchange(connection, service.key, "POST", "/v1/backups")
    assert status == 201, answer
    shutil.rmtree(json.loads(answer)["directory"])


def _examine_export(rounds: Rounds, copy: Copy) -> None:
    """Files hold each item once; what was cut goes on where it was when the command is run again."""
    for kind in ("exposures", "events"):
        _counted(_lake(rounds) / kind)
    if copy.reported:
        _judge_export(rounds, copy)
    again = _begin(rounds)
    _end(again)
    assert again.reported is not None
    _judge_export(rounds, again)
    rounds.tally.copies_whole += 1


def _judge_export(rounds: Rounds, copy: Copy) -> None:
    found = {kind: _counted(_lake(rounds) / kind) for kind in ("exposures", "events")}
    # Each kind of facts, and each day of them, is as it was at a moment of its own.
    judge_counts(found, rounds.ledger.looking_back(copy.acknowledged), whole=False)


def _counted(directory: Path) -> dict[str, tuple[int, int]]:
    """For each batch, the rows and the distinct ids among them, in the files that have their names."""
    files = [str(path) for path in directory.glob("**/facts.parquet")]
    ids = dataset.dataset(files).to_table(["id"])["id"].to_pylist() if files else []
    rows, distinct = (Counter(each[15:23] for each in some) for some in (ids, set(ids)))
    return {batch: (count, distinct[batch]) for batch, count in rows.items()}
