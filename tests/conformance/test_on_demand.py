"""What is made when it is retrieved is found by who asks for such things, and each time made anew."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest

from registry.on_demand import record_of, summary_uuid
from tests.conformance.changes import stranger
from tests.conformance.client import Client
from tests.conformance.profiles import refuse_faulty
from tests.conformance.soap import DEPRECATED, NS, Document, SoapClient, Submission, slot

STABLE = "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1"
ON_DEMAND = "urn:uuid:34268e47-fdf5-41a6-ba33-82133c465248"
WITH_BOTH = ("$XDSDocumentEntryType", f"('{STABLE}','{ON_DEMAND}')")
ALONE = ("$XDSDocumentEntryType", f"('{ON_DEMAND}')")


@pytest.fixture
def number(soap: SoapClient) -> str:
    """A patient of the test's own, with one document."""
    number = stranger(soap)
    assert soap.provides(Submission(number, [Document(number)])).outcome == "Success"
    return number


def test_a_summary_is_found_by_who_asks_for_such_and_by_nobody_else(soap: SoapClient, number: str) -> None:
    assert len(soap.finds(number).documents) == 1
    assert len(soap.finds(number, WITH_BOTH).documents) == 2
    (entry,) = soap.finds(number, ALONE).documents
    assert entry.get("objectType") == ON_DEMAND
    assert [slot(entry, name) for name in ("size", "hash", "creationTime")] == [[], [], []]
    assert slot(entry, "repositoryUniqueId") == [soap.repository]
    assert soap.finds(number, ALONE, ("$XDSDocumentEntryStatus", f"('{DEPRECATED}')")).documents == []
    pdf = ("$XDSDocumentEntryFormatCode", "('urn:ihe:rad:PDF^^1.3.6.1.4.1.19376.1.2.3')")
    assert soap.finds(number, ALONE, pdf).documents == []
    by_id = soap.queries("GetDocuments", ("$XDSDocumentEntryEntryUUID", f"('{entry.get('id')}')"))
    assert [one.get("id") for one in by_id.documents] == [entry.get("id")]
    fhir = Client(soap.hospital)
    question = {"patient.identifier": f"{fhir.system}|{number}"}
    assert len(fhir.get("/fhir/DocumentReference", **question).found) == 1, "FHIR has $summary instead"


@pytest.mark.parametrize("mtom", [True, False])
def test_it_is_made_when_it_is_retrieved_each_time_as_another_document(
    soap: SoapClient, number: str, mtom: bool
) -> None:
    (unique_id,) = soap.finds(number, ALONE).unique_ids
    answers = [soap.retrieves(unique_id, mtom=mtom) for _ in range(2)]
    for answer in answers:
        assert (answer.outcome, answer.body.findtext(".//x:DocumentUniqueId", "", NS)) == ("Success", unique_id)
        bundle = json.loads(answer.contents[0])
        refuse_faulty(bundle)
        assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "document")
    new = [one.body.findtext(".//x:NewDocumentUniqueId", "", NS) for one in answers]
    assert len({*new, unique_id}) == 3
    assert soap.retrieves(new[0]).codes == ["XDSDocumentUniqueIdError"], "what was made is not kept"


def test_it_says_what_the_summary_over_fhir_says(soap: SoapClient, number: str) -> None:
    (unique_id,) = soap.finds(number, ALONE).unique_ids
    made = json.loads(soap.retrieves(unique_id).contents[0])
    fhir = Client(soap.hospital)
    told = fhir.get("/fhir/Patient/$summary", identifier=f"{fhir.system}|{number}").bundle
    assert made == told


def test_who_had_one_made_is_on_record(soap: SoapClient, number: str) -> None:
    (unique_id,) = soap.finds(number, ALONE).unique_ids
    made = soap.retrieves(unique_id).contents[0]
    with soap.hospital.house.storage.read() as unit:
        record_id = record_of(f"urn:oid:{unique_id}")
        rows = unit.disclosures.search(record_ids=(record_id or "",))
    assert [row.bytes_sent for row in rows if row.transaction == "ITI-43" and row.bytes_sent] == [len(made)]


def test_ids_lead_back_to_their_record_and_others_nowhere(soap: SoapClient) -> None:
    own = str(uuid4())
    turned = summary_uuid(own)
    assert turned is not None
    assert record_of(turned.urn) == record_of(f"urn:oid:2.25.{turned.int}") == own
    assert [record_of(one) for one in (uuid4().urn, "urn:oid:2.25.7", "urn:uuid:x", "1.2.3")] == [None] * 4
    assert summary_uuid("not a uuid") is None
    absent = summary_uuid(str(uuid4()))
    assert absent is not None
    assert soap.retrieves(f"2.25.{absent.int}").codes == ["XDSDocumentUniqueIdError"]
