"""Readouts on another machine: `equipoise verify` with nothing but the files, as they are and edited."""

import copy
import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from equipoise_service.canonical import digest
from equipoise_service.readouts.sealing import sealed

_PROCESSES = 2
_FILES = 250
_SECONDS = 600.0
_DIGESTS = "/digests/"


@dataclass(frozen=True, slots=True)
class Edit:
    """What was edited in a readout.

    Attributes:
        place: What kind of place it is.
        pointer: JSON pointer to it; of a statistic, to the comparison whose numbers follow from it.
        document: The readout with the edit and a digest that fits.
    """

    place: str
    pointer: str
    document: dict[str, Any]


Done = subprocess.CompletedProcess[bytes]
Verify = Callable[[Path, Sequence[str]], Done]


@dataclass(slots=True)
class Checked:
    """What `equipoise verify` said.

    Attributes:
        agreed: Readouts that agreed, as they were.
        readouts: All of them.
        edited: Edited readouts, by the kind of place.
        told: Those of them where it named the place.
        faults: What went otherwise than it has to.
    """

    agreed: int = 0
    readouts: int = 0
    edited: Counter[str] = field(default_factory=Counter)
    told: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def here(directory: Path, names: Sequence[str]) -> Done:
    """Run `equipoise verify --json` on this machine, in a directory, with an empty environment.

    Args:
        directory: Where the files are.
        names: The files.
    """
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "equipoise_service.cli", "verify", "--json", *names],
        cwd=directory,
        env={"HOME": str(directory)},
        capture_output=True,
        timeout=_SECONDS,
        check=False,
    )


def verify_elsewhere(
    readouts: Sequence[dict[str, Any]],
    directory: Path,
    *,
    seed: int,
    verify: Verify = here,
    edited: int | None = None,
) -> Checked:
    """Verify every readout where there is nothing but the files; and each, or so many, again with an edit.

    Args:
        readouts: The readouts.
        directory: Where there is nothing yet.
        seed: What is edited.
        verify: Where `equipoise verify` runs.
        edited: How many are edited; all where None.
    """
    chance = random.Random(seed)  # noqa: S311 - no secret
    chosen = readouts if edited is None else chance.sample(readouts, min(edited, len(readouts)))
    edits = [edit(readout, chance) for readout in chosen]
    whole = _written(directory / "as-they-are", readouts)
    changes = _written(directory / "edited", [each.document for each in edits])
    checked = Checked(readouts=len(readouts))
    for i, found in enumerate(_verify_all(verify, whole)):
        if found["agrees"]:
            checked.agreed += 1
        else:
            checked.faults.append(f"{_name(readouts[i])} does not verify: {found['disagreements'][:3]}")
    for changed, found in zip(edits, _verify_all(verify, changes), strict=True):
        checked.edited[changed.place] += 1
        pointers = [each["pointer"] for each in found["disagreements"]]
        if any(each == changed.pointer or each.startswith(f"{changed.pointer}/") for each in pointers):
            checked.told[changed.place] += 1
        else:
            checked.faults.append(
                f"{_name(changed.document)}: an edit of {changed.place} at {changed.pointer} is not told: "
                f"{pointers[:5]}"
            )
    return checked


def edit(readout: dict[str, Any], chance: random.Random) -> Edit:
    """A readout with one edit, at a kind of place that chance chooses, with a digest that fits.

    Its digests are made anew, as somebody would who knows how: what is edited has to be found by recomputing.
    What was observed and follows from nothing has its own digest alone, which stays.
    """
    made = None
    while made is None:
        document = copy.deepcopy(readout)
        made = chance.choice(PLACES)(document, chance)
    if not made[1].startswith(_DIGESTS):
        return Edit(*made, sealed(document))
    document["digest"] = digest({name: value for name, value in document.items() if name != "digest"})
    return Edit(*made, document)


Place = Callable[[dict[str, Any], random.Random], tuple[str, str] | None]


def _any_comparison(document: dict[str, Any], chance: random.Random) -> tuple[str, dict[str, Any]]:
    metric = chance.randrange(len(document["metrics"]))
    return f"/metrics/{metric}/comparisons/0", document["metrics"][metric]["comparisons"][0]


