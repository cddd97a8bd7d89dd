"""Documents, submission sets and folders out of registry objects, with the rules that their profile sets for each.

What the registry's nouns do not know is kept beside them as it came (`slots`) and given back by `writing.py`.

Source: IHE ITI TF-3: 4.2.3.2 to 4.2.3.4 (attributes), Table 4.3.1.1-3 (what a source has to send)
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar
from uuid import NAMESPACE_URL, uuid4, uuid5

from adapters.soap import names
from adapters.soap.datatypes import (
    birth_date_of,
    coded,
    dtm_to_fhir,
    is_full_uuid,
    read_cx,
    read_cxi,
    read_dtm,
    read_encounter,
    read_unique_id,
    read_xcn,
    read_xon,
)
from adapters.soap.ebrim import Classification, RimObject
from adapters.soap.errors import MetadataFault
from registry.coded import NORMAL, CodedValue
from registry.documents import Attachment, Author, DocumentEntry, DocumentStatus, Folder, Relation, SubmissionSet
from registry.errors import InvalidValue
from registry.identifiers import HomeCommunityId, PatientIdentifier
from registry.people import Address, Demographics, Gender, HumanName

MOST_METADATA = 256 * 1024
"""Characters of one document's metadata, as over FHIR: each search shows all of it, and an asking hospital reads a few
megabytes of an answer."""

REFERENCES = "urn:ihe:iti:xds:2013:referenceIdList"
NOT_KNOWN_HASH = "0" * 40
_SHA1 = re.compile(r"[0-9a-fA-F]{40}")
_SIZE = re.compile(r"\d{1,15}", re.ASCII)
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
_READ = frozenset({"creationTime", "hash", "size", "languageCode", "repositoryUniqueId", "serviceStartTime"})
_READ |= {"serviceStopTime", "sourcePatientId", "submissionTime", "lastUpdateTime"}
_GENDERS: dict[str, Gender] = {"M": "male", "F": "female", "O": "other", "A": "other"}

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Read:
    """A document as its metadata describe it: with the size and hash that they announce, where they do."""

    entry: DocumentEntry
    announced_hash: str | None
    announced_size: int | None
    repository: str | None


def read_document(
    rim: RimObject, *, registry_id: str, relations: tuple[Relation, ...] = (), on_demand: bool = False
) -> Read:
    """A DocumentEntry as a source sends it. Raises MetadataFault and InvalidValue with nothing stored.

    on_demand  one that is made when it is retrieved: nothing may be said of its bytes (IHE ITI TF-3: Table 4.3.1.1-3)
    """
    _check_object_type(rim, on_demand=on_demand)
    if rim.size > MOST_METADATA:
        raise MetadataFault(f"{rim.label}: metadata of a document have at most {MOST_METADATA} characters")
    hash_, size = rim.value("hash"), rim.value("size")
    if hash_ is not None and not _SHA1.fullmatch(hash_):
        raise MetadataFault(f"{rim.label}: hash has to be a SHA-1 of 40 hex digits")
    if size is not None and not _SIZE.fullmatch(size):
        raise MetadataFault(f"{rim.label}: size has to be a number of bytes")
    creation = None if on_demand else _required(rim, "creationTime")
    start = _moment(rim, "serviceStartTime")
    entry = DocumentEntry(
        id=registry_id,
        entry_uuid=entry_uuid(rim),
        unique_id=_unique_id(rim, names.DE_UNIQUE_ID),
        patient=_patient(rim, names.DE_PATIENT_ID),
        record_id="",
        attachment=Attachment(
            content_type=rim.attributes.get("mimeType", ""),
            size=int(size or 0),
            hash=(hash_ or NOT_KNOWN_HASH).lower(),
            content_hash="",
            language=_language(rim),
            title=rim.name,
            creation=dtm_to_fhir(creation, "creationTime") if creation else None,
        ),
        type=_one(rim, names.DE_TYPE, "typeCode"),
        categories=(_one(rim, names.DE_CLASS, "classCode"),),
        format=_one(rim, names.DE_FORMAT, "formatCode"),
        facility_type=_one(rim, names.DE_FACILITY_TYPE, "healthcareFacilityTypeCode"),
        practice_setting=_one(rim, names.DE_PRACTICE_SETTING, "practiceSettingCode"),
        events=_many(rim, names.DE_EVENT, "eventCodeList"),
        sensitivity=_labels(rim),
        authors=_authors(rim, names.DE_AUTHOR),
        authenticator=_legal_authenticator(rim),
        description=rim.description,
        date=read_dtm(creation, "creationTime") if creation else None,
        start=start,
        stop=_moment(rim, "serviceStopTime"),
        references=tuple(found for text in rim.slots.get(REFERENCES, ()) if (found := read_cxi(text))),
        encounters=tuple(found for text in rim.slots.get(REFERENCES, ()) if (found := read_encounter(text))),
        relations=relations,
        source_patient=read_cx(_required(rim, "sourcePatientId"), "sourcePatientId"),
        source_demographics=_described(rim),
        slots=_kept(rim, names.DE_AUTHOR),
        on_demand=on_demand,
    )
    return Read(entry, hash_.lower() if hash_ else None, int(size) if size else None, rim.value("repositoryUniqueId"))


def read_submission_set(rim: RimObject) -> SubmissionSet:
    """A SubmissionSet. Its id comes from its unique id, so that the same handed in again is the same."""
    unique_id = _unique_id(rim, names.SS_UNIQUE_ID)
    return SubmissionSet(
        id=str(uuid5(NAMESPACE_URL, unique_id)),
        entry_uuid=entry_uuid(rim),
        unique_id=unique_id,
        source_id=read_unique_id(_identifier(rim, names.SS_SOURCE_ID, "sourceId")),
        patient=_patient(rim, names.SS_PATIENT_ID),
        record_id=None,
        submitted=read_dtm(_required(rim, "submissionTime"), "submissionTime"),
        content_type=_one(rim, names.SS_CONTENT_TYPE, "contentTypeCode"),
        authors=_authors(rim, names.SS_AUTHOR),
        title=rim.name,
        intended_recipients=rim.slots.get("intendedRecipient", ()),
        slots=_kept(rim, names.SS_AUTHOR) | ({"comments": [rim.description]} if rim.description else {}),
    )


def read_folder(rim: RimObject, *, updated: datetime) -> Folder:
    """A Folder; when it was last updated is the registry's to say."""
    unique_id = _unique_id(rim, names.FOLDER_UNIQUE_ID)
    codes = _many(rim, names.FOLDER_CODES, "codeList")
    if not codes:
        raise MetadataFault(f"{rim.label}: codeList is missing")
    return Folder(
        id=f"folder-{uuid5(NAMESPACE_URL, unique_id)}",
        entry_uuid=entry_uuid(rim),
        unique_id=unique_id,
        patient=_patient(rim, names.FOLDER_PATIENT_ID),
        record_id="",
        title=rim.name,
        updated=updated,
        codes=codes,
        slots=_kept(rim, "") | ({"comments": [rim.description]} if rim.description else {}),
    )


