"""Many who do the same, or the opposite, in the same moment: each has its effect once, and nobody is turned away."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest

from consent.errors import TokenReplayed
from consent.reasons import Reason
from consent.requesters import PurposeOfUse, Role
from hie_node import hl7v2, insurance
from hie_node.acts import Act
from hie_node.flows.anew import grouped_anew, was_in_the_way
from hie_node.flows.identify import by_record_id
from hie_node.house import new_id
from hie_node.publishing import publisher
from hie_node.setting_tables import Subscriptions
from registry.identifiers import PatientIdentifier
from registry.identity_changes import Learnt
from registry.people import Link, PatientInQuestion
from registry.searches import DocumentSearch
from tests.bench.feeds import insurance_file
from tests.conformance.changes import everything_of, ids_of, removes
from tests.conformance.client import Client, Resource
from tests.conformance.client import consent as written
from tests.conformance.soap import Document, SoapClient, Submission
from tests.conformance.test_subscriptions import Subscriber
from tests.lab import Hospital, Lab
from tests.papers import HOA, LAN, CtStudy, Person, ct_report

One = TypeVar("One")


def at_once(*acts: Callable[[], One]) -> list[One]:
    """What each gave, begun in the same moment."""
    gate = threading.Barrier(len(acts))

    def begun(act: Callable[[], One]) -> One:
        gate.wait()
        return act()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(begun, acts))


@pytest.fixture
def hospital(lab: Lab) -> Hospital:
    return lab.hospital("bac-ninh")


# ---- who is who ----


def test_one_person_registered_under_several_numbers_at_once_is_one_person(hospital: Hospital) -> None:
    hospital.registers(HOA)
    numbers = [f"N{number}" for number in range(8)]
    assert [one.status for one in at_once(*(lambda n=n: hospital.feeds(LAN, number=n) for n in numbers))] == [201] * 8
    with hospital.house.storage.read() as unit:
        assert len({person for person, _ in unit.patients.everybody()}) == 2, "she, and somebody else"
        assert unit.patients.reviews() == ()


def test_of_two_merges_in_opposite_directions_one_holds(hospital: Hospital) -> None:
    hospital.registers(LAN, number="A")
    hospital.registers(LAN, number="B")
    ways = [("A", "B"), ("B", "A")] * 3
    told = at_once(*(lambda w=w: hospital.feeds(LAN, number=w[0], merged_into=w[1]).status for w in ways))
    assert sorted(told) == [200] * 3 + [422] * 3
    with hospital.house.storage.read() as unit:
        assert sorted(record.active for _, record in unit.patients.everybody()) == [False, True]


def test_a_patient_who_is_joined_to_another_meanwhile_is_found(hospital: Hospital) -> None:
    moving, staying = hospital.registers(LAN), hospital.registers(HOA)
    storage, now, stop = hospital.house.storage, hospital.house.now(), threading.Event()

    def moves() -> None:
        with storage.begin() as unit:
            homes = [unit.patients.person_of(one) for one in (moving, staying)]
        for turn in range(80):
            with storage.begin() as unit:
                unit.patients.link(Link(new_id(), moving, str(homes[1 - turn % 2]), (), "test/1", "test", now))
        stop.set()

    def looks() -> bool:
        found = True
        while not stop.is_set():
            with storage.begin() as unit:
                found = found and by_record_id(unit, moving) is not None
                found = found and all(one.records for one in unit.patients.candidates(named(LAN), limit=50))
        return found

    assert at_once(moves, looks, looks)[1:] == [True, True]


def named(one: Person) -> PatientInQuestion:
    return PatientInQuestion(tuple(PatientIdentifier(system, value) for system, value in one.numbers))


def test_each_number_that_a_hospital_learns_at_once_is_remembered(hospital: Hospital) -> None:
    record, house = hospital.registers(LAN), hospital.house
    numbers = [PatientIdentifier("urn:oid:1.2.3", f"N{number}") for number in range(8)]

    def learns(number: PatientIdentifier) -> None:
        with house.storage.begin() as unit:
            unit.identities.learn([Learnt(house.home, record, (number,), house.now())])

    at_once(*(lambda n=n: learns(n) for n in numbers))
    with house.storage.read() as unit:
        (learnt,) = unit.identities.learnt_of([record])
    assert set(learnt.numbers) == set(numbers)


# ---- consents and questions ----


def test_consents_that_change_refuse_no_question(hospital: Hospital) -> None:
    client = Client(hospital)
    record = hospital.registers(LAN)
    reference = {"reference": f"Patient/{record}"}
    kept = [client("POST", "/fhir/Consent", written(reference, client.community)).bundle for _ in range(2)]

    def changes(one: Resource) -> int:
        url = f"/fhir/Consent/{one['id']}"
        told = [client("PUT", url, one | {"status": status}).status for status in ("inactive", "active", "inactive")]
        return max(*told, client("DELETE", url).status)

    def asks() -> int:
        return max(client.get("/fhir/DocumentReference", patient=f"Patient/{record}").status for _ in range(5))

    assert at_once(*(lambda k=k: changes(k) for k in kept), *[asks] * 5) == [204] * 2 + [200] * 5


def test_an_emergency_that_begins_with_several_looks_at_once_is_one(hospital: Hospital) -> None:
    hospital.publishes(ct_report(LAN))

    def looks() -> int:
        return hospital.finds_documents(LAN, purpose=PurposeOfUse.BTG, reason="ngừng tim, cấp cứu").status

    assert at_once(*[looks] * 6) == [200] * 6
    with hospital.house.storage.read() as unit:
        assert len(unit.emergencies.waiting()) == 1


def test_a_subscription_that_is_asked_for_twice_at_once_is_one(hospital: Hospital) -> None:
    hospital.registers(LAN)
    told = Subscriptions(("127.0.0.1:9",), "tls/federation-ca.crt")
    hospital.house = replace(hospital.house, settings=replace(hospital.house.settings, subscriptions=told))
    hospital.opens_anew()
    client, who = Client(hospital), f"{hospital.house.settings.patient_id_system}|{LAN.number_at('bac-ninh')}"
    endpoint: Any = SimpleNamespace(url="https://127.0.0.1:9/hear")
    asked = Subscriber(client, endpoint).asks(filters=(f"DocumentReference?patient.identifier={who}",))
    subscribes = lambda: client("POST", "/fhir/Subscription", asked, If_None_Exist="status=requested").status  # noqa: E731
    assert sorted(at_once(*[subscribes] * 6)) == [200] * 5 + [201]


# ---- documents and images ----


def test_of_many_who_remove_the_same_document_one_has_removed_it(hospital: Hospital) -> None:
    hospital.registers(LAN)
    soap, number = SoapClient(hospital), LAN.number_at("bac-ninh")
    assert soap.provides(Submission(number, [Document(number, b"%PDF")])).outcome == "Success"
    ids = ids_of(everything_of(soap, number))
    codes = [tuple(one.codes) for one in at_once(*[lambda: removes(soap, *ids)] * 6)]
    assert sorted(codes) == [()] + [("UnresolvedReferenceException",)] * 5


def test_images_in_doubt_that_come_at_once_wait_as_one_study(hospital: Hospital) -> None:
    hospital.registers(LAN)
    slices = CtStudy(replace(LAN, name="Phạm Văn Khác", born="1931-01-01", gender="male"), count=8).slices("bac-ninh")

    def stores(piece: bytes) -> int:
        body = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + piece + b"\r\n--b--\r\n"
        kind = 'multipart/related; type="application/dicom"; boundary=b'
        headers = {"Content-Type": kind, "Accept": "application/dicom+json"}
        return hospital.sends("POST", "/dicomweb/studies", body=body, headers=headers).status

    assert at_once(*(lambda s=s: stores(s) for s in slices)) == [202] * 8
    with hospital.house.storage.read() as unit:
        (aside,) = unit.quarantine.waiting()
    assert len(aside.instances) == 8


# ---- what stands in the way ----


def test_groups_of_units_that_wait_for_each_other_are_both_done(hospital: Hospital) -> None:
    house, gate = hospital.house, threading.Barrier(2)
    records = [hospital.registers(one) for one in (LAN, HOA)]

    def changes(first: str, second: str) -> None:
        def group() -> None:
            with house.storage.together():
                for place, record_id in enumerate((first, second)):
                    with house.storage.begin() as unit:
                        known = unit.patients.record_by_id(record_id)
                        assert known is not None
                        unit.patients.save(replace(known, version=known.version + 1))
                    if not place:
                        with suppress(threading.BrokenBarrierError):
                            gate.wait(0.3)

        grouped_anew(house, group)

    at_once(lambda: changes(*records), lambda: changes(*reversed(records)))
    with house.storage.read() as unit:
        assert [one.version for one in map(unit.patients.record_by_id, records) if one] == [3, 3]


def test_groups_of_messages_about_the_same_patients_do_not_wait_in_a_circle(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One system tells of them in this order, another in that."""
    oid = hospital.house.settings.patient_id_system.removeprefix("urn:oid:")
    numbers = [LAN.number_at("bac-ninh"), HOA.number_at("bac-ninh")]
    for one in (LAN, HOA):
        hospital.registers(one)

    def tells(number: str, phone: str) -> bytes:
        lines = (
            f"MSH|^~\\&|HIS|BVB|HIE|27001|20261101080000||ADT^A08^ADT_A01|{phone}|P|2.5",
            "EVN|A08|20261101080000",
            f"PID|1||{number}^^^&{oid}&ISO||Le^Mau||19600101|F|||||^^PH^^^^{phone}",
            "PV1|1|O",
        )
        return ("\r".join(lines) + "\r").encode()

    def group(place: int) -> list[str]:
        order = numbers if place % 2 else numbers[::-1]
        messages = [tells(number, f"09{place}{turn}") for turn, number in enumerate(order * 3)]
        return [one.verdict.code for one in hl7v2.handle_together(hospital.house, messages)]

    failures: list[Exception] = []
    monkeypatch.setattr(hl7v2, "was_in_the_way", lambda error: failures.append(error) or was_in_the_way(error))
    assert at_once(*(lambda p=p: group(p) for p in range(6))) == [["AA"] * 6] * 6
    assert failures == []


