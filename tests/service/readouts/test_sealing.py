"""Digests of a readout's parts: what was edited is named where no other number gives it."""

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from tests.service.readouts.documents import (
    CONVERTED,
    PROVENANCE,
    gap_readout,
    plan,
    rich_readout,
    spread_readout,
    statistics,
)
from typer.testing import CliRunner

from equipoise_service.canonical import canonical_json, digest
from equipoise_service.cli import app
from equipoise_service.readouts.building import build_readout
from equipoise_service.readouts.losses import Arrivals
from equipoise_service.readouts.reading import NotAReadout
from equipoise_service.readouts.schemas import Readout
from equipoise_service.readouts.verification import verify_readout
from equipoise_stats import Counts


def late_readout() -> dict[str, Any]:
    found = statistics(control={"converted": Counts(1_000, 100)}, treatment={"converted": Counts(1_000, 110)})
    return build_readout(plan(CONVERTED), found, replace(PROVENANCE, arrivals=Arrivals(2_000, 10)))


def fitted(readout: dict[str, Any]) -> dict[str, Any]:
    """By somebody who made the whole digest anew, and nothing else."""
    rest = {name: each for name, each in readout.items() if name != "digest"}
    return {**rest, "digest": digest(rest)}


def short(part: Any) -> str:
    return sha256(canonical_json(part).encode()).hexdigest()[:4]


def test_each_part_has_the_first_digits_of_its_own_digest() -> None:
    readout = rich_readout()
    health = readout["health"]
    names = sorted(name for name in readout if name not in ("digest", "digests"))
    assert readout["digests"] == {
        "members": "".join(short(readout[name]) for name in names),
        "health": "".join(short(health[name]) for name in sorted(health)),
        "metrics": "".join(map(short, readout["metrics"])),
    }
    assert readout["digest"] == fitted(readout)["digest"]
    # A part without numbers, written by another library.
    at = 4 * names.index("experiment")
    of_its_text = sha256(json.dumps(readout["experiment"]).encode()).hexdigest()
    assert readout["digests"]["members"][at : at + 4] == of_its_text[:4]


@pytest.mark.parametrize(
    ("made", "path", "value", "part"),
    [
        (late_readout, ("health", "late_exposures", "exposures"), 2_001, "health/late_exposures"),
        (gap_readout, ("health", "missing_exposures", "days", 1, "events"), 901, "health/missing_exposures"),
        (spread_readout, ("metrics", 0, "values", "arms", 0, "counts"), [10, 10, 40], "metrics/0"),
        (rich_readout, ("population", "overridden"), 77, "members/population"),
        (rich_readout, ("generated_at",), "2026-03-08T12:30:01Z", "members/generated_at"),
        (rich_readout, ("experiment",), "another", "members/experiment"),
    ],
)
def test_what_follows_from_nothing_else_is_named_when_it_is_edited(
    made: Callable[[], dict[str, Any]], path: tuple[str | int, ...], value: Any, part: str
) -> None:
    edited = copy.deepcopy(made())
    node: Any = edited
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    pointers = [each.pointer for each in verify_readout(fitted(edited))]
    assert {each for each in pointers if each.startswith("/digests/")} == {
        f"/digests/{part}",
        f"/digests/members/{path[0]}",
    }
    assert [each.pointer for each in verify_readout(edited)] == [*pointers, "/digest"]


def test_a_part_in_words_is_named_also_in_a_readout_in_other_words() -> None:
    edited = {**rich_readout(), "wording": "sha256:" + "0" * 64, "summary": "Ausliefern."}
    assert {each.pointer for each in verify_readout(fitted(edited))} == {
        "/digests/members/wording",
        "/digests/members/summary",
    }


def test_digests_that_are_of_more_or_fewer_parts_are_found() -> None:
    readout = copy.deepcopy(rich_readout())
    readout["digests"]["metrics"] += "0000"
    readout["digests"]["health"] = readout["digests"]["health"][4:]
    pointers = [each.pointer for each in verify_readout(fitted(readout))]
    assert sorted(pointers) == ["/digests/health", "/digests/metrics"]
    for broken in ("abc", "xyzt", 5, None):
        readout["digests"]["metrics"] = broken
        with pytest.raises(NotAReadout, match="/digests/metrics"):
            verify_readout(fitted(readout))


def test_a_readout_from_before_there_were_digests_of_parts_agrees() -> None:
    older = copy.deepcopy(rich_readout())
    del older["digests"]
    older = fitted(older)
    assert verify_readout(older) == []
    assert Readout.model_validate(older).digests is None
    older["generated_at"] = "2026-03-08T12:30:01Z"
    assert [each.pointer for each in verify_readout(older)] == ["/digest"]


def test_the_command_names_the_part(tmp_path: Path) -> None:
    edited = copy.deepcopy(late_readout())
    edited["health"]["late_exposures"]["exposures"] += 1
    file = tmp_path / "edited.json"
    file.write_text(json.dumps(edited))
    result = CliRunner().invoke(app, ["verify", str(file)])
    assert result.exit_code == 1
    was, now = (short(each["health"]["late_exposures"]) for each in (late_readout(), edited))
    assert f"/digests/health/late_exposures: the readout says '{was}', recomputed '{now}'" in result.output
