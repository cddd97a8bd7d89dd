"""A report as a file with its sidecar: what a small hospital's program saves beside the insurance file."""

import json
from textwrap import wrap
from uuid import uuid5

from hie_node.lab.hospitals import Hospital
from hie_node.lab.spelling import without_marks
from hie_node.lab.studies import NAMESPACE
from hie_node.lab.visits import Examination, Visit


def report_text(visit: Visit, examination: Examination, hospital: Hospital) -> str:
    """The printed page, as text."""
    who = visit.registration
    return (
        f"{hospital.name.upper()}\nKẾT QUẢ CHẨN ĐOÁN HÌNH ẢNH\n\n"
        f"Họ và tên: {who.name}\nNăm sinh: {who.birth_date[:4]}\nMã người bệnh: {visit.patient_number}\n"
        f"Chỉ định: {examination.service.name}\nThực hiện: {examination.performed:%d/%m/%Y %H:%M}\n\n"
        f"{examination.report}\nBác sĩ đọc: {examination.reader.name}\n"
    )


def report_pdf(text: str) -> bytes:
    """One page in a font that every reader has; it lacks the Vietnamese letters, so marks are left out."""
    lines = [part for line in without_marks(text).splitlines() for part in wrap(line, 92) or [""]]
    shown = "".join(f"({_escaped(line)}) Tj T*\n" for line in lines)
    content = f"BT /F1 10 Tf 14 TL 50 790 Td\n{shown}ET".encode("ascii", "replace")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    return _pdf(objects)


def sidecar(visit: Visit, examination: Examination, hospital: Hospital) -> bytes:
    """The JSON that lies beside the file and says what it is and whose."""
    who, kind = visit.registration, examination.kind
    key = f"{hospital.facility_code}/{examination.accession_number}/report"
    patient = {
        "id": visit.patient_number,
        "name": who.name,
        "birthDate": who.birth_iso,
        "gender": who.gender,
        "nationalId": who.national_id,
        "insuranceNumber": who.insurance_number,
    }
    return json.dumps(
        {
            "patient": {name: value for name, value in patient.items() if value},
            "type": {"system": "http://loinc.org", "code": kind.loinc_code, "display": kind.loinc_display},
            "title": kind.title,
            "created": examination.reported.isoformat(),
            "performed": examination.performed.isoformat(),
            "serviceCode": examination.service.code,
            "accessionNumber": examination.accession_number,
            "author": examination.reader.name,
            "uniqueId": f"urn:uuid:{uuid5(NAMESPACE, key)}",
        },
        ensure_ascii=False,
        indent=1,
    ).encode()


def _escaped(line: str) -> str:
    return line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")


def _pdf(objects: list[bytes]) -> bytes:
    """Objects, their offsets, and where the offsets stand (ISO 32000-1, 7.5)."""
    out, offsets = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(out)
