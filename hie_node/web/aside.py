"""What waits for a registrar, by the page where it is decided: how many, never of whom."""

from __future__ import annotations

from collections.abc import Mapping

from hie_node.flows.pairs import how_many_pairs
from hie_node.flows.quarantine import how_many_wait
from hie_node.flows.reviews import OF_THE_INDEX
from hie_node.unsure_files import how_many_files
from hie_node.web.front import Visit


def aside(visit: Visit) -> Mapping[str, int]:
    """Each page of the registrar, in the order in which they stand above each other's work."""
    with visit.house.storage.read() as unit:
        doubts = sum(1 for one in unit.patients.reviews() if one.kind in OF_THE_INDEX)
    return {
        "reviews": doubts,
        "quarantine": how_many_wait(visit.house),
        "pairs": how_many_pairs(visit.house),
        "files": how_many_files(visit.house),
    }
