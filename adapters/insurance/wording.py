"""A report, a referral slip, results and a whole visit as plain text, with the headings that doctors expect.

Source: usual shape of Vietnamese imaging reports (KỸ THUẬT, MÔ TẢ, KẾT LUẬN); form PL VI of TT 01/2025/TT-BYT.
"""

from __future__ import annotations

from collections.abc import Iterable

from adapters.insurance.forms import OUTCOMES
from adapters.insurance.imaging import Report, performed_elsewhere
from adapters.insurance.rows import Row
from adapters.insurance.to_come import spoken
from adapters.insurance.values import spoken_day, spoken_time
from registry.clinical import Medication, Service
from registry.identifiers import FacilityCode
from registry.submissions import Visit
from registry.vietnamese import folded

CONTENT_TYPE = "text/plain; charset=utf-8"
LANGUAGE = "vi-VN"
_OWN_HEADINGS = ("ki thuat", "mo ta")
_NOT_WRITTEN = "không ghi"

REFERRAL_REASONS = {
    "1": "Đủ điều kiện chuyển tuyến",
    "2": "Vượt quá khả năng của cơ sở khám bệnh, chữa bệnh",
    "3": "Theo yêu cầu của người bệnh hoặc người đại diện",
}
_REFERRAL_SECTIONS = (
    ("DẤU HIỆU LÂM SÀNG", "DAU_HIEU_LS"),
    ("QUÁ TRÌNH BỆNH LÝ", "QT_BENHLY"),
    ("KẾT QUẢ XÉT NGHIỆM, CẬN LÂM SÀNG", "TOMTAT_KQ"),
    ("CHẨN ĐOÁN", "CHAN_DOAN_RV"),
    ("DỊCH VỤ KỸ THUẬT ĐÃ THỰC HIỆN", "TEN_DICH_VU"),
    ("THUỐC ĐÃ DÙNG", "TEN_THUOC"),
    ("PHƯƠNG PHÁP ĐIỀU TRỊ", "PP_DIEUTRI"),
    ("TÌNH TRẠNG NGƯỜI BỆNH LÚC CHUYỂN", "PP_DIEU_TRI"),
    ("HƯỚNG ĐIỀU TRỊ", "HUONG_DIEU_TRI"),
    ("PHƯƠNG TIỆN VẬN CHUYỂN", "PHUONGTIEN_VC"),
)


def report_text(report: Report, facility: FacilityCode) -> str:
    """The report as it is published."""
    performed = report.performed
    when = spoken((report.service or {}).get("NGAY_TH_YL", "")) or _NOT_WRITTEN
    resulted = spoken(report.result.get("NGAY_KQ", "")) or spoken((report.service or {}).get("NGAY_KQ", ""))
    elsewhere = performed_elsewhere((report.service or report.result).get("MA_DICH_VU", ""))
    heads = [
        "KẾT QUẢ CHẨN ĐOÁN HÌNH ẢNH",
        f"Cơ sở khám bệnh, chữa bệnh: {facility}",
        f"Thực hiện tại cơ sở: {elsewhere}" if elsewhere else "",
        f"Kỹ thuật thực hiện: {' '.join(filter(None, (report.code, report.name)))}",
        f"Thời điểm thực hiện: {when}" + (" (ước tính)" if performed and report.approximate else ""),
        f"Thời điểm có kết quả: {resulted or _NOT_WRITTEN}",
    ]
    sections = _report_sections(report.result)
    return "\n".join(filter(None, heads)) + "".join(f"\n\n{section}" for section in sections) + "\n"


def has_text(row: Row) -> bool:
    """Whether a row of table 4 says anything of what was seen."""
    return any(row.get(column) for column in ("MO_TA", "KET_LUAN", "GIA_TRI"))


def _report_sections(row: Row) -> Iterable[str]:
    description = row.get("MO_TA", "")
    if description:
        own_heading = folded(description[:40]).startswith(_OWN_HEADINGS)
        yield description if own_heading else f"MÔ TẢ\n{description}"
    if row.get("GIA_TRI"):
        yield f"GIÁ TRỊ\n{row['GIA_TRI']} {row.get('DON_VI_DO', '')}".rstrip()
    if row.get("KET_LUAN"):
        yield f"KẾT LUẬN\n{row['KET_LUAN']}"


