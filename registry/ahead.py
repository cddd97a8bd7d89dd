"""What is brought ahead of a referred patient: reports, then key images, then the current examination, then the rest.

It is a copy for a while and never a record of this hospital: it lies apart, is shown as its holder's, under the
holder's decision of that moment, and goes when its time or the patient's request ends.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from operator import itemgetter

from registry.documents import DocumentEntry
from registry.identifiers import HomeCommunityId
from registry.people import PatientInQuestion
from registry.studies import Instance, Series, Study

POINTERS = frozenset({"KO", "PR"})
"""Modalities of objects that point at images: key objects, presentation states."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """Everything that is brought ahead of one referral.

    id        also the owner of its contents, so that their key goes with it
    sender    the hospital that refers and holds the records, and `number` of its slip
    expires   when nothing of it is shown any more
    consents  the holder's own ids of what the patient signed there: it names one when that is taken back
    complete  everything that the holder listed has arrived
    """

    id: str
    sender: HomeCommunityId
    number: str
    patient: PatientInQuestion
    opened: datetime
    expires: datetime
    consents: tuple[str, ...] = ()
    complete: bool = False


@dataclass(frozen=True, slots=True)
class HeldDocument:
    """A document that is here, verified against the hash that its holder listed.

    owner  the id of the `Ahead` that it came with
    entry  as the holder listed it, under the id that shows whose it is
    """

    owner: str
    entry: DocumentEntry
    content_hash: str


@dataclass(frozen=True, slots=True)
class HeldStudy:
    """A study of which something is here: as its holder listed it, and in which state (`Study.fingerprint`)."""

    owner: str
    study: Study
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class HeldInstance:
    """One object that is here; its content hash and size are those of the stored copy."""

    owner: str
    study_instance_uid: str
    series_instance_uid: str
    instance: Instance


@dataclass(frozen=True, slots=True)
class Piece:
    """What is asked for at once: a series, or one object of it, and which objects have to come."""

    study: Study
    series: Series
    instance: Instance | None
    uids: frozenset[str]


def with_held(study: Study, held: Mapping[str, Instance]) -> Study:
    """The study with the stored copies in the place of what its holder listed."""
    series = tuple(
        replace(one, instances=tuple(held.get(each.sop_instance_uid, each) for each in one.instances))
        for one in study.series
    )
    return replace(study, series=series)


def newest_first(studies: Collection[Study]) -> list[Study]:
    """The first is the current one: what the patient is referred with."""
    dated = [(one.started, one.study_instance_uid, one) for one in studies if one.started is not None]
    undated = [one for one in studies if one.started is None]
    return [one for _, _, one in sorted(dated, key=itemgetter(0, 1), reverse=True)] + undated


def pointers(studies: Sequence[Study], arrived: Collection[str]) -> Iterator[Piece]:
    """Key objects and presentation states that are missing: they tell which images matter."""
    for study in studies:
        for series in study.series:
            if series.modality in POINTERS:
                yield from _pieces(study, series, series.instances, arrived)


def key_images(studies: Sequence[Study], pointed_at: Collection[str], arrived: Collection[str]) -> Iterator[Piece]:
    """The images that a key object points at; where none does, the middle of each series of the study."""
    for study in studies:
        images = [series for series in study.series if series.modality not in POINTERS and series.instances]
        flagged = {one.sop_instance_uid for series in images for one in series.instances} & set(pointed_at)
        for series in images:
            chosen = [one for one in series.instances if one.sop_instance_uid in flagged]
            for one in chosen if flagged else [series.middle]:
                yield from _one(study, series, one, arrived)


def all_images(studies: Sequence[Study], arrived: Collection[str]) -> Iterator[Piece]:
    """Everything that is missing, the current study first."""
    for study in studies:
        for series in sorted(study.series, key=lambda one: (one.number is None, one.number or 0)):
            yield from _pieces(study, series, series.instances, arrived)


MOST_SENT_AGAIN = 0.05
"""The share of a series that has arrived up to which it is asked for as a whole: one request instead of hundreds."""


def _pieces(study: Study, series: Series, wanted: Sequence[Instance], arrived: Collection[str]) -> Iterator[Piece]:
    missing = [one for one in wanted if one.sop_instance_uid not in arrived]
    here = len(series.instances) - len(missing)
    if missing and len(missing) > 1 and here <= MOST_SENT_AGAIN * len(series.instances):
        yield Piece(study, series, None, frozenset(one.sop_instance_uid for one in missing))
        return
    for one in missing:
        yield from _one(study, series, one, arrived)


def _one(study: Study, series: Series, instance: Instance, arrived: Collection[str]) -> Iterator[Piece]:
    if instance.sop_instance_uid not in arrived:
        yield Piece(study, series, instance, frozenset({instance.sop_instance_uid}))
