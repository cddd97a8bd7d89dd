"""One row of the record of disclosures as FHIR's AuditEvent.

The patient appears by identifier, never by name; who looked appears with the name that the patient may read. What went
to another community carries the marks of a privacy disclosure as well.

Source: IHE BALP 1.1.4, IHE.BasicAudit.PatientQuery, PatientRead, PatientCreate, PatientUpdate, PatientDelete,
PrivacyDisclosure.Source; https://profiles.ihe.net/ITI/BALP/content.html
"""

from __future__ import annotations

import re
from base64 import b64encode

from adapters.fhir import Resource
from adapters.fhir.elements import Element, filled, identifier, instant
from adapters.fhir.writing import meta
from consent.disclosures import Disclosure
from consent.requesters import Requester
from registry.coded import ACT_REASON, DCM
from registry.identifiers import URI_SYSTEM, HomeCommunityId

PROFILE = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
INTERACTIONS = {"C": "create", "R": "read", "U": "update", "D": "delete", "E": "search"}
PATTERNS = {"C": "Create", "R": "Read", "U": "Update", "D": "Delete", "E": "Query"}
ITEM_SYSTEM = "urn:hie-node:entry"
TRANSACTION_SYSTEM = "urn:hie-node:transaction"
REASON_SYSTEM = "urn:hie-node:reason"
ROLE_SYSTEM = "urn:hie-node:role"

_PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
_CUSTODIAN_TYPE = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
_ENTITY_TYPE = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_ROLE = "http://terminology.hl7.org/CodeSystem/object-role"
_RESOURCES = "http://hl7.org/fhir/resource-types"
_SOURCE, _DESTINATION, _APPLICATION = (DCM, "110153"), (DCM, "110152"), (DCM, "110150")
_CLIENT_AND_SERVER = {
    "R": (_DESTINATION, _SOURCE),
    "D": (_APPLICATION, (_CUSTODIAN_TYPE, "custodian")),
}
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_SHOWN_HERE = frozenset({"asked", "received"})
_KINDS = {
    "ITI-65": "DocumentReference",
    "ITI-67": "DocumentReference",
    "ITI-68": "DocumentReference",
    "ITI-105": "DocumentReference",
    "ITI-106": "DocumentReference",
    "ITI-66": "List",
    "ITI-78": "Patient",
    "ITI-104": "Patient",
    "ITI-44": "Patient",
    "ITI-47": "Patient",
    "ITI-108": "Consent",
    "ITI-110": "Subscription",
    "ITI-119": "Patient",
    "ITI-81": "AuditEvent",
}
"""What the items of a transaction are, where that is certain."""


def audit_event(row: Disclosure, home: HomeCommunityId) -> Resource:
    """The row as this node (`home`) shows it."""
    return filled(
        resourceType="AuditEvent",
        id=row.id,
        meta=meta(1, row.recorded, _profile(row)),
        type=_coding("http://terminology.hl7.org/CodeSystem/audit-event-type", "rest"),
        subtype=_subtypes(row, home),
        action=row.action,
        recorded=instant(row.recorded),
        outcome=str(row.outcome),
        outcomeDesc=_what_became(row),
        purposeOfEvent=[_purpose(row.requester)],
        agent=_agents(row, home),
        source={"site": str(home), "observer": _community(home)},
        entity=_entities(row),
    )


def _profile(row: Disclosure) -> str | None:
    """The pattern that the row keeps; none for a refusal, or where the pattern wants what was not there."""
    keeps = bool(row.query) if row.action == "E" else len(row.items) == 1 and not row.query
    if row.outcome or not keeps:
        return None
    return f"{PROFILE}{'Patient' if row.patient else ''}{PATTERNS[row.action]}"


def _went_out(row: Disclosure, home: HomeCommunityId) -> bool:
    return row.direction == "disclosed" and row.requester.home != home


def _subtypes(row: Disclosure, home: HomeCommunityId) -> list[Element]:
    is_of_ihe = row.transaction.startswith(("ITI-", "RAD-"))
    found = [
        _coding("http://hl7.org/fhir/restful-interaction", INTERACTIONS[row.action]),
        _coding("urn:ihe:event-type-code" if is_of_ihe else TRANSACTION_SYSTEM, row.transaction),
        _coding("urn:hie-node:direction", row.direction),
    ]
    if _went_out(row, home):
        found.append(_coding("http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle", "disclose"))
    return found


def _what_became(row: Disclosure) -> str | None:
    """Why, how much, and whether it arrived as a whole; codes and numbers only."""
    told = [f"{reason}: {count}" for reason, count in sorted(row.reasons.items())]
    if row.bytes_sent is not None:
        told.append(f"{row.bytes_sent} bytes sent")
    if not row.complete:
        told.append("broke off before the end")
    return "; ".join(told) or None


