"""What a caller accepts. Source: RFC 9110 section 12.5.1, DICOM PS3.18: 8.7.5."""

from __future__ import annotations

import re
from base64 import b64encode

from adapters.dicom.errors import NotAcceptable
from adapters.dicom.multipart import MediaType, media_type
from adapters.wire import WireRequest

JSON, XML, RELATED = "application/dicom+json", "application/dicom+xml", "multipart/related"
_TAG = re.compile(r'(?:W/)?"([0-9a-f]{64})"')
_AS_JSON = frozenset({JSON, "application/json", "*/*", "application/*"})


def takes_xml(request: WireRequest) -> bool:
    """Whether the caller wants data sets as XML rather than as JSON. Raises NotAcceptable where neither will do.

    XML comes in parts (`multipart/related; type="application/dicom+xml"`), also where its own type alone is named.
    """
    for kind in ranges(request):
        if kind.value in _AS_JSON:
            return False
        if XML in (kind.value, kind.parameters.get("type", "").lower() if kind.value == RELATED else ""):
            return True
    raise NotAcceptable(f'{JSON}, or {RELATED}; type="{XML}"')


def ranges(request: WireRequest) -> list[MediaType]:
    """The media ranges of Accept, best first; those with q=0 are refused by the caller and left out."""
    given = [media_type(part) for part in _split(request.header("accept", "*/*") or "*/*")]
    weighed = [(quality, kind) for kind in given if (quality := _quality(kind)) > 0]
    return [kind for _, kind in sorted(weighed, key=lambda pair: -pair[0])]


def entity_tag(fingerprint: str) -> tuple[str, str]:
    """The ETag of whatever is sent of a study in this state. Source: RFC 9110 section 8.8.3."""
    return "ETag", f'"{fingerprint}"'


def known_states(request: WireRequest) -> frozenset[str]:
    """Fingerprints in If-None-Match. Source: RFC 9110 section 13.1.2; DICOM PS3.18: 8.4 (conditional headers)."""
    return frozenset(_TAG.findall(request.header("if-none-match")))


def fingerprint_in(tag: str) -> str:
    """What an ETag of `entity_tag` says; empty for any other."""
    found = _TAG.fullmatch(tag.strip())
    return found[1] if found else ""


def digest_field(sha256: str) -> str:
    """Repr-Digest of bytes whose SHA-256 is known in hex. Source: RFC 9530 section 3."""
    return f"sha-256=:{b64encode(bytes.fromhex(sha256)).decode()}:"


def _quality(kind: MediaType) -> float:
    try:
        return float(kind.parameters.get("q", "1"))
    except ValueError:
        return 0.0


def _split(header: str) -> list[str]:
    """At commas outside quotes."""
    parts, quoted = [""], False
    for character in header:
        quoted ^= character == '"'
        if character == "," and not quoted:
            parts.append("")
        else:
            parts[-1] += character
    return parts
