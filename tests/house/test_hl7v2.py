"""What a hospital's feed does to its node, and what it is told."""

from __future__ import annotations

import base64
import os
import signal
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from adapters.hl7v2.message import read_message
from hie_node.acts import Act
from hie_node.drop_folder import DropFolder
from hie_node.flows.reviews import undo_link
from hie_node.publishing import publisher
from hie_node.setting_tables import Hl7Sender, Mllp
from registry.documents import DocumentStatus
from registry.identifiers import DICOM_UID, INSURANCE_NUMBER, NATIONAL_ID, PatientIdentifier
from registry.studies import Series, Study
from tests.house.hospital import SYSTEM, Hospital, code, error, make_house, written
from tests.processes import exit_code

FOLDER = Path(__file__).parents[1] / "samples" / "hl7v2"
UID = "1.2.840.99999.1"


def sample(name: str, **changed: str) -> bytes:
    text = (FOLDER / f"{name}.hl7").read_text("utf-8")
    for old, new in changed.items():
        assert old in text, old
        text = text.replace(old, new)
    return written(text)


def adt(event: str, pid: str, *rest: str, control: str = "X1") -> str:
    head = f"MSH|^~\\&|HIS|BV_BN|HIE|27001|20261123||ADT^{event}|{control}|P|2.5|||||VNM|UNICODE UTF-8"
    return "\r".join((head, f"EVN|{event}|20261123", f"PID|||{pid}", *rest))


def study(hospital: Hospital, number: str, **facts: object) -> Study:
    """A study of this patient in the index, without its pixels."""
    record = hospital.record(number)
    assert record is not None
    series = Series(f"{UID}.1", "CT")
    made = Study("s1", UID, record.identifier, record.id, series=(series,))
    made = replace(made, **facts)  # type: ignore[arg-type]
    with hospital.house.storage.begin() as unit:
        unit.studies.save(made)
    return made


def report_of(hospital: Hospital) -> str | None:
    with hospital.house.storage.read() as unit:
        found = unit.studies.by_uid(UID)
    assert found is not None
    return found.report_id


# ---- patients ----


def test_a_registration_is_known_afterwards(hospital: Hospital) -> None:
    assert code(hospital.tell(sample("adt_a04"))) == "AA"
    record = hospital.record("A1")
    assert record is not None and record.demographics.name is not None
    about = record.demographics
    assert record.demographics.name.text == "Nguyễn Thị An"
    assert (str(about.birth_date), about.gender) == ("1990-05-01", "female")
    assert {number.system for number in record.numbers} == {NATIONAL_ID, INSURANCE_NUMBER}
    assert about.address is not None and about.address.province == "Bắc Ninh"


def test_an_update_changes_what_it_speaks_of_and_deletes_what_it_says_is_nothing(hospital: Hospital) -> None:
    hospital.tell(sample("adt_a04"))
    hospital.tell(sample("adt_a08"))
    record = hospital.record("A1")
    assert record is not None and record.version == 2
    about = record.demographics
    assert (str(about.birth_date), about.gender, about.phones) == ("1990-05-01", "female", ("0900000002",))
    assert about.address is None and len(record.numbers) == 2


def test_the_same_message_again_is_answered_the_same_and_changes_nothing(hospital: Hospital) -> None:
    first = hospital.handled(sample("adt_a04"))
    hospital.tell(sample("adt_a08"))
    before = hospital.rows()
    late = hospital.handled(sample("adt_a04"))
    assert late.again and hospital.rows() == before
    one, two = (read_message(each.answers[0]) for each in (first, late))
    assert [s.raw for s in one.segments[1:]] == [s.raw for s in two.segments[1:]] and one.control_id == two.control_id
    record = hospital.record("A1")
    assert record is not None and record.demographics.phones == ("0900000002",)  # a late resend rolls nothing back


def test_a_control_id_that_is_used_again_for_another_message_loses_nothing(hospital: Hospital) -> None:
    hospital.tell(sample("adt_a04"))
    assert code(hospital.tell(sample("adt_a08", **{"|M2|": "|M1|"}))) == "AA"
    record = hospital.record("A1")
    assert record is not None and record.demographics.phones == ("0900000002",)


