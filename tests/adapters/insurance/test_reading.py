"""A hospital's own insurance file becomes its visits and reports, however its exporter writes."""

from __future__ import annotations

import re
import unicodedata
from base64 import b64encode
from collections.abc import Callable
from html import escape
from pathlib import Path

import pytest

from adapters.insurance.envelope import MAX_DOSSIER_BYTES, DossierFault
from adapters.insurance.submission import FileRemarks, Piece, Receiver, iter_submissions
from adapters.insurance.tables import tables
from registry.coded import HIV, UNREVIEWED_TEXT
from registry.errors import ForeignDomain, PatientMismatch, RegistryError, TooLarge, Unreadable
from registry.identifiers import FacilityCode, HomeCommunityId, PatientIdentifier
from registry.submissions import Submission, SubmittedDocument

SAMPLES = Path(__file__).parents[2] / "samples" / "insurance"
VISIT = (SAMPLES / "visit.xml").read_text("utf-8")
CHECK_IN = (SAMPLES / "check_in.xml").read_bytes()
CT_ROW = re.search(r"<CHI_TIET_CLS>.*?</CHI_TIET_CLS>", VISIT, re.DOTALL)[0]
CT_SERVICE = re.findall(r"<CHI_TIET_DVKT>.*?</CHI_TIET_DVKT>", VISIT, re.DOTALL)[1]
LOCAL = "urn:oid:2.25.1"


def pieces(body: str | bytes, *, size: int = 1 << 16) -> list[Piece]:
    """All that a file gives, however small the pieces in which it comes."""
    sent = body.encode() if isinstance(body, str) else body
    return list(
        iter_submissions(
            [sent[start : start + size] for start in range(0, len(sent), size)],
            Receiver(FacilityCode("27001"), LOCAL, HomeCommunityId("urn:oid:2.25.27001")),
        )
    )


def read(body: str | bytes) -> list[Submission | DossierFault]:
    return [piece for piece in pieces(body) if not isinstance(piece, FileRemarks)]


def remarks(body: str | bytes) -> tuple[str, ...]:
    return next((piece.texts for piece in pieces(body) if isinstance(piece, FileRemarks)), ())


def only(body: str | bytes) -> Submission:
    (found,) = read(body)
    assert isinstance(found, Submission), found
    return found


def fault(body: str | bytes) -> RegistryError:
    (found,) = read(body)
    assert isinstance(found, DossierFault)
    return found.error


def titled(found: Submission, title: str) -> SubmittedDocument:
    (one,) = [each for each in found.documents if (each.entry.attachment.title or "").startswith(title)]
    return one


def text_of(document: SubmittedDocument) -> str:
    return b"".join(document.content.chunks()).decode()


def changed(old: str, new: str, *, text: str = VISIT) -> str:
    assert old in text
    return text.replace(old, new, 1)


def with_file(kind: str, content: str, *, text: str = VISIT) -> str:
    return changed(
        "</HOSO>",
        f"<FILEHOSO><LOAIHOSO>{kind}</LOAIHOSO><NOIDUNGFILE>{content}</NOIDUNGFILE></FILEHOSO></HOSO>",
        text=text,
    )


def contents(rewrite: Callable[[str], str]) -> str:
    return re.sub(
        r"(<NOIDUNGFILE>)\s*(.*?)\s*(</NOIDUNGFILE>)",
        lambda found: found[1] + rewrite(found[2]) + found[3],
        VISIT,
        flags=re.DOTALL,
    )


def in_lines(table: str) -> str:
    coded = b64encode(table.encode()).decode()
    return "\n  ".join(coded[start : start + 76] for start in range(0, len(coded), 76))


def as_code_page_1258(text: str) -> bytes:
    tones = {"\u0300", "\u0301", "\u0303", "\u0309", "\u0323"}
    letters = []
    for letter in text:
        parts = unicodedata.normalize("NFD", letter)
        letters.append(unicodedata.normalize("NFC", "".join(p for p in parts if p not in tones)))
        letters.extend(p for p in parts if p in tones)
    return "".join(letters).encode("cp1258")


