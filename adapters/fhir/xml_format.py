"""FHIR XML: bytes to a resource and back, by the table of types, so that JSON and XML carry the same.

`parse_xml` reads elements in any order, `to_xml` writes them in the order of the specification. An element
that R4 does not have is kept in both directions (its numbers and truth values become texts, since XML does
not tell them apart); `check` then warns of it.

Source: HL7 FHIR R4, 2.6.1 XML, https://hl7.org/fhir/R4/xml.html
"""

from __future__ import annotations

import re
from decimal import Decimal
from itertools import zip_longest
from typing import Any, NoReturn

from lxml import etree

from adapters.fhir import Resource
from adapters.fhir.issues import BadRequest, ContentTooLarge, Issue, NotAcceptable
from adapters.fhir.json_format import MAX_BYTES, MAX_DEPTH, decimal_of, decimal_text, integer_of
from adapters.fhir.narrative import DIV, narrative_text, parse_narrative
from adapters.fhir.structure import ANY_RESOURCE, Element, Field, Structure, is_known_resource, structure_of
from adapters.xml_door import XmlElement, XmlRefused, XmlTooLarge, parse_xml_bytes

FHIR = "http://hl7.org/fhir"
_FHIR = f"{{{FHIR}}}"
_SCHEMA_LOCATION = "{http://www.w3.org/2001/XMLSchema-instance}schemaLocation"
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}")


def parse_xml(body: bytes, *, max_bytes: int = MAX_BYTES) -> Resource:
    """The resource in an XML body. Raises BadRequest, or ContentTooLarge above `max_bytes`."""
    try:
        root = parse_xml_bytes(body, max_bytes=max_bytes, max_depth=MAX_DEPTH)
    except XmlTooLarge as error:
        raise ContentTooLarge(f"The body is not read: {error}.") from None
    except XmlRefused as error:
        raise BadRequest(f"The body is not XML that is read here: {error}.") from None
    return _read_resource(root, depth=1)


def to_xml(resource: Resource) -> bytes:
    """The resource as UTF-8 XML. Raises NotAcceptable for what XML cannot carry: ask for JSON instead."""
    try:
        root = _write_resource(resource)
    except (ValueError, XmlRefused):
        _cannot_be_written()
    return bytes(etree.tostring(root, encoding="UTF-8", xml_declaration=True))


# ---- reading ----


def _read_resource(node: XmlElement, *, depth: int) -> Resource:
    kind = _local_name(node)
    if not is_known_resource(kind):
        _refuse(node, "not-supported", "This resource type is not known here.")
    return {"resourceType": kind, **_read_object(node, structure_of(kind), depth=depth)}


def _read_object(node: XmlElement, structure: Structure, *, depth: int) -> dict[str, Any]:
    # JSON needs more levels than XML; what is read here must be readable again once it is kept as JSON.
    if depth > MAX_DEPTH:
        _refuse(node, "structure", f"Nested deeper than {MAX_DEPTH} levels.")
    _refuse_text(node)
    found: dict[str, Any] = _read_attributes(node, structure)
    for name, children in _by_name(node).items():
        field = structure.fields.get(name)
        if field is None or field.element.xml_attribute:
            found[name] = _read_unknown(children, depth=depth)
        elif field.primitive:
            _read_primitives(found, field, children, depth=depth)
        else:
            _read_complex(found, field, children, depth=depth)
    return found


def _by_name(node: XmlElement) -> dict[str, list[XmlElement]]:
    children: dict[str, list[XmlElement]] = {}
    for child in node:
        children.setdefault("div" if child.tag == DIV else _local_name(child), []).append(child)
    return children


def _read_attributes(node: XmlElement, structure: Structure) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in node.attrib.items():
        field = structure.fields.get(name)
        if field is not None and field.element.xml_attribute:
            found[name] = value
        elif name != _SCHEMA_LOCATION:
            _refuse(node, "structure", "An attribute that FHIR does not have.")
    return found


def _read_complex(found: dict[str, Any], field: Field, children: list[XmlElement], *, depth: int) -> None:
    many = _is_many(field.element, children)
    values = [_read_value(child, field, depth=depth + 1 + many) for child in children]
    found[field.name] = values if many else values[0]


def _read_value(node: XmlElement, field: Field, *, depth: int) -> dict[str, Any]:
    if field.type != ANY_RESOURCE:
        return _read_object(node, structure_of(field.type), depth=depth)
    _refuse_text(node)
    if len(node) != 1 or node.attrib:
        _refuse(node, "structure", "Exactly one resource was expected in this element.")
    return _read_resource(node[0], depth=depth)


def _read_primitives(found: dict[str, Any], field: Field, children: list[XmlElement], *, depth: int) -> None:
    if field.type == "xhtml":
        found[field.name] = _read_narrative(children)
        return
    values = [_primitive_of(child, field.type) for child in children]
    extras = [_read_extras(child, depth=depth + 2) for child in children]
    many = _is_many(field.element, children)
    for name, items in ((field.name, values), ("_" + field.name, extras)):
        if any(item is not None for item in items):
            found[name] = items if many else items[0]
    if not any(item is not None for item in values + extras):
        _refuse(children[0], "structure", "An element with neither a value nor an extension.")


def _read_narrative(children: list[XmlElement]) -> str:
    if len(children) != 1 or children[0].tag != DIV:
        _refuse(children[0], "structure", "Exactly one div of XHTML was expected.")
    return narrative_text(children[0])


