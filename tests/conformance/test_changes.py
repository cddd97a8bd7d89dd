"""Metadata are changed and removed as IHE's profiles have it, and every door shows it at once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from lxml import etree

from adapters.catalogue import TRANSACTIONS
from consent.requesters import Role
from registry.identifiers import PatientIdentifier
from tests.conformance.changes import (
    ITI_2010,
    REMOVE,
    UPDATE,
    Change,
    Revised,
    as_somebody,
    bytes_removal,
    changes,
    everything_of,
    ids_of,
    new_link,
    operation,
    removal,
    removes,
    removes_bytes,
    revision,
    status_change,
    stranger,
)
from tests.conformance.client import Client
from tests.conformance.soap import (
    APPROVED,
    ASSOCIATION,
    DEPRECATED,
    HAS_MEMBER,
    NS,
    Document,
    FolderOf,
    SoapAnswer,
    SoapClient,
    Submission,
    oid,
    refuse_faulty,
    schema,
    slot,
)
from tests.papers import CtStudy, Person


@pytest.fixture
def number(soap: SoapClient) -> str:
    """A patient of the test's own."""
    return stranger(soap)


def published(soap: SoapClient, number: str, **how: Any) -> tuple[Document, str]:
    """A document, and its entryUUID."""
    document = Document(number, **how)
    assert soap.provides(Submission(number, [document])).outcome == "Success"
    (entry,) = soap.queries("GetDocuments", ("$XDSDocumentEntryUniqueId", f"('{document.unique_id}')")).documents
    return document, entry.get("id")


def revised(document: Document, lid: str, **how: Any) -> Revised:
    given = {"content": document.content, "unique_id": document.unique_id, "title": "CT sọ não, đã đọc lại", **how}
    return Revised(document.number, lid=lid, **given)


def by_fhir(soap: SoapClient, document: Document) -> tuple[Client, str]:
    """The FHIR id of a document."""
    fhir = Client(soap.hospital)
    name = f"urn:ietf:rfc:3986|urn:oid:{document.unique_id}"
    (found,) = fhir.get("/fhir/DocumentReference", identifier=name).found
    return fhir, found["id"]


# ---- ITI-57 ----


def test_a_new_version_of_the_metadata_is_seen_at_every_door_and_the_old_one_is_kept(
    soap: SoapClient, number: str
) -> None:
    document, first = published(soap, number)
    fhir, own_id = by_fhir(soap, document)
    new = revised(document, first)
    answer = changes(soap, number, revision(new, "1.1"), documents=[new])
    assert (answer.outcome, answer.codes) == ("Success", [])
    assert answer.header("Action") == f"{ITI_2010}UpdateDocumentSetResponse"

    (entry,) = soap.finds(number).documents
    assert (entry.get("lid"), entry.get("id") != first) == (first, True)
    assert {target for _, _, target in everything_of(soap, number).associations} == {entry.get("id")}
    assert entry.find("r:VersionInfo", NS).get("versionName") == "2"
    assert entry.find("r:Name/r:LocalizedString", NS).get("value") == new.title
    (old,) = soap.finds(number, ("$XDSDocumentEntryStatus", f"('{DEPRECATED}')")).documents
    assert (old.get("id"), old.get("lid"), old.get("status")) == (first, first, DEPRECATED)
    both = soap.queries("GetDocuments", ("$XDSDocumentEntryLogicalID", f"('{first}')"), ("$MetadataLevel", "2"))
    assert (both.codes, sorted(one.get("id") for one in both.documents)) == (
        [], sorted([first, entry.get("id")]),
    )  # fmt: skip
    assert soap.retrieves(document.unique_id).contents == [document.content]

    shown = fhir.get(f"/fhir/DocumentReference/{own_id}").bundle
    assert (shown["content"][0]["attachment"]["title"], shown["meta"]["versionId"]) == (new.title, "2")
    before = fhir.get(f"/fhir/DocumentReference/{own_id}/_history/1").bundle
    assert (before["content"][0]["attachment"]["title"], before["status"]) == (document.title, "current"), "as it was"


