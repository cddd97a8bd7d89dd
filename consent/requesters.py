"""Who asks, in which role, from which hospital and why.

Sources: IHE XUA/IUA (ITI-71 `ihe_iua` claims), HL7 v3 ActReason (purpose of use), v3 ParticipationType.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from registry.identifiers import HomeCommunityId


class PurposeOfUse(StrEnum):
    """Why data are wanted. Source: HL7 v3-ActReason; the codes are the wire codes."""

    TREAT = "TREAT"
    ETREAT = "ETREAT"
    BTG = "BTG"
    COC = "COC"
    HPAYMT = "HPAYMT"
    HOPERAT = "HOPERAT"
    HRESCH = "HRESCH"
    PUBHLTH = "PUBHLTH"
    PATRQT = "PATRQT"

    @property
    def is_emergency(self) -> bool:
        return self in (PurposeOfUse.ETREAT, PurposeOfUse.BTG)

    @property
    def is_care(self) -> bool:
        return self in (PurposeOfUse.TREAT, PurposeOfUse.COC) or self.is_emergency


class Role(StrEnum):
    """What somebody does at a hospital; `system` acts for those who use it."""

    DOCTOR = "doctor"
    NURSE = "nurse"
    REGISTRAR = "registrar"
    CONSENT_DESK = "consent-desk"
    ADMINISTRATOR = "administrator"
    DATA_PROTECTION_OFFICER = "data-protection-officer"
    SYSTEM = "system"
    PATIENT = "patient"

    @property
    def treats(self) -> bool:
        return self in (Role.DOCTOR, Role.NURSE, Role.SYSTEM)


@dataclass(frozen=True, slots=True)
class Requester:
    """The person or system behind a request.

    subject   stable id of the person or client within its hospital (login, licence number, client_id)
    name      for the record of disclosures; the patient may read it
    home      the hospital it asks from
    reason    what an emergency access was declared with, and `declared` when; None: with this very request
    """

    subject: str
    role: Role
    home: HomeCommunityId
    name: str = ""
    organization: str = ""
    purpose: PurposeOfUse = PurposeOfUse.TREAT
    reason: str = ""
    client_id: str = ""
    token_id: str = ""
    declared: datetime | None = None