@pytest.mark.parametrize(
    ("pid", "expected"),
    [
        ("B1^^^&9.9.9&ISO^PI||Lê^Hoa", ("AE", "PID^1^3^1^4", "204")),
        ("B1^^^NOBODY^PI||Lê^Hoa", ("AE", "PID^1^3^1^4", "204")),
        ("||Lê^Hoa", ("AE", "PID^1^3", "101")),
        ("B1^^^OWN^PI", ("AE", "PID^1^5", "101")),
    ],
)
def test_a_patient_who_is_not_this_hospitals_is_refused(
    hospital: Hospital, pid: str, expected: tuple[str, str, str]
) -> None:
    assert error(hospital.tell(adt("A04", pid))) == expected
    assert hospital.record("B1") is None


@pytest.mark.parametrize("number", ["B1", "B1^^^^MR", "B1^^^27001^MR", "B1^^^BV_BN^PI", "B1^^^OWN"])
def test_the_hospitals_own_number_is_recognised_as_systems_write_it(hospital: Hospital, number: str) -> None:
    assert code(hospital.tell(adt("A28", f"{number}||Lê Thị Hoa||1958"))) == "AA"
    record = hospital.record("B1")
    assert record is not None and record.demographics.name is not None
    assert (record.demographics.name.family, str(record.demographics.birth_date)) == ("Lê", "1958")


# ---- merges ----


def ready_to_merge(hospital: Hospital) -> None:
    hospital.tell(sample("adt_a04"))
    hospital.tell(adt("A04", "A9^^^OWN^PI||Nguyễn^An||1990", control="X9"))
    hospital.tell(sample("oru_ct", **{"|||A1^": "|||A9^", "Nguyễn^An^Thị": "Nguyễn^An"}))


def test_a_merge_moves_the_documents_and_the_old_number_finds_the_survivor(hospital: Hospital) -> None:
    ready_to_merge(hospital)
    assert len(hospital.documents("A9")) == 2 and not hospital.documents("A1")
    assert code(hospital.tell(sample("adt_a40"))) == "AA"
    assert len(hospital.documents("A1")) == 2 and hospital.person("A9") == hospital.person("A1")
    hospital.tell(sample("oru_lab", **{"|||A1^": "|||A9^"}))
    record = hospital.record("A1")
    assert record is not None
    assert {entry.record_id for entry in hospital.documents("A1")} > {record.id}


def test_a_merge_can_be_undone_and_the_documents_go_back(hospital: Hospital) -> None:
    ready_to_merge(hospital)
    hospital.tell(sample("adt_a40"))
    old = hospital.record("A9")
    assert old is not None and not old.active
    with hospital.house.storage.read() as unit:
        person = unit.patients.person_of(old.id)
        links = [link for link in unit.patients.links_of(person or "") if link.record_id == old.id and not link.undone]
    undo_link(Act(hospital.house, publisher(hospital.house, "registrar"), "hie mpi"), links[0].id)
    again = hospital.record("A9")
    assert again is not None and again.active and again.replaced_by is None
    assert len(hospital.documents("A9")) == 2 and not hospital.documents("A1")


def test_unlink_undoes_a_merge_and_link_joins_again(hospital: Hospital) -> None:
    ready_to_merge(hospital)
    hospital.tell(sample("adt_a40"))
    two = ("A1^^^OWN^PI||Nguyễn^An", "PID|||A9^^^OWN^PI||Nguyễn^An")
    assert code(hospital.tell(adt("A37", *two, control="X37"))) == "AA"
    assert hospital.person("A1") != hospital.person("A9")
    assert code(hospital.tell(adt("A24", *two, control="X24"))) == "AA"
    assert hospital.person("A1") == hospital.person("A9")
    assert error(hospital.tell(adt("A24", two[0], control="X25"))) == ("AE", "PID^2", "100")