def _statistic(document: dict[str, Any], chance: random.Random) -> tuple[str, str] | None:
    pointer, comparison = _any_comparison(document, chance)
    side = comparison["statistics"][chance.choice(["variant", "baseline"])]
    for name in ("successes", "mean"):
        if side.get(name):
            side[name] = side[name] - 1 if name == "successes" else side[name] * 1.01
            return "a statistic", pointer
    return None


def _bound(document: dict[str, Any], chance: random.Random) -> tuple[str, str] | None:
    pointer, comparison = _any_comparison(document, chance)
    effect = chance.choice(["difference", "lift"])
    interval, end = comparison[effect]["interval"], chance.randrange(2)
    if interval is None or not interval[end]:
        return None
    interval[end] *= 1.001
    return "an end of an interval", f"{pointer}/{effect}/interval/{end}"


def _p_value(document: dict[str, Any], chance: random.Random) -> tuple[str, str] | None:
    pointer, comparison = _any_comparison(document, chance)
    if comparison["difference"]["p_value"] is None:
        ratio = document["health"]["sequential_sample_ratio"]
        if ratio["p_value"] is None:
            return None
        ratio["p_value"] *= 0.99
        return "a p-value", "/health/sequential_sample_ratio/p_value"
    comparison["difference"]["p_value"] *= 0.99
    return "a p-value", f"{pointer}/difference/p_value"


def _recommendation(document: dict[str, Any], _: random.Random) -> tuple[str, str] | None:
    outcome = document["recommendation"]["outcome"]
    document["recommendation"]["outcome"] = "keep_running" if outcome == "ship" else "ship"
    return "the recommendation", "/recommendation/outcome"


def _summary(document: dict[str, Any], _: random.Random) -> tuple[str, str] | None:
    document["summary"] = document["summary"].replace("not ", "", 1) + " Ship it."
    return "the summary", "/summary"


def _check(document: dict[str, Any], chance: random.Random) -> tuple[str, str] | None:
    name = chance.choice([name for name, check in document["health"].items() if check])
    check = document["health"][name]
    check["status"] = "ok" if check["status"] != "ok" else "warning"
    return "a check", f"/health/{name}/status"


def _units(document: dict[str, Any], chance: random.Random) -> tuple[str, str] | None:
    arm = chance.choice(document["arms"])
    if arm["units"] < 2:
        return None
    arm["units"] -= 1
    return "an arm's units", "/metrics"


def _observed(document: dict[str, Any], chance: random.Random) -> tuple[str, str] | None:
    if document.get("digests") is None:
        return None
    late = document["health"]["late_exposures"]
    if late is None or late["exposures"] is None or chance.random() < 0.5:
        document["population"]["overridden"] += 1
        return "an observed count", f"{_DIGESTS}members/population"
    late["exposures"] += 1
    return "an observed count", f"{_DIGESTS}health/late_exposures"


PLACES: tuple[Place, ...] = (
    _statistic,
    _bound,
    _p_value,
    _recommendation,
    _summary,
    _check,
    _units,
    _observed,
)


def _written(directory: Path, readouts: Sequence[dict[str, Any]]) -> Path:
    directory.mkdir(parents=True)
    for i, readout in enumerate(readouts):
        (directory / f"{i:05}.json").write_text(json.dumps(readout), encoding="utf-8")
    return directory


def _verify_all(verify: Verify, directory: Path) -> list[dict[str, Any]]:
    files = sorted(path.name for path in directory.iterdir())
    batches = [files[i : i + _FILES] for i in range(0, len(files), _FILES)]
    with ThreadPoolExecutor(_PROCESSES) as pool:
        done = pool.map(lambda names: verify(directory, names), batches)
        return [found for batch in done for found in _findings(batch)]


def _findings(done: Done) -> list[dict[str, Any]]:
    if done.returncode not in (0, 1):
        raise RuntimeError(f"equipoise verify ended with {done.returncode}: {done.stderr.decode()[-2000:]}")
    found = json.loads(done.stdout)
    several: list[dict[str, Any]] = found.get("readouts", [found])
    return several


def _name(readout: dict[str, Any]) -> str:
    return f"{readout['experiment']} of {readout['generated_at']}"
