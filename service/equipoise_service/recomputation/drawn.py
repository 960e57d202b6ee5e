"""The variants of a bounded number of units, recomputed: cheap enough for every readout.

Which units are drawn follows from their ids alone, so that they are the same ones each time, and half of them
where there are twice as many.
"""

from dataclasses import dataclass

import ibis.expr.types as ir

from equipoise_service.analysis.asking import statement_of
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.store import named_units
from equipoise_service.analysis.units import exposures_of, which_exposures
from equipoise_service.events.stores.store import EventStore
from equipoise_service.recomputation import dialects
from equipoise_service.recomputation.audit import Randomisation
from equipoise_service.recomputation.engines import Engine

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
    with store.workspace() as workspace:

        def query() -> ir.Table:
            exposures = workspace.table("exposures")
            if request.left_out:
                left_out = workspace.bring("left_out", named_units(request))
                exposures = exposures.anti_join(left_out, "unit")
            return met_variants(exposures, request, halvings)

        if request.left_out:
            met = str(workspace.backend.compile(query()))
        else:
            met = statement_of(workspace, "met_variants", (*which_exposures(request), halvings), query)
        (found,) = workspace.rows(counting(Engine(workspace.backend.name), met, randomisation))
    return Recomputed(halvings, int(found["units"]), int(found["disagreeing"]))


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


def counting(engine: Engine, met: str, randomisation: Randomisation) -> str:
    """The statement that counts units, and those of them that met another variant than their id gives them.

    It hashes where the ids lie: while this process did, of ten thousand of them, it would answer nobody.

    Args:
        engine: Whose SQL.
        met: The statement of columns unit and variant.
        randomisation: What decides a unit's arm.

    Returns:
        One row of it: units and disagreeing.
    """
    own = " ".join(
        f"WHEN drawn >= {start} AND drawn < {end} THEN {dialects.string(engine, variant)}"
        for variant, start, end in randomisation.ranges
    )
    bucket = dialects.bucket(engine, randomisation.salt, "unit")
    # The salt and the variants are quoted; the rest is ours, or Ibis's.
    return (
        "SELECT count(DISTINCT unit) AS units,"  # noqa: S608
        " count(DISTINCT CASE WHEN variant <> own THEN unit END) AS disagreeing"
        f" FROM (SELECT unit, variant, CASE {own} END AS own"
        f" FROM (SELECT unit, variant, {bucket} AS drawn FROM ({met}) AS met) AS buckets) AS variants"
    )


def halvings_of(units: int) -> int:
    """How often the units are halved until few enough are left.

    Example:
        >>> halvings_of(0), halvings_of(10_000), halvings_of(10_001), halvings_of(2_000_000)
        (0, 0, 1, 8)
    """
    return (max(1, -(-units // MOST_DRAWN)) - 1).bit_length()