EXPORTERS: dict[str, str | bytes] = {
    "nested": VISIT,
    "base64 in lines": contents(in_lines),
    "base64 with declaration and mark": contents(
        lambda table: b64encode(b"\xef\xbb\xbf<?xml version='1.0' encoding='utf-8'?>" + table.encode()).decode()
    ),
    "base64 of utf-16": contents(
        lambda table: b64encode(f"<?xml version='1.0' encoding='utf-16'?>{table}".encode("utf-16")).decode()
    ),
    "base64 of windows-1258": contents(
        lambda table: b64encode(b"<?xml version='1.0' encoding='windows-1258'?>" + as_code_page_1258(table)).decode()
    ),
    "escaped xml": contents(escape),
    "escaped xml with a declaration of its own": contents(
        lambda table: '&lt;?xml version="1.0" encoding="windows-1258"?>' + escape(table)
    ),
    "lower case kinds": re.sub(r"XML(\d+)</LOAI", r"xMl\1</LOAI", VISIT),
    "lower case tags": re.sub(r"</?[A-Z_0-9]+", lambda tag: tag[0].lower(), VISIT),
    "namespace": VISIT.replace("<GIAMDINHHS>", '<GIAMDINHHS xmlns="urn:example">'),
    "file in utf-16": VISIT.replace("UTF-8", "UTF-16").encode("utf-16"),
    "file in windows-1258": as_code_page_1258(VISIT.replace("UTF-8", "windows-1258")),
    "no DANHSACHHOSO": re.sub("</?DANHSACHHOSO>", "", VISIT),
    "no HOSO": re.sub("</?HOSO>", "", VISIT),
}


@pytest.mark.parametrize("body", EXPORTERS.values(), ids=EXPORTERS)
def test_every_exporter_gives_the_same_visit(body: str | bytes) -> None:
    expected, found = only(VISIT), only(body)
    assert found.patient == expected.patient
    assert found.documents == expected.documents
    assert found.referral == expected.referral
    assert (found.visit.key, found.visit.kept) == (expected.visit.key, expected.visit.kept)


def test_who_the_patient_is_arrives_as_it_was_written() -> None:
    patient = only(VISIT).patient
    assert (patient.identifier.system, patient.identifier.value) == (LOCAL, "BN0001")
    assert [number.value for number in patient.numbers] == ["999164000011", "GD4279999900001"]
    told = patient.demographics
    assert told.name is not None and told.name.text == "Nguyễn Thị Thử"
    assert (str(told.birth_date), told.gender, told.phones) == ("1964-03-18", "female", ("0900000001",))
    assert told.address is not None and (told.address.commune, told.address.province) == ("09187", "24")


def test_the_report_says_when_the_examination_was_performed() -> None:
    report, note = titled(only(VISIT), "Chụp CLVT"), titled(only(VISIT), "Phiếu chuyển")
    entry = report.entry
    assert entry.start is not None and entry.start.isoformat() == "2026-11-02T08:45:00+07:00"
    assert entry.date is not None and entry.date.isoformat() == "2026-11-02T09:30:00+07:00"
    assert entry.type is not None and (entry.type.code, entry.examination) == ("30799-1", "CT/brain/plain")
    assert [event.code for event in entry.events] == ["CT", "18.0149.0040"]
    assert entry.authors[0].identifier is not None and entry.authors[0].identifier.value == "9999900777"
    text = text_of(report)
    assert "Thời điểm thực hiện: 02/11/2026 08:45" in text
    assert "MÔ TẢ\nGiảm tỷ trọng vùng thái dương phải < 5 cm.\n\nKẾT LUẬN\nNhồi máu não bên phải." in text
    assert note.entry.type is not None and note.entry.type.code == "57133-1"


def test_the_referral_names_the_receiving_hospital() -> None:
    referral = only(VISIT).referral
    assert referral is not None
    assert (referral.number, str(referral.sender), str(referral.receiver)) == ("0417/2026", "27001", "01929")
    assert [code.code for code in referral.diagnoses] == ["I63.9"]


