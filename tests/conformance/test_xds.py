"""A hospital whose systems speak only SOAP publishes, finds and opens its documents, by the rules of XDS.b."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from tests.conformance.client import Client, own_name, provided, stored
from tests.conformance.soap import (
    APPROVED,
    ASSOCIATION,
    CODES,
    DEPRECATED,
    HAS_MEMBER,
    NS,
    Document,
    FolderOf,
    SoapAnswer,
    SoapClient,
    Submission,
    slot,
    with_hash,
)


@pytest.fixture
def number(soap: SoapClient) -> str:
    """A patient of the test's own."""
    number = f"P{uuid4().hex[:8]}"
    assert Client(soap.hospital).registers(number, name=own_name()).status == 201
    return number


@pytest.mark.parametrize("inline", [False, True])
def test_what_is_provided_is_found_and_comes_back_byte_for_byte(soap: SoapClient, number: str, inline: bool) -> None:
    content = b"%PDF-1.4 \r\n--b1 is not the boundary\r\n\x00\xff"
    document = Document(number, content)
    answer = soap.provides(Submission(number, [document]), inline=inline)
    assert (answer.outcome, answer.codes) == ("Success", [])
    assert answer.header("Action").endswith("ProvideAndRegisterDocumentSet-bResponse")
    assert answer.header("RelatesTo") == "urn:uuid:1"
    found = soap.finds(number)
    assert found.unique_ids == [document.unique_id]
    (entry,) = found.documents
    assert entry.get("status") == APPROVED
    assert entry.get("home") == str(soap.hospital.home)
    assert slot(entry, "size") == [str(len(content))]
    assert slot(entry, "sourcePatientInfo") == document.slots.get("sourcePatientInfo", slot(entry, "sourcePatientInfo"))
    for mtom in (True, False):
        fetched = soap.retrieves(document.unique_id, mtom=mtom)
        assert (fetched.outcome, fetched.contents) == ("Success", [content])


def test_a_foreign_spelling_survives_the_way_in_and_out(soap: SoapClient, number: str) -> None:
    references = ["ACC-7^^^&2.25.4&ISO^urn:ihe:iti:xds:2013:accession"]
    more = {"urn:test:thing": ["một", "hai"], "urn:ihe:iti:xds:2013:referenceIdList": references}
    document = Document(number, slots=more, title='Kết quả <CT> & "MRI"')
    assert soap.provides(Submission(number, [document])).outcome == "Success"
    (entry,) = soap.finds(number).documents
    assert slot(entry, "urn:test:thing") == ["một", "hai"]
    assert slot(entry, "urn:ihe:iti:xds:2013:referenceIdList") == references
    assert entry.find("r:Name/r:LocalizedString", NS).get("value") == document.title
    assert slot(entry, "creationTime") == ["20260503021500"]
    assert slot(entry, "serviceStartTime") == ["20260503021000"]
    written = entry.find("r:Classification[@classificationScheme='urn:uuid:93606bcf-9494-43ec-9b4e-a7748d1a838d']", NS)
    assert slot(written, "authorPerson") == ["BS01^Lê^Mẫu^Văn^^BS.^^^&2.25.77&ISO"]
    practice = "r:Classification[@classificationScheme='urn:uuid:cccf5598-8b07-4b77-a05e-ae952c785ead']"
    assert slot(entry.find(practice, NS), "codingScheme") == ["Thử nghiệm"]


def test_one_registry_stands_behind_both_doors(soap: SoapClient, number: str) -> None:
    document = Document(number, b"%PDF over SOAP")
    assert soap.provides(Submission(number, [document])).outcome == "Success"
    fhir = Client(soap.hospital)
    question = {"patient.identifier": f"{fhir.system}|{number}", "status": "current"}
    (found,) = fhir.get("/fhir/DocumentReference", **question).found
    assert found["masterIdentifier"]["value"] == f"urn:oid:{document.unique_id}"
    assert found["type"]["coding"][0]["system"] == "http://loinc.org"
    url = found["content"][0]["attachment"]["url"]
    assert fhir("GET", url, Accept="application/pdf").body == b"%PDF over SOAP"

    stored(fhir("POST", "/fhir", provided(fhir.subject(number), content=b"%PDF over FHIR")))
    both = soap.finds(number)
    assert len(both.documents) == 2
    other = next(one for one in both.unique_ids if one != document.unique_id)
    assert soap.retrieves(other).contents == [b"%PDF over FHIR"]


