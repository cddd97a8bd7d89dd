"""A visit that another hospital wrote as a FHIR document, back as facts.

What is not understood is left out; a bundle that is none is refused whole. Everything in it was written elsewhere.

Source: HL7 FHIR R4, 3.3 Documents; Condition, MedicationStatement, MedicationRequest, Observation
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from adapters.fhir import Resource
from adapters.fhir.check import check
from adapters.fhir.elements import read_coding, read_moment, read_period
from adapters.fhir.issues import BadRequest, ContentTooLarge
from adapters.fhir.json_format import decimal_text, parse_json
from registry.clinical import Medication, Problem, Result
from registry.coded import SERVICE_CODE, CodedValue
from registry.course import VisitFacts
from registry.errors import Unreadable

MAX_BYTES = 1 << 20
MOST = 500
"""Facts of a kind in one visit."""
MOST_FLAGS = 5
LONGEST = 300
"""Characters of a name or a value; a longer one is cut, with a mark."""
_NOT_SO = frozenset({"entered-in-error", "refuted", "cancelled", "not-taken"})


def read_visit_document(content: bytes) -> VisitFacts:
    """Diagnoses, medicines and values. Raises Unreadable."""
    try:
        bundle = parse_json(content, max_bytes=MAX_BYTES)
    except (BadRequest, ContentTooLarge) as error:
        raise Unreadable("a visit of another hospital", "not FHIR JSON") from error
    if bundle["resourceType"] != "Bundle" or any(one.severity in ("error", "fatal") for one in check(bundle)):
        raise Unreadable("a visit of another hospital", "not a Bundle of FHIR R4")
    resources = [each["resource"] for each in bundle.get("entry", ()) if "resource" in each]
    held = [one for one in resources if not _NOT_SO & set(_states(one))]
    return VisitFacts(
        tuple(_problem(one) for one in _of(held, "Condition")),
        tuple(_medication(one) for one in _of(held, "MedicationStatement", "MedicationRequest")),
        tuple(found for one in _of(held, "Observation") if (found := _result(one)) is not None),
        next((when for one in _of(held, "Encounter") if (when := _ended(one)) is not None), None)
        or read_moment(bundle.get("timestamp")),
    )


def _of(resources: Iterable[Resource], *kinds: str) -> list[Resource]:
    return [one for one in resources if one["resourceType"] in kinds][:MOST]


def _states(one: Resource) -> Iterator[str]:
    """`status`, or the codes that stand for it in a Condition."""
    if isinstance(status := one.get("status"), str):
        yield status
    for coding in (one.get("verificationStatus") or {}).get("coding", ()):
        yield coding.get("code", "")


def _ended(encounter: Resource) -> Any:
    began, ended = read_period(encounter.get("period"))
    return ended or began


def _problem(one: Resource) -> Problem:
    code = next(iter(_codes(one.get("code"))), None)
    text = _cut((one.get("code") or {}).get("text", ""))
    return Problem(code, text, read_moment(one.get("recordedDate") or one.get("onsetDateTime")))


def _medication(one: Resource) -> Medication:
    concept = one.get("medicationCodeableConcept") or {}
    code = next(iter(_codes(concept)), None)
    name = concept.get("text") or (code.display or code.code if code else "?")
    doses = one.get("dosage") or one.get("dosageInstruction") or ()
    dose = next((text for each in doses if (text := each.get("text"))), "")
    when = one.get("effectiveDateTime") or (one.get("effectivePeriod") or {}).get("start") or one.get("authoredOn")
    return Medication(_cut(name), code, dose=_cut(dose), ordered=read_moment(when))


def _result(one: Resource) -> Result | None:
    """A value of the laboratory; None for what has none, or is of another kind (a pulse, a question asked)."""
    kinds = [code.code for each in one.get("category", ()) for code in _codes(each)]
    value, unit = _value(one)
    if not value or (kinds and "laboratory" not in kinds):
        return None
    concept = one.get("code") or {}
    # the service under which it was done is no name of what was measured: many values share it
    codes = tuple(code for code in _codes(concept) if code.system != SERVICE_CODE)
    name = concept.get("text") or next((code.display or code.code for code in codes), "?")
    when = one.get("effectiveDateTime") or (one.get("effectivePeriod") or {}).get("start") or one.get("issued")
    called = [
        each.get("text") or next((code.code for code in _codes(each)), "") for each in one.get("interpretation", ())
    ]
    flags = tuple(_cut(flag) for flag in called[:MOST_FLAGS] if flag)
    normal = next((range_["text"] for range_ in one.get("referenceRange", ()) if range_.get("text")), "")
    corrected = one.get("status") == "corrected"
    return Result(
        _cut(name),
        _cut(value),
        codes,
        _cut(unit),
        read_moment(when),
        normal=_cut(normal),
        flags=flags,
        corrected=corrected,
    )


def _value(one: Resource) -> tuple[str, str]:
    """The value as written, and its unit."""
    quantity = one.get("valueQuantity")
    if quantity:
        number = quantity.get("value")
        if number is None:
            return "", ""
        written = decimal_text(number) if isinstance(number, Decimal) else str(number)
        return f"{quantity.get('comparator', '')}{written}", quantity.get("unit") or quantity.get("code") or ""
    concept = one.get("valueCodeableConcept") or {}
    said = next((code.display or code.code for code in _codes(concept)), "")
    return one.get("valueString") or concept.get("text") or said, ""


def _codes(concept: Resource | None) -> Iterator[CodedValue]:
    for each in (concept or {}).get("coding", ()):
        code = read_coding(each)
        if code is not None:
            yield code


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