@pytest.mark.parametrize(("old", "new"), [("MA_NOI_DEN", "MA_CSKCB_DEN"), ("MA_NOI_DEN", "ma_cskcb_den")])
def test_table_13_in_the_names_of_3176_is_the_same_slip(old: str, new: str) -> None:
    assert only(VISIT.replace(old, new)).referral == only(VISIT).referral


def test_old_names_of_4210_are_understood() -> None:
    old = changed("MA_BENH_CHINH>I63.9</MA_BENH_CHINH", "MA_BENH>I63.9</MA_BENH").replace("MA_THE_BHYT", "MA_THE")
    found = only(old)
    assert found.patient == only(VISIT).patient
    assert [code.code for code in found.visit.diagnoses] == ["I63.9", "I10", "E11.9"]


def test_a_check_in_is_a_visit_without_documents() -> None:
    found = only(CHECK_IN)
    assert found.documents == () and found.visit.key == "LK-2"
    assert found.visit.admitted.isoformat() == "2026-11-04T07:15:00+07:00"
    assert str(found.patient.demographics.birth_date) == "1958"


def test_the_same_file_again_gives_the_same_ids_and_a_correction_the_same_key() -> None:
    first, again = only(VISIT).documents[0], only(VISIT).documents[0]
    assert first == again
    corrected = only(changed("bên phải.", "bên trái.")).documents[0]
    assert corrected.source_key == first.source_key
    assert corrected.entry.unique_id != first.entry.unique_id


def test_what_is_not_read_is_kept_and_counted() -> None:
    body = with_file("XML99", "<LA><HANG><COT>x</COT></HANG><HANG><COT>y</COT></HANG></LA>")
    found = only(changed("<STT>1</STT><MA_BN>", "<STT>1</STT><COT_LA>z</COT_LA><MA_BN>", text=body)).visit
    assert found.kept == {"XML99": 2}
    assert "XML1: COT_LA is not a column of this table; kept" in found.deviations
    assert b"<COT_LA>z</COT_LA>" in found.source


def test_a_source_can_be_read_again() -> None:
    hoso = re.search("<HOSO>.*</HOSO>", VISIT, re.DOTALL)[0]
    several = VISIT.replace(hoso, hoso + hoso.replace("LK-1", "LK-9")).replace("<SOLUONGHOSO>1", "<SOLUONGHOSO>2")
    first, second = read(several)
    assert isinstance(first, Submission) and isinstance(second, Submission)
    assert only(second.visit.source).documents == second.documents
    assert second.visit.deviations == first.visit.deviations
    assert all("required and empty" in line for line in first.visit.deviations)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("<GIOI_TINH>2", "<GIOI_TINH>7", "XML1: GIOI_TINH is none of 1, 2, 3"),
        ("196403180000", "196402300000", "XML1: NGAY_SINH is no date that exists; the birth date counts as unknown"),
        ("999164000011", "12345", "XML1: SO_CCCD has no form of a known number; not used"),
        ("GD4279999900001;", "GD427;", "XML1: MA_THE_BHYT has no form of a card number; not used"),
        ("202611020740", "202613020740", "XML1: NGAY_VAO is no time that exists"),
        ("7.2", "7" * 60, "XML4: GIA_TRI is longer than 50 characters"),
        ("01929", "?", "XML13, row 1: MA_NOI_DEN is no facility code; nobody can be told of the referral"),
    ],
)
def test_what_is_strange_is_said_and_the_rest_is_used(old: str, new: str, said: str) -> None:
    found = only(changed(old, new))
    assert said in found.visit.deviations
    assert len(found.documents) == len(only(VISIT).documents)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("<SOLUONGHOSO>1", "<SOLUONGHOSO>3", "SOLUONGHOSO says 3, the file holds 1"),
        ("20261103", "3/11/2026", "NGAYLAP is missing from the envelope or is no date"),
        ("<MACSKCB>27001</MACSKCB>", "", "MACSKCB is missing from the envelope"),
    ],
)
def test_what_is_strange_about_the_file_is_said_once(old: str, new: str, said: str) -> None:
    assert remarks(changed(old, new)) == (said,)
    assert remarks(VISIT) == ()