def referral_text(slip: Row, facility: FacilityCode) -> str:
    """The referral slip as it is published; who the patient is stands in the index, not in the text."""
    heads = [
        "PHIẾU CHUYỂN CƠ SỞ KHÁM BỆNH, CHỮA BỆNH",
        f"Nơi chuyển đi: {facility}",
        f"Nơi chuyển đến: {slip.get('MA_NOI_DEN') or _NOT_WRITTEN}",
        f"Số chuyển tuyến: {slip.get('SO_CHUYENTUYEN') or slip.get('GIAY_CHUYEN_TUYEN') or _NOT_WRITTEN}",
        f"Lý do chuyển: {REFERRAL_REASONS.get(slip.get('MA_LYDO_CT', ''), _NOT_WRITTEN)}",
        f"Mã bệnh: {'; '.join(filter(None, (slip.get('MA_BENH_CHINH'), slip.get('MA_BENH_KT')))) or _NOT_WRITTEN}",
    ]
    sections = [f"{heading}\n{slip[column]}" for heading, column in _REFERRAL_SECTIONS if slip.get(column)]
    return "\n".join(heads) + "".join(f"\n\n{section}" for section in sections) + "\n"


def results_text(rows: Iterable[Row], facility: FacilityCode) -> str:
    """Laboratory values and the findings of everything that is no report of its own."""
    lines = [f"KẾT QUẢ CẬN LÂM SÀNG\nCơ sở khám bệnh, chữa bệnh: {facility}"]
    service = None
    for row in rows:
        if row.get("MA_DICH_VU", "") != service:
            service = row.get("MA_DICH_VU", "")
            lines.append("")
        lines.append(_result_line(row))
    return "\n".join(lines) + "\n"


def _result_line(row: Row) -> str:
    name = row.get("TEN_CHI_SO") or row.get("MA_CHI_SO") or row.get("MA_DICH_VU") or _NOT_WRITTEN
    value = " ".join(filter(None, (row.get("GIA_TRI"), row.get("DON_VI_DO"))))
    when = spoken(row.get("NGAY_KQ", ""))
    head = f"{name}: {value}".rstrip(": ") + (f" ({when})" if when else "")
    return "\n  ".join(filter(None, (head, row.get("MO_TA"), row.get("KET_LUAN"))))


def visit_text(head: Row, visit: Visit) -> str:
    """One visit on a page: when, why, what was found, given and done, and how it ended."""
    heads = [
        "TÓM TẮT LƯỢT KHÁM, CHỮA BỆNH",
        f"Cơ sở khám bệnh, chữa bệnh: {visit.facility}",
        *_moment_lines(head),
        _line("Lý do vào", head.get("LY_DO_VV")),
        _line("Kết quả điều trị", OUTCOMES.get(head.get("KET_QUA_DTRI", ""))),
    ]
    codes = "; ".join(code.code for code in visit.diagnoses)
    sections = [
        _section("CHẨN ĐOÁN", filter(None, (visit.diagnosis_text, codes))),
        _section("PHƯƠNG PHÁP ĐIỀU TRỊ", filter(None, (head.get("PP_DIEU_TRI"),))),
        _section("THUỐC", map(_medicine_line, visit.medications)),
        _section("DỊCH VỤ KỸ THUẬT", map(_service_line, visit.services)),
    ]
    return "\n".join(filter(None, heads)) + "".join(filter(None, sections)) + "\n"


def _moment_lines(head: Row) -> Iterable[str]:
    for label, column in (("Vào", "NGAY_VAO"), ("Ra", "NGAY_RA")):
        if when := spoken(head.get(column, "")):
            yield f"{label}: {when}"


def _line(label: str, text: str | None) -> str:
    return f"{label}: {text}" if text else ""


def _section(heading: str, lines: Iterable[str]) -> str:
    told = "\n".join(lines)
    return f"\n\n{heading}\n{told}" if told else ""


def _medicine_line(one: Medication) -> str:
    amount = f"{one.quantity} {one.unit}".strip()
    strength = "" if one.strength in one.name else one.strength
    return "- " + "; ".join(filter(None, (f"{one.name} {strength}".strip(), one.dose, amount)))


def _service_line(one: Service) -> str:
    return f"- {one.name}" + (f" ({spoken_day(one.performed)} {spoken_time(one.performed)})" if one.performed else "")
