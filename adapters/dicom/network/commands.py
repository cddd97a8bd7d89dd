"""The commands of DIMSE: a dozen elements in Implicit VR Little Endian before each data set.

Source: DICOM PS3.7: 9.3, 10.3 (composition), 6.3 (encoding), Annex E (command dictionary), Annex C (status).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import IntEnum

from adapters.dicom.network.errors import BadCommand

COMMAND_LIMIT = 16 << 10
NO_DATA_SET = 0x0101


class Request(IntEnum):
    """The kinds of requests; an answer has 0x8000 added. Source: DICOM PS3.7: E.1."""

    STORE = 0x0001
    GET = 0x0010
    FIND = 0x0020
    MOVE = 0x0021
    ECHO = 0x0030
    EVENT_REPORT = 0x0100
    ACTION = 0x0130
    CANCEL = 0x0FFF


ANSWER = 0x8000


class Status(IntEnum):
    """What an answer says. Sources: DICOM PS3.4: B.2.3, C.4, J.3; PS3.7 Annex C; IHE RAD TF-2."""

    SUCCESS = 0x0000
    PROCESSING_FAILURE = 0x0110
    DUPLICATE_INSTANCE = 0x0111
    NO_SUCH_INSTANCE = 0x0112
    NO_SUCH_ARGUMENT = 0x0114
    CLASS_INSTANCE_CONFLICT = 0x0119
    NO_SUCH_CLASS = 0x0122
    NO_SUCH_ACTION = 0x0123
    NOT_AUTHORIZED = 0x0124
    UNRECOGNIZED_OPERATION = 0x0211
    OUT_OF_RESOURCES = 0xA700
    UNKNOWN_DESTINATION = 0xA801
    DOES_NOT_MATCH = 0xA900
    SOME_FAILED = 0xB000
    CANNOT_UNDERSTAND = 0xC000
    CANCELLED = 0xFE00
    PENDING = 0xFF00
    PENDING_KEYS_IGNORED = 0xFF01


_TEXTS = {"AffectedSOPClassUID": 0x0002, "RequestedSOPClassUID": 0x0003, "MoveDestination": 0x0600}
_TEXTS |= {"ErrorComment": 0x0902, "AffectedSOPInstanceUID": 0x1000, "RequestedSOPInstanceUID": 0x1001}
_TEXTS |= {"MoveOriginatorApplicationEntityTitle": 0x1030}
_NUMBERS = {"CommandField": 0x0100, "MessageID": 0x0110, "MessageIDBeingRespondedTo": 0x0120, "Priority": 0x0700}
_NUMBERS |= {"CommandDataSetType": 0x0800, "Status": 0x0900, "EventTypeID": 0x1002, "ActionTypeID": 0x1008}
_NUMBERS |= {"NumberOfRemainingSuboperations": 0x1020, "NumberOfCompletedSuboperations": 0x1021}
_NUMBERS |= {"NumberOfFailedSuboperations": 0x1022, "NumberOfWarningSuboperations": 0x1023}
_NUMBERS |= {"MoveOriginatorMessageID": 0x1031}
_SPACED = frozenset({0x0600, 0x0902, 0x1030})


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its elements by number within group 0000."""

    elements: dict[int, bytes] = field(default_factory=dict)

    def text(self, keyword: str) -> str:
        return self.elements.get(_TEXTS[keyword], b"").decode("ascii", "replace").rstrip("\0 ")

    def number(self, keyword: str) -> int:
        """0 where it is missing."""
        return int.from_bytes(self.elements.get(_NUMBERS[keyword], b"")[:2], "little")

    @property
    def kind(self) -> int:
        return self.number("CommandField")

    @property
    def id(self) -> int:
        return self.number("MessageID")

    @property
    def has_data(self) -> bool:
        return self.number("CommandDataSetType") != NO_DATA_SET

    @property
    def sop_class(self) -> str:
        return self.text("AffectedSOPClassUID") or self.text("RequestedSOPClassUID")


def read_command(content: bytes) -> Command:
    """Raises BadCommand for what is cut, of another group, or says nothing of itself."""
    elements: dict[int, bytes] = {}
    at = 0
    while at < len(content):
        if at + 8 > len(content):
            raise BadCommand("a command that is cut")
        group, number, length = struct.unpack_from("<HHL", content, at)
        at += 8
        if group or length > len(content) - at or number in elements:
            raise BadCommand("a command with an element that does not belong there")
        elements[number] = content[at : at + length]
        at += length
    if not {0x0100, 0x0800} <= elements.keys():
        raise BadCommand("a command that does not say what it is")
    return Command(elements)


def write_command(kind: int, **said: int | str) -> bytes:
    """A command of these elements by keyword; `CommandDataSetType` is none unless it is said."""
    values = {"CommandField": kind, "CommandDataSetType": NO_DATA_SET, **said}
    body = b"".join(_element(number, value) for number, value in sorted(_numbered(values)))
    return _element(0x0000, struct.pack("<L", len(body))) + body


def _numbered(values: dict[str, int | str]) -> list[tuple[int, bytes]]:
    found = []
    for keyword, value in values.items():
        if isinstance(value, int):
            found.append((_NUMBERS[keyword], struct.pack("<H", value)))
        elif value:
            number = _TEXTS[keyword]
            text = value.encode("ascii", "replace")[:64]
            found.append((number, text + (b" " if number in _SPACED else b"\0") * (len(text) % 2)))
    return found


def _element(number: int, value: bytes) -> bytes:
    return struct.pack("<HHL", 0, number, len(value)) + value
