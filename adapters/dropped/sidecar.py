"""A document (PDF or text) with a note beside it that says whose it is: `X.pdf` or `X.txt` with `X.json`.

    {"patient": {"id": "…", "name": "…", "birthDate": "1964-03-18", "gender": "female",
                 "nationalId": "…", "insuranceNumber": "…"},
     "type": {"system": "http://loinc.org", "code": "24725-4", "display": "Head CT"},
     "title": "…", "created": "2026-11-02T09:30:00+07:00", "performed": "2026-11-02T08:45:00+07:00",
     "serviceCode": "18.0149.0040", "accessionNumber": "…", "author": "…", "uniqueId": "urn:uuid:…"}

Only `patient.id` and `type` must be there. Names that are not known are kept and said; a value of the wrong kind is
refused with its JSON pointer, since a note that is half understood may put a document on the wrong patient.
Source: an agreement of this project; no standard describes it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha1, sha256
from typing import Any, NoReturn
from unicodedata import normalize
from uuid import UUID, uuid5

from registry.coded import DCM, FORMAT_CODE, IMAGING_REPORT, LOINC, MIME_TYPE_SUFFICIENT, SERVICE_CODE, CodedValue
from registry.documents import Attachment, Author, DocumentEntry
from registry.errors import InvalidValue, TooLarge, Unreadable
from registry.examinations import Service, by_service_code
from registry.identifiers import (
    ACCESSION,
    INSURANCE_NUMBER,
    HomeCommunityId,
    PatientIdentifier,
    check_unique_id,
    identity_number,
)
from registry.identifiers import insurance_last_ten as card_number
from registry.people import BirthDate, Demographics, Gender, HumanName
from registry.submissions import Bytes, PatientMention, Submission, SubmittedDocument

MAX_SIDECAR_BYTES = 64 * 1024
MAX_TEXT = 255
SIDECAR = "sidecar"

_NAMES = UUID("3d0a9a52-55a1-5f0e-8c39-0d1f8f0a7c44")
_KNOWN = frozenset(
    {"patient", "type", "title", "created", "performed", "serviceCode", "accessionNumber", "author", "uniqueId"}
)
_KNOWN_OF_PATIENT = frozenset({"id", "name", "birthDate", "gender", "nationalId", "insuranceNumber"})
_KNOWN_OF_TYPE = frozenset({"system", "code", "display"})
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_GENDERS: dict[str, Gender] = {"male": "male", "female": "female"}
_MODALITIES = {"CT": "Computed Tomography", "MR": "Magnetic Resonance"}
_PDF = CodedValue("urn:ihe:rad:PDF", FORMAT_CODE, "Radiology XDS-I PDF")
_TEXT = CodedValue("urn:ihe:rad:TEXT", FORMAT_CODE, "Radiology XDS-I Text")


# names from old systems hold bytes of TCVN3 read as Latin-1, also those from 0x80 to 0x9F: odd, but somebody's name
_LINE_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class DescribedDocument:
    """A document ready to be published, what a person should know of it, and what the note said besides."""

    submission: Submission
    warnings: tuple[str, ...] = ()
    unknown: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Bytes:
    """The document itself. `text` is empty for a PDF, whose words nobody here can read."""

    value: bytes
    content_type: str
    text: str = ""
    warning: str = ""


def read_sidecar(
    document: bytes, sidecar: bytes, *, patient_id_system: str, home: HomeCommunityId
) -> DescribedDocument:
    """Raises Unreadable where the bytes are not JSON, PDF or text; InvalidValue with a JSON pointer for the rest."""
    note = _Note(_json(sidecar))
    patient = _patient(note.object("patient", required=True), patient_id_system)
    content = _content(document)
    submitted = _document(note, patient, content, home)
    warnings = (*(f"/{name}: not known; kept unread" for name in sorted(_shown(note))), content.warning)
    return DescribedDocument(Submission(patient, (submitted,)), tuple(filter(None, warnings)), note.unknown)


def _json(sidecar: bytes) -> dict[str, Any]:
    if len(sidecar) > MAX_SIDECAR_BYTES:
        raise TooLarge(SIDECAR, limit=MAX_SIDECAR_BYTES)
    try:
        found = json.loads(sidecar.decode("utf-8-sig"), object_pairs_hook=_once, parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise Unreadable(SIDECAR, "expected UTF-8") from None
    except json.JSONDecodeError as error:
        raise Unreadable(SIDECAR, f"line {error.lineno}, column {error.colno}: not JSON") from None
    except (ValueError, RecursionError):
        raise Unreadable(SIDECAR, "not JSON, or nested too deep, or a number without end") from None
    if not isinstance(found, dict):
        raise Unreadable(SIDECAR, "expected an object")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        # Two patient ids in one note: whichever is taken may be the wrong one.
        raise Unreadable(SIDECAR, "a name stands twice in one object")
    return found


def _no_constant(_: str) -> NoReturn:
    raise ValueError


class _Note:
    """An object of the note, read by name; complains with the pointer of what it was asked for."""

    def __init__(self, value: Mapping[str, Any], pointer: str = "", known: frozenset[str] = _KNOWN) -> None:
        self._value, self._pointer = value, pointer
        self.unknown: dict[str, Any] = {name: each for name, each in value.items() if name not in known}
        for name, inner in (("patient", _KNOWN_OF_PATIENT), ("type", _KNOWN_OF_TYPE)):
            told = value.get(name)
            if not pointer and isinstance(told, dict):
                self.unknown |= {f"{name}/{each}": told[each] for each in told if each not in inner}

    def object(self, name: str, *, required: bool = False) -> _Note:
        value = self._value.get(name)
        if not isinstance(value, dict) and (required or value is not None):
            raise self.wrong(name, "an object")
        return _Note(value or {}, f"{self._pointer}/{name}", frozenset())

    def text(self, name: str, *, required: bool = False) -> str:
        value = self._value.get(name)
        if value is None and not required:
            return ""
        if not isinstance(value, str) or not value.strip() or len(value) > MAX_TEXT or _LINE_CONTROL.search(value):
            raise self.wrong(name, f"1 to {MAX_TEXT} characters on one line")
        return value.strip()

    def moment(self, name: str) -> datetime | None:
        value = self.text(name)
        if not value:
            return None
        try:
            return datetime.fromisoformat(_MOMENT.fullmatch(value)[0])  # type: ignore[index]
        except (ValueError, TypeError):
            raise self.wrong(name, "a time that exists, with its zone, as 2026-11-02T09:30:00+07:00") from None

    def wrong(self, name: str, expected: str) -> InvalidValue:
        return InvalidValue(f"{self._pointer}/{name}", expected=expected)


def _shown(note: _Note) -> list[str]:
    plain = [name for name in note.unknown if re.fullmatch(r"[\w/-]{1,60}", name)]
    return plain if len(plain) == len(note.unknown) else [*plain, "(a name of unusual form)"]


def _patient(note: _Note, patient_id_system: str) -> PatientMention:
    identifier = PatientIdentifier(patient_id_system, note.text("id", required=True))
    numbers = []
    if national := note.text("nationalId"):
        number = identity_number(national)
        if number is None:
            raise note.wrong("nationalId", "12 digits, an old card of 9, or a passport")
        numbers.append(number)
    if card := note.text("insuranceNumber"):
        if card_number(card) is None:
            raise note.wrong("insuranceNumber", "a card of 15 characters or its last ten digits")
        numbers.append(PatientIdentifier(INSURANCE_NUMBER, card))
    return PatientMention(identifier, tuple(numbers), _demographics(note))


def _demographics(note: _Note) -> Demographics:
    name, birth, gender = note.text("name"), note.text("birthDate"), note.text("gender")
    if gender and gender not in _GENDERS:
        raise note.wrong("gender", "male or female")
    try:
        birth_date = BirthDate(birth) if birth else None
    except InvalidValue as error:
        raise note.wrong("birthDate", error.expected) from None
    return Demographics(HumanName.of(name) if name else None, birth_date, _GENDERS.get(gender, "unknown"))


def _content(document: bytes) -> _Bytes:
    """A PDF as it is, a text as UTF-8 whatever it came in."""
    if document.startswith(b"%PDF-"):
        return _Bytes(document, "application/pdf")
    if not document.strip():
        raise Unreadable("document", "expected a PDF or a text, found nothing")
    text, warning = _text(document)
    if any(ord(letter) < 32 and letter not in "\t\n\r\f" for letter in text):
        raise Unreadable("document", "expected %PDF- or text, found control characters")
    return _Bytes(text.encode("utf-8"), "text/plain; charset=utf-8", text, warning)


def _text(document: bytes) -> tuple[str, str]:
    try:
        return document.decode("utf-8-sig"), ""
    except UnicodeDecodeError:
        pass
    try:
        text = normalize("NFC", document.decode("cp1258"))
    except UnicodeDecodeError:
        raise Unreadable("document", "expected %PDF-, UTF-8 or windows-1258 text, found neither") from None
    return text, "the text is not UTF-8; it was read as windows-1258 and is kept as UTF-8"


def _document(note: _Note, patient: PatientMention, content: _Bytes, home: HomeCommunityId) -> SubmittedDocument:
    service_code = note.text("serviceCode")
    service = by_service_code(service_code) if service_code else None
    own_id = _own_id(note)
    unique_id = own_id or _derived_id(patient, content, home)
    performed, created = note.moment("performed"), note.moment("created")
    told = note.object("type", required=True)
    type_ = CodedValue(told.text("code", required=True), told.text("system") or LOINC, told.text("display") or None)
    accession, author = note.text("accessionNumber"), note.text("author")
    entry = DocumentEntry(
        id=str(uuid5(_NAMES, unique_id)),
        entry_uuid=f"urn:uuid:{uuid5(_NAMES, f'entry {unique_id}')}",
        unique_id=unique_id,
        patient=patient.identifier,
        record_id="",
        attachment=_attachment(content, note.text("title") or None, created),
        type=type_,
        categories=(IMAGING_REPORT,) if service or type_.means(IMAGING_REPORT) else (type_,),
        format=_format(content, imaging=service is not None or type_.means(IMAGING_REPORT)),
        events=_events(service_code, service),
        authors=(Author(person=author),) if author else (),
        date=created,
        start=performed,
        references=(PatientIdentifier(ACCESSION, accession),) if accession else (),
        source_patient=patient.identifier,
        source_demographics=patient.demographics,
        home=home,
        examination=service.examination.key if service else None,
    )
    codes = (CodedValue(service_code, SERVICE_CODE),) if service_code else ()
    texts = tuple(filter(None, (content.text, entry.attachment.title)))
    return SubmittedDocument(
        entry, Bytes(content.value), source_key=f"sidecar:{own_id}" if own_id else None, texts=texts, codes=codes
    )


def _own_id(note: _Note) -> str:
    own_id = note.text("uniqueId")
    try:
        return check_unique_id(own_id) if own_id else ""
    except InvalidValue as error:
        raise note.wrong("uniqueId", error.expected) from None


def _derived_id(patient: PatientMention, content: _Bytes, home: HomeCommunityId) -> str:
    place = [str(home), patient.identifier.system, patient.identifier.value, sha256(content.value).hexdigest()]
    return f"urn:uuid:{uuid5(_NAMES, json.dumps(place, ensure_ascii=False))}"


def _attachment(content: _Bytes, title: str | None, created: datetime | None) -> Attachment:
    return Attachment(
        content_type=content.content_type,
        size=len(content.value),
        hash=sha1(content.value).hexdigest(),  # noqa: S324 (the hash that IHE prescribes)
        content_hash="",
        language="vi-VN",
        title=title,
        creation=created.isoformat() if created else None,
    )


def _format(content: _Bytes, *, imaging: bool) -> CodedValue:
    if not imaging:
        return MIME_TYPE_SUFFICIENT
    return _TEXT if content.text else _PDF


def _events(code: str, service: Service | None) -> tuple[CodedValue, ...]:
    if not code:
        return ()
    if service is None:
        return (CodedValue(code, SERVICE_CODE),)
    modality = service.examination.modality
    return (CodedValue(modality, DCM, _MODALITIES.get(modality)), CodedValue(code, SERVICE_CODE, service.name))
