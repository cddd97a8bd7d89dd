"""The paper that a patient signed is a document of the hospital: found by whoever asks for it, and never sent."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from datetime import timedelta
from typing import Any

import pytest

from consent.consents import Consent
from consent.requesters import PurposeOfUse, Role
from hie_node.flows.signed_papers import signed_request
from registry.errors import NotFound
from tests.conformance.changes import Revised, changes, removes, revision
from tests.conformance.soap import SoapClient
from tests.house.test_consent_of_a_child import message
from tests.lab import Answer, Hospital, Lab
from tests.papers import HOA, LAN, PDF, ct_report, refusal, written_request

PAPER = b"%PDF-1.7 signed"
KIND = "http://loinc.org|59284-0"


@pytest.fixture
def pair(lab: Lab) -> tuple[Hospital, Hospital]:
    """LAN has a report in Bắc Ninh; Bạch Mai is the other."""
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    bac_ninh.publishes(ct_report(LAN))
    return bac_ninh, bach_mai


@pytest.fixture
def bac_ninh(pair: tuple[Hospital, Hospital]) -> Hospital:
    return pair[0]


def records(node: Hospital, **changed: Any) -> Answer:
    number = node.number_of(LAN)
    patient = {"identifier": {"system": number.system, "value": number.value}}
    return node.asked("POST", "/fhir/Consent", message(node, patient=patient, performer=[patient], **changed))


def paper_of(consent: Consent) -> str:
    assert consent.evidence is not None
    return consent.evidence.reference.removeprefix("DocumentReference/")


def papers(node: Hospital) -> Answer:
    return node.finds_own_documents(LAN, type=KIND)


def test_the_bytes_of_a_consent_become_a_document_where_its_source_leads(bac_ninh: Hospital) -> None:
    made = records(bac_ninh)
    assert made.status == 201
    shown = bac_ninh.asked("GET", f"/fhir/Consent/{made.bundle['id']}").bundle
    source = shown["sourceAttachment"]
    where = source["url"].partition("/fhir/")[2]
    assert "data" not in source and source["contentType"] == "application/pdf" and source["size"] == len(PAPER)
    assert bac_ninh.asked("GET", f"/fhir/{where}", Accept="application/pdf").body == PAPER
    paper = bac_ninh.asked("GET", f"/fhir/DocumentReference/{where.removeprefix('Binary/')}").bundle
    assert paper["type"]["coding"][0]["code"] == "59284-0"
    assert paper["content"][0]["attachment"]["hash"] == b64encode(hashlib.sha1(PAPER).digest()).decode()
    again = bac_ninh.asked("PUT", f"/fhir/Consent/{shown['id']}", shown)
    assert again.status == 200 and again.bundle["sourceAttachment"] == source
    assert papers(bac_ninh).total == 1


def test_a_consent_of_the_desk_names_its_paper_as_a_document(bac_ninh: Hospital) -> None:
    consent = bac_ninh.records(written_request(LAN, to="bach-mai"))
    shown = bac_ninh.asked("GET", f"/fhir/Consent/{consent.id}").bundle
    assert shown["sourceReference"] == {"reference": f"DocumentReference/{paper_of(consent)}"}
    assert "sourceAttachment" not in shown


def test_it_stands_in_no_history_and_is_found_by_what_it_is(bac_ninh: Hospital) -> None:
    report = bac_ninh.holds()[0]
    paper = paper_of(bac_ninh.records(written_request(LAN, to="bach-mai")))
    history = bac_ninh.finds_own_documents(LAN)
    assert history.ids == [report.id] and history.total == 1
    assert bac_ninh.finds_own_documents(LAN, _summary="count").total == 1
    assert papers(bac_ninh).ids == [paper] and papers(bac_ninh).total == 1
    assert bac_ninh.finds_own_documents(LAN, category="59284-0").ids == [paper]
    soap, number = SoapClient(bac_ninh), LAN.number_at("bac-ninh")
    assert [one.get("id") for one in soap.finds(number).documents] == [report.entry_uuid]
    kind = ("$XDSDocumentEntryTypeCode", "('59284-0^^2.16.840.1.113883.6.1')")
    (entry,) = soap.finds(number, kind).documents
    assert entry.get("id") == f"urn:uuid:{paper}"


@pytest.mark.parametrize("purpose", [PurposeOfUse.TREAT, PurposeOfUse.BTG])
def test_it_is_not_sent_to_anybody(pair: tuple[Hospital, Hospital], purpose: PurposeOfUse) -> None:
    bac_ninh, bach_mai = pair
    request = written_request(LAN, to="bach-mai", labels=frozenset({"N", "R", "STAYS"}))
    paper = paper_of(bac_ninh.records(request))
    bac_ninh.records(written_request(LAN, to="bach-mai"))
    how: dict[str, Any] = {"purpose": purpose, "reason": "bất tỉnh" if purpose.is_emergency else ""}
    found = bach_mai.finds_documents(LAN, **how)
    assert len(found.ids) == 1 and paper not in found.ids[0]
    assert bach_mai.finds_documents(LAN, type=KIND, **how).ids == []
    assert bach_mai.fetches(f"{bac_ninh.facility}.{paper}", **how).status == 404


def test_the_same_paper_again_is_one_document_and_somebody_elses_another(bac_ninh: Hospital) -> None:
    first, second = records(bac_ninh).bundle, records(bac_ninh).bundle
    assert first["id"] != second["id"] and first["sourceAttachment"]["url"] == second["sourceAttachment"]["url"]
    assert papers(bac_ninh).total == 1
    other = records(bac_ninh, sourceAttachment={"data": b64encode(b"%PDF another").decode()}).bundle
    assert other["sourceAttachment"]["url"] != first["sourceAttachment"]["url"]
    assert papers(bac_ninh).total == 2


def test_a_paper_that_a_consent_names_has_the_bytes_that_it_says(bac_ninh: Hospital) -> None:
    paper = paper_of(bac_ninh.records(written_request(LAN, to="bach-mai")))
    source = {"reference": f"DocumentReference/{paper}"}

    def told(digest: bytes) -> list[dict[str, Any]]:
        inner = [{"url": "sha256", "valueString": digest.hex()}]
        return [{"url": "urn:hie-node:consent-evidence", "extension": inner}]

    def names(digest: bytes) -> int:
        number = bac_ninh.number_of(LAN)
        patient = {"identifier": {"system": number.system, "value": number.value}}
        whole = message(bac_ninh, patient=patient, performer=[patient], extension=told(digest), sourceReference=source)
        del whole["sourceAttachment"]
        return bac_ninh.asked("POST", "/fhir/Consent", whole).status

    assert names(hashlib.sha256(b"another").digest()) == 422
    assert names(hashlib.sha256(PDF).digest()) == 201


def test_what_a_consent_rests_on_is_not_removed_and_does_not_become_something_that_leaves(bac_ninh: Hospital) -> None:
    consent = bac_ninh.records(written_request(LAN, to="bach-mai"))
    paper = paper_of(consent)
    soap, number = SoapClient(bac_ninh), LAN.number_at("bac-ninh")
    answer = removes(soap, f"urn:uuid:{paper}")
    assert answer.outcome == "Failure" and answer.codes == ["ReferencesExistException"]
    unique_id = bac_ninh.asked("GET", f"/fhir/DocumentReference/{paper}").bundle["masterIdentifier"]["value"]
    new = Revised(number, PDF, unique_id=unique_id, lid=f"urn:uuid:{paper}", title="CT")
    assert changes(soap, number, revision(new, "1"), documents=[new]).outcome == "Success"
    assert len(bac_ninh.finds_own_documents(LAN).ids) == 1, "it is still no part of the history"
    bac_ninh.withdraws(consent)
    with bac_ninh.house.storage.read() as unit:
        now = unit.documents.entry(paper)
    assert now is not None and now.version == 2
    assert removes(soap, now.entry_uuid).codes == ["ReferencesExistException"], "a withdrawn one has to be provable too"


def test_a_permission_rests_on_no_document_that_is_only_named(bac_ninh: Hospital) -> None:
    number = bac_ninh.number_of(LAN)
    patient = {"identifier": {"system": number.system, "value": number.value}}
    named = {"identifier": {"system": "urn:ietf:rfc:3986", "value": "urn:uuid:00000000-0000-4000-8000-000000000000"}}
    whole = message(bac_ninh, patient=patient, performer=[patient], sourceReference=named)
    del whole["sourceAttachment"]
    assert bac_ninh.asked("POST", "/fhir/Consent", whole).status == 422
    inner = [{"url": "sha256", "valueString": hashlib.sha256(PAPER).hexdigest()}]
    whole["extension"] = [{"url": "urn:hie-node:consent-evidence", "extension": inner}]
    assert bac_ninh.asked("POST", "/fhir/Consent", whole).status == 201


def test_a_consent_that_changes_while_two_records_are_one_stays_with_its_own(bac_ninh: Hospital) -> None:
    """Else after the un-merge it would name the number of the other patient."""
    bac_ninh.registers(HOA)
    hers = bac_ninh.records(written_request(HOA, to="bach-mai"))
    assert bac_ninh.feeds(HOA, merged_into=LAN.number_at("bac-ninh")).status == 200
    changed = bac_ninh.asked("GET", f"/fhir/Consent/{hers.id}").bundle
    again = bac_ninh.asked("PUT", f"/fhir/Consent/{hers.id}", {**changed, "status": "inactive"})
    assert again.status == 200, again.body
    patient = bac_ninh.asked("GET", f"/fhir/Consent/{hers.id}").bundle["patient"]
    assert patient["reference"] == f"Patient/{hers.record_id}"
    assert patient["identifier"]["value"] == HOA.number_at("bac-ninh")


def test_a_refusal_of_this_hospital_does_not_take_the_proof_away(bac_ninh: Hospital) -> None:
    consent = bac_ninh.records(written_request(LAN, to="bach-mai"))
    bac_ninh.lab.clock.moves(by=timedelta(seconds=5))
    bac_ninh.records(refusal(LAN, to="bac-ninh"))
    for role in (Role.CONSENT_DESK, Role.DATA_PROTECTION_OFFICER):
        assert signed_request(bac_ninh._act("hie consent", role), consent.id) == PDF
    with pytest.raises(NotFound):
        signed_request(bac_ninh._act("hie consent", Role.DOCTOR), consent.id)
