"""Tokens for the records of one patient: whom `person_id` names, and what the consents leave to be enforced.

Sources: IHE IUA 2.3 (ITI-71, `person_id`); IHE PCF 1.1 (Consent Authorization Server, `ihe_pcf`)
"""

from __future__ import annotations

from adapters.soap.datatypes import read_cx
from adapters.store.unit import UnitOfWork
from adapters.trust.errors import OAuthError
from adapters.trust.scopes import Scopes
from consent.decide import AccessRequest, may_show_something
from consent.requesters import Requester
from consent.residuals import ConsentClaims, residual_of, used
from hie_node.flows.identify import Identified, by_identifier, by_record_id
from hie_node.house import House
from registry.errors import InvalidValue, NotUnique
from registry.people import PatientInQuestion

RECORD_BY_RECORD = Scopes(frozenset({("DocumentReference", "rs"), ("ImagingStudy", "rs"), ("Binary", "r")}))
"""What a token for one patient is good for: what is decided item by item, so that nobody else's comes with it."""


def patient_address(house: House, record_id: str) -> str:
    """The Patient that a token names."""
    return f"{house.settings.house.url}/fhir/Patient/{record_id}"


def record_of(house: House, basis: ConsentClaims | None) -> str | None:
    """The record that a token of this node is bound to, None for a token that is for any patient."""
    return basis.patient.removeprefix(patient_address(house, "")) if basis else None


def basis_of(house: House, unit: UnitOfWork, asker: Requester, person_id: str) -> ConsentClaims:
    """The consents behind a token for this patient.

    Raises OAuthError("invalid_grant") where no one person is meant, and where this patient shows the asker nothing.
    """
    person = _meant(house, unit, person_id)
    if person is None:
        raise OAuthError("invalid_grant", reason="patient")
    now, consents = house.now(), unit.consents.of_records(person.record_ids)
    ask = AccessRequest(asker, house.home)
    if not may_show_something(ask, consents, house.policy, now=now):
        raise OAuthError("invalid_grant", reason="consent")
    behind = used(consents, ask, now=now)
    return ConsentClaims(
        patient_address(house, person.first.id),
        tuple(f"{house.settings.house.url}/fhir/Consent/{one.id}" for one in behind),
        tuple(dict.fromkeys(one.policy for one in behind)),
        residual_of(behind, ask, now=now),
    )


def _meant(house: House, unit: UnitOfWork, person_id: str) -> Identified | None:
    """By the address of a Patient here, or by a number in CX form."""
    before, here, record_id = person_id.partition(patient_address(house, ""))
    if here and not before:
        return by_record_id(unit, record_id)
    try:
        return by_identifier(unit, PatientInQuestion((read_cx(person_id, "person_id"),)))
    except (InvalidValue, NotUnique):
        return None
