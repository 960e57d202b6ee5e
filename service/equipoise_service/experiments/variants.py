"""The arms of an experiment, and the variants of the flag whose value it randomises."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from equipoise_service.errors import Conflict, InvalidPayload
from equipoise_service.exact import is_same
from equipoise_service.experiments.models import Experiment
from equipoise_service.experiments.schemas import VariantIn
from equipoise_service.flags.models import Flag
from equipoise_service.flags.values import FlagType, common_type, exact_values, value_of_type


def arms_of(variants: Sequence[VariantIn]) -> list[dict[str, Any]]:
    """The arms that an experiment keeps: key, weight and whether it is the control."""
    return [
        {"key": variant.key, "weight": variant.weight, "control": variant.control} for variant in variants
    ]


def flag_fields(variants: Sequence[VariantIn], asked_type: FlagType | None) -> dict[str, Any]:
    """Type, values and default of a flag that is made for these arms.

    Args:
        variants: The arms.
        asked_type: The type that the flag is to have; absent: what its values have in common.

    Raises:
        InvalidPayload: The values have not one type that a flag can have, or not the one asked for.
    """
    values = {each.key: each.value if each.has_value else each.key for each in variants}
    if asked_type is not None:
        for index, value in enumerate(values.values()):
            _check_type(value, asked_type, f"/variants/{index}/value")
    flag_type = asked_type or _common_type(values.values())
    return {
        "type": flag_type.value,
        "values": exact_values(values, flag_type),
        "default_variant": control_of(variants),
    }


def followed_fields(
    flag: Flag, arms: Sequence[Mapping[str, Any]], variants: Sequence[VariantIn], *, started: bool
) -> dict[str, Any]:
    """Type, values and default that the flag of one experiment gets when its arms become others.

    What is the flag's alone stays: variants that are no arm, and another default than the control. Before
    the first start, arms that are taken out leave the flag; after it, clients may still name them.

    Args:
        flag: The experiment's own flag.
        arms: The arms so far.
        variants: The arms to be. One without a value keeps that of the flag; a new one is its own name.
        started: Whether the experiment ever started.

    Raises:
        InvalidPayload: The values would not have one type.
        Conflict: After the first start the type would be another, or the flag's default would go.
    """
    of_arms = {
        each.key: each.value if each.has_value else flag.values.get(each.key, each.key) for each in variants
    }
    gone = set() if started else {arm["key"] for arm in arms} - of_arms.keys()
    kept = {key: value for key, value in flag.values.items() if key not in gone}
    before = next(arm["key"] for arm in arms if arm["control"])
    default = control_of(variants) if flag.default_variant == before else flag.default_variant
    if default in gone:
        raise Conflict(
            f"{default} cannot be taken out: it is the default of the flag {flag.key}. Choose another "
            "default there first.",
            type="in-use",
            used_by=[f"the default of {flag.key}"],
        )
    values = {**kept, **of_arms}
    flag_type = _followed_type(flag, of_arms.values(), values.values(), started=started)
    return {
        "type": flag_type.value,
        "values": exact_values(values, flag_type),
        "default_variant": default,
    }


def control_of(variants: Sequence[VariantIn]) -> str:
    """The key of the arm that the others are compared with."""
    return next(variant.key for variant in variants if variant.control)


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


def _followed_type(
    flag: Flag, of_arms: Iterable[object], values: Iterable[object], *, started: bool
) -> FlagType:
    """The flag's type where the values of the arms fit it; else, in a draft, that of all values."""
    found = _common_type(of_arms)
    if found == flag.type or (found is FlagType.INTEGER and flag.type == FlagType.NUMBER):
        return FlagType(flag.type)
    if started:
        raise Conflict(
            f"The flag's type is {flag.type} and code asks for it; after the first start it cannot become "
            f"{found}. Register another experiment.",
            type="frozen-field",
        )
    return _common_type(values)


def _common_type(values: Iterable[object]) -> FlagType:
    try:
        return common_type(values)
    except ValueError as error:
        raise invalid("/variants", str(error)) from None


def _check_type(value: object, flag_type: FlagType, pointer: str) -> None:
    try:
        value_of_type(value, flag_type)
    except ValueError as error:
        raise invalid(pointer, str(error)) from None


def _same_value(flag: Flag, variant: VariantIn) -> bool:
    try:
        given = value_of_type(variant.value, FlagType(flag.type))
    except ValueError:
        return False
    return is_same(given, flag.values[variant.key])
