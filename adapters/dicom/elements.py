"""The elements of a data set, walked in order: structure checked to the last byte, values kept only where wanted.

Source: DICOM PS3.5 section 7 (data elements, nesting), A.4 (encapsulated pixels).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from adapters.dicom.dictionary import value_representation
from adapters.dicom.sources import WHAT, Source
from registry.errors import TooLarge, Unreadable

DEPTH_LIMIT = 16
ELEMENT_LIMIT = 1_000_000
KEPT_LIMIT = 16 << 20
UNDEFINED = 0xFFFFFFFF
PIXELS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})

_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
LONG_FORM = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
_FRAGMENTED = frozenset({"OB", "OW"})


@dataclass(frozen=True, slots=True)
class Element:
    """One attribute. `value` is bytes, the items of a sequence, or None where it was passed over."""

    vr: str
    length: int
    value: bytes | tuple[DataSet, ...] | None


@dataclass(frozen=True, slots=True)
class DataSet:
    """The elements of a file or of an item, by tag. `order` is `<` or `>`, the byte order of its numbers."""

    order: str
    elements: dict[int, Element] = field(default_factory=dict)

    def bytes(self, tag: int) -> bytes:
        """The value of a plain element; empty where there is none."""
        element = self.elements.get(tag)
        return element.value if element and isinstance(element.value, bytes) else b""

    def items(self, tag: int) -> tuple[DataSet, ...]:
        element = self.elements.get(tag)
        return element.value if element and isinstance(element.value, tuple) else ()

    def number(self, tag: int) -> int | None:
        """An unsigned short (Rows, Columns)."""
        value = self.bytes(tag)
        return int.from_bytes(value[:2], "big" if self.order == ">" else "little") if len(value) >= 2 else None


Keep = Callable[[int, str, int], bool]


class Walker:
    """One pass over a data set.

    keep      asked with tag, VR and length of each element of the outermost level: whether its value is wanted
    nested    the same for elements inside a sequence that is kept
    implicit  value representations are not in the file (some makers mix the two: looked at per data set)
    """

    def __init__(self, source: Source, *, implicit: bool, order: str, keep: Keep, nested: Keep) -> None:
        self.source, self.implicit, self.order = source, implicit, order
        self.keep, self.nested = keep, nested
        self._seen = self._kept = 0
        self._long, self._pair = struct.Struct(order + "L"), struct.Struct(order + "HHL")

    def whole(self) -> DataSet:
        """The data set to the end of the file; raises Unreadable unless the last element ends there exactly."""
        return self._dataset(None, depth=0, implicit=self.implicit, kept=True, delimited=False)

    def until(self, stop: Callable[[int], bool]) -> DataSet:
        """The elements before the first one whose tag `stop` names (file meta group; pixels)."""
        return self._dataset(None, depth=0, implicit=self.implicit, kept=True, delimited=False, stop=stop)

    def next_tag(self) -> int:
        """The tag of the element that stands next, which stays to be read."""
        return self._tag(self.source.peek(4))

    def head(self) -> int:
        """Pass over the head of the element that stands next, up to its value; gives the length of the value."""
        head = self.source.read(8)
        return self._vr_and_length(head, self._tag(head), self._is_implicit(head, self.implicit, 0))[1]

    def _dataset(
        self,
        end: int | None,
        *,
        depth: int,
        implicit: bool,
        kept: bool,
        delimited: bool,
        stop: Callable[[int], bool] | None = None,
    ) -> DataSet:
        found = DataSet(self.order)
        first = True
        while end is None or self.source.position < end:
            if end is None and not delimited and self.source.at_end:
                break
            if stop is not None and stop(self._tag(self.source.peek(4))):
                break
            head = self.source.read(8)
            tag = self._tag(head)
            if tag == _ITEM_END and delimited:
                return found
            if tag >> 16 == 0xFFFE or not tag >> 16:
                raise Unreadable(WHAT, "a delimiter or a command element where data are expected")
            if first:
                implicit, first = self._is_implicit(head, implicit, depth), False
            self._count()
            vr, length = self._vr_and_length(head, tag, implicit)
            self._within(end, length)
            element = self._element(tag, vr, length, depth=depth, implicit=implicit, kept=kept, end=end)
            if element is not None:
                # two readers would take two different ones, and one of them may be another patient's number
                if tag in found.elements:
                    raise Unreadable(WHAT, "an element stands twice")
                found.elements[tag] = element
        if end is not None and self.source.position > end:
            raise Unreadable(WHAT, "an item is longer than it announces")
        return found

    def _element(
        self, tag: int, vr: str, length: int, *, depth: int, implicit: bool, kept: bool, end: int | None
    ) -> Element | None:
        wanted = kept and (self.keep if depth == 0 else self.nested)(tag, vr, length)
        if vr == "SQ" or (length == UNDEFINED and vr == "UN"):
            items = self._sequence(length, end, depth=depth + 1, implicit=implicit, kept=wanted)
            return Element("SQ", length, items) if wanted else None
        if length == UNDEFINED:
            if vr[:2] not in _FRAGMENTED:
                raise Unreadable(WHAT, "an undefined length where the standard allows none")
            self._fragments()
        elif wanted:
            self._kept += length
            if self._kept > KEPT_LIMIT:
                raise TooLarge("header of a DICOM file", limit=KEPT_LIMIT)
            return Element(vr, length, self.source.read(length))
        else:
            self.source.skip(length)
        return Element(vr, length, None) if kept else None

    def _sequence(self, length: int, end: int | None, *, depth: int, implicit: bool, kept: bool) -> tuple[DataSet, ...]:
        if depth > DEPTH_LIMIT:
            raise Unreadable(WHAT, f"sequences nested deeper than {DEPTH_LIMIT}")
        stop = None if length == UNDEFINED else self.source.position + length
        items = []
        while stop is None or self.source.position < stop:
            tag, size = self._delimiter()
            if tag == _SEQUENCE_END and stop is None:
                break
            if tag != _ITEM:
                raise Unreadable(WHAT, "a sequence holds something that is no item")
            limit = end if stop is None else stop
            self._within(limit, size)
            open_end = size == UNDEFINED
            item = self._dataset(
                None if open_end else self.source.position + size,
                depth=depth,
                implicit=implicit,
                kept=kept,
                delimited=open_end,
            )
            if limit is not None and self.source.position > limit:
                raise Unreadable(WHAT, "an item is longer than its sequence")
            if kept:
                items.append(item)
        return tuple(items)

    def _fragments(self) -> None:
        """Encapsulated pixels: items with a length of their own, up to the delimiter."""
        while True:
            tag, size = self._delimiter()
            if tag == _SEQUENCE_END:
                return
            if tag != _ITEM or size == UNDEFINED:
                raise Unreadable(WHAT, "a fragment of encapsulated pixels is broken")
            self.source.skip(size)

    def _delimiter(self) -> tuple[int, int]:
        self._count()
        group, number, size = self._pair.unpack(self.source.read(8))
        return group << 16 | number, size

    def _count(self) -> None:
        self._seen += 1
        if self._seen > ELEMENT_LIMIT:
            raise Unreadable(WHAT, f"more than {ELEMENT_LIMIT} elements")

    def _within(self, end: int | None, length: int) -> None:
        if length != UNDEFINED:
            self.source.check(length)
            if end is not None and self.source.position + length > end:
                raise Unreadable(WHAT, "an element is longer than the item that holds it")

    def _tag(self, head: bytes) -> int:
        if len(head) < 4:
            raise Unreadable(WHAT, "ends in the middle of an element")
        order = "big" if self.order == ">" else "little"
        return int.from_bytes(head[:2], order) << 16 | int.from_bytes(head[2:4], order)  # type: ignore[arg-type]

    @staticmethod
    def _is_implicit(head: bytes, expected: bool, depth: int) -> bool:
        """Two capital letters where the VR stands: explicit. A length that looks so would be over 16 kB."""
        letters = head[4:6].isalpha() and head[4:6].isupper()
        return expected if depth and expected else not letters

    def _vr_and_length(self, head: bytes, tag: int, implicit: bool) -> tuple[str, int]:
        letters = head[4:6]
        if implicit or not (letters.isalpha() and letters.isupper()):
            return value_representation(tag), self._long.unpack(head[4:])[0]
        vr = letters.decode("ascii")
        if vr in LONG_FORM:
            return vr, self._long.unpack(self.source.read(4))[0]
        return vr, int.from_bytes(head[6:8], "big" if self.order == ">" else "little")