def entry_uuid(rim: RimObject) -> str:
    """The entryUUID that the source gave, or a new one in the place of a symbolic id."""
    if not rim.id.lower().startswith("urn:uuid:"):
        return uuid4().urn
    if not is_full_uuid(rim.id.lower()):
        raise MetadataFault(f"{rim.kind}: the id begins like a UUID and is none")
    return rim.id.lower()


def as_remote(read: Read, rim: RimObject, *, entry_id: str, home: HomeCommunityId) -> DocumentEntry:
    """A document of another community as its gateway describes it."""
    status = DocumentStatus.CURRENT if rim.attributes.get("status") != names.DEPRECATED else DocumentStatus.SUPERSEDED
    return replace(read.entry, id=entry_id, status=status, home=home)


# ---- attributes ----


def _check_object_type(rim: RimObject, *, on_demand: bool) -> None:
    kind = rim.attributes.get("objectType", "")
    if on_demand:
        if kind != names.ON_DEMAND:
            raise MetadataFault(f"{rim.label}: objectType is not that of an on-demand entry")
        said = [slot for slot in ("creationTime", "hash", "size", "legalAuthenticator") if rim.slots.get(slot)]
        if said:
            raise MetadataFault(f"{rim.label}: {', '.join(said)} cannot be known of an on-demand entry")
        return
    if kind == names.ON_DEMAND:
        raise MetadataFault(f"{rim.label}: an on-demand entry is not handed in this way")
    if kind != names.STABLE:
        raise MetadataFault(f"{rim.label}: objectType is not that of a document")


def _required(rim: RimObject, slot: str) -> str:
    value = rim.value(slot)
    if value is None:
        raise MetadataFault(f"{rim.label}: {slot} is missing")
    return value


def _identifier(rim: RimObject, scheme: str, what: str) -> str:
    value = rim.identifiers.get(scheme)
    if value is None:
        raise MetadataFault(f"{rim.label}: {what} is missing")
    return value


