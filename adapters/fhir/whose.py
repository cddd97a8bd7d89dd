"""Whose things are searched for: the parameters `patient` and `patient.identifier`, the same in every search.

Source: HL7 FHIR R4, 3.1.1.4.13 (reference), 3.1.1.4.14 (chained parameters)
"""

from __future__ import annotations

from adapters.fhir.asked_patient import AskedPatient
from adapters.fhir.search_controls import Asked
from registry.searches import PatientSelector

WHOSE = {"patient": "reference", "patient.identifier": "token"}


def whose(asked: Asked, base: str) -> PatientSelector:
    """One patient, by id or by numbers; nobody in particular where the search names none. Raises BadRequest."""
    patient = AskedPatient(base)
    for parameter in asked.named(*WHOSE):
        patient.add(parameter)
    return patient.selector()