UTF_16 = VISIT.replace('encoding="UTF-8"', 'encoding="utf-16"')


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (UTF_16.encode(), "UTF-16 is declared, but the bytes are not; read as UTF-8"),
        (VISIT.encode("utf-16"), "utf-8 is declared, but the first bytes say utf-16-le; they are believed"),
        (VISIT.encode() + bytes(9000), "zeros stand after its end"),
    ],
    ids=["says UTF-16", "is UTF-16", "zeros"],
)
def test_bytes_that_refute_what_is_said_of_them_are_believed(body: bytes, said: str) -> None:
    *_, told = found = pieces(body)
    assert told == FileRemarks((said,)) and found[0] == pieces(VISIT)[0]
    assert pieces(body, size=7) == found


def test_what_says_utf_16_and_is_neither_is_refused() -> None:
    with pytest.raises(Unreadable, match="the bytes are not utf-8"):
        read(UTF_16.encode("cp1258", "xmlcharrefreplace").replace(b"Nhi", b"Nhi\xea"))


def test_zeros_inside_a_file_are_no_end_of_it() -> None:
    with pytest.raises(Unreadable):
        read(VISIT.encode().replace(b"</HOSO>", bytes(9000) + b"</HOSO>"))


def test_base64_without_the_signs_that_fill_it_up_is_base64() -> None:
    table = b64encode(b"<A><B>x</B></A> ").decode()
    assert table.endswith("==")
    found = only(with_file("XML5", table.rstrip("="))).visit
    assert "XML5: the signs = at the end of its base64 are missing" in found.deviations


@pytest.mark.parametrize("name", ["NguyÔn ThÞ Thö", "Nguyễn Thị Thử".encode().decode("cp1252")])
def test_a_name_in_other_letters_than_are_declared_is_said(name: str) -> None:
    found = only(changed("Nguyễn Thị Thử", name))
    said = "XML1: HO_TEN was written with another table of letters than is declared; kept as it came"
    assert said in found.visit.deviations and said not in only(VISIT).visit.deviations


@pytest.mark.parametrize("end", ["<MA_LK>", "</MA_BN", "Nguyễn"])
def test_a_file_that_was_cut_is_said_to_be(end: str) -> None:
    with pytest.raises(Unreadable, match="cut, or is still being written"):
        read(VISIT[: VISIT.index(end) + 4])
    with pytest.raises(Unreadable, match="NAME_REQUIRED"):
        read(changed("Khám Nội", "Khám & Nội"))


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        ("195800000000", "1958"),
        ("195801010000", "1958"),
        ("19580101", "1958"),
        ("1958", "1958"),
        ("195803000000", "1958-03"),
        ("195801010730", "1958-01-01"),
        ("20261101", "2026-11-01"),
        ("00000000", "None"),
        ("", "None"),
    ],
)
def test_a_birth_date_keeps_the_precision_it_has(written: str, read_as: str) -> None:
    assert str(only(changed("196403180000", written)).patient.demographics.birth_date) == read_as


def test_a_newborn_under_its_mothers_name_stays_as_written() -> None:
    name = only(changed("Nguyễn Thị Thử", "CB Nguyễn Thị Thử")).patient.demographics.name
    assert name is not None and name.text == "CB Nguyễn Thị Thử"


def test_without_a_time_of_performance_none_is_invented() -> None:
    found = only(changed("<NGAY_TH_YL>202611020845</NGAY_TH_YL>", ""))
    assert found.documents[0].entry.start is None
    assert any("time of performance is not known" in line for line in found.visit.deviations)