def test_a_new_version_stays_in_its_folders_and_sets(soap: SoapClient, number: str) -> None:
    document, folder = Document(number), FolderOf(number)
    links = [(HAS_MEMBER, folder.id, document.id, "")]
    assert soap.provides(Submission(number, [document], [folder], links=links)).outcome == "Success"
    (entry,) = soap.finds(number).documents
    new = revised(document, entry.get("id"))
    assert changes(soap, number, revision(new, "1"), documents=[new]).outcome == "Success"
    found = soap.queries("GetFolderAndContents", ("$XDSFolderUniqueId", f"'{folder.unique_id}'"))
    assert [one.get("lid") for one in found.documents] == [entry.get("id")]
    assert len(found.associations) == 1


def test_of_two_who_change_the_same_version_one_is_told(soap: SoapClient, number: str) -> None:
    document, first = published(soap, number)
    one, other = revised(document, first, title="Một"), revised(document, first, title="Hai")
    assert changes(soap, number, revision(one, "1.1"), documents=[one]).outcome == "Success"
    late = changes(soap, number, revision(other, "1.1"), documents=[other])
    assert (late.outcome, late.codes) == ("Failure", ["XDSMetadataVersionError"])
    (entry,) = soap.finds(number).documents
    assert entry.find("r:Name/r:LocalizedString", NS).get("value") == "Một"
    assert changes(soap, number, revision(other, "2"), documents=[other]).outcome == "Success"
    (entry,) = soap.finds(number).documents
    assert entry.find("r:VersionInfo", NS).get("versionName") == "3"


@pytest.mark.parametrize(
    ("how", "operation_slots", "code"),
    [
        ({"lid": ""}, {}, "XDSMetadataUpdateError"),
        ({"lid": "urn:uuid:nothing"}, {}, "XDSMetadataUpdateError"),
        ({"lid": uuid4().urn}, {}, "XDSMetadataUpdateError"),
        ({"unique_id": oid()}, {}, "XDSMetadataUpdateError"),
        ({"content": b"other bytes"}, {}, "XDSMetadataUpdateError"),
        ({"status": "Deprecated"}, {}, "XDSMetadataUpdateError"),
        ({"drop": frozenset({"class"})}, {}, "XDSRegistryMetadataError"),
        ({"slots": {"serviceStartTime": ["yesterday"]}}, {}, "XDSRegistryMetadataError"),
        ({}, {"PreviousVersion": "2"}, "XDSMetadataVersionError"),
        ({}, {"PreviousVersion": "newest"}, "XDSMetadataVersionError"),
        ({}, {"AssociationPropagation": "perhaps"}, "XDSMetadataUpdateOperationError"),
        ({}, {"SubmissionSetStatus": "Reference"}, "XDSMetadataUpdateOperationError"),
    ],
)
def test_a_new_version_that_is_none_changes_nothing(
    soap: SoapClient, number: str, how: dict[str, Any], operation_slots: dict[str, str], code: str
) -> None:
    document, first = published(soap, number)
    new = revised(document, how.pop("lid", first), **how)
    slots = dict(operation_slots)
    answer = changes(soap, number, revision(new, slots.pop("PreviousVersion", "1.1"), **slots), documents=[new])
    assert (answer.outcome, answer.codes) == ("Failure", [code])
    assert ids_of(soap.finds(number)) == [first]
    assert len(everything_of(soap, number).packages) == 1


def test_a_document_is_never_handed_to_another_patient(soap: SoapClient, number: str) -> None:
    document, first = published(soap, number)
    stolen = revised(document, first)
    stolen.number = "A1"
    answer = changes(soap, "A1", revision(stolen, "1.1"), documents=[stolen])
    assert (answer.outcome, answer.codes) == ("Failure", ["XDSPatientIDReconciliationError"])
    mixed = changes(soap, "A1", revision(revised(document, first), "1.1"), documents=[revised(document, first)])
    assert mixed.codes == ["XDSPatientIdDoesNotMatch"]
    nobody = changes(soap, "ZZ", status_change(first, "Approved", "Deprecated"))
    assert nobody.codes == ["XDSUnknownPatientId"]
    assert ids_of(soap.finds(number)) == [first]


