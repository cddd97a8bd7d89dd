"""Papers in the drop folder that nobody could place: why, whose a registrar says they are, and the way back.

The bytes stay as they came, in the folder that says what became of them: `done`, `rejected`, or `refused` again. What
was said is a row, written together with the document: whoever comes second, or twice, decides nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from adapters.dropped.cda import read_cda
from adapters.dropped.sidecar import read_sidecar
from adapters.store.unit import UnitOfWork
from hie_node import drop_folder
from hie_node.acts import Act
from hie_node.dropped_files import refused_files
from hie_node.flows.changes import supersede_document
from hie_node.flows.membership import release_study
from hie_node.flows.publish import publish
from hie_node.flows.register import standing
from hie_node.house import House, new_id
from hie_node.publishing import LARGEST_SIDECAR, file_kind
from registry.commands import ProvideSubmission
from registry.documents import DocumentStatus
from registry.errors import NotFound, RegistryError, StorageUnavailable, VersionConflict
from registry.feeds import FileDecision
from registry.identifiers import PatientIdentifier
from registry.people import SourceRecord
from registry.submissions import PatientMention, Submission, SubmittedDocument

KINDS = frozenset({"document", "cda"})
"""One paper of one patient. Files of many patients or messages are mended where they come from, and sent again."""
TAKEN_BACK = "a registrar took back whose it is"


@dataclass(frozen=True, slots=True)
class UnsureFile:
    """One paper, and why it was refused.

    id  stands in addresses, so it is made of its name and says nothing of it
    """

    id: str
    path: Path
    kind: str
    changed: datetime
    size: int
    reason: str


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """What the paper and its note say. `submission` is None where there is no note that can be read."""

    file: UnsureFile
    submission: Submission | None

    @property
    def patient(self) -> PatientMention | None:
        return self.submission.patient if self.submission else None

    @property
    def document(self) -> SubmittedDocument | None:
        return next(iter(self.submission.documents), None) if self.submission else None


@dataclass(frozen=True, slots=True)
class Told:
    """What a registrar reads off a paper that has no note: a LOINC code, a title, and when, where it says so."""

    code: str
    title: str
    performed: datetime | None = None


def unsure_files(house: House) -> tuple[UnsureFile, ...]:
    """What waits for a registrar, the newest first. What was decided and not yet moved is moved now."""
    found = list(_papers(house))
    with house.storage.read() as unit:
        decided = unit.file_decisions.of([one.id for one in found])
    for one in found:
        if one.id in decided and decided[one.id].undone is None:
            _move(house, one.path, decided[one.id].place)
    return tuple(one for one in found if one.id not in decided)


def how_many_files(house: House) -> int:
    return len(unsure_files(house))


def decided_files(house: House, most: int) -> tuple[FileDecision, ...]:
    """What registrars said last, the newest first."""
    with house.storage.read() as unit:
        return unit.file_decisions.latest(most)


def opened(house: House, file_id: str) -> OpenedFile:
    """Raises NotFound where it waits no more."""
    file = next((one for one in unsure_files(house) if one.id == file_id), None)
    if file is None:
        raise NotFound("file")
    with contextlib.suppress(RegistryError, OSError):
        return OpenedFile(file, _as_sent(house, file))
    return OpenedFile(file, None)


def content_of(act: Act, file_id: str) -> bytes:
    """The bytes as they came, for the person who says whose they are. On record without a patient: nobody knows whose.

    Raises NotFound.
    """
    file = opened(act.house, file_id).file
    act.items.append(f"file/{file.id}")
    with act.unit():
        return _bytes(file)


def file_for(act: Act, file_id: str, patient: PatientIdentifier, told: Told | None = None) -> FileDecision:
    """It is this patient's: published under the number that was chosen, on record with who chose it.

    Raises NotFound for a patient whom nobody knows here, VersionConflict where somebody else was quicker,
    SubmissionRejected where the paper is known as another patient's.
    """
    house = act.house
    paper = opened(house, file_id)
    with house.storage.read() as unit:
        record = _record(unit, patient)
        submission = _without_taken_ids(unit, _for_patient(paper, record.identifier, told, house))
    author = act.caller.requester.subject
    place = _place(house, "done", paper.file.path)
    decision = FileDecision(file_id, paper.file.path.name, act.now, author, record.id, place=place)
    with house.storage.together():
        _decide(house, decision)
        provided = publish(act, ProvideSubmission(submission))
        decision = replace(decision, documents=tuple(one.id for one in provided.documents))
        with house.storage.begin() as unit:
            unit.file_decisions.save(decision)
    _move(house, paper.file.path, place)
    return decision


def reject_file(act: Act, file_id: str) -> FileDecision:
    """It is nobody's here; its bytes are kept for a while. Raises NotFound, VersionConflict."""
    paper = opened(act.house, file_id)
    place = _place(act.house, "rejected", paper.file.path)
    decision = FileDecision(file_id, paper.file.path.name, act.now, act.caller.requester.subject, place=place)
    act.action, act.direction = "D", "changed"
    act.items.append(f"file/{file_id}")
    with act.unit() as unit:
        if not unit.file_decisions.decide(decision):
            raise VersionConflict("file", expected="open", found="decided")
    _move(act.house, paper.file.path, place)
    return decision


