"""The registrar's page for images whose patient is in doubt."""

from __future__ import annotations

from dataclasses import replace

from consent.requesters import Role
from tests.house.web.browser import Browser
from tests.lab import Hospital
from tests.papers import HOA, LAN, CtStudy

MISTYPED = CtStudy(replace(HOA, key=LAN.key))


def waits(hospital: Hospital) -> Browser:
    """Lan's number was typed in for Hoa, and a registrar looks."""
    hospital.registers(LAN)
    hospital.registers(HOA)
    hospital.publishes_files({"1.dcm": MISTYPED.slices(hospital.name)[0]})
    registrar = Browser(hospital)
    registrar.signs_in(Role.REGISTRAR)
    return registrar


def test_both_patients_stand_side_by_side_and_the_right_one_gets_the_images(bach_mai: Hospital) -> None:
    registrar = waits(bach_mai)
    doubts = registrar.opens("/reviews")
    assert "Ảnh chưa rõ người bệnh 1" in doubts.text
    page = registrar.opens(doubts.link("/quarantine"))
    assert HOA.name in page.text and LAN.name in page.text
    wrong = registrar.fills(page, "/quarantine/", answer="look", patient="BA-0999")
    assert wrong.status == 400 and 'role="alert"' in wrong.html
    seen = registrar.fills(page, "/quarantine/", answer="look", patient=HOA.number_at(bach_mai.name))
    assert f"Trả những hình ảnh này về {HOA.name}?" in seen.text
    release = next(one.action for one in seen._read.forms if "/quarantine/" in one.action and "?f=" in one.action)
    done = registrar.fills(seen, release, answer="release")
    assert "đúng người bệnh" in done.text
    with bach_mai.house.storage.read() as unit:
        study = unit.studies.by_uid(MISTYPED.uid)
    assert study is not None and study.patient == bach_mai.number_of(HOA)
    assert "Ảnh chưa rõ người bệnh 1" not in registrar.opens("/reviews").text


def test_images_are_given_to_nobody_unseen(bach_mai: Hospital) -> None:
    registrar = waits(bach_mai)
    page = registrar.opens("/quarantine")
    number = HOA.number_at(bach_mai.name)
    unseen = registrar.fills(page, "/quarantine/", answer="release", patient=number)
    assert unseen.status == 400 and "Hãy xem người bệnh trước" in unseen.text
    with bach_mai.house.storage.read() as unit:
        assert unit.studies.by_uid(MISTYPED.uid) is None


def test_what_is_of_nobody_is_destroyed_once(bach_mai: Hospital) -> None:
    registrar = waits(bach_mai)
    page = registrar.opens("/quarantine")
    assert "Đã hủy" in registrar.fills(page, "/quarantine/", answer="reject").text
    assert registrar.fills(page, "/quarantine/", answer="reject").status == 409


def test_nobody_but_a_registrar_opens_it(bach_mai: Hospital) -> None:
    waits(bach_mai)
    doctor = Browser(bach_mai)
    doctor.signs_in(Role.DOCTOR)
    assert doctor.opens("/quarantine").status == 403