def test_a_status_is_changed_and_changed_back(soap: SoapClient, number: str) -> None:
    document, first = published(soap, number)
    fhir, own_id = by_fhir(soap, document)
    assert changes(soap, number, status_change(first, "Approved", "Deprecated")).outcome == "Success"
    assert soap.finds(number).documents == []
    assert fhir.get(f"/fhir/DocumentReference/{own_id}").bundle["status"] == "superseded"
    wrong = changes(soap, number, status_change(first, "Approved", "Deprecated"))
    assert wrong.codes == ["XDSMetadataUpdateError"]
    assert changes(soap, number, status_change(first, "Deprecated", "Approved")).outcome == "Success"
    assert ids_of(soap.finds(number)) == [first]


def test_what_was_replaced_does_not_come_back(soap: SoapClient, number: str) -> None:
    _, first = published(soap, number)
    newer = Document(number, b"%PDF newer")
    link = (f"{ASSOCIATION}RPLC", newer.id, first, "")
    assert soap.provides(Submission(number, [newer], links=[link])).outcome == "Success"
    answer = changes(soap, number, status_change(first, "Deprecated", "Approved"))
    assert answer.codes == ["XDSMetadataUpdateError"]
    assert soap.finds(number).unique_ids == [newer.unique_id]


def test_what_is_here_is_linked_afterwards(soap: SoapClient, number: str) -> None:
    _, report = published(soap, number)
    _, addendum = published(soap, number, content=b"%PDF addendum")
    folder = FolderOf(number)
    assert soap.provides(Submission(number, [], [folder])).outcome == "Success"
    (kept,) = soap.queries("GetFolders", ("$XDSFolderUniqueId", f"('{folder.unique_id}')")).packages
    answer = changes(
        soap, number, new_link(f"{ASSOCIATION}APND", addendum, report), new_link(HAS_MEMBER, kept.get("id"), report)
    )
    assert (answer.outcome, answer.codes) == ("Success", [])
    links = everything_of(soap, number).associations
    assert ("APND", addendum, report) in links
    assert ("HasMember", kept.get("id"), report) in links


@pytest.mark.parametrize("kind", ["RPLC", "XFRM_RPLC"])
def test_a_document_that_is_here_replaces_another(soap: SoapClient, number: str, kind: str) -> None:
    folder, document = FolderOf(number), Document(number)
    links = [(HAS_MEMBER, folder.id, document.id, "")]
    assert soap.provides(Submission(number, [document], [folder], links=links)).outcome == "Success"
    (first,) = ids_of(soap.finds(number))
    _, addendum = published(soap, number, content=b"%PDF addendum")
    _, newer = published(soap, number, content=b"%PDF corrected")
    assert changes(soap, number, new_link(f"{ASSOCIATION}APND", addendum, first)).outcome == "Success"
    answer = changes(soap, number, new_link(ASSOCIATION + kind, newer, first))
    assert (answer.outcome, answer.codes) == ("Success", [])
    assert [one.get("id") for one in soap.finds(number).documents] == [newer]
    links_now = everything_of(soap, number).associations
    assert (kind, newer, first) in links_now
    in_folder = soap.queries("GetFolderAndContents", ("$XDSFolderUniqueId", f"'{folder.unique_id}'"))
    assert newer in [one.get("id") for one in in_folder.documents]
    again = changes(soap, number, new_link(ASSOCIATION + kind, newer, first))
    assert again.codes == ["XDSRegistryDeprecatedDocumentError"]
    back = changes(soap, number, new_link(f"{ASSOCIATION}RPLC", first, newer))
    assert back.codes == ["XDSRegistryDeprecatedDocumentError"]


def test_a_study_has_the_report_that_replaces_its_own(soap: SoapClient) -> None:
    person = Person("thay", "Lương Thị Thay", "1961-07-08")
    soap.hospital.registers(person)
    study = soap.hospital.publishes_study(CtStudy(person))
    number, uid = person.number_at("bac-ninh"), study.study_instance_uid
    named = {"urn:ihe:iti:xds:2013:referenceIdList": [f"{uid}^^^^urn:ihe:iti:xds:2016:studyInstanceUID"]}
    _, report = published(soap, number, slots=named)
    _, newer = published(soap, number, content=b"%PDF corrected")
    assert _report_of(soap, uid) == report
    assert changes(soap, number, new_link(f"{ASSOCIATION}RPLC", newer, report)).outcome == "Success"
    assert _report_of(soap, uid) == newer


