"""Registry objects as they travel: ExtrinsicObject, RegistryPackage, Association, with slots, codes and identifiers.

Only the form is read here, and what breaks it is refused; what an object means is for `reading.py`.

Source: OASIS ebRIM 3.0; IHE ITI TF-3: 4.2.3.1 (metadata object types), 4.2.3.1.5 (slots)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from adapters.soap.errors import MetadataFault
from adapters.soap.names import FOLDER_NODE, RIM, SUBMISSION_SET_NODE, children, named, text_of
from adapters.xml_door import XmlElement

MOST_OBJECTS = 5_000
LONGEST_VALUE = 256
_LONGER = ("sourcePatientInfo", "legalAuthenticator", "authorPerson")
"""Slots whose values are longer in practice than the schema of ebRIM has it."""

Slots = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Classification:
    """A coded attribute, or an author, of an object."""

    scheme: str
    code: str
    display: str | None
    slots: Slots

    @property
    def coding_scheme(self) -> str:
        return next(iter(self.slots.get("codingScheme", ())), "")


def _size_of(slots: Slots) -> int:
    return sum(len(name) + sum(map(len, values)) for name, values in slots.items())


@dataclass(slots=True)
class RimObject:
    """One registry object.

    kind     name of its element
    node     for a RegistryPackage: submission set or folder
    """

    kind: str
    id: str
    attributes: Mapping[str, str]
    slots: Slots
    name: str | None
    description: str | None
    version: str
    classifications: tuple[Classification, ...]
    identifiers: Mapping[str, str]
    node: str = ""

    @property
    def size(self) -> int:
        """Characters of what it says, nearly."""
        told = sum(map(_size_of, (self.slots, *(one.slots for one in self.classifications))))
        codes = sum(len(one.code) + len(one.display or "") for one in self.classifications)
        return told + codes + len(self.name or "") + len(self.description or "")

    def value(self, slot: str) -> str | None:
        """The one value of a slot; None without it. Raises MetadataFault for several."""
        found = self.slots.get(slot, ())
        if len(found) > 1:
            raise MetadataFault(f"{self.label}: slot {slot} may have one value")
        return found[0] if found else None

    def coded(self, scheme: str) -> tuple[Classification, ...]:
        return tuple(each for each in self.classifications if each.scheme == scheme)

    @property
    def label(self) -> str:
        """How a message about it calls it: its kind and the beginning of its id."""
        return f"{self.kind} {self.id[:60]}" if self.id.isprintable() else self.kind


def read_objects(listed: XmlElement | None) -> list[RimObject]:
    """The objects of a RegistryObjectList in their order. Raises MetadataFault."""
    if listed is None:
        raise MetadataFault("a RegistryObjectList was expected")
    if len(listed) > MOST_OBJECTS:
        raise MetadataFault(f"at most {MOST_OBJECTS} objects in one message", "XDSRegistryOutOfResources")
    known = ("ExtrinsicObject", "RegistryPackage", "Association")
    objects = [_object(each, kind) for each in listed for kind in known if each.tag == named(RIM, kind)]
    _classify_packages(objects, listed)
    _refuse_twice((one.id for one in objects), "an object's id")
    return objects


def _object(element: XmlElement, kind: str) -> RimObject:
    own_id = element.get("id", "")
    if not own_id:
        raise MetadataFault(f"{kind} needs an id")
    identifiers: dict[str, str] = {}
    for each in children(element, RIM, "ExternalIdentifier"):
        scheme, value = each.get("identificationScheme", ""), each.get("value", "").strip()
        if each.get("registryObject", own_id) != own_id:
            raise MetadataFault(f"{kind}: an ExternalIdentifier names another registryObject")
        if scheme in identifiers or not value:
            raise MetadataFault(f"{kind}: an ExternalIdentifier is empty, or stands twice")
        identifiers[scheme] = value
    version = element.find(named(RIM, "VersionInfo"))
    name = element.find(named(RIM, "Name"))
    return RimObject(
        kind=kind,
        id=own_id,
        attributes=dict(element.attrib),
        slots=read_slots(element, kind),
        name=_localized(name),
        description=_localized(element.find(named(RIM, "Description"))),
        version="1.1" if version is None else version.get("versionName", "1.1"),
        classifications=tuple(_classification(each, own_id, kind) for each in _coded(element)),
        identifiers=identifiers,
        node=_node(children(element, RIM, "Classification"), own_id),
    )


def read_slots(element: XmlElement, where: str) -> dict[str, tuple[str, ...]]:
    """The slots of an element by name, each at most once and with a value."""
    found: dict[str, tuple[str, ...]] = {}
    for slot in children(element, RIM, "Slot"):
        name = slot.get("name", "")
        values = tuple(text_of(each) for listed in children(slot, RIM, "ValueList") for each in listed)
        if name in found or not name or len(name) > LONGEST_VALUE:
            raise MetadataFault(f"{where}: a slot stands twice, or has no usable name")
        if not values or any(not value for value in values):
            raise MetadataFault(f"{where}: slot {_safe(name)} has no value")
        if name not in _LONGER and any(len(value) > LONGEST_VALUE for value in values):
            raise MetadataFault(f"{where}: a value of slot {_safe(name)} is longer than {LONGEST_VALUE} characters")
        found[name] = values
    return found


def _safe(name: str) -> str:
    """The name of a slot as far as it can be repeated."""
    return name if name.isascii() and name.isprintable() and len(name) <= 64 else "of that name"


def _localized(element: XmlElement | None) -> str | None:
    texts = [] if element is None else [each.get("value", "") for each in children(element, RIM, "LocalizedString")]
    return next((text.strip() for text in texts if text.strip()), None)


def _coded(element: XmlElement) -> list[XmlElement]:
    return [each for each in children(element, RIM, "Classification") if each.get("classificationScheme")]


def _classification(element: XmlElement, owner: str, kind: str) -> Classification:
    if element.get("classifiedObject", owner) != owner:
        raise MetadataFault(f"{kind}: a Classification names another classifiedObject")
    return Classification(
        element.get("classificationScheme", ""),
        element.get("nodeRepresentation", "").strip(),
        _localized(element.find(named(RIM, "Name"))),
        read_slots(element, f"{kind}: a Classification"),
    )


def _node(elements: Iterable[XmlElement], owner: str) -> str:
    nodes = (SUBMISSION_SET_NODE, FOLDER_NODE)
    found = {
        each.get("classificationNode")
        for each in elements
        if each.get("classificationNode") in nodes and each.get("classifiedObject", owner) == owner
    }
    if len(found) > 1:
        raise MetadataFault("a RegistryPackage is a submission set or a folder, not both")
    return found.pop() if found else ""


def _classify_packages(objects: list[RimObject], listed: XmlElement) -> None:
    """What a package is may be said beside it, in the list itself."""
    outside = children(listed, RIM, "Classification")
    for one in objects:
        if one.kind != "RegistryPackage":
            continue
        beside = _node([each for each in outside if each.get("classifiedObject") == one.id], one.id)
        if one.node and beside and one.node != beside:
            raise MetadataFault("a RegistryPackage is a submission set or a folder, not both")
        one.node = one.node or beside
        if not one.node:
            raise MetadataFault(f"{one.label}: neither classified as submission set nor as folder")


def _refuse_twice(values: Iterable[str], what: str) -> None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise MetadataFault(f"{what} stands twice in the message")
        seen.add(value)