# ---- agents ----


def _agents(row: Disclosure, home: HomeCommunityId) -> list[Element]:
    client, server = _CLIENT_AND_SERVER.get(row.action, (_SOURCE, _DESTINATION))
    asking, holding = _sides(row, home)
    agents = [
        {"type": _concept(*client), "who": _client(row.requester, asking), "requestor": False, "network": _at(asking)},
        {"type": _concept(*server), "who": _community(holding), "requestor": False, "network": _at(holding)},
        _user(row),
    ]
    if _went_out(row, home):
        agents.append({"type": _concept("http://snomed.info/sct", "159541003"), "who": _community(home)})
        agents[-1]["requestor"] = False
    return agents


def _sides(row: Disclosure, home: HomeCommunityId) -> tuple[HomeCommunityId, HomeCommunityId]:
    """The community that asks and the one that holds."""
    if row.direction in _SHOWN_HERE:
        return home, row.other or home
    return row.requester.home, home


def _client(requester: Requester, asking: HomeCommunityId) -> Element:
    if not requester.client_id:
        return _community(asking)
    return {"identifier": {"value": requester.client_id, "assigner": _community(asking)}}


def _user(row: Disclosure) -> Element:
    requester = row.requester
    kind = {"C": "AUT", "U": "AUT", "D": "AUT"}.get(row.action, "IRCP")
    who = {"identifier": {"value": requester.subject, "assigner": _community(requester.home, requester.organization)}}
    return filled(
        type=_concept(_PARTICIPATION, kind),
        role=[_concept(ROLE_SYSTEM, requester.role.value)],
        who=who,
        name=requester.name,
        requestor=True,
        policy=[f"urn:ietf:params:oauth:jti:{requester.token_id}"] if _is_uri_part(requester.token_id) else None,
        purposeOfUse=[_purpose(requester)],
    )


def _is_uri_part(text: str) -> bool:
    return bool(text) and not any(each.isspace() for each in text)


def _purpose(requester: Requester) -> Element:
    """With the words of whoever declared an emergency."""
    return _concept(ACT_REASON, requester.purpose.value) | filled(text=requester.reason)


def _community(home: HomeCommunityId, display: str | None = None) -> Element:
    return filled(identifier={"system": URI_SYSTEM, "value": str(home)}, display=display)


def _at(home: HomeCommunityId) -> Element:
    return {"address": str(home), "type": "5"}


# ---- entities ----


def _entities(row: Disclosure) -> list[Element]:
    found = [_patient(row)] if row.patient else []
    if row.query:
        query = {"type": _coding(_ENTITY_TYPE, "2"), "role": _coding(_ROLE, "24")}
        found.append({**query, "query": _in_base64(row.query)})
    found += [_item(row, each) for each in row.items]
    found += [
        {"what": {"reference": f"Consent/{each}"}, "type": _coding(_RESOURCES, "Consent")} for each in row.consents
    ]
    if row.exchange:
        kind = _coding("https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType", "XrequestId")
        found.append({"what": {"identifier": {"value": row.exchange}}, "type": kind})
    return found


def _in_base64(query: str) -> str:
    """Most rows hold it so already; a request line has a space or a question mark, which base64 has not."""
    is_encoded = len(query) % 4 == 0 and _BASE64.fullmatch(query)
    return query if is_encoded else b64encode(query.encode()).decode()


def _patient(row: Disclosure) -> Element:
    assert row.patient is not None
    # PIXm wants the feed's patient by identifier alone
    where = f"Patient/{row.record_id}" if row.record_id and row.transaction != "ITI-104" else None
    what = filled(reference=where, type="Patient", identifier=identifier(row.patient))
    return {"what": what, "type": _coding(_ENTITY_TYPE, "1"), "role": _coding(_ROLE, "1")}


def _item(row: Disclosure, item: str) -> Element:
    kind = _KINDS.get(row.transaction)
    what = filled(
        reference=f"{kind}/{item}" if kind else None,
        identifier=None if kind else {"system": ITEM_SYSTEM, "value": item},
    )
    role = "4" if row.action in ("C", "U", "D") else "3"
    # entities are told apart by type alone: in a search, a system object is the query itself
    kind_of_entity = "4" if row.action == "E" else "2"
    return {"what": what, "type": _coding(_ENTITY_TYPE, kind_of_entity), "role": _coding(_ROLE, role)}


def _coding(system: str, code: str) -> Element:
    return {"system": system, "code": code}


def _concept(system: str, code: str) -> Element:
    return {"coding": [_coding(system, code)]}
