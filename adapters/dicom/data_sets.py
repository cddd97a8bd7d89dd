"""Small data sets without a file around them: what a query asks and answers, what a manifest says.

Written from the DICOM JSON model, so that one description of an attribute serves every door; text is UTF-8.

Source: DICOM PS3.5: 7.1 (elements), 6.2 (value representations), PS3.18 Annex F.
"""

from __future__ import annotations

import struct
from typing import Any

from adapters.dicom.dicom_json import Json
from adapters.dicom.dictionary import IMPLICIT_LITTLE
from adapters.dicom.elements import LONG_FORM, DataSet, Walker
from adapters.dicom.sources import Source
from adapters.dicom.texts import CHARSET, UNDECLARED, Charset

UTF_8 = {"vr": "CS", "Value": ["ISO_IR 192"]}
_NUMBERS = {"US": "<H", "UL": "<L", "SS": "<h", "SL": "<l", "FD": "<d", "FL": "<f"}
_NULLED = frozenset({"UI", "OB", "UN"})


def read_data_set(content: bytes, transfer_syntax: str) -> tuple[DataSet, Charset]:
    """Everything in it, with the charset in force. Raises Unreadable."""
    source = Source(iter([content]), len(content))
    implicit = transfer_syntax == IMPLICIT_LITTLE
    found = Walker(source, implicit=implicit, order="<", keep=_everything, nested=_everything).whole()
    return found, UNDECLARED.of(found)


def _everything(tag: int, vr: str, length: int) -> bool:
    return True


def write_data_set(attributes: Json, *, implicit: bool = False) -> bytes:
    """The attributes in order of their tags; the charset is said where something is not ASCII."""
    body = _elements(attributes, implicit)
    if body.isascii() or f"{CHARSET:08X}" in attributes:
        return body
    return write_data_set({**attributes, f"{CHARSET:08X}": UTF_8}, implicit=implicit)


def _element(tag: int, said: dict[str, Any], implicit: bool) -> bytes:
    vr: str = said["vr"]
    content = _value(vr, said.get("Value", []), implicit)
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    if implicit:
        return head + struct.pack("<L", len(content)) + content
    if vr in LONG_FORM:
        return head + vr.encode() + struct.pack("<xxL", len(content)) + content
    return head + vr.encode() + struct.pack("<H", len(content)) + content


def _value(vr: str, values: list[Any], implicit: bool) -> bytes:
    """Of even length."""
    if vr == "SQ":
        return b"".join(_item(_elements(item, implicit)) for item in values)
    if vr in _NUMBERS:
        return b"".join(struct.pack(_NUMBERS[vr], value) for value in values)
    content = "\\".join(_text(value) for value in values).encode("utf-8", "replace")
    return content + (b"\0" if vr in _NULLED else b" ") * (len(content) % 2)


def _elements(attributes: Json, implicit: bool) -> bytes:
    return b"".join(_element(int(tag, 16), attributes[tag], implicit) for tag in sorted(attributes))


def _item(content: bytes) -> bytes:
    return struct.pack("<HHL", 0xFFFE, 0xE000, len(content)) + content


def _text(value: Any) -> str:
    """One value; a name with its groups."""
    if isinstance(value, dict):
        groups = [value.get(kind, "") for kind in ("Alphabetic", "Ideographic", "Phonetic")]
        return "=".join(groups).rstrip("=")
    return "" if value is None else str(value)
