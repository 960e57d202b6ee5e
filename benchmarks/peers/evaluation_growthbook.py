"""growthbook: pure Python; no tracking callback is set."""

from collections.abc import Sequence

from growthbook import GrowthBook

from benchmarks.peers.scene import ARMS, COUNTRIES, FLAG, HERE, OFF, Peer


def unlogged() -> Peer:
    """No tracking; one instance, whose attributes are set anew for each unit."""
    rule = {
        "key": FLAG,
        "seed": "arms",
        "condition": {"country": {"$in": list(COUNTRIES)}},
        "variations": list(ARMS),
        "weights": [0.5, 0.5],
        "coverage": 1,
        "hashAttribute": "id",
        "hashVersion": 2,
    }
    book = GrowthBook(features={FLAG: {"defaultValue": OFF, "rules": [rule]}}, attributes={})

    def run(units: Sequence[str]) -> None:
        for unit in units:
            book.set_attributes({"id": unit, "country": HERE})
            book.get_feature_value(FLAG, OFF)

    def arm(unit: str, country: str) -> object:
        book.set_attributes({"id": unit, "country": country})
        return book.get_feature_value(FLAG, OFF)

    return Peer("growthbook: no tracking callback", run, arm, book.destroy)