def test_what_was_merged_before_goes_along(hospital: Hospital) -> None:
    ready_to_merge(hospital)
    hospital.tell(adt("A40", "A5^^^OWN^PI||Nguyễn^An", "MRG|A9^^^OWN^PI", control="X5"))
    hospital.tell(adt("A40", "A1^^^OWN^PI||Nguyễn^An^Thị", "MRG|A5^^^OWN^PI", control="X6"))
    assert hospital.person("A9") == hospital.person("A5") == hospital.person("A1")
    assert len(hospital.documents("A1")) == 2


def test_merges_in_a_circle_and_updates_of_a_merged_number_are_refused(hospital: Hospital) -> None:
    ready_to_merge(hospital)
    hospital.tell(sample("adt_a40"))
    circle = adt("A40", "A9^^^OWN^PI||Nguyễn^An", "MRG|A1^^^OWN^PI", control="X7")
    assert error(hospital.tell(circle)) == ("AE", "PID^1^3^1^1", "204")
    update = adt("A08", "A9^^^OWN^PI||Nguyễn^An", control="X8")
    assert error(hospital.tell(update)) == ("AE", "PID^1^3^1^1", "204")
    record = hospital.record("A9")
    assert record is not None and not record.active


def test_a_new_number_takes_over_from_the_old_one(hospital: Hospital) -> None:
    hospital.tell(sample("adt_a04"))
    assert code(hospital.tell(adt("A47", "N1^^^OWN^PI", "MRG|A1^^^OWN^PI", control="X47"))) == "AA"
    new = hospital.record("N1")
    assert new is not None and new.demographics.name is not None and new.demographics.name.text == "Nguyễn Thị An"
    assert hospital.person("A1") == hospital.person("N1")


def test_a_merge_of_a_number_that_nobody_knew_still_leads_to_the_survivor(hospital: Hospital) -> None:
    hospital.tell(sample("adt_a04"))
    assert code(hospital.tell(sample("adt_a40"))) == "AA"
    hospital.tell(sample("oru_lab", **{"|||A1^": "|||A9^"}))
    assert len(hospital.documents("A1")) == 1


@pytest.mark.parametrize("rest", [("MRG|A9^^^&9.9.9&ISO",), (), ("MRG|",)])
def test_a_merge_without_a_usable_number_changes_nothing(hospital: Hospital, rest: tuple[str, ...]) -> None:
    hospital.tell(sample("adt_a04"))
    assert code(hospital.tell(adt("A40", "A1^^^OWN^PI||Nguyễn^An^Thị", *rest, control="X"))) == "AE"


# ---- reports ----


def test_a_report_says_which_visit_it_came_of(hospital: Hospital) -> None:
    visit = "PV1|1|O" + "|" * 17 + "V7\nORC|RE|P1|F1"
    assert code(hospital.tell(sample("oru_ct", **{"ORC|RE|P1|F1": visit}))) == "AA"
    numbers = {entry.encounters for entry in hospital.documents("A1")}
    ((number,),) = numbers
    assert number.system.startswith("urn:hie-node:visit:") and number.value == "V7"


def test_a_report_becomes_documents_that_a_doctor_can_read(hospital: Hospital) -> None:
    assert code(hospital.tell(sample("oru_ct"))) == "AA"
    text, pdf = sorted(hospital.documents("A1"), key=lambda entry: entry.attachment.content_type, reverse=True)
    assert hospital.content(pdf) == b"%PDF-1.4\n%%EOF\n" and pdf.attachment.content_type == "application/pdf"
    words = hospital.text(text)
    assert "MÔ TẢ\nKhông thấy tổn thương\nHệ thống não thất cân đối" in words and "KẾT LUẬN\nCLVT sọ não" in words
    assert (text.examination, text.authors[0].person) == ("CT/brain/plain", "Trần Văn Minh")
    assert text.start == datetime(2026, 11, 20, 3, 15, tzinfo=UTC)
    assert PatientIdentifier(DICOM_UID, f"urn:oid:{UID}") in text.references


