"""Who is meant in a Consent: hospitals, people and roles, by identifier, by reference or by a contained resource.

A hospital is named by its homeCommunityId, by its facility code, or by its id in the directory (a facility code, or
the last part of the OID); what is not a community yet stays a facility until the flow has asked the directory. A person
is named by an identifier together with the hospital that gave it, or by a national licence number: a login alone
would fit whoever has the same login elsewhere.

Source: IHE PCF 1.1, 5.2 (actors); HL7 FHIR R4, Consent.provision.actor
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from adapters.fhir import Resource
from adapters.fhir.elements import Element, filled, organization_reference, read_human_names
from adapters.fhir.issues import Issue, Unprocessable
from consent.consents import FACILITY_SYSTEM, Actor
from consent.requesters import Role
from registry.identifiers import URI_SYSTEM, HomeCommunityId

NETWORK_SYSTEM = "urn:hie-node:network"
EVERY_HOSPITAL = "every-hospital"
ROLE_SYSTEM = "urn:hie-node:role"
ROLE_EXTENSION = "urn:hie-node:actor-role"
"""On an actor: a code of ROLE_SYSTEM, for whoever writes no PractitionerRole."""

LICENCES = frozenset(
    {
        "http://fhir.ehealth.gov.vn/core/sid/provider-license-number",
        "http://fhir.ehealth.gov.vn/core/sid/provider-medical-license-number",
    }
)
_OID = "urn:oid:"
_FACILITY = re.compile(r"[0-9A-Z]{5}")
_DIRECTORY_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_REFERENCE = frozenset({"id", "reference", "type", "identifier", "display"})
_IDENTIFIER = frozenset({"id", "use", "type", "system", "value", "assigner"})


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What references in one resource can lead to: its contained resources, and the base that was asked."""

    contained: Mapping[str, Resource]
    base: str

    @staticmethod
    def of(resource: Resource, base: str) -> Surroundings:
        inside = {each["id"]: each for each in resource.get("contained", ()) if isinstance(each.get("id"), str)}
        return Surroundings(inside, base)


@dataclass(frozen=True, slots=True)
class Hospital:
    """A hospital as it is named: its community, or what the directory has to resolve. Neither: every hospital."""

    home: HomeCommunityId | None = None
    facility: str | None = None

    @property
    def is_everyone(self) -> bool:
        return self.home is None and self.facility is None

    @property
    def name(self) -> str:
        """As it stands among the authors of a provision."""
        return str(self.home) if self.home else f"{FACILITY_SYSTEM}|{self.facility}"


def only_known(element: Any, known: Collection[str], at: str) -> Element:
    """The element, if it holds nothing that is not understood here: what is not understood may restrict."""
    if not isinstance(element, dict):
        raise not_understood(at, "structure")
    unknown = sorted(set(element) - set(known))
    if unknown:
        raise not_understood(f"{at}.{unknown[0].removeprefix('_')}")
    return element


def not_understood(at: str, code: str = "not-supported") -> Unprocessable:
    text = "this is not understood here, and a restriction that is not understood cannot be kept; nothing was stored"
    return Unprocessable(Issue("error", code, text, (at,)))


def refused(at: str, expected: str, code: str = "business-rule") -> Unprocessable:
    return Unprocessable(Issue("error", code, f"expected {expected}; nothing was stored", (at,)))


# ---- reading ----


def read_hospital(reference: Element, around: Surroundings, at: str) -> Hospital:
    """The hospital that a reference to an Organization names. Raises Unprocessable."""
    only_known(reference, _REFERENCE, at)
    text = reference.get("reference", "")
    named = _by_identifier(reference["identifier"], at) if "identifier" in reference else None
    if text.startswith("#"):
        referred = _contained_hospital(_contained(text, around, "Organization", at), at)
    elif text:
        referred = _by_path(text, around, at)
    else:
        referred = None
    if named is None and referred is None:
        raise refused(at, "a hospital, by homeCommunityId or facility code", "required")
    if named and referred and named != referred and not (named.home and referred.facility):
        raise refused(at, "reference and identifier of the same hospital", "conflict")
    return named or referred or Hospital()