def test_the_same_code_twice_is_told_apart_by_the_time_of_its_result() -> None:
    later = CT_SERVICE.replace("202611020845", "202611051000").replace("202611020930", "202611051100")
    result = CT_ROW.replace("202611020930", "202611051100").replace("phải.", "cũ.")
    body = changed(CT_SERVICE, later + CT_SERVICE, text=changed(CT_ROW, CT_ROW + result))
    first, second = only(body).documents[:2]
    assert (first.entry.start.day, second.entry.start.day) == (2, 5)
    assert first.source_key != second.source_key
    assert not any("approximate" in line for line in only(body).visit.deviations)


@pytest.mark.parametrize("reports", [1, 2])
def test_a_join_that_nothing_settles_is_called_approximate(reports: int) -> None:
    later = CT_SERVICE.replace("202611020845", "202611051000")
    blind = CT_ROW.replace("<NGAY_KQ>202611020930</NGAY_KQ>", "")
    found = only(changed(CT_SERVICE, CT_SERVICE + later, text=changed(CT_ROW, blind * reports)))
    assert sum("is approximate" in line for line in found.visit.deviations) == reports
    assert "(ước tính)" in b"".join(found.documents[0].content.chunks()).decode()


def test_a_scanner_that_the_list_does_not_know_is_still_a_scanner() -> None:
    found = only(VISIT.replace("18.0149.0040", "18.9999.0099"))
    report = found.documents[0].entry
    assert report.type is not None and report.type.display == "Head CT"
    assert report.events[0].code == "CT" and report.examination == "CT/brain/unknown"


HIV_DISGUISES: dict[str, str] = {
    "table 6": with_file("XML6", "<X><MA_LK>LK-1</MA_LK></X>"),
    "table 6 in lower case": with_file("xml6", "<X><MA_LK>LK-1</MA_LK></X>"),
    "table 6 without a row": with_file("XML6", "<X/>"),
    "table 6 under another number": with_file(
        "XML5", "<CHI_TIEU_HO_SO_BENH_AN_CHAM_SOC_VA_DIEU_TRI_HIV_AIDS><MA_LK>LK-1</MA_LK>"
        "</CHI_TIEU_HO_SO_BENH_AN_CHAM_SOC_VA_DIEU_TRI_HIV_AIDS>"
    ),
    "its columns in an unknown table": with_file("PHULUC", "<X><SO_NGAY_CAP_THUOC_ARV>30</SO_NGAY_CAP_THUOC_ARV></X>"),
    "columns of table 15": with_file("XML15", "<CHI_TIEU_DIEUTRI_BENHLAO><DSACH_CHITIET_DIEUTRI_BENHLAO>"
        "<CHITIET_DIEUTRI_BENHLAO><PHANLOAI_LAO_HIV>1</PHANLOAI_LAO_HIV></CHITIET_DIEUTRI_BENHLAO>"
        "</DSACH_CHITIET_DIEUTRI_BENHLAO></CHI_TIEU_DIEUTRI_BENHLAO>"),
    "main diagnosis": changed("<MA_BENH_CHINH>I63.9", "<MA_BENH_CHINH>B20"),
    "small letters, no point, end of the list": changed("I10;E11.9", "I10;E11.9,b201"),
    "another separator": changed("I10;E11.9", "I10/Z21"),
    "old column": changed("MA_BENH_CHINH>I63.9</MA_BENH_CHINH", "MA_BENH>B24</MA_BENH"),
    "diagnosis of one service": changed("<MA_MAY>", "<MA_BENH>B23.0</MA_BENH><MA_MAY>"),
    "code inside the words": changed("Nhồi máu não</CHAN", "Nhồi máu não (B22)</CHAN"),
    "medicine": changed("Amlodipin 5mg", "Dolutegravir 50mg"),
    "route": changed("<MA_DOITUONG_KCB>1.1", "<MA_DOITUONG_KCB>1.9"),
}  # fmt: skip


