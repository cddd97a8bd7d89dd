"""HTTP/1.1 on the wire, in the one reading that leaves no doubt where a message ends.

Everything here is an allow-list: a line is what its pattern says, or the message is refused. Folded lines,
bare LF, a length given twice, a length beside chunks, trailers and two hosts have no reading here, so that
no worker and no proxy before us can read them another way.

Source: RFC 9112, sections 2 to 7; RFC 9110, sections 5 and 7.
"""

import re
from dataclasses import dataclass

from hie_node.edge.refusals import Refusal, UpstreamBroken
from hie_node.edge.wire import Wire

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
REQUEST_LINE = re.compile(rb"(" + TOKEN + rb") (/[\x21\x22\x24-\x7e]*) HTTP/1\.([01])")
STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?")
FIELD = re.compile(rb"(" + TOKEN + rb"):([\t\x20-\x7e\x80-\xff]*)")
HOST = re.compile(rb"(?:[0-9A-Za-z._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
LENGTH = re.compile(rb"[0-9]{1,15}")
CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})(?:;[\t\x20-\x7e]*)?")
LONGEST_CHUNK_LINE = 128
BARE_LF = re.compile(rb"(?:^|[^\r])\n")
ONLY_ONCE = frozenset({b"host", b"content-length", b"transfer-encoding", b"expect", b"content-encoding"})

Fields = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A request before its body.

    fields            names in lower case, values without outer blanks, in the order received
    length            of the body in bytes; None for a chunked body
    keep_alive        the client wants another request on this connection
    expects_continue  the client waits for 100 Continue before it sends the body
    minor             0 or 1: HTTP/1.0 knows no chunks
    """

    method: bytes
    target: bytes
    fields: Fields
    length: int | None
    keep_alive: bool
    expects_continue: bool
    minor: int

    @property
    def path(self) -> bytes:
        return self.target.partition(b"?")[0]


@dataclass(frozen=True, slots=True)
class AnswerHead:
    """A worker's answer before its body; `length` is None for a chunked body."""

    status: int
    fields: Fields
    length: int | None
    keep_alive: bool


class Malformed(Exception):
    """These bytes are no HTTP/1.1 message; the text says which rule they break."""


def split_head(raw: bytes, most_fields: int) -> tuple[bytes, Fields]:
    """The first line and the fields of a head without its empty last line."""
    first, *lines = raw.split(b"\r\n")
    if len(lines) > most_fields:
        raise Refusal(431, f"more than {most_fields} header fields")
    fields: Fields = []
    for line in lines:
        match = FIELD.fullmatch(line)
        if match is None:
            raise Malformed("a header line is not a name, a colon and a value")
        fields.append((match[1].lower(), match[2].strip(b" \t")))
    return first, fields


def once(fields: Fields) -> dict[bytes, bytes]:
    """The fields that decide how the message is read: each may be there once."""
    found: dict[bytes, bytes] = {}
    for name, value in fields:
        if name in ONLY_ONCE:
            if name in found:
                raise Malformed("a header field that may be there once is there twice")
            found[name] = value
    return found


def tokens(fields: Fields, name: bytes) -> list[bytes]:
    """The comma-separated words of a field, in lower case."""
    return [word.strip().lower() for key, value in fields if key == name for word in value.split(b",")]


def body_length(single: dict[bytes, bytes]) -> int | None:
    """Bytes of the body, None for chunks. A message that gives both is refused, not repaired."""
    length, coding = single.get(b"content-length"), single.get(b"transfer-encoding")
    if coding is not None:
        if length is not None:
            raise Malformed("the length of the body is given twice")
        if coding.lower() != b"chunked":
            raise Malformed("the only transfer coding here is chunked")
        return None
    if length is None:
        return 0
    if not LENGTH.fullmatch(length):
        raise Malformed("Content-Length is not a number")
    return int(length)


