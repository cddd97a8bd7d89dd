"""Promise 2: never the wrong patient. A link is made only when it is safe; a question that fits two gets neither."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from adapters.fhir.json_format import to_json
from registry.errors import SubmissionRejected
from registry.identifiers import INSURANCE_NUMBER, NATIONAL_ID
from tests.impostors import Impostors, searchset
from tests.lab import Lab
from tests.papers import HOA, LAN, CtStudy, Person, ct_report, sha256s, written_request

NUMBER = f"{NATIONAL_ID}|{LAN.national_id}"
CARD = f"{INSURANCE_NUMBER}|{LAN.insurance}"
DOUBTS = {
    "the number alone": {"patient.identifier": NUMBER},
    "the card alone": {"patient.identifier": CARD},
    "number and sex": {"patient.identifier": NUMBER, "patient.gender": "female"},
    "number and name, no birth date": {"patient.identifier": NUMBER, "patient.name": LAN.name},
    "another name": LAN.question | {"patient.name": "Hoàng Văn Tùng"},
    "another tone of the given name": LAN.question | {"patient.name": "Nguyễn Thị Lân"},
    "another birth date": LAN.question | {"patient.birthdate": "1959-03-21"},
    "another sex": LAN.question | {"patient.gender": "male"},
    "another personal number": LAN.question | {"patient.identifier": [f"{NATIONAL_ID}|027158004322", CARD]},
    "no number": {k: v for k, v in LAN.question.items() if k != "patient.identifier"},
    "the name alone": {"patient.name": LAN.name},
    "a newborn under her name": LAN.question
    | {"patient.name": "Con bà Nguyễn Thị Lan", "patient.birthdate": "2026-10-01"},
}


def test_a_question_that_leaves_a_doubt_gets_nobody(lab: Lab) -> None:
    """Although the patient's request is at the holder."""
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    report = bac_ninh.publishes(ct_report(LAN))
    bac_ninh.records(written_request(LAN, to="bach-mai"))
    assert report in bach_mai.asks(bac_ninh, LAN)
    for doubt, question in DOUBTS.items():
        assert bach_mai.asks(bac_ninh, question).ids == [], doubt
    assert report in bach_mai.asks(bac_ninh, LAN.question | {"patient.name": "NGUYEN THI LAN"})
    assert report in bach_mai.asks(bac_ninh, LAN.question | {"patient.identifier": CARD.replace("GD4", "HT3")})


def test_at_the_own_door_too_a_number_with_another_name_or_birth_date_finds_nobody(lab: Lab) -> None:
    (bac_ninh,) = lab.hospitals("bac-ninh")
    report = bac_ninh.publishes(ct_report(LAN))
    own = f"{bac_ninh.number_of(LAN).system}|{LAN.number_at('bac-ninh')}"
    assert report in bac_ninh.finds_own_documents(patient__identifier=own)
    for changed in ({"patient__name": HOA.name}, {"patient__birthdate": HOA.born}, {"patient__gender": "male"}):
        assert bac_ninh.finds_own_documents(patient__identifier=own, **changed).ids == []
        assert bac_ninh.finds_own_documents(LAN, **changed).ids == []
        assert bac_ninh.finds_documents(patient__identifier=own, **changed).ids == []


def test_a_patient_named_by_the_registrys_id_has_to_fit_the_rest_of_the_question(lab: Lab) -> None:
    """No part of a question is passed over."""
    (bac_ninh,) = lab.hospitals("bac-ninh")
    report = bac_ninh.publishes(ct_report(LAN))
    named = {"patient": f"Patient/{report.record_id}"}
    assert report in bac_ninh.finds_own_documents(**named)
    assert report in bac_ninh.finds_own_documents(LAN, **named)
    assert report not in bac_ninh.finds_own_documents(HOA, **named)


def test_of_two_people_with_one_number_the_number_alone_gets_neither(lab: Lab) -> None:
    """A borrowed card: each is found when everything is said, and only that one."""
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    borrower = Person("0041", "Đỗ Thị Mượn", "1963-07-07", "female", None, LAN.insurance)
    hers, borrowed = bac_ninh.publishes(ct_report(LAN)), bac_ninh.publishes(ct_report(borrower, "Gãy xương đòn."))
    for one in (LAN, borrower):
        bac_ninh.records(written_request(one, to="bach-mai"))
    assert bach_mai.asks(bac_ninh, {"patient.identifier": CARD}).ids == []
    assert bac_ninh.finds_own_documents(patient__identifier=CARD).ids == []
    assert bach_mai.asks(bac_ninh, LAN).ids == [hers.id]
    assert bach_mai.asks(bac_ninh, borrower).ids == [borrowed.id]
    mixed = LAN.question | {"patient.identifier": CARD, "patient.name": borrower.name}
    assert bach_mai.asks(bac_ninh, mixed).ids == []


