"""One Part-10 file as the index needs it: of whom, of which study, what it shows. Pixels are passed over.

A file is walked to its last byte, so that a cut file, a length that lies or an executable in disguise is refused with
a reason; the reason never holds content. Unique identifiers are values here and never become paths.

Sources: DICOM PS3.10 section 7 (file), PS3.3 C.7 (patient, study, series), C.12.1 (SOP common).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from adapters.dicom import header_values as values
from adapters.dicom.dictionary import DEFLATED, EXPLICIT_BIG, IMPLICIT_LITTLE, is_image
from adapters.dicom.elements import PIXELS, DataSet, Keep, Walker
from adapters.dicom.errors import OtherInstance
from adapters.dicom.sources import WHAT, FileSource, Source, inflated
from adapters.dicom.texts import UNDECLARED, Charset
from registry.errors import InvalidValue, Unreadable
from registry.examinations import from_header
from registry.identifiers import PatientIdentifier, check_uid
from registry.local_time import VIET_NAM
from registry.studies import Instance, ReadInstance, Series, Study

TO_BE_FILLED = "?"  # the study noun insists on a record of this hospital; the publish flow names it

_DISGUISES = (b"MZ", b"\x7fELF", b"#!", b"PK", b"%PDF", b"\xca\xfe\xba\xbe")
_MACH_O = frozenset(
    {b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe", b"\xbe\xba\xfe\xca"}
)
_TRANSFER_SYNTAX, _MEDIA_SOP_INSTANCE = 0x00020010, 0x00020003
_SOP_CLASS, _SOP_INSTANCE = 0x00080016, 0x00080018
_STUDY, _SERIES = 0x0020000D, 0x0020000E
_ROWS, _COLUMNS = 0x00280010, 0x00280011
_HAS_PIXELS = PIXELS | {0x00287FE0}  # or the address where they are
_LONGEST_WANTED = 64 * 1024


@dataclass(frozen=True, slots=True)
class Header:
    """The elements of a file as far as they were wanted, with the charset in force.

    pixels  the tag of the pixels, where reading ended before them
    """

    transfer_syntax: str
    dataset: DataSet
    charset: Charset
    pixels: int | None = None


def read_instance(
    content: str | Path | BinaryIO,
    *,
    size: int,
    own_issuer: str,
    offset: int = 0,
    timezone: tzinfo = VIET_NAM,
    head: bytes = b"",
) -> ReadInstance:
    """What the file of `size` bytes at `offset` says; raises Unreadable and nothing else for what it cannot read.

    own_issuer  assigning authority of this hospital's own patient numbers: meant where the header names no issuer
    timezone    the hospital's clock, for headers that do not say theirs
    head        what is put before the file (`headless.py`), and counts as a part of it
    """
    if isinstance(content, str | Path):
        with Path(content).open("rb") as file:
            return read_instance(file, size=size, own_issuer=own_issuer, offset=offset, timezone=timezone, head=head)
    source: Source = FileSource(content, offset, size)
    if head:
        source = Source(chain([head], source.rest()), size + len(head))
    header = _read(source, _wanted, _wanted_inside, Walker.whole)
    try:
        return _instance(header, size=size + len(head), own_issuer=own_issuer, zone=timezone)
    except InvalidValue as error:
        raise Unreadable(WHAT, f"{error.element}: expected {error.expected}") from error


def read_header_values(
    dataset: DataSet, charset: Charset, *, transfer_syntax: str, own_issuer: str, timezone: tzinfo = VIET_NAM
) -> ReadInstance:
    """What an archive says of an object that lies there; its size is not known. Raises Unreadable."""
    header = Header(transfer_syntax, dataset, charset)
    try:
        return _instance(header, size=0, own_issuer=own_issuer, zone=timezone)
    except InvalidValue as error:
        raise Unreadable(WHAT, f"{error.element}: expected {error.expected}") from error


def head_of(chunks: Iterator[bytes]) -> tuple[str, str, Iterator[bytes]]:
    """SOP instance UID and transfer syntax of a file, and the whole file again."""
    held: list[bytes] = []

    def noted() -> Iterator[bytes]:
        for chunk in chunks:
            held.append(chunk)
            yield chunk

    source = Source(noted())
    meta = _meta(source)
    uid, syntax = (values.uid(meta.bytes(tag)) for tag in (_MEDIA_SOP_INSTANCE, _TRANSFER_SYNTAX))
    if not uid:  # the file's own header need not say it
        walker = _walker(source, syntax, keep=lambda tag, vr, length: tag == _SOP_INSTANCE, nested=_nothing)
        uid = values.uid(walker.until(lambda tag: tag > _SOP_INSTANCE).bytes(_SOP_INSTANCE))
    return uid, syntax, chain(held, chunks)


def _nothing(tag: int, vr: str, length: int) -> bool:
    return False


def _walker(source: Source, syntax: str, *, keep: Keep, nested: Keep) -> Walker:
    """One pass over the data set that comes next in `source`, as its transfer syntax writes it."""
    source = inflated(source) if syntax == DEFLATED else source
    order = ">" if syntax == EXPLICIT_BIG else "<"
    return Walker(source, implicit=syntax == IMPLICIT_LITTLE, order=order, keep=keep, nested=nested)


def read_header(chunks: Iterator[bytes], keep: Keep) -> Header:
    """The elements before the pixels that `keep` wants, of a stored file; no more than these is drawn from `chunks`.

    Raises Unreadable.
    """
    return _read(Source(chunks), keep, keep, lambda walker: walker.until(PIXELS.__contains__))


def file_meta(beginning: bytes) -> tuple[str, str]:
    """Transfer syntax and SOP Instance UID as the head of a file announces them; raises Unreadable."""
    group = _meta(Source(iter([beginning])))
    return values.uid(group.bytes(_TRANSFER_SYNTAX)), values.uid(group.bytes(_MEDIA_SOP_INSTANCE))


def open_data_set(chunks: Iterator[bytes]) -> tuple[str, Source]:
    """The transfer syntax of a stored file, and its bytes from the data set on. Raises Unreadable."""
    source = Source(chunks)
    return values.uid(_meta(source).bytes(_TRANSFER_SYNTAX)), source


def _meta(source: Source) -> DataSet:
    """The file's own header, which tells how the rest is written."""
    _check_preamble(source)
    walker = Walker(source, implicit=False, order="<", keep=_all_of_meta, nested=_all_of_meta)
    return walker.until(lambda tag: tag >> 16 != 0x0002)