def _read_extras(node: XmlElement, *, depth: int) -> dict[str, Any] | None:
    """The id and the extensions of a primitive, which JSON keeps under `_name`."""
    if node.keys() == ["value"] and not len(node) and not node.text:
        return None  # as nearly all are
    value = node.attrib.pop("value", None)
    extras = _read_object(node, structure_of("Element"), depth=depth)
    if value is None and not extras:
        _refuse(node, "structure", "An element with neither a value nor an extension.")
    return extras or None


def _primitive_of(node: XmlElement, kind: str) -> Any:
    text = node.get("value")
    if text is None:
        return None
    if kind == "boolean":
        return {"true": True, "false": False}.get(text, text)
    try:
        if kind in ("integer", "positiveInt", "unsignedInt") and _INTEGER.fullmatch(text):
            return integer_of(text)
        if kind == "decimal" and _DECIMAL.fullmatch(text):
            return integer_of(text) if _INTEGER.fullmatch(text) and text != "-0" else decimal_of(text)
    except ValueError as error:
        _refuse(node, "value", f"Here stands {error}.")
    return text  # anything else is for `check` to judge


def _read_unknown(children: list[XmlElement], *, depth: int) -> Any:
    values = [_read_unknown_one(child, depth=depth + 2) for child in children]
    return values[0] if len(values) == 1 else values


def _read_unknown_one(node: XmlElement, *, depth: int) -> Any:
    if depth > MAX_DEPTH:
        _refuse(node, "structure", f"Nested deeper than {MAX_DEPTH} levels.")
    _refuse_text(node)
    if set(node.attrib) == {"value"} and len(node) == 0:
        return node.get("value")
    if any(name.startswith("{") for name in node.attrib):
        _refuse(node, "structure", "An attribute that FHIR does not have.")
    children = {name: _read_unknown(nodes, depth=depth) for name, nodes in _by_name(node).items()}
    return {**node.attrib, **children}


def _is_many(element: Element, children: list[XmlElement]) -> bool:
    # An element that may stand once but stands twice is kept as an array, so that `check` can say so.
    return element.many or len(children) > 1


def _local_name(node: XmlElement) -> str:
    if not node.tag.startswith(_FHIR):
        _refuse(node, "structure", f"An element of the namespace {FHIR} was expected.")
    return str(node.tag[len(_FHIR) :])


def _refuse_text(node: XmlElement) -> None:
    if (node.text and node.text.strip()) or any(child.tail and child.tail.strip() for child in node):
        _refuse(node, "structure", "Text between elements; FHIR writes values as attributes.")


def _refuse(node: XmlElement, code: str, text: str) -> NoReturn:
    names = [etree.QName(each).localname for each in [*reversed(list(node.iterancestors())), node]]
    path = ".".join(name if _NAME.fullmatch(name) else "(unnamed)" for name in names)
    raise BadRequest(Issue("error", code, f"Line {node.sourceline}: {text}", (path,)))


# ---- writing ----


def _write_resource(resource: Any) -> XmlElement:
    if not isinstance(resource, dict) or not is_known_resource(resource.get("resourceType")):
        _cannot_be_written("a resource of a type that is not known here")
    kind = resource["resourceType"]
    node = etree.Element(_FHIR + kind, nsmap={None: FHIR})
    _write_members(node, resource, structure_of(kind))
    return node


def _write_members(node: XmlElement, members: Any, structure: Structure) -> None:
    if not isinstance(members, dict):
        _cannot_be_written(f"{structure.name} that is not an object")
    written = {"resourceType"} if structure.is_resource else set()
    for name, field in structure.fields.items():
        extras = "_" + name
        if name in members or extras in members:
            written |= {name, extras} if field.primitive else {name}
            _write_field(node, field, members.get(name), members.get(extras))
    for name, value in members.items():
        if name not in written:
            _write_unknown(node, name, value)


def _write_field(node: XmlElement, field: Field, value: Any, extras: Any) -> None:
    if field.element.xml_attribute:
        node.set(field.name, _text_of(value))
    elif field.type == "xhtml":
        node.append(parse_narrative(_text_of(value)))
    elif field.primitive:
        for each, extra in zip_longest(_as_list(value), _as_list(extras)):
            _write_primitive(etree.SubElement(node, _FHIR + field.name), each, extra)
    else:
        for each in _as_list(value):
            _write_complex(etree.SubElement(node, _FHIR + field.name), field, each)


def _write_primitive(node: XmlElement, value: Any, extras: Any) -> None:
    if value is not None:
        node.set("value", _text_of(value))
    if extras is not None:
        _write_members(node, extras, structure_of("Element"))


def _write_complex(node: XmlElement, field: Field, value: Any) -> None:
    if field.type == ANY_RESOURCE:
        node.append(_write_resource(value))
    else:
        _write_members(node, value, structure_of(field.type))


def _write_unknown(node: XmlElement, name: str, value: Any) -> None:
    if not _NAME.fullmatch(name):
        _cannot_be_written("a name that XML does not have")
    for each in _as_list(value):
        child = etree.SubElement(node, _FHIR + name)
        if isinstance(each, dict):
            for key, inner in each.items():
                _write_unknown(child, key, inner)
        else:
            child.set("value", _text_of(each))


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _text_of(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return decimal_text(value)
    if isinstance(value, str | int | float):
        return str(value)
    _cannot_be_written("a value of the wrong kind")


def _cannot_be_written(
    what: str = "characters that XML does not have, or a narrative that is not XHTML",
) -> NoReturn:
    raise NotAcceptable(f"This resource has {what}; it can only be written as JSON.")
