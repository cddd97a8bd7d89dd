"""An insurance file through the house: each dossier is a submission of its own, and many are made durable together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from adapters.insurance.envelope import DossierFault
from adapters.insurance.submission import FileRemarks, Piece, Receiver, iter_submissions
from consent.errors import ConsentError
from hie_node import feeds
from hie_node.acts import Act, Caller
from hie_node.flows.publish import publish
from hie_node.house import House
from registry.commands import ProvideSubmission
from registry.errors import RegistryError, StorageUnavailable
from registry.submissions import Submission

TOGETHER = 25
"""Dossiers that share one wait for the disk. Others who write wait as long, so it is not more."""


@dataclass(slots=True)
class ReadFile:
    """What became of a file so far.

    outcomes  what publishing did with each dossier
    refused   why a dossier was not used, or where the file broke off
    """

    documents: int = 0
    outcomes: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def outcome(self) -> str:
        if self.refused:
            return "refused"
        return next((one for one in ("stored", "replaced", "unchanged") if one in self.outcomes), "refused")

    @property
    def became(self) -> feeds.Became:
        return feeds.Became(self.outcome, self.documents, tuple(self.refused), tuple(self.warnings))


def publish_file(house: House, chunks: Iterable[bytes], caller: Caller) -> ReadFile:
    """One dossier that is refused does not stop the others; a file that breaks off keeps what came before."""
    settings, done = house.settings, ReadFile()
    receiver = Receiver(settings.facility_code, settings.patient_id_system, settings.home_community_id, house.code_maps)
    pieces = iter_submissions(chunks, receiver)
    number = 0
    for group in _groups(pieces, done):
        with house.storage.together(), house.contents.batch():
            for piece in group:
                number += not isinstance(piece, FileRemarks)
                _publish_piece(house, piece, number, caller, done)
    return done


def _groups(pieces: Iterator[Piece], done: ReadFile) -> Iterator[list[Piece]]:
    group: list[Piece] = []
    try:
        for piece in pieces:
            group.append(piece)
            if len(group) == TOGETHER:
                yield group
                group = []
    except StorageUnavailable:
        raise
    except RegistryError as broken:
        done.refused.append(str(broken))
    if group:
        yield group


def _publish_piece(house: House, piece: Piece, number: int, caller: Caller, done: ReadFile) -> None:
    if isinstance(piece, FileRemarks):
        done.warnings += piece.texts
    elif isinstance(piece, DossierFault):
        done.refused.append(f"dossier {number}: {piece.error}")
    else:
        _publish_dossier(house, piece, number, caller, done)


def _publish_dossier(house: House, submission: Submission, number: int, caller: Caller, done: ReadFile) -> None:
    try:
        provided = publish(Act(house, caller, "publish"), ProvideSubmission(submission))
    except StorageUnavailable:
        raise
    except (RegistryError, ConsentError) as refusal:
        done.refused.append(f"dossier {number}: {refusal}")
        return
    done.outcomes.append(provided.outcome)
    done.documents += len(provided.documents)
    done.warnings += provided.warnings
