"""A clinical document (HL7 CDA R2) as it is published: the XML itself, and beside it what a person can read.

XDS-SD wraps a file: the file is given out. XDS-MS and other structured documents are read section by section as text.
The document's set (setId) names it, so a later version replaces the earlier one.

Source: HL7 CDA R2 (urn:hl7-org:v3); IHE ITI TF-3: 5.2 (XDS-SD), IHE PCC TF-2: 6.3.1 (XDS-MS)
"""

from __future__ import annotations

import binascii
import json
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha1
from uuid import UUID, uuid5

from adapters.hl7v2.values import Moment, read_birth_date, read_moment
from adapters.xml_door import XmlElement, XmlRefused, parse_xml_bytes
from registry.coded import CONFIDENTIALITY, FORMAT_CODE, ICD10, IMAGING_REPORT, LOINC, MIME_TYPE_SUFFICIENT, CodedValue
from registry.documents import Attachment, Author, DocumentEntry
from registry.errors import InvalidValue, Unreadable
from registry.identifiers import HomeCommunityId, PatientIdentifier, is_oid
from registry.people import Demographics, Gender, HumanName
from registry.submissions import Bytes, PatientMention, Submission, SubmittedDocument

CDA = "clinical document"
V3 = "urn:hl7-org:v3"
MAX_BYTES = 32 * 1024 * 1024
MOST_NESTED = 8
XML_TYPE, TEXT_TYPE = "text/xml", "text/plain; charset=utf-8"

_NAMES = UUID("7f8e2b80-3c0c-5d2b-9e0e-5a3c1d9b7a21")
_SYSTEMS = {
    "2.16.840.1.113883.6.1": LOINC,
    "2.16.840.1.113883.6.3": ICD10,
    "2.16.840.1.113883.6.90": ICD10,
    "2.16.840.1.113883.6.96": "http://snomed.info/sct",
}
_GENDERS: dict[str, Gender] = {"M": "male", "F": "female", "UN": "other"}
_SCANNED = "1.3.6.1.4.1.19376.1.2.20"
_SUMMARIES = frozenset(f"1.3.6.1.4.1.19376.1.5.3.1.1.{number}" for number in (2, 3, 4))
_FORMATS = {
    "application/pdf": CodedValue("urn:ihe:iti:xds-sd:pdf:2008", FORMAT_CODE, "XDS-SD PDF"),
    "text/plain": CodedValue("urn:ihe:iti:xds-sd:text:2008", FORMAT_CODE, "XDS-SD text"),
}
_XDS_MS = CodedValue("urn:ihe:pcc:xds-ms:2007", FORMAT_CODE, "XDS-MS")
_BLOCKS = frozenset({"paragraph", "item", "tr", "caption", "br", "title", "list", "table"})


@dataclass(frozen=True, slots=True)
class _Readable:
    """What a person reads instead of the XML."""

    content: bytes
    content_type: str


def read_cda(data: bytes, *, patient_id_system: str, home: HomeCommunityId) -> Submission:
    """Raises Unreadable, or InvalidValue with the element that is wrong."""
    root = _root(data)
    patient = _patient(root, patient_id_system)
    text = "\n\n".join(_sections(root))
    readable = _readable(root, text)
    entry = _entry(root, data, patient, home)
    name = _text_of(root, "setId", "root", "extension") or entry.unique_id
    codes, texts = tuple(_codes(root)), tuple(filter(None, (text, entry.attachment.title)))
    document = SubmittedDocument(entry, Bytes(data), source_key=f"cda:{home}:{name}", texts=texts, codes=codes)
    shown = [document]
    if readable is not None:
        other = _beside(entry, readable)
        shown.append(
            SubmittedDocument(
                other, Bytes(readable.content), source_key=f"cda:{home}:{name}:readable", texts=texts, codes=codes
            )
        )
    return Submission(patient, tuple(shown))


def _root(data: bytes) -> XmlElement:
    try:
        root = parse_xml_bytes(data, max_bytes=MAX_BYTES)
    except XmlRefused as refused:
        raise Unreadable(CDA, str(refused)) from None
    if root.tag != f"{{{V3}}}ClinicalDocument":
        raise Unreadable(CDA, "expected ClinicalDocument of urn:hl7-org:v3, found another element")
    return root


def _find(element: XmlElement | None, path: str) -> XmlElement | None:
    return None if element is None else element.find("/".join(f"{{{V3}}}{step}" for step in path.split("/")))