def _unique_id(rim: RimObject, scheme: str) -> str:
    value = _identifier(rim, scheme, "uniqueId")
    if len(value) > 128 or " " in value:
        raise MetadataFault(f"{rim.label}: uniqueId has at most 128 characters and no spaces")
    return read_unique_id(value)


def _patient(rim: RimObject, scheme: str) -> PatientIdentifier:
    return read_cx(_identifier(rim, scheme, "patientId"), "patientId")


def _moment(rim: RimObject, slot: str) -> datetime | None:
    value = rim.value(slot)
    return None if value is None else read_dtm(value, slot)


def _language(rim: RimObject) -> str:
    value = _required(rim, "languageCode")
    if not _LANGUAGE.fullmatch(value):
        raise MetadataFault(f"{rim.label}: languageCode has to be one of RFC 5646")
    return value


def _one(rim: RimObject, scheme: str, what: str) -> CodedValue:
    found = _many(rim, scheme, what)
    if len(found) != 1:
        raise MetadataFault(f"{rim.label}: {what} is needed once, found {len(found)} times")
    return found[0]


def _many(rim: RimObject, scheme: str, what: str) -> tuple[CodedValue, ...]:
    return tuple(_code(each, f"{rim.label}: {what}") for each in rim.coded(scheme))


def _code(found: Classification, where: str) -> CodedValue:
    if not found.code or not found.coding_scheme:
        raise MetadataFault(f"{where}: needs nodeRepresentation and a codingScheme")
    return coded(found.code, found.coding_scheme, found.display)


def _labels(rim: RimObject) -> tuple[CodedValue, ...]:
    """What closes the document; `normal` closes nothing and is not kept."""
    found = _many(rim, names.DE_CONFIDENTIALITY, "confidentialityCode")
    if not found:
        raise MetadataFault(f"{rim.label}: confidentialityCode is missing")
    return tuple(dict.fromkeys(label for label in found if not label.means(NORMAL)))


def _authors(rim: RimObject, scheme: str) -> tuple[Author, ...]:
    found = []
    for each in rim.coded(scheme):
        slots = each.slots
        if len(slots.get("authorPerson", ())) > 1:
            raise MetadataFault(f"{rim.label}: an author has one authorPerson")
        person, number = read_xcn(_first(slots, "authorPerson") or "")
        author = Author(
            person=person,
            institution=read_xon(_first(slots, "authorInstitution") or ""),
            role=_first(slots, "authorRole"),
            specialty=_first(slots, "authorSpecialty"),
            identifier=number,
        )
        found.append(author)
    return tuple(found)


def _legal_authenticator(rim: RimObject) -> Author | None:
    value = rim.value("legalAuthenticator")
    if value is None:
        return None
    person, number = read_xcn(value)
    return Author(person=person, identifier=number) if person or number else None


def _first(slots: Any, name: str) -> str | None:
    values = slots.get(name, ())
    return values[0].split("^")[0] if values and name in ("authorRole", "authorSpecialty") else next(iter(values), None)


def _described(rim: RimObject) -> Demographics | None:
    """The patient as the source knew them, out of sourcePatientInfo (PID-5, 7, 8, 11)."""
    pid = {text.partition("|")[0]: text.partition("|")[2] for text in rim.slots.get("sourcePatientInfo", ())}
    name, _ = read_xcn("^" + pid.get("PID-5", "").split("~")[0])
    place = ", ".join(part for part in pid.get("PID-11", "").split("~")[0].split("^") if part)
    described = Demographics(
        name=_tolerant(HumanName.of, name) if name else None,
        birth_date=birth_date_of(pid.get("PID-7", "")),
        gender=_GENDERS.get(pid.get("PID-8", "")[:1].upper(), "unknown"),
        address=Address(place) if place else None,
    )
    return described if described != Demographics() else None


def _tolerant(make: Callable[[str], Value], text: str) -> Value | None:
    try:
        return make(text)
    except InvalidValue:
        return None


def _kept(rim: RimObject, author_scheme: str) -> dict[str, list[str]]:
    """What the nouns do not hold word for word: authors as they were written, further slots."""
    kept = {name: list(values) for name, values in rim.slots.items() if name not in _READ}
    kept.pop("intendedRecipient", None)
    for number, author in enumerate(rim.coded(author_scheme) if author_scheme else ()):
        kept |= {f"author {number} {name}": list(values) for name, values in author.slots.items()}
    return kept
