"""The insurance file taken apart: its envelope, its dossiers and their tables, each dossier by itself.

GIAMDINHHS/THONGTINHOSO/DANHSACHHOSO/HOSO/FILEHOSO holds LOAIHOSO (which table) and NOIDUNGFILE (the table as base64,
as nested XML or as XML in text). Parts of the envelope may be missing, and a table may stand alone.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from lxml import etree

from adapters.insurance.rows import Deviations, Row, read_rows, tag_of
from adapters.insurance.tables import names_by_tag, tables
from adapters.insurance.values import Moment, read_moment
from adapters.xml_door import XmlElement, XmlRefused, XmlTooLarge, parse_xml_bytes
from registry.errors import RegistryError, TooLarge, Unreadable

MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_FILE_ELEMENTS = 3_000_000
MAX_TABLE_BYTES = 10 * 1024 * 1024
MAX_DEPTH = 32
FILE = "insurance file"

_DECLARATION = re.compile(r"\s*<\?xml\s[^>]{0,200}\?>")
_TABLE_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,29}")


@dataclass(frozen=True, slots=True)
class Dossier:
    """One HOSO: the tables of one visit as they were written.

    number       its place in the file, from 1
    tables       rows by table name (XML1 … XML15, or what the sender called it), in their order
    deviations   what was strange and was kept
    source       the dossier as it came
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


@dataclass(frozen=True, slots=True)
class _Part:
    """A dossier before its tables are read: the element that holds it, and the whole file where it is alone in it."""

    element: XmlElement
    whole: bytes | None = None


@dataclass(frozen=True, slots=True)
class Envelope:
    """The file as a whole; its dossiers are read when they are asked for.

    facility    MACSKCB as written, empty where it is missing
    created     NGAYLAP
    announced   SOLUONGHOSO, how many dossiers the sender says there are
    """

    facility: str
    created: Moment | None = None
    announced: int | None = None
    deviations: tuple[str, ...] = ()
    parts: tuple[_Part, ...] = field(default=(), repr=False)

    def dossiers(self) -> Iterator[Dossier | DossierFault]:
        """Each dossier, or why it cannot be read."""
        for number, part in enumerate(self.parts, 1):
            try:
                yield _dossier(number, part)
            except RegistryError as error:
                yield DossierFault(number, error)

    @property
    def records(self) -> tuple[Dossier, ...]:
        """All dossiers; raises what is wrong with the first that cannot be read."""
        return tuple(_dossier(number, part) for number, part in enumerate(self.parts, 1))


def read_envelope(body: bytes) -> Envelope:
    """Take the file apart as far as its dossiers. Raises Unreadable, TooLarge."""
    if len(body) > MAX_FILE_BYTES:
        raise TooLarge(FILE, limit=MAX_FILE_BYTES)
    root = _parse(body, FILE, max_bytes=MAX_FILE_BYTES, max_elements=MAX_FILE_ELEMENTS)
    tag = tag_of(root)
    if tag == "GIAMDINHHS":
        return _envelope(root, body)
    if tag in names_by_tag() or tag in ("HOSO", "FILEHOSO"):
        return Envelope("", parts=(_Part(root, body),), deviations=("the envelope GIAMDINHHS is missing",))
    raise Unreadable(FILE, f"line {root.sourceline}: expected GIAMDINHHS or the root of a table, found another element")


def _envelope(root: XmlElement, body: bytes) -> Envelope:
    heads = dict.fromkeys(("MACSKCB", "NGAYLAP", "SOLUONGHOSO"), "")
    dossiers: list[XmlElement] = []
    loose: list[XmlElement] = []
    for element in _outside_tables(root):
        tag = tag_of(element)
        if tag in heads:
            heads[tag] = heads[tag] or (element.text or "").strip()
        elif tag == "HOSO":
            dossiers.append(element)
        elif tag == "FILEHOSO":
            loose.append(element)
    if loose and not dossiers:
        dossiers = [_gathered(loose)]
    elif loose:
        raise Unreadable(FILE, f"line {loose[0].sourceline}: FILEHOSO outside of every HOSO")
    if not dossiers:
        raise Unreadable(FILE, "expected at least one HOSO, found none")
    announced = int(heads["SOLUONGHOSO"]) if re.fullmatch(r"\d{1,9}", heads["SOLUONGHOSO"], re.ASCII) else None
    created = read_moment(heads["NGAYLAP"])
    alone = body if len(dossiers) == 1 else None
    return Envelope(
        heads["MACSKCB"],
        created,
        announced,
        tuple(_strange_heads(heads["MACSKCB"], created, announced, len(dossiers))),
        tuple(_Part(element, alone) for element in dossiers),
    )


