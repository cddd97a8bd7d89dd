"""Another hospital's answer: used as far as it is about the patient that was meant, and never believed."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl

import pytest
from exchange import BAC_NINH, BASE, HOME, OTHER, SYSTEM, ask, shown
from test_documents import ENTRY
from test_imaging_studies import STUDY

from adapters.fhir import find_imaging_studies, iti67_find_document_references
from adapters.fhir.community import ISSUE_CODES, KINDS, community_outcome, read_outcome
from adapters.fhir.document_reference import document_reference
from adapters.peers.answers import BadAnswer
from adapters.peers.fhir_client import MAX_BYTES, MAX_ENTRIES, Question, outcome_of, read_documents, read_studies
from registry.answers import Community, CommunityOutcome, OutcomeKind
from registry.commands import Page
from registry.documents import Relation, RelationKind
from registry.identifiers import NATIONAL_ID, PatientIdentifier
from registry.people import BirthDate, Demographics, HumanName, PatientInQuestion
from registry.searches import Cursor

NUMBER = PatientIdentifier(NATIONAL_ID, "001161000123")
LAN = PatientInQuestion((NUMBER,), Demographics(HumanName("Trần Thị, Thử"), BirthDate("1961-04"), "female"))


@dataclass(frozen=True)
class Peer:
    community: Community = BAC_NINH


DOCUMENTS = Question("DocumentReference", LAN, (("status", "current"),))
STUDIES = Question("ImagingStudy", LAN)


def answer(page: Page[Any], **changes: Any) -> dict[str, Any]:
    """What the peer's own node answers to our question."""
    request = replace(ask("POST", "/fhir/DocumentReference/_search", query=(("status", "current"),)), home=OTHER)
    iti67_find_document_references.decode(request)
    return shown(iti67_find_document_references.encode(page, request)) | changes


def read(bundle: object) -> tuple[Any, OutcomeKind, str]:
    body = bundle if isinstance(bundle, bytes) else json.dumps(bundle).encode()
    page = read_documents(body, Peer(), DOCUMENTS)
    return page.found, *outcome_of(page, page, count=len(page.found))


def test_the_question_describes_the_patient_in_its_body_and_the_peer_understands_it() -> None:
    pairs = tuple(parse_qsl(DOCUMENTS.body().decode("ascii")))
    asked = iti67_find_document_references.decode(ask("POST", query=pairs, door="peer"))
    assert asked.search.patient.described == LAN
    assert asked.search.statuses and asked.search.limit == 200


def test_documents_of_a_peer_carry_its_label() -> None:
    entry = replace(ENTRY, relations=(Relation(RelationKind.REPLACES, "d0"),), version=3)
    (found,), kind, _ = read(answer(Page((entry,), total=1)))
    assert (found.id, found.home, kind) == ("27001.d1", OTHER, OutcomeKind.ANSWERED)
    assert found.relations == (Relation(RelationKind.REPLACES, "27001.d0"),)
    assert replace(found, id="d1", home=None, relations=entry.relations, record_id="77") == entry
    shown_here = document_reference(found, base="https://node.example/network/fhir", home=HOME)
    assert shown_here["content"][0]["attachment"]["url"].endswith("/network/fhir/Binary/27001.d1")
    assert "reference" not in shown_here["subject"]


def test_studies_of_a_peer_carry_its_label() -> None:
    request = replace(ask("POST", "/fhir/ImagingStudy/_search", query=(("_id", "st1"),)), home=OTHER)
    find_imaging_studies.decode(request)
    body = find_imaging_studies.encode(Page((STUDY,)), request).body
    assert isinstance(body, bytes)
    page = read_studies(body, Peer(), STUDIES)
    (found,) = page.found
    assert (found.id, found.home, found.study_instance_uid) == ("27001.st1", OTHER, STUDY.study_instance_uid)
    assert outcome_of(page, page, count=1)[0] is OutcomeKind.ANSWERED and found.modalities == ("CT", "SR")


def test_links_to_other_things_of_the_peer_do_not_lead_to_things_of_ours() -> None:
    bundle = answer(Page((ENTRY,)))
    bundle["entry"][0]["resource"]["context"]["encounter"] = [{"reference": "Encounter/5", "display": "x"}]
    (found,), _, _ = read(bundle)
    assert "Encounter/5" not in json.dumps(found.extra)


