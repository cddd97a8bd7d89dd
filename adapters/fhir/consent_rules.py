"""Provisions of a Consent and the conditions in them: from FHIR to the rule and back, or not at all.

Nothing in a provision is ever dropped: an element, code or extension that is not understood might be a restriction, and
a restriction that is lost would let somebody see what the patient did not allow. Such a consent is refused.

Source: IHE PCF 1.1 (Basic, Intermediate, Advanced); HL7 FHIR R4, Consent.provision
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import cast

from adapters.fhir.consent_parties import (
    Surroundings,
    actor_element,
    author_reference,
    only_known,
    read_actor,
    read_author,
    read_role,
    refused,
)
from adapters.fhir.elements import Element, document_id, filled, instant, referenced_id
from adapters.fhir.search_values import interval
from consent.consents import ALWAYS, Actor, Period, Provision, ProvisionType
from consent.requesters import PurposeOfUse
from registry.coded import ACT_CODE, ACT_REASON, CONFIDENTIALITY
from registry.identifiers import DICOM_UID

LABELS: dict[str, str] = {
    **dict.fromkeys(("U", "L", "M", "N", "R", "V"), CONFIDENTIALITY),
    **dict.fromkeys(("ETH", "ETHUD", "OPIOIDUD", "PSY", "SDV", "HIV"), ACT_CODE),
}
"""The labels that records here can carry, with their code system."""

_ACT_REASONS = frozenset({ACT_REASON, "urn:oid:2.16.840.1.113883.5.8"})
_RECEIVER = ("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "IRCP")
_CODING = frozenset({"id", "system", "version", "code", "display", "userSelected"})
_CONCEPT = frozenset({"id", "coding", "text"})
_PROVISION = frozenset(
    {"id", "type", "period", "actor", "securityLabel", "purpose", "dataPeriod", "data", "provision"},
)
_INSTANCES = ("DocumentReference", "ImagingStudy", "DiagnosticReport", "Binary")
_SECOND = timedelta(seconds=1)
_MICROSECOND = timedelta(microseconds=1)


# ---- reading ----


def read_provision(
    element: Element, around: Surroundings, at: str = "Consent.provision", *, level: int = 1
) -> Provision:
    """The rule that a provision states. Raises Unprocessable for anything in it that is not understood."""
    only_known(element, _PROVISION, at)
    if level == 2 and "provision" in element:
        raise refused(f"{at}.provision", "exceptions, but no exceptions to exceptions")
    kind = element.get("type")
    if kind not in ("permit", "deny"):
        raise refused(f"{at}.type", "permit or deny", "required")
    instances, authors, encounters = _read_data(element.get("data", []), around, f"{at}.data")
    return Provision(
        type=cast(ProvisionType, kind),
        id=element.get("id", ""),
        period=read_period(element.get("period"), f"{at}.period"),
        actors=tuple(_read_actor(each, around, f"{at}.actor") for each in element.get("actor", ())),
        purposes=frozenset(_read_purpose(each, f"{at}.purpose") for each in element.get("purpose", ())),
        data_period=read_period(element.get("dataPeriod"), f"{at}.dataPeriod"),
        instances=instances,
        authors=authors,
        encounters=encounters,
        labels=frozenset(_read_label(each, f"{at}.securityLabel") for each in element.get("securityLabel", ())),
        provisions=tuple(
            read_provision(each, around, f"{at}.provision[{index}]", level=level + 1)
            for index, each in enumerate(element.get("provision", ()))
        ),
    )


def read_period(element: Element | None, at: str) -> Period:
    """From the first moment of `start` to the last of `end`: an end on a day lasts until that day is over."""
    if element is None:
        return ALWAYS
    only_known(element, {"id", "start", "end"}, at)
    start = interval(element["start"])[0] if "start" in element else None
    end = interval(element["end"])[1] if "end" in element else None
    if start and end and end <= start:
        raise refused(at, "an end after its start", "value")
    return Period(start, end)


def _read_actor(element: Element, around: Surroundings, at: str) -> Actor:
    only_known(element, {"id", "extension", "role", "reference"}, at)
    role = only_known(element.get("role", {}), _CONCEPT, f"{at}.role")
    codings = [only_known(each, _CODING, f"{at}.role.coding") for each in role.get("coding", ())]
    if [(each.get("system"), each.get("code")) for each in codings] != [_RECEIVER]:
        raise refused(f"{at}.role", "the role IRCP, information recipient, of v3-ParticipationType", "code-invalid")
    return read_actor(element.get("reference", {}), around, f"{at}.reference", role=read_role(element, at))


def _read_purpose(element: Element, at: str) -> PurposeOfUse:
    only_known(element, _CODING, at)
    code = element.get("code")
    if element.get("system") not in _ACT_REASONS or code not in {purpose.value for purpose in PurposeOfUse}:
        raise refused(at, "purposes of v3-ActReason: " + ", ".join(PurposeOfUse), "code-invalid")
    return PurposeOfUse(code)


def _read_label(element: Element, at: str) -> str:
    only_known(element, _CODING, at)
    code = element.get("code", "")
    if code not in LABELS or LABELS[code] != element.get("system"):
        raise refused(at, "one of " + ", ".join(LABELS) + " with its system", "code-invalid")
    return str(code)


def _read_data(
    elements: Iterable[Element], around: Surroundings, at: str
) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """Single records, who made them, or the visit they came of. Several meanings at once would have to mean "or", and
    the rule means "and"."""
    instances: set[str] = set()
    authors: set[str] = set()
    encounters: set[str] = set()
    for element in elements:
        only_known(element, {"id", "meaning", "reference"}, at)
        match element.get("meaning"):
            case "instance":
                instances.add(_read_instance(element.get("reference", {}), around, f"{at}.reference"))
            case "authoredby":
                authors.add(read_author(element.get("reference", {}), around, f"{at}.reference"))
            case "related":
                encounters.add(_read_encounter(element.get("reference", {}), f"{at}.reference"))
            case _:
                raise refused(f"{at}.meaning", "instance, related or authoredby", "not-supported")
    if sum(map(bool, (instances, authors, encounters))) > 1:
        raise refused(f"{at}.meaning", "one meaning in a provision; state the other in a consent of its own")
    return frozenset(instances), frozenset(authors), frozenset(encounters)


def _read_encounter(reference: Element, at: str) -> str:
    """A stay or consultation by its number: this door has no Encounter that could be referred to."""
    only_known(reference, {"id", "reference", "type", "identifier", "display"}, at)
    named = only_known(reference.get("identifier", {}), {"id", "use", "type", "system", "value"}, f"{at}.identifier")
    is_one = reference.get("type", "Encounter") == "Encounter" and "reference" not in reference
    if not (is_one and named.get("system") and named.get("value")):
        raise refused(at, "an Encounter by identifier, with its system", "required")
    return f"{named['system']}|{named['value']}"


def _read_instance(reference: Element, around: Surroundings, at: str) -> str:
    """The registry's id, or the unique id, of one record."""
    only_known(reference, {"id", "reference", "type", "identifier", "display"}, at)
    named = only_known(reference.get("identifier", {}), {"id", "use", "type", "system", "value"}, f"{at}.identifier")
    ids = [referenced_id(reference, kind, base=around.base) for kind in _INSTANCES]
    found = next((each for each in ids if each), None)
    if "reference" in reference and ("identifier" in reference or found is None):
        raise refused(at, "a document or study of this base, by reference or by identifier", "not-found")
    if found is None and not named.get("value"):
        raise refused(at, "a document or study", "required")
    if found is not None:
        return found
    if named.get("system") == DICOM_UID:
        return str(named["value"]).removeprefix("urn:oid:")
    return document_id(named.get("system"), named["value"])


