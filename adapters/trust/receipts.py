"""The patient's written request, and its withdrawal, as signed by the hospital that recorded it.

Signature and form are checked here; parties, scope and time by `ConsentReceipt.check`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from adapters.trust.jwt_door import Claims, KeysOf, Rules, decode, text
from adapters.trust.keys import SigningKeys
from adapters.trust.peer_tokens import KeysOfHome
from adapters.trust.provision_claims import (
    actor_claims,
    period_claims,
    provision_claims,
    read_actor,
    read_period,
    read_provision,
)
from consent.consents import POLICIES
from consent.errors import InvalidConsent, InvalidReceipt, TokenRefused
from consent.receipts import ConsentReceipt, Withdrawal
from consent.requesters import PurposeOfUse
from registry.errors import InvalidIdentifier
from registry.identifiers import HomeCommunityId, PatientIdentifier

RECEIPT_TYPE, WITHDRAWAL_TYPE = "hie-receipt+jwt", "hie-withdrawal+jwt"
LARGEST_RECEIPT = 6144
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")  # FHIR R4 `id`: it becomes a Consent's
_HEX = re.compile(r"[0-9a-f]{40,64}")
_HASHES = {64: "sha256", 40: "sha1"}
_RULE = ("policy", "actors", "limits")
"""What a receipt says beyond parties and time; without it, it would open more than the patient allowed."""
_KIND = re.compile(r"[a-z-]{1,32}")


def write_receipt(keys: SigningKeys, receipt: ConsentReceipt) -> str:
    """Sign it; raises InvalidReceipt("oversize") rather than send what no holder reads."""
    claims = {
        "iss": str(receipt.signer),
        "jti": receipt.id,
        "iat": int(receipt.issued.timestamp()),
        "issued": receipt.issued.isoformat(),
        "patient": [{"system": one.system, "value": one.value} for one in sorted(receipt.patient)],
        "holders": [str(home) for home in sorted(receipt.holders)],
        "recipient": str(receipt.recipient),
        "purposes": sorted(purpose.value for purpose in receipt.purposes),
        "valid": period_claims(receipt.valid),
        "given": receipt.given.isoformat(),
        "evidence": {"kind": receipt.evidence_kind, _HASHES[len(receipt.evidence_hash)]: receipt.evidence_hash},
        "policy": receipt.policy,
        "actors": [actor_claims(each) for each in receipt.actors],
        "limits": provision_claims(receipt.limits),
        "recorded_by": receipt.recorded_by,
    }
    return write_signed(keys, claims, RECEIPT_TYPE)


def read_receipt(jws: str, keys_of: KeysOfHome) -> ConsentReceipt:
    """The receipt that a hospital of the directory signed; raises InvalidReceipt."""
    claims = read_signed(
        jws, keys_of, RECEIPT_TYPE, ("patient", "recipient", "purposes", "valid", "given", "evidence", *_RULE)
    )
    try:
        return _receipt(claims)
    except (TokenRefused, InvalidIdentifier, InvalidConsent, TypeError, ValueError, KeyError, AttributeError) as error:
        raise InvalidReceipt("form") from error


def write_withdrawal(keys: SigningKeys, withdrawal: Withdrawal) -> str:
    """Sign that the patient took a request back."""
    claims = {
        "iss": str(withdrawal.signer),
        "jti": withdrawal.receipt_id,
        "iat": int(withdrawal.issued.timestamp()),
        "issued": withdrawal.issued.isoformat(),
        "withdrawn": withdrawal.withdrawn.isoformat(),
    }
    return write_signed(keys, claims, WITHDRAWAL_TYPE)


def read_withdrawal(jws: str, keys_of: KeysOfHome) -> Withdrawal:
    """The withdrawal that a hospital of the directory signed; raises InvalidReceipt."""
    claims = read_signed(jws, keys_of, WITHDRAWAL_TYPE, ("withdrawn",))
    try:
        signer = HomeCommunityId(text(claims, "iss"))
        return Withdrawal(_id(claims), signer, aware_moment(claims, "withdrawn"), aware_moment(claims, "issued"))
    except (TokenRefused, InvalidIdentifier, TypeError, ValueError) as error:
        raise InvalidReceipt("form") from error


def write_signed(keys: SigningKeys, claims: Claims, typ: str) -> str:
    """Raises InvalidReceipt."""
    try:
        jws = keys.sign(claims, typ)
    except TokenRefused as error:
        raise InvalidReceipt(error.reason) from error
    if len(jws) > LARGEST_RECEIPT:
        raise InvalidReceipt("oversize")
    return jws


def read_signed(jws: str, keys_of: KeysOfHome, typ: str, required: Iterable[str]) -> Claims:
    """What a hospital of the directory signed; raises InvalidReceipt."""
    rules = Rules(frozenset({typ}), frozenset({"iss", "jti", "issued", *required}), limit=LARGEST_RECEIPT)
    try:
        return decode(jws, _by_text(keys_of), rules, now=None)
    except TokenRefused as error:
        raise InvalidReceipt(error.reason) from error


def _by_text(keys_of: KeysOfHome) -> KeysOf:
    """Keys by an issuer as a token spells it; what is not a community has none."""

    def keys(issuer: str) -> Iterable[Mapping[str, Any]]:
        try:
            return keys_of(HomeCommunityId(issuer))
        except InvalidIdentifier:
            return ()

    return keys


def _receipt(claims: Claims) -> ConsentReceipt:
    evidence = claims["evidence"]
    digest = evidence.get("sha256") or evidence["sha1"]
    if not _HEX.fullmatch(digest) or len(digest) not in _HASHES or not _KIND.fullmatch(evidence["kind"]):
        raise ValueError("evidence")
    if claims["policy"] not in POLICIES:
        raise ValueError("policy")
    return ConsentReceipt(
        id=_id(claims),
        patient=frozenset(PatientIdentifier(one["system"], one["value"]).normal for one in _list(claims, "patient")),
        holders=frozenset(HomeCommunityId(home) for home in _list(claims, "holders")),
        recipient=HomeCommunityId(claims["recipient"]),
        signer=HomeCommunityId(text(claims, "iss")),
        purposes=frozenset(PurposeOfUse(code) for code in _list(claims, "purposes")),
        valid=read_period(claims["valid"]),
        given=aware_moment(claims, "given"),
        issued=aware_moment(claims, "issued"),
        evidence_hash=digest,
        evidence_kind=evidence["kind"],
        recorded_by=text(claims, "recorded_by", default=""),
        policy=claims["policy"],
        actors=tuple(read_actor(each) for each in _list(claims, "actors")),
        limits=read_provision(claims["limits"]),
    )


def _id(claims: Claims) -> str:
    found = text(claims, "jti")
    if _ID.fullmatch(found) is None:
        raise ValueError("id")
    return found


def _list(claims: Claims, name: str) -> list[Any]:
    # without `holders` it would speak of every hospital: it has to be said
    value = claims[name]
    if not isinstance(value, list):
        raise TypeError(name)
    return value


def aware_moment(claims: Mapping[str, Any], name: str) -> datetime:
    found = datetime.fromisoformat(claims[name])
    if found.tzinfo is None:
        raise ValueError(name)
    return found
