"""The tables of DICOM: which tag has which value representation and keyword, which charset is which codec.

Source: DICOM PS3.6 (data dictionary), PS3.3 C.12.1.1.2 (Specific Character Set), PS3.4 B.5 (storage classes), as lines
in `dictionary.txt`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib.resources import files

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"


@dataclass(frozen=True, slots=True)
class _Tables:
    """The lines of the file by their kind; `masks` are repeating groups such as 50xx and 60xx."""

    tags: dict[int, tuple[str, str]] = field(default_factory=dict)
    keywords: dict[str, int] = field(default_factory=dict)
    masks: list[tuple[str, str, str]] = field(default_factory=list)
    charsets: dict[str, str] = field(default_factory=dict)
    escapes: dict[bytes, tuple[str, bool]] = field(default_factory=dict)
    images: set[str] = field(default_factory=set)


@cache
def _tables() -> _Tables:
    tables = _Tables()
    for line in files("adapters.dicom").joinpath("dictionary.txt").read_text("utf-8").splitlines():
        if line.startswith("charset|"):
            _, term, codec = line.split("|")
            tables.charsets[term] = codec
            continue
        kind, name, *rest = line.split(" ")
        if kind == "tag":
            _add_tag(tables, int(name, 16), rest)
        elif kind == "mask":
            tables.masks.append((name, _vr(rest), rest[-1]))
        elif kind == "escape":
            tables.escapes[bytes.fromhex(name)] = (rest[0], rest[1] == "1")
        else:
            tables.images.add(name)
    return tables


def _add_tag(tables: _Tables, tag: int, rest: list[str]) -> None:
    keyword = rest[-1]
    tables.tags[tag] = (_vr(rest), keyword)
    if keyword:
        tables.keywords[keyword] = tag


def _vr(rest: list[str]) -> str:
    """`US or SS` has spaces of its own."""
    return " ".join(rest[:-1])


@lru_cache(maxsize=4096)
def value_representation(tag: int) -> str:
    """The VR of a tag where the file does not carry it; UN for what the standard does not list (private tags)."""
    if tag & 0xFFFF == 0:
        return "UL"
    return _entry(tag)[0] or "UN"


def tag_of(keyword: str) -> int | None:
    """The tag of a keyword: PatientID is 0x00100020."""
    return _tables().keywords.get(keyword)


def keyword_of(tag: int) -> str:
    return _entry(tag)[1]


def _entry(tag: int) -> tuple[str, str]:
    known = _tables().tags.get(tag)
    if known is not None:
        return known
    if (tag >> 16) & 1:
        return "", ""
    digits = f"{tag:08X}"
    for mask, vr, keyword in _tables().masks:
        if all(m in ("x", d) for m, d in zip(mask, digits, strict=True)):
            return vr, keyword
    return "", ""


def codec(term: str) -> str | None:
    """The Python codec of a defined term of Specific Character Set; None for a term that the standard lacks."""
    return _tables().charsets.get(term)


def codec_of_escape(text: bytes) -> tuple[str | None, int]:
    """The codec that an ISO 2022 escape sequence switches to, and how many bytes to drop before decoding with it."""
    length = 4 if text.startswith((b"\x1b$(", b"\x1b$)")) else 3
    name, handled = _tables().escapes.get(text[:length], (None, False))
    return name, 0 if handled else length


def is_image(sop_class: str) -> bool:
    """Whether objects of this class consist of pixels (CT Image Storage; not a report or a presentation state)."""
    return sop_class in _tables().images
