"""Publish from what exists: insurance files, HL7 v2 messages, CDA, DICOM files and folders, documents with a sidecar.

One file is one outcome: acknowledged, the same as before, or refused with a reason; nothing is skipped in silence.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

from adapters.dicom.headless import missing_head
from adapters.dicom.part10 import read_instance
from adapters.dropped.cda import MAX_BYTES as MAX_CDA_BYTES
from adapters.dropped.cda import read_cda
from adapters.dropped.kinds import kind_of
from adapters.dropped.sidecar import read_sidecar
from adapters.hl7v2.files import iter_messages
from consent.errors import ConsentError
from consent.requesters import PurposeOfUse, Requester, Role
from hie_node import feeds, hl7v2, insurance
from hie_node.acts import Act, Caller
from hie_node.flows.publish import publish
from hie_node.flows.store_instances import store_instances
from hie_node.house import House
from hie_node.image_feeds import feed_of, note_refused
from registry.commands import ProvideSubmission, Stored, StoreInstances
from registry.errors import RegistryError, StorageUnavailable, TooLarge
from registry.feeds import REFUSED
from registry.studies import ReadInstance
from registry.submissions import Content, FilePart, Headed, StudySubmission, Submission

BATCH = 500
"""Instances stored together: few enough to begin early, enough to share the wait for the disk."""

PIECE = 1 << 16
LARGEST_SIDECAR = 1 << 20
HEAD = 4096
HL7_TOGETHER = 50
"""Messages of a file that share one wait for the disk."""

HL7_FILE = 256 << 20
"""Bytes of a file of HL7 messages, which is read as a whole."""

DEEPEST = 32
"""Folders within folders, as no sender has them."""

UNFINISHED = (".part", ".tmp", ".crdownload", ".filepart")
LITTER = frozenset({".DS_Store", ".directory", "Thumbs.db", "desktop.ini"})


@dataclass(slots=True)
class Published:
    """What became of the files of one kind in one folder, or of one file.

    outcome   `stored`, `unchanged`, `replaced` or `refused`
    noted     whether it is in the log of feeds already
    """

    path: Path
    kind: str
    outcome: str
    files: int = 1
    documents: int = 0
    studies: int = 0
    instances: int = 0
    warnings: list[str] = field(default_factory=list)
    reason: str = ""
    noted: bool = False


def publisher(house: House, who: str) -> Caller:
    """The hospital's own system at the drop folder or the command line."""
    requester = Requester(who, Role.SYSTEM, house.home, organization=house.settings.name, purpose=PurposeOfUse.TREAT)
    return Caller(requester, "house")


@dataclass(frozen=True, slots=True)
class Portion:
    """What is published in one go: one file, or images that lie together.

    kind    of each of its files
    unread  why it could not even be opened
    """

    kind: str
    files: tuple[Path, ...]
    unread: str = ""


def publish_paths(house: House, paths: Iterable[Path], *, who: str) -> Iterator[Published]:
    """Everything below these paths, in the order of names; a document waits for its sidecar, a sidecar is not one."""
    for portion in portions(paths):
        yield publish_portion(house, portion, who)


def portions(paths: Iterable[Path], *, depth: int = 0) -> Iterator[Portion]:
    """What lies below these paths, each looked at when the one before it is done."""
    for path in paths:
        if not is_folder(path):
            yield from _of_files([path])
            continue
        if depth > DEEPEST:
            yield Portion("unknown", (path,), f"folders are nested deeper than {DEEPEST}")
            continue
        try:
            children = sorted(child for child in path.iterdir() if not is_litter(child))
        except OSError as error:
            yield _unopened(path, error)
            continue
        for child in filter(is_unfinished, children):
            yield Portion("unknown", (child,), "its name says that it is not finished, or is to be hidden")
        finished = [child for child in children if not is_unfinished(child)]
        folders = {child for child in finished if is_folder(child)}
        yield from _of_files([child for child in finished if child not in folders])
        yield from portions(sorted(folders), depth=depth + 1)


def is_folder(path: Path) -> bool:
    """Of its own; a link could lead anywhere. What cannot be looked at is told so where it is opened."""
    try:
        return path.is_dir() and not path.is_symlink()
    except OSError:
        return False


def is_unfinished(path: Path) -> bool:
    """As programs name what they still write."""
    return path.name.startswith(".") or path.suffix in UNFINISHED


def is_litter(path: Path) -> bool:
    """What desktops leave in every folder that somebody looked into."""
    return path.name in LITTER or path.name.startswith("._")


def _of_files(files: Sequence[Path]) -> Iterator[Portion]:
    images: list[Path] = []
    for file in files:
        try:
            kind = file_kind(file)
        except OSError as error:
            yield _unopened(file, error)
            continue
        if kind == "dicom":
            images.append(file)
        elif not (kind == "sidecar" and _document_of(file)):
            yield Portion(kind, (file,))
    for start in range(0, len(images), BATCH):
        yield Portion("dicom", tuple(images[start : start + BATCH]))


