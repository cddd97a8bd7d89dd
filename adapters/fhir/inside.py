"""What a structured document says inside, for the check against closed lists: codes, medicines and words of a FHIR
document or a CDA, wherever they stand. A document that cannot be read says nothing here; it is stored as it came.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from adapters.fhir.issues import FhirError
from adapters.fhir.json_format import parse_json
from adapters.xml_door import XmlRefused, parse_xml_bytes
from registry.coded import ICD10, CodedValue
from registry.errors import RegistryError

MOST_BYTES = 10 * 1024 * 1024
MOST_WORDS = 20_000
_ICD_OIDS = ("2.16.840.1.113883.6.3", "2.16.840.1.113883.6.90")
_XML = re.compile(r"(?:text|application)/(?:[\w.-]+\+)?xml")
_MEDICINES = ("Medication", "MedicationStatement", "MedicationRequest", "MedicationAdministration")


@dataclass(frozen=True, slots=True)
class Inside:
    """Diagnosis codes, names of medicines, and whatever is written in words."""

    codes: tuple[CodedValue, ...] = ()
    medicines: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()


def look_inside(content: bytes, content_type: str) -> Inside:
    """Of a FHIR document in JSON, or of XML (CDA, FHIR)."""
    kind = content_type.partition(";")[0].strip().lower()
    if len(content) > MOST_BYTES:
        return Inside()
    try:
        if kind == "application/fhir+json":
            return _of_json(parse_json(content))
        return _of_xml(content) if _XML.fullmatch(kind) else Inside()
    except (FhirError, XmlRefused, RegistryError):
        return Inside()


def _of_json(resource: Any) -> Inside:
    codes: list[CodedValue] = []
    medicines: list[str] = []
    texts: list[str] = []
    for within, value in _objects(resource, ""):
        system, code = value.get("system"), value.get("code")
        if isinstance(code, str) and (system == ICD10 or str(system).endswith(_ICD_OIDS)):
            codes.append(CodedValue(code, ICD10))
        said = [value[name] for name in ("text", "display", "conclusion", "valueString") if _is_text(value.get(name))]
        texts += said
        if within in _MEDICINES:
            medicines += said
    return Inside(tuple(dict.fromkeys(codes)), tuple(medicines[:MOST_WORDS]), tuple(texts[:MOST_WORDS]))


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _objects(value: Any, within: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each object, with the type of the resource that it stands in."""
    if isinstance(value, list):
        for each in value:
            yield from _objects(each, within)
    elif isinstance(value, dict):
        within = value.get("resourceType", within)
        yield within, value
        for each in value.values():
            yield from _objects(each, within)


def _of_xml(content: bytes) -> Inside:
    root = parse_xml_bytes(content, max_bytes=MOST_BYTES)
    codes = [
        CodedValue(element.get("code"), ICD10)
        for element in root.iter()
        if element.get("code") and element.get("codeSystem", "") in _ICD_OIDS
    ]
    words = " ".join(text for each in root.itertext() if (text := each.strip()))
    return Inside(tuple(dict.fromkeys(codes)), (), (words,))