def test_insurance_files_of_the_same_visits_in_opposite_order_are_read_whole(hospital: Hospital) -> None:
    head, *dossiers, foot = insurance_file(6)

    def read(place: int) -> tuple[int, list[str]]:
        order = dossiers if place % 2 else dossiers[::-1]
        file = insurance.publish_file(hospital.house, [head, *order, foot], publisher(hospital.house, "his"))
        return file.documents, file.refused

    told = at_once(*(lambda p=p: read(p) for p in range(4)))
    assert [refused for _, refused in told] == [[]] * 4
    assert len({documents for documents, _ in told}) == 1
    with hospital.house.storage.read() as unit:
        assert len(list(unit.documents.find(DocumentSearch()))) == told[0][0]
        assert len({person for person, _ in unit.patients.everybody()}) == 6


def test_a_token_is_spent_with_the_unit_that_holds(hospital: Hospital) -> None:
    asked = hospital._act("test", Role.DOCTOR).caller
    requester = replace(asked.requester, token_id="one-use")
    caller = replace(asked, requester=requester, token_expires=hospital.house.now() + timedelta(minutes=1))
    act = Act(hospital.house, caller, "test")
    with suppress(ZeroDivisionError), act.unit():
        raise ZeroDivisionError
    with act.unit():
        pass
    with pytest.raises(TokenReplayed), Act(hospital.house, caller, "test").unit():
        pass


def test_an_act_that_is_begun_anew_has_noted_nothing(hospital: Hospital) -> None:
    act = hospital._act("test", Role.DOCTOR)
    act.refused(Reason.QUOTA)
    act.consents.add("one")
    act.begin_anew()
    assert (act.items, act.reasons, act.consents) == ([], {}, set())
