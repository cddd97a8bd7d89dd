"""The ways in which Vietnamese text is mistyped, mis-encoded and spelt twice.

Each function returns the text as it would arrive; unchanged where the fault cannot occur.
"""

import re
import unicodedata

_TCVN3 = dict(
    zip(
        "àảãáạăằẳẵắặâầẩẫấậđèẻẽéẹêềểễếệìỉĩíịòỏõóọôồổỗốộơờởỡớợùủũúụưừửữứựỳỷỹýỵĂÂÊÔƠƯĐ",
        "µ¶·¸¹¨»¼½¾Æ©ÇÈÉÊË®ÌÎÏÐÑªÒÓÔÕÖ×ØÜÝÞßáâãä«åæçèé¬êëìíîïñòóô\xadõö÷øùúûüýþ¡¢£¤¥¦§",
        strict=True,
    )
)
_VNI_TONES = {"\u0300": "ø", "\u0301": "ù", "\u0309": "û", "\u0303": "õ", "\u0323": "ï"}
_VNI_CIRCUMFLEX = {"": "â", "\u0300": "à", "\u0301": "á", "\u0309": "å", "\u0303": "ã", "\u0323": "ä"}
_VNI_BREVE = {"": "ê", "\u0300": "è", "\u0301": "é", "\u0309": "ú", "\u0303": "ü", "\u0323": "ë"}
_VNI_WHOLE = {"í": "í", "ì": "ì", "ỉ": "æ", "ĩ": "ó", "ị": "ò", "ỵ": "î", "đ": "ñ", "ơ": "ô", "ư": "ö"}
_TONES = "\u0300\u0301\u0303\u0309\u0323"
_TONE_ON_FIRST = re.compile(rf"([oO])([{_TONES}])([aAeE])\b|(?<![qQ])([uU])([{_TONES}])([yY])\b")
_FINAL_Y = re.compile(rf"\b((?:[hklmstvHKLMSTV]|[qQ][uU]))([yY])([{_TONES}]?)\b")


def without_marks(text: str) -> str:
    """Base letters only: "Nguyễn Thị Đào" becomes "Nguyen Thi Dao"."""
    apart = unicodedata.normalize("NFD", text.replace("đ", "d").replace("Đ", "D"))
    return unicodedata.normalize("NFC", "".join(c for c in apart if not unicodedata.combining(c)))


def icelandic_d(text: str) -> str:
    """Ð (U+00D0) and ð (U+00F0) in the place of Đ and đ: they look the same and are other letters."""
    return text.replace("Đ", "Ð").replace("đ", "ð")


def plain_d(text: str) -> str:
    """The stroke is lost, the other marks are not."""
    return text.replace("Đ", "D").replace("đ", "d")


def decomposed(text: str) -> str:
    """Letters and marks apart, as some keyboards and file systems write them."""
    return unicodedata.normalize("NFD", text)


def i_for_y(text: str) -> str:
    """Quý, Lý, Mỹ become Quí, Lí, Mĩ: both spellings are in use."""
    apart = unicodedata.normalize("NFD", text)
    found = _FINAL_Y.sub(lambda m: m[1] + ("i" if m[2] == "y" else "I") + m[3], apart)
    return unicodedata.normalize("NFC", found)


def new_tone_place(text: str) -> str:
    """Hòa, Thủy become Hoà, Thuỷ: the tone mark of the newer school."""
    apart = unicodedata.normalize("NFD", text)
    moved = _TONE_ON_FIRST.sub(lambda m: f"{m[1]}{m[3]}{m[2]}" if m[1] else f"{m[4]}{m[6]}{m[5]}", apart)
    return unicodedata.normalize("NFC", moved)


def tcvn3_as_latin1(text: str) -> str:
    """TCVN3 (ABC) bytes read as Latin-1: "Nguyễn" arrives as "NguyÔn"; toned capitals are only a font."""
    return "".join(_TCVN3.get(c, _TCVN3.get(c.lower(), c)) for c in text)


def vni_as_latin1(text: str) -> str:
    """VNI bytes read as Latin-1: "Nguyễn" arrives as "Nguyeãn"."""
    return "".join(_vni(letter) for letter in text)


def _vni(letter: str) -> str:
    small = letter.lower()
    if small in _VNI_WHOLE:
        found = _VNI_WHOLE[small]
    else:
        base, *marks = list(unicodedata.normalize("NFD", small))
        tone = next((m for m in marks if m in _TONES), "")
        if "\u0302" in marks:
            found = base + _VNI_CIRCUMFLEX[tone]
        elif "\u0306" in marks:
            found = base + _VNI_BREVE[tone]
        elif "\u031b" in marks:
            found = {"o": "ô", "u": "ö"}[base] + _VNI_TONES[tone]
        else:
            found = base + _VNI_TONES.get(tone, "")
    return found.upper() if letter != small else found


_TELEX = str.maketrans(
    {
        **{c: f"{b}{t}" for row, b in (("áàảãạ", "a"), ("éèẻẽẹ", "e"), ("íìỉĩị", "i"), ("óòỏõọ", "o"), ("úùủũụ", "u"),
                                       ("ýỳỷỹỵ", "y"), ("ấầẩẫậ", "aa"), ("ắằẳẵặ", "aw"), ("ếềểễệ", "ee"),
                                       ("ốồổỗộ", "oo"), ("ớờởỡợ", "ow"), ("ứừửữự", "uw"))
           for c, t in zip(row, "sfrxj", strict=True)},
        "â": "aa", "ă": "aw", "ê": "ee", "ô": "oo", "ơ": "ow", "ư": "uw", "đ": "dd", "Đ": "DD",
    }
)  # fmt: skip


def telex_keys(text: str) -> str:
    """What the fingers type under Telex with the input method switched off: "Nguyễn" arrives as "Nguyeexn"."""
    return text.translate(_TELEX)


def vni_keys(text: str) -> str:
    """What the fingers type under VNI with the input method switched off: "Nguyễn" arrives as "Nguye6n4"."""
    return " ".join(_typed(word) for word in text.split(" "))


def _typed(word: str) -> str:
    letters, tone = [], ""
    for mark in unicodedata.normalize("NFD", word.replace("đ", "d9").replace("Đ", "D9")):
        if mark in _TONES:
            tone = _TONE_KEYS[mark]
        else:
            letters.append(_LETTER_KEYS.get(mark, mark))
    return "".join(letters) + tone


_TONE_KEYS = {"\u0301": "1", "\u0300": "2", "\u0309": "3", "\u0303": "4", "\u0323": "5"}
_LETTER_KEYS = {"\u0302": "6", "\u031b": "7", "\u0306": "8"}


def utf8_as_windows(text: str) -> str:
    """UTF-8 bytes read as Windows-1252: "Nguyễn" arrives as "Nguyá»…n"."""
    return "".join(_windows(byte) for byte in text.encode())


def _windows(byte: int) -> str:
    return bytes([byte]).decode("latin-1" if byte in (0x81, 0x8D, 0x8F, 0x90, 0x9D) else "cp1252")
