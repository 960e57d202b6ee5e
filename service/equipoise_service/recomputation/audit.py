"""The audit: every logged exposure against the variant that its revision gives the unit."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import ibis.expr.types as ir

from equipoise import bucket

MOST_EXAMPLES = 20


@dataclass(frozen=True, slots=True)
class Randomisation:
    """What decides a unit's arm in one revision.

    Attributes:
        salt: Salt of the revision.
        ranges: Variant, start and end of half-open intervals of buckets that cover 0 to 10,000.
    """

    salt: str
    ranges: tuple[tuple[str, int, int], ...]

    def variant(self, unit: str) -> str:
        """The variant of an enrolled unit."""
        drawn = bucket(self.salt, unit)
        return next(variant for variant, start, end in self.ranges if start <= drawn < end)


@dataclass(frozen=True, slots=True)
class Logged:
    """Exposures of one unit to one variant in one revision.

    Attributes:
        unit: The unit id.
        revision: Number of the revision.
        variant: The variant that was logged.
        exposures: How many there are.
    """

    unit: str
    revision: int
    variant: str
    exposures: int


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Exposures whose variant is not what the revision gives.

    Attributes:
        logged: What was logged.
        recomputed: The variant of the unit.
    """

    logged: Logged
    recomputed: str


@dataclass(slots=True)
class Audit:
    """What an audit found; all counts are of exposures.

    Attributes:
        agree: The logged variant is the recomputed one.
        disagree: It is another.
        unknown_revision: There is no such revision, so nothing can be recomputed.
        examples: Some that disagree, at most `MOST_EXAMPLES`.
    """

    agree: int = 0
    disagree: int = 0
    unknown_revision: int = 0
    examples: list[Disagreement] = field(default_factory=list)


def logged_variants(exposures: ir.Table, place: str, experiment: str) -> ir.Table:
    """One row a unit, revision and variant, with the number of its exposures.

    Args:
        exposures: Columns place, experiment, unit, revision, variant.
        place: Project and environment, `project/environment`.
        experiment: The experiment's key.
    """
    mine = exposures.filter((exposures.place == place) & (exposures.experiment == experiment))
    return mine.group_by("unit", "revision", "variant").agg(exposures=mine.count())


def audit(logged: Iterable[Logged], revisions: Mapping[int, Randomisation]) -> Audit:
    """Recompute the variant of each unit.

    Args:
        logged: What was logged.
        revisions: The randomisation of each revision, by number.
    """
    found = Audit()
    for each in logged:
        randomisation = revisions.get(each.revision)
        if randomisation is None:
            found.unknown_revision += each.exposures
            continue
        recomputed = randomisation.variant(each.unit)
        if recomputed == each.variant:
            found.agree += each.exposures
            continue
        found.disagree += each.exposures
        if len(found.examples) < MOST_EXAMPLES:
            found.examples.append(Disagreement(each, recomputed))
    return found
