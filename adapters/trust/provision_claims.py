"""What a written request leaves out, as claims of its receipt: strict, since a condition that is lost would open more.

Source: HL7 FHIR R4, Consent.provision; IHE PCF 1.1
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from consent.consents import ALWAYS, Actor, Period, Provision
from consent.requesters import PurposeOfUse
from registry.identifiers import HomeCommunityId

_CONDITIONS = frozenset({"period", "actors", "purposes", "data_period", "authors", "encounters", "labels"})
_KNOWN = _CONDITIONS | {"type", "exceptions"}
MOST_EXCEPTIONS = 20


def provision_claims(provision: Provision) -> dict[str, Any]:
    """Only what is said: an empty condition has no claim."""
    said = {
        "type": provision.type,
        "period": period_claims(provision.period),
        "actors": [actor_claims(each) for each in provision.actors],
        "purposes": sorted(each.value for each in provision.purposes),
        "data_period": period_claims(provision.data_period),
        "authors": sorted(provision.authors),
        "encounters": sorted(provision.encounters),
        "labels": sorted(provision.labels),
        "exceptions": [provision_claims(each) for each in provision.provisions],
    }
    return {name: value for name, value in said.items() if value}


def read_provision(claims: Mapping[str, Any]) -> Provision:
    """Raises ValueError, TypeError or KeyError for anything that is not understood."""
    if not isinstance(claims, dict) or set(claims) - _KNOWN or claims["type"] not in ("permit", "deny"):
        raise ValueError("provision")
    exceptions = claims.get("exceptions", [])
    if len(exceptions) > MOST_EXCEPTIONS or any("exceptions" in each for each in exceptions):
        raise ValueError("exceptions")
    return Provision(
        claims["type"],
        period=read_period(claims.get("period", {})),
        actors=tuple(read_actor(each) for each in claims.get("actors", [])),
        purposes=frozenset(PurposeOfUse(code) for code in claims.get("purposes", [])),
        data_period=read_period(claims.get("data_period", {})),
        authors=_texts(claims.get("authors", [])),
        encounters=_texts(claims.get("encounters", [])),
        labels=_texts(claims.get("labels", [])),
        provisions=tuple(read_provision(each) for each in exceptions),
    )


def actor_claims(actor: Actor) -> dict[str, str]:
    """A hospital, person or role; all known by now."""
    said = {"home": str(actor.home) if actor.home else "", "subject": actor.subject or "", "role": actor.role or ""}
    return {name: value for name, value in said.items() if value}


def read_actor(claims: Mapping[str, Any]) -> Actor:
    if not isinstance(claims, dict) or set(claims) - {"home", "subject", "role"}:
        raise ValueError("actor")
    _texts(list(claims.values()))
    home = HomeCommunityId(claims["home"]) if "home" in claims else None
    return Actor(home, claims.get("subject"), claims.get("role"))


def period_claims(period: Period) -> dict[str, str]:
    sides = {"start": period.start, "end": period.end}
    return {name: moment.isoformat() for name, moment in sides.items() if moment}


def read_period(claims: Mapping[str, Any]) -> Period:
    if not isinstance(claims, dict) or set(claims) - {"start", "end"}:
        raise ValueError("period")
    if not claims:
        return ALWAYS
    sides = {name: datetime.fromisoformat(value) for name, value in claims.items()}
    if any(moment.tzinfo is None for moment in sides.values()):
        raise ValueError("period")
    return Period(**sides)


def _texts(values: Any) -> frozenset[str]:
    if not isinstance(values, list) or not all(isinstance(each, str) and each for each in values):
        raise TypeError("texts")
    return frozenset(values)
