"""In which format a requester sends and wants to be answered: JSON or XML.

Source: HL7 FHIR R4, 3.1.0.1.11 (content types), https://hl7.org/fhir/R4/http.html#mime-type; IHE ITI TF-2:
Appendix Z.6 (a server speaks both, `_format` wins over Accept); RFC 9110, 12.5.1
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

from adapters.fhir.issues import NotAcceptable, UnsupportedMediaType

Format: TypeAlias = Literal["json", "xml"]
RequestFormat: TypeAlias = Literal["json", "xml", "json-patch"]

MEDIA_TYPES: Mapping[Format, str] = {
    "json": "application/fhir+json; fhirVersion=4.0; charset=utf-8",
    "xml": "application/fhir+xml; fhirVersion=4.0; charset=utf-8",
}
"""What the answer's Content-Type says."""

_FORMATS: Mapping[str, Format] = {
    "application/fhir+json": "json",
    "application/json": "json",
    "application/json+fhir": "json",
    "text/json": "json",
    "application/fhir+xml": "xml",
    "application/xml": "xml",
    "application/xml+fhir": "xml",
    "text/xml": "xml",
}
_SHORT: Mapping[str, Format] = {"json": "json", "xml": "xml"}
_WILD: Mapping[str, tuple[Format, ...]] = {
    "*/*": ("json", "xml"),
    "application/*": ("json", "xml"),
    "text/*": ("xml",),
}
_VERSIONS = ("4.0", "4.0.1")
_MOST_RANGES = 50
_QUALITY = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")


@dataclass(frozen=True, slots=True)
class MediaType:
    """A media type or range with its parameters; names in lower case."""

    name: str
    parameters: Mapping[str, str]

    @classmethod
    def parse(cls, text: str) -> MediaType:
        name, *rest = text.split(";")
        pairs = (each.partition("=") for each in rest)
        return cls(name.strip().lower(), {k.strip().lower(): v.strip().strip('"').lower() for k, _, v in pairs})

    @property
    def is_r4(self) -> bool:
        return self.parameters.get("fhirversion", "4.0") in _VERSIONS

    @property
    def quality(self) -> float:
        """The q value; a nonsensical one counts as not wanted at all."""
        text = self.parameters.get("q", "1")
        return float(text) if _QUALITY.fullmatch(text) else 0.0


@lru_cache(maxsize=32)
def response_format(accept: str | None, _format: str | None) -> Format:
    """The format of the answer; JSON where both are equally welcome. Raises NotAcceptable."""
    if _format:
        # A plus sign that was not encoded in the URL arrives as a space.
        wanted = MediaType.parse(_format.strip().replace(" ", "+"))
        found = _SHORT.get(wanted.name) or _FORMATS.get(wanted.name)
        if found is None or not wanted.is_r4:
            raise NotAcceptable("The parameter _format asks for something else than FHIR R4 in JSON or XML.")
        return found
    if not accept or not accept.strip():
        return "json"
    wishes = _wishes(accept)
    best = max(("json", "xml"), key=lambda each: wishes.get(each, (0.0, 0)))
    if wishes.get(best, (0.0, 0))[0] <= 0:
        raise NotAcceptable("The Accept header has neither FHIR R4 in JSON nor in XML.")
    return "json" if best == "json" else "xml"


def _wishes(accept: str) -> dict[str, tuple[float, int]]:
    """Quality and, for ties, how early it was named; an exact name overrules a wildcard."""
    exact: dict[str, tuple[float, int]] = {}
    wild: dict[str, tuple[float, int]] = {}
    for position, text in enumerate(accept.split(",")[:_MOST_RANGES]):
        wanted = MediaType.parse(text)
        if not wanted.is_r4:
            continue
        if wanted.name in _FORMATS:
            found = _FORMATS[wanted.name]
            exact[found] = max(exact.get(found, (0.0, -position)), (wanted.quality, -position))
        for each in _WILD.get(wanted.name, ()):
            wild[each] = max(wild.get(each, (0.0, -position)), (wanted.quality, -position))
    return wild | exact


def request_format(content_type: str | None) -> RequestFormat:
    """The format of the body. Raises UnsupportedMediaType."""
    sent = MediaType.parse(content_type or "")
    if sent.parameters.get("charset", "utf-8") not in ("utf-8", "utf8"):
        raise UnsupportedMediaType("FHIR is written in UTF-8; the Content-Type has another charset.")
    if sent.name == "application/json-patch+json":
        return "json-patch"
    if sent.name not in _FORMATS or not sent.is_r4:
        raise UnsupportedMediaType(
            "The Content-Type must be application/fhir+json or application/fhir+xml, of FHIR version 4.0."
        )
    return _FORMATS[sent.name]