def test_father_and_son_of_one_name_are_two(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    father = Person("0051", "Nguyễn Văn Hùng", "1950-01-01", "male", "027050000051", "HT2270100000051")
    son = Person("0052", "Nguyễn Văn Hùng", "1975-01-01", "male", None, "HT2270100000051")
    his, theirs = bac_ninh.publishes(ct_report(father)), bac_ninh.publishes(ct_report(son, "Viêm phổi."))
    assert his.record_id != theirs.record_id
    for one in (father, son):
        bac_ninh.records(written_request(one, to="bach-mai"))
    assert bach_mai.asks(bac_ninh, father).ids == [his.id]
    assert bach_mai.asks(bac_ninh, son).ids == [theirs.id]
    assert bach_mai.asks(bac_ninh, father.question | {"patient.birthdate": "1975"}).ids == []


def test_a_newborn_under_its_mothers_name_and_card_is_not_its_mother(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    newborn = Person("0061", "Con bà Nguyễn Thị Lan", "2026-11-01", "male", None, LAN.insurance)
    hers, its = bac_ninh.publishes(ct_report(LAN)), bac_ninh.publishes(ct_report(newborn, "Vàng da sơ sinh."))
    with bac_ninh.house.storage.read() as unit:
        assert unit.patients.person_of(hers.record_id) != unit.patients.person_of(its.record_id)
    bac_ninh.records(written_request(LAN, to="bach-mai"))
    bac_ninh.records(written_request(newborn, to="bach-mai", represented_by=LAN.name))
    assert bach_mai.asks(bac_ninh, LAN).ids == [hers.id]
    assert its not in bach_mai.asks(bac_ninh, LAN.question | {"patient.name": newborn.name})


def test_a_message_that_contradicts_its_patient_number_is_refused(lab: Lab) -> None:
    """The number of one patient on the report of another."""
    (bac_ninh,) = lab.hospitals("bac-ninh")
    bac_ninh.publishes(ct_report(LAN))
    mistaken = replace(HOA, key=LAN.key)
    with pytest.raises(SubmissionRejected):
        bac_ninh.publishes(ct_report(mistaken))
    outcome = bac_ninh.publishes_files({"1.dcm": CtStudy(mistaken, count=1).slices("bac-ninh")[0]})
    assert any("kept aside" in text for text in outcome[0].warnings)
    assert len(bac_ninh.holds()) == 1


def test_merged_patients_are_one_and_unmerged_ones_are_two_again(lab: Lab) -> None:
    """Their documents, studies and consents go with them."""
    from hie_node.flows.reviews import undo_link

    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    first, second = bac_ninh.publishes(ct_report(LAN)), bac_ninh.publishes(ct_report(HOA, "Bình thường."))
    bac_ninh.records(written_request(LAN, to="bach-mai"))
    assert bach_mai.asks(bac_ninh, LAN).ids == [first.id]
    merged = bac_ninh.feeds(HOA, merged_into=LAN.number_at("bac-ninh"))
    assert merged.status == 200, merged.body
    assert set(bach_mai.asks(bac_ninh, LAN).ids) == {first.id, second.id}
    assert first in bac_ninh.finds_own_documents(LAN) and second in bac_ninh.finds_own_documents(LAN)
    with bac_ninh.house.storage.read() as unit:
        person = unit.patients.person_of(second.record_id)
        link = unit.patients.links_of(str(person))[-1]
    undo_link(bac_ninh._act("hie mpi", bac_ninh.requester().role), link.id)
    assert bach_mai.asks(bac_ninh, LAN).ids == [first.id]
    assert bach_mai.asks(bac_ninh, HOA).ids == []
    assert bac_ninh.finds_own_documents(LAN).ids == [first.id]


def test_one_local_number_at_two_hospitals_is_two_patients(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    system = bac_ninh.house.settings.patient_id_system
    report = bac_ninh.publishes(ct_report(LAN))
    bach_mai.registers(HOA, number=LAN.number_at("bac-ninh"))
    bac_ninh.records(written_request(LAN, to="bach-mai"))
    answer = bach_mai.finds_documents(
        patient__identifier=f"{bach_mai.house.settings.patient_id_system}|{LAN.number_at('bac-ninh')}"
    )
    assert report not in answer
    assert bach_mai.asks(bac_ninh, {"patient.identifier": f"{system}|{LAN.number_at('bac-ninh')}"}).ids == []


def test_a_study_known_at_two_hospitals_is_fetched_from_neither_by_guess(lab: Lab) -> None:
    """The same UID at two hospitals: a fault, or two people. Own images are served, others' are not guessed."""
    bac_ninh, thai_nguyen, bach_mai = lab.hospitals("bac-ninh", "thai-nguyen", "bach-mai")
    one, other = CtStudy(LAN, size=32), CtStudy(LAN, size=64)
    for hospital, study in ((bac_ninh, one), (thai_nguyen, other)):
        hospital.registers(LAN)
        hospital.publishes_study(study)
        hospital.records(written_request(LAN, to="bach-mai"))
    found = bach_mai.finds_studies(LAN)
    assert len(found.ids) == 2 and len({i.partition(".")[0] for i in found.ids}) == 2
    with bac_ninh.house.storage.read() as unit:
        known = unit.studies.by_uid(one.uid)
    assert known is not None
    assert bach_mai.fetches(known).status == 409
    assert bac_ninh.fetches(known).instances == sha256s(one.slices("bac-ninh"))


def test_images_that_name_another_patient_do_not_join_a_study(lab: Lab) -> None:
    (bac_ninh,) = lab.hospitals("bac-ninh")
    mine, stray = CtStudy(LAN, count=1).slices("bac-ninh"), CtStudy(HOA, count=2).slices("bac-ninh")[1:]
    bac_ninh.publishes_files({"1.dcm": mine[0]})
    outcome = bac_ninh.publishes_files({"2.dcm": stray[0]})
    assert "another patient" in outcome[0].warnings[0]
    assert bac_ninh.finds_own_studies(LAN, patient__identifier=f"{bac_ninh.number_of(LAN).system}|BA-0017").total == 1


# -- a peer that errs or lies


LIES = {
    "the personal number of another": {"subject": {"identifier": {"system": NATIONAL_ID, "value": HOA.national_id}}},
    "the card of another": {"subject": {"identifier": {"system": INSURANCE_NUMBER, "value": HOA.insurance}}},
    "nobody's": {"subject": {}},
    "another birth date": {"contained": [{"resourceType": "Patient", "id": "p", "birthDate": HOA.born}]},
    "another number within": {
        "contained": [
            {"resourceType": "Patient", "id": "p", "identifier": [{"system": NATIONAL_ID, "value": HOA.national_id}]}
        ]
    },
    "another name": {"contained": [{"resourceType": "Patient", "id": "p", "name": [{"text": HOA.name}]}]},
    "another name and sex": {
        "contained": [{"resourceType": "Patient", "id": "p", "name": [{"text": HOA.name}], "gender": "male"}]
    },
}


def test_a_peer_that_answers_with_another_patients_document_costs_its_own_line(lab: Lab, impostors: Impostors) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    report = bac_ninh.publishes(ct_report(LAN))
    bac_ninh.records(written_request(LAN, to="bach-mai"))
    honest = json.loads(bach_mai.asks(bac_ninh, LAN).body)["entry"][0]["resource"]
    said: list[dict[str, object]] = []
    liar = impostors.answers("19001", lambda: to_json(searchset(said[-1])))
    said.append(honest)
    assert bach_mai.finds_documents(LAN).lines[str(liar.home)] == "answered"
    for lie, changed in LIES.items():
        wrong = {k: v for k, v in honest.items() if k != "contained"} | changed
        if "contained" in changed:
            wrong["context"] = honest["context"] | {"sourcePatientInfo": {"reference": "#p"}}
            wrong = {k: v for k, v in wrong.items() if k != "author"}
        else:
            wrong["contained"] = honest["contained"]
        said.append(wrong)
        answer = bach_mai.finds_documents(LAN)
        assert answer.lines[str(liar.home)] == "broken", lie
        assert answer.ids == [f"27001.{report.id}"], lie
