"""Papers that a doctor reads, out of tables 5, 7, 8 and 14: each form says its columns, in their order.

Source: annexes of QĐ 4750/QĐ-BYT; forms of giấy ra viện, tóm tắt hồ sơ bệnh án and giấy hẹn khám lại.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from adapters.insurance.rows import Row
from adapters.insurance.values import read_moment
from registry.coded import DISCHARGE_SUMMARY, HOSPITAL_SUMMARY, PLAN_OF_CARE, PROGRESS_NOTE, CodedValue
from registry.identifiers import FacilityCode

OUTCOMES = {
    "1": "Khỏi",
    "2": "Đỡ",
    "3": "Không thay đổi",
    "4": "Nặng hơn",
    "5": "Tử vong",
    "6": "Tiên lượng nặng xin về",
    "7": "Chưa xác định",
    "8": "Tử vong ngoại viện",
}
"""KET_QUA_DTRI."""
Line = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Form:
    """One kind of paper.

    table     whose rows it is made of: all of them, in the order of the file
    dated     the column with the time of the paper
    heads     label and column, each a line at the top
    sections  heading and column, each a text of its own
    """

    table: str
    title: str
    type: CodedValue
    dated: str
    heads: tuple[Line, ...]
    sections: tuple[Line, ...]
    author: str = ""


FORMS = (
    Form(
        "XML5",
        "Diễn biến lâm sàng",
        PROGRESS_NOTE,
        "THOI_DIEM_DBLS",
        (("Thời điểm", "THOI_DIEM_DBLS"),),
        (
            ("DIỄN BIẾN", "DIEN_BIEN_LS"),
            ("GIAI ĐOẠN BỆNH", "GIAI_DOAN_BENH"),
            ("HỘI CHẨN", "HOI_CHAN"),
            ("PHẪU THUẬT", "PHAU_THUAT"),
        ),
    ),
    Form(
        "XML7",
        "Giấy ra viện",
        DISCHARGE_SUMMARY,
        "NGAY_RA",
        (("Số lưu trữ", "SO_LUU_TRU"), ("Vào viện", "NGAY_VAO"), ("Ra viện", "NGAY_RA"), ("Bác sĩ", "TEN_BS")),
        (
            ("CHẨN ĐOÁN", "CHAN_DOAN_RV"),
            ("PHƯƠNG PHÁP ĐIỀU TRỊ", "PP_DIEUTRI"),
            ("LÝ DO ĐÌNH CHỈ THAI", "NGUYENNHAN_DINHCHI"),
            ("GHI CHÚ", "GHI_CHU"),
        ),
        author="TEN_BS",
    ),
    Form(
        "XML8",
        "Tóm tắt hồ sơ bệnh án",
        HOSPITAL_SUMMARY,
        "NGAY_RA",
        (("Vào viện", "NGAY_VAO"), ("Ra viện", "NGAY_RA"), ("Kết quả điều trị", "KET_QUA_DTRI")),
        (
            ("CHẨN ĐOÁN LÚC VÀO", "CHAN_DOAN_VAO"),
            ("CHẨN ĐOÁN LÚC RA", "CHAN_DOAN_RV"),
            ("QUÁ TRÌNH BỆNH LÝ VÀ DIỄN BIẾN", "QT_BENHLY"),
            ("TÓM TẮT KẾT QUẢ XÉT NGHIỆM, CẬN LÂM SÀNG", "TOMTAT_KQ"),
            ("PHƯƠNG PHÁP ĐIỀU TRỊ", "PP_DIEUTRI"),
            ("GHI CHÚ", "GHI_CHU"),
        ),
    ),
    Form(
        "XML14",
        "Giấy hẹn khám lại",
        PLAN_OF_CARE,
        "NGAY_CT",
        (
            ("Số giấy hẹn", "SO_GIAYHEN_KL"),
            ("Hẹn khám lại", "NGAY_HEN_KL"),
            ("Vào", "NGAY_VAO"),
            ("Ra", "NGAY_RA"),
            ("Mã bệnh", "MA_BENH_CHINH"),
            ("Mã bệnh kèm theo", "MA_BENH_KT"),
        ),
        (("CHẨN ĐOÁN", "CHAN_DOAN_RV"),),
    ),
)


def form_text(form: Form, rows: Sequence[Row], facility: FacilityCode) -> str:
    """The paper as text; empty where no row says anything."""
    written = [part for row in rows if (part := "\n\n".join(_parts(form, row)))]
    if not written:
        return ""
    head = f"{form.title.upper()}\nCơ sở khám bệnh, chữa bệnh: {facility}"
    return "\n\n".join((head, *written)) + "\n"


def _parts(form: Form, row: Row) -> Iterator[str]:
    sections = [f"{heading}\n{row[column]}" for heading, column in form.sections if row.get(column)]
    if not sections and not row.get(form.dated):
        return
    heads = [f"{label}: {_spoken(column, row[column])}" for label, column in form.heads if row.get(column)]
    if heads:
        yield "\n".join(heads)
    yield from sections


def _spoken(column: str, text: str) -> str:
    if column == "KET_QUA_DTRI":
        return OUTCOMES.get(text, text)
    moment = read_moment(text) if column.startswith(("NGAY_", "THOI_DIEM")) else None
    return moment.spoken if moment else text
