"""How `variant` reads a flag: its plan, and the exposure to what the plan serves."""

from typing import TYPE_CHECKING, Any

from equipoise._exposures import MOST_PENDING
from equipoise._operators import Holds
from equipoise._plans import OneDraw, Plan, encode, number
from equipoise._rules import Served

if TYPE_CHECKING:
    from equipoise._definitions import Flag
    from equipoise._exposures import Arm, Exposures
    from equipoise.configuration import Configuration


def read(configuration: "Configuration", flag: "Flag", plan: Plan, exposures: "Exposures") -> Plan:
    """Return `logging` of a flag's own plan, or what does the same in less time."""
    if all(rule.experiment is None for rule in flag.rules):
        return plan
    draw = configuration.draws.get(flag.key)
    if draw is not None and len(draw.cuts) == 1 and draw.audience is not None and draw.among is not None:
        below, above = (_arm(configuration, served, exposures) for served in draw.served)
        if below is not None and above is not None:
            return _of_two(draw, draw.audience, draw.among, (below, above), exposures)
    return logging(configuration, plan, exposures)


def _of_two(
    draw: OneDraw,
    audience: Holds,
    among: tuple[str, frozenset[str]],
    arms: tuple["Arm", "Arm"],
    exposures: "Exposures",
) -> Plan:
    """Return what `logging` does for a draw between two arms for an attribute among texts; a third faster."""
    # All is written out, the plan too: what that serves would have to be looked at again to find its arm, and
    # each call would take a twentieth of the whole.
    begun, (cut,), (below, above), otherwise = draw.begun, draw.cuts, draw.served, draw.otherwise
    name, texts = among
    below_arm, above_arm = arms
    note_below, pending_below = below_arm.note, below_arm.pending
    note_above, pending_above = above_arm.note, above_arm.pending

    def read(unit: str, attributes: Any) -> Served:
        encoded = encode(unit)
        if not encoded:
            raise ValueError("the unit is empty")
        try:
            within = attributes.get(name) in texts
        except Exception:  # no mapping, or a list, which cannot be hashed: the audience itself knows them
            within = False
        if not within and not audience(unit, attributes):
            return otherwise
        digest = begun()
        digest.update(encoded)
        if (number(digest.digest()) >> 204) % 10_000 < cut:
            if unit not in below_arm.recent:
                note_below(unit)
                if len(pending_below) > MOST_PENDING:
                    exposures.settle(below_arm)
            return below
        if unit not in above_arm.recent:
            note_above(unit)
            if len(pending_above) > MOST_PENDING:
                exposures.settle(above_arm)
        return above

    return read


def logging(configuration: "Configuration", plan: Plan, exposures: "Exposures") -> Plan:
    """Return what serves as any plan does, and logs the exposure where an experiment placed the unit."""
    arms: dict[str | None, Arm] = {}

    def read(unit: str, attributes: Any) -> Served:
        served = plan(unit, attributes)
        if served.experiment is not None:
            arm = arms.get(served.variant)
            if arm is None or arm.revision != served.revision or arm.experiment != served.experiment:
                arm = _arm(configuration, served, exposures)
                if arm is None:
                    return served
                arms[served.variant] = arm
            arm.meet(unit)
        return served

    return read


def _arm(configuration: "Configuration", served: Served, exposures: "Exposures") -> "Arm | None":
    """Return what remembers the exposures to an assignment; None where no experiment made it."""
    if served.experiment is None or served.revision is None or served.variant is None:
        return None
    unit_type = configuration.experiments[served.experiment].unit_type
    return exposures.arm(unit_type, served.experiment, served.revision, served.variant)