def _read(source: Source, keep: Keep, nested: Keep, walk: Callable[[Walker], DataSet]) -> Header:
    group = _meta(source)
    syntax = values.uid(group.bytes(_TRANSFER_SYNTAX))
    try:
        check_uid(syntax, "Transfer Syntax UID")
    except InvalidValue as error:
        raise Unreadable(WHAT, "does not name its transfer syntax") from error
    walker = _walker(source, syntax, keep=keep, nested=nested)
    dataset = walk(walker)
    pixels = None if walker.source.at_end else walker.next_tag()
    announced = values.uid(group.bytes(_MEDIA_SOP_INSTANCE))
    if announced and _SOP_INSTANCE in dataset.elements and announced != values.uid(dataset.bytes(_SOP_INSTANCE)):
        raise OtherInstance
    return Header(syntax, dataset, UNDECLARED.of(dataset), pixels)


def _check_preamble(source: Source) -> None:
    """A preamble may be anything but the beginning of a program or of a document that a desktop would open."""
    start = source.peek(132)
    if start[128:132] != b"DICM":
        raise Unreadable(WHAT, "DICM does not stand at byte 128")
    if start.startswith(_DISGUISES) or start[:4] in _MACH_O:
        raise Unreadable(WHAT, "the preamble is the beginning of a program or of another kind of file")
    source.skip(132)


