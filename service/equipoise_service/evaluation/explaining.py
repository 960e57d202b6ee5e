"""`POST /v1/explain` on the wire: the members are those of `equipoise.Explanation`."""

from typing import Annotated, Any

import msgspec

from equipoise_service.evaluation.attributes import Attributes
from equipoise_service.evaluation.schemas import Flag, Unit

# OpenAPI 3.1 has no word for msgspec's tuples.
Interval = Annotated[list[int], msgspec.Meta(min_length=2, max_length=2)]
Range = Annotated[list[str | int], msgspec.Meta(min_length=3, max_length=3)]


class ExplainIn(msgspec.Struct, forbid_unknown_fields=True):
    """A question: why does this unit get what it gets?

    Attributes:
        flag: Key of the flag.
        unit: The unit id.
        attributes: As for assignments.
    """

    flag: Flag
    unit: Unit
    attributes: Attributes = {}


class ExplainedAssignmentOut(msgspec.Struct):
    """What the unit gets, as `POST /v1/assignments` says it.

    Attributes:
        flag: Key of the flag.
        experiment: Key of the experiment that the unit is in; null when it is in none.
        variant: Key of the variant.
        value: The flag's value for this unit.
        reason: Why.
        revision: Number of the experiment's revision.
    """

    flag: str
    experiment: str | None
    variant: str | None
    value: Any
    reason: str
    revision: int | None


class ExplainedConditionOut(msgspec.Struct):
    """What a condition says about the unit.

    Attributes:
        kind: `all`, `any`, `not`, `segment` or `attribute`.
        holds: Whether it holds.
        attribute: The attribute that it is about.
        operator: Its operator.
        expected: The condition's value; for a segment's ids, how many there are.
        value: What the attributes hold; null when it is missing.
        segment: Key of the segment that it names.
        members: The conditions that it is made of.
    """

    kind: str
    holds: bool
    attribute: str | None
    operator: str | None
    expected: Any
    value: Any
    segment: str | None
    members: list["ExplainedConditionOut"]


class ExplainedHoldoutOut(msgspec.Struct):
    """What a holdout did with the unit.

    Attributes:
        holdout: The holdout's key.
        unit_type: What it holds out.
        id: The id it looked at; null where the attributes hold none.
        bucket: The id's slot.
        slots: The slots that are held out.
        held_out: Whether the unit is kept out.
    """

    holdout: str
    unit_type: str
    id: str | None
    bucket: int | None
    slots: list[Interval]
    held_out: bool


class ExplainedPrerequisiteOut(msgspec.Struct):
    """What a prerequisite flag gave.

    Attributes:
        flag: Its key.
        expected: The variants that will do.
        variant: What the unit gets from it.
        reason: Why.
        met: Whether that will do.
    """

    flag: str
    expected: list[str]
    variant: str | None
    reason: str
    met: bool


class ExplainedRuleOut(msgspec.Struct):
    """What a rule did with the unit. Members that it did not come to are null or empty.

    Attributes:
        position: The rule's place, from 0.
        key: The rule's key.
        outcome: `matched`, `override`, `not_running`, `audience`, `no_id`, `held_out`, `slot`, `bucket` or
            `not_reached`.
        variant: What it serves; null where it does not match.
        experiment: Key of its experiment.
        status: The experiment's status.
        unit_type: What it buckets.
        id: The id that it buckets.
        audience: What its audience says, condition by condition; null for everyone.
        holdouts: What the experiment's holdouts say, until the first that keeps the unit out.
        slot: The unit's slot in the layer.
        slots: The slots that the experiment owns.
        bucket: The unit's bucket for the arm or the rollout.
        ranges: Variant, start and end of the buckets of each variant.
    """

    position: int
    key: str | None
    outcome: str
    variant: str | None
    experiment: str | None
    status: str | None
    unit_type: str | None
    id: str | None
    audience: ExplainedConditionOut | None
    holdouts: list[ExplainedHoldoutOut]
    slot: int | None
    slots: list[Interval]
    bucket: int | None
    ranges: list[Range]


class ExplanationOut(msgspec.Struct):
    """Why a unit gets what it gets.

    Attributes:
        assignment: What it gets.
        unit: The unit id, as given.
        problem: What was wrong with the question; null where nothing was.
        unit_type: What the unit is.
        enabled: Whether the flag is on.
        prerequisites: What they gave, until the first that was not met.
        rules: What each rule did, in order.
    """

    assignment: ExplainedAssignmentOut
    unit: str
    problem: str | None
    unit_type: str | None
    enabled: bool | None
    prerequisites: list[ExplainedPrerequisiteOut]
    rules: list[ExplainedRuleOut]


EXAMPLE_IN = {"flag": "new-landing-page", "unit": "user-1", "attributes": {"country": "FR"}}
EXAMPLE_OUT = {
    "assignment": {
        "flag": "new-landing-page",
        "experiment": "new-landing-page",
        "variant": "treatment",
        "value": "new_page",
        "reason": "SPLIT",
        "revision": 1,
    },
    "unit": "user-1",
    "problem": None,
    "unit_type": "user",
    "enabled": True,
    "prerequisites": [],
    "rules": [
        {
            "position": 0,
            "key": None,
            "outcome": "matched",
            "variant": "treatment",
            "experiment": "new-landing-page",
            "status": "running",
            "unit_type": "user",
            "id": "user-1",
            "audience": {
                "kind": "attribute",
                "holds": True,
                "attribute": "country",
                "operator": "in",
                "expected": ["DE", "FR"],
                "value": "FR",
                "segment": None,
                "members": [],
            },
            "holdouts": [],
            "slot": 4711,
            "slots": [[0, 10000]],
            "bucket": 7301,
            "ranges": [["control", 0, 5000], ["treatment", 5000, 10000]],
        }
    ],
}
