"""Ids of what comes in masses: documents, and the rows that record what became of them.

Source: RFC 9562, 5.7 (UUID version 7), https://www.rfc-editor.org/rfc/rfc9562#section-5.7
"""

from __future__ import annotations

import secrets
import time

_VERSION, _VARIANT = 7 << 76, 2 << 62
_RANDOM_BELOW, _RANDOM_ABOVE = (1 << 62) - 1, (1 << 12) - 1


def ordered_id() -> str:
    """A UUID that begins with its moment, in milliseconds: nobody guesses the next one, its other 74 bits are random.

    Rows that are added together then stand together in an index by id, where random ids touch a page of it each.
    """
    moment, chance = time.time_ns() // 1_000_000, secrets.randbits(74)
    number = moment << 80 | _VERSION | (chance >> 62 & _RANDOM_ABOVE) << 64 | _VARIANT | chance & _RANDOM_BELOW
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