def _all_of_meta(tag: int, vr: str, length: int) -> bool:
    return length <= 1024


def _wanted(tag: int, vr: str, length: int) -> bool:
    return tag in values.wanted() and (vr == "SQ" or length <= _LONGEST_WANTED)


def _wanted_inside(tag: int, vr: str, length: int) -> bool:
    return vr == "SQ" or length <= 1024


def _instance(header: Header, *, size: int, own_issuer: str, zone: tzinfo) -> ReadInstance:
    read = values.HeaderValues(header.dataset, header.charset)
    study_uid = check_uid(read.uid(_STUDY), "Study Instance UID")
    patient = values.patient(read, own_issuer)
    series = _series(read, zone)
    return ReadInstance(
        patient=patient,
        demographics=values.demographics(read),
        study=_study(read, study_uid, patient or PatientIdentifier(own_issuer, f"unidentified:{study_uid}"), zone),
        series=series,
        instance=_object(read, header, size),
        numbers=values.numbers(read),
    )


def _study(read: values.HeaderValues, study_uid: str, patient: PatientIdentifier, zone: tzinfo) -> Study:
    examination = from_header(
        read.text("Modality"),
        *(read.text(name) for name in ("BodyPartExamined", "StudyDescription", "ProtocolName", "SeriesDescription")),
        contrast_agent=read.text("ContrastBolusAgent"),
    )
    return Study(
        id="",
        study_instance_uid=study_uid,
        patient=patient,
        record_id=TO_BE_FILLED,
        started=_moment(read, "Study", zone),
        accession_number=read.text("AccessionNumber") or None,
        description=read.text("StudyDescription") or None,
        referrer=values.written_name(read.text("ReferringPhysicianName")) or None,
        institution=read.text("InstitutionName") or None,
        procedure=values.code(read, "ProcedureCodeSequence") or values.code(read, "RequestedProcedureCodeSequence"),
        examination=examination.key if examination else None,
        extra=values.as_answered(read),
    )


def _series(read: values.HeaderValues, zone: tzinfo) -> Series:
    return Series(
        series_instance_uid=read.uid(_SERIES),
        modality=read.text("Modality")[:16] or "OT",
        number=read.whole("SeriesNumber"),
        description=read.text("SeriesDescription") or None,
        body_part=read.text("BodyPartExamined") or None,
        laterality=read.text("Laterality") or read.text("ImageLaterality") or None,
        started=_moment(read, "Series", zone),
        slice_thickness=read.decimal("SliceThickness"),
        kernel=read.text("ConvolutionKernel") or None,
        contrast_agent=read.text("ContrastBolusAgent") or None,
        dose=read.double("CTDIvol"),
    )


def _object(read: values.HeaderValues, header: Header, size: int) -> Instance:
    rows, sop_class = header.dataset.number(_ROWS), check_uid(read.uid(_SOP_CLASS), "SOP Class UID")
    # a file that was cut between two elements shows only here
    if size and (rows or is_image(sop_class)) and not _HAS_PIXELS & header.dataset.elements.keys():
        raise Unreadable(WHAT, "an image without its pixels: the end of the file is missing")
    return Instance(
        sop_instance_uid=read.uid(_SOP_INSTANCE),
        sop_class_uid=sop_class,
        transfer_syntax=header.transfer_syntax,
        content_hash="",
        size=size,
        number=read.whole("InstanceNumber"),
        frames=max(1, read.whole("NumberOfFrames") or 1),
        rows=rows,
        columns=header.dataset.number(_COLUMNS),
        position=read.place(),
    )


def _moment(read: values.HeaderValues, level: str, zone: tzinfo) -> datetime | None:
    return values.moment(
        read.text(level + "Date"), read.text(level + "Time"), values.offset(read.text("TimezoneOffsetFromUTC")) or zone
    )