def _report_of(soap: SoapClient, uid: str) -> str:
    """The entryUUID of the report of a study."""
    with soap.hospital.house.storage.read() as unit:
        study = unit.studies.by_uid(uid)
        report = unit.documents.entry(study.report_id) if study and study.report_id else None
        return report.entry_uuid if report else ""


def test_a_document_of_somebody_else_replaces_nothing(soap: SoapClient, number: str) -> None:
    _, first = published(soap, number)
    _, other = published(soap, stranger(soap))
    for ends in ((first, other), (other, first)):
        answer = changes(soap, number, new_link(f"{ASSOCIATION}RPLC", *ends))
        assert answer.codes == ["XDSPatientIDReconciliationError"]
    assert ids_of(soap.finds(number)) == [first]


def test_a_new_version_can_leave_what_the_one_before_stood_in(soap: SoapClient, number: str) -> None:
    folder, report, addendum = FolderOf(number), Document(number), Document(number, b"%PDF more", id="Document02")
    links = [(HAS_MEMBER, folder.id, report.id, ""), (f"{ASSOCIATION}APND", addendum.id, report.id, "")]
    # what is appended in one message is appended to something that is here
    assert soap.provides(Submission(number, [report], [folder], links=links[:1])).outcome == "Success"
    (first,) = ids_of(soap.finds(number))
    appended = [(f"{ASSOCIATION}APND", addendum.id, first, "")]
    assert soap.provides(Submission(number, [addendum], links=appended)).outcome == "Success"
    new = revised(report, first)
    told = revision(new, "1.1", AssociationPropagation="no")
    assert changes(soap, number, told, documents=[new]).outcome == "Success"
    found = everything_of(soap, number)
    assert [kind for kind, *_ in found.associations if kind == "APND"] == []
    in_folder = soap.queries("GetFolderAndContents", ("$XDSFolderUniqueId", f"'{folder.unique_id}'"))
    assert in_folder.documents == []
    assert sorted(soap.finds(number).unique_ids) == sorted([report.unique_id, addendum.unique_id])
    fhir, own_id = by_fhir(soap, addendum)
    assert "relatesTo" not in fhir.get(f"/fhir/DocumentReference/{own_id}").bundle
    before = fhir.get(f"/fhir/DocumentReference/{own_id}/_history/1").bundle
    assert before["relatesTo"][0]["code"] == "appends", "what was is kept"


@pytest.mark.parametrize(
    ("operations", "code"),
    [
        (lambda own: [], "XDSMetadataUpdateOperationError"),
        (lambda own: [status_change(own, "Approved", "Approved")], "XDSMetadataUpdateOperationError"),
        (lambda own: [status_change(own, "Approved", "Gone")], "XDSMetadataUpdateOperationError"),
        (lambda own: [status_change("here", "Approved", "Deprecated")], "XDSMetadataUpdateOperationError"),
        (lambda own: [status_change(uuid4().urn, "Approved", "Deprecated")], "UnresolvedReferenceException"),
        (lambda own: [status_change(own, "Approved", "Deprecated") for _ in "12"], "XDSMetadataUpdateOperationError"),
        (lambda own: [new_link(f"{ASSOCIATION}RPLC", own, uuid4().urn)], "UnresolvedReferenceException"),
        (lambda own: [new_link(f"{ASSOCIATION}RPLC", own, own)], "XDSMetadataUpdateOperationError"),
        (
            lambda own: [new_link("urn:ihe:iti:2007:AssociationType:MVDR", own, uuid4().urn)],
            "XDSMetadataUpdateOperationError",
        ),
        (lambda own: [new_link(f"{ASSOCIATION}APND", own, own)], "XDSMetadataUpdateOperationError"),
        (lambda own: [new_link(f"{ASSOCIATION}APND", own, uuid4().urn)], "UnresolvedReferenceException"),
        (lambda own: [new_link(HAS_MEMBER, uuid4().urn, own)], "UnresolvedReferenceException"),
        (lambda own: [operation("urn:test:nothing", own)], "XDSMetadataUpdateOperationError"),
        (lambda own: [operation(HAS_MEMBER, own, source=uuid4().urn)], "XDSMetadataUpdateOperationError"),
        (
            lambda own: [operation(f"{ITI_2010}AssociationType:SubmitAssociation", own)],
            "XDSMetadataUpdateOperationError",
        ),
        (
            lambda own: [status_change(own, "Approved", "Deprecated"), new_link(HAS_MEMBER, uuid4().urn, own)],
            "UnresolvedReferenceException",
        ),
    ],
)
def test_a_change_that_cannot_be_made_leaves_everything(
    soap: SoapClient, number: str, operations: Any, code: str
) -> None:
    _, first = published(soap, number)
    answer = changes(soap, number, *operations(first))
    assert (answer.outcome, answer.codes) == ("Failure", [code])
    assert ids_of(soap.finds(number)) == [first]
    assert len(everything_of(soap, number).packages) == 1


