"""Which words can be a Vietnamese syllable: an onset, a rime, a tone. About 6,000 exist; names are made of them.

What cannot be one was damaged on its way: wrong bytes, keystrokes of an input method, two words joined. Source: the
orthography of 1984 (onsets, rimes; stop finals carry only the tones sắc and nặng).
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

TONES = {"\u0300": "2", "\u0301": "1", "\u0303": "4", "\u0309": "3", "\u0323": "5"}
"""Combining marks of the five written tones: huyền, sắc, ngã, hỏi, nặng."""

_ONSETS = ("ngh", "ng", "nh", "ch", "gh", "gi", "kh", "ph", "qu", "th", "tr", *"bcdđghklmnprstvx", "")
_WRITTEN_RIMES = """
a ac ach ai am an ang anh ao ap at au ay ăc ăm ăn ăng ăp ăt âc âm ân âng âp ât âu ây e ec em en eng eo ep et ê
êch êm ên ênh êp êt êu i ia ich im in inh ip it iu iêc iêm iên iêng iêp iêt iêu o oa oac oach oai oam oan oang
oanh oao oap oat oay oăc oăm oăn oăng oăt oc oe oen oeo oet oi om on ong oong op ot ô ôc ôi ôm ôn ông ôp ôt ơ ơi
ơm ơn ơp ơt u ua uân uâng uât uây uc uê uênh uêch ui um un ung uơ uôc uôi uôm uôn uông uôt up ut uy uya uych
uyên uyêt uyn uynh uyt uyu ư ưa ưc ưi ưm ưn ưng ươc ươi ươm ươn ương ươp ươt ươu ưt ưu y ych yêm yên yêng yêt
yêu ynh
"""
_RIMES = frozenset(_WRITTEN_RIMES.split())
_AFTER_QU = frozenset(_RIMES | {"yt"}) - {"u", "o", "oa"}
_BEFORE_E_AND_I = frozenset({"gh", "ngh", "k"})
_NOT_BEFORE_E_AND_I = frozenset({"g", "ng", "c"})
_STOPS = ("c", "ch", "p", "t")


def apart(word: str) -> tuple[str, str]:
    """Letters without their tone, and the tone as a digit or nothing: "hoà" gives ("hoa", "2")."""
    letters, tone = [], ""
    for character in unicodedata.normalize("NFD", word):
        if character in TONES:
            tone = TONES[character]
        else:
            letters.append(character)
    return unicodedata.normalize("NFC", "".join(letters)), tone


def _bases() -> dict[int, str]:
    """Every composed Latin letter, lower case, to its base letter: one letter for one, so places stay the same."""
    found = {ord("đ"): "d", ord("ð"): "d"}
    for code in (*range(0xE0, 0x250), *range(0x1EA0, 0x1F00)):
        base = unicodedata.normalize("NFD", chr(code))[0]
        if base.isascii() and base.isalpha():
            found[code] = base
    return found


BASES = _bases()


@lru_cache(maxsize=65536)
def bare(word: str) -> str:
    """Lower-case base letters: marks and strokes are gone."""
    plain = word.translate(BASES)
    if plain.isascii():
        return plain
    return "".join(c for c in unicodedata.normalize("NFD", plain) if not unicodedata.combining(c))


_BARE_RIMES = frozenset(map(bare, _RIMES))
_BARE_AFTER_QU = frozenset(map(bare, _AFTER_QU))


@lru_cache(maxsize=65536)
def is_syllable(word: str) -> bool:
    """Lower case, composed. A word without any mark counts when marks could make it a syllable."""
    letters, tone = apart(word)
    if tone in ("2", "3", "4") and letters.endswith(_STOPS):
        return False
    if not tone and letters.isascii() and _fits(letters, _BARE_RIMES, _BARE_AFTER_QU):
        return True
    return _fits(letters, _RIMES, _AFTER_QU)


def _fits(letters: str, rimes: frozenset[str], after_qu: frozenset[str]) -> bool:
    if letters in ("gi", "gin"):
        return True
    for onset in _ONSETS:
        rime = letters[len(onset) :]
        if letters.startswith(onset) and rime in (after_qu if onset == "qu" else rimes):
            return (
                rime[:1] in "eêiy"
                if onset in _BEFORE_E_AND_I
                else onset not in _NOT_BEFORE_E_AND_I or (rime[:1] not in "eêiy")
            )
    return False
