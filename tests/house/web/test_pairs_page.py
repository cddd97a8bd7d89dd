"""The registrar's page for reports and images that did not find each other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from consent.requesters import Role
from registry.pairing import doubt_id
from registry.studies import Study
from tests.house.web.browser import Browser, Seen
from tests.lab import Hospital
from tests.papers import HOA, LAN, CtStudy, ct_report

AT_THE_TIME = "2026-03-10T08:20:00+07:00"


@pytest.fixture
def two(bach_mai: Hospital) -> tuple[Study, Study]:
    """The same examination twice within an hour, as after a patient who had moved."""
    first, second = (bach_mai.publishes_study(CtStudy(LAN, uid=f"1.2.826.0.1.99.{n}")) for n in (71, 72))
    return first, second


def registrar(hospital: Hospital) -> Browser:
    made = Browser(hospital)
    made.signs_in(Role.REGISTRAR)
    return made


def study(hospital: Hospital, one: Study) -> Study:
    with hospital.house.storage.read() as unit:
        found = unit.studies.study(one.id)
    assert found is not None
    return found


def pair(person: Browser, one: Study, report: str) -> Seen:
    return person.opens(f"/pairs/{doubt_id(one.id, report)}")


def test_a_report_that_fits_two_studies_stands_beside_each_until_one_is_chosen(
    bach_mai: Hospital, two: tuple[Study, Study]
) -> None:
    report = bach_mai.publishes(ct_report(LAN, title="CLVT sọ não", performed=AT_THE_TIME)).id
    person = registrar(bach_mai)
    queue = person.opens(person.opens("/reviews").link("/pairs"))
    assert len([one for one in queue.links if one.startswith("/pairs/")]) == 2 and LAN.name not in queue.text

    page = pair(person, two[1], report)
    room = [given["href"] for tag, given in page.tags if tag == "a" and "aria-current" in given]
    assert room == ["/reviews"]
    assert LAN.name in page.text and "10/03/2026 08:15" in page.text and "10/03/2026 08:20" in page.text
    assert f"/pairs/{doubt_id(two[0].id, report)}" in page.links
    done = person.fills(page, "/pairs/", answer="together")
    assert "Đã ghép kết quả với hình ảnh" in done.text and "Không có cặp nào chờ" in done.text
    assert study(bach_mai, two[1]).report_id == report and study(bach_mai, two[0]).report_id is None
    row = bach_mai.rows(transaction="page decide-pair")[-1]
    assert row.requester.subject == "tn.tuan" and set(row.items) == {two[1].id, report}

    back = person.fills(done, f"/pairs/{doubt_id(two[1].id, report)}/undo")
    assert "chờ quyết định lại" in back.text
    assert len([one for one in back.links if one.startswith("/pairs/")]) == 2
    assert study(bach_mai, two[1]).report_id is None
    (listed,) = bach_mai.finds_own_documents(LAN).found
    assert two[1].study_instance_uid not in str(listed["context"].get("related"))


def test_what_a_registrar_keeps_apart_no_rule_joins(bach_mai: Hospital, two: tuple[Study, Study]) -> None:
    report = bach_mai.publishes(ct_report(LAN, performed=AT_THE_TIME)).id
    person = registrar(bach_mai)
    done = person.fills(pair(person, two[0], report), "/pairs/", answer="apart")
    assert "không thuộc về nhau" in done.text
    more = CtStudy(LAN, uid=two[0].study_instance_uid, count=9).slices("bach-mai")
    bach_mai.publishes_files({"9.dcm": more[8]})
    assert study(bach_mai, two[0]).instance_count > two[0].instance_count
    assert study(bach_mai, two[0]).report_id is None
    person.fills(done, f"/pairs/{doubt_id(two[0].id, report)}/undo")
    assert "Thuộc về nhau" in pair(person, two[0], report).text


def test_two_registrars_and_two_clicks_decide_once(bach_mai: Hospital, two: tuple[Study, Study]) -> None:
    report = bach_mai.publishes(ct_report(LAN, performed=AT_THE_TIME)).id
    one, other = registrar(bach_mai), registrar(bach_mai)
    mine, theirs, its_twin = (pair(one, two[0], report), pair(other, two[0], report), pair(other, two[1], report))
    one.fills(mine, "/pairs/", answer="together")
    assert one.fills(mine, "/pairs/", answer="together").status == 409
    assert other.fills(theirs, "/pairs/", answer="apart").status == 409
    assert other.fills(its_twin, "/pairs/", answer="together").status == 409
    assert study(bach_mai, two[0]).report_id == report and study(bach_mai, two[1]).report_id is None


def test_what_no_rule_saw_is_chosen_by_the_patient_number(bach_mai: Hospital) -> None:
    images = bach_mai.publishes_study(CtStudy(LAN))
    report = bach_mai.publishes(ct_report(LAN, performed="2026-05-01T10:00:00+07:00")).id
    person = registrar(bach_mai)
    page = person.opens("/pairs")
    assert "Không có hồ sơ nào" in person.fills(page, "/pairs", number="BA-9999").text
    found = person.fills(page, "/pairs", number=LAN.number_at("bach-mai"))
    shown = person.fills(found, "/pairs/compare", study=images.id, report=report)
    assert "khác" in shown.text and "tn.tuan" in person.opens("/pairs").text
    person.fills(shown, "/pairs/", answer="together")
    assert study(bach_mai, images).report_id == report


def test_a_correction_that_came_meanwhile_leaves_the_images_as_well(
    bach_mai: Hospital, two: tuple[Study, Study]
) -> None:
    first = bach_mai.publishes(ct_report(LAN, performed=AT_THE_TIME, unique_id="1.2.3.4"))
    person = registrar(bach_mai)
    done = person.fills(pair(person, two[0], first.id), "/pairs/", answer="together")
    again = bach_mai.publishes(ct_report(LAN, text="Sửa lại.", performed=AT_THE_TIME, unique_id="1.2.3.4"))
    assert study(bach_mai, two[0]).report_id == again.id
    person.fills(done, f"/pairs/{doubt_id(two[0].id, first.id)}/undo")
    assert study(bach_mai, two[0]).report_id is None


def test_nobody_joins_two_patients_and_nobody_else_may_look(bach_mai: Hospital, two: tuple[Study, Study]) -> None:
    bach_mai.registers(HOA)
    theirs = bach_mai.publishes(ct_report(HOA, performed=AT_THE_TIME)).id
    mine = bach_mai.publishes(ct_report(replace(LAN), performed=AT_THE_TIME)).id
    person = registrar(bach_mai)
    found = person.fills(person.opens("/pairs"), "/pairs", number=LAN.number_at("bach-mai"))
    assert theirs not in found.html
    assert person.fills(found, "/pairs/compare", study=two[0].id, report=theirs).status == 409
    page = pair(person, two[0], mine)
    forged = person.sends("POST", page.address, data={"answer": "together", "token": "forged"})
    assert forged.status == 403 and study(bach_mai, two[0]).report_id is None
    doctor = Browser(bach_mai)
    doctor.signs_in(Role.DOCTOR)
    assert doctor.opens("/pairs").status == doctor.opens(page.address).status == 403
