"""The arms of an experiment, and the variants of the flag whose value it randomises."""

from collections.abc import Mapping, Sequence
from typing import Any

from equipoise_service.errors import InvalidPayload
from equipoise_service.experiments.models import Experiment
from equipoise_service.experiments.schemas import VariantIn
from equipoise_service.flags.models import Flag
from equipoise_service.flags.values import FlagType, common_type, exact_values, value_type


def arms_of(variants: Sequence[VariantIn]) -> list[dict[str, Any]]:
    """The arms that an experiment keeps: key, weight and whether it is the control."""
    return [
        {"key": variant.key, "weight": variant.weight, "control": variant.control} for variant in variants
    ]


def flag_fields(variants: Sequence[VariantIn]) -> dict[str, Any]:
    """Type, values and default of a flag that is made for these arms.

    Raises:
        InvalidPayload: The values have not one type that a flag can have.
    """
    values = {each.key: each.value if each.has_value else each.key for each in variants}
    try:
        flag_type = common_type(values.values())
    except ValueError as error:
        raise invalid("/variants", str(error)) from None
    return {
        "type": flag_type.value,
        "values": exact_values(values, flag_type),
        "default_variant": next(variant.key for variant in variants if variant.control),
    }


def check_attached(flag: Flag, variants: Sequence[VariantIn]) -> None:
    """Hold arms against a flag that is not the experiment's own.

    Raises:
        InvalidPayload: An arm is no variant of the flag, or says another value than the flag has.
    """
    for index, variant in enumerate(variants):
        if variant.key not in flag.values:
            known = ", ".join(flag.values)
            raise invalid(
                f"/variants/{index}/key", f"the flag {flag.key} has no variant {variant.key}; it has {known}"
            )
        if variant.has_value and not _same_value(flag, variant):
            raise invalid(
                f"/variants/{index}/value",
                f"is not the value that the flag {flag.key} has for {variant.key}; leave it out, and change "
                "the flag where you mean another value",
            )


def check_overrides(experiment: Experiment, pointer: str) -> None:
    """Hold the overrides of an experiment against its arms.

    Args:
        experiment: The experiment as it would be.
        pointer: What to blame.

    Raises:
        InvalidPayload: An override names a variant that is no arm.
    """
    arms = {arm["key"] for arm in experiment.arms}
    for unit, variant in experiment.overrides.items():
        if variant not in arms:
            raise invalid(
                pointer,
                f"the override of {unit!r:.80} names {variant}, which is not among {', '.join(sorted(arms))}",
            )


def values_of(flag: Flag, arms: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The flag's value in each arm."""
    return {arm["key"]: flag.values[arm["key"]] for arm in arms}


def invalid(pointer: str, message: str) -> InvalidPayload:
    """The error for one place of a payload."""
    return InvalidPayload(f"{pointer}: {message}.", errors=[{"pointer": pointer, "message": message}])


def _same_value(flag: Flag, variant: VariantIn) -> bool:
    try:
        given = value_type(variant.value)
    except ValueError:
        return False
    if given != flag.type and not (given == FlagType.INTEGER and flag.type == FlagType.NUMBER):
        return False
    return bool(variant.value == flag.values[variant.key])