def read_actor(reference: Element, around: Surroundings, at: str, *, role: str | None = None) -> Actor:
    """The hospital, person or role that an actor's reference names. Raises Unprocessable."""
    only_known(reference, _REFERENCE, at)
    text = reference.get("reference", "")
    kind = reference.get("type") or _kind_of(text, around)
    if kind in (None, "Organization"):
        hospital = read_hospital(reference, around, at)
        return Actor(hospital.home, None, role, hospital.facility)
    if kind == "Practitioner":
        return _person(reference, around, at, role=role, employer=None)
    if kind == "PractitionerRole" and text.startswith("#"):
        return _practitioner_role(_contained(text, around, kind, at), around, at, role)
    raise refused(at, "an Organization, a Practitioner by identifier, or a contained PractitionerRole", "not-supported")


def read_representative(performers: Iterable[Element], around: Surroundings) -> str:
    """Who signed for the patient: the RelatedPerson among the performers, by name or number; empty without one."""
    for reference in performers:
        text = reference.get("reference", "")
        if (reference.get("type") or _kind_of(text, around)) != "RelatedPerson":
            continue
        inside = around.contained.get(text.removeprefix("#"), {}) if text.startswith("#") else {}
        name = read_human_names(inside.get("name"))
        number = reference.get("identifier", {}).get("value")
        return str(reference.get("display") or (name.text if name else "") or number or text)
    return ""


def read_author(reference: Element, around: Surroundings, at: str) -> str:
    """Who made the data, as decisions compare it: a community, a facility still to be resolved, a person's number."""
    actor = read_actor(reference, around, at)
    if actor.subject:
        return actor.subject
    hospital = Hospital(actor.home, actor.facility)
    if hospital.is_everyone:
        raise refused(at, "one hospital or person")
    return hospital.name


def read_role(element: Element, at: str) -> str | None:
    """The role in an actor's extension, the only extension that is understood there."""
    extensions = element.get("extension", [])
    if not extensions:
        return None
    extension = only_known(extensions[0], {"url", "valueCode"}, f"{at}.extension[0]")
    if len(extensions) > 1 or extension.get("url") != ROLE_EXTENSION:
        raise not_understood(f"{at}.extension")
    return _role(extension.get("valueCode", ""), at)


def _role(code: str, at: str) -> str:
    if code not in {role.value for role in Role}:
        raise refused(at, "a role: " + ", ".join(role.value for role in Role), "code-invalid")
    return code


def _by_identifier(element: Element, at: str) -> Hospital:
    only_known(element, _IDENTIFIER, f"{at}.identifier")
    system, value = element.get("system"), element.get("value", "")
    # without its system each form still says which it is
    if system == URI_SYSTEM or (system is None and value.startswith(_OID)):
        return Hospital(home=HomeCommunityId(value if value.startswith(_OID) else _OID + value))
    if system in (FACILITY_SYSTEM, None) and _FACILITY.fullmatch(value):
        return Hospital(facility=value)
    if system == NETWORK_SYSTEM and value == EVERY_HOSPITAL:
        return Hospital()
    raise refused(f"{at}.identifier", f"a homeCommunityId ({URI_SYSTEM}) or facility code ({FACILITY_SYSTEM})")


def _by_path(text: str, around: Surroundings, at: str) -> Hospital:
    if text.startswith(_OID):
        return Hospital(home=HomeCommunityId(text))
    parts = text.removeprefix(around.base + "/").split("/")
    if len(parts) != 2 or parts[0] != "Organization" or not _DIRECTORY_ID.fullmatch(parts[1]):
        raise refused(f"{at}.reference", "Organization/ and a facility code or an id of the directory", "not-found")
    return Hospital(facility=parts[1])


def _contained(text: str, around: Surroundings, kind: str, at: str) -> Resource:
    found = around.contained.get(text.removeprefix("#"))
    if found is None or found.get("resourceType") != kind:
        raise refused(f"{at}.reference", f"a contained {kind}", "not-found")
    return found


def _contained_hospital(organization: Resource, at: str) -> Hospital:
    systems = (URI_SYSTEM, FACILITY_SYSTEM)
    known = [each for each in organization.get("identifier", ()) if each.get("system") in systems]
    known = known or [each for each in organization.get("identifier", ()) if "system" not in each]
    if not known:
        raise refused(at, "an Organization with its homeCommunityId or facility code", "required")
    found = [_by_identifier(each, at) for each in known]
    return next((each for each in found if each.home), found[0])


