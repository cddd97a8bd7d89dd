"""The one place where XML from outside is parsed, whichever language it speaks: FHIR, SOAP, insurance files.

No DOCTYPE, hence no entities, no external files and no bombs; no network; bounded in bytes, depth, elements
and attributes, and stopped at the first excess instead of after the last byte. Errors say where, never what
stood there. (Tables of the insurance that hold rows of plain columns and nothing else are read without a parser,
`adapters/insurance/regular.py`: to what this door would read, and never what it would refuse.)

    XmlRefused
    ├── XmlTooLarge             more bytes, or more elements, than this door reads
    ├── XmlTooDeep
    ├── XmlTooManyAttributes
    ├── DoctypeRefused
    ├── EncodingRefused         unknown, contradictory, or not what the bytes are
    └── XmlMalformed

Source: XML 1.0, 2.8 and Appendix F; IHE ITI TF-2: Appendix V (SOAP 1.2 forbids a DOCTYPE)
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias
from xml.etree import ElementTree

from lxml import etree

XmlElement: TypeAlias = Any
"""An lxml element; the library has no types of its own."""

MAX_BYTES = 10 * 1024 * 1024
MAX_DEPTH = 64
MAX_ATTRIBUTES = 64
MAX_ELEMENTS = 500_000
_CHUNK = 64 * 1024
# Above this the library insists on its own switch for large content; our bounds hold either way.
_LIBRARY_MAX_TEXT = 10_000_000

Remark = Callable[[str], None]

_UNFINISHED = frozenset(("ERR_TAG_NOT_FINISHED", "ERR_GT_REQUIRED", "ERR_LTSLASH_REQUIRED", "ERR_CDATA_NOT_FINISHED"))
"""What the parser says of the last line of a document that ends too early."""
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_FIRST_BYTES = ((b"<\x00", "utf-16-le"), (b"\x00<", "utf-16-be"))
_CODE_PAGES = frozenset(("ascii", "cp1258", "cp1252", "iso8859-1"))
_ENCODINGS = _CODE_PAGES | {"utf-8", "utf-16", "utf-16-le", "utf-16-be"}

_DECLARATION = re.compile(
    r"""\s*+<\?xml\s[^>]{0,200}?\bencoding\s*=\s*["']([A-Za-z][A-Za-z0-9._-]{0,40})["'][^>]{0,100}>"""
)
# One at a time: Python 3.11.2 (Debian 12) misreads a possessive group that holds a lookahead.
_BEFORE_ROOT = re.compile(rb"\s+|<\?.*?\?>|<!--.*?-->", re.DOTALL)
_OPENING = re.compile(rb"<[^\s<>/!?]++\s")
_QUOTED = rb"""(?:"[^"<]*+"|'[^'<]*+')"""
_ATTRIBUTE = rb"\s++[^\s=<>/]++\s*+=\s*+" + _QUOTED


class XmlRefused(Exception):
    """XML that this door does not let in. `line` and `column` count from 1 and are None where not known."""

    def __init__(self, reason: str, *, line: int | None = None, column: int | None = None) -> None:
        self.reason, self.line, self.column = reason, line, column
        place = [f"{name} {value}" for name, value in (("line", line), ("column", column)) if value is not None]
        super().__init__(f"{', '.join(place)}: {reason}" if place else reason)


class XmlTooLarge(XmlRefused):
    """More bytes, or more elements, than this door reads."""


class XmlTooDeep(XmlRefused):
    """Elements nested deeper than this door reads."""


class XmlTooManyAttributes(XmlRefused):
    """More attributes in one element than any format here has."""


class DoctypeRefused(XmlRefused):
    """A DOCTYPE: the way in for entities, external files and bombs."""


class EncodingRefused(XmlRefused):
    """An encoding that is unknown, contradicts the byte order mark, or is not what the bytes are."""


class XmlMalformed(XmlRefused):
    """Not well-formed."""


def parse_xml_bytes(
    body: bytes,
    *,
    max_bytes: int = MAX_BYTES,
    max_depth: int = MAX_DEPTH,
    max_attributes: int = MAX_ATTRIBUTES,
    max_elements: int = MAX_ELEMENTS,
) -> XmlElement:
    """The root element, without comments and processing instructions. Raises XmlRefused.

    max_attributes counts those of one element, namespace declarations among them
    """
    if len(body) > max_bytes:
        raise XmlTooLarge(f"the body has {len(body)} bytes; at most {max_bytes} are read")
    text = _as_utf8(body)
    _refuse_doctype(text)
    _refuse_attribute_floods(text, max_attributes)
    return _parse(text, max_depth=max_depth, max_elements=max_elements)