# ---- writing ----


def provision_element(provision: Provision) -> Element:
    """The rule as a provision; read again it is the same rule."""
    return filled(
        id=provision.id,
        type=provision.type,
        period=period_element(provision.period),
        actor=[actor_element(each) for each in provision.actors],
        securityLabel=[{"system": LABELS[each], "code": each} for each in sorted(provision.labels)],
        purpose=[{"system": ACT_REASON, "code": each.value} for each in sorted(provision.purposes)],
        dataPeriod=period_element(provision.data_period),
        data=[
            *map(_instance_element, sorted(provision.instances)),
            *map(_encounter_element, sorted(provision.encounters)),
            *map(_author_element, sorted(provision.authors)),
        ],
        provision=[provision_element(each) for each in provision.provisions],
    )


def period_element(period: Period) -> Element:
    """FHIR's `end` belongs to the period, ours does not: the last second, or the last microsecond before it."""
    return filled(start=instant(period.start), end=instant(_last_moment(period.end)))


def _last_moment(end: datetime | None) -> datetime | None:
    if end is None:
        return None
    return end - (_MICROSECOND if end.microsecond else _SECOND)


def _instance_element(instance: str) -> Element:
    is_unique_id = ":" in instance or "^" in instance or "|" in instance
    if is_unique_id:
        system, bar, value = instance.rpartition("|")
        number = {"system": system, "value": value} if bar else {"system": "urn:ietf:rfc:3986", "value": instance}
        return {"meaning": "instance", "reference": {"identifier": number}}
    if instance.count(".") > 3 and instance.replace(".", "").isdigit():
        study = {"system": DICOM_UID, "value": f"urn:oid:{instance}"}
        return {"meaning": "instance", "reference": {"identifier": study}}
    return {"meaning": "instance", "reference": {"reference": f"DocumentReference/{instance}"}}


def _encounter_element(encounter: str) -> Element:
    system, _, value = encounter.partition("|")
    return {"meaning": "related", "reference": {"type": "Encounter", "identifier": {"system": system, "value": value}}}


def _author_element(author: str) -> Element:
    return {"meaning": "authoredby", "reference": author_reference(author)}