def test_a_replacement_takes_the_place_in_folders_and_ends_what_hung_on_the_old(soap: SoapClient, number: str) -> None:
    first = Document(number, b"%PDF first")
    appended = Document(number, b"%PDF addendum", id="Document02")
    folder = FolderOf(number)
    links = [
        (HAS_MEMBER, "Folder01", "Document01", ""),
        (ASSOCIATION + "APND", "Document02", "Document01", ""),
    ]
    assert soap.provides(Submission(number, [first, appended], [folder], links)).outcome == "Success"
    old = {one: entry.get("id") for one, entry in zip(*_by_unique_id(soap.finds(number)), strict=True)}

    second = Document(number, b"%PDF second")
    replaces = (ASSOCIATION + "RPLC", "Document01", old[first.unique_id], "")
    assert soap.provides(Submission(number, [second], links=[replaces])).outcome == "Success"
    assert soap.finds(number).unique_ids == [second.unique_id]
    deprecated = soap.finds(number, ("$XDSDocumentEntryStatus", f"('{DEPRECATED}')"))
    assert sorted(deprecated.unique_ids) == sorted([first.unique_id, appended.unique_id])
    inside = soap.queries("GetFolderAndContents", ("$XDSFolderUniqueId", f"'{folder.unique_id}'"))
    assert sorted(inside.unique_ids) == sorted([first.unique_id, second.unique_id])

    again = Document(number, b"%PDF third")
    refused = soap.provides(Submission(number, [again], links=[replaces]))
    assert (refused.outcome, refused.codes) == ("Failure", ["XDSRegistryDeprecatedDocumentError"])
    assert soap.finds(number).unique_ids == [second.unique_id]


def _by_unique_id(answer: SoapAnswer) -> tuple[list[str], list[Any]]:
    return answer.unique_ids, answer.documents


def test_a_document_joins_a_folder_that_is_here(soap: SoapClient, number: str) -> None:
    folder = FolderOf(number)
    assert soap.provides(Submission(number, [], [folder])).outcome == "Success"
    found = soap.queries(
        "FindFolders", ("$XDSFolderPatientId", f"'{soap.cx(number)}'"), ("$XDSFolderStatus", f"('{APPROVED}')")
    )
    (uuid,) = (one.get("id") for one in found.packages)
    document = Document(number)
    joined = Submission(number, [document], links=[(HAS_MEMBER, uuid, "Document01", "")])
    assert soap.provides(joined).outcome == "Success"
    inside = soap.queries("GetFolderAndContents", ("$XDSFolderEntryUUID", f"'{uuid}'"))
    assert inside.unique_ids == [document.unique_id]


def submission(*documents: Document, number: str = "A1", **more: Any) -> Submission:
    return Submission(number, documents or [Document(number)], **more)