# ---- ITI-62 and ITI-86 ----


def test_what_is_removed_is_gone_at_every_door_and_its_record_stays(soap: SoapClient, number: str) -> None:
    document, first = published(soap, number)
    fhir, own_id = by_fhir(soap, document)
    new = revised(document, first)
    assert changes(soap, number, revision(new, "1.1"), documents=[new]).outcome == "Success"
    assert len(fhir.get(f"/fhir/DocumentReference/{own_id}/_history").bundle["entry"]) == 2
    assert soap.retrieves(document.unique_id).outcome == "Success"
    answer = removes(soap, *ids_of(everything_of(soap, number)))
    assert (answer.outcome, answer.codes) == ("Success", [])
    assert answer.header("Action") == f"{ITI_2010}DeleteDocumentSetResponse"
    assert ids_of(everything_of(soap, number)) == []
    assert soap.retrieves(document.unique_id).codes == ["XDSDocumentUniqueIdError"]
    for path in (f"/fhir/DocumentReference/{own_id}", f"/fhir/Binary/{own_id}"):
        assert fhir.get(path).status == 410
    assert fhir.get(f"/fhir/DocumentReference/{own_id}/_history/1").status == 410
    assert fhir.get(f"/fhir/DocumentReference/{own_id}/_history").status == 404
    with soap.hospital.house.storage.read() as unit:
        assert unit.documents.versions(own_id) == (), "nothing of what it said is left"
        record = unit.patients.record(PatientIdentifier(fhir.system, number))
        assert record is not None
        rows = unit.disclosures.search(record_ids=(record.id,))
    assert {"ITI-41", "ITI-43", "ITI-62"} <= {row.transaction for row in rows}


def test_bytes_go_after_their_metadata_and_only_then(soap: SoapClient, number: str) -> None:
    document, _ = published(soap, number)
    first = removes_bytes(soap, document.unique_id)
    assert (first.outcome, first.codes) == ("Failure", ["XDSRepositoryError"])
    assert soap.retrieves(document.unique_id).contents == [document.content]
    assert removes(soap, *ids_of(everything_of(soap, number))).outcome == "Success"
    gone = removes_bytes(soap, document.unique_id)
    assert (gone.outcome, gone.codes) == ("Success", [])
    assert removes_bytes(soap, document.unique_id).codes == ["XDSDocumentUniqueIdError"]
    assert soap.provides(Submission(number, [document])).outcome == "Success", "it can be handed in again"
    assert soap.retrieves(document.unique_id).contents == [document.content]


def ties_of(answer: SoapAnswer, end: str) -> list[str]:
    """The associations that begin or end at an object."""
    found = answer.all(".//r:Association")
    return [one.get("id") for one in found if end in (one.get("sourceObject"), one.get("targetObject"))]


def set_of(answer: SoapAnswer, member: str) -> str:
    """The submission set that brought it."""
    sets = [one.get("id") for one in answer.packages if slot(one, "submissionTime")]
    return next(source for _, source, target in answer.associations if target == member and source in sets)


