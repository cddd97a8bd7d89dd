"""What the text of a header says, whatever charset was declared or forgotten.

The stored file stays as it is; only the index reads leniently. Vietnamese sites send UTF-8, CP1258, TCVN3 or VNI
without declaring it, so: as declared; else UTF-8 where the bytes are that; else CP1258 where it gives Vietnamese
letters; else as TCVN3 where that makes a syllable of every word; else a question mark for each byte that nobody can
tell, which the comparison of names knows as a lost letter.

Source: DICOM PS3.5: 6.1 (character sets), 6.2 (value representations).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from adapters.dicom.dictionary import codec, codec_of_escape
from adapters.dicom.elements import DataSet
from registry.encodings import readable
from registry.syllables import is_syllable

CHARSET = 0x00080005
_MARKS = frozenset("\u0300\u0301\u0302\u0303\u0306\u0309\u031b\u0323")
_PARTS = re.compile(rb"^[^\x1b]+|\x1b[^\x1b]*")
_RESETS = re.compile(rb"[\\^=\r\n\t\f]")
_BETWEEN_WORDS = re.compile(r"([\^=\\\s.,;:/()-]+)")
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Charset:
    """The codecs of a data set, the first one in force until an escape sequence. Empty: nothing usable declared."""

    codecs: tuple[str, ...] = ()

    def of(self, header: DataSet) -> Charset:
        """The charset in force inside `header`: its own, else the one around it (PS3.5: 7.5.3)."""
        if CHARSET not in header.elements:
            return self
        terms = [term.strip(" \0") for term in header.bytes(CHARSET).decode("ascii", "replace").split("\\")]
        if terms in (["ISO_IR 6"], [""], ["ISO 2022 IR 6"]):
            return Charset()
        codecs = [codec(_corrected(term)) for term in terms]
        return Charset(tuple(name for name in codecs if name)) if all(codecs) else Charset()

    def text(self, raw: bytes) -> str:
        """The text of `raw`, composed (NFC), without padding and control characters."""
        text = unicodedata.normalize("NFC", self._decoded(raw.rstrip(b" \0")))
        return _CONTROLS.sub("", text).strip()

    def _decoded(self, raw: bytes) -> str:
        if raw.isascii() and b"\x1b" not in raw:
            return raw.decode("ascii")
        for reading in (self._declared, _utf8, _cp1258, _tcvn3):
            if (text := reading(raw)) is not None:
                return text
        return raw.decode("ascii", "replace").replace("\ufffd", "?")

    def _declared(self, raw: bytes) -> str | None:
        if not self.codecs:
            return None
        try:
            text = "".join(self._part(part) for part in _PARTS.findall(raw))
        except (UnicodeError, LookupError):
            return None
        # C1 controls occur in no name: such bytes are UTF-8 under the wrong label
        if any("\x80" <= letter <= "\x9f" for letter in text):
            return _utf8(raw) or text
        return text

    def _part(self, part: bytes) -> str:
        """One run between escape sequences. Source: DICOM PS3.5: 6.1.2.5.3."""
        if not part.startswith(b"\x1b"):
            return part.decode(self.codecs[0])
        name, dropped = codec_of_escape(part)
        if name is None:
            raise UnicodeError("an escape sequence that the standard lacks")
        if not dropped:
            return part.decode(name)
        text = part[dropped:]
        reset = _RESETS.search(text)
        if reset is None:
            return text.decode(name)
        return text[: reset.start()].decode(name) + text[reset.start() :].decode(self.codecs[0])


UNDECLARED = Charset()


def _corrected(term: str) -> str:
    """Terms as makers misspell them: `ISO IR 100`, `iso_ir_192`, `ISO_2022_IR_87`."""
    plain = re.sub(r"[\s_-]+", " ", term.upper())
    if plain.startswith("ISO IR "):
        return "ISO_IR " + plain[7:]
    return plain


def _utf8(raw: bytes) -> str | None:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _cp1258(raw: bytes) -> str | None:
    """The reading as CP1258, unless it shows what no Vietnamese word holds: TCVN3 and VNI look like that."""
    try:
        text = unicodedata.normalize("NFC", raw.decode("cp1258"))
    except UnicodeDecodeError:
        return None
    pairs = zip(" " + text, text, strict=False)
    plausible = all(
        one.isascii() or (_is_vietnamese(one) and not (before.islower() and one.isupper())) for before, one in pairs
    )
    return text if plausible else None


def _tcvn3(raw: bytes) -> str | None:
    """The reading as TCVN3 (the ABC fonts), where every word that holds such a letter becomes a syllable."""
    parts = _BETWEEN_WORDS.split(raw.decode("latin-1"))
    words = readable(" ".join(parts[::2])).split(" ")
    odd = [word for word, before in zip(words, parts[::2], strict=False) if not before.isascii()]
    if len(words) != len(parts[::2]) or not all(is_syllable(word.lower()) for word in odd):
        return None
    parts[::2] = words
    return "".join(parts)


def _is_vietnamese(letter: str) -> bool:
    parts = unicodedata.normalize("NFD", letter)
    return letter in "đĐ" or (parts[0].isascii() and parts[0].isalpha() and _MARKS.issuperset(parts[1:]))