def utf8_of(body: bytes, remark: Remark | None = None) -> bytes:
    """The same text in UTF-8, without its mark; a declaration inside it no longer counts. Raises XmlRefused."""
    return _as_utf8(body, remark)


def parse_table(text: bytes, *, max_bytes: int, max_depth: int, max_elements: int = MAX_ELEMENTS) -> XmlElement:
    """Like `parse_xml_bytes`, of text in UTF-8, with elements that are walked three times as fast.

    They have `tag`, `text` and children; the depth is for who walks them to watch, which costs nothing on the way.
    What the quick parser does not take, a prefix that nobody has declared say, the other one may.
    """
    if len(text) > max_bytes:
        raise XmlTooLarge(f"the body has {len(text)} bytes; at most {max_bytes} are read")
    _refuse_doctype(text)
    _refuse_attribute_floods(text, MAX_ATTRIBUTES)
    if text.count(b"<") - text.count(b"</") > max_elements:
        raise XmlTooLarge(f"more than {max_elements} elements")
    try:
        return ElementTree.XML(text, ElementTree.XMLParser(encoding="utf-8"))  # noqa: S314
    except (ElementTree.ParseError, ValueError):
        return _parse(text, max_depth=max_depth, max_elements=max_elements)


def stream_xml(
    chunks: Iterable[bytes],
    is_part: Callable[[XmlElement, int], bool],
    *,
    max_part: int,
    max_depth: int = MAX_DEPTH,
    max_attributes: int = MAX_ATTRIBUTES,
    max_elements: int = MAX_ELEMENTS,
    remark: Remark | None = None,
) -> Iterator[XmlElement]:
    """A document of any length, part by part: each part whole, and every other element when it ends.

    Nothing that was yielded stays in memory. Raises XmlRefused where the trouble is; what came before it was good.

    is_part  asked for each element outside of parts as it begins, with its depth (the root has 1); it may raise
    max_part bytes of one part, elements of one part are at most `max_elements`
    remark   hears what is overlooked: a declared encoding that the bytes refute, white space before the beginning and
             zeros after the end; else none of it is
    """
    guard = _Guard(max_attributes)
    parser, progress = _new_parser(huge=True), _Parts(is_part, max_part, max_depth, max_elements)
    texts, lines, end = _utf8_chunks(chunks, remark), 1, b""
    try:
        for text in _without_zeros_after_it(texts, remark) if remark else texts:
            guard.look(text)
            lines, end = lines + text.count(b"\n"), text[-1:]
            parser.feed(text)
            yield from progress.follow(parser, len(text))
        parser.close()
    except etree.XMLSyntaxError as error:
        yield from progress.follow(parser, 0)
        raise _malformed(error, last_line=lines, is_in_a_tag=end not in b">\r\n") from None


class _Guard:
    """What must be seen before the parser sees it, in pieces: a DOCTYPE, and an element with too many attributes."""

    def __init__(self, max_attributes: int) -> None:
        self._at_most, self._carried, self._is_first = max_attributes, b"", True

    def look(self, text: bytes) -> None:
        if self._is_first:
            _refuse_doctype(text)
            self._is_first = False
        window = self._carried + text
        _refuse_attribute_floods(window, self._at_most)
        opened = window.rfind(b"<")
        self._carried = window[opened:] if opened > window.rfind(b">") else b""
        if len(self._carried) > _CHUNK and _OPENING.match(self._carried):
            raise XmlTooManyAttributes(f"the beginning of an element is longer than {_CHUNK} bytes")


class _Parts:
    """Which part is being read, and how far."""

    def __init__(
        self, is_part: Callable[[XmlElement, int], bool], max_part: int, max_depth: int, max_elements: int
    ) -> None:
        self._is_part, self._max_part, self._max_elements = is_part, max_part, max_elements
        self._max_depth = max_depth
        self._depth = self._inside = self._elements = self._bytes = 0

    def follow(self, parser: XmlElement, fed: int) -> Iterator[XmlElement]:
        self._bytes += fed
        for event, element in parser.read_events():
            if event == "start":
                self._begins(element)
            else:
                yield from self._ends(element)
        if self._bytes > self._max_part:
            raise XmlTooLarge(f"a part of it has more than {self._max_part} bytes")

    def _begins(self, element: XmlElement) -> None:
        self._depth += 1
        self._elements += 1
        if self._depth > self._max_depth:
            raise XmlTooDeep(f"nested deeper than {self._max_depth} levels", line=element.sourceline)
        if self._elements > self._max_elements:
            raise XmlTooLarge(f"a part of it has more than {self._max_elements} elements", line=element.sourceline)
        if self._depth == 1 and element.getroottree().docinfo.doctype:
            raise DoctypeRefused("a DOCTYPE is not accepted")
        if not self._inside and self._is_part(element, self._depth):
            self._inside = self._depth

    def _ends(self, element: XmlElement) -> Iterator[XmlElement]:
        depth, self._depth = self._depth, self._depth - 1
        if self._inside and depth > self._inside:
            return
        yield element
        self._inside = self._elements = self._bytes = 0
        parent = element.getparent()
        if parent is not None:
            parent.remove(element)


