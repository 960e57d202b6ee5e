"""The query that recomputes the assignments of one experiment in a warehouse."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from equipoise.configuration import Configuration, Experiment, Holdout
from equipoise_service.recomputation import dialects
from equipoise_service.recomputation.engines import Engine


class CannotRecompute(Exception):
    """There is nothing to recompute, or the query lacks something; the message says what."""


@dataclass(frozen=True, slots=True)
class Units:
    """Where the unit ids lie.

    Attributes:
        table: Name of a table, its parts separated by dots.
        columns: The column of each unit type's ids.
    """

    table: str
    columns: Mapping[str, str]


def assignment_query(configuration: Configuration, key: str, engine: Engine, units: Units) -> str:
    """The SQL that computes what each unit of a table gets from an experiment.

    One row a distinct unit (with its ids of other unit types, where holdouts need them): `unit`, `slot`,
    `arm_bucket`, `in_experiment`, and `variant`, which is null for a unit that the experiment does not place.
    An audience is not part of it: attributes lived only in the request, so the table should hold the units
    that the audience admits.

    Args:
        configuration: The configuration that holds the experiment.
        key: The experiment's key.
        engine: Whose SQL.
        units: Where the unit ids lie.

    Raises:
        CannotRecompute: No such experiment, it was never started, or a column is missing.
    """
    experiment = configuration.experiments.get(key)
    if experiment is None:
        raise CannotRecompute(f"There is no experiment {key} in this configuration.")
    if experiment.salt is None:
        raise CannotRecompute(f"{key} was never started, so it has no randomisation yet.")
    writer = _Writer(engine, configuration, experiment)
    return "\n".join([writer.heading(), writer.units(units), writer.buckets(), writer.assignments(), ""])


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes the parts of the query."""

    engine: Engine
    configuration: Configuration
    experiment: Experiment

    def heading(self) -> str:
        """Which experiment, and which version of it."""
        configuration, experiment = self.configuration, self.experiment
        return (
            f"-- Assignments of the experiment {experiment.key}, revision {experiment.revision}, unit type "
            f"{experiment.unit_type}:\n-- version {configuration.version} of the configuration of "
            f"{configuration.project}/{configuration.environment}."
        )

    def units(self, units: Units) -> str:
        """The first step: each unit once, as text."""
        columns = []
        for unit_type, alias in self._aliases().items():
            column = units.columns.get(unit_type)
            if column is None:
                raise CannotRecompute(
                    f"A holdout of {self.experiment.key} is by {unit_type}. Name the column of its ids, for "
                    f"example --column {unit_type}={unit_type}_id."
                )
            text = dialects.DIALECTS[self.engine].text.format(dialects.name(self.engine, column))
            columns.append(f"{text} AS {alias}")
        table = dialects.table(self.engine, units.table)
        return f"WITH units AS (\n  SELECT DISTINCT {', '.join(columns)}\n  FROM {table}\n),"  # noqa: S608 - printed, not run

    def buckets(self) -> str:
        """The second step: every bucket that decides something."""
        aliases = self._aliases()
        salts = [
            ("slot", self.experiment.layer_salt, "unit"),
            ("arm_bucket", self.experiment.salt or "", "unit"),
        ]
        salts += [(f"holdout_{i}", each.salt, aliases[each.unit_type]) for i, each in self._holdouts()]
        computed = [f"{dialects.bucket(self.engine, salt, text)} AS {alias}" for alias, salt, text in salts]
        selected = ",\n    ".join([*aliases.values(), *computed])
        return f"buckets AS (\n  SELECT\n    {selected}\n  FROM units\n  WHERE unit <> ''\n)"

    def assignments(self) -> str:
        """The last step: overrides first, then the arms of those whom the experiment enrols."""
        enrolled = " AND ".join(
            [
                _within("slot", self.experiment.slots),
                # An experiment places nobody of whom it cannot say whether a holdout keeps them out.
                *(f"{alias} IS NOT NULL AND {alias} <> ''" for alias in self._other_aliases().values()),
                *(f"NOT {_within(f'holdout_{i}', each.slots)}" for i, each in self._holdouts()),
            ]
        )
        units = [self._string(unit) for unit in sorted(self.experiment.overrides)]
        drawn = f"unit NOT IN ({', '.join(units)}) AND {enrolled}" if units else enrolled
        cases = [
            *(
                f"WHEN unit = {self._string(unit)} THEN {self._string(variant)}"
                for unit, variant in sorted(self.experiment.overrides.items())
            ),
            *(
                f"WHEN {enrolled} AND {_within('arm_bucket', [(start, end)])} THEN {self._string(variant)}"
                for variant, start, end in self.experiment.ranges
                if start < end
            ),
        ]
        chosen = "\n    ".join(cases)
        columns = [
            "unit",
            *(
                f"{alias} AS {dialects.name(self.engine, each)}"
                for each, alias in self._other_aliases().items()
            ),
            "slot",
            "arm_bucket",
            f"{drawn} AS in_experiment",
            f"CASE\n    {chosen}\n  END AS variant",
        ]
        return "SELECT\n  " + ",\n  ".join(columns) + "\nFROM buckets"

    def _aliases(self) -> dict[str, str]:
        """What the query calls the ids of each unit type; the experiment's own is `unit`."""
        types = dict.fromkeys([self.experiment.unit_type, *(each.unit_type for _, each in self._holdouts())])
        return {each: f"unit_{i}" if i else "unit" for i, each in enumerate(types)}

    def _other_aliases(self) -> dict[str, str]:
        """What the query calls the ids of the unit types of holdouts, where they are not the experiment's."""
        return {each: alias for each, alias in self._aliases().items() if alias != "unit"}

    def _holdouts(self) -> list[tuple[int, Holdout]]:
        return list(enumerate(self.configuration.holdouts[each] for each in self.experiment.holdouts))

    def _string(self, value: str) -> str:
        return dialects.string(self.engine, value)


def _within(bucket: str, intervals: Iterable[tuple[int, int]]) -> str:
    """Whether a bucket lies in half-open intervals."""
    parts = [f"{bucket} >= {start} AND {bucket} < {end}" for start, end in intervals if start < end]
    return f"({' OR '.join(parts)})" if parts else "(1 = 0)"
