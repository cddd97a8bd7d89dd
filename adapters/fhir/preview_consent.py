"""What would they see? Asked by a system of the hospital before a patient signs: each thing, with the reason.

The rule that will decide is asked beforehand, over what is kept here, for one hospital, role and purpose; with a
Consent that is not recorded yet, as if it were. Nothing is stored, and nothing leaves.

Source: this project, design section 7; the envelope is FHIR's Parameters
"""

from __future__ import annotations

from base64 import b64encode
from enum import StrEnum
from typing import Any, TypeVar

from adapters.fhir import Resource, outcome
from adapters.fhir.consent import read_consent, read_patient
from adapters.fhir.elements import Element, filled, instant
from adapters.fhir.operations import named, only, parameters, unusable
from adapters.fhir.reading import read_resource
from adapters.fhir.writing import respond
from adapters.transactions import Transaction
from adapters.wire import WireRequest, WireResponse
from consent.commands import Foreseen, PreviewConsent
from consent.consents import Consent
from consent.requesters import PurposeOfUse, Role
from registry.identifiers import URI_SYSTEM

OPERATION = ("preview", "urn:hie-node:operation:preview")
MOST_BYTES = 16 << 20
"""Of a request with a Consent in it, which may carry the paper that is to be signed."""
NOT_SIGNED = {"url": "urn:hie-node:not-signed-yet", "hash": b64encode(bytes(32)).decode()}
Word = TypeVar("Word", bound=StrEnum)


def decode(request: WireRequest) -> PreviewConsent:
    body, _ = read_resource(request, "Parameters", MOST_BYTES)
    who = only(body, "patient", "valueReference")
    if who is None:
        raise unusable("patient", "expected once, as valueReference")
    return PreviewConsent(
        read_patient(who, request.base),
        _asking(body),
        _word(body, "role", Role, Role.DOCTOR),
        _word(body, "purpose", PurposeOfUse, PurposeOfUse.TREAT),
        _proposed(body, request.base),
    )


def _asking(body: Resource) -> str:
    """The hospital that would ask: by facility code, homeCommunityId or id in the directory."""
    value = only(body, "hospital", "valueReference", "valueString")
    if isinstance(value, dict):
        number = value.get("identifier", {})
        value = number.get("value") or value.get("reference", "").rpartition("/")[2]
        if number.get("system") == URI_SYSTEM and not value.startswith("urn:oid:"):
            value = f"urn:oid:{value}"
    if not value:
        raise unusable("hospital", "expected once: facility code or homeCommunityId")
    return str(value)


def _word(body: Resource, name: str, kind: type[Word], otherwise: Word) -> Word:
    code = only(body, name, "valueCode", "valueString")
    found = otherwise if code is None else next((one for one in kind if one.value == code), None)
    if found is None:
        raise unusable(name, "expected one of " + ", ".join(one.value for one in kind))
    return found


def _proposed(body: Resource, base: str) -> Consent | None:
    """A Consent as it would be recorded; the paper may still be unsigned."""
    found = named(body, "consent")
    if not found:
        return None
    resource = found[0].get("resource")
    if len(found) > 1 or not isinstance(resource, dict) or resource.get("resourceType") != "Consent":
        raise unusable("consent", "expected once, as resource of type Consent")
    return read_consent(_as_if_signed(resource), base).consent


def _as_if_signed(resource: Resource) -> Resource:
    has_paper = "sourceReference" in resource or {"data", "url"} & resource.get("sourceAttachment", {}).keys()
    return resource if has_paper else {**resource, "sourceAttachment": NOT_SIGNED}


def encode(found: tuple[Foreseen, ...], request: WireRequest) -> WireResponse:
    shown = sum(one.permit for one in found)
    counts: list[Element] = [
        {"name": "shown", "valueUnsignedInt": shown},
        {"name": "hidden", "valueUnsignedInt": len(found) - shown},
    ]
    return respond(request, parameters([*counts, *map(_item, found)]))


def _item(one: Foreseen) -> Element:
    kind = "ImagingStudy" if one.is_study else "DocumentReference"
    parts: list[dict[str, Any]] = [
        {"name": "reference", "valueReference": filled(reference=f"{kind}/{one.id}", display=one.what)},
        {"name": "shown", "valueBoolean": one.permit},
        {"name": "reason", "valueCode": one.reason},
    ]
    if one.performed:
        parts.append({"name": "performed", "valueDateTime": instant(one.performed)})
    if one.consent_id:
        parts.append({"name": "consent", "valueString": one.consent_id})
    return {"name": "item", "part": parts}


TRANSACTION = Transaction(
    "preview",
    "What a hospital would see, before a patient signs",
    source="design section 7",
    route=("POST", "/Consent/$preview"),
    command=PreviewConsent,
    decode=decode,
    encode=encode,
    error=outcome.error,
    scope=("Consent", "r"),
)
TRANSACTIONS = (TRANSACTION,)
