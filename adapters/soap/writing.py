"""Documents, submission sets, folders and their associations as registry objects: what `reading.py` reads, back again.

Written as text, one piece an object: an answer may have ten thousand of them.

Source: IHE ITI TF-3: 4.2.3; OASIS ebRIM 3.0 (the order of children is fixed by its schema)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from uuid import NAMESPACE_URL, UUID, uuid5

from adapters.soap import names
from adapters.soap.datatypes import (
    fhir_to_dtm,
    reference_ids,
    scheme_of,
    write_cx,
    write_dtm,
    write_unique_id,
    write_xcn,
)
from adapters.soap.envelope import text
from adapters.soap.reading import NOT_KNOWN_HASH, REFERENCES
from registry.coded import NORMAL, CodedValue
from registry.documents import Author, DocumentEntry, DocumentStatus, Folder, SubmissionSet
from registry.holdings import Association, AssociationKind
from registry.identifiers import HomeCommunityId, PatientIdentifier, repository_of
from registry.people import Demographics

_NO_CODE = CodedValue("UNK", "http://terminology.hl7.org/CodeSystem/v3-NullFlavor", "unknown")
_STATUS = {DocumentStatus.CURRENT: names.APPROVED, DocumentStatus.SUPERSEDED: names.DEPRECATED}
_GENDERS = {"male": "M", "female": "F", "other": "O"}
ASSOCIATIONS: Mapping[AssociationKind, str] = {
    AssociationKind.HAS_MEMBER: names.HAS_MEMBER,
    AssociationKind.REPLACES: names.RPLC,
    AssociationKind.APPENDS: names.APND,
    AssociationKind.TRANSFORMS: names.XFRM,
    AssociationKind.TRANSFORMS_AND_REPLACES: names.XFRM_RPLC,
    AssociationKind.SIGNS: names.SIGNS,
}


class _Ids:
    """Ids for the parts of an object: as good as random, and the same each time it is written."""

    __slots__ = ("_head", "_tail")

    def __init__(self, owner: str) -> None:
        try:
            self._head, self._tail = owner[:33], int(owner[33:45], 16)
        except ValueError:
            made = uuid5(NAMESPACE_URL, owner).urn
            self._head, self._tail = made[:33], int(made[33:], 16)

    def next(self) -> str:
        self._tail = (self._tail + 1) & 0xFFFFFFFFFFFF
        return f"{self._head}{self._tail:012x}"


def registry_uuid(noun: DocumentEntry | SubmissionSet | Folder) -> str:
    """The entryUUID; an entry that came without one has one made of its id."""
    if noun.entry_uuid:
        return noun.entry_uuid
    try:
        return UUID(noun.id).urn
    except ValueError:
        return uuid5(NAMESPACE_URL, noun.id).urn


# ---- the four kinds of objects ----


def write_document(entry: DocumentEntry, home: HomeCommunityId) -> str:
    """An ExtrinsicObject."""
    own, attachment = registry_uuid(entry), entry.attachment
    ids = _Ids(own)
    kept = entry.slots
    slots = [
        _slot("creationTime", [] if entry.on_demand else _created(entry)),
        _slot("hash", [attachment.hash] if attachment.hash != NOT_KNOWN_HASH else []),
        _slot("languageCode", [attachment.language or "vi-VN"]),
        _slot("legalAuthenticator", kept.get("legalAuthenticator") or _person(entry.authenticator)),
        _slot("repositoryUniqueId", [entry.repository or repository_of(entry.home or home)]),
        _slot("serviceStartTime", _dtm(entry.start)),
        _slot("serviceStopTime", _dtm(entry.stop)),
        _slot("size", [] if entry.on_demand else [str(attachment.size)]),
        _slot("sourcePatientId", [write_cx(entry.source_patient or entry.patient)]),
        _slot("sourcePatientInfo", kept.get("sourcePatientInfo") or _described(entry.source_demographics)),
        _slot(REFERENCES, _references(entry)),
        *_further(kept),
    ]
    codes = [
        *_authors(entry.authors, kept, names.DE_AUTHOR, own, ids),
        _code(names.DE_CLASS, next(iter(entry.categories), _NO_CODE), own, ids),
        *(_code(names.DE_CONFIDENTIALITY, each, own, ids) for each in entry.sensitivity or (NORMAL,)),
        *(_code(names.DE_EVENT, each, own, ids) for each in entry.events),
        _code(names.DE_FORMAT, entry.format or _NO_CODE, own, ids),
        _code(names.DE_FACILITY_TYPE, entry.facility_type or _NO_CODE, own, ids),
        _code(names.DE_PRACTICE_SETTING, entry.practice_setting or _NO_CODE, own, ids),
        _code(names.DE_TYPE, entry.type or next(iter(entry.categories), _NO_CODE), own, ids),
    ]
    numbers = [
        _identifier(names.DE_PATIENT_ID, write_cx(entry.patient), "XDSDocumentEntry.patientId", own, ids),
        _identifier(names.DE_UNIQUE_ID, write_unique_id(entry.unique_id), "XDSDocumentEntry.uniqueId", own, ids),
    ]
    return (
        f'<r:ExtrinsicObject id="{own}" lid="{entry.logical_id or own}" home="{entry.home or home}"'
        f' status="{_STATUS[entry.status]}" mimeType="{text(attachment.content_type)}"'
        f' objectType="{_object_type(entry)}">{"".join(slots)}'
        f"{_name(attachment.title)}{_description(entry.description)}{_version(entry.version)}"
        f"{''.join(codes)}{''.join(numbers)}</r:ExtrinsicObject>"
    )


def _object_type(entry: DocumentEntry) -> str:
    return names.ON_DEMAND if entry.on_demand else names.STABLE


def _created(entry: DocumentEntry) -> list[str]:
    creation = entry.attachment.creation
    return [fhir_to_dtm(creation)] if creation else _dtm(entry.date)


def write_submission_set(item: SubmissionSet, home: HomeCommunityId) -> str:
    """A RegistryPackage classified as submission set."""
    own = registry_uuid(item)
    ids = _Ids(own)
    slots = [
        _slot("intendedRecipient", item.intended_recipients),
        _slot("submissionTime", [write_dtm(item.submitted)]),
        *_further(item.slots),
    ]
    codes = [
        *_authors(item.authors, item.slots, names.SS_AUTHOR, own, ids),
        _code(names.SS_CONTENT_TYPE, item.content_type or _NO_CODE, own, ids),
        _node(names.SUBMISSION_SET_NODE, own, ids),
    ]
    numbers = [
        *_patient_number(names.SS_PATIENT_ID, item.patient, "XDSSubmissionSet.patientId", own, ids),
        _identifier(names.SS_SOURCE_ID, write_unique_id(item.source_id), "XDSSubmissionSet.sourceId", own, ids),
        _identifier(names.SS_UNIQUE_ID, write_unique_id(item.unique_id), "XDSSubmissionSet.uniqueId", own, ids),
    ]
    return _package(item, own, home, "".join(slots), "".join(codes) + "".join(numbers))


def write_folder(item: Folder, home: HomeCommunityId) -> str:
    """A RegistryPackage classified as folder."""
    own = registry_uuid(item)
    ids = _Ids(own)
    slots = [_slot("lastUpdateTime", [write_dtm(item.updated)]), *_further(item.slots)]
    codes = [*(_code(names.FOLDER_CODES, each, own, ids) for each in item.codes), _node(names.FOLDER_NODE, own, ids)]
    numbers = [
        *_patient_number(names.FOLDER_PATIENT_ID, item.patient, "XDSFolder.patientId", own, ids),
        _identifier(names.FOLDER_UNIQUE_ID, write_unique_id(item.unique_id), "XDSFolder.uniqueId", own, ids),
    ]
    return _package(item, own, home, "".join(slots), "".join(codes) + "".join(numbers))


def write_association(one: Association, home: HomeCommunityId) -> str:
    """An Association; that of a submission set and its members says whether it brought them."""
    slot = _slot("SubmissionSetStatus", ["Original" if one.original else "Reference"]) if one.of_submission_set else ""
    return (
        f'<r:Association id="{one.id}" home="{home}" associationType="{ASSOCIATIONS[one.kind]}"'
        f' sourceObject="{one.source}" targetObject="{one.target}" status="{names.APPROVED}"'
        f' objectType="urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:Association">{slot}</r:Association>'
    )


def write_reference(object_id: str, home: HomeCommunityId) -> str:
    """An ObjectRef: only which object it is."""
    return f'<r:ObjectRef id="{object_id}" home="{home}"/>'


def _package(item: SubmissionSet | Folder, own: str, home: HomeCommunityId, slots: str, rest: str) -> str:
    comments = next(iter(item.slots.get("comments", ())), None)
    lid = item.logical_id or own if isinstance(item, Folder) else own
    return (
        f'<r:RegistryPackage id="{own}" lid="{lid}" home="{home}" status="{_STATUS[item.status]}"'
        f' objectType="urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:RegistryPackage">{slots}'
        f"{_name(item.title)}{_description(comments)}{_version(item.version)}{rest}</r:RegistryPackage>"
    )


# ---- parts of objects ----


def _slot(name: str, values: Iterable[str]) -> str:
    listed = "".join(f"<r:Value>{text(value)}</r:Value>" for value in values)
    return f'<r:Slot name="{text(name)}"><r:ValueList>{listed}</r:ValueList></r:Slot>' if listed else ""


def _further(kept: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Slots that came and that no noun knows."""
    written = ("legalAuthenticator", "sourcePatientInfo", REFERENCES, "comments")
    for name, values in kept.items():
        if name not in written and not name.startswith("author "):
            yield _slot(name, values)