def _unopened(path: Path, error: OSError) -> Portion:
    return Portion("unknown", (path,), f"cannot be read: {error.strerror}")


def publish_portion(house: House, portion: Portion, who: str) -> Published:
    """What became of it. Raises StorageUnavailable."""
    if portion.unread:
        return Published(portion.files[0], portion.kind, "refused", reason=portion.unread)
    if portion.kind == "dicom":
        return _noted(house, _instances(house, portion.files, who))
    return _noted(house, _one_file(house, portion.files[0], portion.kind, who))


def is_plain(file: Path) -> bool:
    """A file of its own: a link could lead to what its sender may not read, and a pipe would be waited for."""
    return stat.S_ISREG(file.lstat().st_mode)


def printable(name: str) -> str:
    """A file name in one line, whatever is in it."""
    return "".join(c if c.isprintable() else "?" for c in name)


def _noted(house: House, result: Published) -> Published:
    """In the log of feeds, unless it was written there with its bytes, or message by message."""
    if not result.noted:
        became = feeds.Became(result.outcome, result.documents, (result.reason,) if result.reason else ())
        with house.storage.begin() as unit:
            feeds.write(unit, feeds.new_item(house, result.kind, result.path.name), None, became)
    return result


def note_unread(house: House, path: Path, reason: str) -> Published:
    """A file that nobody could finish reading: in the log of feeds as refused."""
    try:
        kind = file_kind(path) if path.is_file() else "unknown"
    except OSError:
        kind = "unknown"
    return _noted(house, Published(path, kind, "refused", reason=reason))


def file_kind(file: Path) -> str:
    """What it is, by its first bytes. Raises OSError."""
    if not is_plain(file):
        return "link or device"
    with file.open("rb") as opened:
        return kind_of(str(file), opened.read(HEAD))


def _document_of(sidecar: Path) -> Path | None:
    documents = (sidecar.with_suffix(ending) for ending in (".pdf", ".txt"))
    return next((document for document in documents if document.is_file()), None)


def _one_file(house: House, file: Path, kind: str, who: str) -> Published:
    """One insurance file or one document; a fault in it refuses it, never the next one."""
    try:
        limit = _limit_of(house, kind)
        if file.stat().st_size > limit:
            raise TooLarge("file", limit=limit)
        if kind == "insurance":
            return _insurance_file(house, file, who)
        if kind == "document":
            return _document(house, file, who)
        if kind == "hl7":
            return _hl7_file(house, file)
        if kind == "cda":
            return _clinical_document(house, file, who)
    except StorageUnavailable:
        raise
    except (RegistryError, ConsentError) as refusal:
        return Published(file, kind, "refused", reason=str(refusal))
    except OSError as error:
        return Published(file, "unknown", "refused", reason=f"cannot be read: {error.strerror}")
    if kind == "unknown" and not file.stat().st_size:
        return Published(file, kind, "refused", reason="the file is empty")
    reasons = {
        "sidecar": "the document that it describes is not beside it",
        "fhir": "post it to the FHIR door instead",
        "packed": "packed (zip, gzip or alike); nothing is unpacked here, put the files themselves here",
        "link or device": "a link, a pipe or a device; put the file itself here",
    }
    return Published(file, kind, "refused", reason=reasons.get(kind, "not a kind of file that can be published"))


def _limit_of(house: House, kind: str) -> int:
    """What is read whole has a lower limit than what flows."""
    limits = house.settings.limits
    return limits.document_body if kind == "document" else limits.file_body


def _insurance_file(house: House, file: Path, who: str) -> Published:
    """Each dossier of the file is a submission of its own; one that is refused does not stop the others."""
    with file.open("rb") as opened:
        kept = feeds.keep_file(house, iter(partial(opened.read, PIECE), b""))
        item = feeds.new_item(house, feeds.INSURANCE, file.name, kept)
        done = insurance.publish_file(house, feeds.original(house, item), publisher(house, who))
    with house.storage.begin() as unit:
        feeds.write(unit, item, kept, done.became)
    return Published(
        file,
        "insurance",
        done.outcome,
        documents=done.documents,
        warnings=done.warnings,
        reason=_few(done.refused, done.refusals),
        noted=True,
    )


def _clinical_document(house: House, file: Path, who: str) -> Published:
    if file.stat().st_size > MAX_CDA_BYTES:
        raise TooLarge("clinical document", limit=MAX_CDA_BYTES)
    data = file.read_bytes()
    kept = feeds.keep(house, data)
    became = clinical_document(house, data, publisher(house, who))
    with house.storage.begin() as unit:
        feeds.write(unit, feeds.new_item(house, feeds.CDA, file.name, kept), kept, became)
    return Published(
        file,
        "cda",
        became.outcome,
        documents=became.documents,
        warnings=list(became.notes),
        reason=_few(became.reasons),
        noted=True,
    )


