"""A batch as it is stored where unit ids are stored as keyed hashes."""

from dataclasses import replace

from equipoise_service.events.batches import Batch
from equipoise_service.privacy.unit_ids import item_as_stored, unit_as_stored


def hashed(batch: Batch, key: str) -> Batch:
    """A batch without unit ids; its items are changed in place, so it must not be hashed twice.

    Args:
        batch: Each of its items names one unit.
        key: `EQUIPOISE_UNIT_KEY`.
    """
    # Most units have several items in a batch.
    known: dict[str, str] = {}
    for items in (batch.exposures, batch.events):
        for each in items:
            unit = known.get(each.unit)
            if unit is None:
                unit = known[each.unit] = unit_as_stored(each.unit, key)
            each.unit, each.units = unit, None
    rejected = [replace(each, item=item_as_stored(each.item, key)) for each in batch.rejected]
    return replace(batch, rejected=rejected)
