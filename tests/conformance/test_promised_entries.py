"""What another repository of this hospital can make is registered, and found by who asks for such entries alone."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.conformance.changes import ids_of, removes, stranger
from tests.conformance.client import Client
from tests.conformance.soap import (
    APPROVED,
    ASSOCIATION,
    DEPRECATED,
    HAS_MEMBER,
    Document,
    FolderOf,
    SoapAnswer,
    SoapClient,
    Submission,
    envelope,
    oid,
    slot,
)
from tests.conformance.test_gateways import Gateway, gateway, matched
from tests.conformance.test_on_demand import ALONE, ON_DEMAND, STABLE, WITH_BOTH
from tests.conformance.test_soap_mutations import mutated

__all__ = ["gateway"]

ACTION = "urn:ihe:iti:2010:RegisterOnDemandDocumentEntry"
ELSEWHERE = "2.25.4711"
IN_FOLDER = (HAS_MEMBER, "Folder01", "Document01", "")


@pytest.fixture
def number(soap: SoapClient) -> str:
    return stranger(soap)


def promise(number: str, **how: Any) -> Document:
    drop = frozenset({"creationTime", *how.pop("drop", ())})
    return Document(number, None, drop=drop, slots={"repositoryUniqueId": [ELSEWHERE], **how.pop("slots", {})}, **how)


def message(soap: SoapClient, number: str, *documents: Document, **how: Any) -> str:
    return Submission(number, documents, **how).xml(soap).replace(STABLE, ON_DEMAND)


def registers(soap: SoapClient, number: str, *documents: Document, **how: Any) -> SoapAnswer:
    return soap.asks("/xds/registry", ACTION, message(soap, number, *documents, **how))


def test_it_is_found_by_who_asks_for_such_entries_alone(soap: SoapClient, number: str) -> None:
    document = promise(number)
    answer = registers(soap, number, document)
    assert (answer.outcome, answer.header("Action")) == ("Success", "urn:ihe:iti:2010:RegisterOnDemandDocumentResponse")
    assert document.unique_id not in soap.finds(number).unique_ids
    assert document.unique_id in soap.finds(number, WITH_BOTH).unique_ids
    (entry,) = [one for one in soap.finds(number, ALONE).documents if slot(one, "repositoryUniqueId") == [ELSEWHERE]]
    assert entry.get("objectType") == ON_DEMAND
    assert [slot(entry, name) for name in ("size", "hash", "creationTime")] == [[], [], []]
    by_id = ("$XDSDocumentEntryEntryUUID", f"('{entry.get('id')}')")
    assert soap.queries("GetDocuments", by_id).unique_ids == [document.unique_id]
    everything = [(f"$XDS{kind}Status", f"('{APPROVED}')") for kind in ("DocumentEntry", "SubmissionSet", "Folder")]
    patient = ("$patientId", f"'{soap.cx(number)}'")
    assert document.unique_id not in soap.queries("GetAll", patient, *everything).unique_ids
    assert document.unique_id in soap.queries("GetAll", patient, *everything, WITH_BOTH).unique_ids
    sets = soap.queries("GetSubmissionSets", ("$uuid", f"('{entry.get('id')}')"))
    assert (len(sets.packages), len(sets.associations)) == (1, 1)
    assert soap.retrieves(document.unique_id).codes == ["XDSDocumentUniqueIdError"]
    assert soap.retrieves(document.unique_id, repository=ELSEWHERE).codes == ["XDSUnknownRepositoryId"]


def test_over_fhir_it_is_not_there(soap: SoapClient, number: str) -> None:
    document, folder = promise(number), FolderOf(number)
    assert registers(soap, number, document, folders=[folder], links=[IN_FOLDER]).outcome == "Success"
    fhir = Client(soap.hospital)
    with soap.hospital.house.storage.read() as unit:
        entry = unit.documents.by_unique_id(f"urn:oid:{document.unique_id}")
    assert entry is not None
    for question in (
        {"patient.identifier": f"{fhir.system}|{number}"},
        {"identifier": f"urn:ietf:rfc:3986|urn:oid:{document.unique_id}"},
        {"_id": entry.id},
    ):
        assert fhir.get("/fhir/DocumentReference", **question).found == [], question
    for place in ("DocumentReference/{}", "Binary/{}", "DocumentReference/{}/_history"):
        assert fhir("GET", f"/fhir/{place.format(entry.id)}").status == 404
    lists = fhir.get("/fhir/List", **{"patient.identifier": f"{fhir.system}|{number}"}).found
    assert len(lists) == 2, "the set, and the folder"
    for one in lists:
        for place in (f"List/{one['id']}", f"List/{one['id']}/_history"):
            assert entry.id not in fhir("GET", f"/fhir/{place}").body.decode()


def test_the_same_again_changes_nothing_and_a_document_is_no_promise(soap: SoapClient, number: str) -> None:
    document = promise(number)
    for _ in range(2):
        assert registers(soap, number, document).outcome == "Success"
    stable = Document(number, b"%PDF real", unique_id=document.unique_id)
    assert soap.provides(Submission(number, [stable])).codes == ["XDSNonIdenticalHash"]
    real = Document(number)
    assert soap.provides(Submission(number, [real])).outcome == "Success"
    assert registers(soap, number, promise(number, unique_id=real.unique_id)).codes == ["XDSNonIdenticalHash"]
    assert soap.finds(number).unique_ids == [real.unique_id]


def test_a_new_promise_replaces_the_old_one(soap: SoapClient, number: str) -> None:
    first = promise(number)
    assert registers(soap, number, first).outcome == "Success"
    by_id = ("$XDSDocumentEntryUniqueId", f"('{first.unique_id}')")
    (entry,) = soap.queries("GetDocuments", by_id).documents
    second = promise(number)
    replaces = (f"{ASSOCIATION}RPLC", second.id, entry.get("id"), "")
    assert registers(soap, number, second, links=[replaces]).outcome == "Success"
    assert soap.queries("GetDocuments", by_id).documents[0].get("status") == DEPRECATED
    found = soap.finds(number, ALONE).unique_ids
    assert (second.unique_id in found, first.unique_id in found) == (True, False)
    again = registers(soap, number, promise(number), links=[replaces])
    assert again.codes == ["XDSRegistryDeprecatedDocumentError"]


def test_it_is_related_to_others_for_who_asks_for_such_entries(soap: SoapClient, number: str) -> None:
    report = Document(number)
    assert soap.provides(Submission(number, [report])).outcome == "Success"
    by_id = ("$XDSDocumentEntryUniqueId", f"('{report.unique_id}')")
    (entry,) = soap.queries("GetDocuments", by_id).documents
    document = promise(number)
    appended = (f"{ASSOCIATION}APND", document.id, entry.get("id"), "")
    assert registers(soap, number, document, links=[appended]).outcome == "Success"
    asked = (("$XDSDocumentEntryUniqueId", f"'{report.unique_id}'"), ("$AssociationTypes", f"('{ASSOCIATION}APND')"))
    both = soap.queries("GetRelatedDocuments", *asked, WITH_BOTH)
    assert (set(both.unique_ids), len(both.associations)) == ({report.unique_id, document.unique_id}, 1)
    stable = soap.queries("GetRelatedDocuments", *asked)
    assert (stable.unique_ids, stable.associations) == ([], []), "alone it is not related to anything"


def test_it_goes_into_folders_and_is_removed_like_every_entry(soap: SoapClient, number: str) -> None:
    folder = FolderOf(number)
    document = promise(number)
    assert registers(soap, number, document, folders=[folder], links=[IN_FOLDER]).outcome == "Success"
    inside = soap.queries("GetFolderAndContents", ("$XDSFolderUniqueId", f"'{folder.unique_id}'"), WITH_BOTH)
    assert (inside.unique_ids, len(inside.packages)) == ([document.unique_id], 1)
    without = soap.queries("GetFolderAndContents", ("$XDSFolderUniqueId", f"'{folder.unique_id}'"))
    assert (without.unique_ids, len(without.packages)) == ([], 1)
    (entry,) = inside.documents
    lists = [(f"$XDS{kind}Status", f"('{APPROVED}')") for kind in ("DocumentEntry", "SubmissionSet", "Folder")]
    listed = soap.queries("GetAll", ("$patientId", f"'{soap.cx(number)}'"), *lists, WITH_BOTH)
    (summary,) = {one.get("id") for one in listed.documents} - {entry.get("id")}
    assert len(listed.associations) == 3
    assert removes(soap, *(one for one in ids_of(listed) if one != summary)).outcome == "Success"
    assert document.unique_id not in soap.finds(number, ALONE).unique_ids


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a hash": ({"slots": {"hash": ["0" * 40]}}, "XDSRegistryMetadataError"),
    "a size": ({"slots": {"size": ["12"]}}, "XDSRegistryMetadataError"),
    "a signer": ({"slots": {"legalAuthenticator": ["1^Lê^Mẫu^^^^^^&2.25.77&ISO"]}}, "XDSRegistryMetadataError"),
    "no repository": ({"drop": ["repositoryUniqueId"]}, "XDSRegistryMetadataError"),
    "no patient": ({"drop": ["patientId"]}, "XDSRegistryMetadataError"),
    "no type": ({"drop": ["type"]}, "XDSRegistryMetadataError"),
    "another patient": ({"patient": "B1^^^&2.25.5&ISO"}, "XDSPatientIdDoesNotMatch"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_a_promise_may_not_say_is_refused_whole(soap: SoapClient, number: str, name: str) -> None:
    how, expected = WRONG[name]
    good, bad = promise(number), promise(number, id="Document02", **how)
    answer = registers(soap, number, good, bad)
    assert (answer.outcome, answer.codes) == ("Failure", [expected])
    assert good.unique_id not in soap.finds(number, ALONE).unique_ids


def test_rules_of_the_message(soap: SoapClient, number: str) -> None:
    assert registers(soap, "nobody", promise("nobody")).codes == ["XDSUnknownPatientId"]
    own = promise(number, slots={"repositoryUniqueId": [soap.repository]})
    assert registers(soap, number, own).codes == ["XDSRegistryMetadataError"]
    stable = Submission(number, [Document(number)]).xml(soap)
    assert soap.asks("/xds/registry", ACTION, stable).codes == ["XDSRegistryMetadataError"]
    for action in ("urn:ihe:iti:2007:RegisterDocumentSet-b",):
        assert soap.asks("/xds/registry", action, message(soap, number, promise(number))).outcome == "Failure"
    elsewhere = soap.asks("/xds/repository", ACTION, message(soap, number, promise(number)))
    assert (elsewhere.status, elsewhere.fault[1]) == (400, "a:ActionNotSupported")
    twice = [promise(number), promise(number, id="Document02")]
    twice[1].unique_id = twice[0].unique_id
    assert registers(soap, number, *twice).codes == ["XDSRegistryDuplicateUniqueIdInMessage"]


def test_a_broken_message_has_its_code_or_a_fault(soap: SoapClient, number: str) -> None:
    chance = random.Random(61)
    for _ in range(60):
        broken = mutated(message(soap, number, promise(number, unique_id=oid())).encode(), chance).decode()
        answer = soap.sends("/xds/registry", "application/soap+xml", envelope(ACTION, broken), check=False)
        assert answer.status < 500, broken


def test_another_hospital_finds_it_as_it_may_and_this_gateway_says_what_it_leaves_out(gateway: Gateway) -> None:
    holder, consumer = SoapClient(gateway.holder), SoapClient(gateway.own)
    known = {"sourcePatientInfo": ["PID-5|Nguyễn^Văn Mẫu", "PID-7|19900501"]}
    document, hidden = promise("A1", slots=known), promise("B1")
    assert registers(holder, "A1", document).outcome == registers(holder, "B1", hidden).outcome == "Success"
    root, number = matched(gateway.discovers())
    patient = ("$XDSDocumentEntryPatientId", f"'{number}^^^&{root}&ISO'")
    status = ("$XDSDocumentEntryStatus", f"('{APPROVED}')")
    assert gateway.queries("FindDocuments", patient, status).documents == []
    assert gateway.queries("FindDocuments", patient, status, ALONE).unique_ids == [document.unique_id]
    by_id = ("$XDSDocumentEntryUniqueId", f"('{document.unique_id}','{hidden.unique_id}')")
    assert gateway.queries("GetDocuments", by_id, home=str(gateway.holder.home)).unique_ids == [document.unique_id]
    said = consumer.finds("A1", WITH_BOTH, path="/xca/initiating")
    assert (said.outcome, said.codes) == ("Success", ["XDSRegistryError"])
    lists = [(f"$XDS{kind}Status", f"('{APPROVED}')") for kind in ("DocumentEntry", "SubmissionSet", "Folder")]
    everything = consumer.queries(
        "GetAll", ("$patientId", f"'{consumer.cx('A1')}'"), *lists, WITH_BOTH, path="/xca/initiating"
    )
    assert document.unique_id not in everything.unique_ids
    assert everything.codes == ["XDSTooManyResults"]
