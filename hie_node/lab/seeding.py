"""Fill the lab: what three hospitals' systems would emit, published through the ordinary publishing path."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hie_node.bootstrap import build
from hie_node.lab.hospitals import Province
from hie_node.lab.province import plan, write
from hie_node.publishing import publish_paths
from hie_node.settings import load

SEED = 20261123


@dataclass(frozen=True, slots=True)
class Seeded:
    """What was published at one hospital."""

    hospital: str
    visits: int
    documents: int
    studies: int
    instances: int
    refused: tuple[str, ...]


def seed(
    lab: Mapping[str, Any],
    *,
    people: int,
    hold_story_back: bool = False,
    tell: Callable[[str], None] = lambda text: None,
) -> list[Seeded]:
    """Publish a year of an invented province; `hold_story_back` leaves the story's CT for the demonstration."""
    province = plan(SEED, people)
    if hold_story_back:
        province = without_story(province)
    return [_seed_one(entry, province, tell) for entry in lab["hospitals"] if entry["name"] in province.hospitals]


def without_story(province: Province) -> Province:
    """The province before the story's patient was scanned in Bắc Ninh."""
    kept = tuple(visit for visit in province.visits["bac-ninh"] if visit != province.story.referral)
    return replace(province, visits={**province.visits, "bac-ninh": kept})


def only_story(province: Province) -> Province:
    """Nothing but the story's visit to Bắc Ninh."""
    return replace(province, visits={**province.visits, "bac-ninh": (province.story.referral,)})


def _seed_one(entry: Mapping[str, Any], province: Province, tell: Callable[[str], None]) -> Seeded:
    home = Path(entry["home"])
    folder = home / "seed"
    shutil.rmtree(folder, ignore_errors=True)
    written = write(province, folder, entry["name"])
    house = build(load(home))
    results = list(publish_paths(house, [folder], who="seed"))
    house.storage.close()
    shutil.rmtree(folder)
    made = Seeded(
        entry["name"],
        written.counts["visits"],
        sum(r.documents for r in results),
        sum(r.studies for r in results),
        sum(r.instances for r in results),
        tuple(f"{r.path.name}: {r.reason}" for r in results if r.reason),
    )
    tell(f"{entry['title']}: {made.visits} visits, {made.documents} documents, {made.studies} studies")
    return made
