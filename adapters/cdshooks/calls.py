"""A call of a CDS service, and feedback on its cards, as commands.

Source: CDS Hooks 2.0, "Calling a CDS Service", "Feedback"; hooks order-select 1.0, order-sign 1.0, patient-view 1.0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

import orjson

from adapters.fhir.check import check
from adapters.fhir.patient import in_question
from adapters.wire import WireRequest
from registry.advice import AnswerCards, CardAnswer, CheckOrder, RequestedService
from registry.coded import CodedValue
from registry.errors import InvalidValue, NotFound, Unreadable
from registry.identifiers import PatientIdentifier
from registry.ledger import NO_REASON, RepeatReason
from registry.people import PatientInQuestion
from registry.searches import PatientSelector

HOOKS = ("order-select", "order-sign", "patient-view")
"""Each service is named like its hook."""
BODY = 1 << 20
"""Bytes of one call: a patient and a basket of orders."""
MOST_ORDERS = 50
MOST_ANSWERS = 100
_ICD10 = re.compile(r"[A-Z]\d\d(\.?\w{1,4})?")
_USER = re.compile(r"(Practitioner|PractitionerRole)/([A-Za-z0-9.\-]{1,64})")
_NO_CLINICIAN = re.compile(r"(Patient|RelatedPerson)/[A-Za-z0-9.\-]{1,64}")
_NO_ORDER = frozenset({"revoked", "entered-in-error"})
FROM_CONTEXT = "patient from context"
"""Under this name `kept` says that nothing but an id in the context told who the patient is."""


def decode_call(request: WireRequest) -> CheckOrder:
    """Has it been done? Raises InvalidValue, Unreadable, NotFound."""
    hook = service_of(request)
    call = _object(request, "the call")
    if call.get("hook") != hook:
        raise InvalidValue("hook", expected=hook)
    _check_uuid("hookInstance", call.get("hookInstance"))
    context = _part(call, "context")
    requested = () if hook == "patient-view" else tuple(_requested(context, hook))
    person = _person(context, hook)
    patient = _patient(call, context, request)
    return CheckOrder(patient, requested, via=hook, person=person, history=hook == "patient-view" and bool(person))


def service_of(request: WireRequest) -> str:
    """The service in the path. Raises NotFound."""
    service = request.params.get("service", "")
    if service not in HOOKS:
        raise NotFound("CDS service")
    return service


def _object(request: WireRequest, what: str) -> Mapping[str, Any]:
    if not request.header("content-type", "application/json").partition(";")[0].strip().endswith("json"):
        raise Unreadable(what, "the body has to be application/json")
    try:
        found = orjson.loads(request.read(BODY))
    except orjson.JSONDecodeError as error:
        raise Unreadable(what, "not well-formed JSON in UTF-8") from error
    if not isinstance(found, dict):
        raise Unreadable(what, "a JSON object is expected")
    return found


def _part(of: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = of.get(name)
    if not isinstance(found, dict):
        raise InvalidValue(name, expected="an object")
    return found


def _text(of: Mapping[str, Any], name: str) -> str:
    found = of.get(name)
    if not isinstance(found, str) or not 0 < len(found) <= 255:
        raise InvalidValue(name, expected="a text")
    return found


def _check_uuid(name: str, value: object) -> None:
    try:
        UUID(value if isinstance(value, str) else "")
    except ValueError as error:
        raise InvalidValue(name, expected="a UUID") from error


def _person(context: Mapping[str, Any], hook: str) -> str:
    """The doctor for whom the system asks; empty for a patient or relative who looks at the record, which is valid with
    patient-view and gets no card: the card speaks to clinicians."""
    said = _text(context, "userId")
    named = _USER.fullmatch(said)
    if named is not None:
        return named[2]
    if hook == "patient-view" and _NO_CLINICIAN.fullmatch(said):
        return ""
    raise InvalidValue("context.userId", expected="Practitioner/… or PractitionerRole/…")


def _patient(call: Mapping[str, Any], context: Mapping[str, Any], request: WireRequest) -> PatientSelector:
    """From the prefetch; else by the id in the context, where it is an id of this node or a number of this hospital."""
    patient_id = _text(context, "patientId")
    prefetch = call.get("prefetch")
    if not isinstance(prefetch, dict | None):
        raise InvalidValue("prefetch", expected="an object")
    resource = (prefetch or {}).get("patient")
    # a client that could not fetch it may say so by an OperationOutcome
    if resource is not None and not (isinstance(resource, dict) and resource.get("resourceType") == "OperationOutcome"):
        return PatientSelector(described=_described(resource, patient_id))
    request.kept[FROM_CONTEXT] = True
    try:
        UUID(patient_id)
    except ValueError:
        number = PatientIdentifier(request.patient_id_system, patient_id)
        return PatientSelector(described=PatientInQuestion((number,)))
    return PatientSelector(record_id=patient_id)


def _described(resource: object, patient_id: str) -> PatientInQuestion:
    if not isinstance(resource, dict) or resource.get("resourceType") != "Patient":
        raise InvalidValue("prefetch.patient", expected="a Patient")
    if any(issue.severity in ("error", "fatal") for issue in check(resource)):
        raise InvalidValue("prefetch.patient", expected="a Patient of FHIR R4")
    if resource.get("id", patient_id) != patient_id.removeprefix("Patient/"):
        raise InvalidValue("prefetch.patient", expected="the patient of the context")
    described = in_question(resource)
    if described.is_empty:
        raise InvalidValue("prefetch.patient", expected="identifiers, or name and birth date")
    return described


def _requested(context: Mapping[str, Any], hook: str) -> Iterator[RequestedService]:
    """The draft orders that are for a service; with order-select those that were selected just now."""
    entries = _part(context, "draftOrders").get("entry", [])
    selections = context.get("selections")
    if hook == "order-select" and not isinstance(selections, list):
        raise InvalidValue("context.selections", expected="an array of references")
    if not isinstance(entries, list) or len(entries) > MOST_ORDERS:
        raise InvalidValue("context.draftOrders", expected=f"a Bundle of up to {MOST_ORDERS} orders")
    for entry in entries:
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if not isinstance(resource, dict) or resource.get("resourceType") != "ServiceRequest":
            continue
        if resource.get("doNotPerform") is True or resource.get("status") in _NO_ORDER:
            continue
        reference = f"ServiceRequest/{resource.get('id', '')}"
        if hook == "order-sign" or not resource.get("id") or reference in (selections or ()):
            yield _one(resource, reference)


def _one(resource: Mapping[str, Any], reference: str) -> RequestedService:
    concept = resource.get("code")
    reasons = [code for each in _list(resource.get("reasonCode")) for code, _ in _codings(each)]
    return RequestedService(
        reference,
        tuple(code for code, _ in _codings(concept)),
        tuple(text for text in (_word(concept, "text"),) if text),
        tuple(code.code for code in reasons if _ICD10.fullmatch(code.code)),
    )


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _codings(concept: object) -> Iterator[tuple[CodedValue, str]]:
    for coding in _list(concept.get("coding") if isinstance(concept, dict) else None):
        code = _word(coding, "code")
        if code:
            yield CodedValue(code, _word(coding, "system") or None, _word(coding, "display") or None), code


def _word(of: object, name: str) -> str:
    found = of.get(name) if isinstance(of, dict) else None
    return found[:500] if isinstance(found, str) else ""


def decode_feedback(request: WireRequest) -> AnswerCards:
    """What doctors did with their cards: accepted is used, overridden is repeated, for the reason from the list."""
    service_of(request)
    answers = _object(request, "the feedback").get("feedback")
    if not isinstance(answers, list) or not 0 < len(answers) <= MOST_ANSWERS:
        raise InvalidValue("feedback", expected=f"an array of 1 to {MOST_ANSWERS}")
    return AnswerCards(tuple(_answer(one) for one in answers))


def _answer(one: object) -> CardAnswer:
    if not isinstance(one, dict):
        raise InvalidValue("feedback", expected="objects")
    card, outcome = one.get("card"), one.get("outcome")
    _check_uuid("feedback.card", card)
    if outcome == "accepted":
        return CardAnswer(str(card), "used")
    if outcome != "overridden":
        raise InvalidValue("feedback.outcome", expected="accepted or overridden")
    return CardAnswer(str(card), "repeated", _reason(one.get("overrideReason")))


def _reason(given: object) -> str:
    """The code of a reason of ours; a doctor who gave none, or one in words only, repeats without a known reason."""
    coding = given.get("reason") if isinstance(given, dict) else None
    code = _word(coding, "code")
    return code if code in set(RepeatReason) else NO_REASON
