"""The Native DICOM Model in XML: the same as the DICOM JSON model, for callers who want it so.

Source: DICOM PS3.19: A.1 (model and schema), PS3.18: F.2 and Table F.3.1-1 (how JSON and XML correspond).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from lxml import etree

from adapters.dicom.dicom_json import Json
from adapters.dicom.dictionary import keyword_of
from adapters.wire import Pairs

MEDIA_TYPE = "application/dicom+xml"
PART: Pairs = (("Content-Type", MEDIA_TYPE),)
NAMESPACE = "http://dicom.nema.org/PS3.19/models/NativeDICOM"
_NAME_PARTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def document(dataset: Json) -> bytes:
    """One data set of the JSON model as an XML document in UTF-8; characters that XML cannot carry become U+FFFD."""
    root = etree.Element(f"{{{NAMESPACE}}}NativeDicomModel", nsmap={None: NAMESPACE})
    _fill(root, dataset)
    written: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8")
    return written


def _fill(parent: Any, dataset: Json) -> None:
    for tag, said in dataset.items():
        creator = _creator(dataset, tag)
        # a block has another number in every file: whose it is tells what an attribute is, and 00 stands for the number
        attribute = _below(parent, "DicomAttribute", tag=f"{tag[:4]}00{tag[6:]}" if creator else tag, vr=said["vr"])
        if creator:
            attribute.set("privateCreator", _carried(creator))
        if keyword := keyword_of(int(tag, 16)):
            attribute.set("keyword", keyword)
        if "InlineBinary" in said:
            _below(attribute, "InlineBinary").text = said["InlineBinary"]
        elif "BulkDataURI" in said:
            _below(attribute, "BulkData", uri=said["BulkDataURI"])
        for number, value in enumerate(said.get("Value", ()), 1):
            _value(attribute, said["vr"], number, value)


def _creator(dataset: Json, tag: str) -> str:
    """Who reserved the block that a private attribute is in; empty for standard ones, and where nobody says it."""
    if int(tag[:4], 16) % 2 == 0 or tag[4:6] == "00":
        return ""
    told = dataset.get(f"{tag[:4]}00{tag[4:6]}", {}).get("Value", [])
    return str(told[0]) if told and told[0] else ""


def _value(attribute: Any, vr: str, number: int, value: Any) -> None:
    """An empty value among several has no element; the numbers of the others tell."""
    if vr == "SQ":
        _fill(_below(attribute, "Item", number=str(number)), value)
    elif value is None:
        return
    elif vr == "PN":
        name = _below(attribute, "PersonName", number=str(number))
        for group, text in value.items():
            _name_group(_below(name, group), text)
    else:
        _below(attribute, "Value", number=str(number)).text = _carried(_number(value))


def _name_group(group: Any, text: str) -> None:
    for part, said in zip(_NAME_PARTS, text.split("^"), strict=False):
        if said:
            _below(group, part).text = _carried(said)


def _number(value: Any) -> str:
    return repr(value) if isinstance(value, float) and value != int(value) else str(value)


def _carried(text: str) -> str:
    return _NOT_IN_XML.sub("\ufffd", text)


def _below(parent: Any, name: str, **attributes: str) -> Any:
    return etree.SubElement(parent, f"{{{NAMESPACE}}}{name}", attributes)


def parts(datasets: Iterator[Json]) -> Iterator[tuple[Pairs, tuple[bytes]]]:
    """Parts of a multipart answer, one a data set."""
    return ((PART, (document(dataset),)) for dataset in datasets)
