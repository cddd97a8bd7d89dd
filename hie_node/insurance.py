"""An insurance file through the house: each dossier is a submission of its own, and many are made durable together."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from adapters.insurance.envelope import DossierFault
from adapters.insurance.submission import FileRemarks, Piece, Receiver, iter_submissions
from consent.errors import ConsentError
from hie_node import feeds
from hie_node.acts import Act, Caller
from hie_node.apart import pulse
from hie_node.flows.anew import grouped_anew, one_group
from hie_node.flows.publish import publish
from hie_node.house import House
from registry.code_maps import Gaps
from registry.commands import Provided, ProvideSubmission
from registry.errors import RegistryError, StorageUnavailable, Unreadable

TOGETHER = 25
"""Dossiers that share one wait for the disk. Others who write wait as long, so it is not more."""

MOST_REASONS = 100
USUAL = gc.get_threshold()
NEW_THINGS = 100_000
"""Objects after which circles are looked for while a file is read."""


Outcome = Provided | Exception | None
"""Of one piece: what publishing did, why it was refused, or None for what is no dossier."""


@dataclass(slots=True)
class ReadFile:
    """What became of a file so far.

    outcomes  what publishing did with the dossiers
    refusals  how many were not used, and
    refused   why, of the first of them; or where the file broke off
    gaps      codes and units that no map holds
    noticed   what was overlooked in how many of them: a million dossiers of one sender have the same habits
    """

    documents: int = 0
    outcomes: set[str] = field(default_factory=set)
    refusals: int = 0
    refused: list[str] = field(default_factory=list)
    noticed: Counter[str] = field(default_factory=Counter)
    gaps: Gaps = field(default_factory=Gaps)

    def refuse(self, why: str) -> None:
        self.refusals += 1
        if len(self.refused) < MOST_REASONS:
            self.refused.append(why)

    def add(self, piece: Piece, number: int, outcome: Outcome) -> None:
        """Count one dossier, or what was noticed of the file."""
        if isinstance(piece, FileRemarks):
            self.noticed.update(piece.texts)
        elif not isinstance(outcome, Provided) or isinstance(piece, DossierFault):
            self.refuse(f"dossier {number}: {outcome}")
        else:
            if piece.visit:
                self.gaps.look(piece.visit.results)
            self.outcomes.add(outcome.outcome)
            self.documents += len(outcome.documents)
            self.noticed.update(outcome.warnings)

    @property
    def warnings(self) -> list[str]:
        return list(self.noticed.elements())

    @property
    def outcome(self) -> str:
        if self.refused:
            return "refused"
        return next((one for one in ("stored", "replaced", "unchanged") if one in self.outcomes), "refused")

    @property
    def became(self) -> feeds.Became:
        return feeds.Became(self.outcome, self.documents, tuple(self.refused), tuple(self.warnings), self.gaps.found())


def publish_file(house: House, chunks: Iterable[bytes], caller: Caller) -> ReadFile:
    """One dossier that is refused does not stop the others; a file that breaks off keeps what came before."""
    settings, done = house.settings, ReadFile()
    receiver = Receiver(
        settings.facility_code,
        settings.patient_id_system,
        settings.home_community_id,
        house.code_maps,
        house.now(),
    )
    pieces = iter_submissions(chunks, receiver)
    number = 0
    with _rarely_collecting():
        for group in _groups(pieces, done):
            outcomes = grouped_anew(house, partial(_publish_group, house, group, caller))
            for piece, outcome in zip(group, outcomes, strict=True):
                number += not isinstance(piece, FileRemarks)
                done.add(piece, number, outcome)
    return done


@contextmanager
def _rarely_collecting() -> Iterator[None]:
    """A dossier is thousands of small things and no circle of them: looking for circles took a fifth of the time."""
    gc.set_threshold(NEW_THINGS, *USUAL[1:])
    try:
        yield
    finally:
        gc.set_threshold(*USUAL)


def _groups(pieces: Iterator[Piece], done: ReadFile) -> Iterator[list[Piece]]:
    group: list[Piece] = []
    try:
        for piece in pieces:
            group.append(piece)
            pulse()
            if len(group) == TOGETHER:
                yield group
                group = []
    except StorageUnavailable:
        raise
    except RegistryError as broken:
        done.refuse(_broken_off(broken, done, group))
    if group:
        yield group


def _broken_off(broken: RegistryError, done: ReadFile, group: list[Piece]) -> str:
    """Where a file ends to be one; the dossiers before that place are published, or refused on their own account."""
    before = bool(done.outcomes or done.refusals or group)
    said = f"{broken.what}: {broken.reason}" if isinstance(broken, Unreadable) else str(broken)
    return f"{said}; what came before that place was read, nothing after it" if before else str(broken)


def _publish_group(house: House, group: Sequence[Piece], caller: Caller) -> list[Outcome]:
    """All that were not refused, or none. Raises StorageUnavailable."""
    with one_group(house):
        return [_published(house, piece, caller) for piece in group]


def _published(house: House, piece: Piece, caller: Caller) -> Outcome:
    pulse()
    if isinstance(piece, FileRemarks):
        return None
    if isinstance(piece, DossierFault):
        return piece.error
    try:
        return publish(Act(house, caller, "publish"), ProvideSubmission(piece))
    except StorageUnavailable:
        raise
    except (RegistryError, ConsentError) as refusal:
        return refusal
