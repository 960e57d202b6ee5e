"""The variants of a bounded number of units, recomputed: cheap enough for every readout.

Which units are drawn follows from their ids alone, so that they are the same ones each time, and half of them
where there are twice as many.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import ibis.expr.types as ir

from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.units import exposures_of
from equipoise_service.events.stores.store import EventStore
from equipoise_service.recomputation.audit import Randomisation

MOST_DRAWN = 10_000
"""More units than so many are halved, as often as needed."""

_HASH_BITS = 31


@dataclass(frozen=True, slots=True)
class Recomputed:
    """What recomputing the variants of some units found.

    Attributes:
        halvings: Of all units one in 2 to the power of so many was drawn.
        units: How many were drawn.
        disagreeing: How many of them met a variant that is not the one which their id gives them.
    """

    halvings: int
    units: int
    disagreeing: int


def recompute_drawn(
    store: EventStore, request: StoreRequest, randomisation: Randomisation, units: int
) -> Recomputed:
    """Recomputes the variants of units of a revision; of those that people gave one there are none.

    Args:
        store: Where the exposures are, with the ids as they came.
        request: Which revision, and whom it leaves out.
        randomisation: What decides a unit's arm in it.
        units: How many units it has, so many at least as to be worth halving.
    """
    halvings = halvings_of(units)
    with store.ibis() as backend:
        rows = backend.to_pyarrow(met_variants(backend.table("exposures"), request, halvings))
    pairs = zip(rows["unit"].to_pylist(), rows["variant"].to_pylist(), strict=True)
    return count(pairs, randomisation, halvings, frozenset(request.left_out))


def met_variants(exposures: ir.Table, request: StoreRequest, halvings: int) -> ir.Table:
    """Columns unit and variant: once each variant that a drawn unit met.

    Args:
        exposures: Those of the store.
        request: Which revision.
        halvings: How often its units are halved.
    """
    shown = exposures_of(exposures, request)
    if halvings:
        shown = shown.filter(shown.unit_hash < 2 ** (_HASH_BITS - halvings))
    return shown.select("unit", "variant").distinct()


def count(
    met: Iterable[tuple[str, str]], randomisation: Randomisation, halvings: int, left_out: frozenset[str]
) -> Recomputed:
    """Counts the units whose variant is another one than their id gives them, each once.

    Args:
        met: Each unit with a variant that it met.
        randomisation: What decides a unit's arm.
        halvings: How often all units were halved until these were left.
        left_out: Units of which people chose the variant.
    """
    units: set[str] = set()
    disagreeing: set[str] = set()
    for unit, variant in met:
        if unit in left_out:
            continue
        units.add(unit)
        if randomisation.variant(unit) != variant:
            disagreeing.add(unit)
    return Recomputed(halvings, len(units), len(disagreeing))


def halvings_of(units: int) -> int:
    """How often the units are halved until few enough are left.

    Example:
        >>> halvings_of(0), halvings_of(10_000), halvings_of(10_001), halvings_of(2_000_000)
        (0, 0, 1, 8)
    """
    return (max(1, -(-units // MOST_DRAWN)) - 1).bit_length()
