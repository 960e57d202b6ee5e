"""What goes over the wire about assignments."""

from typing import Annotated, Any

import msgspec

from equipoise_service.evaluation.attributes import Attributes

Flag = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
# NUL is refused because it cannot be stored: such a unit could be assigned and never be counted.
Unit = Annotated[str, msgspec.Meta(min_length=1, max_length=512, pattern=r"^[^\x00]*$")]


class AssignmentsIn(msgspec.Struct, forbid_unknown_fields=True):
    """A request for the assignment of one unit, or of several.

    Attributes:
        flag: Key of the flag, which is the experiment's own key unless it was attached to another.
        unit: One unit id.
        units: Several unit ids; instead of `unit`.
        attributes: What conditions of audiences are about: scalars and lists of them, by name; the same for
            all units. Names and strings have at most 4,096 characters, lists at most 1,000 elements. A rule
            of another unit type finds its id here, under the unit type's name.
    """

    flag: Flag
    unit: Unit | None = None
    units: list[Unit] | None = None
    attributes: Attributes = {}


class AssignmentOut(msgspec.Struct):
    """What one unit gets.

    Attributes:
        unit: The unit id, as given.
        experiment: Key of the experiment that the unit is in; null when it is in none.
        variant: Key of the variant.
        value: The flag's value for this unit.
        reason: SPLIT where the unit was randomised, TARGETING_MATCH where a rule's audience has it, STATIC
            where everyone gets the same, DEFAULT where no rule matched, DISABLED where the flag is off or
            none of its experiments runs.
        revision: Number of the experiment's revision, to send with the exposure.
    """

    unit: str
    experiment: str | None
    variant: str | None
    value: Any
    reason: str
    revision: int | None


class AssignmentsOut(msgspec.Struct):
    """Assignments in the order of the units asked for.

    Attributes:
        flag: Key of the flag.
        version: Version of the configuration that they follow from.
        assignments: One a unit.
    """

    flag: str
    version: int
    assignments: list[AssignmentOut]
