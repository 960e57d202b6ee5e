"""Check what the parts of a configuration say about each other."""

from collections.abc import Mapping
from typing import Final

from equipoise._definitions import Experiment, Flag, Holdout
from equipoise.errors import ConfigurationError

MAX_DEPTH: Final = 10
"""How long a chain of flags may be that are each other's prerequisites."""

MAX_EVALUATIONS: Final = 1_000
"""How many evaluations of prerequisites one evaluation may cause."""


def check(
    flags: Mapping[str, Flag], experiments: Mapping[str, Experiment], holdouts: Mapping[str, Holdout]
) -> None:
    """Check that everything that is referred to exists and fits.

    Raises:
        ConfigurationError: something does not; the error names the place.
    """
    for flag in flags.values():
        for index, rule in enumerate(flag.rules):
            if rule.experiment is not None:
                _check_rule(flag, rule.experiment, experiments, f"flags.{flag.key}.rules[{index}].experiment")
        for index, each in enumerate(flag.prerequisites):
            place = f"flags.{flag.key}.prerequisites[{index}]"
            _check_prerequisite(flag, each.flag, each.variants, flags, place)
    for experiment in experiments.values():
        for key in experiment.holdouts:
            if key not in holdouts:
                raise ConfigurationError(
                    f"experiments.{experiment.key}.holdouts", f"there is no holdout {key!r:.80}"
                )
    chains: dict[str, tuple[int, int]] = {}
    for key in flags:
        _chain(key, flags, chains, ())


def _check_rule(flag: Flag, key: str, experiments: Mapping[str, Experiment], place: str) -> None:
    if key not in experiments:
        raise ConfigurationError(place, f"there is no experiment {key!r:.80} in the document")
    if experiments[key].flag != flag.key:
        raise ConfigurationError(place, f"the experiment {key!r:.80} randomises another flag")


def _check_prerequisite(
    flag: Flag, key: str, variants: tuple[str, ...], flags: Mapping[str, Flag], place: str
) -> None:
    if key not in flags:
        raise ConfigurationError(f"{place}.flag", f"there is no flag {key!r:.80} in the document")
    needed = flags[key]
    for variant in variants:
        if variant not in needed.variants:
            raise ConfigurationError(
                f"{place}.variants", f"the flag {key!r:.80} has no variant {variant!r:.80}"
            )
    if needed.unit_type != flag.unit_type:
        raise ConfigurationError(
            f"{place}.flag",
            f"the flag {key!r:.80} is about {needed.unit_type!r:.80}, this one about {flag.unit_type!r:.80}: "
            "one unit cannot be given to both",
        )


def _chain(
    key: str, flags: Mapping[str, Flag], done: dict[str, tuple[int, int]], above: tuple[str, ...]
) -> tuple[int, int]:
    """Return how long a chain of prerequisites the flag begins, and how many evaluations it causes."""
    place = f"flags.{key}.prerequisites"
    if key in above:
        cycle = " → ".join((*above[above.index(key) :], key))
        raise ConfigurationError(place, f"the flag is its own prerequisite: {cycle:.200}")
    if key not in done:
        if len(above) > MAX_DEPTH:
            raise ConfigurationError(place, f"prerequisites of prerequisites over {MAX_DEPTH} levels")
        chains = [_chain(each.flag, flags, done, (*above, key)) for each in flags[key].prerequisites]
        done[key] = (
            max((depth + 1 for depth, _ in chains), default=0),
            sum(count + 1 for _, count in chains),
        )
        if done[key][1] > MAX_EVALUATIONS:
            raise ConfigurationError(
                place, f"the prerequisites come to more than {MAX_EVALUATIONS:,} evaluations"
            )
    if done[key][0] > MAX_DEPTH:
        raise ConfigurationError(place, f"prerequisites of prerequisites over {MAX_DEPTH} levels")
    return done[key]