def test_a_report_finds_its_study_and_a_correction_takes_its_place(hospital: Hospital) -> None:
    hospital.tell(sample("adt_a04"))
    study(hospital, "A1")
    hospital.tell(sample("oru_ct"))
    first = report_of(hospital)
    assert first in {entry.id for entry in hospital.documents("A1")}
    corrected = sample("oru_ct", **{"|R1|": "|R2|", "|RAD|F|": "|RAD|C|", "bình thường": "có nhồi máu nhỏ"})
    assert code(hospital.tell(corrected)) == "AA"
    current = hospital.documents("A1")
    assert len(current) == 2 and report_of(hospital) in {entry.id for entry in current} - {first}
    assert any("nhồi máu".encode() in hospital.content(entry) for entry in current)


AROUND_THEN = datetime(2026, 11, 20, 3, 30, tzinfo=UTC)


@pytest.mark.parametrize("facts", [{"accession_number": "ACC1"}, {"started": AROUND_THEN}])
def test_without_a_study_uid_number_or_time_pair(hospital: Hospital, facts: dict[str, object]) -> None:
    hospital.tell(sample("adt_a04"))
    study(hospital, "A1", **facts)
    hospital.tell(sample("oru_ct", **{"|113014^DICOM Study^DCM||1.2.840.99999.1|": "|9^Khác^L|||"}))
    assert report_of(hospital) is not None


def test_an_examination_is_recognised_by_its_name_alone(hospital: Hospital) -> None:
    hospital.tell(sample("adt_a04"))
    study(hospital, "A1", started=datetime(2026, 11, 20, 3, 30, tzinfo=UTC))
    plain = {"18.0149.0040^Chụp CLVT sọ não^QĐ 1227": "X77^Chụp cắt lớp vi tính sọ não", "OBX|4|HD": "NTE|4|HD"}
    hospital.tell(sample("oru_ct", **plain))
    assert report_of(hospital) is not None


@pytest.mark.parametrize("status", ["P", "S", "A", "I", "R"])
def test_what_is_not_final_is_acknowledged_and_not_published(hospital: Hospital, status: str) -> None:
    answer = hospital.tell(sample("oru_ct", **{"|RAD|F|": f"|RAD|{status}|"}))
    assert code(answer) == "AA" and "not final" in answer.one("ERR").text(8)
    assert not hospital.documents("A1")
    assert len(hospital.tell(sample("oru_ct")).segments) == 2 and len(hospital.documents("A1")) == 2


def test_a_cancelled_report_is_taken_back_and_may_come_again(hospital: Hospital) -> None:
    hospital.tell(sample("adt_a04"))
    study(hospital, "A1")
    hospital.tell(sample("oru_ct"))
    assert code(hospital.tell(sample("oru_ct", **{"|R1|": "|R2|", "|RAD|F|": "|RAD|X|"}))) == "AA"
    assert not hospital.documents("A1") and report_of(hospital) is None
    assert {entry.status for entry in hospital.documents("A1", only_current=False)} == {DocumentStatus.SUPERSEDED}
    hospital.tell(sample("oru_ct", **{"|R1|": "|R3|"}))
    assert len(hospital.documents("A1")) == 2 and report_of(hospital) is not None


def test_lines_that_are_wrong_are_left_out_and_all_wrong_is_a_cancellation(hospital: Hospital) -> None:
    hospital.tell(sample("oru_lab"))
    (entry,) = hospital.documents("A1")
    assert "Glucose: 5.4 mmol/L (tham chiếu 3.9 - 6.4; N)\nMẫu lúc đói" in hospital.text(entry)
    hospital.tell(sample("oru_lab", **{"|L1|": "|L2|", "|N|||F": "|N|||W"}))
    assert not hospital.documents("A1")


