"""Promise 1: the holder decides, at the moment of each access, on its own data, clock and copy of the consent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from adapters.trust.peer_tokens import receipt_hash
from consent.consents import Period, Provision
from consent.receipts import ConsentReceipt
from consent.requesters import PurposeOfUse, Role
from registry.identifiers import INSURANCE_NUMBER, NATIONAL_ID, PatientIdentifier
from tests.lab import Answer, Hospital, Lab
from tests.papers import (
    HOA,
    LAN,
    STRANGER,
    CtStudy,
    Person,
    closed_report,
    ct_report,
    refusal,
    restricted_report,
    unreviewed_report,
    written_request,
)

WITHHELD = "withheld"


def essence(answer: Answer, asked: Person) -> str:
    """The bytes of an answer, without what has to differ: when it was made, and the words of the question."""
    bundle = json.loads(answer.body)
    del bundle["meta"]["lastUpdated"]
    bundle.pop("id", None)
    text = json.dumps([bundle, answer.status, sorted(n for n in answer.headers if n != "date")], sort_keys=True)
    links = json.dumps(bundle["link"], sort_keys=True)
    assert bundle["link"][0]["relation"] == "self" and len(bundle["link"]) == 1
    return text.replace(links, "LINKS").replace(asked.name, "NAME")


def receipt_for(person: Person, *, by: Hospital, holder: Hospital | None = None, **changes: Any) -> ConsentReceipt:
    """A request of this person to be seen at `by`, that nothing is wrong with but for the changes."""
    now = by.house.now()
    made = ConsentReceipt(
        id=f"receipt-{person.key}",
        patient=frozenset(PatientIdentifier(system, value).normal for system, value in person.numbers),
        holders=frozenset({holder.home} if holder else ()),
        recipient=by.home,
        signer=by.home,
        purposes=frozenset({PurposeOfUse.TREAT}),
        valid=Period(now - timedelta(days=1), now + timedelta(days=30)),
        given=now - timedelta(days=1),
        issued=now,
        evidence_hash="e" * 64,
    )
    return replace(made, **changes)


def brought(hospital: Hospital, *receipts: ConsentReceipt) -> Sequence[tuple[ConsentReceipt, str]]:
    return [(one, hospital.signs(one)) for one in receipts]


# -- without the patient's request


def test_without_a_request_another_hospital_sees_nothing_and_the_own_hospital_everything(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    report, study = bac_ninh.publishes(ct_report(LAN)), bac_ninh.publishes_study(CtStudy(LAN))
    documents, studies = bach_mai.finds_documents(LAN), bach_mai.finds_studies(LAN)
    assert documents.ids == studies.ids == []
    assert documents.lines[str(bac_ninh.home)] == studies.lines[str(bac_ninh.home)] == WITHHELD
    assert report in bac_ninh.finds_own_documents(LAN)
    assert study in bac_ninh.finds_own_studies(LAN)


@pytest.mark.parametrize("resource", ["DocumentReference", "ImagingStudy"])
def test_whether_there_is_nothing_or_nothing_may_be_shown_the_answer_is_the_same(lab: Lab, resource: str) -> None:
    """Unknown, known without documents, known with them, two who fit: one answer, byte for byte, from one code path."""
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    empty, full, twice = LAN, HOA, Person("0031", "Vũ Thị Hai", "1980-01-05", "female", "027180000031", None)
    for one in (empty, full, twice):
        bac_ninh.registers(one)
    bac_ninh.registers(replace(twice, key="0032", name="Lê Thị Ba", national_id="027180000031"))
    bac_ninh.publishes(ct_report(full))
    bac_ninh.publishes_study(CtStudy(full))
    bac_ninh.publishes(ct_report(twice))
    answers = {one: bach_mai.asks(bac_ninh, one, resource=resource) for one in (STRANGER, empty, full, twice)}
    counted = {one: bach_mai.asks(bac_ninh, one, resource=resource, _summary="count") for one in answers}
    assert len({essence(answer, one) for one, answer in answers.items()}) == 1
    assert {answer.total for answer in (*answers.values(), *counted.values())} == {0}
    assert {tuple(answer.said) for answer in answers.values()} == {(WITHHELD,)}
    reasons = [tuple(row.reasons) for row in bac_ninh.rows(other=bach_mai.home)]
    assert reasons[:3] == [("not-here",), ("no-written-request",), ("no-written-request",)]
    assert all(row.direction == "refused" for row in bac_ninh.rows(other=bach_mai.home))


def test_a_document_that_may_not_be_seen_is_one_that_is_not_there(lab: Lab) -> None:
    """Also for somebody who knows its id: the same bytes for metadata, content, study and images."""
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    report, study = bac_ninh.publishes(ct_report(LAN)), bac_ninh.publishes_study(CtStudy(LAN))
    nothing = "00000000-0000-4000-8000-000000000000"
    pairs = [
        (f"/fhir/DocumentReference/{report.id}", f"/fhir/DocumentReference/{nothing}"),
        (f"/fhir/Binary/{report.id}", f"/fhir/Binary/{nothing}"),
        (f"/fhir/ImagingStudy/{study.id}", f"/fhir/ImagingStudy/{nothing}"),
        (f"/dicomweb/studies/{study.study_instance_uid}", "/dicomweb/studies/1.2.3"),
        (f"/dicomweb/studies/{study.study_instance_uid}/metadata", "/dicomweb/studies/1.2.3/metadata"),
        (
            f"/dicomweb/studies/{study.study_instance_uid}/series/{study.study_instance_uid}.1",
            "/dicomweb/studies/1.2.3/series/1.2.4",
        ),
    ]
    for refused, absent in pairs:
        one, other = bach_mai.gets(bac_ninh, refused), bach_mai.gets(bac_ninh, absent)
        assert one.status == other.status == 404
        assert one.body == other.body
        assert {n: v for n, v in one.headers.items() if n != "date"} == {
            n: v for n, v in other.headers.items() if n != "date"
        }


def test_a_peer_never_lists_what_is_not_about_one_described_patient(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    report = bac_ninh.publishes(ct_report(LAN))
    bac_ninh.records(written_request(LAN, to="bach-mai"))
    for form in ({}, {"patient": f"Patient/{report.record_id}"}, {"_id": report.id}, {"status": "current"}):
        answer = bach_mai.asks(bac_ninh, form)
        assert report not in answer and not (answer.bundle.get("total") or 0)


# -- with the patient's request


def test_a_request_recorded_at_the_holder_opens_its_records(lab: Lab) -> None:
    bac_ninh, bach_mai, thai_nguyen = lab.hospitals("bac-ninh", "bach-mai", "thai-nguyen")
    report = bac_ninh.publishes(ct_report(LAN))
    bac_ninh.records(written_request(LAN, to="bach-mai"))
    assert report in bach_mai.finds_documents(LAN)
    assert bach_mai.fetches(report).body == ct_report(LAN).text.encode()
    assert report not in thai_nguyen.finds_documents(LAN)


def test_a_request_recorded_where_the_patient_is_travels_with_the_question(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    report = bac_ninh.publishes(ct_report(LAN))
    bach_mai.registers(LAN)
    consent = bach_mai.records(written_request(LAN, to="bach-mai"))
    assert report in bach_mai.finds_documents(LAN)
    assert bach_mai.fetches(report).body == ct_report(LAN).text.encode()
    with bac_ninh.house.storage.read() as unit:
        kept = unit.receipts.kept(consent.id)
    assert kept is not None and kept.receipt.signer == bach_mai.home


def test_a_request_to_one_holder_is_not_shown_to_the_others(lab: Lab) -> None:
    bac_ninh, thai_nguyen, bach_mai = lab.hospitals("bac-ninh", "thai-nguyen", "bach-mai")
    here, there = bac_ninh.publishes(ct_report(LAN)), thai_nguyen.publishes(ct_report(LAN, "Bình thường."))
    bach_mai.registers(LAN)
    consent = bach_mai.records(written_request(LAN, to="bach-mai", holder="bac-ninh"))
    answer = bach_mai.finds_documents(LAN)
    assert here in answer and there not in answer
    with thai_nguyen.house.storage.read() as unit:
        assert unit.receipts.kept(consent.id) is None


REFUSED_RECEIPTS = {
    "another patient": ("other-patient", lambda now, other: {"patient": frozenset({_number(HOA)})}),
    "another recipient": ("other-recipient", lambda now, other: {"recipient": other.home}),
    "another holder": ("other-holder", lambda now, other: {"holders": frozenset({other.home})}),
    "expired": ("not-valid-now", lambda now, other: {"valid": Period(now - timedelta(days=9), now)}),
    "not yet valid": ("not-valid-now", lambda now, other: {"valid": Period(now + timedelta(seconds=1))}),
    "given in the future": ("from-the-future", lambda now, other: {"given": now + timedelta(minutes=1)}),
    "another purpose": ("other-purpose", lambda now, other: {"purposes": frozenset({PurposeOfUse.HPAYMT})}),
    "nobody": ("no-patient", lambda now, other: {"patient": frozenset()}),
}


def _number(person: Person) -> PatientIdentifier:
    return PatientIdentifier(NATIONAL_ID, str(person.national_id))


def test_a_request_that_does_not_hold_is_no_request(lab: Lab) -> None:
    """It opens nothing, and the answer is the one to a question that brought none, known patient or not."""
    bac_ninh, bach_mai, third = lab.hospitals("bac-ninh", "bach-mai", "thai-nguyen")
    report = bac_ninh.publishes(ct_report(LAN))
    silence = essence(bach_mai.asks(bac_ninh, LAN), LAN)
    for case, (code, changed) in REFUSED_RECEIPTS.items():
        bad = receipt_for(LAN, by=bach_mai, id=case.replace(" ", "-"), **changed(lab.clock(), third))
        answer = bach_mai.asks(bac_ninh, LAN, receipts=brought(bach_mai, bad))
        assert report not in answer and essence(answer, LAN) == silence, case
        assert f"receipt-{code}" in bac_ninh.rows(other=bach_mai.home)[-1].reasons
        stranger = bach_mai.asks(bac_ninh, STRANGER, receipts=brought(bach_mai, bad))
        assert essence(stranger, STRANGER) == silence, case
    good = receipt_for(LAN, by=bach_mai, id="good")
    assert report in bach_mai.asks(bac_ninh, LAN, receipts=brought(bach_mai, good))


def test_a_request_forged_by_a_third_hospital_opens_nothing(lab: Lab) -> None:
    bac_ninh, bach_mai, third = lab.hospitals("bac-ninh", "bach-mai", "thai-nguyen")
    report = bac_ninh.publishes(ct_report(LAN))
    forged = receipt_for(LAN, by=bach_mai, signer=third.home)
    in_its_name = receipt_for(LAN, by=bach_mai)
    for receipt in (forged, in_its_name):
        assert report not in bach_mai.asks(bac_ninh, LAN, receipts=[(receipt, third.signs(receipt))])
        assert report not in third.asks(bac_ninh, LAN, receipts=[(receipt, third.signs(receipt))])


def test_a_request_that_somebody_overheard_opens_nothing_to_them(lab: Lab) -> None:
    bac_ninh, bach_mai, third = lab.hospitals("bac-ninh", "bach-mai", "thai-nguyen")
    report = bac_ninh.publishes(ct_report(LAN))
    receipts = brought(bach_mai, receipt_for(LAN, by=bach_mai))
    assert report in bach_mai.asks(bac_ninh, LAN, receipts=receipts)
    assert report not in third.asks(bac_ninh, LAN, receipts=receipts)


def test_a_request_in_the_header_counts_only_when_the_token_names_it(lab: Lab) -> None:
    """A proxy on the way must not add one."""
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    report = bac_ninh.publishes(ct_report(LAN))
    receipt, jws = brought(bach_mai, receipt_for(LAN, by=bach_mai))[0]
    assert receipt_hash(jws) != receipt_hash(jws + " ")
    answer = bach_mai.calls(bac_ninh, "GET", f"/fhir/DocumentReference/{report.id}", receipts=[(receipt, jws + ",")])
    assert answer.status == 404


def test_a_question_that_was_asked_before_is_refused(lab: Lab) -> None:
    """A one-use token, sent again with the same or with another question."""
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    report = bac_ninh.publishes(ct_report(LAN))
    receipts = brought(bach_mai, receipt_for(LAN, by=bach_mai))
    sent: list[tuple[Any, ...]] = []
    request = bach_mai.house.transport.request

    class Overhears:
        thumbprint = bach_mai.house.transport.thumbprint

        def request(self, *arguments: Any, **named: Any) -> Any:
            sent.append((arguments, named))
            return request(*arguments, **named)

        def close(self) -> None:
            bach_mai.house.transport.close()

    listened = replace(bach_mai.house, transport=Overhears())  # type: ignore[arg-type]
    own, bach_mai.house = bach_mai.house, listened
    assert report in bach_mai.asks(bac_ninh, LAN, receipts=receipts)
    bach_mai.house = own
    (peer, method, path, headers, body), named = sent[0]
    assert request(peer, method, path, headers, body, **named).status == 401
    other = request(peer, "GET", f"/fhir/Binary/{report.id}", headers, b"", **named)
    assert other.status == 401


def test_the_holder_decides_by_its_own_clock(lab: Lab) -> None:
    """The question was good when it left; what counts is the moment at which the holder looks."""
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    report = bac_ninh.publishes(ct_report(LAN))
    bach_mai.registers(LAN)
    bach_mai.records(written_request(LAN, to="bach-mai", lasts=timedelta(hours=1)))
    assert report in bach_mai.finds_documents(LAN)
    lab.clock.moves(by=timedelta(minutes=59))
    assert report in bach_mai.finds_documents(LAN)
    assert bach_mai.fetches(report).status == 200
    lab.clock.moves(by=timedelta(minutes=1))
    answer = bach_mai.finds_documents(LAN)
    assert report not in answer and answer.lines[str(bac_ninh.home)] == WITHHELD
    assert bach_mai.fetches(report).status == 404


# -- the patient's refusals


def test_a_later_refusal_beats_an_earlier_request(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    report = bac_ninh.publishes(ct_report(LAN))
    bac_ninh.records(written_request(LAN, to="bach-mai", given_ago=timedelta(days=1)))
    assert report in bach_mai.finds_documents(LAN)
    bac_ninh.records(refusal(LAN, to="bach-mai"))
    answer = bach_mai.finds_documents(LAN)
    assert report not in answer
    assert answer.lines[str(bac_ninh.home)] == WITHHELD, "'answered, 0 found' would say that there is nothing"
    assert bach_mai.fetches(report).status == 404
    brings = brought(bach_mai, receipt_for(LAN, by=bach_mai))
    assert report not in bach_mai.asks(bac_ninh, LAN, receipts=brings)


def test_of_a_request_and_a_refusal_of_the_same_moment_the_refusal_counts(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    report = bac_ninh.publishes(ct_report(LAN))
    bac_ninh.records(written_request(LAN, to="bach-mai"))
    bac_ninh.records(refusal(LAN, to=None))
    assert report not in bach_mai.finds_documents(LAN)
    assert bach_mai.fetches(report).status == 404


def test_a_request_that_ended_is_silence_and_not_a_refusal(lab: Lab) -> None:
    """The answer is the one that somebody gets who never had a request, and an older request speaks again."""
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    report = bac_ninh.publishes(ct_report(LAN))
    before = essence(bach_mai.asks(bac_ninh, LAN), LAN)
    bac_ninh.records(written_request(LAN, to="bach-mai", lasts=timedelta(days=1)))
    lab.clock.moves(by=timedelta(days=1))
    assert essence(bach_mai.asks(bac_ninh, LAN), LAN) == before
    bac_ninh.records(written_request(LAN, to="bach-mai", lasts=timedelta(days=9), given_ago=timedelta(days=5)))
    assert report in bach_mai.asks(bac_ninh, LAN)


# -- what never leaves


@pytest.mark.parametrize("closed", [closed_report, unreviewed_report], ids=["closed list", "free text unread"])
def test_what_the_law_closes_does_not_leave_by_any_way(lab: Lab, closed: Any) -> None:
    """Not in a list, a count, a total or a page; not by its id; not in an emergency; not even as a hint that it is."""
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    secret = bac_ninh.publishes(closed(LAN))
    bac_ninh.records(written_request(LAN, to="bach-mai", labels=frozenset({"HIV", "R", "V", "UNREVIEWED"})))
    bac_ninh.records(written_request(LAN, to="bach-mai"))
    alone = bach_mai.asks(bac_ninh, LAN)
    assert (alone.total, alone.ids, alone.said) == (0, [], [])
    report = bac_ninh.publishes(ct_report(LAN))
    emergency = bach_mai.requester(purpose=PurposeOfUse.ETREAT, reason="Bất tỉnh, chấn thương sọ não")
    for who in (bach_mai.requester(), emergency):
        for more in ({}, {"_count": "1"}, {"_sort": "-date"}, {"security-label:not": "N"}):
            answer = bach_mai.asks(bac_ninh, LAN, who=who, **more)
            assert secret not in answer and (answer.total or 0) <= 1 and secret.id.encode() not in answer.body
            assert "next" not in {link["relation"] for link in answer.bundle["link"]}
        assert bach_mai.asks(bac_ninh, LAN, who=who, _summary="count").total == 1
        for path in (f"/fhir/Binary/{secret.id}", f"/fhir/DocumentReference/{secret.id}"):
            assert bach_mai.gets(bac_ninh, path, who=who).status == 404
    assert report in bach_mai.finds_documents(LAN) and secret in bac_ninh.finds_own_documents(LAN)


def test_images_of_a_closed_study_do_not_leave(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    bac_ninh.registers(LAN)
    study = bac_ninh.publishes_study(CtStudy(LAN))
    bac_ninh.records(written_request(LAN, to="bach-mai"))
    assert study in bach_mai.finds_studies(LAN)
    with bac_ninh.house.storage.begin() as unit:
        unit.studies.save(replace(study, sensitivity=closed_report(LAN).labels))
    uid = study.study_instance_uid
    assert study not in bach_mai.finds_studies(LAN)
    assert bach_mai.asks(bac_ninh, LAN, resource="ImagingStudy", _summary="count").total == 0
    assert bach_mai.fetches(study).status == 404
    for path in (f"/dicomweb/studies/{uid}", f"/dicomweb/studies/{uid}/metadata", f"/fhir/ImagingStudy/{study.id}"):
        assert bach_mai.gets(bac_ninh, path).status == 404
    assert study in bac_ninh.finds_own_studies(LAN)


def test_restricted_records_leave_only_when_the_request_names_them(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    restricted, report = bac_ninh.publishes(restricted_report(LAN)), bac_ninh.publishes(ct_report(LAN))
    bac_ninh.records(written_request(LAN, to="bach-mai", given_ago=timedelta(days=1)))
    answer = bach_mai.finds_documents(LAN)
    assert restricted not in answer and report in answer and answer.total == 1
    bac_ninh.records(written_request(LAN, to="bach-mai", labels=frozenset({"R", "N"})))
    assert restricted in bach_mai.finds_documents(LAN)
    assert restricted in bac_ninh.finds_own_documents(LAN)


# -- who asks and why


def test_a_request_for_treatment_is_none_for_anything_else(lab: Lab) -> None:
    """And that there is one for treatment is not told."""
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    report = bac_ninh.publishes(ct_report(LAN))
    silence = essence(bach_mai.asks(bac_ninh, LAN), LAN)
    bac_ninh.records(written_request(LAN, to="bach-mai"))
    brings = brought(bach_mai, receipt_for(LAN, by=bach_mai))
    for purpose in set(PurposeOfUse) - {PurposeOfUse.TREAT}:
        who = bach_mai.requester(purpose=purpose)
        assert essence(bach_mai.asks(bac_ninh, LAN, who=who), LAN) == silence, purpose
        assert report not in bach_mai.asks(bac_ninh, LAN, who=who, receipts=brings), purpose


def test_who_does_not_treat_sees_nothing_elsewhere(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    report = bac_ninh.publishes(ct_report(LAN))
    path = f"/fhir/Binary/{report.id}"
    silence = essence(bach_mai.asks(bac_ninh, LAN), LAN)
    bac_ninh.records(written_request(LAN, to="bach-mai"))
    for role in Role:
        who = bach_mai.requester(role=role)
        answer, opened = bach_mai.asks(bac_ninh, LAN, who=who), bach_mai.gets(bac_ninh, path, who=who)
        if role.treats:
            assert report in answer and opened.status == 200, role
        else:
            assert essence(answer, LAN) == silence and opened.status == 404, role


def test_inside_the_own_hospital_treatment_needs_no_request_and_a_refusal_to_it_counts(lab: Lab) -> None:
    (bac_ninh,) = lab.hospitals("bac-ninh")
    report = bac_ninh.publishes(ct_report(LAN))
    assert report in bac_ninh.finds_own_documents(LAN)
    assert bac_ninh.fetches(report).body == ct_report(LAN).text.encode()
    assert report not in bac_ninh.finds_own_documents(LAN, role=Role.PATIENT)
    assert report not in bac_ninh.finds_own_documents(LAN, purpose=PurposeOfUse.HRESCH)
    bac_ninh.records(refusal(LAN, to="bac-ninh"))
    assert report not in bac_ninh.finds_own_documents(LAN)
    assert bac_ninh.fetches(report).status == 404


def test_an_emergency_has_to_be_declared_with_a_reason(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    report = bac_ninh.publishes(ct_report(LAN))
    undeclared = bach_mai.requester(purpose=PurposeOfUse.ETREAT)
    assert report not in bach_mai.asks(bac_ninh, LAN, who=undeclared)
    stranger = bach_mai.asks(bac_ninh, STRANGER, who=undeclared)
    assert essence(stranger, STRANGER) == essence(bach_mai.asks(bac_ninh, LAN, who=undeclared), LAN)
    declared = replace(undeclared, reason="Bất tỉnh, chấn thương sọ não")
    assert report in bach_mai.asks(bac_ninh, LAN, who=declared)


def test_a_hospital_that_was_suspended_gets_nothing(lab: Lab) -> None:
    from registry.directory import PeerState

    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    bac_ninh.publishes(ct_report(LAN))
    bac_ninh.records(written_request(LAN, to="bach-mai"))
    lab.lists(replace(bach_mai.peer, state=PeerState.SUSPENDED))
    assert bach_mai.asks(bac_ninh, LAN).status == 401


def test_an_insurance_number_alone_in_a_request_does_not_make_it_this_patients(lab: Lab) -> None:
    """A card that two people use: the request of one is not the request of the other."""
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    borrower = replace(HOA, insurance=LAN.insurance)
    report = bac_ninh.publishes(ct_report(LAN))
    card = PatientIdentifier(INSURANCE_NUMBER, str(LAN.insurance)).normal
    of_the_other = receipt_for(borrower, by=bach_mai)
    assert of_the_other.patient > {card}
    assert report not in bach_mai.asks(bac_ninh, LAN, receipts=brought(bach_mai, of_the_other))


@pytest.mark.parametrize("kind", ["permit", "deny"])
def test_a_request_about_one_visit_is_about_its_documents_alone(lab: Lab, kind: str) -> None:
    """IHE PCF: data related to an encounter. Also as a receipt that travels."""
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    visit = PatientIdentifier("urn:hie-node:visit:27001", "LK-7")
    of_the_visit, other = bac_ninh.publishes(ct_report(LAN)), bac_ninh.publishes(ct_report(LAN, "Lần hai."))
    with bac_ninh.house.storage.begin() as unit:
        unit.documents.replace(replace(of_the_visit, encounters=(visit,)))
    bach_mai.registers(LAN)
    consent = bach_mai.records(written_request(LAN, to="bach-mai"))
    one_visit = frozenset({f"{visit.system}|{visit.value}"})
    if kind == "permit":
        bach_mai.changes(consent, provision=replace(consent.provision, encounters=one_visit))
    else:
        nested = Provision("deny", encounters=one_visit)
        bach_mai.changes(consent, provision=replace(consent.provision, provisions=(nested,)))
    expected = of_the_visit if kind == "permit" else other
    found = bach_mai.finds_documents(LAN)
    assert [one.rpartition(".")[2] for one in found.ids] == [expected.id]
    assert bach_mai.fetches(of_the_visit).status == (200 if kind == "permit" else 404)
    assert bach_mai.fetches(other).status == (404 if kind == "permit" else 200)


@pytest.mark.parametrize(
    ("honoured", "shown"),
    [(("*",), True), (("01929",), True), (("bach-mai",), True), (("27001", "19001"), False), ((), False)],
)
def test_a_holder_says_whose_desks_it_trusts(lab: Lab, honoured: tuple[str, ...], shown: bool) -> None:
    """A request that a hospital recorded whose word is not taken here is none; one that was recorded here counts."""
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    names = frozenset(str(bach_mai.home) if one == "bach-mai" else one for one in honoured)
    bac_ninh.house = replace(bac_ninh.house, policy=replace(bac_ninh.house.policy, honoured=names))
    bac_ninh.opens_anew()
    report = bac_ninh.publishes(ct_report(LAN))
    bach_mai.registers(LAN)
    bach_mai.records(written_request(LAN, to="bach-mai"))
    answer = bach_mai.finds_documents(LAN)
    assert (report in answer) == shown
    if not shown:
        assert answer.lines[str(bac_ninh.home)] == WITHHELD, "no more than without any request"
        assert "receipt-not-honoured" in bac_ninh.record[-1].reasons
        bac_ninh.records(written_request(LAN, to="bach-mai"))
        assert report in bach_mai.finds_documents(LAN)