def undo_file(act: Act, file_id: str) -> bool:
    """It waits again, and what was published of it is current no longer; whether its bytes still lie in the folder.

    Raises NotFound where nothing was decided, or that was taken back already.
    """
    act.action, act.direction = "U", "changed"
    with act.unit() as unit:
        decision = unit.file_decisions.one(file_id)
        if decision is None or decision.undone is not None:
            raise NotFound("decision")
        record = unit.patients.record_by_id(decision.record_id) if decision.record_id else None
        if record is not None:
            act.about(record)
        act.items = [f"file/{file_id}", *decision.documents]
        for document_id in decision.documents:
            _withdraw(act, unit, document_id)
        author = act.caller.requester.subject
        unit.file_decisions.save(replace(decision, undone=act.now, undone_by=author))
    return _back(act.house, decision)


def _papers(house: House) -> Iterator[UnsureFile]:
    folder = house.settings.drop / "refused"
    for dropped in refused_files(house):
        path = folder / dropped.name
        with contextlib.suppress(OSError):
            seen = path.lstat()
            kind = "folder" if path.is_dir() else file_kind(path)
            if kind in KINDS and seen.st_size <= house.settings.limits.document_body:
                named = f"{dropped.name}\0{seen.st_mtime_ns}\0{seen.st_size}".encode(errors="surrogateescape")
                id_ = hashlib.sha256(named).hexdigest()[:32]
                changed = datetime.fromtimestamp(seen.st_mtime, UTC)
                yield UnsureFile(id_, path, kind, changed, seen.st_size, dropped.reason)


def _bytes(file: UnsureFile) -> bytes:
    try:
        return file.path.read_bytes()
    except OSError:
        raise NotFound("file") from None


def _as_sent(house: House, file: UnsureFile) -> Submission:
    """As its sender meant it. Raises Unreadable, InvalidValue, TooLarge, NotFound."""
    settings = house.settings
    system, home = settings.patient_id_system, settings.home_community_id
    if file.kind == "cda":
        return read_cda(_bytes(file), patient_id_system=system, home=home)
    return read_sidecar(_bytes(file), _note(file), patient_id_system=system, home=home).submission


def _note(file: UnsureFile) -> bytes:
    beside = file.path.with_suffix(".json")
    if not beside.is_file() or beside.is_symlink() or beside.stat().st_size > LARGEST_SIDECAR:
        raise NotFound("note")
    return beside.read_bytes()