def test_a_correction_without_the_pdf_takes_the_pdf_back(hospital: Hospital) -> None:
    hospital.tell(sample("oru_ct"))
    hospital.tell(sample("oru_ct", **{"|R1|": "|R2|", "|RAD|F|": "|RAD|C|", "OBX|3|ED|": "NTE|3|"}))
    assert [entry.attachment.content_type for entry in hospital.documents("A1")] == ["text/plain; charset=utf-8"]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"|P1|F1|18": "|||18", "ORC|RE|P1|F1": "ORC|RE"}, ("AE", "OBR^1^3", "101")),
        ({"JVBERi0x": "JVB*Ri0x"}, ("AE", "OBX^3^5^1^5", "102")),
        ({"Base64^": "Hex^"}, ("AE", "OBX^3^5^1^4", "102")),
        ({"ORC|RE|P1|F1": "OBX|9|TX|1||x||||||F"}, ("AE", "OBX^1", "100")),
        ({"19900501": "19500501", "Nguyễn^An^Thị": "Lê^Hoa"}, ("AE", "PID^1^3^1^1", "204")),
        ({"Nguyễn^An^Thị": "", "|||A1^": "|||Z1^"}, ("AE", "PID^1^3^1^1", "204")),
    ],
)
def test_a_report_that_cannot_be_trusted_is_refused_whole(
    hospital: Hospital, changed: dict[str, str], expected: tuple[str, str, str]
) -> None:
    hospital.tell(sample("adt_a04"))
    assert error(hospital.tell(sample("oru_ct", **changed))) == expected
    assert not hospital.documents("A1") and not hospital.documents("Z1")


def test_a_report_that_speaks_of_a_closed_list_waits_for_a_reader(hospital: Hospital) -> None:
    hospital.tell(sample("oru_ct", **{"trong giới hạn bình thường": "ở người nhiễm HIV"}))
    assert all(entry.sensitivity for entry in hospital.documents("A1"))


def test_a_discharge_summary_is_published_edited_and_cancelled(hospital: Hospital) -> None:
    assert code(hospital.tell(sample("mdm_t02"))) == "AA"
    (entry,) = hospital.documents("A1")
    assert entry.type is not None and entry.type.code == "18842-5" and "ổn định" in hospital.text(entry)
    hospital.tell(sample("mdm_t02", **{"^T02^MDM_T02": "^T08", "|D1|": "|D2|", "ổn định": "khỏi"}))
    (edited,) = hospital.documents("A1")
    assert "khỏi" in hospital.text(edited) and edited.id != entry.id
    hospital.tell(sample("mdm_t02", **{"^T02^MDM_T02": "^T11", "|D1|": "|D3|"}))
    assert not hospital.documents("A1")


def test_a_summary_that_is_not_signed_is_not_published(hospital: Hospital) -> None:
    assert code(hospital.tell(sample("mdm_t02", **{"|||||AU": "|||||IP"}))) == "AA"
    assert not hospital.documents("A1")


def test_a_pdf_of_megabytes_arrives_whole(hospital: Hospital) -> None:
    pdf = b"%PDF-" + bytes(6 << 20)
    encoded = base64.b64encode(pdf).decode()
    assert code(hospital.tell(sample("oru_ct", JVBERi0xLjQKJSVFT0YK=encoded))) == "AA"
    assert pdf in [hospital.content(e) for e in hospital.documents("A1") if e.attachment.content_type.endswith("pdf")]


# ---- queries ----


def test_who_is_this_patient_is_answered_with_the_patient(hospital: Hospital) -> None:
    hospital.tell(sample("adt_a04"))
    answer = hospital.tell(sample("qbp_q22"))
    assert answer.header.field(9) == "RSP^K22^RSP_K21" and [one.name for one in answer.segments[-2:]] == ["PID", "QRI"]
    assert answer.one("QRI").field(2) == "DB~NA", "found by name and date of birth"
    assert (answer.one("QAK").text(1), answer.one("QAK").text(2), answer.one("QAK").text(4)) == ("T1", "OK", "1")
    assert answer.one("PID").field(5) == "Nguyễn^An^Thị^^^^L"
    assert code(hospital.tell(sample("qbp_q22", **{"19900501": "19910501"}))) == "AA"
    assert hospital.tell(sample("qbp_q22", **{"19900501": "19910501"})).one("QAK").text(2) == "NF"


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("@PID.5.1.1^Nguyen*", True),
        ("@PID.5.2^An~@PID.8^F", True),
        ("@PID.5.1^Nguyễn~@PID.8^M", False),
        ("@PID.3.1^A1~@PID.3.4.2^2.25.4711.1", True),
        ("@PID.3.1^A2", False),
        ("@PID.5.1^Nguyễn~@PID.11.4^Bắc Ninh", True),
        ("@PID.5.1^Nguyễn~@PID.13^0900000009", False),
    ],
)
def test_every_parameter_counts(hospital: Hospital, wanted: str, found: bool) -> None:
    hospital.tell(sample("adt_a04"))
    answer = hospital.tell(sample("qbp_q22", **{"@PID.5.1.1^Nguyễn~@PID.7.1^19900501": wanted}))
    assert (code(answer), answer.one("QAK").text(2)) == ("AA", "OK" if found else "NF")


