"""docs/reference/exports.md has every column, form and figure, and the how-to every form of the command."""

import re
from pathlib import Path

from tests.service.figures.readouts import believed, funnelled, watched
from tests.service.readouts.by_day import day
from tests.service.readouts.by_day import readout as readout_of_days
from tests.service.readouts.documents import (
    converted,
    segmented_readout,
    spread_readout,
)
from tests.service.readouts.test_novelty import aged_readout

from equipoise_service.cli.readout_forms import Form
from equipoise_service.exports.making import Export
from equipoise_service.exports.rows import COLUMNS
from equipoise_service.figures.catalogue import figures_of
from equipoise_service.metrics.schemas import Role
from equipoise_service.readouts.reading import readout_of

DOCS = Path(__file__).parents[3] / "docs"
REFERENCE = (DOCS / "reference" / "exports.md").read_text()


def test_every_column_is_documented_in_its_order_and_no_other() -> None:
    table = REFERENCE.partition("## The table")[2].partition("## Figures")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(COLUMNS)


def test_every_figure_is_documented_and_no_other() -> None:
    *earlier, last = watched(3, second=Role.SUCCESS)
    drawn = figures_of(readout_of(last), [readout_of(each) for each in earlier])
    of_days = readout_of_days([day(0, 500, 520), day(1, 900, 880)])
    others = believed(), segmented_readout(), funnelled(), converted((9, 90), (8, 90)), of_days
    for document in (*others, spread_readout(), aged_readout()):
        drawn += figures_of(readout_of(document))
    documented = re.findall(r"^\| `([a-z{}-]+)` \|", REFERENCE.partition("## Figures")[2], re.MULTILINE)
    found = {figure.name for figure in drawn}
    kinds = {
        name: re.compile(re.sub(r"\\{\w+\\}", ".+", re.escape(name)) + "(-new|-bold)?") for name in documented
    }
    assert {name for name in found if not any(kind.fullmatch(name) for kind in kinds.values())} == set()
    assert {name for name, kind in kinds.items() if not any(map(kind.fullmatch, found))} == set()


def test_every_form_is_documented() -> None:
    command = (DOCS / "how-to" / "take-a-readout-elsewhere.md").read_text()
    assert all(f"`{form}`" in command for form in Form)
    assert all(f"`{form}`" in REFERENCE for form in Export)
