"""A file in the drop folder is known for what it is, and a note beside a document says whose it is or is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from adapters.dropped.kinds import kind_of
from adapters.dropped.sidecar import DescribedDocument, read_sidecar
from registry.errors import InvalidValue, RegistryError, TooLarge, Unreadable
from registry.identifiers import HomeCommunityId

PDF = b"%PDF-1.7\n%%EOF\n"
NOTE: dict[str, Any] = {
    "patient": {
        "id": "BN0001",
        "name": "Nguyễn Thị Thử",
        "birthDate": "1964-03-18",
        "gender": "female",
        "nationalId": "999164000011",
        "insuranceNumber": "GD4279999900001",
    },
    "type": {"system": "http://loinc.org", "code": "24725-4", "display": "Head CT"},
    "title": "CLVT sọ não",
    "created": "2026-11-02T09:30:00+07:00",
    "performed": "2026-11-02T08:45:00+07:00",
    "serviceCode": "18.0149.0040",
    "accessionNumber": "A123",
    "author": "BS. Lê Văn Mẫu",
}


def described(document: bytes = PDF, **changes: Any) -> DescribedDocument:
    return sent(document, json.dumps(NOTE | changes).encode())


def sent(document: bytes, note: bytes) -> DescribedDocument:
    return read_sidecar(document, note, patient_id_system="urn:oid:2.25.1", home=HomeCommunityId("urn:oid:2.25.27001"))


@pytest.mark.parametrize(
    ("path", "first_bytes", "kind"),
    [
        ("a.xml", b"<?xml version='1.0'?>\n<!-- x --><GIAMDINHHS>", "insurance"),
        ("a.xml", "\ufeff<giamdinhhs>".encode("utf-16-le"), "insurance"),
        ("a.xml", b"\xef\xbb\xbf<CHI_TIEU_TRANG_THAI_KCB><MA_LK>", "insurance"),
        ("a.dat", b"<TONG_HOP>", "insurance"),
        ("a.xml", b'<Patient xmlns="http://hl7.org/fhir">', "fhir"),
        ("a.json", b'{"resourceType": "Bundle"', "fhir"),
        ("a.json", b'{"patient": {"id": "1"}}', "sidecar"),
        ("a.json", b"[]", "unknown"),
        ("a", bytes(128) + b"DICM", "dicom"),
        ("a.dcm", b"\x08\x00\x05\x00", "dicom"),
        ("a.bin", b"%PDF-1.4", "document"),
        ("a.TXT", "Kết luận".encode(), "document"),
        ("a.xml", b"<html>", "unknown"),
        ("a.xml", b"<!-- without end", "unknown"),
        ("a.dcm", b"", "unknown"),
        ("a.exe", b"MZ", "unknown"),
    ],
)
def test_a_file_is_what_its_bytes_say(path: str, first_bytes: bytes, kind: str) -> None:
    assert kind_of(path, first_bytes) == kind


def test_a_described_pdf_is_a_report_of_its_patient() -> None:
    found = described()
    (document,) = found.submission.documents
    assert found.warnings == () and found.submission.patient.identifier.value == "BN0001"
    assert [number.value for number in found.submission.patient.numbers] == ["999164000011", "GD4279999900001"]
    assert document.entry.attachment.content_type == "application/pdf"
    assert document.entry.start is not None and document.entry.start.isoformat() == NOTE["performed"]
    assert (document.entry.examination, document.source_key) == ("CT/brain/plain", None)
    assert document.entry.references[0].value == "A123"


def test_the_same_document_again_has_the_same_id_and_another_patients_has_not() -> None:
    one = described().submission.documents[0].entry.unique_id
    assert one == described(title="another title").submission.documents[0].entry.unique_id
    assert one != described(patient={"id": "BN0002"}).submission.documents[0].entry.unique_id
    assert one != described(PDF + b"\n").submission.documents[0].entry.unique_id


def test_an_own_id_lets_a_correction_replace() -> None:
    own = "urn:uuid:11111111-2222-4333-8444-555555555555"
    document = described(uniqueId=own).submission.documents[0]
    assert (document.entry.unique_id, document.source_key) == (own, f"sidecar:{own}")


def test_unknown_names_are_kept_and_said() -> None:
    found = described(ward="B3", patient={"id": "BN0001", "bed": 7})
    assert found.unknown == {"ward": "B3", "patient/bed": 7}
    assert found.warnings == ("/patient/bed: not known; kept unread", "/ward: not known; kept unread")


@pytest.mark.parametrize(
    ("pointer", "changes"),
    [
        ("/patient", {"patient": None}),
        ("/patient", {"patient": "BN0001"}),
        ("/patient/id", {"patient": {"name": "Nguyễn Thị Thử"}}),
        ("/patient/id", {"patient": {"id": 17}}),
        ("/patient/id", {"patient": {"id": "BN\n1"}}),
        ("/patient/birthDate", {"patient": {"id": "1", "birthDate": "1964-02-30"}}),
        ("/patient/gender", {"patient": {"id": "1", "gender": "nữ"}}),
        ("/patient/nationalId", {"patient": {"id": "1", "nationalId": "12"}}),
        ("/patient/insuranceNumber", {"patient": {"id": "1", "insuranceNumber": "12"}}),
        ("/type", {"type": None}),
        ("/type/code", {"type": {"system": "http://loinc.org"}}),
        ("/created", {"created": "2026-11-02T09:30:00"}),
        ("/created", {"created": "2026-13-02T09:30:00Z"}),
        ("/performed", {"performed": 20261102}),
        ("/title", {"title": "x" * 300}),
        ("/uniqueId", {"uniqueId": "urn:uuid:17"}),
    ],
)
def test_a_note_that_is_half_understood_is_refused(pointer: str, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue) as caught:
        described(**changes)
    assert caught.value.element == pointer
    assert "Thử" not in str(caught.value)


@pytest.mark.parametrize(
    ("document", "note", "error"),
    [
        (PDF, b"", Unreadable),
        (PDF, b"[]", Unreadable),
        (PDF, b"\xff", Unreadable),
        (PDF, b'{"a":' * 10_000, Unreadable),
        (PDF, b'{"a": NaN}', Unreadable),
        (PDF, b'{"a": ' + b"9" * 6000 + b"}", Unreadable),
        (PDF, b'{"patient": {"id": "1", "id": "2"}}', Unreadable),
        (PDF, b" " * 70_000, TooLarge),
        (b"", json.dumps(NOTE).encode(), Unreadable),
        (b"MZ\x00\x01", json.dumps(NOTE).encode(), Unreadable),
    ],
)
def test_bytes_that_are_not_what_they_should_be_are_refused(
    document: bytes, note: bytes, error: type[RegistryError]
) -> None:
    with pytest.raises(error):
        sent(document, note)


def test_a_text_in_windows_1258_is_read_and_said() -> None:
    found = described("Kê\u0301t luâ\u0323n: bi\u0300nh thươ\u0300ng".encode("cp1258"))
    content = b"".join(found.submission.documents[0].content.chunks()).decode()
    assert content == "Kết luận: bình thường"
    assert "windows-1258" in found.warnings[0]
