"""Submission sets and folders as Lists, and back.

Source: IHE MHD 4.2.3, List profiles SubmissionSet and Folder; 2:4.5.1
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from uuid import NAMESPACE_URL, uuid5

from adapters.fhir import Resource
from adapters.fhir.authors import contained_author, contained_by_id, read_author
from adapters.fhir.document_reference import read_entry_uuid
from adapters.fhir.elements import (
    MHD_STRUCTURE,
    Element,
    concept,
    concepts,
    document_id,
    entry_uuid_identifier,
    filled,
    first,
    identifier,
    instant,
    is_entry_uuid,
    read_concepts,
    read_moment,
    reference,
    unique_id_identifier,
)
from adapters.fhir.kept import drop_unreferenced, give_back, keep, without
from adapters.fhir.writing import meta
from registry.coded import CodedValue
from registry.documents import DocumentStatus, Folder, SubmissionSet
from registry.identifiers import URI_SYSTEM, PatientIdentifier

LIST_TYPES = "https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes"
DESIGNATION_TYPE = MHD_STRUCTURE + "ihe-designationType"
SOURCE_ID = MHD_STRUCTURE + "ihe-sourceId"
INTENDED_RECIPIENT = MHD_STRUCTURE + "ihe-intendedRecipient"
AUTHOR_ORG = MHD_STRUCTURE + "ihe-authorOrg"
_SET_PROFILE = MHD_STRUCTURE + "IHE.MHD.Minimal.SubmissionSet"
_FOLDER_PROFILE = MHD_STRUCTURE + "IHE.MHD.Minimal.Folder"
FOLDER_ID = "folder-"
"""Ids of folders begin so: a member of a submission set is a document, or, by this, a folder."""

_GOVERNED = ("resourceType", "id", "identifier", "status", "subject", "entry", "date")


def list_of(item: SubmissionSet | Folder) -> Resource:
    """A submission set or folder as a List, with what the sender wrote beyond what the nouns know."""
    known = _set_list(item) if isinstance(item, SubmissionSet) else _folder_list(item)
    shown = give_back(known, without(dict(item.extra), "identifier"))
    return drop_unreferenced(shown | {"identifier": known["identifier"] + item.extra.get("identifier", [])})


def read_submission_set(
    resource: Resource, *, entry_uuid: str, patient: PatientIdentifier, members: Iterable[str]
) -> SubmissionSet:
    """A SubmissionSet List that `check` found to be in order. `entry_uuid` is used where it has none."""
    contained = contained_by_id(resource)
    source = resource.get("source", {})
    author = read_author(source, contained)
    institution = first(each.get("valueReference", {}).get("display") for each in _extensions(source, AUTHOR_ORG))
    if author and institution and not author.institution:
        author = replace(author, institution=institution)
    uuid, unique_id = _names(resource, entry_uuid)
    made = SubmissionSet(
        id=str(uuid5(NAMESPACE_URL, unique_id)),
        entry_uuid=uuid,
        unique_id=unique_id,
        source_id=_source_id(resource),
        patient=patient,
        record_id=None,
        submitted=_moment(resource),
        content_type=first(_designations(resource)),
        authors=(author,) if author else (),
        title=resource.get("title"),
        intended_recipients=tuple(_recipients(resource, contained)),
        members=tuple(members),
    )
    known = _worded_set(made) | {"meta": {"profile": [_SET_PROFILE]}}
    return replace(made, extra=keep(_described(resource, uuid), known))


def read_folder(
    resource: Resource, *, entry_uuid: str, patient: PatientIdentifier, members: Iterable[str], folder_id: str | None
) -> Folder:
    """A Folder List. Its id comes from its unique id, so that the same folder sent again is the same folder."""
    uuid, unique_id = _names(resource, entry_uuid)
    made = Folder(
        id=folder_id or f"{FOLDER_ID}{uuid5(NAMESPACE_URL, unique_id)}",
        entry_uuid=uuid,
        unique_id=unique_id,
        patient=patient,
        record_id="",
        title=resource.get("title"),
        updated=_moment(resource),
        codes=tuple(_designations(resource)),
        members=tuple(members),
    )
    known = _worded_folder(made) | {"meta": {"profile": [_FOLDER_PROFILE]}}
    return replace(made, extra=keep(_described(resource, uuid), known))


def kind_of_list(resource: Resource) -> str | None:
    """`submissionset` or `folder`; None for any other list."""
    codes = resource.get("code", {}).get("coding", ())
    return next((each.get("code") for each in codes if each.get("system") == LIST_TYPES), None)


# ---- writing ----


def _set_list(item: SubmissionSet) -> Resource:
    version = meta(item.version, item.updated or item.submitted, _SET_PROFILE)
    return _list(item, _worded_set(item), version=version, date=instant(item.submitted))


def _folder_list(item: Folder) -> Resource:
    version = meta(item.version, item.updated, _FOLDER_PROFILE)
    return _list(item, _worded_folder(item), version=version, date=instant(item.updated))


def _worded_set(item: SubmissionSet) -> Element:
    """What a sender may word as it likes, as far as the noun knows it."""
    author = item.authors[0] if item.authors else None
    extensions: list[Element] = [{"url": SOURCE_ID, "valueIdentifier": {"value": item.source_id}}]
    if item.content_type:
        extensions.append({"url": DESIGNATION_TYPE, "valueCodeableConcept": concept(item.content_type)})
    extensions += [
        {"url": INTENDED_RECIPIENT, "valueReference": reference(display=each)} for each in item.intended_recipients
    ]
    return filled(
        contained=[contained_author(author, "author-1")] if author else None,
        extension=extensions,
        mode="working",
        title=item.title,
        code={"coding": [{"system": LIST_TYPES, "code": "submissionset"}]},
        source=reference("#author-1") if author else None,
    )


def _worded_folder(item: Folder) -> Element:
    return filled(
        extension=[{"url": DESIGNATION_TYPE, "valueCodeableConcept": each} for each in concepts(item.codes)],
        mode="working",
        title=item.title,
        code={"coding": [{"system": LIST_TYPES, "code": "folder"}]},
    )


def _list(item: SubmissionSet | Folder, worded: Element, *, version: Element, date: str | None) -> Resource:
    subject = reference(
        f"Patient/{item.record_id}" if item.record_id else None,
        to_identifier=identifier(item.patient) if item.patient else None,
    )
    return filled(
        resourceType="List",
        id=item.id,
        meta=version,
        identifier=[unique_id_identifier(item.unique_id), entry_uuid_identifier(item.entry_uuid)],
        status="current" if item.status is DocumentStatus.CURRENT else "retired",
        subject=subject,
        date=date,
        entry=[{"item": reference(f"{_kind_of_member(each)}/{each}")} for each in item.members],
        **worded,
    )


def _kind_of_member(member: str) -> str:
    return "List" if member.startswith(FOLDER_ID) else "DocumentReference"


# ---- reading ----


def _described(resource: Resource, uuid: str) -> Resource:
    rest = without(resource, *_GOVERNED)
    rest["meta"] = without(resource.get("meta", {}), "versionId", "lastUpdated")
    rest["identifier"] = [each for each in resource.get("identifier", ()) if not _is_ours(each, uuid)]
    return without(rest)


def _is_ours(element: Element, uuid: str) -> bool:
    return element.get("value", "").lower() == uuid or element.get("use") == "usual"


def _names(resource: Resource, otherwise: str) -> tuple[str, str]:
    """entryUUID and uniqueId; one that is missing is told from the other, both missing are `otherwise`."""
    uuid, unique_id = read_entry_uuid(resource), _unique_id(resource)
    if uuid is None:
        uuid = uuid5(NAMESPACE_URL, unique_id).urn if unique_id else otherwise
    return uuid, unique_id or uuid


def _unique_id(resource: Resource) -> str | None:
    """The uniqueId of a list: by use or type; else the first identifier that is not an entryUUID."""
    others = [each for each in resource.get("identifier", ()) if each.get("value") and not is_entry_uuid(each)]
    usual = first(each for each in others if each.get("use") == "usual") or first(iter(others))
    return document_id(usual.get("system"), usual["value"]) if usual else None


def _source_id(resource: Resource) -> str:
    values = (each.get("valueIdentifier", {}) for each in _extensions(resource, SOURCE_ID))
    found = first(value for value in values if value.get("value"))
    return document_id(found.get("system") or URI_SYSTEM, found["value"]) if found else ""


def _designations(resource: Resource) -> Iterable[CodedValue]:
    return read_concepts(each.get("valueCodeableConcept", {}) for each in _extensions(resource, DESIGNATION_TYPE))


def _recipients(resource: Resource, contained: dict[str, Resource]) -> Iterable[str]:
    for each in _extensions(resource, INTENDED_RECIPIENT):
        element = each.get("valueReference", {})
        author = read_author(element, contained)
        name = element.get("display") or (author and (author.person or author.institution))
        if name:
            yield name


def _extensions(element: Element, url: str) -> list[Element]:
    return [each for each in element.get("extension", ()) if each.get("url") == url]


def _moment(resource: Resource) -> datetime:
    found = read_moment(resource["date"])
    assert found is not None
    return found
