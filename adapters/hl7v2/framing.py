"""MLLP: where messages begin and end in a stream of bytes, whatever lies between them.

A frame begins with VT and ends with FS; the CR after it is swallowed like everything else before the next VT, so that
a sender that leaves it out is answered at once and nothing has to be waited for. VT inside a frame stays in it: texts
pasted from a word processor hold some, and a message smuggled behind one is refused where the message is read.

Source: HL7 Version 3 Standard: Transport Specification, MLLP, Release 1, section 1.2 (the same as Release 2)
"""

from __future__ import annotations

from dataclasses import dataclass

VT, FS, CR = b"\x0b", b"\x1c", b"\r"
_BETWEEN = b"\r\n \t"


def framed(message: bytes) -> bytes:
    return VT + message + FS + CR


@dataclass(frozen=True, slots=True)
class Oversized:
    """A frame that grew beyond the limit; `head` is its beginning, to answer with. Nothing more can be read."""

    head: bytes


class Framer:
    """Feed it bytes as they come; it gives the messages that ended in them.

    garbage   bytes since the last frame that belong to none, without the CR, LF and spaces that many senders add
    held      bytes of the unfinished frame
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[bytes] | None = None
        self.held = 0
        self.garbage = 0

    @property
    def is_inside(self) -> bool:
        return self._parts is not None

    def feed(self, data: bytes) -> list[bytes | Oversized]:
        """Each byte is looked at once."""
        found: list[bytes | Oversized] = []
        start = 0
        while start < len(data):
            if self._parts is None:
                start = self._skip(data, start)
                continue
            end = data.find(FS, start)
            piece = data[start : end if end >= 0 else len(data)]
            self._parts.append(piece)
            self.held += len(piece)
            if self.held > self._limit:
                found.append(Oversized(b"".join(self._parts)[:4096]))
                self._parts, self.held = None, 0
                return found
            if end < 0:
                return found
            found.append(b"".join(self._parts))
            self._parts, self.held = None, 0
            start = end + 1
        return found

    def _skip(self, data: bytes, start: int) -> int:
        """To behind the next VT; what lies before it is counted."""
        begin = data.find(VT, start)
        between = data[start : begin if begin >= 0 else len(data)]
        self.garbage += len(between.strip(_BETWEEN))
        if begin < 0:
            return len(data)
        self._parts, self.garbage = [], 0
        return begin + 1
