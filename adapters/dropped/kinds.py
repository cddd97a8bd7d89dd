"""What a file in the drop folder is: by its first bytes, and by its name only where the bytes leave it open."""

from __future__ import annotations

import codecs
import re
from pathlib import PurePath
from typing import Literal

from adapters.dicom.headless import begins_an_image
from adapters.insurance.tables import names_by_tag

Kind = Literal["insurance", "dicom", "sidecar", "document", "fhir", "hl7", "cda", "packed", "unknown"]

FIRST_BYTES = 4096
"""How many bytes are enough to tell."""

FHIR_NAMESPACE = "http://hl7.org/fhir"
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_UNMARKED = ((b"<\x00", "utf-16-le"), (b"\x00<", "utf-16-be"))
# One at a time: Python 3.11.2 (Debian 12) misreads a possessive group that holds a lookahead.
_BEFORE_ROOT = re.compile(r"\s+|<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^\[>]*(?:\[[^\]]*\]\s*)?>", re.DOTALL)
_ROOT = re.compile(r"<(?:[\w.-]+:)?([A-Za-z_][\w.-]*)([^>]*)")
_RESOURCE = re.compile(r'"resourceType"\s*:')
_HL7 = re.compile(rb"(?:\xef\xbb\xbf)?[\x0b\s]*(?:MSH|FHS|BHS)[^\w\s]")
_PACKED = (b"PK\x03\x04", b"\x1f\x8b\x08", b"Rar!", b"7z\xbc\xaf\x27\x1c", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd")
"""How zip, gzip, rar, 7-Zip, bzip2, xz and Zstandard begin."""
_ENVELOPES = frozenset({"GIAMDINHHS", "HOSO", "FILEHOSO"})


def kind_of(path: str, first_bytes: bytes) -> Kind:
    """`first_bytes` are the first 4096, or all there are."""
    suffix = PurePath(path).suffix.lower()
    # old devices leave out the preamble, or all of the head
    if first_bytes[128:132] == b"DICM" or begins_an_image(first_bytes):
        return "dicom"
    if first_bytes.startswith(b"%PDF-"):
        return "document"
    if _HL7.match(first_bytes):
        return "hl7"
    if first_bytes.startswith(_PACKED):
        return "packed"
    text = _decoded(first_bytes)
    if text.startswith("<"):
        return _kind_of_xml(text)
    if text.startswith("{"):
        return _kind_of_json(text, suffix)
    if suffix in (".txt", ".pdf"):
        return "document"
    # what is named so and is none is told so by what reads it
    return "dicom" if suffix in (".dcm", ".dicom") and first_bytes else "unknown"


def _decoded(first_bytes: bytes) -> str:
    for mark, encoding in (*_MARKS, *_UNMARKED):
        if first_bytes.startswith(mark):
            return first_bytes.decode(encoding, "ignore").lstrip("\ufeff \t\r\n")
    return first_bytes.decode("latin-1").lstrip()


def _kind_of_xml(text: str) -> Kind:
    start = 0
    while before := _BEFORE_ROOT.match(text, start):
        start = before.end()
    root = _ROOT.match(text, start)
    if root is None:
        return "unknown"
    tag = root.group(1).upper()
    if tag in _ENVELOPES or tag in names_by_tag():
        return "insurance"
    if tag == "CLINICALDOCUMENT":
        return "cda"
    return "fhir" if FHIR_NAMESPACE in root.group(2) else "unknown"


def _kind_of_json(text: str, suffix: str) -> Kind:
    if _RESOURCE.search(text):
        return "fhir"
    return "sidecar" if suffix == ".json" else "unknown"