def _all(element: XmlElement, path: str) -> list[XmlElement]:
    found: list[XmlElement] = element.findall("/".join(f"{{{V3}}}{step}" for step in path.split("/")))
    return found


def _text_of(element: XmlElement | None, path: str, *attributes: str) -> str:
    """The attributes of an element below, joined by a circumflex; without attributes, its text."""
    found = _find(element, path)
    if found is None:
        return ""
    if attributes:
        return "^".join(filter(None, (found.get(name, "") for name in attributes)))
    return " ".join("".join(found.itertext()).split())


# ---- whose it is ----


def _patient(root: XmlElement, patient_id_system: str) -> PatientMention:
    roles = _all(root, "recordTarget/patientRole")
    if len(roles) != 1:
        raise InvalidValue("recordTarget", expected="exactly one patient")
    role = roles[0]
    own = [each for each in _all(role, "id") if f"urn:oid:{each.get('root')}" == patient_id_system]
    if len(own) != 1 or not own[0].get("extension"):
        raise InvalidValue("recordTarget/patientRole/id", expected="one number of this hospital (root: its OID)")
    person = _find(role, "patient")
    return PatientMention(PatientIdentifier(patient_id_system, own[0].get("extension")), (), _demographics(person))


def _demographics(person: XmlElement | None) -> Demographics:
    code = _text_of(person, "administrativeGenderCode", "code")
    name = _find(person, "name")
    return Demographics(
        name=_name(name) if name is not None else None,
        birth_date=read_birth_date(_text_of(person, "birthTime", "value")),
        gender=_GENDERS.get(code, "unknown"),
    )


def _name(element: XmlElement) -> HumanName | None:
    family = _text_of(element, "family")
    given = " ".join(" ".join("".join(each.itertext()).split()) for each in _all(element, "given"))
    text = f"{family} {given}".strip() or " ".join("".join(element.itertext()).split())
    if not text or len(text) > 255:
        return None
    return HumanName(text, family, given) if family and given else HumanName.of(text)


# ---- what it is ----


def _entry(root: XmlElement, data: bytes, patient: PatientMention, home: HomeCommunityId) -> DocumentEntry:
    unique_id = _unique_id(root)
    type_ = _coded(_find(root, "code"))
    if type_ is None:
        raise InvalidValue("ClinicalDocument/code", expected="what kind of document it is")
    written = _moment(root, "effectiveTime")
    began, ended = _service_times(root)
    label = _text_of(root, "confidentialityCode", "code")
    digest = sha1(data, usedforsecurity=False).hexdigest()
    return DocumentEntry(
        id=str(_named(home, unique_id, digest)),
        entry_uuid=f"urn:uuid:{_named(home, unique_id, digest, 'entry')}",
        unique_id=unique_id,
        patient=patient.identifier,
        record_id="",
        attachment=Attachment(
            content_type=XML_TYPE,
            size=len(data),
            hash=digest,
            content_hash="",
            language=_text_of(root, "languageCode", "code") or "vi-VN",
            title=(_text_of(root, "title") or type_.display or "")[:255] or None,
            creation=written.fhir if written else None,
        ),
        type=type_,
        categories=(IMAGING_REPORT,) if type_.means(IMAGING_REPORT) else (type_,),
        format=_format(root),
        sensitivity=(CodedValue(label, CONFIDENTIALITY),) if label in ("R", "V") else (),
        authors=tuple(_authors(root)),
        date=written.at if written else None,
        start=began,
        stop=ended,
        source_patient=patient.identifier,
        source_demographics=patient.demographics,
        home=home,
    )


def _unique_id(root: XmlElement) -> str:
    element = _find(root, "id")
    oid, extension = ("", "") if element is None else (element.get("root", ""), element.get("extension", ""))
    if not oid:
        raise InvalidValue("ClinicalDocument/id", expected="a root")
    if extension:
        return f"{oid}^{extension}"
    return f"urn:oid:{oid}" if is_oid(oid) else f"urn:uuid:{oid.lower()}"


def _named(home: HomeCommunityId, *parts: str) -> UUID:
    return uuid5(_NAMES, json.dumps([str(home), *parts]))


def _coded(element: XmlElement | None) -> CodedValue | None:
    code = "" if element is None else element.get("code", "")
    if element is None or not code:
        return None
    oid = element.get("codeSystem", "")
    system = _SYSTEMS.get(oid) or (f"urn:oid:{oid}" if is_oid(oid) else None)
    return CodedValue(code, system, element.get("displayName"))