def _localized(element: str, value: str | None) -> str:
    if not value:
        return ""
    return f'<r:{element}><r:LocalizedString xml:lang="vi-VN" charset="UTF-8" value="{text(value)}"/></r:{element}>'


def _name(value: str | None) -> str:
    return _localized("Name", value)


def _description(value: str | None) -> str:
    return _localized("Description", value)


def _version(number: int) -> str:
    return f'<r:VersionInfo versionName="{"1.1" if number == 1 else number}"/>'


def _code(scheme: str, value: CodedValue, owner: str, ids: _Ids) -> str:
    return (
        f'<r:Classification id="{ids.next()}" classificationScheme="{scheme}" classifiedObject="{owner}"'
        f' nodeRepresentation="{text(value.code)}">{_slot("codingScheme", [scheme_of(value.system) or "local"])}'
        f"{_name(value.display or value.code)}</r:Classification>"
    )


def _node(node: str, owner: str, ids: _Ids) -> str:
    return f'<r:Classification id="{ids.next()}" classifiedObject="{owner}" classificationNode="{node}"/>'


def _identifier(scheme: str, value: str, name: str, owner: str, ids: _Ids) -> str:
    return (
        f'<r:ExternalIdentifier id="{ids.next()}" registryObject="{owner}" identificationScheme="{scheme}"'
        f' value="{text(value)}"><r:Name><r:LocalizedString value="{name}"/></r:Name></r:ExternalIdentifier>'
    )


