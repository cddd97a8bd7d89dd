"""Whose things are searched for: the parameters `patient` and `patient.identifier`, the same in every search.

Source: HL7 FHIR R4, 3.1.1.4.13 (reference), 3.1.1.4.14 (chained parameters)
"""

from __future__ import annotations

from adapters.fhir.issues import BadRequest
from adapters.fhir.search_controls import Asked, one_value
from adapters.fhir.search_values import Parameter, ReferenceValue, TokenValue
from registry.identifiers import PatientIdentifier
from registry.people import PatientInQuestion
from registry.searches import ANYBODY, PatientSelector

WHOSE = {"patient": "reference", "patient.identifier": "token"}


def whose(asked: Asked, base: str) -> PatientSelector:
    """One patient, by id or by identifier; ANYBODY where the search names none. Raises BadRequest for two."""
    found = [_selected(each, base) for each in asked.named(*WHOSE)]
    if len(found) > 1:
        raise BadRequest("A search is about one patient: patient or patient.identifier, once.")
    return found[0] if found else ANYBODY


def _selected(parameter: Parameter, base: str) -> PatientSelector:
    if parameter.chain == "identifier":
        return _by_number(TokenValue.parse(one_value(parameter)))
    if len(parameter.values) != 1:
        raise BadRequest("patient takes one value.")
    value = ReferenceValue.parse(parameter.values[0], parameter.modifier)
    if value.identifier:
        return _by_number(value.identifier)
    is_foreign = value.url is not None and value.url != f"{base}/Patient/{value.id}"
    if value.id is None or value.type not in (None, "Patient") or is_foreign:
        raise BadRequest("patient is the id of a Patient of this base, Patient/ and its id, or patient.identifier.")
    return PatientSelector(value.id)


def _by_number(token: TokenValue) -> PatientSelector:
    if not token.system or not token.code:
        raise BadRequest("patient.identifier is needed with its system: system|value.")
    return PatientSelector(described=PatientInQuestion((PatientIdentifier(token.system, token.code),)))
