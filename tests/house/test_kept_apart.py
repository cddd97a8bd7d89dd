"""What a registrar decided stays decided: kept apart is not asked again, and is never linked by the rule."""

from __future__ import annotations

from dataclasses import replace

from adapters.store.unit import UnitOfWork
from consent.requesters import PurposeOfUse, Requester, Role
from hie_node.acts import Act, Caller
from hie_node.flows.register import save_record
from hie_node.flows.reviews import decide_review, undo_link
from hie_node.relinking import differences
from registry.identifiers import NATIONAL_ID, PatientIdentifier
from registry.people import BirthDate, Demographics, HumanName, SourceRecord
from registry.ports import Review
from registry.weighing import Weighing
from registry.weights import shipped
from tests.lab import Hospital, Lab

TWIN = Demographics(HumanName("Vũ Đình Lan"), BirthDate("2019-04-02"), "male", ("0105551234",), None, "Lê Thị Đào")


def act(hospital: Hospital) -> Act:
    house = replace(hospital.house, matcher=Weighing(shipped()))
    requester = Requester("registrar.hoa", Role.REGISTRAR, house.home, name="Hoa", purpose=PurposeOfUse.TREAT)
    return Act(house, Caller(requester, "house"), "hie mpi")


def registers(hospital: Hospital, key: str, said: Demographics, *numbers: PatientIdentifier) -> SourceRecord:
    doing = act(hospital)
    with doing.unit() as unit:
        local = PatientIdentifier(hospital.house.settings.patient_id_system, key)
        return save_record(doing, unit, SourceRecord("", local, said, numbers), unit.patients.record(local)).record


def waiting(hospital: Hospital) -> tuple[Review, ...]:
    with hospital.house.storage.read() as unit:
        return unit.patients.reviews()


def person(hospital: Hospital, record: SourceRecord) -> str | None:
    with hospital.house.storage.read() as unit:
        return unit.patients.person_of(record.id)


def test_two_who_were_kept_apart_are_not_asked_about_again(lab: Lab) -> None:
    (bac_ninh,) = lab.hospitals("bac-ninh")
    first = registers(bac_ninh, "1", TWIN)
    second = registers(bac_ninh, "2", replace(TWIN, name=HumanName("Vũ Đình L.")))
    (doubt,) = waiting(bac_ninh)
    assert decide_review(act(bac_ninh), doubt.id, same=False) == "kept apart"
    number = PatientIdentifier(NATIONAL_ID, "927219004321")
    registers(bac_ninh, "1", TWIN, number)
    again = registers(bac_ninh, "2", TWIN, number)
    assert waiting(bac_ninh) == ()
    assert person(bac_ninh, first) != person(bac_ninh, again) == person(bac_ninh, second)
    with bac_ninh.house.storage.read() as unit:
        assert differences(unit.patients, shipped()).joined == ()


def test_a_link_by_a_person_is_undone_to_the_state_before(lab: Lab) -> None:
    (bac_ninh,) = lab.hospitals("bac-ninh")
    first = registers(bac_ninh, "1", TWIN)
    second = registers(bac_ninh, "2", replace(TWIN, name=HumanName("Vũ Đình L.")))
    (doubt,) = waiting(bac_ninh)
    decide_review(act(bac_ninh), doubt.id, same=True)
    assert person(bac_ninh, first) == person(bac_ninh, second)
    with bac_ninh.house.storage.read() as unit:
        (link,) = _links(unit, second)
    undo_link(act(bac_ninh), link)
    assert person(bac_ninh, first) != person(bac_ninh, second)


def test_a_link_by_the_rule_says_why_in_bits(lab: Lab) -> None:
    (bac_ninh,) = lab.hospitals("bac-ninh")
    number = PatientIdentifier(NATIONAL_ID, "927219004321")
    first = registers(bac_ninh, "1", TWIN, number)
    second = registers(bac_ninh, "2", replace(TWIN, name=HumanName("VU DINH LAN")), number)
    assert person(bac_ninh, first) == person(bac_ninh, second)
    with bac_ninh.house.storage.read() as unit:
        (link,) = unit.patients.links_of(person(bac_ninh, first) or "")
    assert link.rule == f"weighing/{shipped().version}"
    assert any(line.startswith("given name same without marks +") for line in link.evidence)


def _links(unit: UnitOfWork, record: SourceRecord) -> list[str]:
    return [one.id for one in unit.patients.links_of(unit.patients.person_of(record.id) or "") if one.undone is None]
