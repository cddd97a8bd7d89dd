"""Insurance files of the lab: well-formed, complete, and readable in every exporter's style."""

import json
import re
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files
from xml.etree.ElementTree import Element, fromstring

import pytest

from hie_node.lab.insurance_files import FileStyle, insurance_file
from hie_node.lab.province import plan
from hie_node.lab.visits import Visit

PROVINCE = plan(11, count=90)
VISITS = [visit for visits in PROVINCE.visits.values() for visit in visits]
SENT = PROVINCE.story.referral
STYLES = [
    FileStyle(nested=nested, lower_case=lower, naming=naming, cdata=cdata)
    for nested in (False, True)
    for lower in (False, True)
    for naming in ("4750", "3176")
    for cdata in (False, True)
]
LAYOUT = json.loads(files("hie_node.lab").joinpath("columns.json").read_text(encoding="utf-8"))


def tables(content: bytes) -> Iterator[tuple[str, Element]]:
    for one in fromstring(content).iter("FILEHOSO"):
        inside = one.find("NOIDUNGFILE")
        assert inside is not None
        nested = list(inside)
        yield one.findtext("LOAIHOSO", ""), nested[0] if nested else fromstring(b64decode(inside.text or ""))


def table(content: bytes, name: str) -> Element:
    return next(element for kind, element in tables(content) if kind.upper() == name)


def rows(element: Element, record: str) -> list[dict[str, str]]:
    return [{column.tag: column.text or "" for column in row} for row in element.iter(record)]


@pytest.mark.parametrize("style", STYLES, ids=str)
def test_every_style_carries_the_same_tables(style: FileStyle) -> None:
    plain = {kind: flat(element) for kind, element in tables(insurance_file([SENT]))}
    found = {kind.upper(): flat(element) for kind, element in tables(insurance_file([SENT], style=style))}
    assert found == plain


def flat(element: Element) -> list[str]:
    return [one.text or "" for one in element.iter()]


def test_the_envelope_names_the_facility_and_counts_its_visits() -> None:
    visits = PROVINCE.visits["thai-nguyen"][:7]
    root = fromstring(insurance_file(visits))
    assert root.tag == "GIAMDINHHS"
    assert root.findtext("THONGTINDONVI/MACSKCB") == "19001"
    assert root.findtext("THONGTINHOSO/SOLUONGHOSO") == "7"
    assert len(root.findall("THONGTINHOSO/DANHSACHHOSO/HOSO")) == 7
    assert re.fullmatch(r"\d{8}", root.findtext("THONGTINHOSO/NGAYLAP", ""))
    assert list(root)[-1].tag == "CHUKYDONVI"


def test_a_file_is_of_one_facility() -> None:
    with pytest.raises(ValueError, match="one facility"):
        insurance_file([PROVINCE.visits["bac-ninh"][0], PROVINCE.visits["bach-mai"][0]])


def test_tables_can_be_left_out_but_never_the_first() -> None:
    found = [kind for kind, _ in tables(insurance_file([SENT], tables=frozenset({"XML3"})))]
    assert found == ["XML1", "XML3"]


@pytest.mark.parametrize("name", list(LAYOUT))
def test_columns_stand_in_the_order_of_the_annex(name: str) -> None:
    layout = LAYOUT[name]
    for visit in VISITS:
        for kind, element in tables(insurance_file([visit])):
            if kind == name:
                records = element.iter(layout["record"]) if layout["record"] else [element]
                assert element.tag == layout["root"]
                for record in records:
                    assert [column.tag for column in record] == layout["columns"]


def test_who_the_patient_is_stands_in_table_one() -> None:
    summary = table(insurance_file([SENT]), "XML1")
    person = PROVINCE.story.person
    assert summary.findtext("HO_TEN") == person.full_name == "Nguyễn Thị Lan"
    assert summary.findtext("MA_BN") == PROVINCE.story.numbers["bac-ninh"]
    assert summary.findtext("NGAY_SINH") == "196403180000"
    assert summary.findtext("GIOI_TINH") == "2"
    assert summary.findtext("SO_CCCD") == person.national_id
    assert summary.findtext("MA_THE_BHYT") == person.insurance_number
    assert summary.findtext("MA_LOAI_RV") == "2"
    assert summary.findtext("MA_NOI_DEN") == "01929"


def test_the_scan_is_joined_by_episode_and_service_and_has_its_times() -> None:
    content = insurance_file([SENT])
    service = next(r for r in rows(table(content, "XML3"), "CHI_TIET_DVKT") if r["MA_DICH_VU"] == "18.0149.0040")
    result = next(r for r in rows(table(content, "XML4"), "CHI_TIET_CLS") if r["MA_DICH_VU"] == "18.0149.0040")
    assert service["MA_LK"] == result["MA_LK"] == SENT.episode_key
    assert (service["NGAY_YL"], service["NGAY_TH_YL"]) == ("202611020810", "202611020845")
    assert service["NGAY_KQ"] == result["NGAY_KQ"] == "202611020930"
    assert service["MA_MAY"].startswith("CL.")
    assert "MÔ TẢ HÌNH ẢNH" in result["MO_TA"]
    assert result["KET_LUAN"].startswith("Hình ảnh nhồi máu não")


def test_the_slip_has_the_names_of_its_version() -> None:
    older = table(insurance_file([SENT]), "XML13")
    newer = table(insurance_file([SENT], style=FileStyle(naming="3176")), "XML13")
    assert older.findtext("MA_NOI_DEN") == newer.findtext("MA_CSKCB_DEN") == "01929"
    assert newer.find("MA_NOI_DEN") is None
    assert newer.find("TINH_TRANG_CT") is not None
    assert older.findtext("TOMTAT_KQ", "").startswith("Cắt lớp vi tính sọ não")


def test_a_slip_is_written_only_for_who_was_sent_on_and_certificates_only_for_inpatients() -> None:
    for visit in VISITS:
        found = {kind for kind, _ in tables(insurance_file([visit]))}
        assert ("XML13" in found) == (visit.referral is not None)
        assert ({"XML7", "XML8"} <= found) == visit.inpatient
        assert ("XML4" in found) == bool(visit.examinations or visit.lab_results)


def test_the_sums_of_table_one_are_those_of_the_lines() -> None:
    for visit in VISITS:
        content = insurance_file([visit])
        lines = rows(table(content, "XML2"), "CHI_TIET_THUOC") + rows(table(content, "XML3"), "CHI_TIET_DVKT")
        summary = table(content, "XML1")
        for total, column in (("T_TONGCHI_BV", "THANH_TIEN_BV"), ("T_BHTT", "T_BHTT"), ("T_BNTT", "T_BNTT")):
            assert int(summary.findtext(total, "")) == sum(int(line[column]) for line in lines)
        paid = sum(int(summary.findtext(name, "")) for name in ("T_BHTT", "T_BNCCT", "T_BNTT"))
        assert paid == int(summary.findtext("T_TONGCHI_BV", ""))


def test_times_follow_each_other() -> None:
    for visit in VISITS:
        for one in visit.examinations:
            assert visit.arrived < one.ordered < one.performed < one.reported < visit.left


@pytest.mark.parametrize("style", STYLES, ids=str)
def test_text_that_looks_like_markup_arrives_as_text(style: FileStyle) -> None:
    hostile = 'a < b && "c" ]]> <KET_LUAN>'
    visit: Visit = replace(SENT, reason=hostile)
    assert table(insurance_file([visit], style=style), "XML1").findtext("LY_DO_VV") == hostile