def _for_patient(paper: OpenedFile, patient: PatientIdentifier, told: Told | None, house: House) -> Submission:
    """The same for the patient who was chosen; what the note says of another person is not taken over."""
    if paper.submission is not None and paper.file.kind == "cda":
        return replace(paper.submission, patient=PatientMention(patient))
    note: Mapping[str, Any]
    if paper.submission is not None:
        note = json.loads(_note(paper.file).decode("utf-8-sig"))
    elif told is not None:
        performed = {"performed": told.performed.isoformat()} if told.performed else {}
        note = {"type": {"code": told.code}, "title": told.title, **performed}
    else:
        raise NotFound("note")
    written = json.dumps({**note, "patient": {"id": patient.value}}).encode()
    home = house.settings.home_community_id
    return read_sidecar(_bytes(paper.file), written, patient_id_system=patient.system, home=home).submission


def _without_taken_ids(unit: UnitOfWork, submission: Submission) -> Submission:
    """What was taken back before keeps its id; the same bytes given to somebody else are another document."""
    fresh = tuple(_fresh(unit, document) for document in submission.documents)
    if fresh == submission.documents:
        return submission
    return replace(submission, documents=fresh, submission_set=None)


def _fresh(unit: UnitOfWork, document: SubmittedDocument) -> SubmittedDocument:
    known = unit.documents.by_unique_id(document.entry.unique_id)
    if known is None or known.status is DocumentStatus.CURRENT:
        return document
    uuid = new_id()
    entry = replace(document.entry, id=uuid, entry_uuid=f"urn:uuid:{uuid}", unique_id=f"urn:uuid:{uuid}")
    return replace(document, entry=entry, source_key=None)


def _record(unit: UnitOfWork, patient: PatientIdentifier) -> SourceRecord:
    known = unit.patients.record(patient)
    if known is None:
        raise NotFound("patient")
    return standing(unit, known)


def _decide(house: House, decision: FileDecision) -> None:
    with house.storage.begin() as unit:
        if not unit.file_decisions.decide(decision):
            raise VersionConflict("file", expected="open", found="decided")


def _withdraw(act: Act, unit: UnitOfWork, document_id: str) -> None:
    entry = unit.documents.entry(document_id)
    if entry is None:
        return
    if entry.status is DocumentStatus.CURRENT:
        supersede_document(act, unit, entry)
    release_study(unit, entry)


def _place(house: House, folder: str, path: Path) -> str:
    """Where it will lie; the name is changed where another lies there already."""
    if not os.path.lexists(house.settings.drop / folder / path.name):
        return f"{folder}/{path.name}"
    return f"{folder}/{path.stem[: drop_folder.LONGEST_STEM]}.{time.time_ns()}{path.suffix[:20]}"


def _move(house: House, path: Path, place: str) -> None:
    """The paper and its note, and the reason goes: it was dealt with. Who took the file away meanwhile has it."""
    target = house.settings.drop / place
    target.parent.mkdir(mode=0o700, exist_ok=True)
    for stem in (path.name[: drop_folder.LONGEST_STEM], path.name):
        path.with_name(f"{stem}.reason.txt").unlink(missing_ok=True)
    note = target.with_suffix(".json")
    if os.path.lexists(note):
        note = target.with_name(f"{target.stem}.{time.time_ns()}.json")
    for one, other in ((path, target), (path.with_suffix(".json"), note)):
        with contextlib.suppress(FileNotFoundError):
            one.rename(other)
            os.utime(other, follow_symlinks=False)


def _back(house: House, decision: FileDecision) -> bool:
    """Into `refused` again, as a file of its own; False where retention has taken it."""
    lies = house.settings.drop / decision.place
    if not lies.is_file():
        return False
    place = _place(house, "refused", Path(decision.name))
    _move(house, lies, place)
    target = house.settings.drop / place
    reason = target.with_name(f"{target.name[: drop_folder.LONGEST_STEM]}.reason.txt")
    try:
        reason.write_text(f"{TAKEN_BACK}\n", "utf-8")
    except OSError as error:
        raise StorageUnavailable("drop folder", error.strerror or "cannot be written") from error
    return True
