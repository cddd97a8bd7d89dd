"""Each of the fourteen stored queries answers what its definition says, in both forms, and by its own rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4

import pytest

from tests.conformance.client import Client, own_name
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
    external,
)

IS_APPROVED = f"('{APPROVED}')"
LOINC = "2.16.840.1.113883.6.1"
Slots = tuple[str, str | Sequence[str]]


@dataclass
class Held:
    """What one patient has: a report with an addendum in a folder, and another that replaced an earlier one."""

    number: str
    report: Document
    addendum: Document
    new: Document
    old: Document
    folder: FolderOf
    first: Submission
    uuids: dict[str, str]

    def uuid(self, thing: Document | FolderOf | Submission) -> str:
        return self.uuids[thing.unique_id]

    def named(self, answer: SoapAnswer) -> set[str]:
        """What of it an answer shows, by name."""
        known = {one.unique_id: name for name, one in vars(self).items() if hasattr(one, "unique_id")}
        kinds = ("XDSDocumentEntry", "XDSSubmissionSet", "XDSFolder")
        shown = (external(e, f"{kind}.uniqueId") for e in (*answer.documents, *answer.packages) for kind in kinds)
        return {known.get(one, "another") for one in shown if one}


@pytest.fixture(scope="module")
def held(soap: SoapClient) -> Held:
    number = f"Q{uuid4().hex[:8]}"
    Client(soap.hospital).registers(number, name=own_name())
    report = Document(number, b"report", slots={"urn:ihe:iti:xds:2013:referenceIdList": [ACCESSION]})
    mri = ("f0306f51-975f-434e-a61c-c59651d33983", "24590-2", LOINC, "MR Brain")
    addendum = Document(number, b"addendum", id="Document02", codes={"type": mri})
    folder = FolderOf(number)
    links = [(HAS_MEMBER, "Folder01", "Document01", ""), (ASSOCIATION + "APND", "Document02", "Document01", "")]
    first = Submission(number, [report, addendum], [folder], links)
    old, new = Document(number, b"old"), Document(number, b"new", slots={"creationTime": ["20260101"]})
    assert soap.provides(first).outcome == "Success"
    assert soap.provides(Submission(number, [old])).outcome == "Success"
    everything = ("$XDSDocumentEntryStatus", f"('{APPROVED}','{DEPRECATED}')")
    uuids = dict(zip(*_uuids(soap.finds(number, everything)), strict=True))
    replaces = [(ASSOCIATION + "RPLC", "Document01", uuids[old.unique_id], "")]
    assert soap.provides(Submission(number, [new], links=replaces)).outcome == "Success"
    found = soap.queries("GetAll", *_all(soap, number))
    uuids |= dict(zip(*_uuids(found), strict=True))
    for one in found.packages:
        uuids[external(one, "XDSFolder.uniqueId") or external(one, "XDSSubmissionSet.uniqueId")] = one.get("id")
    return Held(number, report, addendum, new, old, folder, first, uuids)


ACCESSION = "ACC-9^^^&2.25.4&ISO^urn:ihe:iti:xds:2013:accession"


def _uuids(answer: SoapAnswer) -> tuple[list[str], list[str]]:
    return answer.unique_ids, [one.get("id") for one in answer.documents]


def _all(soap: SoapClient, number: str, status: str = f"('{APPROVED}','{DEPRECATED}')") -> list[Slots]:
    kinds = ("DocumentEntry", "SubmissionSet", "Folder")
    return [("$patientId", f"'{soap.cx(number)}'"), *((f"$XDS{kind}Status", status) for kind in kinds)]


def find(soap: SoapClient, held: Held, *slots: Slots) -> set[str]:
    return held.named(soap.finds(held.number, *slots))


def test_documents_are_found_by_what_is_known_of_them(soap: SoapClient, held: Held) -> None:
    de = "$XDSDocumentEntry"
    current = {"report", "addendum", "new"}
    assert find(soap, held) == current
    assert find(soap, held, (f"{de}Status", f"('{DEPRECATED}')")) == {"old"}
    assert find(soap, held, (f"{de}TypeCode", f"('24590-2^^{LOINC}')")) == {"addendum"}
    assert find(soap, held, (f"{de}TypeCode", [f"('24590-2^^{LOINC}')", f"('24725-4^^{LOINC}')"])) == current
    assert find(soap, held, (f"{de}ClassCode", "('nothing^^2.25.1')")) == set()
    assert find(soap, held, (f"{de}PracticeSettingCode", "('RAD^^Thử nghiệm')")) == current
    assert find(soap, held, (f"{de}ConfidentialityCode", "('N^^2.16.840.1.113883.5.25')")) == current
    assert find(soap, held, (f"{de}FormatCode", "('urn:ihe:rad:PDF^^1.3.6.1.4.1.19376.1.2.3')")) == current
    assert find(soap, held, (f"{de}EventCodeList", "('x^^2.25.1')")) == set()
    assert find(soap, held, (f"{de}CreationTimeFrom", "20260102")) == {"report", "addendum"}
    assert find(soap, held, (f"{de}CreationTimeTo", "20260503021500")) == {"new"}
    assert find(soap, held, (f"{de}ServiceStartTimeFrom", "2026050302")) == current
    assert find(soap, held, (f"{de}ServiceStopTimeTo", "20260503")) == set()
    assert find(soap, held, (f"{de}AuthorPerson", "('%Lê^Mẫu%')")) == current
    assert find(soap, held, (f"{de}AuthorPerson", "('%Trần%')")) == set()
    on_demand = find(soap, held, (f"{de}Type", "('urn:uuid:34268e47-fdf5-41a6-ba33-82133c465248')"))
    assert on_demand == {"another"}, "the summary of the patient alone"
    assert held.named(soap.finds("nobody")) == set()


def test_the_fourteen_queries(soap: SoapClient, held: Held) -> None:
    patient = f"'{soap.cx(held.number)}'"
    report, addendum = f"('{held.uuid(held.report)}')", f"('{held.addendum.unique_id}')"
    old, folder = f"'{held.uuid(held.old)}'", f"'{held.folder.unique_id}'"
    de, ss, fo = "$XDSDocumentEntry", "$XDSSubmissionSet", "$XDSFolder"
    apnd = "urn:ihe:iti:2007:AssociationType:APND"
    asked: dict[str, tuple[list[Slots], set[str], int]] = {
        "FindDocuments": (
            [(f"{de}PatientId", patient), (f"{de}Status", IS_APPROVED)],
            {"report", "addendum", "new"},
            0,
        ),
        "FindDocumentsByReferenceId": (
            [(f"{de}PatientId", patient), (f"{de}Status", IS_APPROVED), (f"{de}ReferenceIdList", f"('{ACCESSION}')")],
            {"report"},
            0,
        ),
        "FindSubmissionSets": (
            [(f"{ss}PatientId", patient), (f"{ss}Status", IS_APPROVED), (f"{ss}SourceId", "('2.25.5')")],
            {"first", "another"},
            0,
        ),
        "FindFolders": (
            [(f"{fo}PatientId", patient), (f"{fo}Status", IS_APPROVED), (f"{fo}CodeList", "('trauma^^2.25.99')")],
            {"folder"},
            0,
        ),
        "GetAll": (
            _all(soap, held.number, IS_APPROVED),
            {"report", "addendum", "new", "first", "another", "folder"},
            6,
        ),
        "GetDocuments": ([(f"{de}EntryUUID", report)], {"report"}, 0),
        "GetFolders": ([(f"{fo}UniqueId", f"({folder})")], {"folder"}, 0),
        "GetAssociations": ([("$uuid", report)], set(), 3),
        "GetDocumentsAndAssociations": ([(f"{de}UniqueId", addendum)], {"addendum"}, 2),
        "GetSubmissionSets": ([("$uuid", report)], {"first"}, 1),
        "GetSubmissionSetAndContents": (
            [(f"{ss}UniqueId", f"'{held.first.unique_id}'")],
            {"first", "report", "addendum", "folder"},
            5,
        ),
        "GetFolderAndContents": ([(f"{fo}UniqueId", folder)], {"folder", "report"}, 1),
        "GetFoldersForDocument": ([(f"{de}EntryUUID", f"'{held.uuid(held.report)}'")], {"folder"}, 0),
        "GetRelatedDocuments": (
            [(f"{de}EntryUUID", f"'{held.uuid(held.report)}'"), ("$AssociationTypes", f"('{apnd}')")],
            {"report", "addendum"},
            1,
        ),
    }
    for name, (slots, shown, links) in asked.items():
        answer = soap.queries(name, *slots)
        assert (name, answer.outcome, answer.codes) == (name, "Success", [])
        assert (name, held.named(answer), len(answer.associations)) == (name, shown, links)
        refs = soap.queries(name, *slots, refs=True)
        objects = [*answer.documents, *answer.packages, *answer.all(".//r:Association")]
        assert (name, sorted(refs.references)) == (name, sorted(one.get("id") for one in objects))
    related = soap.queries("GetRelatedDocuments", (f"{de}EntryUUID", old), ("$AssociationTypes", f"('{apnd}')"))
    assert held.named(related) == set()
    rplc = soap.queries("GetRelatedDocuments", (f"{de}EntryUUID", old), ("$AssociationTypes", f"('{ASSOCIATION}RPLC')"))
    assert held.named(rplc) == {"old", "new"}
    assert rplc.associations == [("RPLC", held.uuid(held.new), held.uuid(held.old))]


PATIENT = ("$XDSDocumentEntryPatientId", "'A1^^^&2.25.1&ISO'")
STATUS = ("$XDSDocumentEntryStatus", IS_APPROVED)
UUID, UNIQUE = ("$XDSDocumentEntryEntryUUID", "('urn:uuid:1')"), ("$XDSDocumentEntryUniqueId", "('2.25.1')")
WRONG: dict[str, tuple[str, list[Slots], str]] = {
    "unknown query": ("00000000-0000-4000-8000-000000000000", [PATIENT], "XDSUnknownStoredQuery"),
    "no status": ("FindDocuments", [PATIENT], "XDSStoredQueryMissingParam"),
    "no patient": ("FindDocuments", [STATUS], "XDSStoredQueryMissingParam"),
    "only unknown statuses": (
        "FindDocuments",
        [PATIENT, ("$XDSDocumentEntryStatus", "('urn:other')")],
        "XDSStoredQueryMissingParam",
    ),
    "two patients": (
        "FindDocuments",
        [(PATIENT[0], ["'A1^^^&2.25.1&ISO'", "'A2^^^&2.25.1&ISO'"]), STATUS],
        "XDSStoredQueryParamNumber",
    ),
    "patient is no CX": ("FindDocuments", [(PATIENT[0], "'A1'"), STATUS], "XDSStoredQueryParamNumber"),
    "slot twice": ("FindDocuments", [PATIENT, STATUS, STATUS], "XDSStoredQueryParamNumber"),
    "uuid and unique id": ("GetDocuments", [UUID, UNIQUE], "XDSStoredQueryParamNumber"),
    "neither": ("GetDocuments", [], "XDSStoredQueryMissingParam"),
    "no uuid": ("GetAssociations", [], "XDSStoredQueryMissingParam"),
    "no association types": (
        "GetRelatedDocuments",
        [("$XDSDocumentEntryEntryUUID", "'urn:uuid:1'")],
        "XDSStoredQueryMissingParam",
    ),
    "code without scheme": (
        "FindDocuments",
        [PATIENT, STATUS, ("$XDSDocumentEntryClassCode", "('x')")],
        "XDSStoredQueryParamNumber",
    ),
    "time is none": (
        "FindDocuments",
        [PATIENT, STATUS, ("$XDSDocumentEntryCreationTimeFrom", "'today'")],
        "XDSStoredQueryParamNumber",
    ),
    "open quote": ("FindDocuments", [(PATIENT[0], "'A1"), STATUS], "XDSRegistryError"),
    "words without quotes": ("FindDocuments", [(PATIENT[0], "A1 or 1=1"), STATUS], "XDSRegistryError"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_query_that_cannot_be_asked_is_refused_by_its_code(soap: SoapClient, name: str) -> None:
    query, slots, code = WRONG[name]
    answer = soap.queries(query, *slots)
    assert (answer.status, answer.outcome, answer.codes) == (200, "Failure", [code])


def test_objects_of_two_patients_come_only_as_references(soap: SoapClient, held: Held) -> None:
    other = Document("B1")
    assert soap.provides(Submission("B1", [other])).outcome == "Success"
    both = ("$XDSDocumentEntryUniqueId", [f"('{held.report.unique_id}')", f"('{other.unique_id}')"])
    whole = soap.queries("GetDocuments", both)
    assert (whole.outcome, whole.codes, whole.documents) == ("Failure", ["XDSResultNotSinglePatient"], [])
    assert len(soap.queries("GetDocuments", both, refs=True).references) == 2


def test_a_condition_that_is_not_known_is_said_and_not_passed_over_in_silence(soap: SoapClient, held: Held) -> None:
    answer = soap.finds(held.number, ("$XDSDocumentEntryColour", "('green')"))
    assert answer.outcome == "Success"
    (line,) = answer.all(".//rs:RegistryError")
    assert line.get("severity").endswith("Warning")
    assert "$XDSDocumentEntryColour" in line.get("codeContext")


def test_quotes_inside_a_value_are_doubled(soap: SoapClient) -> None:
    assert soap.finds("O''Neil").outcome == "Success"
    assert soap.finds("A1", ("$XDSDocumentEntryAuthorPerson", ["('%d''Arc%', '%_ê%')"])).outcome == "Success"


def test_every_association_says_whether_its_set_brought_the_document(soap: SoapClient, held: Held) -> None:
    later = Submission(
        held.number,
        [Document(held.number, b"x")],
        links=[(HAS_MEMBER, "SubmissionSet01", held.uuid(held.report), "Reference")],
    )
    assert soap.provides(later).outcome == "Success"
    answer = soap.queries("GetSubmissionSetAndContents", ("$XDSSubmissionSetUniqueId", f"'{later.unique_id}'"))
    told = [v.text for v in answer.all(".//r:Association/r:Slot[@name='SubmissionSetStatus']/r:ValueList/r:Value")]
    assert sorted(told) == ["Original", "Reference"]
    assert answer.all(".//r:Association")[0].find("r:Slot", NS) is not None


def test_what_came_under_a_merged_number_is_found_under_the_one_that_stands(soap: SoapClient) -> None:
    client, survivor, subsumed = Client(soap.hospital), f"S{uuid4().hex[:8]}", f"T{uuid4().hex[:8]}"
    for number in (survivor, subsumed):
        client.registers(number, name=own_name())
    documents = [Document(survivor, b"kept"), Document(subsumed, b"merged")]
    for document in documents:
        assert soap.provides(Submission(document.number, [document])).outcome == "Success"
    other = {"other": {"identifier": {"system": client.system, "value": survivor}}, "type": "replaced-by"}
    assert client.registers(subsumed, active=False, link=[other]).status == 200
    uniques = sorted(one.unique_id for one in documents)
    found = soap.finds(survivor)
    assert (found.codes, sorted(found.unique_ids)) == ([], uniques)
    named = soap.queries("GetDocuments", ("$XDSDocumentEntryUniqueId", [f"('{one}')" for one in uniques]))
    everything = soap.queries("GetAll", *_all(soap, survivor))
    for answer in (found, named, everything):
        patients = {external(one, "XDSDocumentEntry.patientId") for one in answer.documents}
        assert (answer.codes, patients) == ([], {soap.cx(survivor)})