def test_a_part_that_something_still_leads_to_is_not_removed(soap: SoapClient, number: str) -> None:
    document, folder = Document(number), FolderOf(number)
    links = [(HAS_MEMBER, folder.id, document.id, "")]
    assert soap.provides(Submission(number, [document], [folder], links=links)).outcome == "Success"
    before = everything_of(soap, number)
    (entry,) = [one.get("id") for one in before.documents]
    (of_set,) = [one.get("id") for one in before.packages if slot(one, "submissionTime")]
    told = soap.queries("GetAssociations", ("$uuid", f"('{of_set}')"))
    assert sorted(one.get("id") for one in told.all(".//r:Association")) == sorted(ties_of(before, of_set))
    whole, own_set = ids_of(before), set_of(before, entry)
    for ids, code in (
        ([entry], "ReferencesExistException"),
        ([own_set], "ReferencesExistException"),
        ([one for one in whole if one != own_set], "XDSUnreferencedObjectException"),
        ([own_set, *ties_of(before, own_set)], "XDSUnreferencedObjectException"),
        ([*whole, uuid4().urn], "UnresolvedReferenceException"),
        ([document.unique_id], "UnresolvedReferenceException"),
        (["' OR 1=1 --"], "UnresolvedReferenceException"),
    ):
        answer = removes(soap, *ids)
        assert (answer.outcome, answer.codes) == ("Failure", [code]), ids
        assert sorted(ids_of(everything_of(soap, number))) == sorted(whole)
    assert removes(soap, entry, *ties_of(before, entry)).outcome == "Success"
    after = everything_of(soap, number)
    assert (after.documents, len(after.packages)) == ([], 2)


def test_what_replaced_a_removed_document_forgets_it(soap: SoapClient, number: str) -> None:
    _, old = published(soap, number)
    newer = Document(number, b"%PDF newer")
    link = (f"{ASSOCIATION}RPLC", newer.id, old, "")
    assert soap.provides(Submission(number, [newer], links=[link])).outcome == "Success"
    before = everything_of(soap, number)
    assert removes(soap, old, set_of(before, old), *ties_of(before, old)).outcome == "Success"
    after = everything_of(soap, number)
    assert [one[0] for one in after.associations] == ["HasMember"]
    assert after.unique_ids == [newer.unique_id]


def test_a_removal_of_anything_but_what_it_lists_is_refused(soap: SoapClient, number: str) -> None:
    published(soap, number)
    scope = ' deletionScope="urn:oasis:names:tc:ebxml-regrep:DeletionScopeType:DeleteAll"'
    assert removes(soap, *ids_of(everything_of(soap, number)), extra=scope).codes == ["XDSRegistryError"]
    assert removes(soap).codes == ["XDSRegistryError"]
    assert removes_bytes(soap, oid()).codes == ["XDSDocumentUniqueIdError"]
    assert removes_bytes(soap, oid(), repository="2.25.1").codes == ["XDSUnknownRepositoryId"]
    assert removes_bytes(soap).fault[0] == "s:Sender"
    assert len(soap.finds(number).documents) == 1


def test_bytes_that_another_document_of_the_patient_is_made_of_stay(soap: SoapClient, number: str) -> None:
    content = b"%PDF twice" * 50_000
    first, second = Document(number, content), Document(number, content)
    for one in (first, second):
        assert soap.provides(Submission(number, [one])).outcome == "Success"
    gone = soap.queries("GetDocuments", ("$XDSDocumentEntryUniqueId", f"('{first.unique_id}')")).documents[0].get("id")
    before = everything_of(soap, number)
    assert removes(soap, gone, set_of(before, gone), *ties_of(before, gone)).outcome == "Success"
    assert removes_bytes(soap, first.unique_id).outcome == "Success"
    assert soap.retrieves(second.unique_id).contents == [content]


