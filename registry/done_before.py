"""Has this examination been done? The rule at the moment of ordering: a comparison and its facts, never an advice.

The same examination is the same modality, region and contrast, whatever the service code: codes differ between scanner
classes, which is exactly the case of a referral. Facts are stated with what they speak for; the doctor decides.
Sources: draft circular on mutual recognition (performance time, complete series, reasons to repeat), TT 59/2025
Art. 32 (look at earlier examinations before radiation), NĐ 98/2021 (showing and counting is no interpretation).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from registry.earlier import Earlier
from registry.examinations import Examination
from registry.identifiers import HomeCommunityId
from registry.local_time import VIET_NAM
from registry.ordered import Ordered
from registry.validity import ValidityTable

Speaks = Literal["for", "against", "open"]


class Likeness(StrEnum):
    """How far an earlier examination is the one that is ordered.

    SAME      modality, region and contrast
    COVERS    a larger region with this one in it
    PERHAPS   the same as far as it is known: contrast is not told on one side
    RELATED   the same region with other contrast, or only a part of the region
    """

    SAME = "same"
    COVERS = "covers"
    PERHAPS = "perhaps"
    RELATED = "related"

    @property
    def answers(self) -> bool:
        """Whether it may stand in for what is ordered."""
        return self is not Likeness.RELATED


_ORDER = tuple(Likeness)
_ANOTHER_NAME = {"abdomen": "upper_abdomen", "lung_hrct": "chest", "lung_low_dose": "chest"}
_HOLDS: Mapping[str, frozenset[str]] = {
    "abdomen_pelvis": frozenset({"upper_abdomen", "pelvis", "liver_biliary", "urinary"}),
    "whole_body": frozenset({"brain", "chest", "upper_abdomen", "pelvis", "abdomen_pelvis"}),
    "brain_and_vessels": frozenset({"brain", "brain_vessels"}),
    "brain_3d": frozenset({"brain"}),
    "face_3d": frozenset({"face"}),
}
_THIN = {"CT": 2.5, "MR": 5.0}
"""Millimetres up to which slices are usually called thin enough to be reformatted (CT) or read alone (MRI)."""
_PHASES = (
    ("arterial", ("arter", "dong mach", "art ")),
    ("venous", ("venous", "portal", "tinh mach", "ven ")),
    ("delayed", ("delay", "muon")),
)
_CLASS = {"1-32": 1, "64-128": 2, ">=256": 3}


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that is so, and what it speaks for. `values` are what its sentence needs."""

    code: str
    speaks: Speaks
    values: Mapping[str, str | int | float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Match:
    """An earlier examination beside the one that is ordered. `valid_until` where the table gives it days."""

    earlier: Earlier
    likeness: Likeness
    facts: tuple[Fact, ...]
    age_days: int | None = None
    valid_until: datetime | None = None

    @property
    def in_time(self) -> bool:
        """Within the days of the validity table."""
        return any(fact.code == "age-within" for fact in self.facts)

    @property
    def stands_in(self) -> bool:
        """It may stand in for what is ordered, by examination and by age."""
        return self.likeness.answers and self.in_time


@dataclass(frozen=True, slots=True)
class QualityLevel:
    """What a hospital's quality level was published as, and for which days."""

    level: str
    since: datetime
    until: datetime | None = None

    def holds(self, moment: datetime) -> bool:
        return self.since <= moment and (self.until is None or moment < self.until)


Levels = Mapping[HomeCommunityId, tuple[QualityLevel, ...]]


def done_before(
    ordered: Ordered, earlier: Iterable[Earlier], table: ValidityTable, levels: Levels, *, now: datetime
) -> tuple[Match, ...]:
    """What was done before and is worth showing with this order: the likest first, the newest first among them."""
    found = [match for match in (_match(ordered, one, table, levels, now) for one in earlier) if match is not None]
    found.sort(key=lambda match: match.earlier.performed.timestamp() if match.earlier.performed else 0, reverse=True)
    found.sort(key=lambda match: (not match.stands_in, _ORDER.index(match.likeness)))
    return tuple(found)


def likeness(ordered: Examination, earlier: Examination) -> Likeness | None:
    """None where they are different examinations."""
    if ordered.modality != earlier.modality:
        return None
    wanted, done = (_ANOTHER_NAME.get(one.region, one.region) for one in (ordered, earlier))
    covers = wanted == done or wanted in _HOLDS.get(done, ())
    if not covers:
        return Likeness.RELATED if done in _HOLDS.get(wanted, ()) else None
    if None in (ordered.contrast, earlier.contrast):
        return Likeness.PERHAPS
    if ordered.contrast != earlier.contrast:
        return Likeness.RELATED
    return Likeness.SAME if wanted == done else Likeness.COVERS


def _match(ordered: Ordered, one: Earlier, table: ValidityTable, levels: Levels, now: datetime) -> Match | None:
    like = likeness(ordered.examination, one.examination) if one.examination else None
    if like is None:
        return None
    days = table.days(ordered.examination, table.reason_of(ordered.diagnoses))
    age = (now.astimezone(VIET_NAM).date() - one.performed.astimezone(VIET_NAM).date()).days if one.performed else None
    until = one.performed + timedelta(days=days) if one.performed and days is not None else None
    facts = (_age(age, days), *_contrast(ordered, one), *_coverage(ordered, one), *_images(one))
    more = (*_slices(one), *_phases(one), *_scanner(ordered, one), *_level(one, levels))
    return Match(one, like, (*facts, *more), age, until)


def _age(age: int | None, days: int | None) -> Fact:
    """Validity runs from performance; without that day nothing can be said."""
    if age is None:
        return Fact("age-unknown", "against")
    if days is None:
        return Fact("age-no-rule", "open", {"age": age})
    if age < 0:
        return Fact("age-future", "against")
    within = age <= days
    return Fact("age-within" if within else "age-past", "for" if within else "against", {"age": age, "days": days})


def _contrast(ordered: Ordered, one: Earlier) -> Iterator[Fact]:
    wanted, done = ordered.examination.contrast, one.examination.contrast if one.examination else None
    if done is None:
        yield Fact("contrast-unknown", "open")
    elif wanted is None:
        yield Fact("contrast-given" if done else "contrast-none", "open")
    elif wanted == done:
        yield Fact("contrast-same-with" if done else "contrast-same-without", "for")
    else:
        yield Fact("contrast-other-with" if done else "contrast-other-without", "against")


def _coverage(ordered: Ordered, one: Earlier) -> Iterator[Fact]:
    assert one.examination is not None
    wanted, done = (_ANOTHER_NAME.get(x.region, x.region) for x in (ordered.examination, one.examination))
    if wanted != done:
        larger = wanted in _HOLDS.get(done, ())
        yield Fact("coverage-larger" if larger else "coverage-part", "for" if larger else "against")


def _images(one: Earlier) -> Iterator[Fact]:
    if one.images:
        yield Fact("images", "for", {"images": one.images, "series": len(one.series)})
    else:
        yield Fact("images-none", "against")
    if not one.reports:
        yield Fact("report-none", "against")


def _slices(one: Earlier) -> Iterator[Fact]:
    thinnest = min((s.slice_thickness for s in one.series if s.slice_thickness), default=None)
    if thinnest is not None and one.examination is not None:
        thin = thinnest <= _THIN[one.examination.modality]
        yield Fact("slices", "for" if thin else "against", {"mm": thinnest})


def _phases(one: Earlier) -> Iterator[Fact]:
    """As far as the scanner's own words tell."""
    if one.examination is None or not one.examination.contrast:
        return
    words = " ".join(f"{series.description or ''} ".lower() for series in one.series)
    named = [phase for phase, beginnings in _PHASES if any(word in words for word in beginnings)]
    for phase in named:
        yield Fact(f"phase-{phase}", "open")


def _scanner(ordered: Ordered, one: Earlier) -> Iterator[Fact]:
    wanted = ordered.service.rows if ordered.service else None
    done = one.service.rows if one.service else None
    if done is None:
        return
    lower = wanted is not None and _CLASS.get(done, 0) < _CLASS.get(wanted, 0)
    yield Fact("scanner-lower" if lower else "scanner", "against" if lower else "open", {"rows": done})


def _level(one: Earlier, levels: Levels) -> Iterator[Fact]:
    """Published on the day of performance; the law asks for none where imaging is concerned, so it only informs."""
    known = levels.get(one.home, ())
    level = next((x.level for x in known if one.performed and x.holds(one.performed)), None)
    if level is not None:
        yield Fact("quality-level", "open", {"level": level})
