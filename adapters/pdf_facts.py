"""What a PDF says of itself: title and time of creation, where they stand in plain sight.

Source: ISO 32000-1, 7.3.4 (strings), 7.9.4 (dates), 14.3.3 (document information dictionary)
"""

from __future__ import annotations

import re
from dataclasses import dataclass

LOOKED_AT = 1 << 20
"""Bytes at either end in which the dictionary is looked for."""
LONGEST_TITLE = 255
_TITLE = re.compile(rb"/Title\s*(?:\(((?:[^\\()]|\\.){0,2000})\)|<([0-9A-Fa-f\s]{0,4000})>)", re.DOTALL)
_CREATED = re.compile(
    rb"/CreationDate\s*\(D:(\d{4})(\d\d)(\d\d)(?:(\d\d)(\d\d)(\d\d)?)?(?:(Z)|([+-])(\d\d)'?(\d\d)'?)?"
)
_ESCAPED = re.compile(rb"\\([0-7]{1,3}|\r\n|.)", re.DOTALL)
_PLAIN = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f", b"\n": b"", b"\r": b"", b"\r\n": b""}


@dataclass(frozen=True, slots=True)
class PdfFacts:
    """`created` is a FHIR dateTime in the precision it has: a day where no zone is told."""

    title: str | None = None
    created: str | None = None


def pdf_facts(data: bytes) -> PdfFacts:
    """A dictionary that is compressed or encrypted tells nothing here."""
    if b"/Encrypt" in data[-LOOKED_AT:]:
        return PdfFacts()
    seen = data if len(data) <= 2 * LOOKED_AT else data[:LOOKED_AT] + data[-LOOKED_AT:]
    return PdfFacts(_title(seen), _created(seen))


def _title(seen: bytes) -> str | None:
    every = _TITLE.findall(seen)
    if not every:
        return None
    literal, digits = every[-1]  # the newest: a file is changed by appending
    raw = _ESCAPED.sub(_unescaped, literal) if literal or not digits else _from_hex(digits)
    text = _decoded(raw)
    words = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return words[:LONGEST_TITLE] or None


def _unescaped(found: re.Match[bytes]) -> bytes:
    what = found[1]
    if what[:1].isdigit():
        return bytes([int(what, 8) & 0xFF])
    return _PLAIN.get(what, what)


def _from_hex(digits: bytes) -> bytes:
    plain = b"".join(digits.split())
    return bytes.fromhex((plain + b"0" * (len(plain) % 2)).decode("ascii"))


def _decoded(raw: bytes) -> str:
    if raw.startswith(b"\xfe\xff"):
        return raw[2:].decode("utf-16-be", "replace")
    if raw.startswith(b"\xef\xbb\xbf"):
        return raw[3:].decode("utf-8", "replace")
    return raw.decode("latin-1")


def _created(seen: bytes) -> str | None:
    found = _CREATED.search(seen)
    if found is None:
        return None
    year, month, day, hour, minute, second, utc, sign, off_hour, off_minute = (
        part.decode() if part else "" for part in found.groups()
    )
    if not hour or not (utc or sign):
        return f"{year}-{month}-{day}"
    zone = "Z" if utc else f"{sign}{off_hour}:{off_minute}"
    return f"{year}-{month}-{day}T{hour}:{minute}:{second or '00'}{zone}"
