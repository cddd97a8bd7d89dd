"""The DICOM JSON model: what a search answers from the index, and what a stored header says, without bulk.

Source: DICOM PS3.18 Annex F; 10.6.3.3 and Tables 10.6.3-3 to 10.6.3-5 (attributes of search results).
"""

from __future__ import annotations

import base64
import json
import math
import re
import struct
from collections.abc import Iterator
from datetime import datetime
from typing import Any, cast

import orjson

from adapters.dicom.dictionary import tag_of, value_representation
from adapters.dicom.elements import PIXELS, DataSet, Element
from adapters.dicom.header_values import ANSWERED
from adapters.dicom.part10 import Header, read_header
from adapters.dicom.texts import CHARSET, Charset
from registry.studies import Instance, Series, Study

MEDIA_TYPE = "application/dicom+json"
Json = dict[str, Any]

INLINE_LIMIT = 128 * 1024
_BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_NUMBERS = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "UV": "Q", "SV": "q", "FL": "f", "FD": "d"}
_ONE_VALUE = frozenset({"LT", "ST", "UT", "UR"})
_IN_ASCII = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"})
_BULK = PIXELS | {0x00420011, 0x54001010, 0x56000020}
_WHOLE = re.compile(r"[+-]?\d{1,12}")


def metadata(chunks: Iterator[bytes], instance_url: str = "") -> Json:
    """The header of a stored file. Pixels, waveforms, enclosed documents and long binary values are left out; where
    the instance has a URL, those of the outermost level are referred to below it."""
    return from_header(read_header(chunks, _is_header), instance_url)


def from_header(header: Header, instance_url: str = "") -> Json:
    found = _dataset(header.dataset, header.charset)
    if instance_url:
        found |= _left_out(header, instance_url)
    found[f"{CHARSET:08X}"] = {"vr": "CS", "Value": ["ISO_IR 192"]}
    return dict(sorted(found.items()))


def _left_out(header: Header, instance_url: str) -> Json:
    """Source: DICOM PS3.18: F.2.2 (BulkDataURI)."""
    there = {tag: element.vr for tag, element in header.dataset.elements.items() if element.value is None}
    there |= {header.pixels: "OW"} if header.pixels is not None else {}
    return {
        f"{tag:08X}": {"vr": _one_vr(vr, header.dataset), "BulkDataURI": f"{instance_url}/bulkdata/{tag:08X}"}
        for tag, vr in there.items()
        if vr != "SQ"
    }


def _is_header(tag: int, vr: str, length: int) -> bool:
    if vr == "SQ":
        return True
    overlay = tag >> 24 == 0x60 and tag & 0xFFFF == 0x3000
    return tag not in _BULK and not overlay and length <= INLINE_LIMIT


def _dataset(dataset: DataSet, charset: Charset) -> Json:
    found: Json = {}
    for tag, element in sorted(dataset.elements.items()):
        # group lengths say nothing in JSON
        if tag & 0xFFFF and element.value is not None:
            found[f"{tag:08X}"] = _element(tag, element, dataset, charset)
    return found


def _element(tag: int, element: Element, dataset: DataSet, charset: Charset) -> Json:
    vr = _one_vr(element.vr, dataset)
    if isinstance(element.value, tuple):
        items = [_dataset(item, charset.of(item)) for item in element.value]
        return {"vr": "SQ", "Value": items} if items else {"vr": "SQ"}
    raw = element.value or b""
    if vr in _BINARY:
        # numbers in the other byte order would be read wrongly; they stay in the file
        if not raw or (dataset.order == ">" and vr not in ("OB", "UN")):
            return {"vr": vr}
        return {"vr": vr, "InlineBinary": base64.b64encode(raw).decode("ascii")}
    values = _values(vr, raw, dataset.order, charset)
    while values and values[-1] is None:
        values.pop()
    return {"vr": vr, "Value": values} if values else {"vr": vr}


def _one_vr(vr: str, dataset: DataSet) -> str:
    """The dictionary leaves some open ("US or SS"): pixel representation decides; bytes are words."""
    if len(vr) == 2:
        return vr
    if "SS" in vr:
        return "SS" if dataset.number(0x00280103) else "US"
    return "OW" if "OW" in vr else vr[:2]


