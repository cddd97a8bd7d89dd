"""Which characters the bytes of a message are: by MSH-18, and by the bytes where MSH-18 is silent or lies.

Old Vietnamese systems write windows-1258, where a tone is a letter of its own after the vowel; what is read is
composed again. UTF-8 proves itself: text in another set almost never is valid UTF-8, so valid UTF-8 wins.

Source: HL7 2.8, table 0211; https://www.iana.org/assignments/charset-reg/windows-1258
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from adapters.hl7v2.errors import Malformed

UTF_8, WINDOWS_1258, LATIN_1, ASCII = "utf-8", "cp1258", "latin-1", "ascii"
_BY_NAME = {
    "UNICODE UTF-8": UTF_8,
    "UTF-8": UTF_8,
    "UTF8": UTF_8,
    "UNICODE": UTF_8,
    "8859/1": LATIN_1,
    "ISO-8859-1": LATIN_1,
    "ISO IR100": LATIN_1,
    "WINDOWS-1258": WINDOWS_1258,
    "CP1258": WINDOWS_1258,
    "1258": WINDOWS_1258,
    "ASCII": ASCII,
    "ISO IR6": ASCII,
}
_NAMES = {UTF_8: "UNICODE UTF-8", LATIN_1: "8859/1", WINDOWS_1258: "windows-1258", ASCII: "ASCII"}
_TONES = frozenset("\u0300\u0301\u0303\u0309\u0323")


@dataclass(frozen=True, slots=True)
class Decoded:
    """The text of a message, the set it was in, and what was strange about that; empty where nothing was."""

    text: str
    charset: str
    deviation: str = ""


def decode(data: bytes, told: str) -> Decoded:
    """`told` is the first repetition of MSH-18. Raises Malformed where no set fits."""
    name = told.strip().upper()
    wanted = _BY_NAME.get(name)
    if data.isascii():
        return Decoded(data.decode("ascii"), wanted or UTF_8, _unknown(name, wanted))
    for charset in dict.fromkeys((UTF_8, WINDOWS_1258) if wanted in (None, UTF_8, ASCII) else (UTF_8, wanted)):
        try:
            text = data.decode(charset)
        except UnicodeDecodeError:
            continue
        if charset == WINDOWS_1258:
            text = unicodedata.normalize("NFC", text)
        return Decoded(text, charset, _unknown(name, wanted) or _lie(wanted, charset))
    raise Malformed("MSH^1^18", "the bytes are neither UTF-8 nor of the character set that is named")


def _unknown(name: str, wanted: str | None) -> str:
    return "MSH-18 names a character set that is not known; the bytes decided" if name and wanted is None else ""


def _lie(wanted: str | None, found: str) -> str:
    if wanted is None:
        return "" if found == UTF_8 else f"MSH-18 is missing; read as {_NAMES[found]}"
    return "" if wanted == found else f"MSH-18 says {_NAMES[wanted]}, the bytes are {_NAMES[found]}"


def encode(text: str, charset: str) -> tuple[bytes, str]:
    """The bytes of an answer and its MSH-18; UTF-8 where the sender's set cannot hold what has to be said."""
    try:
        written = _as_1258(text) if charset == WINDOWS_1258 else text.encode(charset)
        return written, _NAMES[charset]
    except UnicodeEncodeError:
        return text.encode(), _NAMES[UTF_8]


def _as_1258(text: str) -> bytes:
    return b"".join(map(_letter, unicodedata.normalize("NFC", text)))


def _letter(letter: str) -> bytes:
    """One letter; a vowel with two marks is written as the vowel with its shape and, after it, the tone."""
    try:
        return letter.encode(WINDOWS_1258)
    except UnicodeEncodeError:
        marks = unicodedata.normalize("NFD", letter)
        tones = [mark for mark in marks if mark in _TONES]
        shape = unicodedata.normalize("NFC", "".join(mark for mark in marks if mark not in _TONES))
        return (shape + "".join(tones)).encode(WINDOWS_1258)
