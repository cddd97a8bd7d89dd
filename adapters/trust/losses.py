"""The officer's word on rows that were lost when a node came back from an earlier day, signed by the node.

A row of the database that says so could be written by whoever cut the record; a signature could not. The word is bound
to one return: it explains nothing that is lost later.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from adapters.trust.errors import SealBroken
from adapters.trust.jwk import Jwk
from adapters.trust.jwt_door import Rules, decode
from adapters.trust.keys import SigningKeys
from consent.errors import TokenRefused
from registry.identifiers import HomeCommunityId

TYPE = "hie-loss+jwt"
_RULES = Rules(frozenset({TYPE}), frozenset({"iss", "sub", "iat", "restored", "kept", "because"}), limit=4096)


@dataclass(frozen=True, slots=True)
class Loss:
    """The record came back on `restored` with `kept` rows; all that was sealed before and is longer is lost.

    by, because  the login of who answers for it, and what happened
    """

    restored: datetime
    kept: int
    by: str
    because: str


def write_answer(keys: SigningKeys, loss: Loss, *, home: HomeCommunityId, now: datetime) -> str:
    """Sign it."""
    claims = {"iss": str(home), "sub": loss.by, "iat": int(now.timestamp()), "restored": loss.restored.isoformat()}
    return keys.sign({**claims, "kept": loss.kept, "because": loss.because}, TYPE)


def read_answer(jws: str, *, home: HomeCommunityId, keys: Iterable[Jwk]) -> Loss:
    """Raises SealBroken unless a key of this hospital signed it."""
    known = tuple(keys)
    try:
        claims = decode(jws, lambda issuer: known if issuer == str(home) else (), _RULES, now=None)
        return Loss(datetime.fromisoformat(claims["restored"]), int(claims["kept"]), claims["sub"], claims["because"])
    except TokenRefused as error:
        raise SealBroken(error.reason) from error
    except (TypeError, ValueError) as error:
        raise SealBroken("form") from error