def _without_zeros_after_it(texts: Iterable[bytes], remark: Remark) -> Iterator[bytes]:
    """Some exporters write out all of a buffer, of which the file is only the beginning. One zero before more text is
    as wrong as all of them."""
    zero = b""
    for text in texts:
        kept = text.rstrip(b"\0")
        if kept:
            yield zero + kept
        zero = b"\0" if len(kept) < len(text) else b"" if kept else zero
    if zero:
        remark("zeros stand after its end")


def _utf8_chunks(chunks: Iterable[bytes], remark: Remark | None) -> Iterator[bytes]:
    """The same text in UTF-8, piece by piece. The first piece tells the encoding."""
    decoder: codecs.IncrementalDecoder | None = None
    encoding, held = "", ""
    for chunk in _at_least(chunks, 1000):
        if decoder is None:
            encoding, chunk = _encoding_of(chunk, remark)  # noqa: PLW2901
            decoder = codecs.getincrementaldecoder(encoding)()
        for start in range(0, len(chunk), _CHUNK):
            text = held + _decoded(decoder, chunk[start : start + _CHUNK], encoding)
            held = ""
            if encoding == "cp1258":
                text, held = _composed(text)
            yield text.encode("utf-8")
    if decoder is not None:
        yield unicodedata.normalize("NFC", held + _decoded(decoder, b"", encoding, final=True)).encode("utf-8")