@pytest.mark.parametrize("body", HIV_DISGUISES.values(), ids=HIV_DISGUISES)
def test_hiv_in_any_disguise_closes_the_whole_dossier(body: str) -> None:
    found = only(body)
    assert {document.entry.sensitivity for document in found.documents} == {(HIV,)}
    assert len(found.documents) >= 5 and found.visit.sensitivity == (HIV,)
    assert found.referral is not None and (found.referral.diagnoses, found.referral.reason) == ((), None)


@pytest.mark.parametrize(
    ("old", "new", "closed"),
    [
        ("Nhồi máu não</CHAN", "Nhiễm HIV, nhồi máu não</CHAN", 5),
        ("Nhồi máu não bên phải.", "Tổn thương ở người bệnh AIDS.", 1),
        ("Glucose</TEN_CHI_SO>\n       <GIA_TRI>7.2", "HIV Ab</TEN_CHI_SO><GIA_TRI>Dương tính", 4),
        ("Glucose</TEN_CHI_SO>\n       <GIA_TRI>7.2", "HIV Ab</TEN_CHI_SO><GIA_TRI>1.9", 4),
        ("Glucose</TEN_CHI_SO>\n       <GIA_TRI>7.2", "HIV Ab</TEN_CHI_SO><GIA_TRI>Âm tính", 0),
    ],
)
def test_words_close_until_a_person_has_read_them(old: str, new: str, closed: int) -> None:
    labels = [document.entry.sensitivity for document in only(changed(old, new)).documents]
    assert labels.count((UNREVIEWED_TEXT,)) == closed


BOMB = "<!DOCTYPE a [<!ENTITY b 'ha'><!ENTITY c '&b;&b;&b;'>]><a>&c;</a>"
HOSTILE: dict[str, str | bytes] = {
    "bad base64": with_file("XML5", "@@@@"),
    "cut base64": with_file("XML5", b64encode(b"<A><B>x</B></A>").decode()[:-3]),
    "base64 of no xml": with_file("XML5", b64encode(b"Nguyen Thi Thu").decode()),
    "bomb in a table": with_file("XML5", b64encode(BOMB.encode()).decode()),
    "bomb in text": with_file("XML5", escape(BOMB)),
    "depth in a table": with_file("XML5", b64encode(b"<a>" * 100 + b"</a>" * 100).decode()),
    "wrong encoding": with_file("XML5", b64encode(b"<a>\xff</a>").decode()),
    "two tables in one": with_file("XML5", "<A/><B/>"),
    "no patient number": changed("<MA_BN>BN0001</MA_BN>", ""),
    "blank patient number": changed("BN0001", " "),
    "two patient numbers": changed("<MA_BN>BN0001", "<MA_BN>BN0002</MA_BN><MA_BN>BN0001"),
    "no visit key": VISIT.replace("<MA_LK>LK-1</MA_LK>", ""),
    "no table 1": changed("<LOAIHOSO>XML1<", "<LOAIHOSO>XML77<").replace("TONG_HOP", "KHAC"),
    "no facility": VISIT.replace("<MACSKCB>27001</MACSKCB>", "").replace("<MA_CSKCB>27001</MA_CSKCB>", ""),
}  # fmt: skip


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_dossier_is_refused_without_repeating_it(body: str | bytes) -> None:
    error = fault(body)
    assert isinstance(error, Unreadable)
    assert "dossier 1" in str(error)
    assert not re.search("Thu|Thử|BN000|LK-1|9991", str(error))


@pytest.mark.parametrize(
    "body",
    [BOMB, "", "not xml", "<HTML/>", "<GIAMDINHHS/>", "<GIAMDINHHS>" + "<a>" * 99 + "</a>" * 99 + "</GIAMDINHHS>"],
    ids=["bomb", "nothing", "text", "html", "empty", "deep"],
)
def test_a_file_that_is_none_is_refused(body: str) -> None:
    with pytest.raises(Unreadable):
        read(body)


def test_a_dossier_beyond_the_limit_is_refused() -> None:
    with pytest.raises(TooLarge):
        read(b"<GIAMDINHHS><HOSO>" + b" " * (MAX_DOSSIER_BYTES + 1))


