"""The insurance file taken apart: its envelope, its dossiers and their tables, each dossier by itself.

GIAMDINHHS/THONGTINHOSO/DANHSACHHOSO/HOSO/FILEHOSO holds LOAIHOSO (which table) and NOIDUNGFILE (the table as base64,
as nested XML or as XML in text). Parts of the envelope may be missing, and a table may stand alone.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial

from lxml import etree

from adapters.insurance.regular import read_regular
from adapters.insurance.rows import Deviations, Root, Row, read_rows, tag_of
from adapters.insurance.tables import names_by_tag, tables
from adapters.insurance.values import read_moment
from adapters.xml_door import Remark, XmlElement, XmlRefused, XmlTooLarge, parse_table, stream_xml, utf8_of
from registry.errors import RegistryError, TooLarge, Unreadable

MAX_DOSSIER_BYTES = 64 * 1024 * 1024
"""A file may hold any number of dossiers; one of them is in memory at a time."""

MAX_LOOSE = 32
"""Tables of a file without HOSO, which are one dossier."""

MAX_TABLE_BYTES = 10 * 1024 * 1024
MAX_DEPTH = 32
FILE = "insurance file"

_DECLARATION = re.compile(rb"\s*<\?xml\s[^>]{0,200}\?>")
_EMPTY_CONTENT, _OPEN, _CLOSE = b"<NOIDUNGFILE/>", b"<NOIDUNGFILE>", b"</NOIDUNGFILE>"
_COUNT = re.compile(r"\d{1,9}", re.ASCII)
_TABLE_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,29}")


@dataclass(frozen=True, slots=True)
class Dossier:
    """One HOSO: the tables of one visit as they were written.

    number       its place in the file, from 1
    tables       rows by table name (XML1 … XML15, or what the sender called it), in their order
    deviations   what was strange and was kept
    source       the dossier as it came, in UTF-8, its tables out of base64
    """

    number: int
    tables: dict[str, tuple[Row, ...]]
    deviations: tuple[str, ...] = ()
    source: bytes = b""

    def rows(self, table: str) -> tuple[Row, ...]:
        return self.tables.get(table, ())


@dataclass(frozen=True, slots=True)
class DossierFault:
    """A dossier of which nothing is used; the others of its file are not affected."""

    number: int
    error: RegistryError


@dataclass(slots=True)
class Heads:
    """What the envelope has said so far.

    facility    MACSKCB as written, empty where it is missing
    created     NGAYLAP, and
    announced   SOLUONGHOSO, how many dossiers the sender says there are, both as written
    found       how many dossiers came
    overlooked  what its bytes are that they should not be
    """

    facility: str = ""
    created: str = ""
    announced: str = ""
    found: int = 0
    is_there: bool = True
    overlooked: list[str] = field(default_factory=list)

    def hear(self, tag: str, text: str) -> None:
        """An element of the envelope; what is said first counts."""
        name = _HEADS.get(tag)
        if name and not getattr(self, name):
            setattr(self, name, text)

    @property
    def deviations(self) -> tuple[str, ...]:
        """What is strange about the file as a whole, once it has ended."""
        heads = _strange_heads(self) if self.is_there else ("the envelope GIAMDINHHS is missing",)
        return (*self.overlooked, *heads)


_HEADS = {"MACSKCB": "facility", "NGAYLAP": "created", "SOLUONGHOSO": "announced"}
_PARTS = frozenset({"HOSO", "FILEHOSO", "CHUKYDONVI"})


def read_dossiers(chunks: Iterable[bytes], heads: Heads) -> Iterator[Dossier | DossierFault]:
    """Each dossier of a file, or why it cannot be read; `heads` fills on the way. One dossier is in memory at a time.

    Raises Unreadable where the file itself is broken; the dossiers before that place were good.
    """
    loose: list[XmlElement] = []
    try:
        bounds = {"max_part": MAX_DOSSIER_BYTES, "max_depth": MAX_DEPTH}
        for element in stream_xml(chunks, _is_part(heads), **bounds, remark=heads.overlooked.append):
            yield from _of_the_file(element, heads, loose)
    except XmlTooLarge as refused:
        raise (TooLarge(FILE, limit=MAX_DOSSIER_BYTES) if "bytes" in refused.reason else _unreadable(refused)) from None
    except XmlRefused as refused:
        raise _unreadable(refused) from None
    if loose:
        heads.found += 1
        yield _read(heads.found, _gathered(loose))
    if not heads.found:
        raise Unreadable(FILE, "expected at least one HOSO, found none")


def _is_part(heads: Heads) -> Callable[[XmlElement, int], bool]:
    def asked(element: XmlElement, depth: int) -> bool:
        tag = tag_of(element)
        if depth == 1 and tag != "GIAMDINHHS":
            heads.is_there = False
            if tag not in names_by_tag() and tag not in ("HOSO", "FILEHOSO"):
                said = "expected GIAMDINHHS or the root of a table, found another element"
                raise Unreadable(FILE, f"line {element.sourceline}: {said}")
            return True
        return tag in _PARTS

    return asked


def _of_the_file(element: XmlElement, heads: Heads, loose: list[XmlElement]) -> Iterator[Dossier | DossierFault]:
    tag = tag_of(element)
    is_root = element.getparent() is None
    if tag == "HOSO" or (is_root and tag != "GIAMDINHHS"):
        if loose:
            raise Unreadable(FILE, f"line {element.sourceline}: FILEHOSO outside of every HOSO")
        heads.found += 1
        yield _read(heads.found, element)
    elif tag == "FILEHOSO":
        if heads.found or len(loose) == MAX_LOOSE:
            raise Unreadable(FILE, f"line {element.sourceline}: FILEHOSO outside of every HOSO")
        alone = deepcopy(element)
        alone.tail = None
        loose.append(alone)
    else:
        heads.hear(tag, (element.text or "").strip())


def _read(number: int, element: XmlElement) -> Dossier | DossierFault:
    try:
        return _dossier(number, element)
    except RegistryError as error:
        return DossierFault(number, error)


def _unreadable(refused: XmlRefused) -> Unreadable:
    return Unreadable(FILE, str(refused))


def _gathered(files: Sequence[XmlElement]) -> XmlElement:
    dossier = etree.Element("HOSO")
    dossier.extend(files)
    return dossier


def _strange_heads(heads: Heads) -> Iterator[str]:
    if not heads.facility:
        yield "MACSKCB is missing from the envelope"
    if read_moment(heads.created) is None:
        yield "NGAYLAP is missing from the envelope or is no date"
    announced = int(heads.announced) if _COUNT.fullmatch(heads.announced) else None
    if announced != heads.found:
        said = "no number" if announced is None else str(announced)
        yield f"SOLUONGHOSO says {said}, the file holds {heads.found}"


def _dossier(number: int, element: XmlElement) -> Dossier:
    strange, where = Deviations(), f"{FILE}, dossier {number}"
    found: dict[str, tuple[Row, ...]] = {}
    unpacked: list[tuple[XmlElement, bytes]] = []
    for name, root in _tables(element, where, strange, unpacked):
        if name in found:
            strange.note(name, "the table stands more than once; its rows are read one after the other")
        try:
            found[name] = found.get(name, ()) + tuple(read_rows(root, name, strange, max_depth=MAX_DEPTH))
        except XmlRefused as refused:
            raise Unreadable(f"{where}, {name}", str(refused)) from None
    if not any(found.values()):
        raise Unreadable(where, "expected at least one table with a row, found none")
    return Dossier(number, found, strange.texts(), _source(element, unpacked))


def _source(element: XmlElement, unpacked: Sequence[tuple[XmlElement, bytes]]) -> bytes:
    """The dossier as it came, its tables out of base64: another form of the same that packs ten times better."""
    packed = [holder.text for holder, _ in unpacked]
    for holder, _ in unpacked:
        holder.text = None
    between = etree.tostring(element, encoding="utf-8", with_tail=False).split(_EMPTY_CONTENT)
    if len(between) == len(unpacked) + 1:
        texts = [text[declared.end() :] if (declared := _DECLARATION.match(text)) else text for _, text in unpacked]
        opened = (one for pair in zip(between, texts, strict=False) for one in (pair[0], _OPEN, pair[1], _CLOSE))
        return b"".join((*opened, between[-1]))
    for (holder, _), text in zip(unpacked, packed, strict=True):
        holder.text = text
    return bytes(etree.tostring(element, encoding="utf-8", with_tail=False))


def _tables(
    element: XmlElement, where: str, strange: Deviations, unpacked: list[tuple[XmlElement, bytes]]
) -> Iterator[tuple[str, Root]]:
    """Each table by its name; `unpacked` gets those that stood there as base64, with their text."""
    tag = tag_of(element)
    if tag in names_by_tag():
        yield names_by_tag()[tag], element
    elif tag == "FILEHOSO":
        yield from _one_file(element, where, strange, unpacked)
    else:
        for child in element:
            tag = tag_of(child)
            if tag in names_by_tag() or tag == "FILEHOSO":
                yield from _tables(child, where, strange, unpacked)
            elif len(child) or (child.text or "").strip():
                strange.note("HOSO", "an element that is no FILEHOSO is kept unread")


def _one_file(
    element: XmlElement, where: str, strange: Deviations, unpacked: list[tuple[XmlElement, bytes]]
) -> Iterator[tuple[str, Root]]:
    said, holder = "", None
    for child in element:
        if tag_of(child) == "LOAIHOSO":
            said = (child.text or "").strip().upper()
        elif tag_of(child) == "NOIDUNGFILE":
            holder = child
    said = said if _TABLE_NAME.fullmatch(said) else ""
    if holder is None:
        strange.note(said or "FILEHOSO", "NOIDUNGFILE is missing")
        return
    place = f"{where}, {said or 'a table without LOAIHOSO'}, line {holder.sourceline}"
    root = _content(holder, place, unpacked, partial(strange.note, said or "FILEHOSO"))
    if root is None:
        strange.note(said or "FILEHOSO", "NOIDUNGFILE is empty")
        return
    yield _name_of(said, root, strange), root


def _content(holder: XmlElement, where: str, unpacked: list[tuple[XmlElement, bytes]], remark: Remark) -> Root | None:
    """The root of the table: nested, as XML in text, or as base64."""
    if len(holder) > 1:
        raise Unreadable(where, f"NOIDUNGFILE: expected one table, found {len(holder)} elements")
    if len(holder):
        return holder[0]
    text = (holder.text or "").strip()
    if not text:
        return None
    if text.startswith("<"):
        # It was decoded with the file around it, so an encoding that it declares for itself no longer counts.
        return _parse(text.encode("utf-8"), where)
    try:
        body = _decoded(_packed(text, remark), where, remark)
    except (NotBase64, ValueError):
        raise Unreadable(where, "NOIDUNGFILE: expected base64 or XML, found neither") from None
    unpacked.append((holder, body))
    return _parse(body, where)


def _packed(text: str, remark: Remark) -> bytes:
    """Out of base64; the signs that only fill it up may be left out. Raises ValueError for what is none."""
    solid = "".join(text.split())
    missing = -len(solid) % 4
    if missing:
        remark("the signs = at the end of its base64 are missing")
    return b64decode(solid + "=" * missing, validate=True)


def _decoded(body: bytes, where: str, remark: Remark) -> bytes:
    """In UTF-8. A table that is too large is not decoded first."""
    if len(body) > MAX_TABLE_BYTES:
        raise TooLarge(where, limit=MAX_TABLE_BYTES)
    try:
        return utf8_of(body, remark)
    except XmlRefused as refused:
        raise Unreadable(where, str(refused)) from None


def _parse(text: bytes, where: str) -> Root:
    limit = 2 * MAX_TABLE_BYTES  # a table in UTF-16 or a code page may be longer in UTF-8
    try:
        regular = read_regular(text) if len(text) <= limit else None
        return regular or parse_table(text, max_bytes=limit, max_depth=MAX_DEPTH)
    except XmlTooLarge as refused:
        raise TooLarge(where, limit=MAX_TABLE_BYTES) if len(text) > limit else Unreadable(where, str(refused)) from None
    except XmlRefused as refused:
        raise Unreadable(where, str(refused)) from None


def _name_of(said: str, root: Root, strange: Deviations) -> str:
    """LOAIHOSO and the root should agree. Table 6 is table 6 as soon as one of them says so; else the root knows."""
    shown = names_by_tag().get(tag_of(root), "")
    if said not in tables() and shown:
        strange.note(shown, "LOAIHOSO does not name this table; its root does")
        return shown
    if shown and shown != said:
        strange.note(shown, f"LOAIHOSO says {said}, the root says {shown}")
        return "XML6" if "XML6" in (said, shown) else shown
    if said not in tables():
        strange.note(said or "UNNAMED", "a table that is not of this family is kept unread")
        return said or "UNNAMED"
    if not shown:
        strange.note(said, "its root has an unusual name")
    return said