def clinical_document(house: House, data: bytes, caller: Caller) -> feeds.Became:
    """One CDA document; what is wrong with it becomes the reason."""
    settings = house.settings
    try:
        read = read_cda(data, patient_id_system=settings.patient_id_system, home=settings.home_community_id)
        provided = publish(Act(house, caller, "publish"), ProvideSubmission(read))
    except StorageUnavailable:
        raise
    except (RegistryError, ConsentError) as refusal:
        return feeds.Became(REFUSED, reasons=(str(refusal),))
    return feeds.Became(provided.outcome, len(provided.documents), notes=provided.warnings)


def _submit(house: House, submission: Submission, who: str, result: Published) -> str:
    act = Act(house, publisher(house, who), "publish")
    provided = publish(act, ProvideSubmission(submission))
    result.documents += len(provided.documents)
    result.warnings += provided.warnings
    return provided.outcome


def _hl7_file(house: House, file: Path) -> Published:
    """The messages of a file, in order, as if they had come over the network; a refused one does not stop the rest."""
    if file.stat().st_size > HL7_FILE:
        raise TooLarge("file", limit=HL7_FILE)
    result = Published(file, "hl7", "unchanged", files=0, noted=True)
    refused = []
    messages = iter_messages(file.read_bytes())
    groups = iter(lambda: list(islice(messages, HL7_TOGETHER)), [])
    for handled in (one for group in groups for one in hl7v2.handle_together(house, group)):
        result.files += 1
        result.warnings += handled.notes
        if handled.verdict.transient:
            raise StorageUnavailable("file of messages", handled.verdict.text)  # it stays, and is read again
        if handled.verdict.code != "AA":
            refused.append(f"message {result.files}: {handled.verdict.location} {handled.verdict.text}")
        elif handled.commands and not handled.again:
            result.outcome = "stored"
    if refused or not result.files:
        result.outcome = "refused"
        result.reason = _few(refused) if refused else "no message was found in it"
    return result


def _few(reasons: Sequence[str], count: int = 0) -> str:
    """The first five, and how many more there are."""
    more = max(count, len(reasons)) - 5
    return "; ".join(reasons[:5]) + (f"; and {more} more" if more > 0 else "")


def _document(house: House, file: Path, who: str) -> Published:
    sidecar = file.with_suffix(".json")
    if not sidecar.is_file() or not is_plain(sidecar):
        return Published(file, "document", "refused", reason=f"its sidecar {sidecar.name} is not beside it")
    if sidecar.stat().st_size > LARGEST_SIDECAR:
        raise TooLarge("sidecar", limit=LARGEST_SIDECAR)
    settings = house.settings
    described = read_sidecar(
        file.read_bytes(),
        sidecar.read_bytes(),
        patient_id_system=settings.patient_id_system,
        home=settings.home_community_id,
    )
    result = Published(file, "document", "stored", warnings=list(described.warnings))
    result.outcome = _submit(house, described.submission, who, result)
    return result


def _instances(house: House, files: Sequence[Path], who: str) -> Published:
    """DICOM files that lie together; each is read, and each failure is named by its file."""
    result = Published(
        files[0].parent if len(files) > 1 else files[0], "dicom", "unchanged", files=len(files), noted=True
    )
    read: list[tuple[ReadInstance, Content]] = []
    names: dict[str, Path] = {}
    refused: list[str] = []
    for file in files:
        try:
            size = file.stat().st_size
            with file.open("rb") as opened:
                head = missing_head(opened)
                own = house.settings.patient_id_system
                instance = read_instance(opened, size=size, own_issuer=own, head=head)
        except (RegistryError, OSError) as refusal:
            text = f"cannot be read: {refusal.strerror}" if isinstance(refusal, OSError) else str(refusal)
            refused.append(f"{printable(file.name)}: {text}")
            continue
        whole = FilePart(str(file), 0, size)
        read.append((instance, Headed(head, whole) if head else whole))
        names[instance.instance.sop_instance_uid] = file
    act = Act(house, publisher(house, who), "publish")
    note_refused(house, feed_of(act.transaction, act.caller), refused, study=printable(result.path.name))
    if read:
        stored = store_instances(act, StoreInstances(StudySubmission(tuple(read))))
        _count(result, stored)
        refused += [f"{printable(names[f.sop_instance_uid].name)}: {f.text}" for f in stored.failed]
        result.warnings += [
            f"{printable(names[f.sop_instance_uid].name)}: kept aside for a registrar, {f.text}" for f in stored.aside
        ]
        result.outcome = "stored" if stored.aside else result.outcome
    if refused:
        result.outcome = "refused" if not result.instances else result.outcome
        result.reason = _few(refused)
    return result


def _count(result: Published, stored: Stored) -> None:
    result.studies = len(stored.studies)
    result.instances = len(stored.stored)
    result.warnings += stored.warnings
    if len(stored.stored) > stored.unchanged:
        result.outcome = "stored"
