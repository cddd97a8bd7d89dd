"""The province: repeatable, with a story that a doctor can follow, written as hospital systems would."""

import json
from collections import Counter
from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest
from pydicom import dcmread

from hie_node.lab.hospitals import HOSPITALS
from hie_node.lab.people import TODAY
from hie_node.lab.province import plan, write

FULL = plan(1)
SMALL = plan(5, count=18)


def test_a_seed_gives_the_same_province() -> None:
    assert plan(5, count=18) == SMALL
    assert plan(6, count=18) != SMALL


def test_each_hospital_knows_about_a_hundred_and_bach_mai_many_of_the_others() -> None:
    lists = {key: FULL.patients_of(key) for key in HOSPITALS}
    assert all(95 <= len(patients) <= 105 for patients in lists.values())
    known = {key: {patient.registration.truth.key for patient in patients} for key, patients in lists.items()}
    assert len(known["bach-mai"] & (known["bac-ninh"] | known["thai-nguyen"])) > 40
    assert known["bac-ninh"] & known["thai-nguyen"] == {FULL.story.person.key}


def test_a_number_is_one_patient_within_a_hospital_and_another_elsewhere() -> None:
    for key in HOSPITALS:
        numbers = [patient.number for patient in FULL.patients_of(key)]
        assert len(set(numbers)) == len(numbers)
    here = {patient.number: patient.registration.truth.key for patient in FULL.patients_of("thai-nguyen")}
    there = {patient.number: patient.registration.truth.key for patient in FULL.patients_of("bach-mai")}
    assert len(here.keys() & there.keys()) > 50
    assert sum(here[number] == there[number] for number in here.keys() & there.keys()) < 5


def test_the_story_is_a_woman_sent_to_bach_mai_after_a_plain_brain_ct() -> None:
    story = FULL.story
    assert story.person.gender == "female"
    assert 50 <= story.person.age() < 70
    assert story.ct.service.code == "18.0149.0040"
    assert story.referral.referral is not None
    assert story.referral.referral.to_facility == "01929"
    assert story.ct in story.referral.examinations
    assert (story.mri.kind.modality, story.mri.performed < story.ct.performed) == ("MR", True)
    assert set(story.numbers) == set(HOSPITALS)
    received = [v for v in FULL.visits["bach-mai"] if v.patient_number == story.numbers["bach-mai"]]
    assert [visit.referred_from for visit in received] == ["27001"]
    assert received[0].arrived > story.referral.left


def test_whoever_was_sent_is_received_with_the_code_of_the_sender() -> None:
    sent = Counter(v.registration.truth.key for k in ("bac-ninh", "thai-nguyen") for v in FULL.visits[k] if v.referral)
    received = Counter(v.registration.truth.key for v in FULL.visits["bach-mai"] if v.referred_from)
    assert sent == received


def test_some_examinations_are_repeated_after_the_referral() -> None:
    first = {
        (visit.registration.truth.key, one.kind.key)
        for key in ("bac-ninh", "thai-nguyen")
        for visit in FULL.visits[key]
        for one in visit.examinations
    }
    again = [
        one
        for visit in FULL.visits["bach-mai"]
        for one in visit.examinations
        if (visit.registration.truth.key, one.kind.key) in first
    ]
    assert len(again) > 15


def test_nobody_is_seen_before_birth_or_in_the_future() -> None:
    for visits in FULL.visits.values():
        for visit in visits:
            assert visit.registration.truth.birth_date <= visit.arrived.date()
            assert visit.left > visit.arrived
            if visit.registration.truth.age() > 0:
                assert visit.left.date() <= TODAY


def test_episode_and_accession_numbers_are_used_once() -> None:
    for visits in FULL.visits.values():
        keys = [visit.episode_key for visit in visits]
        assert len(set(keys)) == len(keys)
    numbers = [one.accession_number for visits in FULL.visits.values() for v in visits for one in v.examinations]
    assert len(set(numbers)) == len(numbers)
    assert max(map(len, numbers)) <= 16


@pytest.mark.parametrize("hospital", list(HOSPITALS))
def test_a_folder_holds_what_the_systems_of_one_hospital_emit(hospital: str, tmp_path: Path) -> None:
    written = write(SMALL, tmp_path, hospital, story_slices=3)
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == set(written.paths)
    assert written.counts["visits"] == len(SMALL.visits[hospital])
    for path in tmp_path.glob("insurance/*.xml"):
        root = fromstring(path.read_bytes())
        assert root.findtext("THONGTINDONVI/MACSKCB") == HOSPITALS[hospital].facility_code
    studies = {path.name for path in (tmp_path / "dicom").iterdir()}
    assert studies == {one.accession_number for visit in SMALL.visits[hospital] for one in visit.examinations}
    assert written.counts["studies"] == len(studies)


def test_the_story_has_its_images_and_its_printed_report(tmp_path: Path) -> None:
    write(SMALL, tmp_path, "bac-ninh", story_slices=6)
    accession = SMALL.story.ct.accession_number
    images = [dcmread(path) for path in sorted((tmp_path / "dicom" / accession).iterdir())]
    assert len(images) == 8
    assert {str(one.PatientName) for one in images} == {"Nguyễn^Lan^Thị"}
    assert {one.PatientID for one in images} == {SMALL.story.numbers["bac-ninh"]}
    beside = json.loads((tmp_path / "reports" / f"{accession}.json").read_text(encoding="utf-8"))
    assert beside["patient"] == {
        "id": SMALL.story.numbers["bac-ninh"],
        "name": "Nguyễn Thị Lan",
        "birthDate": "1964-03-18",
        "gender": "female",
        "nationalId": SMALL.story.person.national_id,
        "insuranceNumber": SMALL.story.person.insurance_number,
    }
    assert beside["type"] == {"system": "http://loinc.org", "code": "24725-4", "display": "CT Head"}
    assert (beside["performed"], beside["created"]) == (
        "2026-11-02T08:45:00+07:00",
        "2026-11-02T09:30:00+07:00",
    )
    assert (beside["serviceCode"], beside["accessionNumber"]) == ("18.0149.0040", accession)


def test_a_pdf_has_its_objects_where_its_table_says(tmp_path: Path) -> None:
    written = write(SMALL, tmp_path, "bac-ninh", story_slices=3)
    pdfs = [path.read_bytes() for path in written.paths if path.suffix == ".pdf"]
    assert pdfs
    for pdf in pdfs:
        assert pdf.startswith(b"%PDF-1.4")
        assert pdf.endswith(b"%%EOF\n")
        start = int(pdf.rsplit(b"startxref\n", 1)[1].split()[0])
        table = pdf[start:].splitlines()
        assert table[0] == b"xref"
        for number, line in enumerate(table[3 : 3 + int(table[1].split()[1]) - 1], 1):
            assert pdf[int(line.split()[0]) :].startswith(b"%d 0 obj" % number)


def test_the_same_province_is_written_byte_for_byte(tmp_path: Path) -> None:
    first = write(SMALL, tmp_path / "a", "thai-nguyen", story_slices=3)
    second = write(SMALL, tmp_path / "b", "thai-nguyen", story_slices=3)
    assert [path.read_bytes() for path in first.paths] == [path.read_bytes() for path in second.paths]
