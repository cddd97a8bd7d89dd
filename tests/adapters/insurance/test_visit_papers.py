"""A visit as a doctor reads it and as a system reads it: nothing of it is lost, nothing closed is in it."""

from __future__ import annotations

import json
from typing import Any

import fhirkit
import pytest

from registry.submissions import WHOLE_VISIT, Submission
from tests.adapters.insurance.test_reading import VISIT, changed, only, text_of, titled, with_file

SUMMARY = "Tóm tắt lượt khám, chữa bệnh"
PAPERS = {
    "XML5": (
        "<CHITIEU_CHITIET_DIENBIENLAMSANG><DSACH_CHI_TIET_DIEN_BIEN_BENH><CHI_TIET_DIEN_BIEN_BENH>"
        "<MA_LK>LK-1</MA_LK><STT>1</STT><DIEN_BIEN_LS>Tỉnh, yếu tay trái</DIEN_BIEN_LS>"
        "<THOI_DIEM_DBLS>202611021000</THOI_DIEM_DBLS>"
        "</CHI_TIET_DIEN_BIEN_BENH></DSACH_CHI_TIET_DIEN_BIEN_BENH></CHITIEU_CHITIET_DIENBIENLAMSANG>"
    ),
    "XML7": (
        "<CHI_TIEU_DU_LIEU_GIAY_RA_VIEN><MA_LK>LK-1</MA_LK><NGAY_RA>202611021530</NGAY_RA>"
        "<CHAN_DOAN_RV>Nhồi máu não</CHAN_DOAN_RV><TEN_BS>Trần Thị Mẫu</TEN_BS></CHI_TIEU_DU_LIEU_GIAY_RA_VIEN>"
    ),
    "XML8": (
        "<CHI_TIEU_DU_LIEU_TOM_TAT_HO_SO_BENH_AN><MA_LK>LK-1</MA_LK><NGAY_RA>202611021530</NGAY_RA>"
        "<TOMTAT_KQ>CLVT: nhồi máu não</TOMTAT_KQ><KET_QUA_DTRI>2</KET_QUA_DTRI>"
        "</CHI_TIEU_DU_LIEU_TOM_TAT_HO_SO_BENH_AN>"
    ),
    "XML14": (
        "<CHI_TIEU_GIAYHEN_KHAMLAI><MA_LK>LK-1</MA_LK><SO_GIAYHEN_KL>H12</SO_GIAYHEN_KL>"
        "<NGAY_HEN_KL>202611160800</NGAY_HEN_KL><NGAY_CT>20261102</NGAY_CT></CHI_TIEU_GIAYHEN_KHAMLAI>"
    ),
}


def data_of(found: Submission) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(text_of(titled(found, f"{SUMMARY} (dữ liệu)")))
    return document


def of_kind(bundle: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == kind]


def whole() -> Submission:
    body = VISIT
    for table, content in PAPERS.items():
        body = with_file(table, content, text=body)
    return only(body)


@pytest.mark.parametrize(
    ("title", "code", "said"),
    [
        ("Diễn biến lâm sàng", "11506-3", "DIỄN BIẾN\nTỉnh, yếu tay trái"),
        ("Giấy ra viện", "18842-5", "Ra viện: 02/11/2026 15:30"),
        ("Tóm tắt hồ sơ bệnh án", "34105-7", "Kết quả điều trị: Đỡ"),
        ("Giấy hẹn khám lại", "18776-5", "Hẹn khám lại: 16/11/2026 08:00"),
        ("Kết quả cận lâm sàng", "11502-2", "Glucose: 7.2 mmol/L (02/11/2026 09:00)"),
    ],
)
def test_each_paper_of_the_visit_can_be_read(title: str, code: str, said: str) -> None:
    paper = titled(whole(), title)
    assert paper.entry.type is not None and paper.entry.type.code == code
    assert said in text_of(paper)


def test_the_visit_on_one_page_has_diagnoses_medicines_and_services() -> None:
    page = text_of(next(one for one in only(VISIT).documents if one.entry.attachment.title == SUMMARY))
    assert "Vào: 02/11/2026 07:40\nRa: 02/11/2026 15:30" in page
    assert "CHẨN ĐOÁN\nNhồi máu não\nI63.9; I10; E11.9" in page
    assert "THUỐC\n- Amlodipin 5mg" in page
    assert "- Khám Nội\n- Chụp CLVT sọ não" in page


def test_the_same_visit_as_data_is_valid_fhir() -> None:
    bundle = data_of(whole())
    assert [str(issue) for issue in fhirkit.validate(json.dumps(bundle))] == []
    assert bundle["type"] == "document" and bundle["entry"][0]["resource"]["resourceType"] == "Composition"
    (glucose,) = of_kind(bundle, "Observation")
    assert (glucose["valueQuantity"], glucose["code"]["text"]) == ({"value": 7.2, "unit": "mmol/L"}, "Glucose")
    diagnoses = [one["code"]["coding"][0]["code"] for one in of_kind(bundle, "Condition")]
    assert diagnoses == ["I63.9", "I10", "E11.9"]
    imaging, laboratory = of_kind(bundle, "DiagnosticReport")
    assert imaging["conclusion"] == "Nhồi máu não bên phải."
    assert imaging["effectiveDateTime"] == "2026-11-02T08:45:00+07:00"
    assert len(laboratory["result"]) == 1
    assert of_kind(bundle, "MedicationStatement")[0]["medicationCodeableConcept"]["text"] == "Amlodipin 5mg"
    assert of_kind(bundle, "Encounter")[0]["period"]["end"] == "2026-11-02T15:30:00+07:00"
    assert data_of(whole()) == bundle


def test_a_negative_hiv_test_is_in_nothing_that_leaves() -> None:
    body = changed("Glucose</TEN_CHI_SO>\n       <GIA_TRI>7.2", "HIV Ab</TEN_CHI_SO><GIA_TRI>Âm tính")
    found = only(changed("Khám Nội", "Xét nghiệm HIV nhanh", text=body))
    assert all(document.entry.sensitivity == () for document in found.documents)
    assert not any("HIV" in text_of(document) for document in found.documents)
    assert found.visit is not None and not found.visit.results
    assert "XML4: a row on a closed list is not published" in found.visit.deviations


def test_a_table_that_was_not_sent_says_nothing() -> None:
    found = only(VISIT).visit
    bare = only(VISIT.replace("<LOAIHOSO>XML2", "<LOAIHOSO>PHULUC").replace("CHITIEU_CHITIET_THUOC", "KHAC")).visit
    assert found is not None and bare is not None
    assert (found.unsaid, bare.unsaid) == (frozenset(), frozenset({"medications"}))
    assert WHOLE_VISIT in bare.parts and bare.is_less_than(found)
    assert bare.following(found).medications == found.medications