def _codes(root: XmlElement) -> Iterator[CodedValue]:
    """Diagnoses wherever they stand, for the closed lists."""
    for element in root.iter(f"{{{V3}}}value", f"{{{V3}}}code", f"{{{V3}}}translation"):
        found = _coded(element)
        if found is not None and found.system == ICD10:
            yield found


def _moment(element: XmlElement | None, path: str) -> Moment | None:
    return read_moment(_text_of(element, path, "value"))


def _service_times(root: XmlElement) -> tuple[datetime | None, datetime | None]:
    """When what it describes happened: the documented act, else the visit."""
    for path in ("documentationOf/serviceEvent", "componentOf/encompassingEncounter"):
        low, high = (_moment(root, f"{path}/effectiveTime/{end}") for end in ("low", "high"))
        if low or high:
            return (low.at if low and low.is_exact else None, high.at if high and high.is_exact else None)
    return None, None


def _authors(root: XmlElement) -> Iterator[Author]:
    for each in _all(root, "author/assignedAuthor"):
        name = _find(each, "assignedPerson/name")
        person = _name(name) if name is not None else None
        institution = _text_of(each, "representedOrganization/name")
        if person or institution:
            yield Author(person=person.text if person else None, institution=institution or None)


def _format(root: XmlElement) -> CodedValue:
    templates = {each.get("root", "") for each in _all(root, "templateId")}
    if _SCANNED in templates:
        body = _find(root, "component/nonXMLBody/text")
        media = "" if body is None else body.get("mediaType", "")
        return _FORMATS.get(media, MIME_TYPE_SUFFICIENT)
    return _XDS_MS if templates & _SUMMARIES else MIME_TYPE_SUFFICIENT


# ---- what a person reads ----


def _readable(root: XmlElement, text: str) -> _Readable | None:
    body = _find(root, "component/nonXMLBody/text")
    if body is not None and body.get("representation") == "B64":
        try:
            content = b64decode("".join("".join(body.itertext()).split()), validate=True)
        except (binascii.Error, ValueError):
            raise Unreadable(CDA, "nonXMLBody: expected Base64") from None
        if not content.startswith(b"%PDF-"):
            raise Unreadable(CDA, "nonXMLBody: expected a PDF")
        return _Readable(content, "application/pdf")
    if not text:
        return None
    title = _text_of(root, "title")
    return _Readable((f"{title.upper()}\n\n{text}\n" if title else f"{text}\n").encode(), TEXT_TYPE)


def _sections(root: XmlElement) -> Iterator[str]:
    body = _find(root, "component/nonXMLBody/text")
    if body is not None and body.get("representation") != "B64":
        yield _plain(body)
    for section in _all(root, "component/structuredBody/component/section"):
        yield from _section(section, MOST_NESTED)


def _section(section: XmlElement, depth: int) -> Iterator[str]:
    told = _find(section, "text")
    text = _plain(told) if told is not None else ""
    title = _text_of(section, "title")
    if text or title:
        yield "\n".join(filter(None, (title.upper(), text)))
    if depth:
        for inner in _all(section, "component/section"):
            yield from _section(inner, depth - 1)


def _plain(element: XmlElement) -> str:
    """The narrative as lines: a paragraph, an item and a row are one each."""
    parts: list[str] = []
    for event in element.iter():
        name = event.tag.rpartition("}")[2]
        if name in _BLOCKS and parts:
            parts.append("\n")
        if name in ("td", "th") and parts and parts[-1] != "\n":
            parts.append(" | ")
        parts += [event.text or "", event.tail or "" if event is not element else ""]
    lines = (" ".join(line.split()).removeprefix("| ") for line in "".join(parts).split("\n"))
    return "\n".join(line for line in lines if line)


def _beside(entry: DocumentEntry, readable: _Readable) -> DocumentEntry:
    """The same document in the form that a person opens."""
    digest = sha1(readable.content, usedforsecurity=False).hexdigest()
    unique = uuid5(_NAMES, json.dumps([entry.unique_id, digest, "readable"]))
    return replace(
        entry,
        id=str(unique),
        entry_uuid=f"urn:uuid:{uuid5(unique, 'entry')}",
        unique_id=f"urn:uuid:{unique}",
        attachment=replace(
            entry.attachment, content_type=readable.content_type, size=len(readable.content), hash=digest
        ),
        format=MIME_TYPE_SUFFICIENT,
    )