def _at_least(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The first piece holds the whole beginning, however small the pieces come."""
    first, is_open = b"", True
    for chunk in chunks:
        if not is_open:
            yield chunk
            continue
        first += chunk
        if len(first) >= size:
            yield first
            is_open = False
    if is_open:
        yield first


def _decoded(decoder: codecs.IncrementalDecoder, chunk: bytes, encoding: str, *, final: bool = False) -> str:
    try:
        return decoder.decode(chunk, final)
    except UnicodeDecodeError:
        raise EncodingRefused(f"the bytes are not {encoding}") from None


def _composed(text: str) -> tuple[str, str]:
    """This code page spells one letter as two; the last one waits for what may follow it."""
    cut = len(text)
    while cut and unicodedata.combining(text[cut - 1]):
        cut -= 1
    cut = max(0, cut - 1)
    return unicodedata.normalize("NFC", text[:cut]), unicodedata.normalize("NFC", text[cut:])


def _as_utf8(body: bytes, remark: Remark | None = None) -> bytes:
    encoding, body = _encoding_of(body, remark)
    try:
        text = body.decode(encoding)
    except UnicodeDecodeError as error:
        line, column = _place(body, error.start)
        raise EncodingRefused(f"the bytes are not {encoding}", line=line, column=column) from None
    if encoding == "utf-8":
        return body
    if encoding == "cp1258":
        # This code page spells ệ as ê and a combining dot; everything behind this door expects one letter.
        text = unicodedata.normalize("NFC", text)
    return text.encode("utf-8")


def _encoding_of(body: bytes, remark: Remark | None) -> tuple[str, bytes]:
    """The encoding by byte order mark, first bytes and declaration, and the body without its mark.

    Where the first bytes refute the declaration, and somebody hears the remark, they are believed: .NET declares UTF-16
    of a text that is then written as UTF-8, and a template declares a code page that its program does not write. What
    is not UTF-8 then is refused by its decoder.
    """
    if remark is not None and body[:1].isspace() and (stripped := body.lstrip()).startswith(b"<?xml"):
        remark("white space stands before its beginning; overlooked")
        body = stripped
    family = ""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if body.startswith(mark):
            family, body = encoding, body.removeprefix(mark)
            break
    else:
        family = next((encoding for first, encoding in _FIRST_BYTES if body.startswith(first)), "")
    declared = _declared_encoding(body[:1000].decode(family or "latin-1", "ignore"))
    if not declared:
        return family or "utf-8", body
    if not family:
        if not declared.startswith("utf-16"):
            if remark is not None and declared in _CODE_PAGES and _is_utf8(body):
                remark(f"{declared} is declared, but the bytes are UTF-8; read as UTF-8")
                return "utf-8", body
            return declared, body
        if remark is None:
            raise EncodingRefused("UTF-16 is declared, but the bytes are not UTF-16", line=1)
        remark("UTF-16 is declared, but the bytes are not; read as UTF-8")
        return "utf-8", body
    if family != declared and not (declared == "utf-16" and family.startswith("utf-16")):
        if remark is None:
            raise EncodingRefused(f"{declared} is declared, but the first bytes say {family}", line=1)
        remark(f"{declared} is declared, but the first bytes say {family}; they are believed")
    return family, body


def _is_utf8(beginning: bytes) -> bool:
    """Whether its letters beyond ASCII can only be that; the last one may be cut."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(beginning)
    except UnicodeDecodeError:
        return False
    return not text.isascii()


def _declared_encoding(start: str) -> str:
    declaration = _DECLARATION.match(start)
    if declaration is None:
        return ""
    try:
        name = codecs.lookup(declaration.group(1)).name
    except LookupError:
        name = ""
    if name not in _ENCODINGS:
        raise EncodingRefused("the declared encoding is not one of UTF-8, UTF-16, windows-1258", line=1)
    return name


def _refuse_doctype(text: bytes) -> None:
    start = 0
    while before := _BEFORE_ROOT.match(text, start):
        start = before.end()
    if text.startswith(b"<!", start) and not text.startswith(b"<!--", start):
        line, column = _place(text, start)
        raise DoctypeRefused("a DOCTYPE is not accepted", line=line, column=column)


def _refuse_attribute_floods(text: bytes, at_most: int) -> None:
    # Before the parser, because it hands an element over only when all its attributes are in memory.
    if text.count(b"=") <= at_most:
        return
    flood = re.search(rb"<[^\s<>/!?]++(?:%b){%d}" % (_ATTRIBUTE, at_most + 1), text)
    if flood:
        line, column = _place(text, flood.start())
        raise XmlTooManyAttributes(f"an element has more than {at_most} attributes", line=line, column=column)


def _new_parser(*, huge: bool) -> XmlElement:
    return etree.XMLPullParser(
        events=("start", "end"),
        encoding="utf-8",  # decided above; a declaration inside the text no longer counts
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        remove_comments=True,
        remove_pis=True,
        huge_tree=huge,
    )


def _parse(text: bytes, *, max_depth: int, max_elements: int) -> XmlElement:
    parser = _new_parser(huge=len(text) > _LIBRARY_MAX_TEXT)
    progress = _Progress(max_depth, max_elements)
    try:
        for start in range(0, len(text), _CHUNK):
            parser.feed(text[start : start + _CHUNK])
            progress.follow(parser)
        root = parser.close()
    except etree.XMLSyntaxError as error:
        progress.follow(parser)  # too deep is the better answer than the library's words for it
        raise _malformed(error) from None
    if root.getroottree().docinfo.doctype:
        raise DoctypeRefused("a DOCTYPE is not accepted")
    return root


class _Progress:
    """Counts while the document is still coming in."""

    def __init__(self, max_depth: int, max_elements: int) -> None:
        self.max_depth, self.max_elements = max_depth, max_elements
        self.depth = self.elements = 0

    def follow(self, parser: XmlElement) -> None:
        for event, element in parser.read_events():
            if event == "end":
                self.depth -= 1
                continue
            self.depth += 1
            self.elements += 1
            if self.depth > self.max_depth:
                raise XmlTooDeep(f"nested deeper than {self.max_depth} levels", line=element.sourceline)
            if self.elements > self.max_elements:
                raise XmlTooLarge(f"more than {self.max_elements} elements", line=element.sourceline)


def _malformed(error: XmlElement, *, last_line: int = 0, is_in_a_tag: bool = False) -> XmlMalformed:
    # The library's message quotes the document; the name of its error type does not.
    name = error.error_log.last_error.type_name if error.error_log.last_error is not None else "ERR_DOCUMENT_EMPTY"
    line, column = error.position
    if line == last_line and (is_in_a_tag or name in _UNFINISHED):
        return XmlMalformed("ends before its last tag: it was cut, or is still being written", line=line or None)
    return XmlMalformed(f"not well-formed ({name})", line=line or None, column=column or None)


def _place(text: bytes, position: int) -> tuple[int, int]:
    line = text.count(b"\n", 0, position) + 1
    return line, position - text.rfind(b"\n", 0, position)