def test_many_patients_come_in_pages(hospital: Hospital) -> None:
    for number in range(5):
        hospital.tell(adt("A28", f"P{number}^^^OWN^PI||Nguyễn^Số {number}||{1950 + number * 7}", control=f"P{number}"))
    seen, pointer = [], ""
    for _ in range(3):
        text = (FOLDER / "qbp_q22.hl7").read_text("utf-8").replace("~@PID.7.1^19900501", "").replace("10^RD", "2^RD")
        answer = hospital.tell(text + (f"DSC|{pointer}|I" if pointer else ""))
        seen += [pid.text(3) for pid in answer.all("PID")]
        pointer = next((dsc.text(1) for dsc in answer.all("DSC")), "")
    assert sorted(seen) == [f"P{number}" for number in range(5)] and not pointer


@pytest.mark.parametrize(
    ("query", "changed", "expected"),
    [
        ("qbp_q22", {"@PID.7.1^": "@PID.99.1^"}, ("AE", "QPD^1^3^2", "103")),
        ("qbp_q22", {"@PID.5.1.1^Nguyễn~@PID.7.1^19900501": ""}, ("AE", "QPD^1^3", "101")),
        ("qbp_q22", {"^19900501": "^19900501|||||^^^NOBODY"}, ("AE", "QPD^1^8^1", "204")),
        ("qbp_q22", {"^19900501": "^19900501|||||^^^OWN~^^^&9.9&ISO"}, ("AE", "QPD^1^8^2", "204")),
        ("qbp_q23", {"A1^^^&2.25.4711.1&ISO^PI": "A7^^^&2.25.4711.1&ISO^PI"}, ("AE", "QPD^1^3^1^1", "204")),
        ("qbp_q23", {"A1^^^&2.25.4711.1&ISO^PI": "A1^^^&9.9.9&ISO^PI"}, ("AE", "QPD^1^3^1^4", "204")),
        ("qbp_q23", {"ISO^PI": "ISO^PI|^^^OWN~^^^&9.9&ISO"}, ("AE", "QPD^1^4^2", "204")),
    ],
)
def test_a_question_that_cannot_be_answered_is_refused_where_it_is_wrong(
    hospital: Hospital, query: str, changed: dict[str, str], expected: tuple[str, str, str]
) -> None:
    hospital.tell(sample("adt_a04"))
    answer = hospital.tell(sample(query, **changed))
    assert error(answer) == expected and answer.one("QAK").text(2) == "AE" and answer.one("QPD").raw


def test_the_other_numbers_of_a_patient_are_told_by_domain(hospital: Hospital) -> None:
    hospital.tell(sample("adt_a04", **{"~001990900001": "~B7^^^&1.2.4&ISO^PI~001990900001"}))
    everything = hospital.tell(sample("qbp_q23"))
    assert everything.header.field(9) == "RSP^K23^RSP_K23" and len(everything.one("PID").repetitions(3)) == 3
    assert everything.one("PID").field(5) == "~^^^^^^S"
    one = hospital.tell(sample("qbp_q23", **{"ISO^PI": "ISO^PI|^^^BVB&1.2.4&ISO"}))
    assert one.one("PID").field(3) == "B7^^^BVB&1.2.4&ISO^PI"
    assert hospital.tell(sample("qbp_q23", **{"ISO^PI": "ISO^PI|^^^OWN"})).one("QAK").text(2) == "NF"