SHA1 = hashlib.sha1(b"other bytes", usedforsecurity=False).hexdigest()
UNKNOWN = "urn:uuid:00000000-0000-4000-8000-000000000001"
METADATA, UNRESOLVED = "XDSRegistryMetadataError", "UnresolvedReferenceException"
RPLC, SET = ASSOCIATION + "RPLC", "SubmissionSet01"
BAD_SLOTS: dict[str, dict[str, list[str]]] = {
    "hash is none": {"hash": ["abc"]},
    "size is none": {"size": ["many"]},
    "time is none": {"creationTime": ["2026-05"]},
    "day does not exist": {"creationTime": ["20261340"]},
    "empty slot": {"languageCode": [""]},
    "two values": {"languageCode": ["vi", "en"]},
    "no language": {"languageCode": ["tiếng Việt"]},
    "overlong value": {"urn:x:y": ["x" * 257]},
    "stop time is none": {"serviceStopTime": ["today"]},
    "source patient is no CX": {"sourcePatientId": ["A1"]},
    "repository is another": {"repositoryUniqueId": ["2.25.1"]},
}
NEEDED = ("creationTime", "languageCode", "sourcePatientId", "patientId", "uniqueId", *CODES)
LINKS: dict[str, tuple[tuple[str, str, str, str], str]] = {
    "replaces what is not here": ((RPLC, "Document01", UNKNOWN, ""), UNRESOLVED),
    "leads to no object": ((RPLC, "Document01", "Document77", ""), UNRESOLVED),
    "replaces itself": ((RPLC, "Document01", "Document01", ""), METADATA),
    "association of no kind": (("urn:x", "Document01", UNKNOWN, ""), METADATA),
    "refers to what is not here": ((HAS_MEMBER, SET, UNKNOWN, "Reference"), UNRESOLVED),
    "original from elsewhere": ((HAS_MEMBER, SET, UNKNOWN, "Original"), METADATA),
    "member without its status": ((HAS_MEMBER, SET, UNKNOWN, ""), METADATA),
    "member of a document": ((HAS_MEMBER, "Document01", UNKNOWN, ""), METADATA),
    "joins a folder that is not here": ((HAS_MEMBER, UNKNOWN, "Document01", ""), UNRESOLVED),
}
SAME_ID = ({"unique_id": "2.25.6"}, {"unique_id": "2.25.6", "id": "Document02"})
NO_SCHEME = {"type": ("f0306f51-975f-434e-a61c-c59651d33983", "1", "", "x")}
REFUSED: dict[str, tuple[Callable[[], Submission], str]] = {
    "patient is not known": (lambda: Submission("ZZ", [Document("ZZ")]), "XDSUnknownPatientId"),
    "two patients": (lambda: submission(Document("B1")), "XDSPatientIdDoesNotMatch"),
    "no submission set": (lambda: submission(sets=0), METADATA),
    "two submission sets": (lambda: submission(sets=2), METADATA),
    "not a member of the set": (lambda: submission(linked=False), METADATA),
    "bytes missing": (lambda: submission(Document("A1", None)), "XDSMissingDocument"),
    "other hash": (lambda: submission(Document("A1", slots={"hash": [SHA1]})), "XDSNonIdenticalHash"),
    "other size": (lambda: submission(Document("A1", slots={"size": ["3"]})), "XDSNonIdenticalSize"),
    "patient is no CX": (lambda: submission(Document("A1", patient="A1")), METADATA),
    "patient with more": (lambda: submission(Document("A1", patient="A1^x^^&2.25.1&ISO")), METADATA),
    "code without scheme": (lambda: submission(Document("A1", codes=NO_SCHEME)), METADATA),
    "media type is none": (lambda: submission(Document("A1", mime="pdf")), METADATA),
    "uniqueId twice": (
        lambda: submission(*(Document("A1", **same) for same in SAME_ID)),
        "XDSRepositoryDuplicateUniqueIdInMessage",
    ),
    **{name: ((lambda bad=bad: submission(Document("A1", slots=bad))), METADATA) for name, bad in BAD_SLOTS.items()},
    **{name: ((lambda link=link: submission(links=[link])), code) for name, (link, code) in LINKS.items()},
    **{
        f"without {name}": ((lambda name=name: submission(Document("A1", drop=frozenset({name})))), METADATA)
        for name in NEEDED
    },
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_breaks_a_rule_is_refused_by_its_code_and_leaves_nothing(soap: SoapClient, name: str) -> None:
    make, code = REFUSED[name]
    before = soap.hospital.holds()
    answer = soap.provides(make())
    assert (answer.status, answer.outcome, answer.codes) == (200, "Failure", [code])
    assert soap.hospital.holds() == before


def test_the_same_again_is_acknowledged_and_changes_nothing(soap: SoapClient, number: str) -> None:
    once = submission(number=number)
    for _ in range(2):
        assert soap.provides(once).outcome == "Success"
    assert len(soap.finds(number).documents) == 1
    other = Document(number, b"other bytes", unique_id=once.documents[0].unique_id)
    assert soap.provides(submission(other, number=number)).codes == ["XDSNonIdenticalHash"]
    taken = submission(Document(number, b"else"), number=number, unique_id=once.unique_id)
    assert soap.provides(taken).codes == ["XDSDuplicateUniqueIdInRegistry"]
    folder = FolderOf(number)
    assert soap.provides(submission(number=number, folders=[folder])).outcome == "Success"
    another = FolderOf(number, unique_id=folder.unique_id, title="another")
    assert soap.provides(submission(number=number, folders=[another])).codes == ["XDSDuplicateUniqueIdInRegistry"]


def test_documents_of_another_repository_are_registered_and_found(soap: SoapClient, number: str) -> None:
    kept = with_hash(Document(number, b"kept by the archive"), repositoryUniqueId="2.25.800")
    assert soap.registers(submission(kept, number=number)).outcome == "Success"
    (entry,) = soap.finds(number).documents
    assert slot(entry, "repositoryUniqueId") == ["2.25.800"]
    assert slot(entry, "hash") == [hashlib.sha1(b"kept by the archive", usedforsecurity=False).hexdigest()]
    assert soap.retrieves(kept.unique_id, repository="2.25.800").codes == ["XDSUnknownRepositoryId"]
    assert soap.retrieves(kept.unique_id).codes == ["XDSDocumentUniqueIdError"]
    assert soap.registers(submission(number=number)).codes == ["XDSRegistryMetadataError"]
    same = submission(
        with_hash(Document(number, unique_id="2.25.9"), repositoryUniqueId="2.25.800"),
        with_hash(Document(number, unique_id="2.25.9", id="Document02"), repositoryUniqueId="2.25.800"),
        number=number,
    )
    assert soap.registers(same).codes == ["XDSRegistryDuplicateUniqueIdInMessage"]


def test_some_of_what_is_asked_for_comes_and_the_rest_is_named(soap: SoapClient, number: str) -> None:
    document = Document(number, b"here")
    assert soap.provides(submission(document, number=number)).outcome == "Success"
    answer = soap.retrieves(document.unique_id, "2.25.404")
    assert (answer.outcome, answer.codes, answer.contents) == (
        "PartialSuccess",
        ["XDSDocumentUniqueIdError"],
        [b"here"],
    )
    assert soap.retrieves("2.25.404").outcome == "Failure"
    assert soap.retrieves(document.unique_id, repository="2.25.1").codes == ["XDSUnknownRepositoryId"]