def test_a_file_that_was_removed_is_no_longer_on_the_disk(soap: SoapClient, number: str) -> None:
    document, _ = published(soap, number, content=b"%PDF large" * 50_000)
    contents = soap.hospital.house.settings.contents
    name = hashlib.sha256(document.content or b"").hexdigest()
    assert list(contents.rglob(name))
    assert removes(soap, *ids_of(everything_of(soap, number))).outcome == "Success"
    assert removes_bytes(soap, document.unique_id).outcome == "Success"
    assert not list(contents.rglob(name))


@pytest.mark.parametrize("role", [Role.DOCTOR, Role.NURSE, Role.REGISTRAR, Role.ADMINISTRATOR])
def test_nobody_removes_or_changes_in_passing(soap: SoapClient, number: str, role: Role) -> None:
    document, first = published(soap, number)
    whole = ids_of(everything_of(soap, number))
    change = Change(number, operations=[status_change(first, "Approved", "Deprecated")]).xml(soap)
    for action, body in ((REMOVE, removal(*whole)), (UPDATE, change)):
        answer = as_somebody(soap, role, "/xds/registry", action, body)
        assert (answer.status, answer.fault) == (403, ("s:Sender", "wsse:FailedAuthentication"))
    assert soap.finds(number).unique_ids == [document.unique_id]


def test_what_changes_is_asked_of_the_house_door_alone() -> None:
    found = [one for one in TRANSACTIONS if one.name in ("ITI-57", "ITI-62", "ITI-86")]
    assert len(found) == 3
    assert {door for one in found for door in one.doors} == {"house"}


def test_the_messages_are_those_of_the_official_schemas(soap: SoapClient, number: str) -> None:
    document, first = published(soap, number)
    new = revised(document, first)
    operations = [revision(new, "1.1"), new_link(HAS_MEMBER, uuid4().urn, first)]
    for body in (Change(number, [new], operations=operations).xml(soap), removal(first)):
        refuse_faulty(etree.fromstring(body))
    official = schema("xds/rmd.xsd")
    if official is not None:
        official.assertValid(etree.fromstring(bytes_removal(document.unique_id, soap.repository)))


def tie(answer: SoapAnswer, kind: str, source: str, target: str) -> str:
    """The id of one association."""
    return next(
        one.get("id")
        for one in answer.all(".//r:Association")
        if one.get("associationType").endswith(kind)
        and (one.get("sourceObject"), one.get("targetObject")) == (source, target)
    )


def test_a_document_leaves_a_folder_and_an_addendum_its_report(soap: SoapClient, number: str) -> None:
    document, second, folder = Document(number), Document(number, b"%PDF two", id="Document02"), FolderOf(number)
    links = [(HAS_MEMBER, folder.id, document.id, ""), (f"{ASSOCIATION}APND", second.id, document.id, "")]
    assert soap.provides(Submission(number, [document, second], [folder], links=links)).outcome == "Success"
    before = everything_of(soap, number)
    uuids = dict(zip(before.unique_ids, (one.get("id") for one in before.documents), strict=True))
    report, addendum = uuids[document.unique_id], uuids[second.unique_id]
    kept = next(one.get("id") for one in before.packages if not slot(one, "submissionTime"))
    joined, appended = tie(before, "HasMember", kept, report), tie(before, "APND", addendum, report)
    assert removes(soap, joined, appended).outcome == "Success"
    after = everything_of(soap, number)
    assert set(ids_of(before)) - set(ids_of(after)) == {joined, appended}
    assert set(after.unique_ids) == {document.unique_id, second.unique_id}
    assert removes(soap, joined).codes == ["UnresolvedReferenceException"]


def test_a_set_keeps_what_no_other_set_has(soap: SoapClient, number: str) -> None:
    document, second = Document(number), Document(number, b"%PDF two", id="Document02")
    assert soap.provides(Submission(number, [document, second])).outcome == "Success"
    before = everything_of(soap, number)
    (own_set,) = [one.get("id") for one in before.packages]
    first, other = [one.get("id") for one in before.documents]
    for ids in ([tie(before, "HasMember", own_set, first)], ties_of(before, own_set)):
        assert removes(soap, *ids).codes == ["XDSUnreferencedObjectException"]
        assert sorted(ids_of(everything_of(soap, number))) == sorted(ids_of(before))
    link = (HAS_MEMBER, "SubmissionSet01", first, "Reference")
    assert soap.provides(Submission(number, [Document(number, b"%PDF three")], links=[link])).outcome == "Success"
    assert removes(soap, tie(before, "HasMember", own_set, first)).outcome == "Success"
    assert {first, other} <= {one.get("id") for one in everything_of(soap, number).documents}


