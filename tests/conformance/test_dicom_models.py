"""Metadata in the two models of DICOM, XML and JSON, are what DCMTK writes of the same file."""

from __future__ import annotations

import io
import json
import subprocess
from base64 import b64decode
from collections.abc import Callable
from email import message_from_bytes
from email.policy import HTTP
from pathlib import Path

import pydicom
from lxml import etree
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tests.conformance.client import Client
from tests.papers import LAN, CtStudy

MODEL = "{http://dicom.nema.org/PS3.19/models/NativeDICOM}"
PIXELS = "7FE00010"


def with_values_of_every_kind(content: bytes) -> bytes:
    """The file with attributes of each form that a value has, written by pydicom."""
    read = pydicom.dcmread(io.BytesIO(content))
    read.PatientName = "Yamada^Tarou^Jr^Dr^MD=山田^太郎=やまだ^たろう"
    read.OperatorsName = ["Trần^Minh", "Lê^Hoa^^BS"]
    read.ImageType = ["ORIGINAL", "PRIMARY", "", "AXIAL"]
    read.PixelSpacing = ["0.5", "0.48828125"]
    read.ImageComments = "một dòng < & >\r\nhai dòng"
    read.ReferringPhysicianName = ""
    read.NumberOfFrames = "1"
    read.SliceThickness = "1.250"
    read.add_new(0x00189074, "DT", "20260310081530.500000+0700")
    read.add_new(0x00189087, "FD", 1000.25)
    read.add_new(0x00189073, "FD", 0.1)
    read.add_new(0x00186020, "SL", -7)
    read.add_new(0x00280009, "AT", 0x00181063)
    read.add_new(0x00281201, "OW", bytes(range(8)))
    read.add_new(0x0040A030, "UT", "văn bản dài ")
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "69536005", "SCT", "Đầu"
    item.PurposeOfReferenceCodeSequence = Sequence([])
    read.AnatomicRegionSequence = Sequence([item, Dataset()])
    read.ReferencedStudySequence = Sequence([])
    private = read.private_block(0x0019, "HÃNG MÁY", create=True)
    private.add_new(0x10, "LO", "riêng")
    private.add_new(0x11, "DS", "1.5")
    out = io.BytesIO()
    read.save_as(out, enforce_file_format=True)
    return out.getvalue()


def by_dcmtk(content: bytes, folder: Path) -> etree._Element:
    (file := folder / "same.dcm").write_bytes(content)
    ran = subprocess.run(
        ["dcm2xml", "--native-format", "--use-xml-namespace", "--encode-base64", "--convert-to-utf8", file],
        capture_output=True,
        check=True,
        timeout=60,
    )
    return etree.fromstring(ran.stdout)


def said(root: etree._Element) -> list[tuple[str, ...]]:
    """Every value with where it stands, in order; the header of the file and pixels are left out."""
    found: list[tuple[str, ...]] = []
    _collect(root, (), found)
    return found


def _collect(node: etree._Element, path: tuple[str, ...], found: list[tuple[str, ...]]) -> None:
    for child in node:
        tag, name = child.get("tag", ""), child.tag.removeprefix(MODEL)
        if tag == PIXELS or tag.startswith("0002") or not _says_something(child):
            continue
        facts = " ".join(f"{key}={child.get(key)}" for key in ("tag", "vr", "keyword", "privateCreator", "number"))
        here = (*path, f"{name} {facts}")
        found.append((*here, _value(child, node.get("vr", "")) if not len(child) else ""))
        _collect(child, here, found)


def _says_something(node: etree._Element) -> bool:
    """An empty value among several is told by the numbers of the others, or by an element that is empty."""
    is_value = node.tag in (f"{MODEL}Value", f"{MODEL}PersonName")
    return not is_value or any((one.text or "").strip() for one in node.iter())


def _value(node: etree._Element, vr: str) -> str:
    """Numbers as numbers; of words DCMTK writes the higher byte first, where the standard has the lower."""
    text = (node.text or "").strip()
    if vr in ("DS", "FD", "FL"):
        return str(float(text))
    if vr == "OW":
        return b64decode(text).hex() if node.getroottree().getroot().get("own") else _swapped(b64decode(text)).hex()
    return text


def _swapped(words: bytes) -> bytes:
    return b"".join(words[at : at + 2][::-1] for at in range(0, len(words), 2))


def test_metadata_in_xml_are_what_dcmtk_writes(clients: Callable[..., tuple[Client, ...]], tmp_path: Path) -> None:
    (node,) = clients("bac-ninh")
    hospital = node.hospital
    study = CtStudy(LAN, count=1)
    (plain,) = study.slices("bac-ninh")
    content = with_values_of_every_kind(plain)
    outcome = hospital.publishes_files({"000.dcm": content})
    assert not outcome[-1].reason, outcome[-1].reason
    answer = hospital.sends(
        "GET",
        f"/dicomweb/studies/{study.uid}/metadata",
        headers={"Accept": 'multipart/related; type="application/dicom+xml"'},
    )
    assert answer.status == 200, answer.body
    head = b"Content-Type: " + answer.headers["content-type"].encode() + b"\r\n\r\n"
    (part,) = message_from_bytes(head + answer.body, policy=HTTP).iter_parts()
    assert part.get_content_type() == "application/dicom+xml"
    root = etree.fromstring(part.get_payload(decode=True))
    assert root.tag == f"{MODEL}NativeDicomModel"
    root.set("own", "yes")
    own, foreign = said(root), said(by_dcmtk(content, tmp_path))
    assert own == foreign
    assert any("privateCreator=HÃNG MÁY" in line[0] for line in own) and len(own) > 80


def test_metadata_in_json_are_what_dcmtk_writes(clients: Callable[..., tuple[Client, ...]], tmp_path: Path) -> None:
    (node,) = clients("bac-ninh")
    study = CtStudy(LAN, count=1)
    content = with_values_of_every_kind(next(iter(study.slices("bac-ninh"))))
    assert not node.hospital.publishes_files({"000.dcm": content})[-1].reason
    told = {"Accept": "application/dicom+json"}
    answer = node.hospital.sends("GET", f"/dicomweb/studies/{study.uid}/metadata", headers=told)
    assert answer.status == 200, answer.body
    (own,) = json.loads(answer.body)
    (tmp_path / "same.dcm").write_bytes(content)
    ran = subprocess.run(["dcm2json", tmp_path / "same.dcm"], capture_output=True, check=True, timeout=60)
    foreign = json.loads(ran.stdout)
    for both in (own, foreign):
        both.pop(PIXELS, None)
    assert own == foreign
