"""The configuration in force, as the client reads it on its fast path."""

from typing import TYPE_CHECKING

from equipoise._reads import logging, read

if TYPE_CHECKING:
    from equipoise._exposures import Exposures
    from equipoise._plans import Plan
    from equipoise.configuration import Configuration


class View:
    """An immutable configuration, and what the client has derived from it.

    Attributes:
        configuration: as it was read.
        plans: its plans by flag.
        reads: the same with their exposures, of the flags that are not special.
        special: the keys of the flags that need more than their plan: they have an experiment that is sticky
            or randomises another unit type than the flag's.
    """

    __slots__ = ("_exposures", "configuration", "plans", "reads", "special")

    def __init__(self, configuration: "Configuration", exposures: "Exposures") -> None:
        self.configuration = configuration
        self._exposures = exposures
        self.plans: dict[str, Plan] = dict(configuration.plans)
        self.special = frozenset(
            experiment.flag
            for experiment in configuration.experiments.values()
            if experiment.sticky or experiment.unit_type != configuration.flags[experiment.flag].unit_type
        )
        self.reads: dict[str, Plan] = {
            key: read(configuration, flag, self.plans[key], exposures)
            for key, flag in configuration.flags.items()
            if key not in self.special
        }

    def serve(self, flag: str, plan: "Plan") -> None:
        """Let a plan of the caller's take the place of the flag's."""
        self.plans[flag] = plan
        self.reads[flag] = logging(self.configuration, plan, self._exposures)
        self.special -= {flag}


class Snapshot:
    """Holds the view in force; whoever changes it swaps it as a whole.

    Attributes:
        view: None before the first configuration, and in a forked child until its first use.
    """

    __slots__ = ("view",)

    def __init__(self, view: View | None = None) -> None:
        self.view = view
