"""`extensions.ihe_iua`: who is behind a token, in the words of IHE, to and from a `Requester`.

Source: IHE IUA 2.3 (ITI-71, JWT token option, table 3.71.4.2.2.1.1-2).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from adapters.trust.jwt_door import moment, text
from consent.errors import TokenRefused
from consent.requesters import PurposeOfUse, Requester, Role
from registry.coded import ACT_REASON
from registry.identifiers import HomeCommunityId

LONGEST_REASON = 1000
ROLE_SYSTEM = "urn:hie-node:role"
PRACTITIONER_ROLE = "http://terminology.hl7.org/CodeSystem/practitioner-role"
SNOMED = "http://snomed.info/sct"
_FOREIGN_ROLES = {
    (PRACTITIONER_ROLE, "doctor"): Role.DOCTOR,
    (PRACTITIONER_ROLE, "nurse"): Role.NURSE,
    (SNOMED, "158965000"): Role.DOCTOR,
    (SNOMED, "112247003"): Role.DOCTOR,
    (SNOMED, "106292003"): Role.NURSE,
}
_PURPOSE_SYSTEMS = frozenset({None, ACT_REASON, "urn:oid:2.16.840.1.113883.5.8", "2.16.840.1.113883.5.8"})


def requester_in(
    claims: Mapping[str, Any], *, home: HomeCommunityId, role: Role, purpose: PurposeOfUse, client_id: str
) -> Requester:
    """Whom the claims of a token name, once its role, its purpose and its hospital are established."""
    iua = iua_in(claims)
    return Requester(
        subject=text(claims, "sub"),
        role=role,
        home=home,
        name=name_in(iua),
        organization=organization_in(iua),
        purpose=purpose,
        reason=text(claims, "reason", limit=LONGEST_REASON, default=""),
        client_id=client_id,
        token_id=text(claims, "jti"),
        declared=_declared(claims),
    )


def _declared(claims: Mapping[str, Any]) -> datetime | None:
    """When an emergency was declared that lasts longer than one token."""
    return moment(dict(claims), "declared") if "declared" in claims else None


def iua_of(requester: Requester) -> dict[str, Any]:
    """The claims object of a requester; what is empty is left out."""
    return {
        **({"subject_name": requester.name} if requester.name else {}),
        **({"subject_organization": requester.organization} if requester.organization else {}),
        "subject_role": [{"system": ROLE_SYSTEM, "code": requester.role.value}],
        "subject_organization_id": str(requester.home),
        "purpose_of_use": [{"system": ACT_REASON, "code": requester.purpose.value}],
        "home_community_id": str(requester.home),
    }


def iua_in(claims: Mapping[str, Any]) -> Mapping[str, Any]:
    """The object in the claims of a token, empty where there is none; raises TokenRefused for other forms."""
    extensions = claims.get("extensions", {})
    found = extensions.get("ihe_iua", {}) if isinstance(extensions, dict) else None
    if not isinstance(found, dict):
        raise TokenRefused("claim")
    return found


def name_in(iua: Mapping[str, Any]) -> str:
    return text(iua, "subject_name", default="")


def organization_in(iua: Mapping[str, Any]) -> str:
    return text(iua, "subject_organization", default="")


def role_in(iua: Mapping[str, Any]) -> Role | None:
    """The one role, None where none is told; raises TokenRefused("role") for one that means nothing here."""
    coded = _one(iua.get("subject_role"), "role")
    if coded is None:
        return None
    system, code = coded
    known = _FOREIGN_ROLES.get((system or "", code))
    if known is None and system in (None, ROLE_SYSTEM):
        known = next((role for role in Role if role.value == code), None)
    if known is None:
        raise TokenRefused("role")
    return known


def purpose_in(iua: Mapping[str, Any]) -> PurposeOfUse | None:
    """The one purpose, None where none is told; raises TokenRefused("purpose") for one that means nothing here."""
    coded = _one(iua.get("purpose_of_use"), "purpose")
    if coded is None:
        return None
    system, code = coded
    purpose = next((purpose for purpose in PurposeOfUse if purpose.value == code), None)
    if system not in _PURPOSE_SYSTEMS or purpose is None:
        raise TokenRefused("purpose")
    return purpose


def _one(value: Any, what: str) -> tuple[str | None, str] | None:
    """System and code of a coding, a list of one, or a bare code. Two could be read either way: refused."""
    if isinstance(value, list):
        if len(value) > 1:
            raise TokenRefused(what)
        value = value[0] if value else None
    if value is None:
        return None
    coding = {"code": value} if isinstance(value, str) else value
    system, code = (coding.get("system"), coding.get("code")) if isinstance(coding, dict) else (None, None)
    if not isinstance(code, str) or not isinstance(system, str | None):
        raise TokenRefused(what)
    return system, code