def _outside_tables(root: XmlElement) -> Iterator[XmlElement]:
    """Elements of the envelope itself, not of what it holds."""
    waiting = list(reversed(root))
    while waiting:
        element = waiting.pop()
        yield element
        if tag_of(element) not in ("HOSO", "FILEHOSO", "CHUKYDONVI"):
            waiting.extend(reversed(element))


def _gathered(files: Sequence[XmlElement]) -> XmlElement:
    dossier = etree.Element("HOSO")
    dossier.extend(files)
    return dossier


def _strange_heads(facility: str, created: Moment | None, announced: int | None, found: int) -> Iterator[str]:
    if not facility:
        yield "MACSKCB is missing from the envelope"
    if created is None:
        yield "NGAYLAP is missing from the envelope or is no date"
    if announced != found:
        said = "no number" if announced is None else str(announced)
        yield f"SOLUONGHOSO says {said}, the file holds {found}"


def _dossier(number: int, part: _Part) -> Dossier:
    strange = Deviations()
    found: dict[str, tuple[Row, ...]] = {}
    for name, root in _tables(part.element, f"{FILE}, dossier {number}", strange):
        if name in found:
            strange.note(name, "the table stands more than once; its rows are read one after the other")
        found[name] = found.get(name, ()) + tuple(read_rows(root, name, strange))
    if not any(found.values()):
        raise Unreadable(f"{FILE}, dossier {number}", "expected at least one table with a row, found none")
    source = part.whole if part.whole is not None else etree.tostring(part.element, encoding="utf-8", with_tail=False)
    return Dossier(number, found, strange.texts(), source)


def _tables(element: XmlElement, where: str, strange: Deviations) -> Iterator[tuple[str, XmlElement]]:
    tag = tag_of(element)
    if tag in names_by_tag():
        yield names_by_tag()[tag], element
    elif tag == "FILEHOSO":
        yield from _one_file(element, where, strange)
    else:
        for child in element:
            yield from _tables_of_child(child, where, strange)


def _tables_of_child(child: XmlElement, where: str, strange: Deviations) -> Iterator[tuple[str, XmlElement]]:
    tag = tag_of(child)
    if tag in names_by_tag() or tag == "FILEHOSO":
        yield from _tables(child, where, strange)
    elif len(child) or (child.text or "").strip():
        strange.note("HOSO", "an element that is no FILEHOSO is kept unread")


def _one_file(element: XmlElement, where: str, strange: Deviations) -> Iterator[tuple[str, XmlElement]]:
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
    root = _content(holder, f"{where}, {said or 'a table without LOAIHOSO'}, line {holder.sourceline}")
    if root is None:
        strange.note(said or "FILEHOSO", "NOIDUNGFILE is empty")
        return
    yield _name_of(said, root, strange), root


def _content(holder: XmlElement, where: str) -> XmlElement | None:
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
        return _parse(_DECLARATION.sub("", text, count=1).encode("utf-8"), where)
    try:
        return _parse(b64decode("".join(text.split()), validate=True), where)
    except (NotBase64, ValueError):
        raise Unreadable(where, "NOIDUNGFILE: expected base64 or XML, found neither") from None


def _parse(body: bytes, where: str, *, max_bytes: int = MAX_TABLE_BYTES, max_elements: int = 500_000) -> XmlElement:
    try:
        return parse_xml_bytes(body, max_bytes=max_bytes, max_depth=MAX_DEPTH, max_elements=max_elements)
    except XmlTooLarge as refused:
        raise TooLarge(where, limit=max_bytes) if len(body) > max_bytes else Unreadable(where, str(refused)) from None
    except XmlRefused as refused:
        raise Unreadable(where, str(refused)) from None


def _name_of(said: str, root: XmlElement, strange: Deviations) -> str:
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
