"""A clinical document of another program is published as it is, and as something a doctor can read."""

from __future__ import annotations

import re
from base64 import b64encode
from pathlib import Path

import pytest

from registry.coded import HIV
from tests.house.hospital import Hospital
from tests.house.test_insurance import dropped

DISCHARGE = (Path(__file__).parents[1] / "samples" / "cda" / "discharge.xml").read_text("utf-8")
BODY = re.search("<structuredBody>.*</structuredBody>", DISCHARGE, re.DOTALL)
assert BODY is not None
SCANNED = DISCHARGE.replace("19376.1.5.3.1.1.4", "19376.1.2.20").replace(
    BODY[0],
    f'<nonXMLBody><text mediaType="application/pdf" representation="B64">{b64encode(b"%PDF-1.4 x").decode()}</text>'
    "</nonXMLBody>",
)


def test_the_document_is_kept_as_it_is_and_can_be_read(hospital: Hospital, tmp_path: Path) -> None:
    result = dropped(hospital, tmp_path, DISCHARGE)
    assert (result.kind, result.outcome) == ("cda", "stored"), result.reason
    by_kind = {entry.attachment.content_type.partition(";")[0]: entry for entry in hospital.documents("C1")}
    whole, text = by_kind["text/xml"], by_kind["text/plain"]
    assert hospital.text(whole) == DISCHARGE
    assert whole.format is not None and whole.format.code == "urn:ihe:pcc:xds-ms:2007"
    assert (whole.unique_id, whole.type and whole.type.code) == ("2.25.4711.9^RV-1", "18842-5")
    assert whole.start is not None and whole.start.hour == 7 and whole.authors[0].person == "Trần Văn Mẫu"
    assert hospital.text(text) == (
        "TÓM TẮT RA VIỆN\n\nCHẨN ĐOÁN RA VIỆN\nNhồi máu não\nTăng huyết áp\n\n"
        "THUỐC KHI RA VIỆN\nThuốc | Liều\nAmlodipin 5mg | 1 viên mỗi ngày\n"
    )
    record = hospital.record("C1")
    assert record is not None and record.demographics.name is not None
    assert record.demographics.name.text == "Nguyễn Thị Thử"


def test_a_later_version_replaces_the_earlier(hospital: Hospital, tmp_path: Path) -> None:
    dropped(hospital, tmp_path, DISCHARGE)
    later = DISCHARGE.replace("RV-1", "RV-2").replace("Nhồi máu não", "Xuất huyết não")
    assert dropped(hospital, tmp_path, later).outcome == "replaced"
    assert len(hospital.documents("C1")) == 2
    assert dropped(hospital, tmp_path, later, "again.xml").outcome == "unchanged"


def test_a_scanned_document_gives_out_the_file_in_it(hospital: Hospital, tmp_path: Path) -> None:
    assert dropped(hospital, tmp_path, SCANNED).outcome == "stored"
    by_kind = {entry.attachment.content_type: entry for entry in hospital.documents("C1")}
    assert hospital.content(by_kind["application/pdf"]) == b"%PDF-1.4 x"
    assert by_kind["text/xml"].format is not None
    assert by_kind["text/xml"].format.code == "urn:ihe:iti:xds-sd:pdf:2008"


def test_a_closed_diagnosis_in_an_entry_closes_both_forms(hospital: Hospital, tmp_path: Path) -> None:
    dropped(hospital, tmp_path, DISCHARGE.replace('code="I63.9"', 'code="B20"'))
    assert [entry.sensitivity for entry in hospital.documents("C1")] == [(HIV,), (HIV,)]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('root="2.25.4711.1" extension="C1"', 'root="9.9.9" extension="C1"'),
        ('<code code="18842-5"', '<code nullFlavor="UNK"'),
        ("<ClinicalDocument xmlns", "<!DOCTYPE a [<!ENTITY b 'x'>]><ClinicalDocument xmlns"),
        ("</recordTarget>", "</recordTarget><recordTarget><patientRole/></recordTarget>"),
        ('xmlns="urn:hl7-org:v3"', 'xmlns="urn:other"'),
    ],
)
def test_a_document_that_could_end_at_the_wrong_patient_is_refused(
    hospital: Hospital, tmp_path: Path, old: str, new: str
) -> None:
    assert old in DISCHARGE
    result = dropped(hospital, tmp_path, DISCHARGE.replace(old, new))
    assert result.outcome == "refused" and result.reason
    assert hospital.record("C1") is None
    assert "C1" not in result.reason and "Nguy" not in result.reason