@pytest.mark.parametrize(
    ("page", "kind"),
    [
        (Page((), total=0, withheld=True), OutcomeKind.WITHHELD),
        (Page((), total=0, not_unique=True), OutcomeKind.NOT_UNIQUE),
        (Page((), total=0), OutcomeKind.ANSWERED),
        (Page((ENTRY,), total=9, next=Cursor(None, "d1")), OutcomeKind.INCOMPLETE),
        (Page((ENTRY,), total=1, withheld=True), OutcomeKind.INCOMPLETE),
    ],
)
def test_what_the_holder_says_of_itself_arrives(page: Page[Any], kind: OutcomeKind) -> None:
    assert read(answer(page))[1] is kind


def test_each_outcome_has_its_own_code_both_ways() -> None:
    assert set(ISSUE_CODES) == set(OutcomeKind) and set(KINDS.values()) == set(OutcomeKind) - {OutcomeKind.DEFERRED}
    for kind in set(OutcomeKind) - {OutcomeKind.ANSWERED}:
        line = community_outcome(CommunityOutcome(BAC_NINH, kind, 2), dict)
        assert (read_outcome(line) or ("",))[0] is kind
        del line["issue"][0]["details"]
        # a hospital that is busy and says so in the words of FHIR has put nobody off
        assert (read_outcome(line) or (None,))[0] is (None if kind is OutcomeKind.DEFERRED else kind)
    foreign = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "exception"}]}
    assert (read_outcome(foreign) or ("",))[0] is OutcomeKind.BROKEN


def broken(*path: Any, value: Any) -> dict[str, Any]:
    bundle = deepcopy(answer(Page((ENTRY,), total=1)))
    *way, last = path
    place: Any = bundle
    for step in way:
        place = place[step]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return bundle


RESOURCE = ("entry", 0, "resource")
ATTACHMENT = (*RESOURCE, "content", 0, "attachment")
PATIENT = (*RESOURCE, "contained", 0)
NONSENSE: list[Any] = [
    b"",
    b"<html>login</html>",
    b"[]",
    b'{"resourceType":"Bundle","type":"searchset","entry":{}}',
    b'{"resourceType":"Bundle","type":"searchset","entry":[1]}',
    b'{"resourceType":"Bundle","type":"searchset","entry":[{"fullUrl":"x"}]}',
    b"[" * 100_000,
    b" " * (MAX_BYTES + 1),
    {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "exception"}]},
    broken("type", value="collection"),
    broken("entry", value=[{"resource": {}}] * (MAX_ENTRIES + 1)),
    broken("entry", value=answer(Page((ENTRY,)))["entry"] * 2),
    broken(*RESOURCE, "resourceType", value="Patient"),
    broken(*RESOURCE, "resourceType", value="Binary"),
    broken(*RESOURCE, "id", value="../x"),
    broken(*RESOURCE, "id", value="27002.d1"),
    broken(*RESOURCE, "id", value=7),
    broken(*RESOURCE, "subject", value=None),
    broken(*RESOURCE, "subject", value={"reference": "Patient/1"}),
    broken(*RESOURCE, "subject", value={"identifier": {"system": NATIONAL_ID, "value": "001161000124"}}),
    broken(*PATIENT, "identifier", value=[{"system": NATIONAL_ID, "value": "001161000999"}]),
    broken(*PATIENT, "birthDate", value="1999-01-02"),
    broken(*RESOURCE, "status", value="entered-in-error"),
    broken(*RESOURCE, "masterIdentifier", value=None),
    broken(*ATTACHMENT, "hash", value=None),
    broken(*ATTACHMENT, "hash", value="AAAA"),
    broken(*ATTACHMENT, "size", value=None),
    broken(*ATTACHMENT, "size", value=-1),
    broken(*ATTACHMENT, "contentType", value="nonsense"),
    broken(*RESOURCE, "relatesTo", value=[{"code": "replaces", "target": {"reference": "Patient/1"}}]),
    broken(*RESOURCE, "implicitRules", value="urn:not"),
    broken(*RESOURCE, "modifierExtension", value=[{"url": "urn:not", "valueBoolean": True}]),
]


@pytest.mark.parametrize("bundle", NONSENSE, ids=range(len(NONSENSE)))
def test_nonsense_spoils_the_whole_answer_and_is_not_repeated(bundle: object) -> None:
    with pytest.raises(BadAnswer) as caught:
        read(bundle)
    assert "Trần" not in str(caught.value) and "001161" not in str(caught.value)


def test_a_holders_own_number_of_the_patient_is_no_contradiction() -> None:
    (found,), _, _ = read(answer(Page((ENTRY,))))
    assert found.patient == PatientIdentifier(SYSTEM, "BN-000123")
    assert BASE