@pytest.mark.parametrize("name", ["nested", "file in utf-16", "file in windows-1258", "no HOSO"])
def test_a_file_that_arrives_byte_by_byte_says_the_same(name: str) -> None:
    body = EXPORTERS[name]
    assert pieces(body, size=7) == pieces(body)


def test_a_file_that_breaks_off_gives_what_came_before() -> None:
    hoso = re.search("<HOSO>.*</HOSO>", VISIT, re.DOTALL)[0]
    cut = VISIT.replace(hoso, hoso + hoso.replace("LK-1", "LK-9")).split("LK-9")[0].encode()
    found = iter_submissions([cut], Receiver(FacilityCode("27001"), LOCAL, HomeCommunityId("urn:oid:2.25.27001")))
    assert isinstance(next(found), Submission)
    with pytest.raises(Unreadable):
        next(found)


def test_another_facilitys_visit_is_refused() -> None:
    assert isinstance(fault(VISIT.replace("<MA_CSKCB>27001", "<MA_CSKCB>01929")), ForeignDomain)
    with pytest.raises(ForeignDomain):
        read(changed("<MACSKCB>27001", "<MACSKCB>01929"))


def test_a_row_of_another_visit_refuses_the_dossier() -> None:
    assert isinstance(fault(changed("<CHI_TIET_CLS><MA_LK>LK-1", "<CHI_TIET_CLS><MA_LK>LK-7")), PatientMismatch)


def test_one_bad_dossier_costs_only_itself() -> None:
    hoso = re.search("<HOSO>.*</HOSO>", VISIT, re.DOTALL)[0]
    several = [hoso.replace("LK-1", f"LK-{number}") for number in range(7)]
    several[4] = several[4].replace("<MA_BN>BN0001</MA_BN>", "")
    found = read(VISIT.replace(hoso, "".join(several)))
    assert [isinstance(one, DossierFault) for one in found] == [False] * 4 + [True] + [False] * 2
    assert isinstance(found[4], DossierFault) and found[4].number == 5


def test_a_thousand_strange_columns_make_a_short_list() -> None:
    many = "".join(f"<COT_{number}>x</COT_{number}>" for number in range(1000))
    found = only(changed("<STT>1</STT><MA_BN>", f"<STT>1</STT>{many}<MA_BN>")).visit
    assert len(found.deviations) == 101
    assert found.deviations[-1] == "more deviations than are listed (904 times)"


def test_the_field_lists_are_complete() -> None:
    sizes = {name: len(table.columns) for name, table in tables().items()}
    assert len(sizes) == 16
    assert (sizes["XML1"], sizes["XML2"], sizes["XML3"], sizes["XML4"], sizes["XML13"]) == (66, 39, 47, 12, 39)


def test_every_document_says_which_visit_it_came_of() -> None:
    found = only(VISIT)
    assert found.documents and {one.entry.encounters for one in found.documents} == {
        (PatientIdentifier("urn:hie-node:visit:27001", "LK-1"),)
    }


@pytest.mark.parametrize("declared", ["windows-1258", "windows-1252", "iso-8859-1", "us-ascii"])
def test_a_code_page_that_a_template_declares_is_not_believed_against_the_bytes(declared: str) -> None:
    body = VISIT.replace('encoding="UTF-8"', f'encoding="{declared}"')
    assert body != VISIT
    assert only(body).patient == only(VISIT).patient
    assert any("the bytes are UTF-8" in line for line in remarks(body))
    really = VISIT.replace('encoding="UTF-8"', 'encoding="windows-1252"').replace("Nguyễn Thị Thử", "Nguyen Thi Thé")
    name = only(re.sub("[^\x00-\xff]", "?", really).encode("cp1252")).patient.demographics.name
    assert name is not None and name.text == "Nguyen Thi Thé"


def test_blank_lines_before_its_beginning_are_overlooked_and_said() -> None:
    body = "\r\n\r\n  " + VISIT
    assert only(body).patient == only(VISIT).patient
    assert remarks(body) == ("white space stands before its beginning; overlooked",)
