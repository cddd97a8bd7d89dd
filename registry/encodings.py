"""Vietnamese text that some system read with the wrong table, made readable again where that is certain.

mojibake   UTF-8 read as Windows-1252: "Nguyá»…n"
TCVN3      the ABC fonts of the nineties read as Latin-1: "NguyÔn"; toned capitals are only a font
VNI        letter and mark as two characters, read as Latin-1: "Nguyeãn"

The reading with the fewest words that are no syllables wins, then the one that begins with a surname; the text as it
came wins a tie.
Sources: TCVN 5712:1993 (VN3), VNI for Windows character set.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from registry.name_words import MIDDLE_WORDS, SURNAMES
from registry.syllables import is_syllable

_ROUNDS = 2
_TCVN3 = {
    ord(read): meant
    for read, meant in zip(
        "µ¶·¸¹¨»¼½¾Æ©ÇÈÉÊË®ÌÎÏÐÑªÒÓÔÕÖ×ØÜÝÞßáâãä«åæçèé¬êëìíîïñòóô\xadõö÷øùúûüýþ¡¢£¤¥¦§",
        "àảãáạăằẳẵắặâầẩẫấậđèẻẽéẹêềểễếệìỉĩíịòỏõóọôồổỗốộơờởỡớợùủũúụưừửữứựỳỷỹýỵĂÂÊÔƠƯĐ",
        strict=True,
    )
}
_VNI_MARKS = {
    "a": "ø2ù1û3õ4ï5â^à^2á^1å^3ã^4ä^5ê(è(2é(1ú(3ü(4ë(5",
    "e": "ø2ù1û3õ4ï5â^à^2á^1å^3ã^4ä^5",
    "o": "ø2ù1û3õ4ï5â^à^2á^1å^3ã^4ä^5",
    "u": "ø2ù1û3õ4ï5",
    "y": "ø2ù1û3õ4ï5",
    "ô": "ø2ù1û3õ4ï5",
    "ö": "ø2ù1û3õ4ï5",
}
_VNI_BASES = {"ô": "ơ", "ö": "ư"}
_VNI_ALONE = {"æ": "ỉ", "ó": "ĩ", "ò": "ị", "î": "ỵ", "ñ": "đ", "ô": "ơ", "ö": "ư", "í": "í", "ì": "ì"}
_COMBINING = {"1": "\u0301", "2": "\u0300", "3": "\u0309", "4": "\u0303", "5": "\u0323", "^": "\u0302", "(": "\u0306"}


def _pairs() -> dict[str, str]:
    found: dict[str, str] = {}
    for base, marks in _VNI_MARKS.items():
        read = ""
        for character in [*marks, "\0"]:
            if character in _COMBINING:
                found[read] += _COMBINING[character]
            elif character != "\0":
                read = base + character
                found[read] = _VNI_BASES.get(base, base)
    return {read: unicodedata.normalize("NFC", meant) for read, meant in found.items()}


_VNI_PAIRS = _pairs()


_NO_ASCII_LETTERS = re.compile(r"[\x00-@\[-`{-\x7f]+")
"""What stands between the words of an address; what older tables put in place of letters is not among it."""


@lru_cache(maxsize=65536)
def readable(text: str) -> str:
    """The text as it was meant; unchanged where nothing is wrong or nothing is certain."""
    if text.isascii() or all(map(is_syllable, _NO_ASCII_LETTERS.sub(" ", text.lower()).split())):
        return text
    for _ in range(_ROUNDS):
        mended = _utf8_again(text)
        if mended == text:
            break
        text = mended
    composed = unicodedata.normalize("NFC", text)
    readings = (text, composed.translate(_TCVN3), _from_vni(composed.lower()))
    return min(readings, key=_strangeness)


def _strangeness(text: str) -> int:
    """Words that are no syllables and letters that Vietnamese does not have, against words that begin names."""
    lower = unicodedata.normalize("NFC", text).lower()
    words = lower.replace(".", " ").split()
    damaged = sum(not is_syllable(word) for word in words) + sum(not c.isalpha() and not c.isascii() for c in lower)
    return 4 * damaged - 2 * (words[:1] != [] and words[0] in SURNAMES) - any(w in MIDDLE_WORDS for w in words[1:-1])


def _utf8_again(text: str) -> str:
    """Undo one reading of UTF-8 as Windows-1252; unchanged where the bytes are no UTF-8."""
    try:
        mended = b"".join(map(_byte, text)).decode()
    except (UnicodeDecodeError, UnicodeEncodeError):
        return text
    return mended


def _byte(character: str) -> bytes:
    try:
        return character.encode("cp1252")
    except UnicodeEncodeError:
        return character.encode("latin-1")  # the five places that Windows-1252 leaves empty


def _from_vni(text: str) -> str:
    found, place = [], 0
    while place < len(text):
        pair = _VNI_PAIRS.get(text[place : place + 2])
        if pair is not None:
            found.append(pair)
            place += 2
        else:
            found.append(_VNI_ALONE.get(text[place], text[place]))
            place += 1
    return "".join(found)
