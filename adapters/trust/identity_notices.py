"""A change of identity as one hospital tells it to another, signed; form and signature are checked here."""

from __future__ import annotations

from adapters.trust.jwt_door import text
from adapters.trust.keys import SigningKeys
from adapters.trust.peer_tokens import KeysOfHome
from adapters.trust.receipts import aware_moment, read_signed, write_signed
from consent.errors import InvalidReceipt, TokenRefused
from registry.errors import RegistryError
from registry.identifiers import HomeCommunityId, PatientIdentifier
from registry.identity_changes import IdentityChange, ToldChange

NOTICE_TYPE = "hie-identity-change+jwt"
_MOST_NUMBERS = 32
_LONGEST_ID = 64


def write_notice(keys: SigningKeys, told: ToldChange) -> str:
    """Sign it; raises InvalidReceipt("oversize") rather than send what nobody reads."""
    claims = {
        "iss": str(told.signer),
        "jti": told.id,
        "iat": int(told.made.timestamp()),
        "issued": told.made.isoformat(),
        "to": str(told.recipient),
        "change": told.change.value,
        "patient": [{"system": one.system, "value": one.value} for one in told.numbers[:_MOST_NUMBERS]],
    }
    return write_signed(keys, claims, NOTICE_TYPE)


def read_notice(jws: str, keys_of: KeysOfHome) -> ToldChange:
    """The notice that a hospital of the directory signed; raises InvalidReceipt."""
    claims = read_signed(jws, keys_of, NOTICE_TYPE, ("to", "change", "patient"))
    try:
        named = claims["patient"]
        if not isinstance(named, list) or not 0 < len(named) <= _MOST_NUMBERS:
            raise ValueError("patient")
        return ToldChange(
            id=text(claims, "jti", limit=_LONGEST_ID),
            signer=HomeCommunityId(text(claims, "iss")),
            recipient=HomeCommunityId(text(claims, "to")),
            change=IdentityChange(text(claims, "change")),
            numbers=tuple(sorted({PatientIdentifier(text(one, "system"), text(one, "value")) for one in named})),
            made=aware_moment(claims, "issued"),
        )
    except (TokenRefused, RegistryError, TypeError, ValueError, KeyError, AttributeError) as error:
        raise InvalidReceipt("form") from error
