"""docs/how-to/analyse-on-spark.md, run from the export to the end of the cluster.

Before the tests that keep a cluster of their own, so that the machine has one at a time.
"""

import random
from collections import Counter
from datetime import timedelta
from pathlib import Path

from tests.engines.lake import at, blocks, filled_service, run
from tests.service.analysis.metric_reference import PLACE, START, Event, Exposure
from tests.test_readme import free_port


def test_the_page_gives_the_numbers_of_what_was_exported(tmp_path: Path) -> None:
    chance = random.Random(11)
    exposures, events = [], []
    units, converted = Counter[str](), Counter[str]()
    for number in range(90):
        unit, variant = f"u{number}", chance.choice(["control", "treatment"])
        shown = START + timedelta(hours=chance.randrange(60))
        exposures.append(Exposure(PLACE, shown, shown, "user", unit, "new-landing-page", variant, 1))
        units[variant] += 1
        after = timedelta(hours=chance.randint(-20, 20), microseconds=chance.choice([0, 1]))
        events.append(Event(PLACE, shown + after, shown, "user", unit, "converted", None, None))
        converted[variant] += after >= timedelta()
    (installing, *commands), (analysing,) = blocks("console"), blocks("python")
    assert installing.startswith("pip install ")
    exporting, starting, stopping = commands
    script = at(tmp_path / "lake", f"{exporting}{starting}python <<'END'\n{analysing}END\n{stopping}wait\n")
    with filled_service(tmp_path, exposures, events) as environment:
        said = run(script.replace("7077", str(free_port())), environment, tmp_path, 400)
    for variant in units:
        assert (
            f"\n{variant} {units[variant]} Counts(n={units[variant]}, successes={converted[variant]})\n"
            in said
        )
    assert "exposures: 3 of 3 days written, 90 rows." in said