def parse_request(raw: bytes, *, most_fields: int) -> RequestHead:
    """Raises Malformed (answer 400) or Refusal (its own status)."""
    first, fields = split_head(raw, most_fields)
    line = REQUEST_LINE.fullmatch(first)
    if line is None:
        raise Malformed("the request line is not METHOD /path HTTP/1.1")
    single = once(fields)
    minor = int(line[3])
    host = single.get(b"host", None if minor else b"-")
    if host is None or not HOST.fullmatch(host):
        raise Malformed("exactly one valid Host is needed")
    if minor == 0 and b"transfer-encoding" in single:
        raise Malformed("HTTP/1.0 knows no chunks")
    if b"content-encoding" in single:
        raise Refusal(415, "send the body as it is: no Content-Encoding is accepted")
    expect = single.get(b"expect", b"").lower()
    if expect not in (b"", b"100-continue"):
        raise Refusal(417, "the only expectation known here is 100-continue")
    return RequestHead(
        method=line[1],
        target=line[2],
        fields=fields,
        length=body_length(single),
        keep_alive=minor == 1 and b"close" not in tokens(fields, b"connection"),
        expects_continue=minor == 1 and bool(expect),
        minor=minor,
    )


def parse_answer(raw: bytes, *, method: bytes, most_fields: int) -> AnswerHead:
    """A worker's head. An answer without a length is refused: it could break unseen."""
    try:
        first, fields = split_head(raw, most_fields)
        line = STATUS_LINE.fullmatch(first)
        if line is None:
            raise Malformed("no status line")
        status, single = int(line[1]), once(fields)
        length = body_length(single)
        if method == b"HEAD" or status in (204, 304) or status < 200:
            length = 0
        elif length == 0 and b"content-length" not in single:
            raise Malformed("the answer has no length")
    except (Malformed, Refusal) as error:
        raise UpstreamBroken(str(error)) from error
    return AnswerHead(status, fields, length, keep_alive=b"close" not in tokens(fields, b"connection"))


class BodyReader:
    """Takes the bytes of one body from a wire, whichever way they are framed.

    `take` leaves there what is incomplete, and what belongs to the next message; `done` says that the body has ended.
    Raises Malformed.
    """

    __slots__ = ("_chunked", "_crlf_due", "_last", "_left", "done")

    def __init__(self, length: int | None) -> None:
        self._chunked = length is None
        self._left = length or 0
        self._crlf_due = self._last = False
        self.done = length == 0

    def take(self, wire: Wire) -> bytes:
        if self._chunked:
            return self._take_chunks(wire.buffer)
        piece = wire.taken(self._left)
        self._left -= len(piece)
        self.done = not self._left
        wire.passes = not self.done
        return piece

    def _take_chunks(self, buffer: bytearray) -> bytes:
        pieces = []
        at = 0
        while not self.done:
            if self._left:
                piece = buffer[at : at + self._left]
                pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
                if self._left:
                    break
            elif self._crlf_due:
                ending = buffer[at : at + 2]
                if not b"\r\n".startswith(ending):
                    raise Malformed("a chunk does not end where its size says")
                if len(ending) < 2:
                    break
                at += 2
                self._crlf_due, self.done = False, self._last
            else:
                start, at = at, self._size_line(buffer, at)
                if at == start:
                    break
        del buffer[:at]
        return b"".join(pieces)

    def _size_line(self, buffer: bytearray, at: int) -> int:
        """Reads one chunk size; the place behind its line, or `at` again when the line is incomplete."""
        end = buffer.find(b"\r\n", at, at + LONGEST_CHUNK_LINE)
        if end < 0:
            if len(buffer) - at >= LONGEST_CHUNK_LINE or b"\n" in buffer[at:]:
                raise Malformed("a chunk has no valid size line")
            return at
        match = CHUNK_SIZE.fullmatch(buffer, at, end)
        if match is None:
            raise Malformed("a chunk size is not a hexadecimal number")
        self._left = int(match[1], 16)
        self._last = not self._left
        # Behind the last chunk one empty line ends the body: a trailer would be a field nobody checked.
        self._crlf_due = True
        return end + 2
