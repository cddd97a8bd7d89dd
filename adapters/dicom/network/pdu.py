"""The PDUs of the upper layer: who calls whom, what they agree on, and the pieces of messages.

Source: DICOM PS3.8: 9.3 (structure of PDUs), Annex D (user information), PS3.7: D.3.3 (role selection).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum

from adapters.dicom.network.errors import BadPdu

HEADER = 6
OWN_LENGTH = 128 << 10
"""Longest P-DATA-TF that this node takes, and sends to who names no bound."""

NEGOTIATION_LENGTH = 256 << 10
"""Longest A-ASSOCIATE: 128 contexts with all transfer syntaxes there are."""

CONTEXTS_LIMIT = 128
APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
IMPLEMENTATION = "2.25.137044837620160523456781928374650913"
IMPLEMENTATION_NAME = "HIE_NODE"

_APPLICATION, _PROPOSED, _ACCEPTED, _ABSTRACT, _TRANSFER, _USER = 0x10, 0x20, 0x21, 0x30, 0x40, 0x50
_LONGEST, _CLASS_UID, _ROLE, _VERSION = 0x51, 0x52, 0x54, 0x55


class Kind(IntEnum):
    """Source: DICOM PS3.8: 9.3.1."""

    ASSOCIATE_RQ = 1
    ASSOCIATE_AC = 2
    ASSOCIATE_RJ = 3
    DATA = 4
    RELEASE_RQ = 5
    RELEASE_RP = 6
    ABORT = 7


class Rejection(IntEnum):
    """Result, source and reason of an A-ASSOCIATE-RJ in one number. Source: DICOM PS3.8 Table 9-21."""

    NO_REASON = 0x010101
    APPLICATION_CONTEXT = 0x010102
    CALLING_AE = 0x010103
    CALLED_AE = 0x010107
    PROTOCOL_VERSION = 0x010202
    BUSY = 0x020302


@dataclass(frozen=True, slots=True)
class Context:
    """A presentation context: one service or kind of object, and how its bytes are written.

    Proposed with all transfer syntaxes of the proposer; accepted (`result` 0) with the one that was chosen.
    """

    id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...] = ()
    result: int = 0

    @property
    def transfer_syntax(self) -> str:
        return self.transfer_syntaxes[0]


@dataclass(frozen=True, slots=True)
class Role:
    """What the proposer of an association wants to be for one service: user, provider or both."""

    scu: bool
    scp: bool


@dataclass(frozen=True, slots=True)
class Associate:
    """A-ASSOCIATE-RQ or -AC. `longest` is the P-DATA-TF that the sender of this takes; 0 for any."""

    called: str
    calling: str
    contexts: tuple[Context, ...]
    roles: dict[str, Role] = field(default_factory=dict)
    longest: int = OWN_LENGTH
    application_context: str = APPLICATION_CONTEXT
    version: int = 1


@dataclass(frozen=True, slots=True)
class Fragment:
    """A piece of the command or of the data set of a message (presentation data value)."""

    context: int
    is_command: bool
    is_last: bool
    data: memoryview


def read_header(head: bytes) -> tuple[Kind, int]:
    """Kind and length of the PDU that begins here; raises BadPdu before a byte of its body is read."""
    number, length = head[0], int.from_bytes(head[2:6], "big")
    try:
        kind = Kind(number)
    except ValueError:
        raise BadPdu("a PDU of an unknown kind", reason=1) from None
    limits = {Kind.ASSOCIATE_RQ: NEGOTIATION_LENGTH, Kind.ASSOCIATE_AC: NEGOTIATION_LENGTH, Kind.DATA: OWN_LENGTH}
    if length > limits.get(kind, 4) or length < 4:
        raise BadPdu("a PDU of a length that was not agreed")
    return kind, length


def framed(kind: Kind, body: bytes) -> bytes:
    return struct.pack(">BxL", kind, len(body)) + body


def rejected(why: Rejection) -> bytes:
    return framed(Kind.ASSOCIATE_RJ, bytes(1) + why.to_bytes(3, "big"))


def aborted(*, by_user: bool = False, reason: int = 0) -> bytes:
    return framed(Kind.ABORT, bytes((0, 0, 0 if by_user else 2, reason)))


RELEASE = framed(Kind.RELEASE_RQ, bytes(4))
RELEASED = framed(Kind.RELEASE_RP, bytes(4))


def write_associate(kind: Kind, said: Associate) -> bytes:
    """An A-ASSOCIATE-RQ or -AC."""
    body = struct.pack(">Hxx16s16s32x", said.version, _title(said.called), _title(said.calling))
    body += _item(_APPLICATION, said.application_context.encode())
    for context in said.contexts:
        body += _context(kind, context)
    user = _item(_LONGEST, struct.pack(">L", said.longest)) + _item(_CLASS_UID, IMPLEMENTATION.encode())
    for uid, role in said.roles.items():
        user += _item(_ROLE, struct.pack(">H", len(uid)) + uid.encode() + bytes((role.scu, role.scp)))
    user += _item(_VERSION, IMPLEMENTATION_NAME.encode())
    return framed(kind, body + _item(_USER, user))


def _title(name: str) -> bytes:
    return name.encode("ascii", "replace")[:16].ljust(16)


def _item(kind: int, content: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(content)) + content


def _context(kind: Kind, context: Context) -> bytes:
    syntaxes = b"".join(_item(_TRANSFER, uid.encode()) for uid in context.transfer_syntaxes)
    if kind is Kind.ASSOCIATE_RQ:
        return _item(
            _PROPOSED, bytes((context.id, 0, 0, 0)) + _item(_ABSTRACT, context.abstract_syntax.encode()) + syntaxes
        )
    return _item(_ACCEPTED, bytes((context.id, 0, context.result, 0)) + syntaxes)


def read_associate(body: bytes) -> Associate:
    """An A-ASSOCIATE-RQ or -AC; raises BadPdu where an item is cut or says nonsense."""
    if len(body) < 68:
        raise BadPdu("an A-ASSOCIATE that is cut")
    version, called, calling = struct.unpack(">Hxx16s16s32x", body[:68])
    contexts: list[Context] = []
    application, longest = "", 0
    roles: dict[str, Role] = {}
    for kind, content in _items(body[68:]):
        if kind == _APPLICATION:
            application = _uid(content)
        elif kind in (_PROPOSED, _ACCEPTED):
            contexts.append(_read_context(content))
        elif kind == _USER:
            longest, roles = _read_user(content)
    if len(contexts) > CONTEXTS_LIMIT or len({context.id for context in contexts}) < len(contexts):
        raise BadPdu("too many presentation contexts, or two of one number")
    return Associate(
        called.decode("ascii", "replace").strip(),
        calling.decode("ascii", "replace").strip(),
        tuple(contexts),
        roles,
        longest,
        application,
        version,
    )


def _read_context(content: bytes) -> Context:
    if len(content) < 4:
        raise BadPdu("a presentation context that is cut")
    named = list(_items(content[4:]))
    abstract = next((_uid(inner) for kind, inner in named if kind == _ABSTRACT), "")
    syntaxes = tuple(_uid(inner) for kind, inner in named if kind == _TRANSFER)
    return Context(content[0], abstract, syntaxes, content[2])


def _read_user(content: bytes) -> tuple[int, dict[str, Role]]:
    longest, roles = 0, {}
    for kind, inner in _items(content):
        if kind == _LONGEST and len(inner) == 4:
            longest = int.from_bytes(inner, "big")
        elif kind == _ROLE and len(inner) >= 4:
            length = int.from_bytes(inner[:2], "big")
            if len(inner) != length + 4:
                raise BadPdu("a role selection that is cut")
            roles[_uid(inner[2 : 2 + length])] = Role(bool(inner[-2]), bool(inner[-1]))
    return longest, roles


def _items(content: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(content):
        if at + 4 > len(content):
            raise BadPdu("an item that is cut")
        length = int.from_bytes(content[at + 2 : at + 4], "big")
        if at + 4 + length > len(content):
            raise BadPdu("an item that is longer than its PDU")
        yield content[at], content[at + 4 : at + 4 + length]
        at += 4 + length


def _uid(content: bytes) -> str:
    return content.decode("ascii", "replace").rstrip("\0 ")


def fragments(body: bytes) -> Iterator[Fragment]:
    """The pieces in a P-DATA-TF; raises BadPdu where one lies about its length."""
    view, at = memoryview(body), 0
    while at < len(view):
        length = int.from_bytes(view[at : at + 4], "big")
        if length < 2 or at + 4 + length > len(view):
            raise BadPdu("a fragment that is longer than its PDU")
        flags = view[at + 5]
        yield Fragment(view[at + 4], bool(flags & 1), bool(flags & 2), view[at + 6 : at + 4 + length])
        at += 4 + length


def data(context: int, content: bytes | memoryview, *, is_command: bool, is_last: bool) -> bytes:
    """A P-DATA-TF with one fragment."""
    head = struct.pack(">BxLLBB", Kind.DATA, len(content) + 6, len(content) + 2, context, is_command | is_last << 1)
    return b"".join((head, content))


def most_content(longest: int) -> int:
    """Bytes of content that fit into one P-DATA-TF of a receiver who takes `longest`; even, as fragments have to be."""
    return (min(longest or OWN_LENGTH, OWN_LENGTH) - 6) & ~1
