"""What a visit puts into each insurance table: columns by their official names.

Source: QĐ 130/QĐ-BYT (2023) as amended by QĐ 4750/QĐ-BYT (2023). A column without a value stays empty, as it
does in real files; the sums of table 1 are those of its rows.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from hie_node.lab.visits import Examination, LabResult, Medicine, Visit

Row = Mapping[str, object]

_GENDERS = {"male": 1, "female": 2, "unknown": 3}
_BENEFIT = {"1": 100, "2": 100, "3": 95, "4": 80, "5": 100}
_EXAMINATION_FEE = ("02.1896", "Khám Nội", 50_600)
_BED_DAY = ("K02.1911", "Giường Nội khoa loại 1 Hạng I - Khoa Nội tổng hợp", 273_100)


def _share(visit: Visit) -> int:
    """The percentage the insurer pays: it follows from the third character of the card."""
    card = visit.registration.insurance_number
    return _BENEFIT[card[2]] if card else 0


def _split(visit: Visit, amount: int) -> Row:
    """Who pays what of one line."""
    share = _share(visit)
    insured = amount if share else 0
    paid = round(insured * share / 100)
    return {
        "THANH_TIEN_BV": amount,
        "THANH_TIEN_BH": insured,
        **dict.fromkeys(_OTHER_SOURCES, 0),
        "MUC_HUONG": share,
        "T_BNTT": amount - insured,
        "T_BNCCT": insured - paid,
        "T_BHTT": paid,
    }


_OTHER_SOURCES = ("T_NGUONKHAC_NSNN", "T_NGUONKHAC_VTNN", "T_NGUONKHAC_VTTN", "T_NGUONKHAC_CL", "T_NGUONKHAC")


def _sum(rows: Sequence[Row], column: str) -> int:
    return sum(int(str(row[column])) for row in rows)


def _summary(visit: Visit) -> list[Row]:
    lines = [*_medicines(visit), *_services(visit)]
    return [{**_who(visit), **_why(visit), **_when(visit), **_cost(visit, lines)}]


def _who(visit: Visit) -> Row:
    registration, home = visit.registration, visit.registration.truth.address
    card = registration.insurance_number
    return {
        "MA_LK": visit.episode_key,
        "STT": 1,
        "MA_BN": visit.patient_number,
        "HO_TEN": registration.name,
        "SO_CCCD": registration.national_id,
        "NGAY_SINH": registration.birth_date + "0000",
        "GIOI_TINH": _GENDERS[registration.gender],
        "MA_QUOCTICH": "000",
        "MA_DANTOC": "01",
        "MA_NGHE_NGHIEP": "00000",
        "DIA_CHI": registration.address,
        "MATINH_CU_TRU": home.province_code,
        "MAXA_CU_TRU": home.commune_code,
        "DIEN_THOAI": registration.phone,
        "MA_THE_BHYT": card,
        "MA_DKBD": card and visit.facility_code,
        "GT_THE_TU": card and visit.card_valid[0],
        "GT_THE_DEN": card and visit.card_valid[1],
        "CAN_NANG": f"{visit.weight_kg:.1f}",
    }


def _why(visit: Visit) -> Row:
    return {
        "LY_DO_VV": visit.reason,
        "LY_DO_VNT": visit.reason if visit.inpatient else None,
        "CHAN_DOAN_VAO": visit.reason,
        "CHAN_DOAN_RV": visit.diagnosis,
        "MA_BENH_CHINH": visit.icd10,
        "MA_BENH_KT": ";".join(visit.other_icd10),
        "MA_DOITUONG_KCB": visit.route,
        "MA_NOI_DI": visit.referred_from,
        "MA_NOI_DEN": visit.referral and visit.referral.to_facility,
        "PP_DIEU_TRI": "Điều trị nội khoa",
        "KET_QUA_DTRI": visit.outcome,
        "MA_LOAI_RV": 2 if visit.referral else 1,
    }


def _when(visit: Visit) -> Row:
    return {
        "NGAY_VAO": visit.arrived,
        "NGAY_VAO_NOI_TRU": visit.admitted,
        "NGAY_RA": visit.left,
        "SO_NGAY_DTRI": visit.days,
        "NGAY_TTOAN": visit.left,
        "NAM_QT": visit.left.year,
        "THANG_QT": visit.left.month,
        "MA_LOAI_KCB": visit.care_form,
        "MA_KHOA": visit.department,
        "MA_CSKCB": visit.facility_code,
        "MA_HSBA": f"HS{visit.episode_key}",
        "MA_TTDV": visit.head.social_number,
    }


def _cost(visit: Visit, lines: Sequence[Row]) -> Row:
    return {
        "T_THUOC": sum(one.quantity * one.price for one in visit.medicines),
        "T_VTYT": 0,
        "T_TONGCHI_BV": _sum(lines, "THANH_TIEN_BV"),
        "T_TONGCHI_BH": _sum(lines, "THANH_TIEN_BH"),
        "T_BNTT": _sum(lines, "T_BNTT"),
        "T_BNCCT": _sum(lines, "T_BNCCT"),
        "T_BHTT": _sum(lines, "T_BHTT"),
        "T_NGUONKHAC": 0,
        "T_BHTT_GDV": _sum(lines, "T_BHTT"),
    }


def _medicines(visit: Visit) -> list[Row]:
    return [_medicine(visit, number, one) for number, one in enumerate(visit.medicines, 1)]


def _medicine(visit: Visit, number: int, one: Medicine) -> Row:
    return {
        "MA_LK": visit.episode_key,
        "STT": number,
        "MA_THUOC": one.code,
        "MA_NHOM": 4,
        "TEN_THUOC": one.name,
        "DON_VI_TINH": one.unit,
        "HAM_LUONG": one.strength,
        "DUONG_DUNG": one.route,
        "LIEU_DUNG": one.dose,
        "PHAM_VI": 1,
        "TYLE_TT_BH": 100,
        "SO_LUONG": one.quantity,
        "DON_GIA": one.price,
        **_split(visit, one.quantity * one.price),
        "MA_KHOA": visit.department,
        "MA_BAC_SI": visit.doctor.licence,
        "NGAY_YL": visit.left - timedelta(minutes=20),
        "MA_PTTT": 1,
        "NGUON_CTRA": 1,
    }


def _services(visit: Visit) -> list[Row]:
    first = visit.arrived + timedelta(minutes=15)
    rows = [_service(visit, _EXAMINATION_FEE, group=13, unit="Lần", ordered=first, performed=first)]
    for one in visit.examinations:
        service = (one.service.code, one.service.name, one.service.price)
        row = _service(visit, service, group=2, unit="Lần", ordered=one.ordered, performed=one.performed)
        who = {"NGUOI_THUC_HIEN": one.reader.licence, "NGAY_KQ": one.reported, "MA_MAY": one.machine}
        rows.append({**row, **who, "MA_BENH": visit.icd10})
    for result in {result.service.code: result for result in visit.lab_results}.values():
        service = (result.service.code, result.service.name, result.service.price)
        taken = result.resulted - timedelta(minutes=50)
        row = _service(visit, service, group=1, unit="Lần", ordered=taken, performed=taken)
        rows.append({**row, "NGAY_KQ": result.resulted, "MA_MAY": "SH.1.LAB01.1"})
    if visit.admitted:
        bed = _service(
            visit,
            _BED_DAY,
            group=15,
            unit="Ngày",
            ordered=visit.admitted,
            performed=visit.admitted,
            quantity=visit.days,
        )
        rows.append({**bed, "MA_GIUONG": "H012"})
    return [{**row, "STT": number} for number, row in enumerate(rows, 1)]


def _service(
    visit: Visit,
    service: tuple[str, str, int],
    *,
    group: int,
    unit: str,
    ordered: datetime,
    performed: datetime,
    quantity: int = 1,
) -> Row:
    code, name, price = service
    return {
        "MA_LK": visit.episode_key,
        "MA_DICH_VU": code,
        "MA_NHOM": group,
        "TEN_DICH_VU": name,
        "DON_VI_TINH": unit,
        "PHAM_VI": 1,
        "SO_LUONG": quantity,
        "DON_GIA_BV": price,
        "DON_GIA_BH": price,
        "TYLE_TT_DV": 100,
        "TYLE_TT_BH": 100,
        **_split(visit, price * quantity),
        "MA_KHOA": visit.department,
        "MA_BAC_SI": visit.doctor.licence,
        "NGAY_YL": ordered,
        "NGAY_TH_YL": performed,
        "MA_PTTT": 1,
    }


def _results(visit: Visit) -> list[Row]:
    rows = [_image_result(one) for one in visit.examinations]
    rows += [_lab_result(visit, one) for one in visit.lab_results]
    return [{**row, "MA_LK": visit.episode_key, "STT": number} for number, row in enumerate(rows, 1)]


def _image_result(one: Examination) -> Row:
    return {
        "MA_DICH_VU": one.service.code,
        "TEN_CHI_SO": one.kind.title,
        "MO_TA": one.report.description,
        "KET_LUAN": one.report.conclusion,
        "NGAY_KQ": one.reported,
        "MA_BS_DOC_KQ": one.reader.social_number,
    }


def _lab_result(visit: Visit, one: LabResult) -> Row:
    return {
        "MA_DICH_VU": one.service.code,
        "TEN_CHI_SO": one.indicator,
        "GIA_TRI": one.value,
        "DON_VI_DO": one.unit,
        "NGAY_KQ": one.resulted,
        "MA_BS_DOC_KQ": visit.doctor.social_number,
    }


def _course(visit: Visit) -> list[Row]:
    return [
        {
            "MA_LK": visit.episode_key,
            "STT": number,
            "DIEN_BIEN_LS": text,
            "THOI_DIEM_DBLS": at,
            "NGUOI_THUC_HIEN": visit.doctor.licence,
        }
        for number, (at, text) in enumerate(visit.course, 1)
    ]


def _discharge(visit: Visit) -> list[Row]:
    if not visit.inpatient:
        return []
    return [
        {
            "MA_LK": visit.episode_key,
            "SO_LUU_TRU": f"LT{visit.episode_key}",
            "MA_YTE": f"{visit.facility_code}.{visit.episode_key}",
            "MA_KHOA_RV": visit.department,
            "NGAY_VAO": visit.arrived,
            "NGAY_RA": visit.left,
            "CHAN_DOAN_RV": visit.diagnosis,
            "PP_DIEUTRI": "Điều trị nội khoa",
            "GHI_CHU": "Uống thuốc theo đơn, tái khám sau 2 tuần",
            "MA_TTDV": visit.head.social_number,
            "MA_BS": visit.doctor.social_number,
            "TEN_BS": visit.doctor.name,
            "NGAY_CT": visit.left.date(),
        }
    ]


def _record_summary(visit: Visit) -> list[Row]:
    if not visit.inpatient:
        return []
    return [
        {
            "MA_LK": visit.episode_key,
            "MA_LOAI_KCB": visit.care_form,
            "NGAY_VAO": visit.arrived,
            "NGAY_RA": visit.left,
            "CHAN_DOAN_VAO": visit.reason,
            "CHAN_DOAN_RV": visit.diagnosis,
            "QT_BENHLY": visit.reason,
            "TOMTAT_KQ": _result_summary(visit),
            "PP_DIEUTRI": "Điều trị nội khoa",
            "KET_QUA_DTRI": visit.outcome,
            "MA_TTDV": visit.head.social_number,
            "NGAY_CT": visit.left.date(),
        }
    ]


def _result_summary(visit: Visit) -> str:
    images = [f"{one.kind.title}: {one.report.conclusion}" for one in visit.examinations]
    values = [f"{one.indicator} {one.value} {one.unit}" for one in visit.lab_results]
    return "; ".join([*values, *images]) or "Không có kết quả cận lâm sàng"


def _referral(visit: Visit) -> list[Row]:
    slip = visit.referral
    if slip is None:
        return []
    same = ("HO_TEN", "NGAY_SINH", "GIOI_TINH", "MA_QUOCTICH", "MA_DANTOC", "MA_NGHE_NGHIEP", "DIA_CHI")
    who = _who(visit)
    return [
        {
            **{name: who[name] for name in (*same, "MA_LK", "MA_THE_BHYT", "GT_THE_DEN")},
            "SO_HOSO": f"HS{visit.episode_key}",
            "SO_CHUYENTUYEN": slip.slip_number,
            "GIAY_CHUYEN_TUYEN": slip.slip_number,
            "MA_CSKCB": visit.facility_code,
            "MA_NOI_DI": visit.referred_from,
            "MA_NOI_DEN": slip.to_facility,
            "NGAY_VAO": visit.arrived,
            "NGAY_VAO_NOI_TRU": visit.admitted,
            "NGAY_RA": visit.left,
            "DAU_HIEU_LS": slip.signs,
            "CHAN_DOAN_RV": visit.diagnosis,
            "QT_BENHLY": slip.course,
            "TOMTAT_KQ": slip.results,
            "PP_DIEUTRI": "Điều trị nội khoa",
            "MA_BENH_CHINH": visit.icd10,
            "MA_BENH_KT": ";".join(visit.other_icd10),
            "TEN_DICH_VU": "; ".join(one.service.name for one in visit.examinations) or "Khám Nội",
            "TEN_THUOC": "; ".join(f"{one.name} {one.strength}" for one in visit.medicines),
            "PP_DIEU_TRI": "Tỉnh, huyết động ổn định",
            "MA_LOAI_RV": 2,
            "MA_LYDO_CT": slip.reason_code,
            "HUONG_DIEU_TRI": slip.direction,
            "PHUONGTIEN_VC": slip.transport,
            "MA_BAC_SI": visit.doctor.licence,
            "MA_TTDV": visit.head.social_number,
        }
    ]


TABLES: Mapping[str, Callable[[Visit], list[Row]]] = {
    "XML1": _summary,
    "XML2": _medicines,
    "XML3": _services,
    "XML4": _results,
    "XML5": _course,
    "XML7": _discharge,
    "XML8": _record_summary,
    "XML13": _referral,
}
"""The rows of each table of a visit; no rows, no table."""
