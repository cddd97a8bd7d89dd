"""Stored queries at another community: passed on as they were asked, under the number that it told, and read back.

Source: IHE ITI TF-2: 3.38.4.1.2 (patient and homeCommunityId of what is passed on), 3.38.4.1.3
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from adapters.peers.answers import BadAnswer
from adapters.peers.fhir_client import Holder, Question
from adapters.peers.xca_client import payload_of, read_entry
from adapters.soap import names
from adapters.soap.datatypes import is_full_uuid, read_dtm, write_cx, write_unique_id
from adapters.soap.ebrim import RimObject, read_objects
from adapters.soap.envelope import text
from adapters.soap.errors import SoapError
from adapters.soap.names import QUERY, RIM, named
from adapters.soap.reading import read_folder, read_submission_set
from adapters.soap.writing import ASSOCIATIONS
from registry.answers import OutcomeKind
from registry.documents import DocumentStatus, Folder, SubmissionSet
from registry.errors import RegistryError
from registry.holdings import Association, Holdings, StoredQuery
from registry.identifiers import HomeCommunityId, PatientIdentifier

_OF_PATIENT = ("$XDSDocumentEntryPatientId", "$XDSSubmissionSetPatientId", "$XDSFolderPatientId", "$patientId")
_OF_OBJECT = ("EntryUUID", "UniqueId", "LogicalID", "$uuid")


def pass_on(
    asked: StoredQuery, home: HomeCommunityId, number: PatientIdentifier, identifiers: Sequence[str] = ()
) -> str:
    """The query for one community: the patient under its own number, and of the objects that are named these."""
    slots = []
    for name, values in asked.slots:
        written = values
        if name in _OF_PATIENT:
            written = (f"'{write_cx(number)}'",)
        elif name == "$homeCommunityId":
            continue
        elif identifiers and name.endswith(_OF_OBJECT):
            listed = ",".join(f"'{write_unique_id(one)}'" for one in identifiers)
            written = (f"({listed})" if values[0].startswith("(") else listed,)
        inside = "".join(f"<r:Value>{text(value)}</r:Value>" for value in written)
        slots.append(f'<r:Slot name="{text(name)}"><r:ValueList>{inside}</r:ValueList></r:Slot>')
    # whose a thing is can only be told of the thing itself, whatever is answered with it
    return (
        '<q:AdhocQueryRequest><q:ResponseOption returnComposedObjects="true" returnType="LeafClass"/>'
        f'<r:AdhocQuery id="{text(asked.id)}" home="{home}">{"".join(slots)}</r:AdhocQuery></q:AdhocQueryRequest>'
    )


def read_holdings(
    body: bytes, content_type: str, holder: Holder, asked: Question, number: PatientIdentifier
) -> tuple[Holdings, OutcomeKind, str]:
    """What is in an answer, what became of the question, and words for it. Raises BadAnswer."""
    message = payload_of(body, content_type, QUERY, "AdhocQueryResponse")
    errors = {one.get("errorCode", "") for one in message.iter(named(names.RS, "RegistryError"))}
    listed = message.find(named(RIM, "RegistryObjectList"))
    if "XDSUnknownPatientId" in errors:
        return Holdings(), OutcomeKind.WITHHELD, ""
    if message.get("status") == names.FAILURE and "XDSTooManyResults" in errors:
        return Holdings(), OutcomeKind.INCOMPLETE, "more than one answer may have"
    if message.get("status") == names.FAILURE or listed is None:
        raise BadAnswer("the question was refused")
    try:
        objects = read_objects(listed)
        made_later = [one for one in objects if one.attributes.get("objectType") == names.ON_DEMAND]
        found = _holdings([one for one in objects if one not in made_later], holder, asked, number)
    except (SoapError, RegistryError, ValueError) as error:
        # whatever a peer sends costs its own line and nothing else; the text may quote what it sent
        raise BadAnswer(f"an object that cannot be read ({type(error).__name__})") from error
    if made_later:
        # what is made when it is retrieved cannot be held against what was listed, so it does not go through here
        gone = {one.id.lower() for one in made_later}
        links = tuple(one for one in found.associations if not {one.source, one.target} & gone)
        return replace(found, associations=links), OutcomeKind.INCOMPLETE, "without on-demand entries"
    partial = message.get("status") == names.PARTIAL
    return found, OutcomeKind.INCOMPLETE if partial else OutcomeKind.ANSWERED, "in part" if partial else ""


def _holdings(objects: Sequence[RimObject], holder: Holder, asked: Question, number: PatientIdentifier) -> Holdings:
    home = str(holder.community.home)
    if any(one.attributes.get("home", home) != home for one in objects):
        raise BadAnswer("an object of another community")
    packages = [one for one in objects if one.kind == "RegistryPackage"]
    return Holdings(
        tuple(read_entry(one, holder, asked, number) for one in objects if one.kind == "ExtrinsicObject"),
        tuple(_set(one, number) for one in packages if one.node == names.SUBMISSION_SET_NODE),
        tuple(_folder(one, number) for one in packages if one.node == names.FOLDER_NODE),
        tuple(_association(one) for one in objects if one.kind == "Association"),
    )


def _set(rim: RimObject, number: PatientIdentifier) -> SubmissionSet:
    found = replace(read_submission_set(rim), status=_status(rim))
    _refuse_other(rim, found, number)
    return found


def _folder(rim: RimObject, number: PatientIdentifier) -> Folder:
    updated = read_dtm(rim.value("lastUpdateTime") or "", "lastUpdateTime")
    lid = rim.attributes.get("lid", "")
    logical = lid if is_full_uuid(lid) and lid != rim.id else ""
    found = replace(read_folder(rim, updated=updated), status=_status(rim), logical_id=logical)
    _refuse_other(rim, found, number)
    return found


def _refuse_other(rim: RimObject, found: SubmissionSet | Folder, number: PatientIdentifier) -> None:
    if found.patient != number:
        raise BadAnswer("an object about another patient")
    if found.entry_uuid != rim.id.lower():
        raise BadAnswer("an object without an entryUUID")


def _status(rim: RimObject) -> DocumentStatus:
    return DocumentStatus.SUPERSEDED if rim.attributes.get("status") == names.DEPRECATED else DocumentStatus.CURRENT


def _association(rim: RimObject) -> Association:
    ends = rim.attributes.get("sourceObject", ""), rim.attributes.get("targetObject", "")
    own, source, target = (value.lower() for value in (rim.id, *ends))
    kind = next((one for one, urn in ASSOCIATIONS.items() if urn == rim.attributes.get("associationType")), None)
    if kind is None or not all(map(is_full_uuid, (own, source, target))):
        raise BadAnswer("an association that cannot be used")
    status = rim.value("SubmissionSetStatus")
    return Association(kind, source, target, status is not None, status != "Reference", listed_as=own)
