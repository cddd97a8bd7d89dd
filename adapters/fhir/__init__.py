"""FHIR R4 (4.0.1) at the door: bytes to resources and back, and what is wrong with them.

A resource is a plain dict in FHIR's JSON form and stays inside this adapter. `json_format` and `xml_format`
read and write it, `structure` knows what every type consists of, `check` says what breaks the specification
and where, `issues` holds the errors as OperationOutcomes, `negotiation` chooses the format, `search_values`
reads queries.

Source: HL7 FHIR R4, https://hl7.org/fhir/R4/
"""

from __future__ import annotations

from typing import Any, TypeAlias

Resource: TypeAlias = dict[str, Any]
"""A FHIR resource in JSON form: str, bool, int, Decimal, list, dict; decimals keep their digits."""