# ---- folders ----


@dataclass
class RevisedFolder(FolderOf):
    """A folder of the registry with other metadata."""

    lid: str = ""

    def xml(self, client: SoapClient) -> str:
        return super().xml(client).replace("<r:RegistryPackage ", f'<r:RegistryPackage lid="{self.lid}" ', 1)


def folder_revision(folder: RevisedFolder, previous: str) -> str:
    return operation(HAS_MEMBER, folder.id, SubmissionSetStatus="Original", PreviousVersion=previous)


def test_a_new_version_of_a_folder_keeps_what_is_in_it(soap: SoapClient, number: str) -> None:
    document, folder = Document(number), FolderOf(number)
    links = [(HAS_MEMBER, folder.id, document.id, "")]
    assert soap.provides(Submission(number, [document], [folder], links=links)).outcome == "Success"
    by_unique_id = ("$XDSFolderUniqueId", f"('{folder.unique_id}')")
    (before,) = soap.queries("GetFolders", by_unique_id).packages
    first = before.get("id")
    new = RevisedFolder(number, unique_id=folder.unique_id, title="Hồ sơ chỉnh hình", lid=first)
    answer = changes(soap, number, folder_revision(new, "1.1"), folders=[new])
    assert (answer.outcome, answer.codes) == ("Success", [])
    inside = soap.queries("GetFolderAndContents", ("$XDSFolderUniqueId", f"'{folder.unique_id}'"))
    (now,) = inside.packages
    assert (inside.unique_ids, now.get("lid"), now.get("status")) == ([document.unique_id], first, APPROVED)
    assert now.find("r:Name/r:LocalizedString", NS).get("value") == new.title
    for name in (by_unique_id, ("$XDSFolderLogicalID", f"('{first}')")):
        both = soap.queries("GetFolders", name).packages
        assert {(one.get("id"), one.get("status")) for one in both} == {(first, DEPRECATED), (now.get("id"), APPROVED)}
    late = changes(soap, number, folder_revision(new, "1.1"), folders=[new])
    assert late.codes == ["XDSMetadataVersionError"]
    fhir = Client(soap.hospital)
    name = f"urn:ietf:rfc:3986|urn:oid:{folder.unique_id}"
    (shown,) = fhir.get("/fhir/List", identifier=name, code="folder").found
    assert shown["title"] == new.title
    assert removes(soap, *ids_of(everything_of(soap, number))).outcome == "Success"
    assert ids_of(everything_of(soap, number)) == []


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"lid": uuid4().urn}, "XDSMetadataUpdateError"),
        ({"lid": "1"}, "XDSMetadataUpdateError"),
        ({"unique_id": oid()}, "XDSMetadataUpdateError"),
        ({"previous": "7"}, "XDSMetadataVersionError"),
        ({"owner": "A1"}, "XDSPatientIDReconciliationError"),
    ],
)
def test_a_new_version_of_a_folder_that_is_none_changes_nothing(
    soap: SoapClient, number: str, how: dict[str, str], code: str
) -> None:
    folder = FolderOf(number)
    assert soap.provides(Submission(number, [], [folder])).outcome == "Success"
    by_unique_id = ("$XDSFolderUniqueId", f"('{folder.unique_id}')")
    (before,) = soap.queries("GetFolders", by_unique_id).packages
    owner = how.get("owner", number)
    new = RevisedFolder(
        owner, unique_id=how.get("unique_id", folder.unique_id), title="Khác", lid=how.get("lid", before.get("id"))
    )
    answer = changes(soap, owner, folder_revision(new, how.get("previous", "1.1")), folders=[new])
    assert (answer.outcome, answer.codes) == ("Failure", [code])
    (after,) = soap.queries("GetFolders", by_unique_id).packages
    assert etree.tostring(after) == etree.tostring(before)