def _kind_of(text: str, around: Surroundings) -> str | None:
    if text.startswith("#"):
        return str(around.contained.get(text[1:], {}).get("resourceType", "nothing"))
    parts = text.split("/")
    return parts[-2] if len(parts) > 1 else None


def _person(reference: Element, around: Surroundings, at: str, *, role: str | None, employer: Hospital | None) -> Actor:
    """By the identifier in a reference, or the first usable one of a contained Practitioner.

    employer  the hospital of the PractitionerRole around the person, which vouches for the number
    """
    text = reference.get("reference", "")
    holder = _contained(text, around, "Practitioner", at) if text.startswith("#") else reference
    given = holder.get("identifier", [])
    for element in given if isinstance(given, list) else [given]:
        only_known(element, _IDENTIFIER, f"{at}.identifier")
        hospital = employer or Hospital()
        if employer is None and "assigner" in element:
            hospital = read_hospital(element["assigner"], around, f"{at}.identifier.assigner")
        is_sure = not hospital.is_everyone or element.get("system") in LICENCES
        if element.get("value") and is_sure:
            return Actor(hospital.home, element["value"], role, hospital.facility)
    raise refused(f"{at}.identifier", "a licence number, or a number with the hospital that gave it (assigner)")


def _practitioner_role(resource: Resource, around: Surroundings, at: str, role: str | None) -> Actor:
    """Role and person together with their hospital."""
    only_known(resource, {"resourceType", "id", "text", "active", "practitioner", "organization", "code"}, at)
    if not resource.get("active", True):
        raise refused(f"{at}.active", "a role that somebody has")
    hospital = read_hospital(resource["organization"], around, at) if "organization" in resource else None
    codings = [each for concept in resource.get("code", ()) for each in concept.get("coding", ())]
    if len(codings) > 1 or (codings and codings[0].get("system") != ROLE_SYSTEM):
        raise refused(f"{at}.code", f"one code of {ROLE_SYSTEM}", "code-invalid")
    if "code" in resource:
        role = _role(codings[0].get("code", "") if codings else "", at)
    if "practitioner" in resource:
        return _person(only_known(resource["practitioner"], _REFERENCE, at), around, at, role=role, employer=hospital)
    if role is None or hospital is None:
        raise refused(at, "a person, or a role and its hospital", "required")
    return Actor(hospital.home, None, role, hospital.facility)


# ---- writing ----


def hospital_reference(home: HomeCommunityId | None, facility: str | None = None) -> Element:
    """A hospital by community, else by facility; with neither, every hospital of the network."""
    if home:
        return organization_reference(home)
    if facility and _FACILITY.fullmatch(facility):
        return {"identifier": {"system": FACILITY_SYSTEM, "value": facility}}
    if facility:
        return {"reference": f"Organization/{facility}"}
    return {"identifier": {"system": NETWORK_SYSTEM, "value": EVERY_HOSPITAL}}


def actor_element(actor: Actor) -> Element:
    """An actor with the one role that PCF knows: who receives information."""
    receiver = {
        "coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}],
    }
    role = [{"url": ROLE_EXTENSION, "valueCode": actor.role}] if actor.role else None
    return filled(extension=role, role=receiver, reference=_actor_reference(actor))


def _actor_reference(actor: Actor) -> Element:
    hospital = hospital_reference(actor.home, actor.facility)
    if actor.subject is None:
        return hospital
    if actor.home is None and actor.facility is None:
        return {"type": "Practitioner", "identifier": {"system": min(LICENCES), "value": actor.subject}}
    return {"type": "Practitioner", "identifier": {"value": actor.subject, "assigner": hospital}}


def author_reference(author: str) -> Element:
    """The way back from `read_author`."""
    system, bar, facility = author.partition("|")
    if bar and system == FACILITY_SYSTEM:
        return hospital_reference(None, facility)
    if author.startswith("urn:oid:"):
        return hospital_reference(HomeCommunityId(author))
    return {"type": "Practitioner", "identifier": {"system": min(LICENCES), "value": author}}