def test_each_answer_about_a_patient_is_on_record(hospital: Hospital) -> None:
    hospital.tell(sample("adt_a04"))
    before = hospital.rows()
    hospital.tell(sample("qbp_q22"))
    hospital.tell(sample("qbp_q23"))
    assert hospital.rows() >= before + 3  # the question, each patient shown, the cross-reference


# ---- who may send, and what becomes of a file ----


def test_a_sender_that_is_not_listed_is_rejected(tmp_path: Path) -> None:
    from hie_node.hl7v2 import handle

    house = make_house(tmp_path, mllp=Mllp(senders=(Hl7Sender("HIS", "BV_BN", ("127.0.0.1",)),)))
    for data, address, expected in (
        (sample("adt_a04"), "127.0.0.1", "AA"),
        (sample("adt_a04"), "10.0.0.9", "AR"),
        (sample("oru_ct"), "127.0.0.1", "AR"),
    ):
        answer = read_message(handle(house, data, address=address).answers[0])
        assert code(answer) == expected
    house.storage.close()


def test_training_messages_do_not_reach_patients(hospital: Hospital) -> None:
    real = Hospital(replace(hospital.house, settings=replace(hospital.house.settings, lab=False)))
    answer = real.tell(sample("adt_a04", **{"|P|2.3.1|": "|T|2.3.1|"}))
    assert (code(answer), answer.one("ERR").text(1, 4, 1)) == ("AR", "202")


def test_messages_in_the_drop_folder_are_published_and_the_refused_one_is_explained(hospital: Hospital) -> None:
    folder = DropFolder(hospital.house)
    drop = hospital.house.settings.drop
    (drop / "day.hl7").write_bytes(sample("adt_a04") + sample("oru_ct") + sample("mdm_t02"))
    (drop / "one.er7").write_bytes(sample("oru_lab"))
    (drop / "wrong.hl7").write_bytes(sample("adt_a04", **{"|A1^": "|^"}) + sample("oru_ct"))
    for _ in range(2):
        folder.look()
    assert {file.name for file in (drop / "done").iterdir()} == {"day.hl7", "one.er7"}
    reason = (drop / "refused" / "wrong.hl7.reason.txt").read_text("utf-8")
    assert "message 1: PID^1^3" in reason and "message 2" not in reason
    assert len(hospital.documents("A1")) == 4


def test_killed_between_the_commit_and_the_answer_the_resend_changes_nothing(tmp_path: Path) -> None:
    hospital = Hospital(make_house(tmp_path))
    hospital.tell(sample("adt_a04"))
    hospital.house.storage.close()
    child = os.fork()
    if child == 0:
        hospital.handled(sample("oru_ct"))
        os.kill(os.getpid(), signal.SIGKILL)
    assert exit_code(child) == -signal.SIGKILL
    rows, documents = hospital.rows(), hospital.documents("A1")
    assert len(documents) == 2
    again = hospital.handled(sample("oru_ct"))
    assert again.again and again.verdict.code == "AA"
    assert (hospital.rows(), hospital.documents("A1")) == (rows, documents)
    hospital.house.storage.close()


def test_what_was_remembered_of_messages_is_forgotten_in_time(hospital: Hospital) -> None:
    hospital.tell(sample("adt_a04"))
    with hospital.house.storage.begin() as unit:
        assert unit.messages.forget_before(datetime.now(UTC) - timedelta(days=1)) == 0
        assert unit.messages.forget_before(datetime.now(UTC) + timedelta(days=1)) == 1


def test_numbers_of_patients_are_read_only_in_their_own_system(hospital: Hospital) -> None:
    hospital.tell(sample("adt_a04", **{"~001990900001^^^CCCD&1.2.704.1&ISO^NI": "~12345^^^CCCD^NI"}))
    record = hospital.record("A1")
    assert record is not None and NATIONAL_ID not in {number.system for number in record.numbers}
    assert record.identifier.system == SYSTEM