def _values(vr: str, raw: bytes, order: str, charset: Charset) -> list[Any]:
    if vr in _NUMBERS:
        form = struct.Struct(order + _NUMBERS[vr])
        whole = len(raw) - len(raw) % form.size
        return [_finite(value) for (value,) in form.iter_unpack(raw[:whole])]
    if vr == "AT":
        pairs = struct.Struct(order + "HH").iter_unpack(raw[: len(raw) - len(raw) % 4])
        return [f"{group:04X}{element:04X}" for group, element in pairs]
    text = raw.decode("ascii", "replace").strip(" \0") if vr in _IN_ASCII else charset.text(raw)
    parts = [text] if vr in _ONE_VALUE else [part.strip(" \0") for part in text.split("\\")]
    return [_text_value(vr, part) if part else None for part in parts]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _text_value(vr: str, text: str) -> Any:
    if vr == "PN":
        return person_name(text)
    if vr == "IS" and _WHOLE.fullmatch(text):
        return int(text)
    if vr == "DS":
        try:
            number = float(text)
        except ValueError:
            return text
        return number if math.isfinite(number) else text
    return text


def person_name(text: str) -> Json | None:
    groups = zip(("Alphabetic", "Ideographic", "Phonetic"), text.split("="), strict=False)
    return {kind: group.strip() for kind, group in groups if group.strip()} or None


def attributes(**values: Any) -> Json:
    """Attributes by keyword; empty ones without a value, None ones left out."""
    found: Json = {}
    for keyword, value in values.items():
        tag = tag_of(keyword)
        if tag is None:
            raise LookupError(keyword)
        if value is not None:
            listed = [part for part in (value if isinstance(value, list) else [value]) if part != ""]
            vr = value_representation(tag)
            element: Json = {"vr": vr}
            if listed:
                element["Value"] = [person_name(part) for part in listed] if vr == "PN" else listed
            found[f"{tag:08X}"] = element
    return dict(sorted(found.items()))


def of_study(study: Study, service: str) -> Json:
    """One study of a search result. `service` is the base URL that was asked."""
    said = {keyword: cast(str, study.extra.get(keyword, "")) for keyword in ANSWERED}
    return attributes(
        SpecificCharacterSet="ISO_IR 192",
        StudyDate=_day(study.started),
        StudyTime=_clock(study.started),
        AccessionNumber=study.accession_number or "",
        InstanceAvailability="ONLINE",
        ModalitiesInStudy=list(study.modalities),
        ReferringPhysicianName=study.referrer or "",
        TimezoneOffsetFromUTC=study.started.strftime("%z")[:5] if study.started else None,
        StudyDescription=study.description,
        InstitutionName=study.institution,
        RetrieveURL=f"{service}/studies/{study.study_instance_uid}",
        PatientID=study.patient.value,
        IssuerOfPatientID=study.patient.system,
        StudyInstanceUID=study.study_instance_uid,
        NumberOfStudyRelatedSeries=len(study.series),
        NumberOfStudyRelatedInstances=study.instance_count,
        **said,
    )


def of_series(study: Study, series: Series, service: str) -> Json:
    return attributes(
        SpecificCharacterSet="ISO_IR 192",
        Modality=series.modality,
        TimezoneOffsetFromUTC=series.started.strftime("%z")[:5] if series.started else None,
        SeriesDate=_day(series.started) or None,
        SeriesTime=_clock(series.started) or None,
        SeriesDescription=series.description,
        BodyPartExamined=series.body_part,
        Laterality=series.laterality,
        RetrieveURL=f"{service}/studies/{study.study_instance_uid}/series/{series.series_instance_uid}",
        StudyInstanceUID=study.study_instance_uid,
        SeriesInstanceUID=series.series_instance_uid,
        SeriesNumber=series.number,
        NumberOfSeriesRelatedInstances=len(series.instances),
    )


def of_instance(study: Study, series: Series, instance: Instance, service: str) -> Json:
    above = f"{service}/studies/{study.study_instance_uid}/series/{series.series_instance_uid}"
    return attributes(
        SpecificCharacterSet="ISO_IR 192",
        SOPClassUID=instance.sop_class_uid,
        SOPInstanceUID=instance.sop_instance_uid,
        InstanceAvailability="ONLINE",
        RetrieveURL=f"{above}/instances/{instance.sop_instance_uid}",
        StudyInstanceUID=study.study_instance_uid,
        SeriesInstanceUID=series.series_instance_uid,
        InstanceNumber=instance.number,
        Rows=instance.rows,
        Columns=instance.columns,
        NumberOfFrames=instance.frames if instance.frames > 1 else None,
        AvailableTransferSyntaxUID=instance.transfer_syntax,
    )


def dumped(value: Json | list[Json]) -> bytes:
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:  # half a character, or a number of more than 64 bits
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8", "replace")


def _day(moment: datetime | None) -> str:
    return moment.strftime("%Y%m%d") if moment else ""


def _clock(moment: datetime | None) -> str:
    return moment.strftime("%H%M%S") if moment else ""