def _patient_number(scheme: str, patient: PatientIdentifier | None, name: str, owner: str, ids: _Ids) -> Iterator[str]:
    if patient is not None:
        yield _identifier(scheme, write_cx(patient), name, owner, ids)


def _authors(
    authors: Sequence[Author], kept: Mapping[str, Sequence[str]], scheme: str, owner: str, ids: _Ids
) -> Iterator[str]:
    """Each author as it was written where it came this way, else out of the noun."""
    for number, author in enumerate(authors):
        head = f"author {number} "
        slots = {name.removeprefix(head): values for name, values in kept.items() if name.startswith(head)}
        written = "".join(_slot(name, values) for name, values in (slots or _author_slots(author)).items())
        yield (
            f'<r:Classification id="{ids.next()}" classificationScheme="{scheme}" classifiedObject="{owner}"'
            f' nodeRepresentation="">{written}</r:Classification>'
        )


def _author_slots(author: Author) -> dict[str, Sequence[str]]:
    return {
        "authorPerson": _person(author),
        "authorInstitution": [author.institution] if author.institution else [],
        "authorRole": [author.role] if author.role else [],
        "authorSpecialty": [author.specialty] if author.specialty else [],
    }


def _person(author: Author | None) -> list[str]:
    if author is None or not (author.person or author.identifier):
        return []
    return [write_xcn(author.person, author.identifier)]


def _dtm(moment: object) -> list[str]:
    return [write_dtm(moment)] if moment else []  # type: ignore[arg-type]


def _references(entry: DocumentEntry) -> list[str]:
    """As they came, and what the registry found out besides: the study of a report."""
    came = entry.slots.get(REFERENCES, [])
    return [*came, *(each for each in reference_ids(entry) if each not in came)]


def _described(known: Demographics | None) -> list[str]:
    if known is None:
        return []
    family, _, given = (known.name.text if known.name else "").partition(" ")
    return [
        *([f"PID-5|{text_in_field(family)}^{text_in_field(given)}"] if known.name else []),
        *([f"PID-7|{str(known.birth_date).replace('-', '')}"] if known.birth_date else []),
        *([f"PID-8|{_GENDERS[known.gender]}"] if known.gender in _GENDERS else []),
    ]


def text_in_field(value: str) -> str:
    return value.replace("^", " ").replace("|", " ")
